"""The attention remedy: teach the attention map to lie where the perception branch's evidence lies.

Trained by the class losses alone, an ABN's attention map drifts off the object (README has the figures). Here a frozen
teacher, the plainly trained network itself, gives each training picture one map: the class activation map of its true
class on the perception branch, averaged over sizes and mirror images, sharpened by a power. While training, that map
is cropped and mirrored with its picture, so that the student's map must move along, and a binary cross-entropy pulls
the attention map towards it.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from abn.image_processing_abn import AbnImageProcessor
from abn.methods import forward_parts, grad_cam, scaled
from abn.modeling_abn import AbnForImageClassification
from train.data import PictureDataset

STRIDE = 16  # pixels a place of the attention map
GRID = 20  # places a side of the stored maps
BATCH = 64


def map_loss(attention_map: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy of (B, 1, h, w) maps in (0, 1) against targets in [0, 1]."""
    with torch.autocast(attention_map.device.type, enabled=False):
        return F.binary_cross_entropy(attention_map.float().clamp(1e-6, 1 - 1e-6), target.float().clamp(0, 1))


@torch.no_grad()
def teacher_maps(
    model: AbnForImageClassification,
    data: PictureDataset,
    processor: AbnImageProcessor,
    *,
    sizes: tuple[int, ...],
    power: float,
    device: torch.device,
) -> Tensor:
    """(N, 1, GRID, GRID) float16 in [0, 1]: each picture's class activation map of its true class.

    Args:
        sizes: sides at which the teacher looks; each also mirrored. Small ones are steady, large ones fine.
        power: above 1 sharpens.
    """
    model = model.to(device, memory_format=torch.channels_last).eval()
    maps = torch.empty(len(data), 1, GRID, GRID, dtype=torch.float16)
    for start in tqdm(range(0, len(data), BATCH), "teacher's maps", mininterval=1):
        pictures = data.pixel_values(slice(start, start + BATCH), processor, device)
        labels = data.labels[start : start + BATCH].to(device)
        total = torch.zeros(len(labels), GRID, GRID, device=device)
        for size in sizes:
            resized = F.interpolate(pictures, (size, size), mode="bilinear", align_corners=False, antialias=True)
            for mirrored in (False, True):
                seen = resized.flip(-1) if mirrored else resized
                with torch.autocast(device.type, torch.bfloat16):
                    parts = forward_parts(model, seen.contiguous(memory_format=torch.channels_last))
                cam = grad_cam(model, seen, parts, labels)
                cam = F.interpolate(cam[:, None], (GRID, GRID), mode="bilinear", align_corners=False)[:, 0]
                total += cam.flip(-1) if mirrored else cam
        maps[start : start + BATCH, 0] = (scaled(total) ** power).cpu().half()
    return maps
