"""The Gallery tab in Chromium."""

import io

import numpy as np
import pytest
import torch
from helpers import made_up_picture
from page import NEEDS_CHROMIUM, canvas, chromium, says, visited
from PIL import Image
from server import app

from abn import Explainer, imagenette
from abn.overlay import overlay
from abn.space.drawings import DRAWINGS
from abn.space.tabs.gallery import PAGE

pytestmark = NEEDS_CHROMIUM
CARD = "#abn-gallery .abn-tile:enabled"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def thirty(tmp_path_factory):
    """The url of an app with three pictures a class."""
    tmp = tmp_path_factory.mktemp("thirty")
    for index, wnid in enumerate(imagenette.WNIDS):
        for split in ("train", "val"):
            folder = tmp / "made-up" / "imagenette2-160" / split / wnid
            folder.mkdir(parents=True)
            for number in range(3):
                made_up_picture(60, 48, seed=10 * index + number).save(folder / f"{wnid}_{number}.JPEG")
    with app(tmp, "--checkpoint", "compact", "--imagenette-root", str(tmp / "made-up")) as (url, _):
        yield url


def count(page, number: int) -> None:
    """Wait for so many cards, and nothing that still waits."""
    page.wait_for_function(
        "([card, number]) => document.querySelectorAll(card).length === number"
        " && !document.querySelector('#abn-gallery .abn-tile:disabled')",
        arg=[CARD, number],
        timeout=60000,
    )


def pixels(page, name: str) -> np.ndarray:
    """(H, W, 3): what a card's canvas shows."""
    page.wait_for_selector(f"{CARD}[data-id='{name}'][data-painted]")
    return canvas(page, f"{CARD}[data-id='{name}'] canvas").astype(int)


def picture_at(page, url: str) -> Image.Image:
    with Image.open(io.BytesIO(page.request.get(url).body())) as picture:
        return picture.convert("RGB")


def test_the_gallery_filters_the_wrong_ones_and_opens_one(browser, url, bundled, drawn_gallery):
    pictures = {example.label: example.path for example in drawn_gallery.examples}
    answers = Explainer.from_pretrained(bundled)([*pictures.values()], view="whole")
    found = dict(zip(pictures, answers, strict=True))
    wrong = [name for name, explanation in found.items() if explanation.label != name]
    with visited(browser, url) as page:
        page.get_by_role("tab", name="Gallery").click()
        count(page, 10)
        says(page, "#abn-gallery [data-status]", f"of all 10 pictures {10 - len(wrong)} are right")
        page.locator("#abn-gallery [data-order]").select_option("wrong ones")
        count(page, len(wrong))
        cards = page.locator(CARD).all_inner_texts()
        assert [card.split("\n")[0] for card in cards] == [f"{name} (drawn)" for name in wrong]
        for card, name in zip(cards, wrong, strict=True):
            assert "✗" in card
            assert f"{found[name].label} {100 * found[name].probabilities[found[name].label]:.0f} %" in card
        page.locator("#abn-gallery [data-class]").select_option("church" if "church" not in wrong else "tench")
        says(page, "#abn-gallery [data-status]", "There is no such picture.")
        page.locator("#abn-gallery [data-class]").select_option("")
        page.locator("#abn-gallery [data-order]").select_option("least confident first")
        count(page, 10)
        least = min(found, key=lambda name: found[name].probabilities[found[name].label])
        assert page.locator(CARD).first.inner_text().startswith(least)
        page.locator(CARD).first.click()
        says(page, "#abn-explain [data-label]", found[least].label)
        assert page.get_by_role("tab", name="Explain").get_attribute("aria-selected") == "true"
        assert f"example={least.replace(' ', '-')}-drawn" in page.url


