"""The Edit tab: what the server makes of a map, and what Chromium sends and shows."""

import json
import re

import numpy as np
import pytest
from asking import asked
from helpers import made_up_picture, tiny_model, vision_transformer, wait_for
from page import Traffic, canvas, chromium, example, visited

from abn import AbnConfig, AbnForImageClassification, AbnForMultiTaskClassification, AbnImageProcessor, Explainer
from abn.editing import Editing
from abn.space.context import answering
from abn.space.server.serving import Served
from abn.space.tabs import edit as edit_tab
from abn.space.tabs.edit import Features, edit

# --- What the server answers


def explainer_of(model) -> Explainer:
    processor = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    return Explainer(model, processor, device="cpu")


@pytest.fixture
def file(tmp_path):
    made_up_picture(120, 80).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.fixture
def served(monkeypatch):
    monkeypatch.setattr(edit_tab, "FEATURES", Features(2))
    return Served("tiny", explainer_of(tiny_model()))


@pytest.mark.parametrize("view", ["whole", "model"])
def test_the_answer_under_a_map_is_the_librarys(served, file, view):
    editing = Editing(served.lasting, str(file), view)
    own = editing.explanation
    before = edit(asked(served, file, view=view))
    assert np.array_equal(np.float32(before["map"]["rows"]), own.attention_map)
    assert before["map"]["box"] == list(own.geometry.box)
    assert before["first"] == before["now"] == [own.label, *[round(own.probabilities[own.label], 6)] * 2]
    rows = np.random.default_rng(1).uniform(-1, 1, own.attention_map.shape).astype(np.float32)
    expected = editing(rows).probabilities
    after = edit(asked(served, file, view=view, map=rows.tolist()))
    greater = sorted(expected, key=lambda name: -max(expected[name], own.probabilities[name]))[:5]
    assert [name for name, *_ in after["classes"]] == greater
    for name, now, then in [*after["classes"], after["first"], after["now"]]:
        assert now == pytest.approx(expected[name], abs=2e-6)
        assert then == pytest.approx(own.probabilities[name], abs=2e-6)
    assert after["first"][0] == own.label
    assert after["now"][0] == next(iter(expected))


def test_an_example_brings_its_class_and_labels_come_where_they_are_asked_for(served, file):
    assert edit(asked(served, file, label="class 3"))["truth"] == "class 3"
    assert edit(asked(served, file, label="cat"))["truth"] is None
    assert "labels" not in edit(asked(served, file))
    assert edit(asked(served, file, labels=True))["labels"] == [f"class {number}" for number in range(10)]


def test_a_stroke_asks_the_perception_branch_alone_and_features_may_vanish(served, file, monkeypatch):
    passes = []
    whole = Explainer.explain_with_features
    monkeypatch.setattr(Explainer, "explain_with_features", lambda *one: passes.append(one) or whole(*one))
    rows = edit(asked(served, file))["map"]["rows"]
    hidden = [[-1.0] * len(row) for row in rows]
    first = edit(asked(served, file, map=hidden))
    assert len(passes) == 1
    edit_tab.FEATURES._held.clear()
    assert edit(asked(served, file, map=hidden)) == first
    assert len(passes) == 2
    assert first["classes"] != edit(asked(served, file))["classes"]


def test_features_of_other_pictures_models_and_views_are_others_and_few(served, tmp_path):
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for number, file in enumerate(files):
        made_up_picture(120, 80, seed=number).save(file)
    held = Features(2)
    other = Served("other", explainer_of(tiny_model(1)))
    first = held.of(served, str(files[0]), "whole")
    assert held.of(served, str(files[0]), "whole") is first
    for one in (held.of(other, str(files[0]), "whole"), held.of(served, str(files[0]), "model")):
        assert one.features.shape != first.features.shape or not np.allclose(one.features, first.features, atol=1e-4)
    held.of(served, str(files[2]), "whole")
    assert len(held._held) == 2
    assert held.of(served, str(files[0]), "whole") is not first


def test_a_map_of_another_shape_is_an_error_in_words(served, file):
    one = asked(served, file, "ja", map=[[0.0, 0.0]])
    assert "でなければなりません" in answering(edit, one.context)(dict(one.values, language="ja"), None)["error"]
    rows = np.full(Editing(served.lasting, str(file)).explanation.attention_map.shape, 2.0).tolist()
    assert "between -1 and 1" in answering(edit, one.context)(dict(one.values, language="en", map=rows), None)["error"]


