"""What is told of a map by numbers. All take (B, h, w) maps on their own grid, and are worked out in float64.

Shares are of the map minus its minimum, as `faithfulness.energy_in_boxes` has them; a constant map counts as a uniform
one.
"""

import torch
from torch import Tensor


def energy(maps: Tensor) -> Tensor:
    """(B, h, w) float64 of sum 1: each place's share of the map minus its minimum."""
    maps = maps.double()
    above = maps - maps.amin((1, 2), keepdim=True)
    flat = above.amax((1, 2), keepdim=True) <= 1e-6 * maps.abs().amax((1, 2), keepdim=True)  # no more than rounding
    above = torch.where(flat, torch.ones_like(above), above)
    return above / above.sum((1, 2), keepdim=True)


def peaks(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B,) three times: the greatest value, and (x, y) of its place's centre in shares of the map's width and height.

    Of several such places the one nearest to their mean, as in the pointing game.
    """
    height, width = maps.shape[1:]
    values = maps.double().flatten(1)
    most = values.amax(1)
    y = ((torch.arange(height, dtype=torch.float64) + 0.5) / height).repeat_interleave(width)
    x = ((torch.arange(width, dtype=torch.float64) + 0.5) / width).repeat(height)
    top = (values == most[:, None]).double()
    count = top.sum(1, keepdim=True)
    across, down = ((top * at).sum(1, keepdim=True) / count for at in (x, y))
    distance = ((x - across) * width) ** 2 + ((y - down) * height) ** 2
    nearest = torch.where(top > 0, distance, torch.inf).argmin(1)
    return most, x[nearest], y[nearest]


def spread(maps: Tensor) -> Tensor:
    """(B,): how far, in the root mean square, the map's energy lies from its centre of mass, in shares of the sides.

    0 where all of it is in one place; a uniform map has 0.41, the square root of 1/6.
    """
    height, width = maps.shape[1:]
    shares = energy(maps)
    y = (torch.arange(height, dtype=torch.float64)[:, None] + 0.5) / height
    x = (torch.arange(width, dtype=torch.float64)[None] + 0.5) / width
    middle = [(shares * at).sum((1, 2), keepdim=True) for at in (y, x)]
    return (shares * ((y - middle[0]) ** 2 + (x - middle[1]) ** 2)).sum((1, 2)).sqrt()


def border(maps: Tensor) -> Tensor:
    """(B,): the share of the energy in the outermost places of the grid. A uniform map has their share of all places,
    `border_area`."""
    shares = energy(maps)
    return shares.sum((1, 2)) - shares[:, 1:-1, 1:-1].sum((1, 2))


def border_area(height: int, width: int) -> float:
    """The outermost places' share of all places of a grid."""
    return 1 - max(0, height - 2) * max(0, width - 2) / (height * width)


def agreement(ones: Tensor, others: Tensor) -> Tensor:
    """(B,): Spearman's rank correlation of each pair of maps; 0 where one is constant.

    The maps' scales do not matter, only which places they put before which. Places of equal value share their mean
    rank: Grad-CAM is 0 at many.
    """
    ranks = [_ranks(maps.double().flatten(1)) for maps in (ones, others)]
    ranks = [rank - rank.mean(1, keepdim=True) for rank in ranks]
    norms = [rank.norm(dim=1) for rank in ranks]
    product = (ranks[0] * ranks[1]).sum(1)
    both = norms[0] * norms[1]
    return torch.where(both > 0, product / both.clamp(min=1e-300), torch.zeros_like(product))


def _ranks(values: Tensor) -> Tensor:
    """(B, N) -> how many values are less, and half of the others that are equal."""
    ordered = values.sort(1).values
    below, upto = (torch.searchsorted(ordered, values.contiguous(), right=right) for right in (False, True))
    return (below + upto - 1).double() / 2
