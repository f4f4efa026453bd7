"""CIFAR-10 and CIFAR-100."""

from dataclasses import replace
from pathlib import Path

from torchvision.datasets import CIFAR10, CIFAR100

from train.sources.folder import folder_source
from train.sources.pictures import once, torchvision_set, write_pictures
from train.sources.source import Source


def cifar_source(root: str | Path, name: str, download: bool) -> Source:
    """CIFAR-10 or -100 ("cifar10", "cifar100"), as a folder of PNGs a class that is made once, at `root`/NAME-pictures.

    Raises:
        FileNotFoundError: the data set is not at `root`, and `download` is False.
        OSError: it cannot be downloaded or written.
    """
    folder, kind = Path(root).expanduser() / f"{name}-pictures", {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]

    def write(aside: Path) -> None:
        for split in ("train", "val"):
            data = torchvision_set(kind, root, split == "train", download)
            names = [data.classes[label].replace("_", " ") for label in data.targets]
            write_pictures(data.data, names, aside / split)

    once(folder, write)
    source = folder_source(folder)
    return replace(source, name={"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[name], test=source.val)
