"""Training augmentation, batched and on the device: crop, resize and flip as two matrix products a picture."""

import torch
from torch import Tensor


def random_resized_crop(
    pictures: Tensor,
    aspects: Tensor,
    size: int,
    *,
    area: tuple[float, float],
    aspect: tuple[float, float],
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """A random part of each picture, resized to size x size with antialiasing and mirrored half of the time.

    Inception-style (Szegedy et al. 2015, arXiv:1409.4842): the share of the picture's area is uniform in `area`, the
    logarithm of the part's width over height uniform in `aspect`; a part that would stick out is clipped.
    Drawn from PyTorch's global generator.

    Args:
        pictures: (B, 3, S, S) uint8, squashed to squares.
        aspects: (B,) width over height that the pictures had before; crops are drawn in those proportions.
        dtype: of the matrix products; bfloat16 is quickest where the processor has it.

    Returns:
        (B, 3, size, size) float32 in [0, 255].
    """
    count, side = len(pictures), pictures.shape[-1]
    device = pictures.device
    draws = torch.rand(5, count).to(device)  # drawn on the CPU: a run resumes the same on every device
    share = area[0] + (area[1] - area[0]) * draws[0]
    low, high = torch.log(torch.tensor(aspect))
    # In a squashed picture a part of ratio r has fractions fw / fh = r * height / width.
    ratio = torch.exp(low + (high - low) * draws[1]) / aspects.to(device)
    fraction_w = torch.sqrt(share * ratio).clamp(max=1)
    fraction_h = torch.sqrt(share / ratio).clamp(max=1)
    left = draws[2] * (1 - fraction_w)
    top = draws[3] * (1 - fraction_h)
    rows = _resize_weights(top * side, fraction_h * side, size, side)
    columns = _resize_weights(left * side, fraction_w * side, size, side)
    columns = torch.where((draws[4] < 0.5)[:, None, None], columns.flip(1), columns)
    resized = torch.matmul(rows[:, None].to(dtype), pictures.to(dtype))
    return torch.matmul(resized, columns[:, None].to(dtype).transpose(-1, -2)).float()


def _resize_weights(start: Tensor, length: Tensor, size: int, side: int) -> Tensor:
    """(B, size, side) weights of a triangle filter that resizes [start, start + length) pixels to `size`."""
    scale = (length / size)[:, None]
    centres = start[:, None] + (torch.arange(size, device=start.device) + 0.5) * scale
    pixels = torch.arange(side, device=start.device) + 0.5
    distance = (pixels - centres[..., None]).abs() / scale[..., None].clamp(min=1)
    weights = (1 - distance).clamp(min=0)
    return weights / weights.sum(-1, keepdim=True)
