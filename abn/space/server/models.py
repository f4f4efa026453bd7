"""Each visitor's choice of model: the default one, the bundled one, and any other that is allowed.

A choice is a name: "" for the default, "compact" for the bundled network, a Hub id, or the name of a folder,
.safetensors or .pth.tar file under the models' root. The least recently used leave memory, and later the disk; a name
brings its model back.
"""

import hashlib
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from ... import hub
from ...checkpoints import SUFFIXES
from ...explanation import Explainer
from ...folders import is_litter
from ...names import is_utf8
from ...scratch import scratch
from ..faults import Fault
from .serving import BUNDLED, HUB_ID, ZERO_GPU, Served, Serving, metrics_of, reason_of

FILES = (".safetensors", *SUFFIXES)
KEPT = 2  # models in memory beside the default and the bundled one
ON_DISK = 4  # of those fetched for visitors
LIMIT = 1_000_000_000  # bytes of weights
DEFAULT_CHOICE = ""


class Models:
    """Models by name. Safe from any thread; one model is loaded at a time."""

    def __init__(self, serving: Serving, root: str | Path | None = None):
        """Args: root: the folder whose models visitors may choose; none if None."""
        self.serving = serving
        self.root = Path(root).expanduser().resolve() if root else None
        self.fetched = scratch("models", self)
        self._held: OrderedDict[str, Served] = OrderedDict()
        self._on_disk: OrderedDict[str, None] = OrderedDict()
        self._table, self._loading = threading.Lock(), threading.Lock()

    def of(self, choice: str, report: Callable[[float], None] | None = None) -> Served:
        """The model of that name, fetched and loaded where it is not in memory.

        Args:
            report: called with the share of the weights that has been fetched, 0 to 1.

        Raises:
            ValueError: there is no such model, it is not allowed, or it cannot be had; says why.
        """
        choice = choice.strip()
        if found := self._in_memory(choice):
            return found
        with self._loading:
            if found := self._in_memory(choice):  # another visitor wanted it, too
                return found
            served = self._load(choice, report)
            with self._table:
                self._held[choice] = served
                while len(self._held) > KEPT:
                    self._held.popitem(last=False)
            if self._folder(choice).is_dir():
                self._on_disk[choice] = None
                self._on_disk.move_to_end(choice)
            while len(self._on_disk) > ON_DISK:
                shutil.rmtree(self._folder(self._on_disk.popitem(last=False)[0]), ignore_errors=True)
            return served

    def held(self, choice: str) -> Served:
        """The model of that name, if it is in memory.

        Raises:
            ValueError: it is not.
        """
        if found := self._in_memory(choice.strip()):
            return found
        raise Fault("fault_model", name=choice, reason=Fault("fault_not_in_memory"))

    def listed(self) -> list[str]:
        """The names that can be chosen without typing one."""
        with self._table:
            held = list(self._held)
        return list(dict.fromkeys([self.serving.current.name, self.serving.bundled.name, *self._local(), *held]))

    def _in_memory(self, choice: str) -> Served | None:
        """The model if it is in memory, which makes it the most recently used."""
        if choice == DEFAULT_CHOICE or choice == self.serving.current.name:
            return self.serving.current
        if choice in (BUNDLED, self.serving.bundled.name):
            return self.serving.bundled
        with self._table:
            if choice in self._held:
                self._held.move_to_end(choice)
            return self._held.get(choice)

    def _local(self) -> list[str]:
        if self.root is None or not self.root.is_dir():
            return []
        return sorted(
            path.name
            for path in self.root.iterdir()
            if not is_litter(path.name)
            and is_utf8(path.name)
            and (path.suffix in FILES or os.path.isfile(path / "config.json"))
        )

    def _load(self, choice: str, report: Callable[[float], None] | None) -> Served:
        source = Path(choice)
        try:
            if choice in self._local():
                source = self.root / choice
                weights = source if source.is_file() else source / "model.safetensors"
                if weights.is_file() and weights.stat().st_size > LIMIT:
                    raise Fault("fault_weights", limit=f"{LIMIT / 1e9:g}")
            elif HUB_ID.match(choice):
                kept = None if hub.is_cached(choice) else self._folder(choice)
                source = hub.fetch(choice, cache_dir=kept, limit=LIMIT, token=False, report=report)
            else:
                raise Fault("fault_no_model")
            device = "cpu" if ZERO_GPU else None
            return Served(choice, Explainer.from_pretrained(source, device=device), metrics=metrics_of(source))
        except Exception as error:  # whatever is wrong with it, the model in use goes on
            shutil.rmtree(self._folder(choice), ignore_errors=True)
            raise Fault("fault_model", name=choice, reason=reason_of(error, source, choice)) from None

    def _folder(self, choice: str) -> Path:
        """Where a model that a visitor chose is fetched to."""
        return self.fetched / hashlib.sha256(choice.encode()).hexdigest()  # no name leads out of `fetched`
