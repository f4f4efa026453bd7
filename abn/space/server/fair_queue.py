"""Gradio's queue, in which visitors take turns, and of which a call over plain HTTP leaves nothing behind.

Gradio's own takes what came first: a visitor who asks for a hundred things makes everyone wait for all of them. And it
keeps the state of so many sessions, whosever they are.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Iterator

import gradio as gr
from gradio.queueing import Event, Queue
from gradio.route_utils import get_fn
from gradio.state_holder import StateHolder

from ... import stopping
from ...model.errors import KeyedError
from ..faults import in_words
from ..locale import language_of, say
from . import limits, visitors
from .budgets import SESSIONS, spending
from .gate import Refused, in_a_line

META = {"_type": "gradio.FileData"}
SERVED = "/gradio_api/file="  # what stands before a file's path where this server gives it away


def visitor_of(event: Event) -> str:
    return visitors.of_scope(event.request.scope)


def bytes_of(event: Event) -> int:
    return event.request.scope.get("abn.bytes", 0)


def weight_of(event: Event) -> int:
    """As how many requests it counts: its body is held, and decoded, while it is under way."""
    return 1 + bytes_of(event) // limits.HEAVY_BYTES


def url_of(value) -> str | None:
    """The URL in what stands for a file, or as a bare string; None for what holds no other host's URL."""
    if isinstance(value, dict):
        named = [value.get("path"), value.get("url")]
        inner = [url_of(part) for part in value.values() if isinstance(part, (dict, list))]
        found = next((one for one in named if isinstance(one, str) and one.strip()), None)
        return next((one for one in inner if one), url_of(found))
    if isinstance(value, list):
        return next((url for part in value if isinstance(part, (dict, list)) and (url := url_of(part))), None)
    if isinstance(value, str) and value.strip()[:8].lower().startswith(("http://", "https://")):
        return None if SERVED in value else value.strip()
    return None


class FairQueue(Queue):
    """Made of a `Queue` by `FairBlocks`. Next is the visitor who has the fewest requests under way; of those, who was
    served longest ago; of one visitor's, the first. Nobody has more than RUNNING_A_VISITOR under way; a large body
    counts as several requests."""

    def waiting(self, visitor: str | None = None) -> tuple[int, int]:
        """(requests, bytes of their bodies), waiting or under way: the visitor's, or everybody's."""
        found = [event for event in self._known() if visitor is None or visitor_of(event) == visitor]
        return len(found), sum(bytes_of(event) for event in found)

    def _known(self) -> Iterator[Event]:
        for queue in list(self.event_queue_per_concurrency_id.values()):
            yield from queue.queue
        yield from self._running()

    def _running(self) -> Iterator[Event]:
        for events in self.active_jobs:
            yield from events or ()

    async def push(self, body, request, username):
        if body.fn_index is not None:
            await self.blocks.fetch_pictures(body)
        return await super().push(body=body, request=request, username=username)

    def get_events(self):
        """One event at a time, in turn. Gradio's (6.31, queueing.py) gives several to functions that take batches;
        there are none here."""
        running: Counter[str] = Counter()
        for event in self._running():
            running[visitor_of(event)] += weight_of(event)
        best = None
        for name, queue in self.event_queue_per_concurrency_id.items():
            limit = queue.concurrency_limit
            if not queue.queue or (limit is not None and queue.current_concurrency >= limit):
                continue
            for event in queue.queue:
                visitor = visitor_of(event)
                rank = running[visitor], self.served.get(visitor, 0.0), event.enqueue_time
                fits = running[visitor] + min(weight_of(event), limits.RUNNING_A_VISITOR) <= limits.RUNNING_A_VISITOR
                if fits and (best is None or rank < best[0]):
                    best = rank, name, event, visitor
        if best is None:
            return None
        _, name, event, visitor = best
        self.event_queue_per_concurrency_id[name].queue.remove(event)
        self.served[visitor] = time.monotonic()
        return [event], False, name

    async def process_events(self, events: list[Event], *args, **kwargs) -> None:
        visitors.ASKING.set(visitors.NOBODY)  # this task began in the request that started the queue, whosever it was
        try:
            await super().process_events(events, *args, **kwargs)
        finally:
            for event in events:
                event.data = None
                if event.session_hash == event._id:  # a call over plain HTTP: no page to come back to
                    self.server_app.state_holder.forget(event._id)
                    self.unread[event._id] = time.monotonic()
            self._forget_unread()

    def _forget_unread(self) -> None:
        """Answers that nobody came for, and what is kept about who was here."""
        now = time.monotonic()
        for session in [one for one, since in self.unread.items() if now - since > limits.UNREAD_SECONDS]:
            del self.unread[session]
            self.pending_event_ids_session.pop(session, None)
            if session in self.pending_messages_per_session:
                del self.pending_messages_per_session[session]
        if len(self.served) > 1000:
            self.served = {who: when for who, when in self.served.items() if now - when < 60}


