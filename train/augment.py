"""Training augmentation, batched and on the device: crop, resize and flip as two matrix products a picture; shifts;
CutMix.

Every draw comes from a generator on the CPU that the step seeds, so that a run resumes the same on every device.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Crops:
    """Parts of B pictures, as fractions of their sides, and whether each is mirrored; (B,) tensors."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    mirrored: Tensor


@dataclass(frozen=True)
class Mix:
    """A part of every picture of a batch that comes from another one. Pixels [top, bottom) x [left, right);
    `partners`: (B,) whose; `share`: how much of a picture stays its own, 0 to 1."""

    partners: Tensor
    top: int
    left: int
    bottom: int
    right: int
    share: float

    @property
    def part(self) -> tuple:
        """The index of the part in pictures of any leading dimensions."""
        return ..., slice(self.top, self.bottom), slice(self.left, self.right)

    def pictures(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) -> the same, with the part replaced."""
        mixed = pictures.clone()
        mixed[self.part] = pictures[self.partners][self.part]
        return mixed


def draw_cutmix(batch: int, size: int, generator: torch.Generator | None = None) -> Mix:
    """CutMix (Yun et al. 2019, arXiv:1905.04899) with alpha 1: a box of uniform area at a uniform place, clipped."""
    area, x, y = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
    half = size * area**0.5 / 2
    left, right = (min(max(round(x * size + side), 0), size) for side in (-half, half))
    top, bottom = (min(max(round(y * size + side), 0), size) for side in (-half, half))
    share = 1 - (right - left) * (bottom - top) / size**2
    return Mix(torch.randperm(batch, generator=generator), top, left, bottom, right, share)


def shift(pictures: Tensor, pad: int, generator: torch.Generator | None = None, mirror: bool = True) -> Tensor:
    """(B, C, S, S) -> the same, each picture shifted by up to `pad` whole pixels each way, zeros coming in, and half of
    them mirrored if asked: the usual augmentation for CIFAR (He et al. 2016, arXiv:1512.03385)."""
    batch, side = len(pictures), pictures.shape[-1]
    offsets = torch.randint(2 * pad + 1, (2, batch, 1), generator=generator) + torch.arange(side)
    turned = torch.rand(batch, 1, generator=generator) < 0.5
    columns = torch.where(turned, offsets[1].flip(1), offsets[1]) if mirror else offsets[1]
    rows, columns = offsets[0][:, None, :, None].to(pictures.device), columns[:, None, None].to(pictures.device)
    which = torch.arange(batch, device=pictures.device)[:, None, None, None]
    channels = torch.arange(pictures.shape[1], device=pictures.device)[None, :, None, None]
    return F.pad(pictures, (pad, pad, pad, pad))[which, channels, rows, columns]


def draw_crops(
    aspects: Tensor,
    *,
    area: tuple[float, float],
    aspect: tuple[float, float],
    mirror: bool = True,
    generator: torch.Generator | None = None,
) -> Crops:
    """Random parts, half of them mirrored if asked.

    Inception-style (Szegedy et al. 2015, arXiv:1409.4842): the share of the picture's area is uniform in `area`, the
    logarithm of the part's width over height uniform in `aspect`; a part that would stick out is clipped.

    Args:
        aspects: (B,) width over height that the squashed pictures had before; parts are drawn in those proportions.
    """
    draws = torch.rand(5, len(aspects), generator=generator)
    share = area[0] + (area[1] - area[0]) * draws[0]
    low, high = torch.log(torch.tensor(aspect))
    # In a squashed picture a part of ratio r has fractions fw / fh = r * height / width.
    ratio = torch.exp(low + (high - low) * draws[1]) / aspects.cpu()
    width = torch.sqrt(share * ratio).clamp(max=1)
    height = torch.sqrt(share / ratio).clamp(max=1)
    return Crops(draws[3] * (1 - height), draws[2] * (1 - width), height, width, (draws[4] < 0.5) & mirror)


def resize_crops(pictures: Tensor, crops: Crops, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Cut the parts out and resize them, antialiased: the same for pictures and for maps that lie on them.

    Args:
        pictures: (B, C, S, S), squashed to squares.
        dtype: of the matrix products; bfloat16 is quickest where the processor has it.

    Returns:
        (B, C, size, size) float32, in the values' own range.
    """
    side = pictures.shape[-1]
    rows = _resize_weights(crops.top * side, crops.height * side, size, side)
    columns = _resize_weights(crops.left * side, crops.width * side, size, side)
    columns = torch.where(crops.mirrored[:, None, None], columns.flip(1), columns)
    rows, columns = (weights[:, None].to(pictures.device, dtype) for weights in (rows, columns))
    return torch.matmul(torch.matmul(rows, pictures.to(dtype)), columns.transpose(-1, -2)).float()


def _resize_weights(start: Tensor, length: Tensor, size: int, side: int) -> Tensor:
    """(B, size, side) weights of a triangle filter that resizes [start, start + length) pixels to `size`."""
    scale = (length / size)[:, None]
    centres = start[:, None] + (torch.arange(size) + 0.5) * scale
    pixels = torch.arange(side) + 0.5
    distance = (pixels - centres[..., None]).abs() / scale[..., None].clamp(min=1)
    weights = (1 - distance).clamp(min=0)
    return weights / weights.sum(-1, keepdim=True)
