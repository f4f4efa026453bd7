"""Which folders of a data set are its training, validation and test splits: the names that people and `datasets` use.

flowers/CLASS/…                                no split: one is made
flowers/train/CLASS/…  flowers/valid/CLASS/…   also val, validation, dev; test where there is none of those
flowers/data/train/CLASS/…                     a data set of the Hub
flowers/flowers/CLASS/…                        an archive unpacked into a folder of its own
"""

import os
from pathlib import Path

from .folders import is_litter
from .metadata import metadata_of
from .names import shown

NAMES = {  # the keywords of `datasets` (github.com/huggingface/datasets, src/datasets/data_files.py, SPLIT_KEYWORDS)
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SPLIT_OF = {name: split for split, names in NAMES.items() for name in names}
DEEPEST = 3  # folders that an archive may add above a data set


def base_of(root: Path) -> Path:
    """The folder in which a data set begins: `root`, or one below it where `root` holds nothing but that."""
    for _ in range(DEEPEST):
        inside = folders_in(root)
        names = {folder.name: folder for folder in inside}
        if splits_in(root) or metadata_of(root):
            return root
        if "data" in names and (splits_in(names["data"]) or metadata_of(names["data"])):
            return names["data"]
        if len(inside) != 1 or not folders_in(inside[0]):
            return root
        root = inside[0]
    return root


def splits_in(root: Path) -> dict[str, Path]:
    """ "train", "val", "test" -> its folder, of those there are; empty for a flat folder of class folders.

    They count where a training split holds folders or a table, or where there is nothing else: else "test" may be a
    class. A test split without either, of pictures that nobody labelled, counts as none.

    Raises:
        ValueError: two folders are the same split.
    """
    inside = folders_in(root)
    named = [folder for folder in inside if folder.name.casefold() in SPLIT_OF]
    labelled = [folder for folder in named if folders_in(folder) or metadata_of(folder)]
    if any(SPLIT_OF[folder.name.casefold()] == "train" for folder in labelled):
        named = [folder for folder in named if folder in labelled or SPLIT_OF[folder.name.casefold()] == "val"]
    elif len(named) < len(inside):
        return {}
    found: dict[str, Path] = {}
    for folder in named:
        split = SPLIT_OF[folder.name.casefold()]
        if split in found:
            raise ValueError(f"{shown(root)} holds both {found[split].name}/ and {folder.name}/: rename one of them")
        found[split] = folder
    return found


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, but for litter; none where it cannot be read."""
    try:
        entries = [entry for entry in os.scandir(folder) if not is_litter(entry.name) and os.path.isdir(entry.path)]
    except OSError:
        return []
    return sorted(Path(entry.path) for entry in entries)
