"""Before and after corrections: does the map lie where the masks say, and does the answer hang on what they forbid?

energy      the share of the attention map (minus its minimum, on the pixels) on what is marked as to be looked at, and
            on what is forbidden, in the mean over the pictures with such a part; a uniform map scores the part's area.
reliance    how far the answer's probability changes in the mean, up or down, when the forbidden parts are replaced by a
            blur of what lies around them; and in how many pictures the answer itself changes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedModel

from abn.faithfulness import on_pixels
from abn.model.image_processing_abn import AbnImageProcessor
from train.corrections import filled
from train.dataset import PictureDataset

WORDS = {  # key -> (what it is, form, factor, unit)
    "top1": ("accuracy", ".2f", 1, " %"),
    "look_energy": ("map on what is to be looked at", ".1f", 100, " %"),
    "look_area": ("… whose share of the picture is", ".1f", 100, " %"),
    "avoid_energy": ("map on forbidden parts", ".1f", 100, " %"),
    "avoid_area": ("… whose share of the picture is", ".1f", 100, " %"),
    "reliance": ("answer's probability changes without forbidden parts by", ".3f", 1, ""),
    "flips": ("answers that change without them", ".1f", 100, " %"),
}
SETS = {"corrected": "corrected", "held_out": "held-out corrected", "validation": "validation"}


@torch.inference_mode()
def measured(
    model: PreTrainedModel,
    data: PictureDataset,
    said: Tensor,
    processor: AbnImageProcessor,
    batch: int,
    device: torch.device,
) -> dict[str, float]:
    """The measures of WORDS that there are, and how many pictures.

    Args:
        data: pictures as the processor crops them. said: (N, 2, H, W), see `train.corrections.seen_corrections`.
    """
    model = model.to(device, torch.float32, memory_format=torch.channels_last).eval()
    rows: dict[str, list[Tensor]] = {key: [] for key in WORDS}
    for start in range(0, len(data), batch):
        part = slice(start, start + batch)
        look, avoid = said[part].to(device).split(1, 1)
        pixels = data.pixel_values(part, processor, device)
        outputs = model(pixel_values=pixels)
        shares = outputs.logits.softmax(1)
        answers = shares.argmax(1)
        rows["top1"].append(100.0 * (answers == data.labels[part].to(device)))
        heatmaps = on_pixels(outputs.attention_map[:, 0], pixels)
        for name, mask in (("look", look[:, 0]), ("avoid", avoid[:, 0])):
            there = mask.flatten(1).any(1)
            rows[f"{name}_energy"].append(_energy(heatmaps, mask)[there])
            rows[f"{name}_area"].append(mask.mean((1, 2))[there])
        there = avoid.flatten(1).any(1)
        without = model(pixel_values=filled(pixels, avoid)).logits.softmax(1)
        change = without.gather(1, answers[:, None]) - shares.gather(1, answers[:, None])
        rows["reliance"].append(change[there, 0].abs())
        rows["flips"].append((without.argmax(1) != answers)[there].float())
    found = {key: torch.cat(values).double() for key, values in rows.items()}
    return {"pictures": len(data), **{key: values.mean().item() for key, values in found.items() if len(values)}}


def _energy(heatmaps: Tensor, mask: Tensor) -> Tensor:
    """(B,) share of (B, H, W) maps, minus their minimum, on (B, H, W) masks in [0, 1]; of a constant map the area."""
    energy = heatmaps.double() - heatmaps.double().amin((1, 2), keepdim=True)
    flat = energy.amax((1, 2), keepdim=True) <= 1e-6 * heatmaps.abs().amax((1, 2), keepdim=True)
    energy = torch.where(flat, torch.ones_like(energy), energy)
    return (energy * mask).sum((1, 2)) / energy.sum((1, 2))


def table(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Markdown of {"before", "after": {a key of SETS: measures}}."""
    lines = ["| pictures | measure | before | after |", "|---|---|---|---|"]
    for name, words in SETS.items():
        before, after = (found[when].get(name, {}) for when in ("before", "after"))
        for key, (what, form, factor, unit) in WORDS.items():
            if key in before and key in after:
                values = (format(factor * part[key], form) + unit for part in (before, after))
                lines.append(f"| {before['pictures']} {words} | {what} | {' | '.join(values)} |")
    return "\n".join(lines)
