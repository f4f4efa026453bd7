"""Folders of pictures: which files are pictures, which folders are classes, and what is left out.

The one place that walks them, for training, evaluation, plots, measures and the Space. Links are followed, as
torchvision's ImageFolder does; a link that leads back to a folder above it is not.
"""

import io
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image

from .model import pictures
from .model.picture_repair import can_repair, repaired
from .names import is_utf8, nfc, shown

LITTER = frozenset(  # beside what begins with a dot: what systems leave in folders, in lower case
    (
        "__macosx",
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "icon\r",
        "@eadir",
        "#recycle",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "__pycache__",
    )
)
ALIASES = frozenset((".jif", ".jfi", ".pjpeg", ".pjp", ".mpo"))  # read as JPEG, and not listed as such by Pillow
HEIF = frozenset((".heic", ".heif", ".hif", ".heics", ".heifs"))
UNTOLD = frozenset(("", ".dib"))  # endings that do not say whether `load_rgb` reads the file
NAMED = 3  # files of each kind, in a message

HIDDEN = "hidden or a system's own"
NO_PICTURE = "not a picture that can be read"
NEEDS_HEIF = "HEIC, which needs pillow-heif (pip install pillow-heif)"
NO_FILE = "a link to nothing, or no regular file"
CLOSED = "cannot be opened"
LOOP = "a link to a folder above it"
BESIDE = "beside the class folders"
NO_CLASS = "no class of this data set"


@cache
def endings() -> frozenset[str]:
    """The endings of files that `pictures.load_rgb` reads, in lower case."""
    known = Image.registered_extensions().items()
    return frozenset(ending for ending, name in known if name in pictures.FORMATS) | ALIASES


def is_picture(file: str | Path) -> bool:
    """Whether a file is one of the pictures of a data set: `load_rgb` reads its kind, which its ending says or, without
    one, its first bytes; and it is not litter. It may still be damaged."""
    return fault_of(file) is None


def fault_of(file: str | Path) -> str | None:
    """Why a file is none of the pictures (see `is_picture`); None where it is one."""
    name = os.path.basename(file)
    if is_litter(name):
        return HIDDEN
    return _fault_of_kind(name, file) if os.path.isfile(file) else NO_FILE


