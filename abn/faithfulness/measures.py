"""How far a heatmap can be believed: measures that need no opinion.

insertion, deletion  Petsiuk et al. 2018 (RISE, arXiv:1806.07421): the predicted class's probability while pixels appear
                     in (or vanish from) the picture in the map's order, averaged over the steps. A map that orders the
                     pixels as the network needs them has a high insertion and a low deletion. Their difference ranks
                     maps of one network; it does not compare networks.
pointing game        Zhang et al. 2016 (arXiv:1608.00507): whether the map's maximum lies in a box of the true class.
energy in the box    Wang et al. 2020 (Score-CAM, arXiv:1910.01279): the share of the map inside the boxes, here of the
                     map minus its minimum; a uniform map scores the boxes' area.
randomisation        Adebayo et al. 2018 (arXiv:1810.03292): a map that explains a network must change with its weights.
"""

import copy
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F

from .. import stopping
from ..families import answers_tasks
from ..model.modeling_abn import AbnForImageClassification
from ..model.modeling_multitask import scores
from ..tuning import quick_arithmetic

STEPS = 21  # points of a curve, both ends included
BLUR = 31  # pixels, side of the mean filter that insertion starts from
FORWARD = 64  # pictures a forward

Box = tuple[float, float, float, float]  # left, top, right, bottom, as fractions of the picture's width and height


def blurred(pixel_values: Tensor, side: int = BLUR) -> Tensor:
    """(B, 3, H, W) -> the mean over side x side pixels around each; the border repeats."""
    reach = side // 2
    padded = F.pad(pixel_values, (reach,) * 4, mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, (side, 1), stride=1), (1, side), stride=1)  # a mean of means: quicker


