"""Requests that wait together share a forward pass, and each gets its own answer."""

import threading

import numpy as np
import pytest
from helpers import in_threads, made_up_picture, wait_for

from abn import Explainer, stopping
from abn.space.server import batching, budgets
from abn.space.server.batching import Batcher


class Watched:
    """An explainer that writes down its batches; the first waits until others have come."""

    def __init__(self, explainer, hold=0):
        self.explainer, self.processor, self.batches = explainer, explainer.processor, []
        self.hold, self.waiting, self.most = hold, None, explainer.most

    def __call__(self, pictures, view):
        self.batches.append([picture.size for picture in pictures])
        if self.hold and len(self.batches) == 1:
            wait_for(lambda: len(self.waiting()) >= self.hold)
        if any(picture.size == (13, 13) for picture in pictures):
            raise ValueError("an unlucky picture")
        return self.explainer(pictures, view=view)


@pytest.fixture(scope="module")
def explainer(bundled):
    return Explainer.from_pretrained(bundled, device="cpu")


def ask_all(batcher, pictures):
    found = {}

    def ask(index):
        try:
            found[index] = batcher(pictures[index], "whole")
        except ValueError as error:
            found[index] = error

    in_threads(ask, len(pictures))
    return [found[index] for index in range(len(pictures))]


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """The first batch waits for others: that is not its pictures' time."""
    monkeypatch.setattr(batching, "PATIENCE", 1e9)


def test_who_waits_together_is_answered_together_and_rightly(explainer):
    pictures = [made_up_picture(120, 90, seed=seed) for seed in range(9)]
    watched = Watched(explainer, hold=8)
    batcher = Batcher(watched)
    watched.waiting = lambda: batcher._waiting
    answers = ask_all(batcher, pictures)
    assert sorted(map(len, watched.batches)) == [1, 8]
    for picture, answer in zip(pictures, answers, strict=True):
        alone = explainer(picture, view="whole")
        assert answer.label == alone.label
        assert np.array_equal(answer.view, alone.view)
        assert np.abs(answer.attention_map - alone.attention_map).max() < 1e-3


def test_other_shapes_wait_for_a_forward_of_their_own(explainer):
    sizes = [(120, 90), (90, 120), (120, 90), (90, 120), (120, 90)]
    pictures = [made_up_picture(*size, seed=seed) for seed, size in enumerate(sizes)]
    watched = Watched(explainer, hold=4)
    batcher = Batcher(watched)
    watched.waiting = lambda: batcher._waiting
    answers = ask_all(batcher, pictures)
    assert all(len(set(batch)) == 1 for batch in watched.batches)
    assert len(watched.batches) <= 4
    assert [answer.view.shape[:2] for answer in answers] == [size[::-1] for size in sizes]


def test_one_bad_picture_is_not_the_others_fault(explainer):
    pictures = [made_up_picture(12, 12), made_up_picture(13, 13), made_up_picture(14, 14), made_up_picture(16, 16)]
    watched = Watched(explainer, hold=3)
    batcher = Batcher(watched)
    watched.waiting = lambda: batcher._waiting
    answers = ask_all(batcher, pictures)
    assert str(answers[1]) == "an unlucky picture"
    assert [type(answer).__name__ for answer in answers] == ["Explanation", "ValueError", "Explanation", "Explanation"]


def test_nobody_waits_for_ever(explainer):
    batcher, count = Batcher(explainer), 0
    lock = threading.Lock()

    def ask(index):
        nonlocal count
        for turn in range(5):
            batcher(made_up_picture(40 + 30 * (index % 2), 50, seed=turn), "whole")
            with lock:
                count += 1

    in_threads(ask, 8)
    assert count == 40
    assert batcher._waiting == []


def test_visitors_take_turns(explainer, monkeypatch):
    """Eight pictures of one visitor and then one of another's, in batches of three: his is in the first."""
    batcher, orders = Batcher(explainer), []
    monkeypatch.setattr(batcher.explainer, "most", lambda shape: 3)
    batcher._waiting = [batching._Request(None, "whole", ("whole", 10, 10), visitor) for visitor in "aaaaaaaab"]
    while batcher._waiting:
        orders.append("".join(one.visitor for one in batcher._next()))
    assert orders == ["aba", "aaa", "aaa"]


def test_a_batch_takes_no_longer_than_patience(explainer, monkeypatch):
    monkeypatch.setattr(batching, "PATIENCE", 0.7)
    batcher, shape = Batcher(explainer), ("whole", 10, 10)
    for seconds, most in ((0.3, 2), (0.09, 7), (5.0, 1)):
        batcher._seconds[shape] = seconds
        batcher._waiting = [batching._Request(None, "whole", shape) for _ in range(9)]
        assert len(batcher._next()) == most


def test_a_batchs_seconds_are_shared_out(explainer):
    """Who computes for others is not charged for them; who waits is charged for his own."""
    pictures, meters = [made_up_picture(120, 90, seed=seed) for seed in range(6)], []
    watched = Watched(explainer, hold=5)
    batcher = Batcher(watched)
    watched.waiting = lambda: batcher._waiting

    def ask(index):
        with budgets.spending(f"192.0.2.{index}") as meter:
            batcher(pictures[index], "whole")
        meters.append(meter)

    in_threads(ask, 6)
    shares = sorted(meter.more for meter in meters)
    assert shares[0] > 0
    assert shares[4] == pytest.approx(shares[1])  # of the five that were one batch
    assert all(meter.idle > 0 for meter in meters)


def test_who_leaves_takes_nobodys_answer_away(explainer):
    """Everybody has left when the first batch is under way: what one computes is the others' too."""
    found, watched = {}, Watched(explainer, hold=2)
    batcher = Batcher(watched)
    watched.waiting = lambda: batcher._waiting

    def ask(index):
        with stopping.when(lambda: bool(watched.batches)):
            found[index] = batcher(made_up_picture(120, 90, seed=index), "whole")

    in_threads(ask, 3)
    assert sorted(found) == [0, 1, 2]
