"""The gallery under a model: computed once, filtered, ordered and cut into pages."""

import base64
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import in_threads, made_up_picture

from abn import Explainer
from abn.packing import packed_map
from abn.space.context import Asked
from abn.space.drawings import DRAWINGS
from abn.space.server.examples import Example
from abn.space.server.explained import Entry, Explained, class_of
from abn.space.server.serving import Served
from abn.space.tabs.gallery import PAGE, cards_of, chosen, gallery, mixed


@pytest.fixture(scope="module")
def explainer(bundled):
    return Explainer.from_pretrained(bundled, device="cpu")


@pytest.fixture(scope="module")
def examples():
    return [Example(str(drawing), label, drawn=True) for label, drawing in DRAWINGS.items()]


def make(truth, answer, confidence, known=True):
    return Entry(Example("x.png", truth, drawn=True), answer, confidence, None, None, truth if known else None)


def asked(examples, served, explained=None, **values) -> Asked:
    context = SimpleNamespace(
        models=SimpleNamespace(of=lambda choice: served),
        gallery=SimpleNamespace(examples=examples),
        explained=explained or Explained(),
    )
    return Asked(values, "en", context)


def test_filters_and_orders():
    one, two, three = make("a", "a", 0.9), make("a", "b", 0.4), make("b", "a", 0.99)
    entries = [one, two, three]
    assert chosen(entries, "", "as_is") == entries
    assert chosen(entries, "a", "as_is") == [one, two]
    assert chosen(entries, "", "wrong") == [two, three]
    assert chosen(entries, "b", "wrong") == [three]
    assert chosen(entries, "", "most") == [three, one, two]
    assert chosen(entries, "", "least") == [two, one, three]


def test_a_class_that_the_model_does_not_know_is_neither_right_nor_wrong(examples, explainer):
    stranger, wrong = make("tench", "cat", 0.5, known=False), make("a", "b", 0.4)
    assert chosen([stranger, wrong], "", "wrong") == [wrong]
    abilities = SimpleNamespace(uneditable="")
    known = {"labels": ["cat", "dog"], "indices": {"cat": [0], "dog": [1]}, "abilities": abilities}
    explanation = explainer(examples[0].path, view="whole")
    other = SimpleNamespace(
        **{**vars(explanation), "label": "cat", "probabilities": {"cat": 0.6, "dog": 0.4}},
    )
    served = Served("cats", SimpleNamespace(**known, __call__=None))
    object.__setattr__(served, "on_cpu", lambda paths, view: [other] * len(paths))
    *_, answer = gallery(asked(examples, served))
    assert [card["right"] for card in answer["cards"]] == [None] * 10
    assert (answer["known"], answer["right"]) == (False, 0)
    *_, answer = gallery(asked(examples, served, order="wrong"))
    assert (answer["cards"], answer["kept"]) == ([], 0)


def test_a_folder_that_bears_an_alias_is_of_the_class_that_the_model_means(explainer):
    served = Served("one", explainer)
    assert class_of(served, "n03028079") == class_of(served, "church building") == "church"
    assert class_of(served, "cat") is None
    crane = SimpleNamespace(labels=["crane (0)", "crane (1)"], indices={"crane": [0, 1], "crane (1)": [1]})
    assert class_of(Served("two", crane), "crane") is None  # which of the two?
    assert class_of(Served("two", crane), "crane (1)") == "crane (1)"
    entry = Entry(Example("x.png", "n03028079", False), "church", 0.9, None, None, "church")
    assert (entry.right, entry.wrong) == (True, False)


def test_wrong_ones_are_to_be_corrected_where_the_map_can_be_edited(examples, explainer):
    *_, (one, *_) = Explained().entries(Served("one", explainer), examples[:1])
    three = [replace(one, truth=truth) for truth in (one.label, "other", None)]
    assert [card["correct"] for card in cards_of(three, editable=True)] == [False, True, False]
    assert [card["correct"] for card in cards_of(three, editable=False)] == [False, False, False]


def test_each_model_is_asked_once(examples, explainer, monkeypatch):
    monkeypatch.setattr("abn.space.server.explained.BATCH", 4)
    counted = []

    class Counting:
        labels, indices = explainer.labels, explainer.indices

        def __call__(self, pictures, **how):
            counted.extend(pictures)
            return explainer(pictures, **how)

    served, explained = Served("one", Counting()), Explained()
    sizes = [len(entries) for entries in explained.entries(served, examples)]
    assert sizes == [4, 8, 10]
    assert [len(entries) for entries in explained.entries(served, examples)] == [10]
    assert counted == [example.path for example in examples]
    *_, entries = explained.entries(served, examples)
    expected = explainer([example.path for example in examples], view="whole")
    assert [one.label for one in entries] == [explanation.label for explanation in expected]
    assert entries[3].confidence == pytest.approx(expected[3].probabilities[expected[3].label], abs=1e-5)
    assert np.abs(entries[3].grid - expected[3].grid).max() < 1e-4
    list(explained.entries(Served("two", Counting()), examples))
    assert len(counted) == 20
    list(explained.entries(Served("three", Counting()), examples))
    list(explained.entries(Served("two", Counting()), examples))
    assert len(counted) == 30
    list(explained.entries(served, examples))  # the newest two are kept
    assert len(counted) == 40


