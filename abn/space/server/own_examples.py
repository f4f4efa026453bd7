"""Example pictures from any folder of class folders, in place of Imagenette's."""

import math
from pathlib import Path

from PIL import Image

from ...folders import class_folders
from ...model.pictures import FORMATS, fitted, load_rgb, resized
from ...names import shown
from ...scratch import scratch
from .examples import DAMAGED, PER_CLASS, Example, Gallery, name_of

SPLITS = ("val", "valid", "validation", "test")  # the first that is there is taken
IN_ALL = 300  # pictures
LONGEST = 1024  # pixels a side: no view shows more
MOST_BYTES = 500_000  # of a file that is served as it is


class OwnGallery(Gallery):
    """The examples of a folder: up to PER_CLASS a class, evenly over its files, and IN_ALL at most."""

    def __init__(self, root: str | Path):
        """
        Raises:
            FileNotFoundError: there is no such folder.
            ValueError: it holds no class folders, or no picture that can be read; says which.
        """
        self.root = validation_folder(Path(root).expanduser())
        self.folder = scratch("examples", self)
        self.note, self.settled = ("", {}), True
        found = class_folders(self.root, empty=True)
        members: dict[str, list[Path]] = {}
        for path, label in found.samples:
            members.setdefault(found.classes[label], []).append(Path(path))
        chosen = list(members)[:: max(1, math.ceil(len(members) / IN_ALL))]
        per_class = min(PER_CLASS, IN_ALL // max(1, len(chosen)))
        wanted: dict[str, tuple[Path, str]] = {}
        for label in chosen:
            files = members[label]
            for file in files[:: max(1, len(files) // per_class)][:per_class]:
                wanted[name_of(file, label, wanted)] = file, label
        self.examples, damaged = self._copies(wanted)
        for file in damaged:
            found.left_out.add(DAMAGED, file)
        found.left_out.report(self.root)
        if not self.examples:
            raise ValueError(f"{shown(self.root)} holds no picture that can be read")
        there = {example.label for example in self.examples}
        self.classes = tuple(label for label in chosen if label in there)

    def start(self) -> None:
        """There is nothing to fetch."""

    def by_id(self, name: str) -> Example | None:
        return next((example for example in self.examples if example.id == name), None)

    def opening(self) -> Example:
        return self.examples[0]

    def _copied(self, file: Path, name: str) -> Path | None:
        """As it is where that is small; else upright and without metadata, as a JPEG of at most LONGEST pixels a
        side."""
        try:
            with Image.open(file, formats=FORMATS) as opened:
                small = max(opened.size) <= LONGEST and file.stat().st_size <= MOST_BYTES
            if not small:
                picture = load_rgb(file, lambda size: fitted(size, LONGEST))
                size = fitted((picture.width, picture.height), LONGEST)
                copy = self.folder / f"{name}.jpg"
                resized(picture, size, Image.Resampling.LANCZOS).save(copy, quality=92)
                return copy
        except Exception:  # it may still be read once it is repaired
            pass
        return super()._copied(file, name)


def validation_folder(root: Path) -> Path:
    """The folder of class folders in `root`: that of a validation split where there is one, else `root` itself.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it has a training split alone.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {shown(root)}; expected one with a folder of pictures a class")
    found = next((root / split for split in SPLITS if _holds_folders(root / split)), None)
    if found is None and _holds_folders(root / "train"):
        splits = ", ".join(f"{split}/" for split in SPLITS)
        raise ValueError(f"{shown(root)} holds train/ and none of {splits}; name {shown(root / 'train')} to take that")
    return found or root


def _holds_folders(folder: Path) -> bool:
    try:
        return any(entry.is_dir() for entry in folder.iterdir())
    except OSError:
        return False