def _fault_of_kind(name: str, file: str | Path) -> str | None:
    ending = os.path.splitext(name)[1].lower()
    if ending in endings() or (ending in UNTOLD and _begins_as_a_picture(file)):
        return None
    return NEEDS_HEIF if ending in HEIF else NO_PICTURE


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is never data: hidden, or left by a system (Thumbs.db, __MACOSX, …)."""
    return name.startswith(".") or name.casefold() in LITTER


def _begins_as_a_picture(file: str | Path) -> bool:
    """As `load_rgb` would see it: one that is too large is a picture, and so is one that opens once it is repaired."""
    if _opens(file):
        return True
    try:
        with open(file, "rb") as opened:
            content = opened.read(64)
            content += opened.read() if can_repair(content) else b""
    except OSError:
        return False
    return any(_opens(io.BytesIO(mended)) for mended, _ in repaired(content))


def _opens(file: str | Path | io.BytesIO) -> bool:
    try:
        with Image.open(file, formats=pictures.FORMATS):
            return True
    except Image.DecompressionBombError:
        return True
    except Exception:  # Pillow raises what it likes
        return False


@dataclass
class LeftOut:
    """What a walk did not take: reason -> paths. A folder that is left out counts as one."""

    found: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))

    def add(self, reason: str, path: str | Path) -> None:
        self.found[reason].append(Path(path))

    def __len__(self) -> int:
        return sum(map(len, self.found.values()))

    def __iter__(self) -> Iterator[tuple[str, Path]]:
        return ((reason, path) for reason, paths in self.found.items() for path in paths)

    def words(self, folder: str | Path, below: str | Path | None = None) -> str:
        """How many, why, and which first, relative to `folder`; of those below `below` alone, where it is given."""
        parts = []
        for reason, paths in self.found.items():
            kept = [path for path in paths if below is None or Path(below) in (path, *path.parents)]
            names = [shown(os.path.relpath(path, folder)) for path in kept[:NAMED]] + ["…"] * (len(kept) > NAMED)
            if kept:
                parts.append(f"{len(kept)} {reason} ({', '.join(names)})")
        return "; ".join(parts)

    def report(self, folder: str | Path) -> None:
        """Name it on the terminal, in one line; of several processes, the first does."""
        if self and os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"left out of {shown(folder)}: {self.words(folder)}", file=sys.stderr, flush=True)


def pictures_in(folder: str | Path, left_out: LeftOut) -> list[str]:
    """The paths of the pictures of a folder and the folders in it, sorted; `left_out` takes the rest."""
    above = tuple(map(_identity, Path(os.path.realpath(folder)).parents))
    return sorted(_walk(str(folder), above, left_out), key=lambda path: path.split(os.sep))


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _walk(folder: str, above: tuple, left_out: LeftOut) -> list[str]:
    try:
        own = _identity(folder)
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        left_out.add(CLOSED, folder)
        return []
    if own in above:
        left_out.add(LOOP, folder)
        return []
    files = []
    for entry in entries:
        if is_litter(entry.name):
            left_out.add(HIDDEN, entry.path)
        elif _is(entry.is_dir):
            files += _walk(entry.path, (*above, own), left_out)
        elif fault := _fault_of_kind(entry.name, entry.path) if _is(entry.is_file) else NO_FILE:
            left_out.add(fault, entry.path)
        else:
            files.append(entry.path)
    return files


def _is(question: Callable[[], bool]) -> bool:
    """What a directory's entry says of itself: quicker than asking the file. A link that leads round in circles raises
    an error instead."""
    try:
        return question()
    except OSError:
        return False


@dataclass(frozen=True)
class ClassFolders:
    """classes: names by index; samples: (path, class index) pairs, class by class; left_out: what was not taken."""

    classes: tuple[str, ...]
    samples: list[tuple[str, int]]
    left_out: LeftOut


def class_folders(
    folder: str | Path, *, least: int = 1, only: Sequence[str] | None = None, empty: bool = False
) -> ClassFolders:
    """A folder with a folder of pictures a class. Folders whose names differ in their normal form alone are one class.

    Args:
        least: how many classes there must be.
        only: these classes, in this order, and no others.
        empty: a class may be without a picture, or missing.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: too few classes; a class without a picture, or whose name is not UTF-8; names it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {shown(folder)}; expected one with a folder of pictures a class")
    left_out, members = LeftOut(), defaultdict(list)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise FileNotFoundError(f"the folder {shown(folder)} cannot be opened: {error.strerror}") from None
    for entry in entries:
        if is_litter(entry.name):
            left_out.add(HIDDEN, entry.path)
        elif not os.path.isdir(entry.path):
            left_out.add(BESIDE, entry.path)
        elif only is not None and nfc(entry.name) not in only:
            left_out.add(NO_CLASS, entry.path)
        elif not is_utf8(entry.name):
            raise ValueError(f"the name of the class folder {shown(entry.path)} is not UTF-8; rename it")
        else:
            members[nfc(entry.name)].append(entry.path)
    classes = tuple(sorted(members)) if only is None else tuple(only)
    if len(classes) < least:
        count = "two or more" if least == 2 else f"{least} or more"
        raise ValueError(f"{shown(folder)} must hold a folder a class, {count}; it holds {len(classes)}")
    samples = []
    for label, name in enumerate(classes):
        files = [file for part in members.get(name, ()) for file in pictures_in(part, left_out)]
        if not files and not empty:
            place = Path(members[name][0]) if name in members else folder / name
            rest = left_out.words(place, below=place)
            more = f"; left out: {rest}" if rest else ""
            raise ValueError(f"the class folder {shown(place)} holds no picture{more}")
        samples += [(file, label) for file in files]
    return ClassFolders(classes, samples, left_out)
