"""The page in Chromium, as a visitor sees it."""

import base64
import io
import json
import re
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from gradio_client import Client, handle_file
from helpers import made_up_picture
from hub_stand_in import hub
from PIL import Image
from server import app

from abn import Explainer, imagenette
from abn.space.drawings import DRAWINGS

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]

SLIDER = "#abn-alpha input[type=range]"
LAYERS = "#abn-overlay .abn-layers"


@pytest.fixture(scope="module")
def driver():
    with playwright.sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(driver):
    arguments = ["--no-sandbox", "--disable-background-networking", "--force-color-profile=srgb"]
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
    yield browser
    browser.close()


@pytest.fixture
def page(browser, url):
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    page.faults, page.elsewhere = [], []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda message: page.faults.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: page.elsewhere.append(request.url))
    page.goto(url)
    page.wait_for_selector(f"{LAYERS} .abn-jet", timeout=30000)
    settled(page)
    yield page
    assert page.faults == []
    assert [asked for asked in page.elsewhere if not asked.startswith((url, "data:", "blob:"))] == []
    page.close()


def settled(page) -> None:
    """Wait until nothing loads or fades any more, and what is there has been painted."""
    page.wait_for_function(
        """() => document.readyState === 'complete' && !document.querySelector('.generating, .translucent, .eta-bar')
            && document.getAnimations().every((a) => a.playState !== 'running'
                || a.effect.getComputedTiming().endTime === Infinity)"""
    )
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def upload(page, file) -> None:
    """Choose a file, as a visitor does, and wait for its explanation."""
    before = page.get_attribute(f"{LAYERS} .abn-picture", "src")
    page.get_by_label("Remove Image").or_(page.get_by_label("Clear")).first.click()
    page.set_input_files("#abn-picture input[type=file]", str(file))
    page.wait_for_function(
        """(before) => { const image = document.querySelector('#abn-overlay .abn-picture');
                         return image && image.src !== before; }""",
        arg=before,
    )


def shown(page) -> np.ndarray:
    """The overlay's pixels on the screen."""
    settled(page)
    box = page.locator(LAYERS).bounding_box()
    clip = {key: round(value) for key, value in box.items()}
    with Image.open(io.BytesIO(page.screenshot(clip=clip))) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def set_alpha(page, value: float) -> None:
    page.locator(SLIDER).evaluate(
        """(slider, value) => { slider.value = value;
            slider.dispatchEvent(new Event('input', {bubbles: true}));
            slider.dispatchEvent(new Event('change', {bubbles: true})); }""",
        str(value),
    )


def test_it_opens_with_an_example_explained_and_names_the_classes(page):
    assert "chain saw" in page.inner_text("#abn-verdict")
    names = page.inner_text("#abn-classes")
    assert all(label in names for label in imagenette.CLASSES)
    assert page.locator("#abn-examples button").count() == 10
    assert "(drawn)" in page.inner_text("#abn-examples")
    assert page.inner_text("#abn-perception").split("\n")[0] == "Perception branch: the answer"
    assert page.inner_text("#abn-attention").split("\n")[0] == "Attention branch: its own opinion"


def check_overlay(page, url, file):
    """At alpha 0 the picture itself, at 1 cv2.add(picture, jet); no request while dragging."""
    client = Client(url, verbose=False)
    picture, full, half = (
        np.asarray(Image.open(client.predict(handle_file(file), alpha, api_name="/explain")[1])).astype(int)
        for alpha in (0, 1, 0.5)
    )
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    box = page.locator(SLIDER).bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    for share in (0.4, 0.2, 0.0):
        page.mouse.move(box["x"] + share * box["width"], y)
    page.mouse.up()
    assert float(page.input_value(SLIDER)) == 0
    at_zero = shown(page)
    page.mouse.move(box["x"] + 1, y)
    page.mouse.down()
    for share in (0.3, 0.6, 0.8, 1.0):
        page.mouse.move(box["x"] + share * box["width"], y)
    page.mouse.up()
    assert float(page.input_value(SLIDER)) == 1
    at_one = shown(page)
    set_alpha(page, 0.5)
    at_half = shown(page)
    assert requests == []
    assert at_zero.shape == picture.shape  # shown 1:1
    assert np.abs(at_zero - picture).max() <= 1
    assert np.abs(at_one - full).max() <= 1
    assert np.abs(at_half - half).max() <= 1


