"""The gallery's pictures under a model: explained once, for all visitors."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from ...explanation import BATCH, Explanation
from ...model.image_processing_abn import Geometry
from .budgets import waiting
from .examples import Example
from .serving import Served

KEPT = 2  # models


@dataclass(frozen=True, eq=False)
class Entry:
    """One picture and what the model made of it. grid, geometry: its map, as `Explanation`'s. truth: the model's name
    for its class; None where the model has no such class: then it is neither right nor wrong."""

    example: Example
    label: str
    confidence: float
    grid: np.ndarray = field(repr=False)
    geometry: Geometry = field(repr=False)
    truth: str | None

    @property
    def known(self) -> bool:
        return self.truth is not None

    @property
    def right(self) -> bool:
        return self.label == self.truth

    @property
    def wrong(self) -> bool:
        return self.known and not self.right


class Explained:
    """The gallery under a model, computed once in batches and kept; the newest two of them."""

    def __init__(self):
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple, list[Entry]] = OrderedDict()

    def entries(self, served: Served, examples: Sequence[Example]) -> Iterator[list[Entry]]:
        """Yields what is explained so far, growing; the last is the whole. Visitors share the work."""
        key = (served.name, examples[0].path, len(examples))
        with self._turn():
            found = self._kept.setdefault(key, [])
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        while True:
            with self._turn():
                batch = examples[len(found) : len(found) + BATCH]
                if batch:
                    made = served.lasting([example.path for example in batch], view="whole")
                    found += [_entry(served, *pair) for pair in zip(batch, made, strict=True)]
                so_far = list(found)
            yield so_far
            if len(so_far) == len(examples):
                return

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The time that one waits for it is not spent on one's own request."""
        with waiting():
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()


def _entry(served: Served, example: Example, explanation: Explanation) -> Entry:
    return Entry(
        example,
        explanation.label,
        explanation.probabilities[explanation.label],
        explanation.grid,
        explanation.geometry,
        class_of(served, example.label),
    )


def class_of(served: Served, name: str) -> str | None:
    """What a model calls the class of that name or alias; None where it has no such class, or several."""
    found = served.explainer.indices.get(name, ())
    return served.explainer.labels[found[0]] if len(found) == 1 else None
