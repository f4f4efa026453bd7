"""The example pictures: Imagenette's validation split where it is at hand, else pictures drawn by this project.

The gallery is never empty and never blocks: drawn pictures are there at once, real ones take their place when the data
has been found or downloaded.
"""

import filecmp
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants

from .. import imagenette
from .drawings import DRAWINGS, painted
from .words import both

PER_CLASS = 30
FIRST = 10  # of a class, under Explain
DRAWN = "-drawn"
OPENING = "chain saw"  # the class of the example that the page opens with


@dataclass(frozen=True)
class Example:
    """A picture of a known class. `path` lies in a folder that the app made and may serve."""

    path: str
    label: str
    drawn: bool

    @property
    def id(self) -> str:
        """The file's name without its ending: the same on every machine with the same pictures."""
        return Path(self.path).stem


class Gallery:
    """Holds the examples in use. `examples` changes at most once, as a whole."""

    def __init__(self, root: str | Path, *, may_download: bool = True):
        """Args: root: where Imagenette lies, or is downloaded to (the 160px archive, 100 MB)."""
        self.root = Path(root)
        self.folder = Path(tempfile.mkdtemp(prefix="abn-examples-"))
        self.may_download = may_download and not constants.HF_HUB_OFFLINE
        self.note = ""
        found = self._real() if imagenette.find(self.root) else []
        self.examples = found or self._drawn()
        self.settled = bool(found)

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
    def real(self) -> bool:
        return not self.examples[0].drawn

    def start(self) -> None:
        """Fetch the data in the background if it is missing."""
        if self.settled:
            return
        if not self.may_download:
            self._settle(both("drawings_offline"))
            return
        self.note = both("drawings_meanwhile", share="")
        threading.Thread(target=self._bring, name="imagenette", daemon=True).start()

    def of_class(self, label: str | None) -> list[Example]:
        """The first examples of a class; the very first of each for None."""
        if label is None:
            first = {example.label: example for example in reversed(self.examples)}
            return [first[name] for name in imagenette.CLASSES if name in first]
        return [example for example in self.examples if example.label == label][:FIRST]

    def opening(self) -> Example:
        return self.of_class(OPENING)[0]

    def _bring(self) -> None:
        try:
            imagenette.fetch(self.root, "160px", report=self._report)
            self.examples = self._real() or self.examples
        except Exception as error:  # whatever went wrong, the drawings stay
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            self._settle(both("drawings_failed"))
            print(f"Imagenette could not be downloaded: {reason}", flush=True)
            return
        self._settle("")

    def _report(self, share: float) -> None:
        self.note = both("drawings_meanwhile", share=f" ({share:.0%})")

    def _settle(self, note: str) -> None:
        self.note = note
        self.settled = True

    def _real(self) -> list[Example]:
        """PER_CLASS pictures a class, evenly over the validation split, copied to where they may be served."""
        samples = imagenette.load(self.root, "val")._samples
        examples = []
        for index, label in enumerate(imagenette.CLASSES):
            files = sorted(path for path, target in samples if target == index)
            for file in files[:: max(1, len(files) // PER_CLASS)][:PER_CLASS]:
                copy = self.folder / f"{label.replace(' ', '-')}-{Path(file).name}"
                shutil.copyfile(file, copy)
                examples.append(Example(str(copy), label, drawn=False))
        return examples

    def _drawn(self) -> list[Example]:
        examples = []
        for label in DRAWINGS:
            file = self.folder / f"{label.replace(' ', '-')}{DRAWN}.png"
            if not file.is_file():  # a visitor may be reading it
                shutil.copyfile(painted(label), file)
            examples.append(Example(str(file), label, drawn=True))
        return examples
