"""The one gate: what a request may weigh, and how many a visitor may have, before anything is decoded or queued.

ASGI middleware. It knows routes by what they cost, not by what they are called for: everything that is not listed may
bring next to nothing. Numbers are in `limits`.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from starlette.middleware.gzip import GZipMiddleware

from ..locale import DEFAULT, LANGUAGES, say
from . import limits, visitors
from .budgets import BODIES, REQUESTS, SECONDS, UPLOADS
from .json_size import within

API = "/gradio_api"
WRITES = ("POST", "PUT", "PATCH", "DELETE")
ZIPPED = ("/", "/config", "/config/", f"{API}/info", f"{API}/openapi.json")  # Gradio does it for files alone
CLOSED = tuple(API + path for path in ("/proxy=", "/stream/", "/process_recording", "/vibe", "/undo-vibe"))
CLOSED += (f"{API}/run-history", f"{API}/dev/", "/monitoring")
FOREIGN = (f"{API}/file=", f"{API}/file/")
FILES = (*FOREIGN, f"{API}/abn/")  # the page's own: many, small and kept by browsers; and frames, which have seconds


@dataclass(frozen=True)
class Route:
    """What requests of a kind may bring. most: bytes. values: of their JSON; 0 where it is no JSON, and not held.
    queued: whether they wait in the queue. direct: whether they compute at once."""

    most: int = limits.OTHER_BYTES
    values: int = 100
    queued: bool = False
    direct: bool = False


CALL = Route(limits.JSON_BYTES, limits.JSON_VALUES, queued=True)
FRAME = Route(limits.FRAME_BYTES, 0, direct=True)
TOOL = Route(limits.JSON_BYTES, limits.JSON_VALUES, direct=True)
UPLOAD = Route(limits.UPLOAD_BYTES + 100_000, 0)  # beside the files: what stands around them
CORRECTION = Route(limits.CORRECTION_BYTES, 0, direct=True)
OTHER = Route()
ROUTES = {"/call/": CALL, "/queue/join": CALL, "/abn/frame": FRAME, "/upload": UPLOAD, "/mcp": TOOL}
ROUTES["/abn/correction"] = CORRECTION


def route_of(path: str) -> Route:
    """By the beginning of a path; `OTHER` for what is not known."""
    return next((route for start, route in ROUTES.items() if path.startswith(API + start)), OTHER)


class Refused(Exception):
    """status, and the key and values of the sentence that goes with it."""

    def __init__(self, status: int, key: str, after: float = 0.0, **values):
        super().__init__(key)
        self.status, self.key, self.after, self.values = status, key, after, values


class Gate:
    """Wraps Gradio's app.

    waiting(app, visitor): (requests, bytes of their bodies) of the visitor in the queue; of all for None.
    """

    def __init__(self, app: Callable, waiting: Callable | None = None):
        self.app, self.zipped, self.waiting = app, GZipMiddleware(app, 1000, 5), waiting or in_queue
        self.open: Counter[str] = Counter()  # requests, by visitor
        self.direct: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "websocket":  # nothing here speaks it
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        visitor, path = visitors.of_scope(scope), scope["path"].removeprefix(scope.get("root_path", ""))
        route = route_of(path) if scope["method"] in WRITES else Route(0, 0)
        answering, asking = _Answering(send), visitors.ASKING.set(visitor)
        self.open[visitor] += 1
        self.direct[visitor] += route.direct
        held = 0
        try:
            self._check(scope, visitor, path, route)
            if scope["method"] in WRITES:
                said = _length(scope)
                held = min(route.most, said if said is not None else route.most)
                self._check_bytes(scope, visitor, route, said, held)
                self.bytes[visitor] += held
                if route.values:
                    body = await _read(receive, route.most)
                    scope["abn.bytes"] = len(body)
                    if not await _is_light(body, route):
                        raise Refused(413, "gate_json", values=route.values, depth=limits.JSON_DEPTH)
                    receive = _once(body, receive)
                    del body
                else:
                    receive = _counted(receive, route.most, _boundary(scope))
            await (self.zipped if path in ZIPPED else self.app)(scope, receive, answering)
        except Refused as refused:
            await answering.say(refused, scope)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # of whatever nobody thought of: a line
            print(f"{scope['method']} {path[:100]!r}: {in_a_line(error)}", flush=True)
            await answering.say(Refused(400, "gate_odd"), scope)
        finally:
            visitors.ASKING.reset(asking)
            for counts, amount in ((self.open, 1), (self.direct, route.direct), (self.bytes, held)):
                counts[visitor] -= amount
                if counts[visitor] <= 0:
                    del counts[visitor]

    def _check(self, scope: dict, visitor: str, path: str, route: Route) -> None:
        """Raises: Refused: the route is closed, or the visitor, or all together, have too much under way."""
        if path.startswith((f"{API}/run/", f"{API}/api/")):
            raise Refused(404, "gate_run", name=path.rstrip("/").rpartition("/")[2][:100])
        if path.startswith(CLOSED) or (path.startswith(FOREIGN) and "://" in path):
            raise Refused(404, "gate_closed")
        if self.open[visitor] > limits.OPEN_A_VISITOR or self.direct[visitor] > limits.DIRECT_A_VISITOR:
            raise Refused(429, "gate_open", after=5)
        counted = path in ZIPPED or (path.startswith(API) and not path.startswith(FILES))
        worth = limits.PAGE_REQUESTS if path in ZIPPED else limits.CALL_REQUESTS if route.queued else 1
        if counted and not REQUESTS.take(visitor, worth):
            raise Refused(429, "gate_open", after=1 + REQUESTS.wait(visitor, worth))
        if sum(self.open.values()) > limits.OPEN_IN_ALL:
            raise Refused(503, "gate_full", after=5)
        if not (route.queued or route.direct):
            return
        if SECONDS.left(visitor) < 0:
            seconds = 1 + int(SECONDS.wait(visitor))
            raise Refused(429, "gate_seconds", after=seconds, seconds=seconds)
        if route.queued:
            if self.waiting(scope["app"], visitor)[0] >= limits.WAITING_A_VISITOR:
                raise Refused(429, "gate_waiting", after=5, most=limits.WAITING_A_VISITOR)
            if self.waiting(scope["app"], None)[0] >= limits.WAITING_IN_ALL:
                raise Refused(503, "gate_full", after=5)

    def _check_bytes(self, scope: dict, visitor: str, route: Route, said: int | None, held: int) -> None:
        """Raises: Refused: more than the route, the visitor, or all together may bring."""
        if said is not None and said > route.most:
            raise Refused(413, "gate_bytes", most=_size(route.most))
        if route is UPLOAD and not UPLOADS.take(visitor, held):
            raise Refused(429, "gate_uploads", after=60)
        if held > limits.OTHER_BYTES:
            if not BODIES.take(visitor, held):
                raise Refused(429, "gate_uploads", after=1 + BODIES.wait(visitor, held))
            if self.bytes[visitor] + held + self.waiting(scope["app"], visitor)[1] > limits.BYTES_A_VISITOR:
                raise Refused(429, "gate_open", after=5)
            if sum(self.bytes.values()) + held + self.waiting(scope["app"], None)[1] > limits.BYTES_IN_ALL:
                raise Refused(503, "gate_full", after=5)


def in_queue(app, visitor: str | None) -> tuple[int, int]:
    """What waits in the queue of Gradio's app."""
    return app.get_blocks()._queue.waiting(visitor)