def test_a_card_is_the_picture_with_its_map_and_bare_under_the_pointer_and_in_focus(browser, url, bundled):
    explainer, name = Explainer.from_pretrained(bundled), "chain-saw-drawn"
    with visited(browser, url, "?tab=gallery&blend=paper&alpha=1") as page:
        count(page, 10)
        page.mouse.move(0, 0)
        painted = pixels(page, name)
        card = page.locator(f"{CARD}[data-id='{name}']")
        card.hover()
        bare = pixels(page, name)
        small, whole = (picture_at(page, f"{url}/gradio_api/abn/example/{name}{query}") for query in ("?small", ""))
        assert np.abs(bare - np.asarray(small)).max() <= 2
        explanation, sizes = explainer(whole, view="whole"), [(whole.height, whole.width)]
        grid = torch.from_numpy(explanation.grid)[None, None]
        heat = explainer.processor.post_process_attention(grid, sizes, "whole", [bare.shape[:2]])[0].clamp(0, 1).numpy()
        expected = overlay(bare.astype(np.uint8), heat, 1.0).astype(int)
        assert np.abs(painted - expected).mean() < 1  # the map comes in 255 steps of its peak
        assert np.abs(painted - expected).max() <= 16
        assert np.abs(bare - expected).mean() > 10
        page.mouse.move(0, 0)
        assert (pixels(page, name) == painted).all()
        page.keyboard.press("Tab")
        card.focus()
        assert (pixels(page, name) == bare).all()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_role("tab", name="Explain").click()
        page.locator("#abn-explain input[value=spotlight]").check(force=True)
        page.get_by_role("tab", name="Gallery").click()
        page.locator("#abn-gallery select").first.focus()
        other = pixels(page, name)
        assert (other <= bare + 1).mean() > 0.9  # darker
        assert np.abs(other - bare).mean() > 5
        assert asked == []  # nothing was asked for it


def test_a_wrong_one_is_corrected_under_edit_where_its_class_is_chosen(browser, url, bundled):
    found = dict(zip(DRAWINGS, Explainer.from_pretrained(bundled)([*DRAWINGS.values()], view="whole"), strict=True))
    wrong = [name for name, explanation in found.items() if explanation.label != name]
    with visited(browser, url, "?tab=gallery") as page:
        count(page, 10)
        shown = page.locator("#abn-gallery [data-correct]:visible")
        assert shown.count() == len(wrong) > 0
        assert shown.first.get_attribute("aria-label") == f"Correct it under Edit: {wrong[0]}"
        size = shown.first.bounding_box()
        assert min(size["width"], size["height"]) >= 44
        shown.first.click()
        page.wait_for_selector("#abn-edit [data-right]:not([disabled])", timeout=60000)
        assert page.locator("#abn-edit [data-right]").input_value() == wrong[0]
        says(page, "#abn-edit [data-change]", found[wrong[0]].label)
        assert f"example={wrong[0].replace(' ', '-')}-drawn" in page.url
        assert page.get_by_role("tab", name="Edit").get_attribute("aria-selected") == "true"


@pytest.mark.slow
def test_24_pictures_and_more_in_two_columns_under_filters_that_stay(browser, thirty):
    with visited(browser, thirty, "?tab=gallery", viewport={"width": 390, "height": 844}) as page:
        count(page, PAGE)
        says(page, "#abn-gallery [data-status]", "24 of 30 shown; of all 30 pictures")
        left = page.eval_on_selector_all(CARD, "cards => cards.map((card) => card.getBoundingClientRect().left)")
        assert len(set(left)) == 2
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("button", name="Show more").click()
        count(page, 30)
        assert page.locator("#abn-gallery [data-more]").is_hidden()
        ids = page.eval_on_selector_all(CARD, "cards => cards.map((card) => card.dataset.id)")
        assert len(set(ids)) == 30
        assert page.evaluate("document.activeElement.dataset.id") == ids[PAGE]
        page.evaluate("scrollTo(0, 600)")
        assert page.locator("[data-filters]").bounding_box()["y"] == pytest.approx(0, abs=1)
        unseen = page.locator(f"{CARD}:not([data-painted])").count()
        assert unseen < 30
        page.locator("#abn-gallery [data-class]").select_option("golf ball")
        count(page, 3)
        assert all(text.startswith("golf ball\n") for text in page.locator(CARD).all_inner_texts())


