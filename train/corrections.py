"""Corrections as a network learns them: where it should look, and where it should not, beside the picture's colours.

The map loss is Mitsuhara et al.'s (2019, arXiv:1905.03540), but as a cross-entropy, and only at the places of which a
mask says something. It alone does not make the answer independent of what should not be looked at: the perception
branch sees `features * map + features`, also where the map is 0. So the class is also to stay the same whatever lies in
the forbidden parts, in the way of "right for the right reasons" (Ross et al. 2017, arXiv:1703.03717): they are filled
from around, from another picture or with one colour, and what is forbidden in one picture is laid on others.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from abn.corrections import Correction
from abn.faithfulness import blurred
from abn.model.image_processing_abn import AbnImageProcessor
from abn.names import shown
from train.data import split_off
from train.dataset import PictureDataset
from train.naming import index_of_class

COLOURS = 3  # channels; then come LOOK and AVOID
CHANNELS = 5
LAID = 0.25  # the largest share of a picture whose forbidden parts are laid on another


def labels_of(corrections: Sequence[Correction], checkpoint: str, model: PreTrainedModel) -> Tensor:
    """(N,) the model's class of each.

    Raises:
        ValueError: it does not know one; names it.
    """
    found: dict[str, int | None] = {}
    for one in corrections:
        if one.label not in found:
            found[one.label] = index_of_class(one.label, model)
            if found[one.label] is None:
                known = ", ".join(map(shown, list(model.config.id2label.values())[:10]))
                raise ValueError(f"{checkpoint} knows no class {one.label!r} of the corrections, but {known}")
    return torch.tensor([found[one.label] for one in corrections])


def held_apart(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices (taught, held out) of corrections: of each class `share`, the same for the same seed; of classes with too
    few for that together, at least one."""
    taught, held_out = split_off(labels, share, seed)
    if share and not len(held_out) and len(labels) > 1:
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        count = max(1, round(share * len(labels)))
        held_out, taught = order[:count].sort().values, order[count:].sort().values
    return taught, held_out


def marks(mask: np.ndarray) -> Image.Image:
    """(H, W) as a correction has it -> a picture whose red says how much to look there, whose green how much not to."""
    nothing, values = np.isnan(mask), np.nan_to_num(mask)
    said = np.stack([values, 1 - values, np.zeros_like(values)], 2) * ~nothing[..., None]
    return Image.fromarray(np.rint(255 * said).astype(np.uint8))


def squashed_corrections(corrections: Sequence[Correction], labels: Tensor, side: int) -> PictureDataset:
    """(N, CHANNELS, side, side) uint8, aspects remembered: what `train.data.squashed` makes of pictures, with their
    masks."""
    pictures = torch.empty(len(corrections), CHANNELS, side, side, dtype=torch.uint8)
    aspects = []
    for number, one in enumerate(corrections):
        picture = one.picture
        aspects.append(picture.width / picture.height)
        seen = picture.resize((side, side), Image.Resampling.BICUBIC)
        said = marks(one.mask).resize((side, side), Image.Resampling.BILINEAR)
        both = np.concatenate([np.asarray(seen), np.asarray(said)[..., :2]], 2)
        pictures[number] = torch.from_numpy(both.transpose(2, 0, 1).copy())
    return PictureDataset(pictures, labels, torch.tensor(aspects))


