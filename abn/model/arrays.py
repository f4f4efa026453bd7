"""Arrays and tensors as pictures: channels first or last, grey or coloured, one or many, of every kind of number.

A picture's twin in another kind of number gives the same pixels: floats are shares of full light in [0, 1], 16 bits are
scaled to 8, other whole numbers lie between 0 and 255. What could be read in two ways is refused.
"""

from collections.abc import Iterator

import numpy as np
import torch

from .errors import NumberError, PictureError

CHANNELS = (1, 3, 4)  # grey, RGB, RGB with opacity
LAYOUTS = ("channels_first", "channels_last")


def each(images) -> Iterator:
    """The single pictures of lists, of lists in lists, and of batches (B, H, W, C) or (B, C, H, W)."""
    if isinstance(images, (list, tuple)):
        for image in images:
            yield from each(image)
    elif is_array(images) and images.ndim == 4:
        yield from images
    else:
        yield images


def is_array(image) -> bool:
    return isinstance(image, (np.ndarray, torch.Tensor))


def from_layout(image: np.ndarray | torch.Tensor, layout: str | None = None) -> np.ndarray:
    """(H, W), (H, W, C) or (C, H, W) of 1, 3 or 4 channels -> (H, W) or (H, W, C), the numbers as they are.

    Args:
        layout: one of LAYOUTS; told by the shape if None.

    Raises:
        PictureError: another shape, one that does not tell where the channels are, or a tensor without values.
    """
    layout = getattr(layout, "value", layout)
    if layout not in (None, *LAYOUTS):
        raise PictureError("array_layout", allowed=" or ".join(map(repr, LAYOUTS)), layout=layout)
    array = _numpy(image) if isinstance(image, torch.Tensor) else image
    shape = array.shape
    fits = [array.ndim == 3 and shape[axis] in CHANNELS and layout in (None, LAYOUTS[axis]) for axis in (0, -1)]
    if 0 in shape or not (array.ndim == 2 or any(fits)):
        said = f" as {layout}" if layout else ""
        raise PictureError("array_or_tensor", shape=tuple(shape), layout=said)
    if all(fits):
        raise PictureError("array_ambiguous", shape=tuple(shape))
    return array.transpose(1, 2, 0) if fits[0] else array


def as_tensor(array: np.ndarray, rgb: bool, shares: bool) -> torch.Tensor:
    """(H, W) or (H, W, C) -> (C, H, W), not by way of a PIL picture.

    Args:
        rgb: three channels: grey three times, opacity laid on white.
        shares: floats stay float32, as they are; else uint8.

    Raises:
        PictureError: floats that are not finite, or what `as_bytes` refuses.
    """
    array = array[..., None] if array.ndim == 2 else array
    if shares:
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise PictureError("array_not_finite")
    else:
        array = as_bytes(array)
    if rgb and array.shape[2] == 4:
        opacity = array[..., 3:]
        array = array[..., :3] * opacity + (1 - opacity)
    if rgb and array.shape[2] == 1:
        array = array.repeat(3, axis=2)
    return torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)


def as_bytes(array: np.ndarray) -> np.ndarray:
    """Any kind of number as uint8: uint16 scaled, floats in [0, 1] times 255, other whole numbers as they are.

    Raises:
        PictureError: floats that are not finite or lie outside [0, 1]; whole numbers outside 0 to 255.
        NumberError: no numbers: bool, which could mean 0 and 1 or 0 and 255, and others.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return np.rint(array / 257).astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise PictureError("array_floats")
        return np.rint(array.astype(np.promote_types(array.dtype, np.float32)) * 255).astype(np.uint8)
    if not np.issubdtype(array.dtype, np.integer):
        raise NumberError("array_numbers", kind=str(array.dtype))
    if array.min() < 0 or array.max() > 255:
        raise PictureError("array_bytes", least=array.min(), most=array.max())
    return array.astype(np.uint8)


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    try:
        tensor = tensor.detach().cpu()
        known = tensor.dtype in (torch.float64, torch.float16) or not tensor.is_floating_point()
        return (tensor if known else tensor.float()).numpy()
    except (RuntimeError, TypeError, NotImplementedError):
        kind = str(tensor.layout).removeprefix("torch.")
        raise PictureError("tensor_dense", layout=kind, kind=str(tensor.dtype)) from None


__all__ = ["as_bytes", "as_tensor", "each", "from_layout", "is_array"]