def test_the_keyboard_goes_from_card_to_card_and_opens_one(browser, url):
    with visited(browser, url, "?tab=gallery", viewport={"width": 1280, "height": 900}) as page:
        count(page, 10)
        page.locator("#abn-gallery [data-order]").focus()
        ids = page.eval_on_selector_all(CARD, "cards => cards.map((card) => card.dataset.id)")
        focused = "document.activeElement.dataset.id"
        for key, place in (("Tab", 0), ("ArrowRight", 1), ("End", 9), ("ArrowLeft", 8), ("Home", 0), ("ArrowRight", 1)):
            page.keyboard.press(key)
            assert page.evaluate(focused) == ids[place]
        page.keyboard.press("ArrowDown")
        below, above = (page.locator(f"{CARD}[data-id='{name}']") for name in (page.evaluate(focused), ids[1]))
        assert below.bounding_box()["x"] == above.bounding_box()["x"]
        assert below.bounding_box()["y"] > above.bounding_box()["y"]
        correct = below.locator("xpath=..").locator("[data-correct]")
        if correct.is_visible():  # of a wrong one
            page.keyboard.press("Tab")
            assert correct.evaluate("(button) => button === document.activeElement")
        page.keyboard.press("Tab")  # one stop for all cards
        assert page.evaluate("document.activeElement.closest('[data-tiles]')") is None
        page.keyboard.press("Shift+Tab")
        if correct.is_visible():
            page.keyboard.press("Shift+Tab")
        chosen = page.evaluate(focused)
        assert chosen == below.get_attribute("data-id")
        page.keyboard.press("Enter")
        page.wait_for_function(f"location.search.includes('example={chosen}')")


def test_cards_wait_in_their_places_until_the_answer_is_there(browser, url):
    with visited(browser, url) as page:
        held = []
        page.route("**/call/page_gallery", lambda route: held.append(route))
        page.get_by_role("tab", name="Gallery").click()
        page.wait_for_selector("#abn-gallery .abn-tile:disabled")
        assert page.locator("#abn-gallery .abn-tile:disabled").count() == PAGE
        assert page.inner_text("#abn-gallery [data-status]") == "Looking at the pictures …"
        place = page.locator("#abn-gallery .abn-tile").first.bounding_box()
        held[0].continue_()
        count(page, 10)
        assert page.locator(CARD).first.bounding_box() == place
        page.unroute("**/call/page_gallery")
        page.route("**/call/page_gallery", lambda route: route.abort())
        page.locator("#abn-gallery [data-order]").select_option("wrong ones")
        says(page, "#abn-gallery [data-status]", "the server cannot be reached")
        assert page.locator("#abn-gallery .abn-tile:disabled").count() == 0
        page.unroute("**/call/page_gallery")
        page.get_by_role("button", name="Show more").click()
        says(page, "#abn-gallery [data-status]", "are right")
        page.faults.clear()  # the browser's own line about the refused connection


@pytest.mark.slow
def test_the_gallery_speaks_japanese(browser, url):
    with visited(browser, url, "?tab=gallery", locale="ja-JP", viewport={"width": 390, "height": 844}) as page:
        count(page, 10)
        says(page, "#abn-gallery [data-status]", "が正解")
        text = page.inner_text("#abn-gallery")
        for words in ("テンチ (描画)", "クラス", "表示", "誤り"):
            assert words in text.replace("\n", " "), words
        for english in ("tench", "church", "drawn", "Class", "right"):
            assert english not in text, english
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_under_explain_there_is_more_of_a_class(browser, thirty):
    with visited(browser, thirty) as page:
        page.locator(".abn-example", has_text="church").locator("[data-more]").focus()
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelectorAll('[data-examples] [data-open]').length === 3")
        assert page.locator("[data-examples] span").all_inner_texts() == ["church"] * 3
        page.locator("[data-more]").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelectorAll('[data-examples] [data-open]').length === 10")
