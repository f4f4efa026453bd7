"""The Compare tab: what the server answers, one by one, and what Chromium shows of it."""

import base64
import json
import re

import numpy as np
import pytest
from asking import asked
from helpers import made_up_picture, tiny_model, vision_transformer, wait_for
from page import Traffic, canvas, choose, chromium, example, visited

from abn import AbnConfig, AbnForMultiTaskClassification, AbnImageProcessor, Explainer, imagenette
from abn.comparison import Comparison
from abn.model.image_processing_vit import VitImageProcessor
from abn.overlay import overlay
from abn.space.context import answering
from abn.space.drawings import DRAWINGS
from abn.space.locale import CATALOGUES
from abn.space.server.serving import Served
from abn.space.tabs.compare import compare

MOST_BYTES = 60_000  # of five methods with their curves
FIVE = ["attention", "attention-cam", "grad-cam", "grad-cam++", "centre"]

# --- What the server answers


def explainer_of(model) -> Explainer:
    processor = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    return Explainer(model, processor, device="cpu")


@pytest.fixture
def file(tmp_path):
    made_up_picture(120, 80).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.fixture(scope="module")
def served():
    return Served("tiny", explainer_of(tiny_model()))


def grid_of(packed: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["floats"]), "<f4").reshape(packed["shape"])


def test_maps_and_curves_are_the_librarys(served, file):
    names = ["score-cam", "centre", "grad-cam", "attention"]
    answers = list(compare(asked(served, file, methods=names, target="class 3", curves=True, view="model")))
    comparison = Comparison(served.lasting, str(file), "class 3", "model")
    maps = {one["method"]: one for one in answers if "map" in one}
    assert list(maps) == ["attention", "grad-cam", "centre", "score-cam"]  # the slow one last
    for name, answer in maps.items():
        found = comparison(name)
        assert np.array_equal(grid_of(answer["map"]), found.grid)
        assert answer["target"] == found.target == (None if name in ("attention", "centre") else "class 3")
        assert answer["milliseconds"] >= 0
    curves = {one["method"]: one["curves"] for one in answers if "curves" in one}
    assert list(curves) == list(maps)
    for name, answer in curves.items():
        expected = comparison.curves(comparison(name))
        assert answer["insertion"] == pytest.approx(expected.insertion, abs=2e-4)
        assert answer["deletion"] == pytest.approx(expected.deletion, abs=2e-4)
        assert answer["areas"] == pytest.approx(expected.areas, abs=2e-4)
        assert answer["insertion"] != answer["deletion"]


@pytest.mark.parametrize("view", ["whole", "model"])
def test_the_first_answer_says_where_the_maps_lie_and_what_the_model_knows(served, file, view):
    first, *_, last = compare(asked(served, file, view=view, labels=True))
    explanation = served.lasting(str(file), view=view)
    assert first["box"] == list(explanation.geometry.box)
    assert first["span"] == [list(pair) for pair in explanation.geometry.span]
    assert first["size"] == [120, 80]
    assert first["target"] == explanation.label
    assert first["shared"] > 0
    assert first["methods"] == FIVE  # the usual ones
    assert [one["name"] for one in first["known"] if one["slow"]] == ["score-cam", "occlusion"]
    assert first["labels"] == [f"class {number}" for number in range(10)]
    assert last == {"done": True, "notes": []}


def test_each_model_is_compared_by_what_it_knows(file):
    processor = VitImageProcessor(size={"height": 32, "width": 32}, crop_size={"height": 32, "width": 32})
    transformer = Served("transformer", Explainer(vision_transformer(), processor, device="cpu"))
    first = next(compare(asked(transformer, file, methods=["attention", "grad-cam", "rollout", "layer-1"])))
    assert first["methods"] == ["rollout"]
    first = next(compare(asked(transformer, file)))
    assert first["methods"] == ["rollout", "last-layer", "gradient-rollout", "centre"]


