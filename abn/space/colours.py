"""temporary"""

import base64

import numpy as np

from ..overlay import COLOURMAPS, coloured

TABLES = {
    n: base64.b64encode(coloured(np.linspace(0, 1, 256, dtype=np.float32)[None], n).tobytes()).decode()
    for n in COLOURMAPS
}