def seen_corrections(
    corrections: Sequence[Correction], labels: Tensor, processor: AbnImageProcessor
) -> tuple[PictureDataset, Tensor]:
    """Pictures as `processor` resizes and crops them, and (N, 2, H, W) in [0, 1] what their masks say there: look,
    avoid."""

    def given(picture: Image.Image) -> Tensor:
        return processor(picture, do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"][0]

    pictures = torch.stack([given(one.picture).to(torch.uint8) for one in corrections])
    said = torch.stack([given(marks(one.mask))[:2].to(torch.uint8) for one in corrections])
    return PictureDataset(pictures, labels, torch.ones(len(labels))), said.float() / 255


def masked_map_loss(attention_map: Tensor, look: Tensor, avoid: Tensor) -> Tensor:
    """How far (B, 1, h, w) maps in (0, 1) are from what masks say: 1 where to look, 0 where not to.

    The binary cross-entropy, its mean over the places of a picture weighed by how much of a place the mask speaks of; a
    mask that speaks of less than one place in all weighs less. The mean over the pictures of which something is said.

    Args:
        look, avoid: (B, 1, H, W) in [0, 1], on the pictures' pixels.
    """
    with torch.autocast(attention_map.device.type, enabled=False):
        ours = attention_map.float().nan_to_num(0.5).clamp(1e-6, 1 - 1e-6)
        look, avoid = (F.adaptive_avg_pool2d(part.float(), ours.shape[2:]) for part in (look, avoid))
        losses = -(look * ours.log() + avoid * (1 - ours).log()).flatten(1).sum(1)
        weights = (look + avoid).flatten(1).sum(1)
        return (losses / weights.clamp(min=1)).sum() / (weights > 0).sum().clamp(min=1)


def filled(pictures: Tensor, avoid: Tensor) -> Tensor:
    """(B, 3, H, W) pictures whose forbidden parts, (B, 1, H, W) in [0, 1], are a wide blur of what lies around them."""
    kept = 1 - avoid
    side = max(pictures.shape[2:]) // 4 * 2 + 1
    mean = (pictures * kept).mean((2, 3), keepdim=True) / kept.mean((2, 3), keepdim=True).clamp(min=1e-3)
    around = blurred(pictures * kept, side) + 1e-3 * mean
    around = around / (blurred(kept, side) + 1e-3)
    return pictures * kept + around * avoid


def laid(
    pictures: Tensor, others: Tensor, avoid: Tensor, generator: torch.Generator, look: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Half of the pictures with what is forbidden in others on top, and (B, 1, H, W) where that is.

    Args:
        pictures, others: (B, 3, H, W). avoid: (B, 1, H, W) in [0, 1], of the others; where it is large, nothing is
            laid. look: (B, 1, H, W), where the pictures are to be looked at: nothing is laid there.
    """
    half = torch.rand(len(pictures), 1, 1, 1, generator=generator).to(pictures.device) < 0.5
    where = avoid * half * (avoid.mean((1, 2, 3), keepdim=True) <= LAID)
    where = where if look is None else where * (1 - look)
    return pictures + (others - pictures) * where, where


def changed(pictures: Tensor, look: Tensor, avoid: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The pictures with other contents in their forbidden parts, and (B, 1, H, W) what is forbidden in them then.

    A third of them is filled from around, a third from another picture of the batch, a third with one colour; on half
    of them what is forbidden in another picture is laid.

    Args:
        pictures: (B, 3, H, W) in 0 to 255. look, avoid: (B, 1, H, W) in [0, 1].
        generator: on the CPU.
    """
    count, device = len(pictures), pictures.device
    way = torch.randint(3, (count, 1, 1, 1), generator=generator).to(device)
    colours = 255 * torch.rand(count, COLOURS, 1, 1, generator=generator).to(device)
    shifts = torch.randint(max(count - 1, 1), (2, 1), generator=generator) + 1
    fillers, tops = ((torch.arange(count) + shifts) % count).to(device)  # never a picture itself
    fill = torch.where(way == 0, filled(pictures, avoid), torch.where(way == 1, pictures[fillers], colours))
    result, on_top = laid(pictures + (fill - pictures) * avoid, pictures[tops], avoid[tops], generator, look)
    return result, torch.maximum(avoid, on_top)


def pairing(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
    """How far the logits, (B, K) each, of pairs of pictures are apart: the mean square, but for a shift of them all,
    summed over the branches (Kannan et al. 2018, arXiv:1803.06373). It is felt also where both answers are sure."""
    total = 0
    for name in first:
        apart = first[name].float() - second[name].float()
        total = total + (apart - apart.mean(1, keepdim=True)).square().mean()
    return total