def test_a_multi_task_networks_maps_are_the_chosen_tasks(file):
    config = AbnConfig(arch="resnet18", width=8, multitask="v1", id2label={0: "round", 1: "red", 2: "large"})
    served = Served("tasks", explainer_of(AbnForMultiTaskClassification(config)))
    answers = list(compare(asked(served, file, target="large")))
    assert answers[0]["tasks"] is True
    assert answers[0]["methods"] == ["attention", "attention-negative", "attention-both", "centre"]
    for answer in answers[1:4]:
        expected = served.lasting(str(file), view="whole", method=answer["method"], target="large")
        assert np.array_equal(grid_of(answer["map"]), expected.grid)
    other = served.lasting(str(file), view="whole", method="attention-both", target="red").grid
    assert not np.allclose(grid_of(answers[3]["map"]), other, atol=1e-3)


def test_what_takes_long_is_said_before_it_begins(served, file):
    answers = list(compare(asked(served, file, "ja", methods=["grad-cam", "occlusion"], curves=True)))
    said = [(one["doing"], one["place"], one["count"]) for one in answers if "doing" in one]
    assert said == [("遮蔽 …", 1, 3), ("曲線: Grad-CAM …", 2, 3), ("曲線: 遮蔽 …", 3, 3)]
    assert answers.index(next(one for one in answers if "doing" in one)) == 2  # after the start and the quick map


@pytest.mark.slow
def test_five_methods_of_a_photograph_are_few_bytes(bundled, tmp_path):
    made_up_picture(1024, 768).save(tmp_path / "photo.png")
    served = Served("compact", Explainer.from_pretrained(bundled, device="cpu"))
    answers = [json.dumps([one]) for one in compare(asked(served, tmp_path / "photo.png", curves=True, labels=True))]
    assert sum(map(len, answers)) < MOST_BYTES - 15_000  # the rest is the protocol's


def test_a_class_that_there_is_not_is_an_error_in_words(served, file):
    one = asked(served, file, target="cat")
    (answer,) = list(answering(compare, one.context)(dict(one.values), None))
    assert answer["error"].startswith("target must be a class or its index; got 'cat'")


# --- What Chromium shows of it


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser, url):
    with visited(browser, url) as page:
        open_comparison(page)
        yield page


@pytest.fixture(scope="module")
def looked_at(browser, url):
    """A page for tests that leave it as it is."""
    with visited(browser, url) as page:
        open_comparison(page)
        yield page


def open_comparison(page, cards: int = 5) -> None:
    page.get_by_role("tab", name="Compare").click()
    measured(page, cards)


def says(page, words: str, seconds: int = 60) -> None:
    """Wait until the state of things says so."""
    page.wait_for_selector(f"#abn-compare [data-status] >> text={words}", timeout=1000 * seconds)


def measured(page, cards: int) -> None:
    """Wait until all is there: so many cards, each with its curves."""
    page.wait_for_function(
        """(cards) => document.querySelectorAll('.abn-card').length === cards
            && document.querySelectorAll('.abn-card svg').length === cards
            && document.querySelector('[data-cards]').getAttribute('aria-busy') === 'false'""",
        arg=cards,
        timeout=90000,
    )


def card(name: str) -> str:
    return f".abn-card[data-method='{name}']"


def place_of(page, name: str) -> list[float]:
    """A card's [left, top, width, height] among the cards."""
    return page.eval_on_selector(
        card(name),
        "(one) => [one.offsetLeft, one.offsetTop - one.parentNode.offsetTop, one.offsetWidth, one.offsetHeight]",
    )


def tick(page, name: str) -> None:
    page.locator("#abn-compare [data-methods] label", has_text=re.compile(f"^{re.escape(name)}")).click()


def order(page) -> list[str]:
    return page.eval_on_selector_all(".abn-card", "(all) => all.map((one) => one.dataset.method)")


@pytest.fixture(scope="module")
def comparison(bundled, url, tmp_path_factory):
    file = example(url, "chain saw", tmp_path_factory.mktemp("example"))
    return Comparison(Explainer.from_pretrained(bundled, device="cpu"), file)


