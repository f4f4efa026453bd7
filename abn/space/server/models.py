"""Each visitor's choice of model: the default one, the bundled one, and any other that is allowed.

A choice is a name: "" for the default, "compact" for the bundled network, a Hub id, or the name of a folder,
.safetensors or .pth.tar file under the models' root. The least recently used leave memory, and later the disk; a name
brings its model back.
"""

import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

from huggingface_hub import constants

from ... import hub, stopping
from ...checkpoints import SUFFIXES
from ...explanation import Explainer
from ...folders import is_litter
from ...names import is_utf8
from ...scratch import scratch
from ..faults import Fault
from . import limits, visitors
from .budgets import HOUR, LOADS, Bucket, waiting
from .metrics_file import metrics_of
from .serving import BUNDLED, HUB_ID, ZERO_GPU, Served, Serving, reason_of
from .trial import tried

FILES = (".safetensors", *SUFFIXES)
KEPT = 2  # models in memory beside the default and the bundled one
ON_DISK = 4  # of those fetched for visitors
LIMIT = 1_000_000_000  # bytes of weights
DEFAULT_CHOICE = ""
REMEMBERED = 1000  # refusals


class Models:
    """Models by name. Safe from any thread. Who wants a model that is being loaded waits for that; nobody else does."""

    def __init__(self, serving: Serving, root: str | Path | None = None):
        """Args: root: the folder whose models visitors may choose; none if None."""
        self.serving = serving
        self.root = Path(root).expanduser().resolve() if root else None
        self.fetched = scratch("models", self)
        self._held: OrderedDict[str, Served] = OrderedDict()
        self._on_disk: OrderedDict[str, None] = OrderedDict()
        self._table, self._one = threading.Lock(), threading.Semaphore(1)
        self._locks: dict[str, threading.Lock] = {}
        self._waits: Counter[str] = Counter()  # requests that load or wait for it, by visitor
        self._refused: OrderedDict[str, tuple[Fault, float]] = OrderedDict()
        self._often = Bucket(limits.LOADS_OF_A_MODEL, HOUR)

    def of(self, choice: str, report: Callable[[float], None] | None = None) -> Served:
        """The model of that name, fetched and loaded where it is not in memory.

        Args:
            report: called with the share of the weights that has been fetched, 0 to 1.

        Raises:
            ValueError: there is no such model, it is not allowed, or it cannot be had; says why.
            Stopped: the visitor left meanwhile.
        """
        choice = str(choice).strip()
        if found := self._in_memory(choice):
            return found
        self._check(choice)
        with self._place(choice) as lock, _in_turn(lock):
            if found := self._in_memory(choice):  # another visitor wanted it, too
                return found
            self._check(choice)
            if self._is_strangers(choice):
                self._spend(choice)
            served = self._load(choice, report)
            with self._table:
                self._held[choice] = served
                self._make_room()
            if self._folder(choice).is_dir():
                self._on_disk[choice] = None
                self._on_disk.move_to_end(choice)
            while len(self._on_disk) > ON_DISK:
                shutil.rmtree(self._folder(self._on_disk.popitem(last=False)[0]), ignore_errors=True)
            return served

    def _check(self, choice: str) -> None:
        """Raises: Fault: it was refused a short while ago, or never could be had."""
        with self._table:
            refused, since = self._refused.get(choice, (None, 0.0))
        if refused is not None and time.monotonic() - since < limits.REFUSAL_SECONDS:
            raise refused
        if not (choice in self._local() or self._is_strangers(choice)):
            raise Fault("fault_model", name=choice[:100], reason=_unknown(choice))

    def _is_strangers(self, choice: str) -> bool:
        """Whether it is fetched from the Hub. Where that is not asked, its cache is its owner's, and no visitor's."""
        return choice not in self._local() and HUB_ID.match(choice) is not None and not constants.HF_HUB_OFFLINE

    @contextlib.contextmanager
    def _place(self, choice: str) -> Iterator[threading.Lock]:
        """Inside, this request is one of those that load: the lock of the model. Others answer meanwhile.

        Raises: Fault: there are too many of them.
        """
        visitor = visitors.current()
        with self._table:
            own = self._waits[visitor] if visitor != visitors.NOBODY else 0
            if own >= limits.LOADING_A_VISITOR or self._waits.total() >= limits.LOADING_IN_ALL:
                raise Fault("fault_model", name=choice, reason=Fault("stranger_busy"))
            self._waits[visitor] += 1
            lock = self._locks.setdefault(choice, threading.Lock())
        try:
            yield lock
        finally:
            with self._table:
                self._waits[visitor] -= 1
                if not self._waits.total():
                    self._waits.clear()
                    self._locks.clear()

    def _spend(self, choice: str) -> None:
        """Raises: Fault: the visitor, or all together, had it loaded too often."""
        if not LOADS.take(visitors.current()):
            raise Fault("fault_model", name=choice, reason=Fault("stranger_many"))
        if not self._often.take(choice):
            raise Fault("fault_model", name=choice, reason=Fault("stranger_often"))

    def _make_room(self) -> None:
        while len(self._held) > 1 and (
            len(self._held) > KEPT or sum(map(bytes_of, self._held.values())) > limits.HELD_BYTES
        ):
            self._held.popitem(last=False)

    def _refuse(self, choice: str, fault: Fault) -> None:
        with self._table:
            self._refused[choice] = fault, time.monotonic()
            while len(self._refused) > REMEMBERED:
                self._refused.popitem(last=False)

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
            elif self._is_strangers(choice):
                kept = None if hub.is_cached(choice) else self._folder(choice)
                with waiting():
                    source = hub.fetch(choice, cache_dir=kept, limit=LIMIT, token=False, report=report)
            else:
                raise _unknown(choice)
            device = "cpu" if ZERO_GPU else None
            with _in_turn(self._one):  # of several, one at a time comes into memory
                if self._is_strangers(choice):
                    tried(source)
                return Served(choice, Explainer.from_pretrained(source, device=device), metrics=metrics_of(source))
        except stopping.Stopped:
            raise
        except Exception as error:  # whatever is wrong with it, the model in use goes on
            if self._is_strangers(choice):
                shutil.rmtree(self._folder(choice), ignore_errors=True)
            fault = Fault("fault_model", name=choice, reason=reason_of(error, source, choice))
            if self._is_strangers(choice):
                self._refuse(choice, fault)
            raise fault from None

    def _folder(self, choice: str) -> Path:
        """Where a model that a visitor chose is fetched to."""
        return self.fetched / hashlib.sha256(choice.encode()).hexdigest()  # no name leads out of `fetched`


def _unknown(choice: str) -> Fault:
    """Why a name is no model's that can be had."""
    unasked = constants.HF_HUB_OFFLINE and HUB_ID.match(choice)
    return Fault("fault_hub_not_asked" if unasked else "fault_no_model")


@contextlib.contextmanager
def _in_turn(lock) -> Iterator[None]:
    """Hold a lock; a visitor who leaves while he waits for it stops waiting."""
    with waiting():
        while not lock.acquire(timeout=0.5):
            stopping.check()
    try:
        yield
    finally:
        lock.release()


def bytes_of(served: Served) -> int:
    """What its weights take in memory."""
    return sum(tensor.numel() * tensor.element_size() for tensor in served.explainer.model.state_dict().values())
