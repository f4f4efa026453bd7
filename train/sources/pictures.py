"""Data sets that come as arrays, written once as folders of PNGs, so that all else reads them as any folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from abn.files import whole_folder


def once(folder: Path, write: Callable[[Path], None]) -> None:
    """Make `folder` unless it is there: written aside and renamed, so that under its name it is whole."""
    if not folder.is_dir():
        with whole_folder(folder) as aside:
            write(aside)


def write_pictures(pictures: np.ndarray, names: list[str], folder: Path) -> None:
    """One PNG a picture, in a folder a class."""
    for place, (pixels, name) in enumerate(zip(tqdm(pictures, f"writing {folder.name}"), names, strict=True)):
        file = folder / name / f"{place:05d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)


def torchvision_set(kind: type, root: str | Path, train: bool, download: bool):
    """A data set of torchvision's. Raises: FileNotFoundError: it is not at `root`."""
    try:
        return kind(root, train=train, download=download)
    except RuntimeError as error:  # torchvision's word for "not there, or damaged"
        raise FileNotFoundError(f"{kind.__name__} is not at {root}: {str(error).splitlines()[0]}") from None
