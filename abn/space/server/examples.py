"""The example pictures: Imagenette's validation split where it is at hand, else pictures drawn by this project.

The gallery is never empty and never blocks: drawn pictures are there at once, real ones take their place when the data
has been found or downloaded.
"""

import filecmp
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants
from PIL import Image

from ... import imagenette
from ...model.pictures import load_rgb
from ...names import shown
from ...scratch import scratch
from ...survey.folder import GROUPS
from ..drawings import DRAWINGS

PER_CLASS = 30
FIRST = 10  # of a class, under Explain
IN_ROW = 40  # classes there
DRAWN = "-drawn"
IN_BROWSERS = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".avif")
DAMAGED = "damaged"
OPENING = "chain saw"  # the class of the example that the page opens with


@dataclass(frozen=True)
class Example:
    """A picture of a known class. `path` lies in a folder that the app made and may serve. groups: of a survey, and the
    picture's rank in each."""

    path: str
    label: str
    drawn: bool
    groups: tuple[tuple[str, int], ...] = ()

    @property
    def id(self) -> str:
        """The file's name without its ending: the same on every machine with the same pictures."""
        return Path(self.path).stem


class Gallery:
    """Holds the examples in use. `examples` changes at most once, as a whole."""

    classes: tuple[str, ...] = imagenette.CLASSES

    def __init__(self, root: str | Path, *, may_download: bool = True):
        """Args: root: where Imagenette lies, or is downloaded to (the 160px archive, 100 MB)."""
        self.root = Path(root)
        self.folder = scratch("examples", self)
        self.may_download = may_download and not constants.HF_HUB_OFFLINE
        self.note: tuple[str, dict] = "", {}  # what is said of the examples: a key of the catalogues, and its values
        self.settled = imagenette.find(self.root) is not None
        found = self._whatever_is_there() if self.settled else []
        self.examples = found or self._drawn()
        if self.settled and not found:
            self.note = "drawings_unreadable", {}

    def by_id(self, name: str) -> Example | None:
        """The example of an id. Drawings are there whatever the examples are."""
        if name.endswith(DRAWN) and self.real:
            return next((example for example in self._drawn() if example.id == name), None)
        return next((example for example in self.examples if example.id == name), None)

    def id_of(self, path: str) -> str | None:
        """The id of the example that a file is a copy of; None where it is none."""
        example = self.by_id(Path(path).stem)
        return example.id if example is not None and filecmp.cmp(path, example.path, shallow=False) else None

    @property
    def groups(self) -> list[str]:
        """Of a survey, those that have a picture here."""
        there = {name for example in self.examples for name, _ in example.groups}
        return [name for name in GROUPS if name in there]

    @property
    def real(self) -> bool:
        return not all(example.drawn for example in self.examples)

    def start(self) -> None:
        """Fetch the data in the background if it is missing."""
        if self.settled:
            return
        if not self.may_download:
            self._settle("drawings_offline")
            return
        self.note = "drawings_meanwhile", {"share": ""}
        threading.Thread(target=self._bring, name="imagenette", daemon=True).start()

    def of_class(self, label: str | None) -> list[Example]:
        """The first examples of a class; for None the very first of each, of IN_ROW classes at most."""
        if label is None:
            first = {example.label: example for example in reversed(self.examples)}
            return [first[name] for name in self.classes if name in first][:IN_ROW]
        return [example for example in self.examples if example.label == label][:FIRST]

    def opening(self) -> Example:
        return self.of_class(OPENING)[0]

    def _bring(self) -> None:
        try:
            imagenette.fetch(self.root, "160px", report=self._report)
            self.examples = self._whatever_is_there() or self.examples
        except Exception as error:  # whatever went wrong, the drawings stay
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            self._settle("drawings_failed")
            print(f"Imagenette could not be downloaded: {reason}", flush=True)
            return
        self._settle("")

    def _report(self, share: float) -> None:
        self.note = "drawings_meanwhile", {"share": f" ({share:.0%})"}

    def _settle(self, note: str) -> None:
        self.note = note, {}
        self.settled = True

    def _whatever_is_there(self) -> list[Example]:
        """The real examples; none where their folder cannot be read: no file in it may keep the Space from starting."""
        try:
            return self._real()
        except (OSError, ValueError) as error:
            print(f"Imagenette at {shown(self.root)} cannot be read: {shown(error)}", flush=True)
            return []

    def _real(self) -> list[Example]:
        """PER_CLASS pictures a class, evenly over the validation split, copied to where they may be served. A class
        without a picture that can be read has its drawing; no examples where every class is without one."""
        data = imagenette.load(self.root, "val", empty=True)
        wanted: dict[str, tuple[Path, str]] = {}
        for index, label in enumerate(imagenette.CLASSES):
            files = sorted(path for path, target in data._samples if target == index)
            for file in files[:: max(1, len(files) // PER_CLASS)][:PER_CLASS]:
                wanted[name_of(Path(file), label, wanted)] = Path(file), label
        examples, damaged = self._copies(wanted)
        for file in damaged:
            data.left_out.add(DAMAGED, file)
        data.left_out.report(data._image_root)
        found = {example.label for example in examples}
        examples += [example for example in self._drawn() if example.label not in found] if found else []
        return sorted(examples, key=lambda example: imagenette.CLASSES.index(example.label))

    def _copies(self, wanted: dict[str, tuple[Path, str]]) -> tuple[list[Example], list[Path]]:
        """The examples of pictures, and those that cannot be read. wanted: a copy's name -> (file, label)."""
        with ThreadPoolExecutor(4) as pool:
            copies = list(pool.map(self._copied, [file for file, _ in wanted.values()], wanted))
        pairs = list(zip(copies, wanted.values(), strict=True))
        examples = [Example(str(copy), label, False) for copy, (_, label) in pairs if copy]
        return examples, [file for copy, (file, _) in pairs if copy is None]

    def _copied(self, file: Path, name: str) -> Path | None:
        """A copy that browsers show; None where the picture cannot be read, whatever its fault."""
        copy = self.folder / f"{name}{file.suffix if file.suffix.lower() in IN_BROWSERS else '.png'}"
        try:
            if copy.suffix != file.suffix:
                load_rgb(file).save(copy)
                return copy
            shutil.copyfile(file, copy)
            with Image.open(copy) as opened:
                opened.draft("RGB", (1, 1))  # a JPEG's small version is read in a fraction of the time
                opened.load()
            return copy
        except Exception:  # Pillow's decoders raise what they like
            copy.unlink(missing_ok=True)
            return None

    def _drawn(self) -> list[Example]:
        examples = []
        for label, drawing in DRAWINGS.items():
            file = self.folder / f"{label.replace(' ', '-')}{DRAWN}.jpg"
            if not file.is_file():  # a visitor may be reading it
                with Image.open(drawing) as picture:  # 0.2 MB, a quarter of it as a JPEG
                    picture.save(file, quality=90, subsampling=0)
            examples.append(Example(str(file), label, drawn=True))
        return examples


def name_of(file: Path, label: str, taken: Container[str]) -> str:
    """The name of a picture's copy: its class and its own name, each where it is plain, else a mark in its place; with
    a mark behind it where it is taken by another file (of another folder, or in another format)."""
    name = f"{_plain(label.replace(' ', '-'), label, 60)}-{_plain(file.stem, file.name, 100)}"
    return f"{name}-{_mark(str(file))[:8]}" if name in taken else name


def _plain(text: str, whole: str, most: int) -> str:
    """The text, where it is short and of plain letters; else a mark of `whole`."""
    return text if re.fullmatch(rf"[\w.-]{{1,{most}}}", text, re.ASCII) else _mark(whole)


def _mark(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