def test_the_slider_repaints_the_drawn_example(page, url, tmp_path):
    file = tmp_path / "made-up.png"
    made_up_picture(320, 240).save(file)
    upload(page, file)
    check_overlay(page, url, file)


def test_an_uploaded_validation_picture(page, url, validation_pictures):
    file, label = next((f, name) for f, name in validation_pictures if name == "garbage truck")
    upload(page, file)
    page.wait_for_function("(label) => document.querySelector('#abn-verdict').innerText.includes(label)", arg=label)
    assert label in page.inner_text("#abn-perception")
    check_overlay(page, url, file)


def test_a_click_on_an_example_explains_it(page):
    before = page.get_attribute(f"{LAYERS} .abn-picture", "src")
    page.locator("#abn-examples button", has_text="church").click()
    page.wait_for_function("(before) => document.querySelector('#abn-overlay .abn-picture').src !== before", arg=before)
    small = page.locator("#abn-overlay .abn-picture")
    assert (small.get_attribute("width"), small.get_attribute("height")) == ("480", "360")


def test_saving_gives_what_is_shown(page, url, tmp_path):
    file = tmp_path / "small.png"
    made_up_picture(96, 72).save(file)
    upload(page, file)
    set_alpha(page, 0.7)
    with page.expect_download() as saved:
        page.locator("#abn-overlay button[data-do=save]").click()
    with Image.open(saved.value.path()) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    expected = Explainer.from_pretrained("compact")(file, view="whole").overlay(0.7)
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).max() <= 1


def test_other_colours_and_stretched_contrast(page):
    explanation = Explainer.from_pretrained("compact")(DRAWINGS["chain saw"], view="whole")
    jet_layer = page.locator("#abn-overlay .abn-jet")
    for choose, expected in (
        (lambda: choose_colours(page, "Viridis"), explanation.colours(colourmap="viridis")),
        (lambda: page.locator("#abn-stretch input").check(), explanation.colours(True, "viridis")),
    ):
        before = jet_layer.get_attribute("src")
        choose()
        page.wait_for_function("(before) => document.querySelector('#abn-overlay .abn-jet').src !== before", arg=before)
        source = jet_layer.get_attribute("src")
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))
        assert np.abs(shown.astype(int) - expected).max() <= 3


def choose_colours(page, name):
    page.locator("#abn-colours input").click()
    page.get_by_role("option", name=name).click()


def test_the_class_filter(page):
    page.locator("#abn-classes label", has_text="parachute").click()
    page.wait_for_function("() => document.querySelectorAll('#abn-examples button').length === 1")
    assert "parachute" in page.inner_text("#abn-examples")


def test_the_centre_crop(page):
    page.locator("#abn-view label", has_text="Centre crop").click()
    page.wait_for_function("() => document.querySelector('#abn-overlay .abn-picture').width === 360")
    assert "map of 13 × 13 places" in page.inner_text("#abn-verdict")


def test_what_is_no_picture_is_named_and_nothing_is_lost(page, tmp_path):
    bad = tmp_path / "notes.png"
    bad.write_text("no picture")
    page.get_by_label("Remove Image").or_(page.get_by_label("Clear")).first.click()
    page.set_input_files("#abn-picture input[type=file]", str(bad))
    page.wait_for_selector("text=notes.png is not a picture that can be read")
    page.locator("#abn-examples button", has_text="golf ball").click()
    page.wait_for_selector("#abn-verdict .abn-answer")


def test_enlarging_fills_the_stage(page, tmp_path):
    file = tmp_path / "small.png"
    made_up_picture(96, 72).save(file)
    upload(page, file)
    assert page.locator(LAYERS).bounding_box()["width"] == pytest.approx(96, abs=1)
    page.locator("#abn-enlarge input").check()
    assert page.locator(LAYERS).bounding_box()["width"] > 500


