"""Pictures of none of the classes, made of the training pictures at hand (outlier exposure; Hendrycks et al. 2019,
arXiv:1812.04606): a network cannot tell what it was never shown.

Every draw comes from the step's generator, as those of `train.augment`.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from train.augment import Crops, draw_crops, resize_crops

TRIES = 16  # crops of a picture, of which the emptiest is taken
AREA = (0.05, 0.3)  # of a picture, which such a crop takes
GRIDS = (5, 6, 8, 10)  # patches along a side
LOW = 5  # pixels a side of what an object is blurred to
STROKES = 64  # pixels a side at which strokes are drawn


def outliers(pictures: Tensor, maps: Tensor, count: int, size: int, generator: torch.Generator) -> Tensor:
    """(count, 3, size, size) float32 in 0 to 255.

    Args:
        pictures: (B, 3, S, S) uint8, the batch's, squashed, before they are cropped.
        maps: (B, 1, h, w) in [0, 1], where the class of each is.
    """
    chances = torch.tensor([float(share) for _, share in KINDS])
    drawn = torch.multinomial(chances, count, replacement=True, generator=generator).bincount(minlength=len(KINDS))
    made, first = [], 0
    order = torch.randperm(len(pictures), generator=generator)
    for (kind, _), number in zip(KINDS, drawn.tolist(), strict=True):
        if number:
            which = order[torch.arange(first, first + number) % len(order)]
            made.append(kind(pictures, maps, which, size, generator))
            first += number
    return torch.cat(made)


def background(pictures: Tensor, maps: Tensor, which: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Crops that the maps leave out: of `TRIES` random ones that with the least of the map."""
    several = which.repeat_interleave(TRIES)
    aspects = torch.ones(len(several))
    crops = draw_crops(aspects, area=AREA, aspect=(0.6, 1 / 0.6), generator=generator)
    inside = resize_crops(maps[several], crops, 1).view(-1, TRIES)
    best = inside.argmin(1) + TRIES * torch.arange(len(which), device=inside.device)
    chosen = Crops(*(part[best.cpu()] for part in vars(crops).values()))
    return resize_crops(pictures[which], chosen, size)


def faded(pictures: Tensor, maps: Tensor, which: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Whole pictures, blurred to a few colours where the map is."""
    seen = _whole(pictures[which], size)
    blurred = F.interpolate(F.interpolate(seen, (LOW, LOW), mode="area"), (size, size), mode="bilinear")
    part = F.max_pool2d(maps[which].to(seen), 7, 1, 3)
    part = (4 * part / part.amax((2, 3), keepdim=True).clamp(min=0.05)).clamp(max=1)
    return torch.lerp(seen, blurred, F.interpolate(part, (size, size), mode="bilinear"))


def shuffled(pictures: Tensor, maps: Tensor, which: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Pictures whose patches are in another order."""
    patches, grid = _patches(pictures[which], size, generator)
    order = torch.rand(patches.shape[:2], generator=generator).argsort(1).to(patches.device)
    return _joined(patches.gather(1, order[:, :, None, None, None].expand_as(patches)), grid, size)


def collage(pictures: Tensor, maps: Tensor, which: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Patches of all the pictures side by side."""
    patches, grid = _patches(pictures, size, generator)
    order = torch.randint(patches.shape[0] * patches.shape[1], (len(which), grid * grid), generator=generator)
    return _joined(patches.flatten(0, 1)[order.to(patches.device)], grid, size)


def blend(pictures: Tensor, maps: Tensor, which: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """The mean of four pictures each."""
    four = torch.randint(len(pictures), (4, len(which)), generator=generator)
    return torch.stack([_whole(pictures[each], size) for each in four]).mean(0)


def plain(pictures: Tensor, maps: Tensor, which: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """One colour, or four that run into one another."""
    corners = _colours(len(which) * 4, generator).view(len(which), 4, 3).transpose(1, 2).reshape(-1, 3, 2, 2)
    even = torch.rand(len(which), generator=generator) < 0.5
    corners = torch.where(even[:, None, None, None], corners[..., :1, :1], corners)
    return F.interpolate(corners, (size, size), mode="bilinear", align_corners=True).to(pictures.device)


def noise(pictures: Tensor, maps: Tensor, which: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Normal noise of any grain, grey or coloured, about any colour."""
    made = []
    for colour in _colours(len(which), generator):
        grain, colours, strength = torch.rand(3, generator=generator).tolist()
        side = round(4 * (size / 4) ** grain)
        grains = torch.randn(1, 1 if colours < 0.5 else 3, side, side, generator=generator)
        found = colour.view(1, 3, 1, 1) + (10 + 90 * strength) * grains
        made.append(F.interpolate(found, (size, size), mode="bilinear"))
    return torch.cat(made).clamp(0, 255).to(pictures.device)


def strokes(pictures: Tensor, maps: Tensor, which: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A line of several straight pieces on an even ground, as in writing."""
    places = (torch.arange(STROKES) + 0.5) / STROKES
    places = torch.stack(torch.meshgrid(places, places, indexing="ij"), -1)
    made = []
    for ground, ink in zip(_colours(len(which), generator), _colours(len(which), generator), strict=True):
        pieces = int(torch.randint(2, 9, (), generator=generator))
        first = 0.2 + 0.6 * torch.rand(1, 2, generator=generator)
        steps = 0.18 * torch.randn(pieces, 2, generator=generator)
        points = torch.cat([first, first + steps.cumsum(0)]).clamp(0.08, 0.92)
        width = 0.02 + 0.06 * torch.rand((), generator=generator)
        opacity = ((width - _distance(places, points)) * STROKES / 2 + 0.5).clamp(0, 1)
        picture = torch.lerp(ground.view(3, 1, 1), ink.view(3, 1, 1), opacity)
        made.append(F.interpolate(picture[None], (size, size), mode="bilinear"))
    return torch.cat(made).to(pictures.device)


KINDS: tuple[tuple[Callable[..., Tensor], float], ...] = (  # and how often each is drawn
    (background, 4),
    (faded, 3),
    (shuffled, 2),
    (collage, 2),
    (blend, 1),
    (plain, 1),
    (noise, 1),
    (strokes, 1),
)


def _whole(pictures: Tensor, size: int) -> Tensor:
    return F.interpolate(pictures.float(), (size, size), mode="bilinear", antialias=True)


def _patches(pictures: Tensor, size: int, generator: torch.Generator) -> tuple[Tensor, int]:
    """(B, grid * grid, 3, p, p) patches of pictures, and the grid."""
    grid = GRIDS[int(torch.randint(len(GRIDS), (), generator=generator))]
    side = -(-size // grid)
    seen = _whole(pictures, side * grid).unflatten(2, (grid, side)).unflatten(4, (grid, side))
    return seen.permute(0, 2, 4, 1, 3, 5).flatten(1, 2), grid


def _joined(patches: Tensor, grid: int, size: int) -> Tensor:
    """Patches, row by row, as pictures; the last rows and columns of pixels are cut."""
    rows = patches.unflatten(1, (grid, grid)).permute(0, 3, 1, 4, 2, 5)
    return rows.flatten(4, 5).flatten(2, 3)[..., :size, :size]


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