def test_each_card_says_what_the_library_measures_and_the_best_comes_first(looked_at, comparison):
    page = looked_at
    worth = {}
    for name in FIVE:
        found = comparison(name)
        inserted, deleted = comparison.curves(found).areas
        words = page.inner_text(card(name))
        assert f"peak {found.heatmap.max():.2f} of 1" in words
        assert ("for chain saw" if found.target else "the same for every class") in words
        areas = [float(value) for value in re.findall(r"(?:insertion|deletion) ([\d.]+)", words)]
        assert areas == pytest.approx([inserted, deleted], abs=0.02)
        whole, shared, own = map(float, re.search(r"(\d+) ms = ([\d.]+) shared \+ ([\d.]+) own", words).groups())
        assert whole == pytest.approx(shared + own, abs=1)
        assert shared > 1
        worth[name] = areas[0] - areas[1]
    shown = [worth[name] for name in order(page)]
    assert shown == sorted(shown, reverse=True) or shown == pytest.approx(sorted(shown, reverse=True), abs=0.011)
    assert "Sorted by insertion − deletion" in page.inner_text("#abn-compare [data-status]")
    assert "Explained class: chain saw" in page.inner_text("#abn-compare [data-status]")


def test_two_maps_lie_on_each_side_of_a_line_that_needs_no_request(page, comparison):
    page.locator("#abn-compare [data-blend] label", has_text="Paper").click()
    page.locator("#abn-compare [data-alpha]").fill("0")
    picture = canvas(page, "#abn-compare .abn-stage canvas")
    page.locator("#abn-compare [data-alpha]").fill("1")
    page.posts.clear()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.locator(f"{card('grad-cam')} [data-side=left]").click()
    page.locator("#abn-compare [data-side-of=right]").select_option("centre")
    line = page.locator("#abn-compare [data-line]")
    box = page.locator("#abn-compare .abn-stage-box").bounding_box()
    line.hover()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 - 80, box["y"] + 100, steps=5)
    page.mouse.up()
    shown = canvas(page, "#abn-compare .abn-stage canvas")
    split = round(int(line.get_attribute("aria-valuenow")) / 100 * shown.shape[1])
    assert split < 0.45 * shown.shape[1]
    for part, name in ((slice(0, split - 8), "grad-cam"), (slice(split + 8, None), "centre")):
        expected = overlay(picture, comparison(name).heatmap, 1.0).astype(int)[:, part]
        assert np.abs(shown.astype(int)[:, part] - expected).mean() < 1
        assert np.abs(picture.astype(int)[:, part] - expected).mean() > 10
    assert page.get_attribute(f"{card('centre')} [data-side=right]", "aria-pressed") == "true"
    assert page.get_attribute(f"{card('attention')} [data-side=left]", "aria-pressed") == "false"
    assert requests == []


@pytest.mark.slow
def test_each_map_is_over_its_own_peak_until_one_scale_is_asked_for(page):
    weak, full = (f"{card(name)} canvas" for name in ("attention", "grad-cam"))  # peaks of 0.4 and of 1
    before = [canvas(page, one) for one in (weak, full)]
    page.posts.clear()
    page.locator("#abn-compare label", has_text="One scale for all maps").click()
    after = [canvas(page, one) for one in (weak, full)]
    assert np.abs(before[0].astype(int) - after[0]).mean() > 3
    assert np.abs(before[1].astype(int) - after[1]).mean() < 0.5
    page.locator("#abn-compare [data-blend] label", has_text="Spotlight").click()  # alpha and blend are the page's
    assert np.abs(canvas(page, full).astype(int) - after[1]).mean() > 5
    assert page.posts == []


