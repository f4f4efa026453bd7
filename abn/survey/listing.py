"""Which pictures a survey is of, and what their folders and tables tell of them."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..decoding import Samples
from ..folders import CLOSED, HIDDEN, NO_FILE, LeftOut, fault_of, is_litter, pictures_in
from ..metadata import TABLES, labelled, metadata_of
from ..names import nfc, shown
from ..splits import NAMES, SPLIT_OF, base_of, folders_in, splits_in

PACKED = ("parquet", "arrow", "zip", "tar", "tar.gz", "tgz")  # in which many data sets come


class Listing:
    """The pictures below a folder, in the order of their paths. It holds paths as bytes: a million take 0.1 GB.

    root: the folder, as it was named. classes: the names that folders or tables tell, by index. left_out: what is not
    taken.
    """

    def __init__(self, root: str | Path, split: str | None = None):
        """
        Args:
            split: "train", "val" or "test"; None: all pictures.

        Raises:
            FileNotFoundError: there is no such folder, or no such split.
            ValueError: it holds no picture; or a table that is not of the form.
        """
        self.root = Path(root)
        if not self.root.is_dir():
            raise FileNotFoundError(f"there is no folder {shown(root)}")
        self.base, self.left_out = _base_of(self.root), LeftOut()
        splits = splits_in(self.base)
        if split is not None and split not in splits:
            there = f"; it has {', '.join(splits)}" if splits else ""
            raise FileNotFoundError(f"{shown(root)} has no {split} split (a folder {' or '.join(NAMES[split])}){there}")
        self.has_splits, self.only = bool(splits), split
        self._index: dict[str, int] = {}
        self._tables = _tables(self.base, splits)
        self.samples = Samples(self._found())
        self.classes = tuple(self._index)
        if not len(self.samples):
            raise ValueError(f"{shown(root)} holds no picture{self._instead()}")

    def __len__(self) -> int:
        return len(self.samples)

    def path(self, place: int) -> str:
        return os.path.join(self.root, self.samples[place][0])

    def below(self, place: int) -> str:
        """The path below `root`, with / between folders."""
        return self.samples[place][0].replace(os.sep, "/")

    def true_class(self, place: int) -> str | None:
        """What the folder or the table says the picture shows; None where neither does."""
        label = self.samples[place][1]
        return self.classes[label] if label >= 0 else None

    def split(self, place: int) -> str | None:
        return self._split_of(self.path(place))

    def mark(self) -> str:
        """A mark of the list: other pictures, another order or other classes have another."""
        digest = hashlib.sha256("\0".join(self.classes).encode("utf-8", "surrogateescape"))
        for part in (self.samples.paths, self.samples.ends, self.samples.labels.numpy()):
            digest.update(part.tobytes())
        return digest.hexdigest()[:16]

    def _found(self) -> Iterator[tuple[str, int]]:
        """(path below `root`, class index or -1), folder by folder: never all paths at once."""
        for path in self._walk(self.base, self.has_splits):
            if self.only is None or self._split_of(path) == self.only:
                name = self._class_of(path)
                label = -1 if name is None else self._index.setdefault(name, len(self._index))
                yield os.path.relpath(path, self.root), label

    def _walk(self, folder: Path, deeper: bool) -> Iterator[str]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            self.left_out.add(CLOSED, folder)
            return
        for entry in entries:
            if is_litter(entry.name):
                self.left_out.add(HIDDEN, entry.path)
            elif os.path.isdir(entry.path):
                if deeper and entry.name.casefold() in SPLIT_OF:
                    yield from self._walk(Path(entry.path), False)
                else:
                    yield from pictures_in(entry.path, self.left_out)
            elif entry.name not in TABLES:
                if fault := fault_of(entry.path) if os.path.isfile(entry.path) else NO_FILE:
                    self.left_out.add(fault, entry.path)
                else:
                    yield entry.path

    def _split_of(self, path: str) -> str | None:
        parts = os.path.relpath(path, self.base).split(os.sep)
        return SPLIT_OF.get(parts[0].casefold()) if self.has_splits and len(parts) > 1 else None

    def _class_of(self, path: str) -> str | None:
        if self._tables:
            return self._tables.get(os.path.normpath(path))
        parts = os.path.relpath(path, self.base).split(os.sep)
        parts = parts[1:] if self._split_of(path) else parts
        return nfc(parts[0]) if len(parts) > 1 else None

    def _instead(self) -> str:
        packed = sorted(path.name for kind in PACKED for path in self.base.glob(f"*.{kind}"))
        if packed:
            return f", but {shown(packed[0])}, which is not read: save its pictures in a folder a class"
        return f"; left out: {self.left_out.words(self.root)}" if self.left_out else ""


def _base_of(root: Path) -> Path:
    """As `splits.base_of`; but `root` where pictures lie in the folders above that: none is to be left out."""
    base = folder = base_of(root)
    while folder != root:
        folder = folder.parent
        if any(fault_of(entry.path) is None for entry in os.scandir(folder) if entry.is_file()):
            return root
    return base


def _tables(base: Path, splits: dict[str, Path]) -> dict[str, str]:
    """Picture's path -> class, of the tables of labels in a folder and its splits."""
    found = {}
    for folder in (base, *splits.values(), *folders_in(base)):
        if (table := metadata_of(folder)) is not None:
            found |= {os.path.normpath(path): name for path, name in labelled(table)[0].items()}
    return found
