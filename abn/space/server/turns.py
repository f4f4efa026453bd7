"""A few at a time, visitor by visitor."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

from ... import stopping
from . import visitors
from .budgets import waiting


class Turns:
    """A semaphore in which next is the visitor who holds least of it; of those, who had his turn longest ago."""

    def __init__(self, places: int):
        self._free, self._changed = places, threading.Condition()
        self._waiting: list[tuple[str, float]] = []
        self._holding: Counter[str] = Counter()
        self._served: dict[str, float] = {}

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Raises: Stopped: the visitor left while he waited."""
        mine = visitors.current(), time.monotonic()
        with waiting(), self._changed:
            self._waiting.append(mine)
            try:
                while not (self._free and min(self._waiting, key=self._rank) is mine):
                    stopping.check()
                    self._changed.wait(0.5)
                self._free -= 1
                self._holding[mine[0]] += 1
                if len(self._waiting) == 1:
                    self._served.clear()  # nobody else to be fair to
                self._served[mine[0]] = time.monotonic()
            finally:
                self._waiting.remove(mine)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._holding[mine[0]] -= 1
                if not self._holding[mine[0]]:
                    del self._holding[mine[0]]
                self._changed.notify_all()

    def _rank(self, one: tuple[str, float]) -> tuple:
        visitor, since = one
        return self._holding[visitor], self._served.get(visitor, 0.0), since