def test_curves_are_large_on_click(looked_at, comparison):
    page = looked_at
    page.locator(f"{card('grad-cam')} [data-enlarge]").click()
    words = page.inner_text("#abn-compare [data-large]")
    inserted, deleted = comparison.curves(comparison("grad-cam")).areas
    found = [float(value) for value in re.findall(r"(?:insertion|deletion) ([\d.]+)", words)]
    assert found == pytest.approx([inserted, deleted], abs=0.02)
    assert "probability of chain saw" in words
    drawn = page.get_attribute("#abn-compare [data-large] .abn-insertion", "d")
    ends = [60 * (1 - value) for value in comparison.curves(comparison("grad-cam")).insertion]
    heights = [float(point.split()[1]) for point in drawn.lstrip("M").split("L")]
    assert heights == pytest.approx(ends, abs=1.5)
    page.keyboard.press("Escape")
    assert not page.locator("#abn-compare [data-large]").is_visible()


@pytest.mark.slow
def test_another_method_costs_no_more_than_itself(page):
    asking = []
    page.on("request", lambda request: asking.append(request) if "page_compare" in request.url else None)
    tick(page, "LayerCAM")
    measured(page, 6)
    (values,) = [json.loads(one.post_data)["data"][0] for one in asking if one.method == "POST"]
    assert values["methods"] == ["layer-cam"]
    tick(page, "LayerCAM")
    assert len(order(page)) == 5
    assert sum(one.method == "POST" for one in asking) == 1


def test_five_methods_are_60_kB_and_the_picture_is_sent_once(browser, url, tmp_path):
    photo = tmp_path / "photo.jpg"
    made_up_picture(2000, 1500).save(photo, quality=92)
    with visited(browser, url) as page:
        traffic = Traffic(page)
        choose(page, photo)
        module = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
        base = next(name for name in module if name.endswith("/page.js")).removesuffix("page.js")
        page.evaluate("(base) => import(base + 'tabs/compare.js')", base)  # the script, which is not an answer
        traffic.clear()
        open_comparison(page)
        assert [url.rpartition("/")[2] for method, url in traffic.requests if method == "POST"] == ["page_compare"]
        wait_for(lambda: page.evaluate("true") and traffic.down)
        assert 10_000 < traffic.down <= MOST_BYTES
        assert traffic.up < 1000
        assert page.posts.count("upload") == 1


@pytest.mark.slow
def test_another_picture_stops_the_comparison_and_begins_it_anew(page, bundled, url, tmp_path):
    tick(page, "Score-CAM")
    says(page, "Score-CAM …", 30)
    page.posts.clear()
    names = ["golf ball", "tench", "church"]
    for name in names:
        drawing = DRAWINGS[name].stem
        page.evaluate(
            """(id) => { const query = new URLSearchParams(location.search); query.set('example', id);
                history.pushState(null, '', '?' + query); dispatchEvent(new PopStateEvent('popstate')); }""",
            f"{drawing}-drawn",
        )
    says(page, "Explained class: church", 180)
    comparison = Comparison(Explainer.from_pretrained(bundled, device="cpu"), example(url, "church", tmp_path))
    assert f"peak {comparison('attention').heatmap.max():.2f} of 1" in page.inner_text(card("attention"))
    assert page.posts.count("compare") <= 3
    assert len(order(page)) == 6


@pytest.mark.slow
def test_a_long_comparison_can_be_stopped_and_gone_on_with(page):
    tick(page, "Score-CAM")
    says(page, "Score-CAM …", 30)
    page.locator("#abn-compare [data-stop]").click()
    assert page.inner_text("#abn-compare [data-status]") == "Stopped."
    assert page.locator(f"{card('score-cam')}.abn-waiting").count() == 1
    assert page.locator("#abn-compare svg.abn-curves").count() == 5
    tick(page, "Score-CAM")
    tick(page, "LayerCAM")  # the server is free at once
    measured(page, 6)


