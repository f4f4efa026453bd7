"""Any picture -> 8-bit RGB, the way a viewer would show it."""

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

WHITE = (255, 255, 255, 255)
MAX_PIXELS = 50_000_000  # 150 MB as RGB; deep grey takes six times as much on the way
KNOWN = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")  # none that runs a program

Image.init()
FORMATS = tuple(name for name in KNOWN if name in Image.OPEN)


class PictureError(ValueError):
    """What was given is no picture, or none that can be used; says why."""


class NumberError(PictureError, TypeError):
    """An array of numbers that a picture is not made of."""


def load_rgb(picture: "Image.Image | np.ndarray | str | Path") -> Image.Image:
    """A PIL picture, an array (`from_array`), a tensor (see `arrays`) or a path as an upright RGB picture.

    Raises:
        PictureError: it is no picture, is damaged, or holds more than MAX_PIXELS; says which.
        TypeError: another type.
        FileNotFoundError: no such file.
    """
    if isinstance(picture, np.ndarray):
        return to_rgb(from_array(picture))
    if isinstance(picture, Image.Image):
        return to_rgb(picture)
    if hasattr(picture, "detach"):
        from .arrays import from_layout

        return to_rgb(from_array(from_layout(picture)))
    if not isinstance(picture, (str, Path)):
        raise TypeError(f"a picture must be a PIL image, a NumPy array or a path; got {type(picture).__name__}")
    picture = os.path.expanduser(picture)
    name = Path(picture).name
    try:
        with Image.open(picture, formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise PictureError(
                    f"{name} has {opened.width} x {opened.height} pixels; at most {MAX_PIXELS:,} are allowed"
                )
            return to_rgb(opened)
    except (FileNotFoundError, PictureError):
        raise
    except UnidentifiedImageError:
        raise PictureError(f"{name} is not a picture that can be read") from None
    except Image.DecompressionBombError:
        raise PictureError(f"{name} has too many pixels; at most {MAX_PIXELS:,} are allowed") from None
    except Exception:  # Pillow's decoders raise what they like; their words name paths and insides
        raise PictureError(f"{name} is damaged and cannot be read") from None


def to_rgb(picture: Image.Image) -> Image.Image:
    """A PIL picture of any mode as mode RGB: upright, transparency laid on white, 16 bits scaled to 8.

    The EXIF orientation is applied; CMYK, palette, grey and bilevel modes convert. "I;16" spans 16 bits. The modes
    "I" and "F" do not say their range: it is the smallest of 1 ("F" alone), 8 bits and 16 bits that holds the values.

    Raises:
        PictureError: Pillow knows no way from this mode to RGB, or values are not finite.
    """
    if type(picture) is Image.Image and picture.mode == "RGB" and not picture.info:
        return picture  # held in memory, upright, and without anything to apply
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = _from_deep_grey(np.asarray(picture), picture.mode)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, WHITE), picture)
    try:
        picture = picture.convert("RGB")
    except ValueError as error:
        raise PictureError(f"a picture of mode {picture.mode} cannot be turned into RGB ({error})") from None
    picture.info = {}
    return picture


def _from_deep_grey(values: np.ndarray, mode: str) -> Image.Image:
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise PictureError("the picture holds values that are not finite")
    ranges = {"I": (255, 65535), "F": (1, 255, 65535)}.get(mode, (65535,))
    top = next((top for top in ranges if values.max(initial=0) <= top), ranges[-1])
    return Image.fromarray(np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8))


def from_array(array: np.ndarray) -> Image.Image:
    """An (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) array as a PIL picture.

    uint8 is taken as it is, uint16 is scaled to 8 bits, floats must lie in [0, 1].

    Raises:
        PictureError: another shape, or floats that are not finite or lie outside [0, 1].
        NumberError: another dtype.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or 0 in array.shape:
        raise PictureError(f"an array must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); got {array.shape}")
    if array.dtype not in (np.uint8, np.uint16) and not np.issubdtype(array.dtype, np.floating):
        raise NumberError(f"an array must be uint8, uint16 or float; got {array.dtype}")
    return Image.fromarray(np.ascontiguousarray(as_bytes(array)))


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
            raise PictureError("a float array must hold finite values in [0, 1]")
        return np.rint(array.astype(np.promote_types(array.dtype, np.float32)) * 255).astype(np.uint8)
    if not np.issubdtype(array.dtype, np.integer):
        raise NumberError(f"a picture's numbers must be uint8, uint16, other whole numbers or float; got {array.dtype}")
    if array.min() < 0 or array.max() > 255:
        raise PictureError(f"whole numbers must lie between 0 and 255; got {array.min()} to {array.max()}")
    return array.astype(np.uint8)
