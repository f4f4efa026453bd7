"""Pictures as data URLs (RFC 2397)."""

import base64
import binascii
import io
from urllib.parse import unquote_to_bytes

import cv2
import numpy as np
from PIL import Image

_SPACES = b" \t\r\n\f\v"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_AT_ONCE = 1 << 20  # letters; a multiple of four. Other threads run between two pieces


def png(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB as a PNG file's bytes."""
    _, content = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 4])
    return content.tobytes()


def png_url(pixels: np.ndarray) -> str:
    """(H, W, 3) uint8 RGB as a PNG."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def jpeg_url(picture: Image.Image, quality: int) -> str:
    """An RGB picture as a JPEG."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def is_data_url(words: str) -> bool:
    return words[:5].lower() == "data:"


def decoded(url: str) -> bytes:
    """What a data URL holds, of any media type and with any parameters.

    base64 may be broken into lines, of the URL-safe alphabet (RFC 4648, section 5) and without its padding.

    Raises:
        ValueError: it has no comma, or its base64 is none.
    """
    head, comma, content = url.partition(",")
    if not comma:
        raise ValueError("The picture's data URL has no comma before its data.")
    content = unquote_to_bytes(content)
    if not head.rstrip().lower().endswith(";base64"):
        return content
    content = content.translate(_URL_SAFE, _SPACES).rstrip(b"=")
    try:
        if b"=" in content:
            raise binascii.Error("padding in the middle")
        content += b"=" * (-len(content) % 4)
        pieces = (content[at : at + _AT_ONCE] for at in range(0, len(content), _AT_ONCE))
        return b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    except binascii.Error:
        raise ValueError("The picture's data URL is not base64.") from None