def test_visitors_share_the_work(examples, explainer):
    explained, found = Explained(), []
    served = Served("one", explainer)

    def visit(_):
        *_, entries = explained.entries(served, examples)
        found.append([one.label for one in entries])

    in_threads(visit, 4)
    assert len(found) == 4
    assert all(len(labels) == 10 and labels == found[0] for labels in found)


def test_a_card_is_what_the_library_says(examples, explainer):
    *_, answer = gallery(asked(examples, Served("one", explainer)))
    expected = {Example(example.path, "", True).id: explainer(example.path, view="whole") for example in examples}
    assert (answer["kept"], answer["count"], answer["known"]) == (10, 10, True)
    assert answer["right"] == sum(one.label == card["label"] for one, card in pairs(answer, expected))
    for explanation, card in pairs(answer, expected):
        assert card["drawn"]
        assert card["answer"] == explanation.label
        assert card["confidence"] == pytest.approx(explanation.probabilities[explanation.label], abs=2e-4)
        assert card["right"] == (explanation.label == card["label"])
        assert card["correct"] == (not card["right"])
        assert np.abs(unpacked(card["map"]) - explanation.grid.clip(0, 1)).max() <= explanation.grid.max() / 500 + 1e-4


def pairs(answer, expected):
    return [(expected[card["id"]], card) for card in answer["cards"]]


def unpacked(found: dict) -> np.ndarray:
    """As widgets/stage/packed.js does it."""
    shares = np.frombuffer(base64.b64decode(found["shares"]), np.uint8).reshape(found["shape"])
    return shares * (found["peak"] / 255)


def test_a_packed_map_lies_where_the_whole_one_does_and_is_cut_to_0_to_1(explainer):
    explanation = explainer(made_up_picture(200, 100), view="model")
    packed = packed_map(np.float32([[-0.5, 0.25], [2.0, 0.5]]), explanation.geometry)
    assert unpacked(packed) == pytest.approx(np.float32([[0, 0.25], [1, 0.5]]), abs=1 / 500)
    assert packed["box"] == list(explanation.geometry.box)
    assert packed["span"] == [list(pair) for pair in explanation.geometry.span]
    assert packed["size"] == [200, 100]
    assert unpacked(packed_map(np.zeros((2, 3), np.float32), explanation.geometry)).tolist() == [[0] * 3] * 2


def test_pages_follow_one_another_and_a_first_one_comes_early(examples, explainer, monkeypatch):
    monkeypatch.setattr("abn.space.server.explained.BATCH", 30)
    many = [Example(example.path, example.label, True) for example in examples for _ in range(6)]

    def answered(pictures, view):
        return [explanations[path] for path in pictures]

    explanations = {example.path: explainer(example.path, view="whole") for example in examples}
    known = {name: getattr(explainer, name) for name in ("labels", "indices", "abilities")}
    served, explained = Served("one", SimpleNamespace(**known)), Explained()
    object.__setattr__(served, "on_cpu", answered)
    answers = list(gallery(asked(many, served, explained)))
    assert [answer.get("done") for answer in answers] == [30, None]
    assert answers[0]["count"] == 60
    assert answers[0]["cards"] == answers[1]["cards"]
    assert len(answers[1]["cards"]) == PAGE
    pages = [list(gallery(asked(many, served, explained, start=start)))[-1]["cards"] for start in (0, 24, 48, 72)]
    assert [len(page) for page in pages] == [24, 24, 12, 0]
    labels = [card["label"] for page in pages for card in page]
    assert labels == [example.label for example in mixed(many)]
    assert labels[:20] == list(DRAWINGS) * 2
    *_, strange = gallery(asked(many, served, explained, start=-3, order="no such", label=["x"]))
    assert strange["cards"] == pages[0]
    *_, of_class = gallery(asked(many, served, explained, label="church"))
    assert {card["label"] for card in of_class["cards"]} == {"church"}
    assert of_class["kept"] == 6


def test_24_cards_are_a_few_kilobytes(examples, explainer):
    *_, entries = Explained().entries(Served("one", explainer), examples)
    assert len(json.dumps(cards_of(entries, editable=True))) / len(entries) * PAGE < 20_000
