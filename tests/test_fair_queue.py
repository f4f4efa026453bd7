"""The queue: visitors take turns, calls leave nothing behind, and nobody pushes out others' sessions."""

import asyncio
import threading
import time
from types import SimpleNamespace

import gradio as gr
import load
import pytest
from gradio.queueing import Event, EventQueue, Queue
from helpers import in_threads, made_up_picture, wait_for

from abn import stopping
from abn.space.server import fair_queue, limits, visitors
from abn.space.server.budgets import SECONDS, Bucket, spending, waiting
from abn.space.server.fair_queue import FairBlocks, url_of
from abn.space.server.gate import Refused
from abn.space.server.turns import Turns


@pytest.fixture
def queue():
    with FairBlocks() as demo:
        gr.Textbox()
    demo.queue(max_size=100)
    demo._queue.active_jobs = [None] * 40
    demo._queue.event_queue_per_concurrency_id = {"explain": EventQueue("explain", 16), "slow": EventQueue("slow", 2)}
    return demo._queue


def put(queue, visitor: str, name: str = "explain", size: int = 0) -> Event:
    fn = SimpleNamespace(concurrency_id=name, connection="sse")
    request = SimpleNamespace(scope={"headers": [], "abn.visitor": visitor, "abn.bytes": size})
    event = Event(None, fn, request, None)
    queue.event_queue_per_concurrency_id[name].queue.append(event)
    return event


def take(queue) -> str | None:
    """Whose turn is next; he runs then."""
    found = queue.get_events()
    if found is None:
        return None
    events, batch, name = found
    assert not batch
    queue.active_jobs[queue.active_jobs.index(None)] = events
    queue.event_queue_per_concurrency_id[name].current_concurrency += 1
    return events[0].request.scope["abn.visitor"]


def test_who_asks_little_is_next(queue):
    for _ in range(60):
        put(queue, "flood")
    put(queue, "other")
    put(queue, "third", "slow")
    assert sorted(take(queue) for _ in range(3)) == ["flood", "other", "third"]


def test_nobody_has_all_places(queue):
    for _ in range(60):
        put(queue, "flood")
    assert [take(queue) for _ in range(limits.RUNNING_A_VISITOR)] == ["flood"] * limits.RUNNING_A_VISITOR
    assert take(queue) is None
    put(queue, "other")
    assert take(queue) == "other"


def test_large_bodies_are_not_under_way_together(queue):
    """Each is decoded then, and everyone waits for that: one of 20 MB at a time, three of 6 MB; others go on."""
    for size in (25, 25, 1):
        put(queue, "large", size=size * limits.MB)
    assert [take(queue), take(queue)] == ["large", None]
    put(queue, "other", size=25 * limits.MB)
    assert [take(queue), take(queue)] == ["other", None]
    for _ in range(4):
        put(queue, "photos", size=6 * limits.MB)
    assert [take(queue) for _ in range(4)] == ["photos"] * 3 + [None]


def test_limits_of_a_kind_hold(queue):
    for _ in range(3):
        put(queue, "a", "slow")
    assert [take(queue) for _ in range(3)] == ["a", "a", None]


def test_what_waits_and_runs_is_counted(queue):
    put(queue, "a", size=10)
    put(queue, "a", "slow", size=5)
    put(queue, "b", size=1)
    take(queue)
    assert queue.waiting("a") == (2, 15)
    assert queue.waiting("b") == (1, 1)
    assert queue.waiting() == (3, 16)


def test_sessions_are_not_begun_without_end(monkeypatch):
    monkeypatch.setattr(fair_queue, "SESSIONS", Bucket(2, 60))
    with FairBlocks() as demo:
        gr.Textbox()
    demo.queue()
    states, token = demo.app.state_holder, visitors.ASKING.set("his")
    assert states["a"]
    assert states["b"]
    assert states["a"]
    with pytest.raises(Refused):
        states["c"]
    visitors.ASKING.reset(token)
    assert states["c"]  # what is answered is let in already


