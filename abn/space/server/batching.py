"""Requests that wait for the same network share a forward pass.

No thread of its own and no delay: whoever finds the network free explains what of one shape waits by then, its own
picture among it or not; the others find their answers ready. Visitors take turns, and no batch takes much longer than
PATIENCE: who comes next waits for it.
"""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from ... import stopping
from ...explanation import Explainer, Explanation, Upright
from . import visitors
from .budgets import Meter, current, waiting

PATIENCE = 0.7  # seconds


@dataclass(eq=False)
class _Request:
    picture: Upright
    view: str
    shape: tuple
    visitor: str = field(default_factory=visitors.current)
    meter: Meter | None = field(default_factory=current)
    done: bool = False
    answer: Explanation | None = None
    error: BaseException | None = None


class Batcher:
    """Explains pictures one call at a time, from any thread, in batches where several wait."""

    def __init__(self, explainer: Explainer):
        self.explainer = explainer
        self._waiting: list[_Request] = []
        self._busy = False
        self._seconds: dict[tuple, float] = {}  # of a picture, by shape: what the last batch took
        self._changed = threading.Condition()

    def __call__(self, picture: Upright, view: str) -> Explanation:
        """The explanation of an upright RGB picture. Errors as `Explainer`'s: each caller gets its own."""
        shape = (view, *self.explainer.processor.geometry((picture.height, picture.width), view).crop)
        request = _Request(picture, view, shape)
        with self._changed:
            self._waiting.append(request)
        with waiting():  # each batch is counted, for all in it
            self._have_answered(request)
        if request.error is not None:
            raise request.error
        return request.answer

    def _have_answered(self, request: _Request) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: request.done or not self._busy)
                if request.done:
                    return
                self._busy, batch = True, self._next()
            try:
                began = time.perf_counter()
                with stopping.when(lambda: False):  # it is the others' too: who computes it may leave meanwhile
                    self._answer(batch)
                share = (time.perf_counter() - began) / len(batch)
                self._seconds = {**self._seconds, batch[0].shape: share} if len(self._seconds) < 100 else {}
                for one in batch:
                    if one.meter is not None:
                        one.meter.more += share
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _next(self) -> list[_Request]:
        """Every visitor's first request in their order, then every second …; of those the first and others of its
        shape, as many as PATIENCE allows, off the list."""
        places, ranked = Counter(), []
        for order, one in enumerate(self._waiting):
            ranked.append((places[one.visitor], order, one))
            places[one.visitor] += 1
        inorder = [one for *_, one in sorted(ranked, key=lambda each: each[:2])]
        shape = inorder[0].shape
        most = min(self.explainer.most(shape[1:]), max(1, int(PATIENCE / self._seconds.get(shape, 0.001))))
        batch = [one for one in inorder if one.shape == shape][:most]
        self._waiting = [one for one in self._waiting if one not in batch]
        return batch

    def _answer(self, batch: list[_Request]) -> None:
        try:
            answers = self.explainer([one.picture for one in batch], view=batch[0].view)
        except BaseException as error:
            if len(batch) > 1:  # one bad picture is not to be the others' fault
                for one in batch:
                    self._answer([one])
                return
            batch[0].error = error
        else:
            for one, answer in zip(batch, answers, strict=True):
                one.answer = answer
        for one in batch:
            one.done = True
