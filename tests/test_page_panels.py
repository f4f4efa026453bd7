"""What the page shows for some networks alone, and which model answers meanwhile, in Chromium."""

from contextlib import contextmanager

import numpy as np
import pytest
from hub_stand_in import hub
from page import NEEDS_CHROMIUM, Traffic, canvas, chromium, explained, opened, visited
from PIL import Image
from server import app

from abn import Explainer
from abn.space.server.examples import Gallery

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    """The example that opens the page, as the server has it."""
    gallery = Gallery(tmp_path_factory.mktemp("none") / "none", may_download=False)
    yield gallery.opening().path  # it goes with the gallery
    del gallery


@contextmanager
def visiting(browser, url, model):
    """A page on which a model of the models' root answers, and what it says."""
    with visited(browser, url) as page:
        traffic = Traffic(page)
        opened(page, url, f"?model={model}&blend=paper&alpha=1")
        page.wait_for_selector(f"[data-chip-name] >> text={model}")
        explained(page)
        yield page, traffic


def shows(page, expected) -> None:
    """The stage has the overlay of an explanation, within a step of the colours of a JPEG's decoders."""
    page.wait_for_function("() => document.querySelector('#abn-explain .abn-stage').dataset.state === ''")
    explained(page)
    difference = np.abs(canvas(page).astype(int) - expected.overlay(1.0))
    assert difference.mean() < 1
    assert (difference > 6).mean() < 0.001


@pytest.mark.slow
def test_a_multitask_network_lists_its_tasks_and_a_click_shows_a_tasks_map(browser, url, models_root, drawing):
    explainer = Explainer.from_pretrained(models_root / "three-tasks", device="cpu")
    with visiting(browser, url, "three-tasks") as (page, _):
        assert "answers 3 questions with yes or no" in page.inner_text("[data-knows]")
        answers = explainer(drawing, view="whole").probabilities
        shown = page.locator("[data-tasks] button").all_inner_texts()
        assert [text.split() for text in shown] == [
            [task, f"{100 * answers[task]:.0f}", "%"] for task in ("round", "red", "large")
        ]
        for task, part, method in (("red", "positive", "attention"), ("red", "negative", "attention-negative")):
            with page.expect_request("**/call/page_explain"):
                if part == "positive":
                    page.locator("[data-tasks] button", has_text=task).click()
                else:
                    page.locator(f"[data-part] input[value={part}]").check(force=True)
            shows(page, explainer(drawing, view="whole", target=task, method=method))
            assert page.locator("[data-tasks] [aria-pressed=true]").inner_text().startswith(task)
            assert f"the map is the one for {task}" in page.inner_text("[data-sentence]")
    with visited(browser, url) as page:
        opened(page, url)
        assert not page.is_visible("[data-panel=tasks]")


def test_a_vision_transformer_shows_its_layers_and_heads(browser, url, models_root, drawing):
    explainer = Explainer.from_pretrained(models_root / "transformer", device="cpu")
    with visiting(browser, url, "transformer") as (page, _):
        assert "Vision Transformer of 3 layers" in page.text_content("[data-small]")
        assert page.is_disabled("[data-head]")
        shows(page, explainer(drawing, view="whole"))
        for selector, value, method in (("layer", "2", "layer-2"), ("head", "3", "layer-2-head-3")):
            with page.expect_request("**/call/page_explain"):
                page.select_option(f"#abn-explain [data-{selector}]", value)
            shows(page, explainer(drawing, view="whole", method=method))


def test_a_digit_is_drawn_and_explained(browser, url, models_root):
    with visiting(browser, url, "digits") as (page, traffic):
        pad = page.locator("canvas.abn-pad")
        pad.scroll_into_view_if_needed()
        box = pad.bounding_box()
        scale = box["width"] / 280
        page.mouse.move(box["x"] + 140 * scale, box["y"] + 30 * scale)
        page.mouse.down()
        page.mouse.move(box["x"] + 140 * scale, box["y"] + 240 * scale, steps=5)
        page.mouse.up()
        page.wait_for_function("() => document.querySelector('#abn-explain .abn-stage-box > canvas').width === 280")
        explained(page)
        page.locator("#abn-explain [data-alpha]").fill("0")
        pixels = canvas(page)
        assert pixels.shape == (280, 280, 3)
        assert (pixels[140, 140] == 255).all()
        assert (pixels[140, 40] == 0).all()
        expected = Explainer.from_pretrained(models_root / "digits", device="cpu")(
            Image.fromarray(pixels), view="whole"
        )
        assert page.inner_text("[data-label]") == expected.label
        assert len(traffic.posts("/upload")) == 1


@pytest.fixture
def visit(browser, tiny_folder, tiny_imagenette, tmp_path):
    """Open the page of an app that wants `someone/abn` from a Hub that serves in the given mode."""

    @contextmanager
    def visit(mode):
        with hub(tiny_folder, "someone/abn", mode) as endpoint:
            arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", "someone/abn"]
            with app(tmp_path, *arguments, HF_ENDPOINT=endpoint) as (url, _):
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                opened(page, url)
                yield page
                page.close()

    return visit


@pytest.mark.slow
def test_the_page_says_why_the_wanted_model_is_not_there(visit):
    with visit("missing") as page:
        page.wait_for_selector("[data-dot][data-state=refused]", timeout=30000)
        words = page.text_content("[data-notice]")
        assert page.locator("[data-notice]").evaluate("each => getComputedStyle(each).opacity") == "0"
        page.focus("[data-chip]")
        page.wait_for_function("() => getComputedStyle(document.querySelector('[data-notice]')).opacity === '1'")
    assert words == (
        "someone/abn is not in use: the Hub answered 404 (not found). The bundled compact network answers instead."
    )


@pytest.mark.slow
def test_the_page_changes_to_the_wanted_model(visit):
    with visit("ok") as page:
        page.wait_for_selector("[data-chip-name] >> text=someone/abn", timeout=30000)
        page.wait_for_selector("[data-knows] >> text=This model knows 10 things")
        explained(page, "class ")
        assert page.text_content("[data-notice]") == ""
