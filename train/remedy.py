"""The attention remedy: teach the attention map to lie where the perception branch's evidence lies.

Trained by the class losses alone, an ABN's attention map drifts off the object (docs/which-map-to-believe.md has the
figures). Here a frozen teacher, the network itself as it was, gives each training picture one map: the class activation
map of its true class on the perception branch, averaged over overlapping crops and their mirror images, times its mask
gradients. In a crop the object is larger than in the whole picture, and the last stage's coarse grid finer: the average
points better than any one of its parts. While training, that map is cropped and mirrored with its picture, so that the
student's map must move along, and a binary cross-entropy pulls the attention map towards it.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from abn import Explainer
from abn.faithfulness import baseline_of
from abn.methods import class_weights, forward_parts, scaled
from abn.model.image_processing_abn import AbnImageProcessor
from abn.model.modeling_abn import AbnForImageClassification
from abn.tuning import quick_arithmetic, tuned
from train.dataset import PictureDataset
from train.recipes.recipe import Remedy

STRIDE = 16  # pixels a place of the attention map
GRID = 32  # places a side of the stored maps: the recipes' crops lie on whole places
CROP, CROPS = 0.75, 3  # share of a side that the teacher sees at once, and how many such crops along each side
LEVELS = 5  # of its mask gradients
BATCH = 64


def map_loss(attention_map: Tensor, target: Tensor, peak_weight: float = 0.0) -> Tensor:
    """How far (B, 1, h, w) maps in (0, 1) are from targets in [0, 1].

    The mean binary cross-entropy fits the values. With `peak_weight` comes the cross-entropy between the target as a
    distribution over places and the softmax over places of the map's logits: it cares where the peak is.
    """
    with torch.autocast(attention_map.device.type, enabled=False):
        ours = attention_map.float().nan_to_num(0.5)  # torch's cross-entropy stops on NaN; the class loss tells of it
        ours = ours.clamp(1e-6, 1 - 1e-6).flatten(1)
        target = target.float().clamp(0, 1).flatten(1)
        loss = F.binary_cross_entropy(ours, target)
        if peak_weight:
            places = target / target.sum(1, keepdim=True).clamp(min=1e-3)
            loss = loss - peak_weight * (places * torch.logit(ours).log_softmax(1)).sum(1).mean()
        return loss


def steeper(state: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
    """The weights of a network whose attention map is sigmoid(factor * z) where it was sigmoid(z): no place changes
    its rank, and all are farther from 0.5. A map that is no sigmoid, as attention head E's, stays."""
    last = [name for name in state if name.endswith(("map_norm.weight", "map_norm.bias"))]
    last = last or [name for name in state if name.endswith("map_conv.weight")]
    return {**state, **{name: factor * state[name] for name in last}}


@torch.no_grad()
def teacher_maps(
    model: AbnForImageClassification,
    data: PictureDataset,
    processor: AbnImageProcessor,
    how: Remedy,
    device: torch.device,
) -> Tensor:
    """(N, 1, GRID, GRID) float16 in [0, 1]: each picture's class activation map of its true class, over evenly spaced
    crops, times its mask gradients (see `mask_gradients`).
    """
    model = model.to(device, memory_format=torch.channels_last).eval()
    maps = torch.empty(len(data), 1, GRID, GRID, dtype=torch.float16)
    spans = _spans(data.side)
    quick = tuned(Explainer(model, processor, device=device)).model.requires_grad_(False)
    batches, starts = data.batches(BATCH, processor, device), range(0, len(data), BATCH)
    for start, pictures in zip(tqdm(starts, "teacher's maps", mininterval=1), batches, strict=True):
        labels = data.labels[start : start + BATCH].to(device)
        total, count = torch.zeros(len(labels), GRID, GRID, device=device), torch.zeros(GRID, GRID, device=device)
        for rows, grid_rows in spans:
            for columns, grid_columns in spans:
                part = _resized(pictures[:, :, rows, columns], how.teacher_size)
                shape = (grid_rows.stop - grid_rows.start, grid_columns.stop - grid_columns.start)
                total[:, grid_rows, grid_columns] += _evidence(model, part, labels, shape)
                count[grid_rows, grid_columns] += 1
        evidence = scaled(total / count)
        gradients = mask_gradients(quick, _resized(pictures, how.teacher_gradient_size), labels, LEVELS)
        gradients = F.interpolate(gradients[:, None], (GRID, GRID), mode="bilinear")[:, 0]
        maps[start : start + BATCH, 0] = scaled(evidence * scaled(gradients)).cpu().half()
    return maps


def _resized(pictures: Tensor, size: int) -> Tensor:
    return F.interpolate(pictures, (size, size), mode="bilinear", align_corners=False, antialias=True)


def _spans(side: int) -> list[tuple[slice, slice]]:
    """Where the crops lie along a side: in pixels, and in places of the stored maps."""
    spans = []
    for i in range(CROPS):
        pair = []
        for length in (side, GRID):
            part = round(length * CROP)
            first = round((length - part) * (i / (CROPS - 1)))
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


def mask_gradients(model: AbnForImageClassification, pictures: Tensor, targets: Tensor, levels: int) -> Tensor:
    """(B, 3, H, W) -> (B, H / 16, W / 16): how much the target's probability rises where a picture fades in.

    A mask m of one number a place blends the picture in over a blurred and over a mean-coloured one. The map is the
    gradient of the target's probability by m, summed over both and over `levels` even masks from transparent to opaque:
    integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365) of a mask (Qi et al. 2019, arXiv:1905.00954),
    which follows what insertion and deletion measure.
    """
    shape = [len(pictures), 1, *(side // STRIDE for side in pictures.shape[2:])]
    total = 0
    for baseline in ("blur", "zero"):
        start = baseline_of(pictures, baseline)
        for level in range(levels):
            with torch.enable_grad():
                mask = torch.full(shape, (level + 0.5) / levels, device=pictures.device, requires_grad=True)
                opacity = F.interpolate(mask, pictures.shape[2:], mode="bilinear", align_corners=False)
                blended = (start + opacity * (pictures - start)).contiguous(memory_format=torch.channels_last)
                shares = model(pixel_values=blended).logits.float().softmax(1)
                (gradient,) = torch.autograd.grad(shares.gather(1, targets[:, None]).sum(), mask)
            total = total + gradient[:, 0]
    return total
