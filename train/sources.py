"""Where the pictures come from: Imagenette, CIFAR or any folder of class folders, as lists of (path, class index)."""

import functools
import gzip
import math
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100, MNIST
from tqdm import tqdm

from abn import imagenette
from abn.files import whole_folder
from abn.folders import class_folders
from abn.names import shown
from abn.scratch import scratch
from train.data import split_off

Samples = list[tuple[str, int]]


@dataclass(frozen=True)
class Source:
    """A data set. name: as it appears in metrics and model card; classes: names by index; root: what the paths of box
    files are relative to; test: a third split, where the data set itself has one."""

    name: str
    classes: tuple[str, ...]
    train: Samples
    val: Samples
    root: Path
    test: Samples = field(default_factory=list)

    def with_val(self, split: str) -> "Source":
        """The same with `split` ("train", "val" or "test") in the place of the validation split.

        Raises:
            ValueError: there is no test split, or it has other classes.
        """
        samples = self.test_split() if split == "test" else getattr(self, split)
        if not samples:
            raise ValueError(f"{self.name} has no {split} split")
        return replace(self, val=samples)

    def test_split(self) -> Samples:
        """`test`, or what root/test holds, which is looked for only when it is asked for."""
        if self.test or not (self.root / "test").is_dir():
            return self.test
        classes, samples = _classes(self.root / "test")
        if classes != self.classes:
            raise ValueError(f"{shown(self.root)}: test/ and train/ must have the same class folders")
        return samples

    def split(self, holdout: float, seed: int) -> tuple[Samples, Samples]:
        """(rest, held out) of the training pictures: `holdout` of each class, the same for the same seed."""
        rest, part = split_off(torch.tensor([label for _, label in self.train]), holdout, seed)
        return [self.train[i] for i in rest.tolist()], [self.train[i] for i in part.tolist()]

    def fold(self, number: int, count: int, seed: int) -> "Source":
        """Fold `number` of `count` of the training pictures as validation, the others as training; stratified.

        Raises:
            ValueError: a class has fewer pictures than there are folds.
        """
        train, val = [], []
        generator = torch.Generator().manual_seed(seed)
        for label, name in enumerate(self.classes):
            members = [sample for sample in self.train if sample[1] == label]
            if len(members) < count:
                raise ValueError(f"--folds {count} needs {count} pictures a class; {name!r} has {len(members)}")
            for place, i in enumerate(torch.randperm(len(members), generator=generator).tolist()):
                (val if place % count == number else train).append(members[i])
        return replace(self, train=sorted(train), val=sorted(val))


def imagenette_source(root: str | Path, size: str | None, download: bool) -> Source:
    """Imagenette, downloaded to `root` where it is missing and `download` is True. Raises as `imagenette.load`."""
    train = imagenette.load(root, "train", size, download=download)
    val = imagenette.load(root, "val", size)
    for data in (train, val):
        data.left_out.report(data._image_root)
    return Source("Imagenette", imagenette.CLASSES, train._samples, val._samples, root=train._size_root)


