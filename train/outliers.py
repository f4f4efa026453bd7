"""Pictures of none of the classes, drawn: colours, noise, strokes (outlier exposure; Hendrycks et al. 2019,
arXiv:1812.04606). A network cannot tell what it was never shown.

Every draw comes from the step's generator, as those of `train.augment`.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

STROKES = 64  # pixels a side at which strokes are drawn


def outliers(count: int, size: int, generator: torch.Generator) -> Tensor:
    """(count, 3, size, size) float32 in 0 to 255."""
    chances = torch.tensor([float(share) for _, share in KINDS])
    drawn = torch.multinomial(chances, count, replacement=True, generator=generator).bincount(minlength=len(KINDS))
    return torch.cat([kind(n, size, generator) for (kind, _), n in zip(KINDS, drawn.tolist(), strict=True) if n])


def plain(count: int, size: int, generator: torch.Generator) -> Tensor:
    """One colour, or four that run into one another."""
    corners = _colours(count * 4, generator).view(count, 4, 3).transpose(1, 2).reshape(-1, 3, 2, 2)
    even = torch.rand(count, generator=generator) < 0.5
    corners = torch.where(even[:, None, None, None], corners[..., :1, :1], corners)
    return F.interpolate(corners, (size, size), mode="bilinear", align_corners=True)


def noise(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Normal noise of any grain, grey or coloured, about any colour."""
    made = []
    for colour in _colours(count, generator):
        grain, colours, strength = torch.rand(3, generator=generator).tolist()
        side = round(4 * (size / 4) ** grain)
        grains = torch.randn(1, 1 if colours < 0.5 else 3, side, side, generator=generator)
        found = colour.view(1, 3, 1, 1) + (10 + 90 * strength) * grains
        made.append(F.interpolate(found, (size, size), mode="bilinear"))
    return torch.cat(made).clamp(0, 255)


def strokes(count: int, size: int, generator: torch.Generator) -> Tensor:
    """A line of several straight pieces on an even ground, as in writing."""
    places = (torch.arange(STROKES) + 0.5) / STROKES
    places = torch.stack(torch.meshgrid(places, places, indexing="ij"), -1)
    made = []
    for ground, ink in zip(_colours(count, generator), _colours(count, generator), strict=True):
        pieces = int(torch.randint(2, 9, (), generator=generator))
        first = 0.2 + 0.6 * torch.rand(1, 2, generator=generator)
        steps = 0.18 * torch.randn(pieces, 2, generator=generator)
        points = torch.cat([first, first + steps.cumsum(0)]).clamp(0.08, 0.92)
        width = 0.02 + 0.06 * torch.rand((), generator=generator)
        opacity = ((width - _distance(places, points)) * STROKES / 2 + 0.5).clamp(0, 1)
        picture = torch.lerp(ground.view(3, 1, 1), ink.view(3, 1, 1), opacity)
        made.append(F.interpolate(picture[None], (size, size), mode="bilinear"))
    return torch.cat(made)


KINDS: tuple[tuple[Callable[..., Tensor], float], ...] = ((plain, 1), (noise, 2), (strokes, 1))  # how often each


def _colours(count: int, generator: torch.Generator) -> Tensor:
    """(count, 3) in 0 to 255: a third of them grey, half of those black or white."""
    colours, draws = 255 * torch.rand(count, 3, generator=generator), torch.rand(count, 1, generator=generator)
    grey = colours[:, :1]
    grey = torch.where(draws < 1 / 6, 255 * (grey > 127.5).float(), grey)
    return torch.where(draws < 1 / 3, grey, colours)


def _distance(places: Tensor, points: Tensor) -> Tensor:
    """(h, w, 2) places and (N, 2) points -> (h, w): from each place to the line through the points."""
    start, along = points[:-1], points[1:] - points[:-1]
    offset = places[:, :, None] - start
    share = ((offset * along).sum(-1) / along.square().sum(-1).clamp(min=1e-9)).clamp(0, 1)
    return (offset - share[..., None] * along).norm(dim=-1).amin(-1)
