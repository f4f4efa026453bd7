"""The colour maps as the page's script takes them."""

import base64

import numpy as np

from .overlay import COLOURMAPS, coloured


def colour_tables() -> dict[str, str]:
    """Name -> base64 of the 256 RGB entries of each of `COLOURMAPS`, 768 bytes: what `coloursOf` of paint.js reads."""
    levels = np.minimum((np.arange(256, dtype=np.float32) + 0.5) / 255, 1)[None]  # each entry's own, amid its share
    return {name: base64.b64encode(coloured(levels, name).tobytes()).decode() for name in COLOURMAPS}
