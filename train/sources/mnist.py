"""MNIST, or what of it is at hand."""

import functools
import gzip
import math
import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
from torchvision.datasets import MNIST

from abn.scratch import scratch
from train.sources.folder import folder_source
from train.sources.pictures import once, torchvision_set, write_pictures
from train.sources.source import Source

MNIST_FILES = (("images", "images"), ("images-idx3", "labels-idx1"))


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
                write_pictures(images[kept], labels[kept].astype(str).tolist(), aside / split)
        else:
            for split in ("train", "val"):
                data = torchvision_set(MNIST, root, split == "train", download)
                write_pictures(data.data.numpy(), [str(digit) for digit in data.targets.tolist()], aside / split)

    once(folder, write)
    source = folder_source(folder)
    return replace(source, name="MNIST (10,000 test digits)" if alone else "MNIST", test=[] if alone else source.val)


@functools.cache
def _elsewhere(root: Path) -> Path:
    """A folder for what cannot be written to `root`, as long as this process lives."""
    return scratch("digits")


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