def test_a_japanese_browser_reads_japanese(browser, url):
    context = browser.new_context(locale="ja-JP", viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(f"{LAYERS} .abn-jet", timeout=30000)
    page.wait_for_selector("#abn-classes >> text=各クラス1枚")
    assert page.inner_text("#abn-head h1") == "画像分類器がどこを見ているかを見る"
    for selector, words in (
        ("#abn-view", "中央を切り抜き"),
        ("#abn-verdict", "注意ブランチ"),
        ("#abn-known", "10種類"),
        ("#abn-examples", "(描画)"),
        ("#abn-perception", "知覚ブランチ: 答え"),
        ("#abn-about", "注意マップ"),
        ("#abn-examples-note", "ダウンロードは無効"),
    ):
        assert words in page.inner_text(selector), selector
    for english in ("attention branch", "Whole picture", "one of each", "Your picture", "It knows"):
        assert english not in page.inner_text("body"), english
    page.get_by_role("tab", name="比較").click()
    page.wait_for_selector("#abn-compare figure")
    assert "注意マップ" in page.inner_text("#abn-compare figure >> nth=0")
    page.wait_for_selector("#abn-compare-methods >> text=遮蔽")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("tab", name="ギャラリー").click()
    page.wait_for_selector("#abn-gallery-status >> text=が正解")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("tab", name="編集").click()
    page.wait_for_selector("#abn-edit-result .abn-bars")
    words = page.inner_text("#abn-editor .abn-tools")
    assert "隠す" in words
    assert "Hide" not in words
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_a_phone_shows_everything_without_sideways_scrolling(browser, url):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(url)
    page.wait_for_selector(f"{LAYERS} .abn-jet", timeout=30000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(LAYERS).bounding_box()["width"] <= 390
    page.close()


def use_model(page, name):
    page.get_by_role("tab", name="Model").click()
    page.locator("#abn-model-name input").fill(name)
    page.keyboard.press("Enter")
    page.locator("#abn-model-use").click()


def test_a_multitask_network_lists_its_tasks_and_a_click_shows_a_tasks_map(page, models_root):
    assert page.locator("#abn-tasks button").count() == 0
    use_model(page, "three-tasks")
    page.wait_for_selector("#abn-model-status >> text=three-tasks answers now")
    page.get_by_role("tab", name="Explain").click()
    page.wait_for_selector("#abn-tasks button")
    assert "answers 3 questions with yes or no" in page.inner_text("#abn-known")
    explainer = Explainer.from_pretrained(models_root / "three-tasks", device="cpu")
    picture = DRAWINGS["chain saw"]
    answers = explainer(picture, view="whole").probabilities
    shown = page.locator("#abn-tasks button").all_inner_texts()
    assert shown == [f"{task}\n{answers[task]:.0%}" for task in ("round", "red", "large")]
    colours = page.locator(f"{LAYERS} .abn-jet")
    for task, sign, method in (("red", "positive", "attention"), ("red", "negative", "attention-negative")):
        before = colours.get_attribute("src")
        if sign == "positive":
            page.locator("#abn-tasks button", has_text=task).click()
        else:
            page.locator("#abn-sign label", has_text=sign).click()
        page.wait_for_function("(before) => document.querySelector('#abn-overlay .abn-jet').src !== before", arg=before)
        expected = explainer(picture, view="whole", target=task, method=method).colours()
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(colours.get_attribute("src").partition(",")[2]))))
        assert np.abs(pixels.astype(int) - expected).max() <= 3
        assert page.locator("#abn-tasks button[aria-pressed=true]").inner_text().startswith(task)
        assert f"the map is the one for {task}" in page.inner_text("#abn-verdict")


