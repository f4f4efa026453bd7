"""Pictures as data URLs."""

import base64
import io

import cv2
import numpy as np
from PIL import Image


def png_url(pixels: np.ndarray) -> str:
    """(H, W, 3) uint8 RGB as a PNG."""
    _, png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 4])
    return "data:image/png;base64," + base64.b64encode(png).decode()


def jpeg_url(picture: Image.Image, quality: int) -> str:
    """An RGB picture as a JPEG."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
