"""Hub id, folder or file -> model, processor, calibration. `python -m abn.checkpoints convert` writes a Hub folder."""

from .convert import convert
from .load import BUNDLED, CIFAR_STATISTICS, load_calibration, load_checkpoint
from .originals import SUFFIXES
from .pretrained import Pretrained, load_pretrained

__all__ = [
    "BUNDLED",
    "CIFAR_STATISTICS",
    "SUFFIXES",
    "Pretrained",
    "convert",
    "load_calibration",
    "load_checkpoint",
    "load_pretrained",
]