def test_a_vision_transformer_shows_its_layers_and_heads(page, models_root):
    use_model(page, "transformer")
    page.wait_for_selector("#abn-model-status >> text=transformer answers now")
    page.wait_for_selector("#abn-model >> text=Vision Transformer of 3 layers")
    page.get_by_role("tab", name="Explain").click()
    page.wait_for_selector("#abn-vit-layer")
    explainer = Explainer.from_pretrained(models_root / "transformer", device="cpu")
    picture = DRAWINGS["chain saw"]
    colours = page.locator(f"{LAYERS} .abn-jet")

    def shown_is(method, before):
        page.wait_for_function("(before) => document.querySelector('#abn-overlay .abn-jet').src !== before", arg=before)
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(colours.get_attribute("src").partition(",")[2]))))
        expected = explainer(picture, view="whole", method=method).colours()
        assert np.abs(pixels.astype(int) - expected).max() <= 3

    for box, name, method in (("layer", "layer 2", "layer-2"), ("head", "3", "layer-2-head-3")):
        before = colours.get_attribute("src")
        page.locator(f"#abn-vit-{box} input").click()
        page.get_by_role("option", name=name, exact=True).click()
        shown_is(method, before)


def test_without_a_picture_the_stage_says_what_to_do(page):
    page.get_by_label("Remove Image").or_(page.get_by_label("Clear")).first.click()
    page.wait_for_selector("#abn-overlay .abn-empty")
    assert page.inner_text("#abn-verdict").strip() == ""


def test_a_digit_is_drawn_and_explained(page, models_root):
    assert not page.locator("#abn-pad").is_visible()
    use_model(page, "digits")
    page.wait_for_selector("#abn-model-status >> text=digits answers now")
    page.get_by_role("tab", name="Explain").click()
    page.wait_for_selector("#abn-pad canvas")
    before = page.get_attribute(f"{LAYERS} .abn-picture", "src")
    box = page.locator("#abn-pad canvas").bounding_box()
    page.mouse.move(box["x"] + 112, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 112, box["y"] + 190, steps=5)
    page.mouse.up()
    page.wait_for_function("(before) => document.querySelector('#abn-overlay .abn-picture').src !== before", arg=before)
    source = page.get_attribute(f"{LAYERS} .abn-picture", "src")
    drawn = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    pixels = np.asarray(drawn.convert("L"))
    assert pixels.shape == (280, 280)
    assert pixels[140, 140] == 255
    assert pixels[140, 40] == 0
    expected = Explainer.from_pretrained(models_root / "digits", device="cpu")(drawn, view="whole")
    page.wait_for_selector(f"#abn-verdict .abn-answer >> text={expected.label}")


def shared_link(page) -> str:
    page.locator("#abn-share").click()
    page.wait_for_function("() => (document.querySelector('#abn-share-link a')?.textContent || '').startsWith('http')")
    return page.inner_text("#abn-share-link a")


def test_a_link_brings_back_picture_alpha_view_colours_and_model(page, browser, tmp_path):
    file = tmp_path / "mine.png"
    made_up_picture(320, 240).save(file)
    use_model(page, "tiny-three")
    page.wait_for_selector("#abn-model-status >> text=tiny-three answers now")
    page.get_by_role("tab", name="Explain").click()
    page.wait_for_selector("#abn-verdict >> text=tiny-three")
    upload(page, file)
    set_alpha(page, 0.8)
    choose_colours(page, "Viridis")
    page.locator("#abn-view label", has_text="Centre crop").click()
    page.wait_for_function("() => document.querySelector('#abn-overlay .abn-picture').width === 211")
    link = shared_link(page)
    assert "7 days" in page.inner_text("#abn-share-link")
    assert re.search(r"share=[\w-]{22}&alpha=0.8&view=model&colours=viridis&stretch=0&model=tiny-three", link)
    other = browser.new_context().new_page()  # another visitor
    other.goto(link)
    other.wait_for_selector("#abn-verdict >> text=tiny-three")
    other.wait_for_function("() => document.querySelector('#abn-overlay .abn-picture').width === 211")
    assert float(other.input_value(SLIDER)) == 0.8
    for layer in (".abn-picture", ".abn-jet"):
        same = "(image) => image.src"
        mine, theirs = (p.locator(f"{LAYERS} {layer}").evaluate(same) for p in (page, other))
        assert mine == theirs
    other.context.close()