def test_what_the_queue_does_is_not_his_who_started_it(queue, monkeypatch):
    """Gradio starts its queue with the first request, whose context all that it does has."""
    asking = []

    async def processed(self, events, *args, **kwargs):
        asking.append(visitors.ASKING.get())

    monkeypatch.setattr(Queue, "process_events", processed)
    visitors.ASKING.set("the first")
    try:
        asyncio.run(queue.process_events([], False, 0.0, None))
    finally:
        visitors.ASKING.set(visitors.NOBODY)
    assert asking == [visitors.NOBODY]


def test_a_visitors_own_oldest_sessions_go(monkeypatch):
    monkeypatch.setattr(limits, "SESSIONS_A_VISITOR", 3)
    with FairBlocks() as demo:
        gr.Textbox()
    demo.queue()
    states = demo.app.state_holder
    for visitor, session in (("hers", "x"), *(("his", f"s{index}") for index in range(6))):
        token = visitors.ASKING.set(visitor)
        states[session]
        visitors.ASKING.reset(token)
    assert list(states.session_data) == ["x", "s3", "s4", "s5"]


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("http://a/b", "http://a/b"),
        (" HTTPS://a/b", "HTTPS://a/b"),
        ({"path": "http://a/b", "meta": {}}, "http://a/b"),
        ({"url": "https://a"}, "https://a"),
        ({"a": [{"path": "http://deep/x"}]}, "http://deep/x"),
        ([[{"path": "http://deep/x"}]], "http://deep/x"),
        ({"path": "/tmp/x"}, None),
        ("http://me/gradio_api/file=/tmp/x", None),
        ("church", None),
        (7, None),
        ([1, 2], None),
    ],
)
def test_urls_are_found_wherever_they_stand(value, url):
    assert url_of(value) == url


def test_what_a_request_waits_is_not_charged():
    SECONDS._held.clear()
    with spending("his") as meter:
        time.sleep(0.05)
        with waiting():
            time.sleep(0.2)
        with spending("another's") as inner:
            assert inner is meter
    assert 0.04 < limits.SECONDS_SAVED - SECONDS.left("his") < 0.15
    assert SECONDS.left("another's") == limits.SECONDS_SAVED


def test_turns_go_round(monkeypatch):
    turns, who, order = Turns(1), threading.local(), []
    monkeypatch.setattr(visitors, "current", lambda: who.name)
    go_on = threading.Event()

    def hold():
        who.name = "a"
        with turns.turn():
            go_on.wait(20)

    def ask(index):
        who.name = "aaaaab"[index]
        with turns.turn():
            order.append(who.name)

    holder = threading.Thread(target=hold)
    holder.start()
    wait_for(lambda: turns._holding["a"] == 1)
    asking = threading.Thread(target=in_threads, args=(ask, 6))
    asking.start()
    wait_for(lambda: len(turns._waiting) == 6)
    go_on.set()
    asking.join()
    assert order[0] == "b"
    assert turns._free == 1


def test_who_left_waits_for_no_turn():
    turns = Turns(0)
    with stopping.when(lambda: True), pytest.raises(stopping.Stopped), turns.turn():
        pass
    assert turns._waiting == []


# The running app


def test_plain_calls_leave_no_state(url):
    """And push out nobody's: the answers are right all the same."""
    path = load.upload(url, load_png())
    first = load.explain(url, path)
    assert [load.explain(url, path) for _ in range(3)] == [first] * 3


def load_png() -> bytes:
    import io

    out = io.BytesIO()
    made_up_picture().save(out, "PNG")
    return out.getvalue()


def test_an_answer_that_nobody_reads_is_forgotten(queue, monkeypatch):
    monkeypatch.setattr(limits, "UNREAD_SECONDS", 0.0)
    queue.pending_messages_per_session["x"] = asyncio.Queue()
    queue.pending_event_ids_session["x"] = {"x"}
    queue.unread["x"] = time.monotonic() - 1
    queue._forget_unread()
    assert not queue.pending_event_ids_session
    assert "x" not in queue.pending_messages_per_session


def test_64_may_wait_from_one_address(url):
    """A class behind one router: nobody is turned away."""
    path, found = load.upload(url, load_png()), []
    in_threads(lambda _: found.append(load.explain(url, path)), 64)
    assert len(found) == 64
    assert all(one == pytest.approx(found[0], abs=1e-3) for one in found)
