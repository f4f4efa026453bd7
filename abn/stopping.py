"""Long work that nobody waits for any more stops between two forward passes."""

import contextlib
import contextvars
from collections.abc import Callable, Generator

_UNWANTED: contextvars.ContextVar[Callable[[], bool]] = contextvars.ContextVar("unwanted", default=lambda: False)


class Stopped(Exception):
    """Nobody wants the answer."""


@contextlib.contextmanager
def when(unwanted: Callable[[], bool]) -> Generator[None]:
    """Inside, and in threads that this context is copied to, `check` asks `unwanted`."""
    token = _UNWANTED.set(unwanted)
    try:
        yield
    finally:
        _UNWANTED.reset(token)


def check() -> None:
    """Raises: Stopped: the work that this code does is not wanted any more."""
    if _UNWANTED.get()():
        raise Stopped()