def test_a_link_to_an_example_keeps_nothing(page, browser):
    page.locator("#abn-examples button", has_text="golf ball").click()
    page.wait_for_function("() => document.querySelector('#abn-verdict').innerText.includes('golf ball')")
    link = shared_link(page)
    assert "example=golf-ball-drawn" in link
    other = browser.new_page()
    other.goto(link)
    other.wait_for_selector("#abn-verdict .abn-answer >> text=golf ball")
    other.close()


def test_a_link_whose_picture_is_gone_says_so(browser, url):
    page = browser.new_page()
    page.goto(f"{url}/?share={'x' * 22}&alpha=0.25&view=sideways")
    page.wait_for_selector("text=The picture of this link is gone")
    page.wait_for_selector("#abn-verdict .abn-answer >> text=chain saw")
    assert float(page.input_value(SLIDER)) == 0.25
    page.close()


def test_the_keyboard_alone_reaches_upload_slider_and_tabs(page):
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(() => { const e = document.activeElement; const inside = (s) => e.closest(s) !== null;"
                " if (e.getAttribute('role') === 'tab') return 'tabs';"
                " if (inside('#abn-picture') && e.tagName === 'BUTTON') return 'upload';"
                " if (inside('#abn-alpha') && e.type === 'range') return 'slider';"
                " if (inside('#abn-share')) return 'share'; if (inside('#abn-examples')) return 'examples';"
                " return ''; })()"
            )
        )
    assert {"tabs", "upload", "slider", "share", "examples"} <= reached
    page.locator(SLIDER).focus()
    before = float(page.input_value(SLIDER))
    page.keyboard.press("ArrowRight")
    assert float(page.input_value(SLIDER)) == pytest.approx(before + 0.01)
    page.get_by_role("tab", name="Explain").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#abn-compare figure", timeout=60000)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_axe_finds_no_serious_violation(browser, url, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
    page.goto(url)
    page.wait_for_selector(f"{LAYERS} .abn-jet", timeout=30000)
    ready = {
        "Explain": "#abn-verdict .abn-answer",
        "Compare": "#abn-compare svg",
        "Edit": "#abn-edit-result .abn-bars",
        "Gallery": "#abn-gallery button",
        "Live": "#abn-live button:visible",
        "Model": "#abn-model table",
    }
    found = []
    for tab, selector in ready.items():
        page.get_by_role("tab", name=tab).click()
        page.wait_for_selector(selector, timeout=60000)
        settled(page)
        for violation in axe.run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found += [(tab, violation["id"], node["html"][:160]) for node in violation["nodes"]]
    page.close()
    assert found == []


@pytest.fixture
def visit(browser, tiny_folder, tiny_imagenette, tmp_path):
    """Open the page of an app that wants `someone/abn` from a Hub that serves in the given mode."""

    @contextmanager
    def visit(mode):
        with hub(tiny_folder, "someone/abn", mode) as endpoint:
            arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", "someone/abn"]
            with app(tmp_path, *arguments, HF_ENDPOINT=endpoint) as (url, _):
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto(url)
                yield page
                page.close()

    return visit


def test_the_page_says_why_the_wanted_model_is_not_there(visit):
    with visit("missing") as page:
        page.wait_for_selector("#abn-notice .refused", timeout=30000)
        words = page.inner_text("#abn-notice")
    assert words == (
        "someone/abn is not in use: the Hub answered 404 (not found). The bundled compact network answers instead."
    )


def test_the_page_changes_to_the_wanted_model(visit):
    with visit("ok") as page:
        page.wait_for_selector("#abn-verdict >> text=someone/abn", timeout=30000)
        assert "This model knows 10 things" in page.inner_text("#abn-known")
        assert page.locator("#abn-notice").count() == 0 or not page.locator("#abn-notice").is_visible()
