"""Imagenette."""

from pathlib import Path

from abn import imagenette
from train.sources.source import Source


def imagenette_source(root: str | Path, size: str | None, download: bool) -> Source:
    """Imagenette, downloaded to `root` where it is missing and `download` is True. Raises as `imagenette.load`."""
    train = imagenette.load(root, "train", size, download=download).report()
    val = imagenette.load(root, "val", size).report()
    return Source("Imagenette", imagenette.CLASSES, train.samples, val.samples, root=train.folder)
