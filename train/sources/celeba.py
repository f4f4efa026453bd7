"""CelebA's files, as its site, torchvision and the first release of the authors' multi-task code lay them out."""

import re
from pathlib import Path

from torchvision.datasets import CelebA

from abn.classes import CELEBA
from train.sources.source import TaskSource

ATTRIBUTES, PARTITION = "list_attr_celeba.txt", "list_eval_partition.txt"
PICTURES = ("img_align_celeba", "Img/img_align_celeba", "Img/img_celeba")
SPLITS = {"0": "train", "1": "val", "2": "test"}

Labelled = list[tuple[str, tuple[int, ...]]]


def celeba_source(root: str | Path, download: bool) -> TaskSource:
    """CelebA's 40 attributes, in its own training, validation and test splits.

    Raises:
        FileNotFoundError: it is not at `root`, and `download` is False or fails.
        ValueError: its lists are damaged.
    """
    root = Path(root).expanduser()
    found = read(root)
    if found is None and download:
        fetch(root)
        found = read(root)
    if found is None:
        raise FileNotFoundError(f"CelebA is not at {root}: expected {ATTRIBUTES} and its pictures in {root}/celeba")
    parts, folder = found
    return TaskSource("CelebA", CELEBA, parts["train"], parts["val"], folder, parts["test"])


def read(root: Path) -> tuple[dict[str, Labelled], Path] | None:
    """({"train", "val", "test": (path, 40 of 0 and 1) a picture}, the folder they lie in); None where it is not there.

    Looked for in `root`, root/celeba and root/CelebA, the lists also in Anno/ and Eval/.

    Raises:
        ValueError: a list is not CelebA's, or cut short; says where.
    """
    for folder in (root, root / "celeba", root / "CelebA"):
        attributes = _first(folder, ATTRIBUTES, f"Anno/{ATTRIBUTES}")
        partition = _first(folder, PARTITION, f"Eval/{PARTITION}", f"Anno/{PARTITION}")
        pictures = _first(folder, *PICTURES)
        if attributes and partition and pictures:
            return _join(_attributes(attributes), partition, pictures), folder
    return None


def fetch(root: Path) -> None:
    """To root/celeba, by torchvision.

    Raises:
        FileNotFoundError: it cannot be had; says what to do.
    """
    try:
        import gdown  # noqa: F401
    except ImportError:
        raise FileNotFoundError(
            f"CelebA is not at {root}, and comes from Google Drive by gdown, which is not installed: pip install gdown"
        ) from None
    try:
        CelebA(root, target_type="attr", download=True)
    except Exception as error:  # gdown's and the archive's: Google counts downloads and answers with a page
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FileNotFoundError(f"CelebA is not at {root}, and cannot be downloaded: {reason}") from error


def _first(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).exists()), None)


def _attributes(file: Path) -> dict[str, tuple[int, ...]]:
    """picture -> 40 of 0 and 1."""
    lines = file.read_text().splitlines()
    named = [_letters(name) for name in lines[1].split()] if len(lines) > 1 else []
    if named != [_letters(name) for name in CELEBA]:
        raise ValueError(f"{file} is not CelebA's: its second line does not name the 40 attributes")
    found = {}
    for number, line in enumerate(lines[2:], 3):
        name, *values = line.split()
        if len(values) != len(CELEBA) or not {"1", "-1"}.issuperset(values):
            raise ValueError(f"{file}, line {number}: expected a picture and 1 or -1 for each of {len(CELEBA)}")
        found[name] = tuple(int(value == "1") for value in values)
    return found


def _letters(name: str) -> str:
    """ "5_o_Clock_Shadow" and "5 o'clock shadow" alike."""
    return re.sub("[^a-z]", "", name.lower())


def _join(attributes: dict[str, tuple[int, ...]], partition: Path, pictures: Path) -> dict[str, Labelled]:
    parts: dict[str, Labelled] = {split: [] for split in SPLITS.values()}
    for number, line in enumerate(partition.read_text().splitlines(), 1):
        name, _, part = line.partition(" ")
        if name not in attributes or part.strip() not in SPLITS:
            raise ValueError(f"{partition}, line {number}: expected a picture that has attributes, and 0, 1 or 2")
        parts[SPLITS[part.strip()]].append((str(pictures / name), attributes[name]))
    return parts
