"""How a picture's file says it is to be turned: the EXIF orientation (EXIF 2.32, 4.6.4: tag 0x0112, 1 to 8)."""

import struct

from PIL import Image

TAG = 0x0112
UPRIGHT = 1
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # height and width change places
WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I"}  # TIFF's types -> struct's


def orientation(picture: Image.Image) -> int:
    """1 to 8; 1 where the file says nothing, or nothing that can be understood. Nothing is raised.

    Pillow reads EXIF, ImageMagick's "Raw profile type exif" and XMP; a block on which it fails is looked at again here.
    TIFF and HEIC count as upright: their readers turn them. Of an AVIF, Pillow tells its own boxes as EXIF.
    """
    if picture.format in ("TIFF", "HEIF"):
        return UPRIGHT
    try:
        value = picture.getexif().get(TAG)
    except Exception:  # Pillow's parser raises what it likes; metadata is no reason to refuse pixels
        return in_exif(picture.info.get("exif", b""))
    return _valid(value)


def in_exif(block: bytes) -> int:
    """The orientation in a block of EXIF (with or without its "Exif\\0\\0"), whatever else in it is broken."""
    if not isinstance(block, bytes):
        return UPRIGHT
    while block.startswith(b"Exif\0\0"):
        block = block[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", block, entry)
            if tag == TAG:
                return _valid(struct.unpack_from(f"{order}{WHOLE_NUMBERS[kind]}", block, entry + 8))
    except (struct.error, KeyError):
        pass
    return UPRIGHT


def _valid(value) -> int:
    if isinstance(value, (tuple, list, bytes)) and len(value):  # a type or a count that is not the standard's
        value = value[0]
    try:
        value = int(value)
    except (TypeError, ValueError, OverflowError, ArithmeticError):
        return UPRIGHT
    return value if value in TURNS else UPRIGHT


def turned(picture: Image.Image, how: int) -> Image.Image:
    """A picture stored in an orientation -> upright; the picture itself where it is."""
    return picture.transpose(TURNS[how]) if how in TURNS else picture