class _Answering:
    """`send`, which knows whether an answer has begun and ended."""

    def __init__(self, send: Callable):
        self.send, self.begun, self.ended = send, False, False

    async def __call__(self, message: dict) -> None:
        self.begun = True
        self.ended = message["type"] == "http.response.body" and not message.get("more_body")
        await self.send(message)

    async def say(self, refused: Refused, scope: dict) -> None:
        """Answer with a sentence, if anybody is there still. A connection whose body was not read out is closed."""
        with contextlib.suppress(Exception):  # the server's own error where nobody is
            await self._say(refused, scope)

    async def _say(self, refused: Refused, scope: dict) -> None:
        if self.begun:
            if not self.ended:
                await self({"type": "http.response.body", "body": b""})
            return
        words = say(refused.key, _language(scope), **refused.values)
        body = json.dumps({"detail": words, "error": words}, ensure_ascii=False).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers.append((b"connection", b"close"))
        if refused.after:
            headers.append((b"retry-after", str(int(refused.after)).encode()))
        await self({"type": "http.response.start", "status": refused.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


async def _read(receive: Callable, most: int) -> bytes:
    """A body of at most so many bytes, within BODY_SECONDS.

    Raises:
        Refused: it is larger, too slow, or cut off.
    """
    parts, size, end, more = [], 0, time.monotonic() + limits.BODY_SECONDS, True
    while more:
        part, more = await _part(receive, end)
        size += len(part)
        if size > most:
            raise Refused(413, "gate_bytes", most=_size(most))
        parts.append(part)
    return b"".join(parts)


def _counted(receive: Callable, most: int, boundary: bytes) -> Callable:
    """`receive`, which passes on at most so many bytes, and at most UPLOAD_FILES parts of a form. Raises as `_read`."""
    size, parts, tail, end, done = 0, 0, b"", time.monotonic() + limits.BODY_SECONDS, False

    async def part() -> dict:
        nonlocal size, parts, tail, done
        if done:
            return await receive()
        found, more = await _part(receive, end)
        size, done = size + len(found), not more
        if boundary:
            seen = tail + found
            parts += seen.count(boundary)
            tail = seen[max(0, len(seen) - len(boundary) + 1) :]
        if size > most:
            raise Refused(413, "gate_bytes", most=_size(most))
        if parts > limits.UPLOAD_FILES + 1:
            raise Refused(413, "gate_files", most=limits.UPLOAD_FILES)
        return {"type": "http.request", "body": found, "more_body": more}

    return part


def _boundary(scope: dict) -> bytes:
    """What stands between the parts of a form; nothing where the body is none."""
    for name, value in scope["headers"]:
        if name == b"content-type" and b"boundary=" in value:
            found = value.partition(b"boundary=")[2].partition(b";")[0].strip().strip(b'"')
            return b"--" + found if found else b""
    return b""


async def _part(receive: Callable, end: float) -> tuple[bytes, bool]:
    try:
        message = await asyncio.wait_for(receive(), max(0.1, end - time.monotonic()))
    except TimeoutError:
        raise Refused(408, "gate_slow", seconds=int(limits.BODY_SECONDS)) from None
    if message["type"] == "http.disconnect":
        raise Refused(400, "gate_odd")
    return message.get("body", b""), message.get("more_body", False)


def _once(body: bytes, receive: Callable) -> Callable:
    """A `receive` that gives a body and then what comes; the body is not held on to."""
    given = [body]

    async def part() -> dict:
        if given:
            return {"type": "http.request", "body": given.pop(), "more_body": False}
        return await receive()

    return part


async def _is_light(body: bytes, route: Route) -> bool:
    if len(body) < 100_000:
        return within(body, limits.JSON_DEPTH, route.values)
    return await asyncio.to_thread(within, body, limits.JSON_DEPTH, route.values)  # up to 0.1 s: not the others' time


def _length(scope: dict) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None


def _language(scope: dict) -> str:
    wanted = next((value for name, value in scope["headers"] if name == b"accept-language"), b"")
    first = wanted.decode("latin-1").strip().lower()[:2]
    return first if first in LANGUAGES else DEFAULT


def _size(count: int) -> str:
    return f"{count / limits.MB:g} MB" if count >= limits.MB else f"{count:,} bytes"


def in_a_line(error: Exception) -> str:
    """What it was, and where in the code."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    words = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {words} ({place})"
