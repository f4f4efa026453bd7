"""The gallery under a model: computed once, filtered and ordered."""

import pytest
from helpers import in_threads

from abn import Explainer
from abn.space.drawings import DRAWINGS
from abn.space.server.examples import Example
from abn.space.server.serving import Served
from abn.space.tabs.gallery import Entry, Explained, GalleryView, chosen


@pytest.fixture(scope="module")
def examples():
    return [Example(str(drawing), label, drawn=True) for label, drawing in DRAWINGS.items()]


def make(truth, answer, confidence):
    return Entry(Example("x.png", truth, drawn=True), answer, confidence, "data:,")


def test_filters_and_orders():
    one, two, three = make("a", "a", 0.9), make("a", "b", 0.4), make("b", "a", 0.99)
    entries = [one, two, three]
    assert chosen(entries, "", "as_is") == entries
    assert chosen(entries, "a", "as_is") == [one, two]
    assert chosen(entries, "", "wrong") == [two, three]
    assert chosen(entries, "b", "wrong") == [three]
    assert chosen(entries, "", "most") == [three, one, two]
    assert chosen(entries, "", "least") == [two, one, three]


def test_a_class_that_the_model_does_not_know_is_neither_right_nor_wrong(examples):
    stranger = Entry(Example("x.png", "tench", drawn=True), "cat", 0.5, "data:,", known=False)
    assert chosen([stranger, make("a", "b", 0.4)], "", "wrong") == [make("a", "b", 0.4)]
    view = GalleryView().postprocess([stranger])
    assert "✗" not in view
    assert "✓" not in view
    assert "cat 50%" in view


def test_each_model_is_asked_once(examples, bundled, monkeypatch):
    monkeypatch.setattr("abn.space.tabs.gallery.BATCH", 4)
    explainer = Explainer.from_pretrained(bundled, device="cpu")
    asked = []

    class Counting:
        def __call__(self, pictures, **how):
            asked.extend(pictures)
            return explainer(pictures, **how)

    served, explained = Served("one", Counting()), Explained()
    sizes = [len(entries) for entries in explained.entries(served, examples)]
    assert sizes == [4, 8, 10]
    assert [len(entries) for entries in explained.entries(served, examples)] == [10]
    assert asked == [example.path for example in examples]
    *_, entries = explained.entries(served, examples)
    expected = explainer([example.path for example in examples], view="whole")
    assert [one.label for one in entries] == [explanation.label for explanation in expected]
    assert entries[3].confidence == pytest.approx(expected[3].probabilities[expected[3].label], abs=1e-5)
    list(explained.entries(Served("two", Counting()), examples))
    assert len(asked) == 20


def test_visitors_share_the_work(examples, bundled):
    explained, found = Explained(), []
    served = Served("one", Explainer.from_pretrained(bundled, device="cpu"))

    def visit(_):
        *_, entries = explained.entries(served, examples)
        found.append([one.label for one in entries])

    in_threads(visit, 4)
    assert len(found) == 4
    assert all(len(labels) == 10 and labels == found[0] for labels in found)


def test_names_are_escaped():
    view = GalleryView().postprocess([make("<b>", "<i>", 0.5)])
    assert "<b>" not in view
    assert "<i>" not in view
    assert "✗ &lt;i&gt; 50%" in view