def cifar_source(root: str | Path, name: str, download: bool) -> Source:
    """CIFAR-10 or -100 ("cifar10", "cifar100"), as a folder of PNGs a class that is made once, at `root`/NAME-pictures.

    Raises:
        FileNotFoundError: the data set is not at `root`, and `download` is False.
        OSError: it cannot be downloaded or written.
    """
    folder, kind = Path(root).expanduser() / f"{name}-pictures", {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]

    def write(aside: Path) -> None:
        for split in ("train", "val"):
            data = _torchvision(kind, root, split == "train", download)
            names = [data.classes[label].replace("_", " ") for label in data.targets]
            _write_pictures(data.data, names, aside / split)

    _once(folder, write)
    source = folder_source(folder)
    return replace(source, name={"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[name], test=source.val)


def _once(folder: Path, write: Callable[[Path], None]) -> None:
    """Make `folder` unless it is there: written aside and renamed, so that under its name it is whole."""
    if not folder.is_dir():
        with whole_folder(folder) as aside:
            write(aside)


def _write_pictures(pictures: np.ndarray, names: list[str], folder: Path) -> None:
    """One PNG a picture, in a folder a class."""
    for place, (pixels, name) in enumerate(zip(tqdm(pictures, f"writing {folder.name}"), names, strict=True)):
        file = folder / name / f"{place:05d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)


def _torchvision(kind: type, root: str | Path, train: bool, download: bool):
    """A data set of torchvision's. Raises: FileNotFoundError: it is not at `root`."""
    try:
        return kind(root, train=train, download=download)
    except RuntimeError as error:  # torchvision's word for "not there, or damaged"
        raise FileNotFoundError(f"{kind.__name__} is not at {root}: {str(error).splitlines()[0]}") from None


def mnist_source(root: str | Path, download: bool) -> Source:
    """MNIST, as a folder of PNGs a digit that is made once, at `root`/mnist-pictures. Where only its test files are at
    hand (t10k-*, as they come or unpacked), a fixed 8,000 and 2,000 of them, the last of each digit for validation.

    Raises:
        FileNotFoundError: neither is at `root`, and `download` is False.
        OSError: it cannot be downloaded or written.
    """
    root = Path(root).expanduser()
    test = next((f for place in (root, root / "MNIST" / "raw") for f in place.glob("t10k-images-idx3-ubyte*")), None)
    alone = test is not None and not list(test.parent.glob("train-images-idx3-ubyte*"))
    folder = root / ("mnist-10k-pictures" if alone else "mnist-pictures")
    if alone and not os.access(root, os.W_OK):
        folder = _elsewhere(root) / folder.name

    def write(aside: Path) -> None:
        if alone:
            print(f"only MNIST's test digits are at {root}: 8,000 of them are for training, 2,000 for validation")
            images, labels = (_idx(test.with_name(test.name.replace(*names))) for names in MNIST_FILES)
            for split in ("train", "val"):
                kept = np.concatenate([_four_fifths(np.flatnonzero(labels == digit), split) for digit in range(10)])
                _write_pictures(images[kept], labels[kept].astype(str).tolist(), aside / split)
        else:
            for split in ("train", "val"):
                data = _torchvision(MNIST, root, split == "train", download)
                _write_pictures(data.data.numpy(), [str(digit) for digit in data.targets.tolist()], aside / split)

    _once(folder, write)
    source = folder_source(folder)
    return replace(source, name="MNIST (10,000 test digits)" if alone else "MNIST", test=[] if alone else source.val)


@functools.cache
def _elsewhere(root: Path) -> Path:
    """A folder for what cannot be written to `root`, as long as this process lives."""
    return scratch("digits")


MNIST_FILES = (("images", "images"), ("images-idx3", "labels-idx1"))


def _four_fifths(members: np.ndarray, split: str) -> np.ndarray:
    cut = round(0.8 * len(members))
    return members[:cut] if split == "train" else members[cut:]


def _idx(file: Path) -> np.ndarray:
    """An IDX file of bytes, plain or gzipped.

    Raises:
        ValueError: it is none, or cut short.
    """
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    dimensions = content[3] if content[:3] == b"\0\0\x08" else 0
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
    if not dimensions or values.size != math.prod(shape):
        raise ValueError(f"{file} is not a whole IDX file")
    return values.reshape(shape)


def folder_source(root: str | Path, folds: bool = False) -> Source:
    """A folder with train/ and val/, each with a folder of pictures a class, as `abn.folders` reads them.

    Args:
        folds: val/ is not needed, nor is train/: the class folders may lie in `root` itself.

    Raises:
        FileNotFoundError: `root`, train/ or val/ is missing.
        ValueError: fewer than two classes, a class folder without pictures or of a name that is not UTF-8, or val/ with
            other classes than train/.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {shown(root)}")
    inside, name = folds and not (root / "train").is_dir(), shown(root.name)
    classes, train = _classes(root if inside else root / "train")
    if folds:
        return Source(name, classes, train, [], root)
    others, val = _classes(root / "val")
    if others != classes:
        odd = ", ".join(map(shown, sorted(set(classes) ^ set(others))))
        raise ValueError(f"{shown(root)}: train/ and val/ must have the same class folders; only one has {odd}")
    return Source(name, classes, train, val, root)


def _classes(folder: Path) -> tuple[tuple[str, ...], Samples]:
    found = class_folders(folder, least=2)
    found.left_out.report(folder)
    return found.classes, found.samples