def test_what_cannot_be_edited_is_said(file):
    config = AbnConfig(arch="resnet18", width=8, multitask="v1", id2label={0: "round", 1: "red", 2: "large"})
    tasks = Served("tasks", explainer_of(AbnForMultiTaskClassification(config)))
    transformer = Served("transformer", explainer_of(vision_transformer()))
    without_bound = AbnConfig(arch="se-resnet18", width=16, attention_head="E", num_labels=3)
    unbounded = Served("unbounded", explainer_of(AbnForImageClassification(without_bound)))
    assert "this one has a map for every task" in edit(asked(tasks, file))["uneditable"]
    assert "a Vision Transformer has none" in edit(asked(transformer, file))["uneditable"]
    assert "no upper bound" in edit(asked(unbounded, file))["uneditable"]
    assert "タスクごとに" in edit(asked(tasks, file, "ja"))["uneditable"]


# --- What Chromium sends and shows


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser, url):
    with visited(browser, url) as page:
        page.maps, traffic = [], Traffic(page)
        page.on("request", lambda request: note(page, request))
        open_editor(page)
        page.own = np.float32(next(one["map"]["rows"] for one in traffic.answers if "first" in one))
        yield page


def note(page, request) -> None:
    if request.method == "POST" and request.url.endswith("/page_edit"):
        page.maps.append(json.loads(request.post_data)["data"][0].get("map"))


def open_editor(page) -> None:
    page.get_by_role("tab", name="Edit").click()
    page.wait_for_selector("#abn-edit [data-tools]:not([disabled])", timeout=60000)


def act(page, name: str) -> None:
    page.locator(f"#abn-edit [data-do={name}]").click()


def change(page) -> tuple[str, float, float]:
    """ "chain saw 97 % → 40 %" -> ("chain saw", 97, 40), once it stands there."""
    page.wait_for_selector("#abn-edit [data-change] >> text=→", timeout=30000)
    words = page.inner_text("#abn-edit [data-change]")
    label, before, after = re.match(r"(.+?) (?:< )?([\d.]+) % → (?:< )?([\d.]+) %", words).groups()
    return label, float(before), float(after)


def answered(page, maps: int) -> None:
    """Wait until so many maps were asked about, own map included, and the last answer is shown."""
    meanwhile(page, lambda: len(page.maps) == maps)
    page.wait_for_selector("#abn-edit [data-change][aria-busy=false]")


def meanwhile(page, condition) -> None:
    """Wait for it while the page's events come in."""
    wait_for(lambda: page.evaluate("true") and condition())


def stroke(page, *places) -> None:
    """Draw through places given as shares of the map's width and height."""
    box = page.locator("#abn-edit .abn-marks").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


@pytest.fixture(scope="module")
def editing(bundled, url, tmp_path_factory):
    file = example(url, "chain saw", tmp_path_factory.mktemp("example"))
    return Editing(Explainer.from_pretrained(bundled, device="cpu"), file)


def test_it_opens_with_the_models_own_map_and_hide_in_hand(page, editing):
    words = page.inner_text("#abn-edit [data-change]")
    assert words.startswith(f"chain saw {100 * editing.explanation.probabilities['chain saw']:.0f} %")
    assert "as the model gave it" in words
    assert page.is_checked("#abn-edit input[value=hide]")
    assert page.is_disabled("#abn-edit [data-do=undo]")
    assert "not seen at all" in page.inner_text("#abn-edit .abn-hints")


@pytest.mark.parametrize("button", ["hide_object", "only_object"])
def test_the_object_is_hidden_or_left_alone(page, editing, button):
    act(page, button)
    label, was, now = change(page)
    own = page.own
    assert np.abs(own - editing.explanation.attention_map).max() < 1e-4
    thing = own >= own.max() / 2
    rows = np.where(thing if button == "hide_object" else ~thing, np.float32(-1), own)
    assert np.array_equal(np.float32(page.maps[-1]), rows)
    expected = editing(rows).probabilities["chain saw"]
    assert (label, was) == ("chain saw", round(100 * editing.explanation.probabilities["chain saw"]))
    assert now == pytest.approx(100 * expected, abs=0.6)
    assert now < was
    marks = page.evaluate(
        """() => { const canvas = document.querySelector('#abn-edit .abn-marks');
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            let dark = 0; for (let i = 3; i < data.length; i += 4) dark += data[i] > 150;
            return dark / (canvas.width * canvas.height); }"""
    )
    assert marks == pytest.approx((rows < 0).mean(), abs=0.05)


def test_bars_are_before_and_after_as_the_library_says(page, editing):
    act(page, "invert")
    change(page)
    after = editing(1 - page.own).probabilities
    before = editing.explanation.probabilities
    order = sorted(before, key=lambda name: -max(before[name], after[name]))[:5]
    assert page.locator("#abn-edit .abn-score-name").all_inner_texts() == order
    widths = page.eval_on_selector_all(
        "#abn-edit .abn-scores li",
        "(all) => all.map((one) => [...one.querySelectorAll('i')].map((bar) => parseFloat(bar.style.width)))",
    )
    for name, (now, then) in zip(order, widths, strict=True):
        assert now == pytest.approx(100 * after[name], abs=0.02)
        assert then == pytest.approx(100 * before[name], abs=0.02)


