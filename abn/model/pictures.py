"""Any picture -> 8-bit RGB, the way a viewer would show it."""

import io
import math
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError
from torch import Tensor

from .arrays import as_bytes, from_layout
from .errors import NumberError, PictureError
from .heic import can_read, is_heic
from .picture_orientation import SIDEWAYS, orientation, turned
from .picture_repair import can_repair, repaired, scans

WHITE = (255, 255, 255, 255)
MAX_PIXELS = 52_000_000  # what cameras call 50 megapixels: 156 MB as RGB; deep grey takes six times as much on the way
KNOWN = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "PPM")  # none that runs a program
DRAFTED = ("JPEG", "MPO")
MOST_SCANS = 50  # of a JPEG; cameras write 1, progressive files about 10, and each takes as long as the first
UNNAMED = "the picture"

Image.init()
FORMATS = tuple(name for name in KNOWN if name in Image.OPEN)

Given = Image.Image | np.ndarray | Tensor | str | Path
Enough = Callable[[tuple[int, int]], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Reduced:
    """An upright RGB picture of width x height pixels that was decoded to fewer.

    pixels: what was decoded. box: (left, top, right, bottom) of the picture in them, in fractions of their pixels: JPEG
    is reduced in blocks, so that a row or a column may be there that the picture only partly fills.
    """

    pixels: Image.Image
    width: int
    height: int
    box: tuple[float, float, float, float]

    def part(
        self, box: tuple[float, float, float, float], size: tuple[int, int], resample: Image.Resampling
    ) -> Image.Image:
        """(left, top, right, bottom) of the full-size picture, in its pixels, resampled to `size`, (width, height)."""
        left, top, right, bottom = self.box
        across, down = (right - left) / self.width, (bottom - top) / self.height
        there = (left + box[0] * across, top + box[1] * down, left + box[2] * across, top + box[3] * down)
        bounds = (*self.pixels.size, *self.pixels.size)
        left, top, right, bottom = map(min, there, bounds)
        return self.pixels.resize(size, resample, (left, top, right, bottom))


def resized(picture: "Image.Image | Reduced", size: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    """All of an upright RGB picture, decoded whole or not, at (width, height)."""
    if isinstance(picture, Reduced):
        return picture.part((0, 0, picture.width, picture.height), size, resample)
    return picture.resize(size, resample)


def fitted(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """(width, height) brought to `longest` pixels on the longer side, in proportion, as `PIL.Image.thumbnail` does it;
    left as it is where it is no longer than that."""
    width, height = size
    if max(size) <= longest:
        return size
    aspect = width / height
    if width <= height:
        return _nearest(longest * aspect, lambda n: abs(aspect - n / longest)), longest
    return longest, _nearest(longest / aspect, lambda n: abs(aspect - longest / n) if n else 0)


def _nearest(side: float, distance: Callable[[int], float]) -> int:
    return max(min(math.floor(side), math.ceil(side), key=distance), 1)


@overload
def load_rgb(picture: Given, enough: None = None) -> Image.Image: ...
@overload
def load_rgb(picture: Given | Reduced, enough: Enough | None = None) -> Image.Image | Reduced: ...


def load_rgb(picture: Given | Reduced, enough: Enough | None = None) -> Image.Image | Reduced:
    """A PIL picture, an array (`from_array`), a tensor (see `arrays`) or a path as an upright RGB picture.

    Metadata that is broken or too large is passed over, and a JPEG may lack its end marker (`picture_repair`).

    Args:
        enough: the upright picture's (height, width) -> the least (height, width) to decode it to. A JPEG is then
            decoded at a half, a quarter or an eighth of its size, as `Reduced`, where that is enough: from the lower
            frequencies of each block of 8 x 8 pixels (libjpeg's scaled inverse DCT), about the mean over 2 x 2, 4 x 4
            or 8 x 8 pixels. None, and every other kind of picture: all of it.

    Raises:
        PictureError: it is no picture, is damaged, or holds more than MAX_PIXELS; says which. Or it is HEIC and
            pillow-heif is not installed.
        TypeError: another type.
        FileNotFoundError: no such file.
    """
    if isinstance(picture, Reduced):
        return picture
    if isinstance(picture, np.ndarray):
        return to_rgb(from_array(picture))
    if isinstance(picture, Image.Image):
        return _of_pillow(picture, enough)
    if isinstance(picture, Tensor):
        return to_rgb(from_array(from_layout(picture)))
    if not isinstance(picture, (str, Path)):
        raise TypeError(f"a picture must be a PIL image, a NumPy array or a path; got {type(picture).__name__}")
    return _of_file(Path(os.path.expanduser(picture)), enough)


def to_rgb(picture: Image.Image) -> Image.Image:
    """A PIL picture of any mode as mode RGB: upright, transparency laid on white, 16 bits scaled to 8.

    The EXIF orientation is applied; CMYK, palette, grey and bilevel modes convert. "I;16" spans 16 bits. The modes
    "I" and "F" do not say their range: it is the smallest of 1 ("F" alone), 8 bits and 16 bits that holds the values.

    Raises:
        PictureError: Pillow knows no way from this mode to RGB, or values are not finite; or the file behind it is
            damaged, or holds more than MAX_PIXELS.
    """
    return _of_pillow(picture, None)


def _of_file(path: Path, enough: Enough | None) -> "Image.Image | Reduced":
    try:
        with _named_faults(path.name), Image.open(path, formats=FORMATS) as opened:
            return _decoded(opened, path.name, enough)
    except _Unreadable as fault:
        try:
            content = path.read_bytes() if _worth_another_look(path) else b""
        except OSError:  # a folder, or not ours to read
            raise fault.error from None
        return _second_try(content, path.name, enough, fault)


def _worth_another_look(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(64)
    return is_heic(head) or can_repair(head)


@overload
def _of_pillow(picture: Image.Image, enough: None) -> Image.Image: ...
@overload
def _of_pillow(picture: Image.Image, enough: Enough | None) -> Image.Image | Reduced: ...


def _of_pillow(picture: Image.Image, enough: Enough | None) -> Image.Image | Reduced:
    if type(picture) is Image.Image and picture.mode == "RGB" and not picture.info:
        return picture  # held in memory, upright, and without anything to apply
    name = UNNAMED
    if isinstance(picture, ImageFile.ImageFile) and isinstance(picture.filename, (str, Path)) and picture.filename:
        name = Path(picture.filename).name
    on_disk = isinstance(picture, ImageFile.ImageFile) and bool(picture.tile)
    try:
        with _named_faults(name):
            if on_disk and enough is not None and picture.format in DRAFTED and not picture.decoderconfig:
                content = _content(picture)  # a draft would change the caller's own picture
                if content:
                    with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
                        return _decoded(opened, name, enough, orientation(picture))
            return _decoded(picture, name, None)
    except _Unreadable as fault:
        content = _content(picture) if on_disk else b""
        return _second_try(content, name, enough, fault)


def _content(picture: ImageFile.ImageFile) -> bytes:
    """The bytes of the file that a PIL picture is to be decoded from; empty where they, or their first frame, cannot be
    had. The file stays open, where it was."""
    file = picture.fp
    try:
        if file is None or picture.tell() != 0:
            return b""
        place = file.tell()
        file.seek(0)
        try:
            return file.read()
        finally:
            file.seek(place)
    except Exception:  # closed, or no file at all
        return b""


def _second_try(content: bytes, name: str, enough: Enough | None, fault: "_Unreadable") -> "Image.Image | Reduced":
    """What Pillow did not read: HEIC, and files that are broken where it does not matter."""
    if is_heic(content[:64]):
        if not can_read():
            raise PictureError("picture_heic", name=name)
        fault = _Unreadable(PictureError("picture_damaged", name=name))
    for mended, how in repaired(content):
        if mended == content:
            continue
        try:
            with _named_faults(name), Image.open(io.BytesIO(mended), formats=FORMATS) as opened:
                return _decoded(opened, name, enough, how)
        except _Unreadable:
            continue
    raise fault.error from None


class _Unreadable(Exception):
    """error: the PictureError to raise where nothing helps."""

    def __init__(self, error: PictureError):
        self.error = error


@contextmanager
def _named_faults(name: str):
    """Pillow's decoders raise what they like, and their words name paths and insides.

    Raises:
        PictureError: too many pixels, or as it was raised within.
        FileNotFoundError: as it was raised within.
        _Unreadable: in place of anything else.
    """
    try:
        yield
    except (FileNotFoundError, PictureError):
        raise
    except UnidentifiedImageError:
        raise _Unreadable(PictureError("picture_unreadable", name=name)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError("picture_too_large", name=name, most=MAX_PIXELS) from None
    except Exception:
        raise _Unreadable(PictureError("picture_damaged", name=name)) from None


def _decoded(picture: Image.Image, name: str, enough: Enough | None, how: int | None = None) -> "Image.Image | Reduced":
    """An opened picture as upright RGB. how: its orientation where it is known from elsewhere."""
    lazy = isinstance(picture, ImageFile.ImageFile) and picture._im is None
    if lazy and picture.width * picture.height > MAX_PIXELS:
        raise PictureError("picture_pixels", name=name, width=picture.width, height=picture.height, most=MAX_PIXELS)
    if lazy and picture.format in DRAFTED and scans(_content(picture), MOST_SCANS) > MOST_SCANS:
        raise PictureError("picture_scans", name=name, most=MOST_SCANS)
    drafted = None
    if enough is not None and picture.format in DRAFTED:
        how = orientation(picture) if how is None else how
        full = picture.size
        drafted = _draft(picture, enough, how in SIDEWAYS)
    picture.load()
    how = orientation(picture) if how is None else how  # after loading: a PNG's may stand behind its pixels
    upright = turned(_flat(picture), how)
    if drafted is None:
        return upright
    width, height = reversed(full) if how in SIDEWAYS else full
    across, down = (drafted[1], drafted[0]) if how in SIDEWAYS else drafted
    # The part-filled last row and column come first where the picture was turned round or mirrored
    left = upright.width - across if how in (2, 3, 6, 7) else 0
    top = upright.height - down if how in (3, 4, 7, 8) else 0
    return Reduced(upright, width, height, (left, top, left + across, top + down))


def _draft(picture: Image.Image, enough: Enough, sideways: bool) -> tuple[float, float] | None:
    """Have an opened JPEG decoded at a part of its size. The (width, height) that it then takes up, as it is stored, in
    fractions of a pixel; None where it is decoded whole."""
    full = picture.size
    height, width = enough(full if sideways else full[::-1])
    across, down = (max(1, math.ceil(side)) for side in ((height, width) if sideways else (width, height)))
    drafted = picture.draft(None, (across, down))
    return None if drafted is None or picture.size == full else drafted[1][2:]


def _flat(picture: Image.Image) -> Image.Image:
    """A loaded picture of any mode as RGB, not turned, without metadata. Its pixels may be the picture's own."""
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = _from_deep_grey(np.asarray(picture), picture.mode)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, WHITE), picture)
    if picture.mode == "RGB" and not picture.readonly:
        flat = picture._new(picture.im)  # no copy: 36 MB of a photograph
    else:
        try:
            flat = picture.convert("RGB")
        except ValueError as error:
            raise PictureError("picture_mode", mode=picture.mode, reason=str(error)) from None
    flat.info = {}
    return flat


def _from_deep_grey(values: np.ndarray, mode: str) -> Image.Image:
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise PictureError("picture_not_finite")
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
        raise PictureError("array_shape", shape=array.shape)
    if array.dtype not in (np.uint8, np.uint16) and not np.issubdtype(array.dtype, np.floating):
        raise NumberError("array_kind", kind=str(array.dtype))
    return Image.fromarray(np.ascontiguousarray(as_bytes(array)))
