"""Maps as the page's scripts take them: JSON, and where they lie in the picture."""

import base64

import numpy as np

from .model.image_processing_abn import Geometry


def place_of(geometry: Geometry) -> dict:
    """Where a map lies. size: (width, height) of the upright picture; box and span as `Geometry`'s, in its pixels."""
    return {
        "box": list(geometry.box),
        "span": [list(pair) for pair in geometry.span],
        "size": [geometry.picture[1], geometry.picture[0]],
    }


def map_of(grid: np.ndarray, geometry: Geometry) -> dict:
    """A map on its own places, and where they lie. rows: h lists of w float32 numbers."""
    rows = [[float(np.format_float_positional(value, unique=True)) for value in row] for row in grid]
    return {"rows": rows, **place_of(geometry)}


def packed_map(grid: np.ndarray, geometry: Geometry) -> dict:
    """As `map_of` in a few hundred bytes, for cards and frames: `packed` in place of rows."""
    return {**packed(grid), **place_of(geometry)}


def packed(grid: np.ndarray) -> dict:
    """A map's shares of its own peak as bytes, 255 for the peak itself, in base64; what lies outside [0, 1] is cut."""
    shown = grid.clip(0, 1)
    peak = float(shown.max())
    shares = np.rint(shown * (255 / peak if peak else 0)).astype(np.uint8)
    return {
        "shares": base64.b64encode(shares.tobytes()).decode(),
        "shape": list(grid.shape),
        "peak": round(peak, 4),
    }