def test_strokes_clear_reset_and_undo(page):
    own = page.own
    stroke(page, (0.2, 0.5), (0.8, 0.5))
    answered(page, 2)
    hidden = np.float32(page.maps[-1])
    assert (hidden[own.shape[0] // 2, own.shape[1] // 4 : -own.shape[1] // 4] == -1).all()
    assert np.array_equal(hidden[0], own[0])
    page.locator("#abn-edit [data-tool] label", has_text="Add").click()
    page.locator("#abn-edit [data-brush]").fill("1")
    stroke(page, (0.001, 0.001))
    answered(page, 3)
    assert page.maps[-1][0][0] == 1
    assert np.array_equal(np.float32(page.maps[-1])[0, 1:], own[0, 1:])
    act(page, "clear")
    answered(page, 4)
    assert not np.any(page.maps[-1])
    act(page, "reset")
    answered(page, 5)
    assert np.array_equal(np.float32(page.maps[-1]), own)
    for keys, undone in (("Control+z", 0 * own), ("Meta+z", None), ("Control+z", hidden), ("Control+z", own)):
        page.keyboard.press(keys)
        if undone is not None:
            meanwhile(page, lambda expected=undone: np.array_equal(np.float32(page.maps[-1]), expected))
    assert page.is_disabled("#abn-edit [data-do=undo]")


def test_the_map_is_edited_with_the_keyboard_alone(page):
    page.locator("#abn-edit .abn-marks").focus()
    seen = canvas(page, "#abn-edit .abn-marks").copy()
    page.keyboard.press("ArrowLeft")
    moved = canvas(page, "#abn-edit .abn-marks").copy()
    assert np.abs(seen.astype(int) - moved).max() > 100  # the brush's outline
    page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    answered(page, 2)
    rows, columns = (side // 2 - 1 for side in page.own.shape)
    assert np.float32(page.maps[-1])[rows, columns] == -1
    assert (np.float32(page.maps[-1]) == -1).sum() == 5  # a brush of three places across
    assert page.is_enabled("#abn-edit [data-do=undo]")


def test_while_one_question_is_under_way_the_newest_waits(page):
    held = []
    page.route("**/page_edit", lambda route: held.append(route))
    act(page, "clear")
    meanwhile(page, lambda: len(held) == 1)
    for name in ("invert", "reset", "hide_object", "only_object"):
        act(page, name)
    assert len(held) == 1
    newest = len(page.maps)
    page.unroute("**/page_edit")  # lets the held one go
    answered(page, newest + 1)
    last = np.float32(page.maps[-1])
    assert (last == -1).any()
    assert (last >= 0).any()
    assert last.max() < 1
    act(page, "undo")
    answered(page, newest + 2)
    assert (np.float32(page.maps[-1]) == -1).sum() < (last == -1).sum()  # the object is hidden, not all else


def test_the_stage_is_never_empty_and_another_picture_brings_its_own_map(browser, url, bundled):
    with visited(browser, url) as page:
        held = []
        page.route("**/page_edit", lambda route: held.append(route))
        page.get_by_role("tab", name="Edit").click()
        page.wait_for_selector("#abn-edit [data-note] >> text=Looking …")
        assert page.locator("#abn-edit .abn-nothing").count() == 0
        assert page.is_disabled("#abn-edit [data-do=clear]")
        page.unroute("**/page_edit")
        page.get_by_role("tab", name="Explain").click()
        page.locator("#abn-explain [data-examples] [data-open]").nth(4).click()  # church
        page.get_by_role("tab", name="Edit").click()
        page.wait_for_selector("#abn-edit [data-change] >> text=church", timeout=60000)
        act(page, "hide_object")
        assert change(page)[0] == "church"
        page.get_by_role("tab", name="Compare").click()
        page.get_by_role("tab", name="Edit").click()
        assert change(page)[0] == "church"  # with its edits
        assert page.is_enabled("#abn-edit [data-do=undo]")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "words"),
    [("three-tasks", "this one has a map for every task"), ("transformer", "a Vision Transformer has none to edit")],
)
def test_a_network_without_one_map_says_why(browser, url, model, words):
    with visited(browser, url, f"?model={model}") as page:
        page.get_by_role("tab", name="Edit").click()
        page.wait_for_selector(f"#abn-edit [data-change] >> text={words}", timeout=60000)
        assert page.is_disabled("#abn-edit [data-do=hide_object]")
        assert words in page.inner_text("#abn-edit [data-note]")


@pytest.mark.slow
def test_it_speaks_japanese(browser, url):
    with visited(browser, url, locale="ja-JP") as page:
        page.locator("#abn-tab-edit").click()
        page.wait_for_selector("#abn-edit [data-tools]:not([disabled])", timeout=60000)
        words = page.inner_text("#abn-edit")
        assert "物体を隠す" in words
        assert "チェーンソー" in words
        assert not re.search(r"[a-z]+_[a-z]+", words)
