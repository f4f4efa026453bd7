"""Hub id, folder or file -> model, processor, calibration. `python -m abn.checkpoints convert` writes a Hub folder."""

from .convert import convert
from .load import BUNDLED, load_calibration, load_checkpoint
from .originals import SUFFIXES

__all__ = ["BUNDLED", "SUFFIXES", "convert", "load_calibration", "load_checkpoint"]