@torch.inference_mode()
def curve(
    model: AbnForImageClassification,
    start: Tensor,
    end: Tensor,
    heatmaps: Tensor,
    targets: Tensor,
    steps: int = STEPS,
    ends: Tensor | None = None,
) -> Tensor:
    """The target's probability on the way from `start` to `end`, pixels changing in the order of the heatmaps.

    Args:
        start, end: (B, 3, H, W), normalised.
        heatmaps: (B, H, W); the highest pixels change first, equal ones in reading order.
        targets: (B,) class indices.
        ends: (B, 2) the probabilities at `start` and `end`, where they are known: the same for every map.

    Returns:
        (B, steps): the first column is `start`'s, the last `end`'s.
    """
    count, _, height, width = start.shape
    order = heatmaps.flatten(1).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(height * width).expand(count, -1).to(order))
    rank = rank.view(count, 1, height, width)
    changed = torch.linspace(0, height * width, steps).round().long().tolist()
    if ends is None:
        ends = torch.stack([probability(model, pictures, targets) for pictures in (start, end)], 1)
    columns, inner, together = [], changed[1:-1], max(1, FORWARD // count)
    for first in range(0, len(inner), together):
        some = inner[first : first + together]
        pictures = torch.cat([torch.where(rank < n, end, start) for n in some])
        columns.append(probability(model, pictures, targets.repeat(len(some))).view(len(some), count).T)
    return torch.cat([ends[:, :1], *columns, ends[:, 1:]], 1)


@torch.inference_mode()
def probability(model: AbnForImageClassification, pixel_values: Tensor, targets: Tensor) -> Tensor:
    """(N,) probability of each picture's target."""
    first = next(model.parameters(), None)
    half_already = first is not None and first.dtype in (torch.bfloat16, torch.float16)
    with nullcontext() if half_already else quick_arithmetic(pixel_values.device):  # a curve needs 21 forwards
        logits = []
        for chunk in pixel_values.split(8 if pixel_values.device.type == "cpu" else FORWARD):
            stopping.check()
            logits.append(model(pixel_values=chunk.contiguous(memory_format=torch.channels_last)).logits.float())
    found = torch.cat(logits)
    shares = scores(found) if answers_tasks(model) else found.softmax(1)
    return shares.gather(1, targets[:, None])[:, 0]


def insertion(
    model, pixel_values: Tensor, heatmaps: Tensor, targets: Tensor, baseline: str = "blur", **known
) -> Tensor:
    """(B, STEPS) curve from a blurred ("blur") or mean-coloured ("zero") picture to itself; its mean is the score."""
    return curve(model, baseline_of(pixel_values, baseline), pixel_values, heatmaps, targets, **known)


def deletion(model, pixel_values: Tensor, heatmaps: Tensor, targets: Tensor, baseline: str = "zero", **known) -> Tensor:
    """(B, STEPS) curve from the picture to a mean-coloured ("zero") or blurred ("blur") one; its mean is the score."""
    return curve(model, pixel_values, baseline_of(pixel_values, baseline), heatmaps, targets, **known)


def ends_of(model, pixel_values: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 2) probabilities at both ends of `insertion` and of `deletion`: the same for every map of these pictures."""
    blur, whole, zero = (
        probability(model, pictures, targets)
        for pictures in (baseline_of(pixel_values, "blur"), pixel_values, baseline_of(pixel_values, "zero"))
    )
    return torch.stack([blur, whole], 1), torch.stack([whole, zero], 1)


def on_pixels(maps: Tensor, pixel_values: Tensor) -> Tensor:
    """(B, h, w) maps on their own grid -> (B, H, W) on the network's pixels."""
    return F.interpolate(maps[:, None], pixel_values.shape[2:], mode="bilinear", align_corners=False)[:, 0]


def baseline_of(pixel_values: Tensor, baseline: str) -> Tensor:
    """What a curve starts from or ends at: "blur" or "zero"."""
    if baseline == "blur":
        return blurred(pixel_values)
    if baseline == "zero":
        return torch.zeros_like(pixel_values)
    raise ValueError(f"baseline must be 'blur' or 'zero'; got {baseline!r}")


def pointing_game(heatmap: Tensor, boxes: Sequence[Box], tolerance: int = 0) -> bool:
    """Whether the (H, W) map's maximum lies in a box, or at most `tolerance` pixels outside one.

    A maximum reached at several places counts by the one nearest to their mean.
    """
    height, width = heatmap.shape
    places = torch.nonzero(heatmap == heatmap.max()).double()
    y, x = (places[((places - places.mean(0)) ** 2).sum(1).argmin()] + 0.5).tolist()
    return any(
        left * width - tolerance <= x <= right * width + tolerance
        and top * height - tolerance <= y <= bottom * height + tolerance
        for left, top, right, bottom in boxes
    )


def energy_in_boxes(heatmap: Tensor, boxes: Sequence[Box]) -> float:
    """The share of the (H, W) map minus its minimum that lies in the union of the boxes.

    A pixel belongs to a box by its centre. A constant map has no energy: it scores the union's area, as a uniform one.
    """
    height, width = heatmap.shape
    x = (torch.arange(width) + 0.5) / width
    y = (torch.arange(height) + 0.5) / height
    inside = torch.zeros(height, width, dtype=torch.bool)
    for left, top, right, bottom in boxes:
        inside |= ((y >= top) & (y <= bottom))[:, None] & ((x >= left) & (x <= right))[None]
    return energy_inside(heatmap, inside)


def energy_inside(heatmap: Tensor, inside: Tensor) -> float:
    """`energy_in_boxes` for any part of the picture: (H, W) map, (H, W) bool."""
    energy = (heatmap - heatmap.min()).double()
    if energy.max() <= 1e-6 * heatmap.abs().max():  # no more than rounding
        energy = torch.ones_like(energy)
    return (energy[inside].sum() / energy.sum()).item()


def shuffled(model: AbnForImageClassification, seed: int = 0) -> AbnForImageClassification:
    """A copy whose convolutions and linear layers have their weights in random order: the same values, no knowledge."""
    generator = torch.Generator().manual_seed(seed)
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in copied.parameters():
            if parameter.ndim > 1:
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return copied


def similarity(one: Tensor, other: Tensor) -> Tensor:
    """(B, H, W) twice -> (B,) rank correlation (Spearman) of each pair of maps; 0 where a map is constant."""
    ranks = [maps.flatten(1).argsort(dim=1, stable=True).argsort(dim=1).double() for maps in (one, other)]
    ranks = [rank - rank.mean(1, keepdim=True) for rank in ranks]
    correlation = F.cosine_similarity(*ranks, dim=1)
    constant = [maps.flatten(1).amax(1) == maps.flatten(1).amin(1) for maps in (one, other)]
    return torch.where(constant[0] | constant[1], torch.zeros_like(correlation), correlation)
