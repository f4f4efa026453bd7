"""What each visitor has left to spend, and the seconds that a request computes."""

import contextlib
import contextvars
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from . import visitors
from .limits import (
    BODY_BYTES_A_MINUTE,
    LOADS_AN_HOUR,
    REQUESTS_A_MINUTE,
    SECONDS_A_MINUTE,
    SECONDS_SAVED,
    SESSIONS_A_MINUTE,
    SHARES_AN_HOUR,
    UPLOADED_AN_HOUR,
)

HOUR = 3600.0
REMEMBERED = 10_000  # visitors; who was not seen for longest has a full budget again


class Bucket:
    """An amount for each visitor that fills up by itself. Safe from any thread.

    Example:
        >>> shares = Bucket(60, 3600)  # 60 an hour
        >>> shares.take("192.0.2.1")
        True
    """

    def __init__(self, amount: float, seconds: float, most: float | None = None, now: Callable = time.monotonic):
        """Args: amount: what comes in so many `seconds`. most: what can be saved up; `amount` if None."""
        self.rate, self.most, self._now = amount / seconds, amount if most is None else most, now
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def left(self, visitor: str) -> float:
        """Below zero where more was spent than there was."""
        amount, since = self._held.get(visitor, (self.most, 0.0))
        return min(self.most, amount + (self._now() - since) * self.rate)

    def spend(self, visitor: str, amount: float) -> None:
        """Take it, whether there is as much or not: it has been spent already."""
        with self._lock:
            self._held[visitor] = self.left(visitor) - amount, self._now()
            self._held.move_to_end(visitor)
            while len(self._held) > REMEMBERED:
                self._held.popitem(last=False)

    def take(self, visitor: str, amount: float = 1.0) -> bool:
        """Take it if there is as much."""
        with self._lock:
            left = self.left(visitor)
        if left < amount:
            return False
        self.spend(visitor, amount)
        return True

    def wait(self, visitor: str, amount: float = 0.0) -> float:
        """Seconds until there is as much."""
        return max(0.0, (amount - self.left(visitor)) / self.rate)


SECONDS = Bucket(SECONDS_A_MINUTE, 60.0, SECONDS_SAVED)
REQUESTS = Bucket(REQUESTS_A_MINUTE, 60.0)
SESSIONS = Bucket(SESSIONS_A_MINUTE, 60.0, 2 * SESSIONS_A_MINUTE)
BODIES = Bucket(BODY_BYTES_A_MINUTE, 60.0, 2 * BODY_BYTES_A_MINUTE)
UPLOADS = Bucket(UPLOADED_AN_HOUR, HOUR)
LOADS = Bucket(LOADS_AN_HOUR, HOUR)
SHARES = Bucket(SHARES_AN_HOUR, HOUR)


class Meter:
    """What one request computes. began: when it started; idle: seconds of it that it waited for others."""

    def __init__(self, visitor: str):
        self.visitor, self.began, self.idle, self.more = visitor, time.monotonic(), 0.0, 0.0

    @property
    def spent(self) -> float:
        return max(0.0, time.monotonic() - self.began - self.idle) + self.more


_METER: contextvars.ContextVar[Meter | None] = contextvars.ContextVar("meter", default=None)


@contextlib.contextmanager
def spending(visitor: str | None = None) -> Iterator[Meter]:
    """Inside, the seconds that pass are the visitor's, but those in `waiting`. Within another, it is that one's."""
    outer = _METER.get()
    if outer is not None:
        yield outer
        return
    meter = Meter(visitors.current() if visitor is None else visitor)
    token = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(token)
        SECONDS.spend(meter.visitor, meter.spent)


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Inside, nothing is computed for this request."""
    meter, began = _METER.get(), time.monotonic()
    try:
        yield
    finally:
        if meter is not None:
            meter.idle += time.monotonic() - began


def current() -> Meter | None:
    """The meter of the request that this code answers."""
    return _METER.get()
