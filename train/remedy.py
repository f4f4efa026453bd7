"""The attention remedy: teach the attention map to lie where the perception branch's evidence lies.

Trained by the class losses alone, an ABN's attention map drifts off the object (README has the figures). Here a frozen
teacher, the network itself as it was, gives each training picture one map: the class activation map of its true class
on the perception branch, averaged over overlapping crops and their mirror images, sharpened by a power. In a crop the
object is larger than in the whole picture, and the last stage's coarse grid finer: the average points better than any
one of its parts. While training, that map is cropped and mirrored with its picture, so that the student's map must move
along, and a binary cross-entropy pulls the attention map towards it.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from abn.image_processing_abn import AbnImageProcessor
from abn.methods import class_weights, forward_parts, scaled
from abn.modeling_abn import AbnForImageClassification
from abn.tuning import quick_arithmetic
from train.data import PictureDataset

STRIDE = 16  # pixels a place of the attention map
GRID = 32  # places a side of the stored maps: the recipes' crops lie on whole places
BATCH = 64


def map_loss(attention_map: Tensor, target: Tensor, peak_weight: float = 0.0) -> Tensor:
    """How far (B, 1, h, w) maps in (0, 1) are from targets in [0, 1].

    The mean binary cross-entropy fits the values. With `peak_weight` comes the cross-entropy between the target as a
    distribution over places and the softmax over places of the map's logits: it cares where the peak is.
    """
    with torch.autocast(attention_map.device.type, enabled=False):
        ours = attention_map.float().clamp(1e-6, 1 - 1e-6).flatten(1)
        target = target.float().clamp(0, 1).flatten(1)
        loss = F.binary_cross_entropy(ours, target)
        if peak_weight:
            places = target / target.sum(1, keepdim=True).clamp(min=1e-3)
            loss = loss - peak_weight * (places * torch.logit(ours).log_softmax(1)).sum(1).mean()
        return loss


@torch.no_grad()
def teacher_maps(
    model: AbnForImageClassification,
    data: PictureDataset,
    processor: AbnImageProcessor,
    *,
    crop: float,
    crops: int,
    size: int,
    power: float,
    device: torch.device,
) -> Tensor:
    """(N, 1, GRID, GRID) float16 in [0, 1]: each picture's class activation map of its true class.

    Args:
        crop: side of a crop as a share of the picture's; 1 with one crop is the whole picture.
        crops: how many along each side, evenly spaced.
        size: pixels a side at which the teacher sees a crop.
        power: above 1 sharpens.
    """
    model = model.to(device, memory_format=torch.channels_last).eval()
    maps = torch.empty(len(data), 1, GRID, GRID, dtype=torch.float16)
    spans = _spans(data.pictures.shape[-1], crop, crops)
    for start in tqdm(range(0, len(data), BATCH), "teacher's maps", mininterval=1):
        pictures = data.pixel_values(slice(start, start + BATCH), processor, device)
        labels = data.labels[start : start + BATCH].to(device)
        total, count = torch.zeros(len(labels), GRID, GRID, device=device), torch.zeros(GRID, GRID, device=device)
        for rows, grid_rows in spans:
            for columns, grid_columns in spans:
                part = pictures[:, :, rows, columns]
                part = F.interpolate(part, (size, size), mode="bilinear", align_corners=False, antialias=True)
                shape = (grid_rows.stop - grid_rows.start, grid_columns.stop - grid_columns.start)
                total[:, grid_rows, grid_columns] += _evidence(model, part, labels, shape)
                count[grid_rows, grid_columns] += 1
        maps[start : start + BATCH, 0] = (scaled(total / count) ** power).cpu().half()
    return maps


def _spans(side: int, crop: float, crops: int) -> list[tuple[slice, slice]]:
    """Where the crops lie along a side: in pixels, and in places of the stored maps."""
    spans = []
    for i in range(crops):
        pair = []
        for length in (side, GRID):
            part = round(length * crop)
            first = round((length - part) * (i / (crops - 1) if crops > 1 else 0.5))
            pair.append(slice(first, first + part))
        spans.append(tuple(pair))
    return spans


def _evidence(model: AbnForImageClassification, part: Tensor, labels: Tensor, shape: tuple[int, int]) -> Tensor:
    """(B, *shape): relu(sum_c w_kc A_c) of the part and of its mirror image, in logits, not scaled: a crop without the
    object adds little."""
    total = 0
    weights = class_weights(model, labels)
    for mirrored in (False, True):
        seen = (part.flip(-1) if mirrored else part).contiguous(memory_format=torch.channels_last)
        with quick_arithmetic(part.device):
            features = forward_parts(model, seen).last_features
        cam = torch.einsum("bchw,bc->bhw", features.float(), weights).clamp(min=0)
        cam = F.interpolate(cam[:, None], shape, mode="bilinear", align_corners=False)[:, 0]
        total = total + (cam.flip(-1) if mirrored else cam)
    return total