class FairStates(StateHolder):
    """Sessions' state, made of a `StateHolder`: a visitor has SESSIONS_A_VISITOR at most, and his own oldest go."""

    def __getitem__(self, session: str):
        if session not in self.session_data:
            visitor = visitors.ASKING.get()
            if visitor != visitors.NOBODY and not SESSIONS.take(visitor):
                raise Refused(429, "gate_open", after=5)
            own = self.owned.setdefault(visitor, OrderedDict())
            own[session] = None
            for gone in [one for one in own if one != session and one not in self.session_data]:
                del own[gone]
            while len(own) > limits.SESSIONS_A_VISITOR:
                self.forget(own.popitem(last=False)[0])
            self.owned.move_to_end(visitor)
            while len(self.owned) > self.capacity:
                self.owned.popitem(last=False)
        return super().__getitem__(session)

    def forget(self, session: str) -> None:
        with self.lock:
            self.session_data.pop(session, None)
            self.time_last_used.pop(session, None)


class FairBlocks(gr.Blocks):
    """Blocks with that queue and those states; what handlers compute is counted, and ends when its client leaves."""

    def queue(self, *args, **kwargs):
        super().queue(*args, **kwargs)
        self._queue.__class__, self._queue.served, self._queue.unread = FairQueue, {}, {}
        return self

    async def fetch_pictures(self, body) -> None:
        """Put files in the place of pictures' URLs in a call's data, before it takes a place in the queue, and errors
        in the place of other files' URLs, which Gradio would fetch itself."""
        fn = get_fn(self, None, body)
        for place, value in enumerate(body.data):
            url = url_of(value)
            component = fn.inputs[place] if place < len(fn.inputs) else None
            if url is None:
                continue
            try:
                if not hasattr(component, "fetched"):
                    raise gr.Error(say("gate_odd", None), print_exception=False)
                body.data[place] = {"path": await component.fetched(url), "meta": META}
            except gr.Error as error:
                body.data[place] = gr.Error(error.message, print_exception=False)  # without what it holds on to

    @property
    def state_holder(self) -> StateHolder:
        return self._state_holder

    @state_holder.setter
    def state_holder(self, holder: StateHolder) -> None:
        holder.__class__, holder.owned = FairStates, OrderedDict()
        self._state_holder = holder

    async def preprocess_data(self, block_fn, inputs, *args, **kwargs):
        """Raises: gr.Error: in place of whatever Gradio's components raise over what they cannot read."""
        for value in inputs:
            if isinstance(value, gr.Error):  # as `fetch_pictures` left it
                raise value
        try:
            return await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            print(f"{block_fn.api_name or block_fn._id}: {in_a_line(error)}", flush=True)
            raise gr.Error(say("gate_odd", None), print_exception=False) from None

    async def call_function(self, block_fn, inputs, iterator=None, requests=None, event_id=None, *args, **more):
        """Raises: gr.Error: in place of whatever the handler raises, which is said in a line of the log."""
        request = requests[0] if isinstance(requests, list) else requests
        asking = getattr(request, "request", None)
        visitor = visitors.NOBODY if asking is None else visitors.of_scope(asking.scope)
        event = self._queue.event_ids_to_events.get(event_id)
        with spending(visitor), stopping.when(lambda: event is not None and not event.alive):
            try:
                return await super().call_function(block_fn, inputs, iterator, requests, event_id, *args, **more)
            except gr.Error:
                raise
            except stopping.Stopped:
                words = say("left", request)
            except KeyedError as error:
                words = in_words(error, language_of(request))
            except Exception as error:
                print(f"{block_fn.api_name or block_fn._id}: {in_a_line(error)}", flush=True)
                words = say("gate_failed", request)
        raise gr.Error(words, print_exception=False)