@pytest.mark.slow
def test_what_one_question_has_no_time_for_is_asked_for_in_another(browser, url, bundled, tmp_path):
    """The first question's answers are the server's own, but for two that its limit cuts off."""
    served = Served("compact", Explainer.from_pretrained(bundled, device="cpu"))
    late = ["grad-cam++", "centre"]
    question = asked(served, example(url, "chain saw", tmp_path), methods=FIVE, curves=True, labels=True)
    cut = {"left": "curves", "why": "too long"}
    answers = [
        {"method": one["method"], **cut} if "curves" in one and one["method"] in late else one
        for one in compare(question)
    ]
    answers[-1] = {"done": True, "notes": ["too long"]}
    events = [("generating", one) for one in answers] + [("complete", answers[-1])]
    body = "".join(f"event: {kind}\ndata: {json.dumps([one])}\n\n" for kind, one in events)
    with visited(browser, url) as page:
        sent, answered = [], []
        page.on("request", lambda one: sent.append(one.post_data) if one.url.endswith("/page_compare") else None)

        def answer(route) -> None:
            answered.append(route)
            if len(answered) == 1:
                route.fulfill(body=body, content_type="text/event-stream")
            else:
                route.continue_()

        page.route("**/call/page_compare/*", answer)
        open_comparison(page)
        assert [json.loads(one)["data"][0]["methods"] for one in sent[:2]] == [FIVE, late]
        assert "too long" not in page.inner_text("#abn-compare")


@pytest.mark.slow
def test_cards_do_not_move_under_the_pointer(browser, url):
    with visited(browser, url) as page:
        page.get_by_role("tab", name="Compare").click()
        page.wait_for_selector(card("attention"))
        page.hover(card("attention"))
        before = order(page)
        assert before == FIVE
        says(page, "Sorted by", 60)
        assert order(page) == before
        page.mouse.move(5, 5)
        wait_for(lambda: order(page) != before)


def test_skeletons_stand_at_once_and_nothing_moves(browser, url):
    with visited(browser, url) as page:
        page.route("**/page_compare", lambda route: None)  # never answered
        page.get_by_role("tab", name="Compare").click()
        page.wait_for_selector(f"{card('centre')}.abn-waiting")
        assert order(page) == FIVE
        assert page.inner_text("#abn-compare [data-note]") == "Looking …"
        waiting = place_of(page, "centre")
        page.unroute("**/page_compare")
        page.locator("#abn-compare [data-stop]").click()
        page.locator("#abn-compare [data-stop]").click()
        page.hover(card("centre"))  # keeps the order
        says(page, "Sorted by", 60)
        assert place_of(page, "centre") == pytest.approx(waiting, abs=1)


def test_a_transformer_is_compared_by_its_own_methods(browser, url):
    with visited(browser, url, "?model=transformer") as page:
        open_comparison(page, 4)
        names = set(page.locator(".abn-card h3").all_inner_texts())
        assert names == {
            "Attention rollout",
            "Last layer's attention",
            "Rollout for the class",
            "Centre blob (baseline)",
        }
        assert page.locator("#abn-compare [data-methods] input").count() == 5


def test_a_multi_task_network_is_asked_for_a_task(browser, url):
    with visited(browser, url, "?model=three-tasks") as page:
        open_comparison(page, 4)
        assert page.inner_text("#abn-compare [data-target-name]") == "Task to explain"
        options = page.locator("#abn-compare [data-target] option").all_inner_texts()
        assert options[1:] == ["round", "red", "large"]
        page.locator("#abn-compare [data-target]").select_option("large")
        page.wait_for_function(
            "() => document.querySelector('#abn-compare [data-status]').textContent.includes('large')"
        )
        measured(page, 4)
        assert "for large" in page.inner_text(card("attention-negative"))


@pytest.mark.slow
def test_it_speaks_japanese(browser, url):
    with visited(browser, url, locale="ja-JP") as page:
        page.locator("#abn-tab-compare").click()
        measured(page, 5)
        words = page.inner_text("#abn-compare")
        assert CATALOGUES["ja"]["compare_sorted"] in words
        assert "チェーンソー" in words
        assert not re.search(r"[a-z]+_[a-z]+", words)
        assert imagenette.CLASSES[0] not in words
