"""Requests that wait for the same network share a forward pass.

No thread of its own and no delay: whoever finds the network free explains everything of one shape that waits by then,
its own picture among it or not; the others find their answers ready.
"""

import threading
from dataclasses import dataclass

from ...explanation import BATCH, Explainer, Explanation, Upright


@dataclass(eq=False)
class _Request:
    picture: Upright
    view: str
    shape: tuple
    done: bool = False
    answer: Explanation | None = None
    error: BaseException | None = None


class Batcher:
    """Explains pictures one call at a time, from any thread, in batches where several wait."""

    def __init__(self, explainer: Explainer):
        self.explainer = explainer
        self._waiting: list[_Request] = []
        self._busy = False
        self._changed = threading.Condition()

    def __call__(self, picture: Upright, view: str) -> Explanation:
        """The explanation of an upright RGB picture. Errors as `Explainer`'s: each caller gets its own."""
        shape = (view, *self.explainer.processor.geometry((picture.height, picture.width), view).crop)
        request = _Request(picture, view, shape)
        with self._changed:
            self._waiting.append(request)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: request.done or not self._busy)
                if request.done:
                    break
                self._busy, batch = True, self._next()
            try:
                self._answer(batch)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
        if request.error is not None:
            raise request.error
        return request.answer

    def _next(self) -> list[_Request]:
        """The longest-waiting request and those of its shape, in their order, off the list."""
        batch = [one for one in self._waiting if one.shape == self._waiting[0].shape][:BATCH]
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
