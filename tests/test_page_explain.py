"""Explain in Chromium: picture and answer together, right to the pixel, with few bytes."""

import base64

import numpy as np
import pytest
import torch
from helpers import made_up_picture, wait_for
from page import (
    CAMERA,
    CHROMIUM,
    Traffic,
    blend,
    canvas,
    choose,
    explained,
    launched,
    opened,
    photo,
    set_alpha,
    watched,
)
from PIL import Image

from abn import Explainer, imagenette
from abn.overlay import COLOURMAPS, overlay
from abn.space.drawings import DRAWINGS
from abn.space.server.serving import CLOSE
from abn.tuning import tuned

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]

SIZES = [(1280, 800), (390, 844)]
SIZES += [pytest.param(1440, 900, marks=pytest.mark.slow), pytest.param(820, 1180, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def driver():
    with playwright.sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(driver):
    with launched(driver) as browser:
        yield browser


@pytest.fixture(scope="module")
def filmed(driver):
    """A browser with a camera that shows a moving test picture."""
    with launched(driver, *CAMERA) as browser:
        yield browser


@pytest.fixture
def page(browser, url):
    with watched(browser, url) as page:
        opened(page, url)
        yield page


@pytest.fixture(scope="module")
def bundled_explainer():
    return Explainer.from_pretrained("compact", device="cpu")


@pytest.fixture(scope="module")
def answering(bundled_explainer):
    """Which may answer on the page: the server's network, and the tuned one once that is ready."""
    return bundled_explainer, tuned(bundled_explainer)


def label(page) -> str:
    return page.inner_text("[data-label]")


def test_it_opens_with_an_example_explained_and_names_the_classes(page, answering, drawn_gallery):
    names = page.locator("[data-examples] [data-open] span").all_inner_texts()
    assert names == [f"{name} (drawn)" for name in imagenette.CLASSES]
    assert page.locator("[data-examples] [aria-pressed=true]").inner_text() == "chain saw (drawn)"
    bars = page.locator("#abn-explain [data-scores] .abn-score-name").all_inner_texts()
    widths = page.eval_on_selector_all(
        "#abn-explain [data-scores] li i", "all => all.map((each) => parseFloat(each.style.width))"
    )
    shown = (label(page), page.inner_text("[data-share-of-it]"), bars, widths[0::2], widths[1::2])

    def expected(explainer):
        found = explainer(drawn_gallery.of_class("chain saw")[0].path, view="whole")
        own = [found.attention_probabilities[name] for name in bars]
        return (
            "chain saw",
            f"{found.probabilities['chain saw']:.0%}".replace("%", " %"),
            list(found.probabilities)[:5],
            pytest.approx([100 * share for share in list(found.probabilities.values())[:5]], abs=0.2),
            pytest.approx([100 * share for share in own], abs=0.2),
        )

    assert any(shown == expected(each) for each in answering)


def laid(answer, shape, explainer) -> np.ndarray:
    """An answer's map on the pixels of its crop, by the library."""
    grid = torch.tensor(answer["map"]["rows"], dtype=torch.float32)[None, None]
    width, height = answer["map"]["size"]
    view = "whole" if answer["map"]["box"] == [0, 0, width, height] else "model"
    (found,) = explainer.processor.post_process_attention(grid, [(height, width)], view, [shape])
    return found.clamp(0, 1).numpy()


@pytest.mark.parametrize("view", ["whole", "model"])
@pytest.mark.parametrize(
    "size",
    [pytest.param((320, 240), marks=pytest.mark.slow), (97, 311), pytest.param((1600, 900), marks=pytest.mark.slow)],
)
def test_papers_pixels_are_the_librarys_overlay(size, view, browser, url, tmp_path, bundled_explainer):
    file = tmp_path / "made-up.jpg"
    made_up_picture(*size).save(file, quality=95)
    with watched(browser, url) as page:
        traffic = Traffic(page)
        opened(page, url, f"?view={view}&blend=paper")
        choose(page, file)
        answer = traffic.answers[-1]
        traffic.clear()
        set_alpha(page, 0)
        bare = canvas(page)
        heatmap = laid(answer, bare.shape[:2], bundled_explainer)
        for alpha in (0.37, 1):
            set_alpha(page, alpha)
            for colours in COLOURMAPS:
                page.evaluate("(colours) => document.querySelector('[data-colours]').value = colours", colours)
                page.dispatch_event("[data-colours]", "change")
                expected = overlay(bare, heatmap, alpha, False, colours).astype(int)
                assert np.abs(canvas(page) - expected).max() <= 1, (alpha, colours)
        page.evaluate("document.querySelector('[data-stretch]').click()")
        expected = overlay(bare, heatmap, 1, True, colours).astype(int)
        assert np.abs(canvas(page) - expected).max() <= 1
        assert traffic.requests == []


def test_an_uploaded_picture_gets_its_own_answer(page, validation_pictures, bundled_explainer):
    file = next(file for file, name in validation_pictures if name == "garbage truck")
    choose(page, file)
    expected = bundled_explainer(file, view="whole")
    assert label(page) == expected.label
    shown = int(page.inner_text("[data-share-of-it]").split()[0])  # by the tuned network, where it agrees
    assert abs(shown - 100 * expected.probabilities[expected.label]) <= 100 * CLOSE
    assert canvas(page).shape == expected.view.shape


def test_blends_alpha_and_colours_need_no_server_and_change_the_picture(page):
    traffic = Traffic(page)
    seen = [canvas(page)]
    for name in ("spotlight", "paper", "heat"):
        blend(page, name)
        seen.append(canvas(page))
    set_alpha(page, 0.2)
    seen.append(canvas(page))
    set_alpha(page, 0)
    seen.append(canvas(page))
    assert np.array_equal(seen[3], seen[0])
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5)):
        assert not np.array_equal(seen[a], seen[b])
    box = page.locator("#abn-explain .abn-stage-box > canvas").bounding_box()
    set_alpha(page, 1)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert "of the peak" in page.inner_text("#abn-explain [data-value]")
    page.mouse.down()
    assert np.array_equal(canvas(page), seen[5])  # bare while it is pressed
    page.mouse.up()
    assert not np.array_equal(canvas(page), seen[5])
    assert traffic.requests == []
    assert "blend" not in page.url
    assert "alpha=1" in page.url


def test_the_legend_names_the_peak(page, answering, drawn_gallery):
    picture = drawn_gallery.of_class("chain saw")[0].path
    peaks = [each(picture, view="whole").heatmap.max() for each in answering]
    said = page.inner_text("#abn-explain [data-most]")
    assert said in {f"most here; peak {peak:.2f} of 1" for peak in peaks}


def test_a_click_on_an_example_explains_it_and_back_returns(page):
    page.locator("[data-examples] [data-open]", has_text="church").click()
    explained(page, "church")
    assert "example=church-drawn" in page.url
    page.reload()
    explained(page, "church")
    page.go_back()
    explained(page, "chain saw")


def test_saving_gives_what_is_shown(page, tmp_path):
    file = tmp_path / "small.png"
    made_up_picture(96, 72).save(file)
    choose(page, file)
    blend(page, "paper")
    set_alpha(page, 0.7)
    with page.expect_download() as saved:
        page.locator("#abn-explain [data-do=save]").click()
    with Image.open(saved.value.path()) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    expected = Explainer.from_pretrained("compact")(file, view="whole").overlay(0.7)
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).max() <= 1


def test_the_centre_crop_shows_the_crop(page):
    page.locator("#abn-explain .abn-details summary").click()
    page.locator("[data-view] input[value=model]").check()
    explained(page)
    assert canvas(page).shape[:2] == (360, 360)
    assert "map of 13 × 13 places" in page.inner_text("[data-small]")


def test_what_is_no_picture_is_named_and_picture_and_answer_stay_together(page, tmp_path):
    before, pixels = page.inner_text("[data-answer]"), canvas(page)
    bad = tmp_path / "notes.png"
    bad.write_text("no picture")
    page.set_input_files("#abn-explain [data-file]", str(bad))
    page.wait_for_selector("[data-toast] >> text=notes.png is not a picture that can be read")
    explained(page)
    assert page.inner_text("[data-answer]") == before
    assert np.array_equal(canvas(page), pixels)


def test_what_the_browser_cannot_decode_comes_back_once_reduced(page, tmp_path):
    file = tmp_path / "scan.tiff"
    made_up_picture(1500, 1000).save(file)
    traffic = Traffic(page)
    choose(page, file)
    assert canvas(page).shape[:2] == (683, 1024)
    assert traffic.answers[-1]["map"]["size"] == [1500, 1000]
    assert traffic.answers[-1]["preview"]["url"].startswith("data:image/jpeg;base64,")
    assert len(traffic.posts("/upload")) == 1


@pytest.mark.parametrize(
    "orientation", [pytest.param(1, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow), 6, 8]
)
def test_a_phones_picture_stands_upright(orientation, page, tmp_path):
    picture, exif = made_up_picture(300, 200), Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "phone.jpg"
    picture.save(file, exif=exif, quality=95)
    choose(page, file)
    set_alpha(page, 0)
    expected = Explainer.from_pretrained("compact")(file, view="whole").view
    found = canvas(page)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 3


def test_transparency_lies_on_white(page, tmp_path):
    file = tmp_path / "clear.png"
    Image.new("RGBA", (80, 60), (10, 20, 30, 0)).save(file)
    choose(page, file)
    set_alpha(page, 0)
    assert (canvas(page) == 255).all()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_picture_and_answer_are_in_the_first_screen_and_nothing_jumps(width, height, browser, url, tmp_path):
    with watched(browser, url, viewport={"width": width, "height": height}) as page:
        page.add_init_script(
            "window.jumped = 0; new PerformanceObserver((list) => { for (const entry of list.getEntries())"
            " if (!entry.hadRecentInput) window.jumped += entry.value; })"
            ".observe({type: 'layout-shift', buffered: true});"
        )
        opened(page, url)
        stage = page.locator("#abn-explain .abn-stage-box").bounding_box()
        scores = page.locator("#abn-explain [data-scores]").bounding_box()
        assert stage["y"] >= 0
        assert stage["y"] + stage["height"] <= height
        assert scores["y"] + scores["height"] <= height
        assert page.locator(".abn-head").bounding_box()["height"] <= 64
        for number, size in enumerate([(1200, 300), (200, 900), (640, 640)]):
            file = tmp_path / f"{number}.png"
            made_up_picture(*size, seed=number).save(file)
            choose(page, file)
            assert page.locator("#abn-explain .abn-stage-box").bounding_box() == stage
        assert page.evaluate("window.jumped") < 0.05
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width >= 1280:
            assert stage["width"] > 0.6 * (width - 40)
            assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('.abn-label')).fontSize)") == 32


def test_a_large_photo_takes_few_bytes(page, tmp_path):
    file = photo(tmp_path / "photo.jpg")
    assert file.stat().st_size > 2_000_000
    traffic = Traffic(page)
    choose(page, file)
    assert 20_000 < traffic.up <= 400_000
    assert traffic.down <= 30_000
    assert len(traffic.posts("/upload")) == 1
    assert len(traffic.posts("/call/page_explain")) == 1


def test_opening_the_page_takes_few_bytes(browser, url):
    with watched(browser, url, fresh=True) as page:
        traffic = Traffic(page)
        opened(page, url)
        page.wait_for_load_state("networkidle")
        assert traffic.down <= 450_000


def test_ten_pictures_in_a_second_end_in_the_last_with_its_own_answer(browser, url, tmp_path, bundled_explainer):
    with watched(browser, url) as page:
        traffic = Traffic(page)
        opened(page, url)
        page.evaluate(
            """() => { window.mixed = 0;
                const find = (selector) => document.querySelector(selector);
                const [answer, stage] = [find('.abn-answer'), find('#abn-explain .abn-stage')];
                const busy = () => answer.classList.contains('abn-waiting');
                new MutationObserver(() => { if (busy() !== (stage.dataset.state !== '')) window.mixed += 1; })
                    .observe(stage, {attributes: true, attributeFilter: ['data-state']}); }"""
        )
        files = []
        for number in range(10):
            files.append(tmp_path / f"{number}.png")
            made_up_picture(200 + 10 * number, 160, seed=number).save(files[-1])
        traffic.clear()
        for file in files:
            page.set_input_files("#abn-explain [data-file]", str(file))
        page.wait_for_function("() => document.querySelector('#abn-explain .abn-stage-box > canvas').width === 290")
        explained(page)
        expected = bundled_explainer(files[-1], view="whole")
        assert label(page) == expected.label
        assert canvas(page).shape == expected.view.shape
        assert page.evaluate("window.mixed") == 0
        assert len(traffic.posts("/upload")) <= 10
        assert len(traffic.posts("/call/page_explain")) <= 10


def test_on_a_slow_line_the_picture_is_there_at_once_and_the_old_answer_is_gone(page, tmp_path):
    file = photo(tmp_path / "photo.jpg", 2400, 1600)
    traffic = Traffic(page)
    traffic.slow(1500, 150)
    page.set_input_files("#abn-explain [data-file]", str(file))
    page.wait_for_function("() => document.querySelector('#abn-explain .abn-stage-box > canvas').width === 1024")
    assert page.get_attribute("#abn-explain .abn-stage", "data-state") == "busy"
    assert label(page).strip() == ""
    explained(page)


@pytest.mark.slow
def test_on_a_slow_line_an_example_is_seen_small_until_it_has_come(browser, url):
    with watched(browser, url, fresh=True) as page:  # whose browser has not the example yet
        opened(page, url)
        traffic = Traffic(page)
        traffic.slow(300, 200)
        page.locator("[data-examples] [data-open]", has_text="church").click()
        page.wait_for_function("() => document.querySelector('#abn-explain .abn-stage-box > canvas').width === 144")
        assert page.get_attribute("#abn-explain .abn-stage", "data-state") == "busy"
        assert label(page).strip() == ""
        page.wait_for_function("() => document.querySelector('#abn-explain .abn-stage-box > canvas').width === 480")
        explained(page, "church")


GO_TO = """(id) => { history.pushState(null, '', `?example=${id}`); dispatchEvent(new PopStateEvent('popstate')); }"""


def test_of_several_steps_through_the_history_the_last_one_counts(page):
    """Also where the picture of an earlier one comes last."""
    held = []
    page.route("**/example/golf-ball-drawn", lambda route: held.append(route))
    page.evaluate(GO_TO, "golf-ball-drawn")
    wait_for(lambda: page.evaluate("true") and held)
    page.evaluate(GO_TO, "church-drawn")
    explained(page, "church")
    with page.expect_response("**/example/golf-ball-drawn") as come:
        held[0].continue_()
    come.value.finished()
    page.wait_for_timeout(300)  # for what would follow
    explained(page, "church")
    assert "example=church-drawn" in page.url


def test_a_link_brings_back_picture_alpha_view_and_colours(page, browser, tmp_path, url):
    file = tmp_path / "mine.png"
    made_up_picture(320, 240).save(file)
    choose(page, file)
    set_alpha(page, 0.8)
    page.locator("#abn-explain .abn-details summary").click()
    page.select_option("[data-colours]", "viridis")
    page.locator("[data-view] input[value=model]").check()
    explained(page)
    page.locator("[data-share]").click()
    page.wait_for_selector("[data-link]:visible")
    link = page.input_value("[data-link]")
    assert "7 days" in page.inner_text("[data-shared]")
    assert "share=" in link
    assert "alpha=0.8" in link
    with watched(browser, url) as other:
        opened(other, link.partition("?")[0].rstrip("/"), "?" + link.partition("?")[2])
        assert np.array_equal(canvas(other), canvas(page))
        assert label(other) == label(page)


def test_the_notice_says_how_unlike_its_classes_a_picture_is(page, bundled_explainer, tmp_path):
    """A drawing that fades into grey. "All" is said of a picture alone that scores below all that calibrated."""
    drawn, grey = Image.open(DRAWINGS["French horn"]).convert("RGB"), Image.new("RGB", (1, 1), (128, 128, 128))
    assert not page.locator("[data-warning]").is_visible()
    seen = set()
    for faded in (0.0, 0.7, 0.95, 1.0):
        Image.blend(drawn, grey.resize(drawn.size), faded).save(tmp_path / f"{faded}.png")
        choose(page, tmp_path / f"{faded}.png")
        expected = bundled_explainer(tmp_path / f"{faded}.png", view="whole")
        assert page.locator("[data-warning]").is_visible() == expected.unfamiliar
        if expected.unfamiliar and expected.familiarity > 0:
            count = min(99, round(100 * (1 - expected.familiarity)))
            assert f"Of 100 pictures of these classes, {count} look more familiar" in page.inner_text("[data-warning]")
        elif expected.unfamiliar:
            assert "All the pictures of these classes" in page.inner_text("[data-warning]")
        seen.add((expected.unfamiliar, expected.familiarity > 0))
    assert seen == {(False, True), (True, True), (True, False)}


def test_a_link_to_an_example_keeps_nothing(page, browser, url):
    page.locator("[data-examples] [data-open]", has_text="golf ball").click()
    explained(page, "golf ball")
    page.locator("[data-share]").click()
    page.wait_for_selector("[data-link]:visible")
    assert "example=golf-ball-drawn" in page.input_value("[data-link]")
    assert "share=" not in page.input_value("[data-link]")


def test_a_link_whose_picture_is_gone_says_so(browser, url):
    page = browser.new_page()
    opened(page, url, f"?share={'x' * 22}&alpha=0.25&view=sideways")
    page.wait_for_selector("[data-toast] >> text=the picture of this link is gone")
    assert label(page) == "chain saw"
    assert float(page.input_value("#abn-explain [data-alpha]")) == 0.25
    page.close()


def test_reload_keeps_an_uploaded_picture_without_the_server(page, tmp_path):
    file = tmp_path / "mine.png"
    made_up_picture(320, 240, seed=5).save(file)
    choose(page, file)
    before, said = canvas(page), label(page)
    page.reload()
    explained(page)
    assert np.array_equal(canvas(page), before)
    assert label(page) == said


def test_an_upload_that_the_server_has_cleared_is_sent_again(page, running_app, tmp_path):
    file = tmp_path / "mine.png"
    made_up_picture(300, 240, seed=6).save(file)  # at 208 px its crop is 240 pixels wide, to the last one
    choose(page, file)
    folder = running_app[1].parent / "gradio"
    uploaded = max(folder.rglob("mine.png"), key=lambda file: file.stat().st_mtime)
    uploaded.unlink()
    traffic = Traffic(page)
    page.evaluate("document.querySelector('[data-view] input[value=model]').click()")
    page.wait_for_function("() => document.querySelector('#abn-explain .abn-stage-box > canvas').width === 240")
    explained(page)
    assert len(traffic.posts("/upload")) == 1
    assert not page.is_visible("[data-toast]")


def test_drop_and_paste_work_anywhere(page, tmp_path):
    picture = tmp_path / "dropped.png"
    made_up_picture(240, 200).save(picture)
    data = base64.b64encode(picture.read_bytes()).decode()
    make = """(data) => { const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], 'dropped.png', {type: 'image/png'}));"""
    page.evaluate(
        make + "document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true})); }", data
    )
    page.wait_for_function("() => document.querySelector('#abn-explain .abn-stage-box > canvas').width === 240")
    explained(page)
    made_up_picture(180, 200).save(picture)
    data = base64.b64encode(picture.read_bytes()).decode()
    page.evaluate(
        make + "document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true})); }",
        data,
    )
    page.wait_for_function("() => document.querySelector('#abn-explain .abn-stage-box > canvas').width === 180")
    explained(page)


@pytest.mark.slow
def test_the_camera_takes_a_picture(filmed, url):
    page = filmed.new_page()
    opened(page, url)
    page.locator("#abn-explain [data-do=camera]").click()
    page.locator("[data-take]:not([disabled])").click()
    page.wait_for_function("() => document.querySelector('.abn-answer').classList.contains('abn-waiting')")
    explained(page)
    assert "local=" in page.url
    page.close()


def test_upload_lies_within_eight_tabs(page):
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.do || document.activeElement.dataset.tab || ''"))
    assert "replace" in reached
    assert sum(name in ("explain", "compare", "edit", "gallery", "live", "model") for name in reached) == 1


def test_twice_as_large_shows_answer_and_picture(browser, url):
    with watched(browser, url, viewport={"width": 640, "height": 400}) as page:  # 1280 x 800 at 200 %
        opened(page, url)
        assert page.evaluate("document.documentElement.scrollWidth") <= 640
        for selector in ("#abn-explain .abn-stage-box", "[data-label]"):
            page.locator(selector).scroll_into_view_if_needed()
            assert page.locator(selector).is_visible()


def test_a_japanese_browser_reads_japanese(browser, url):
    with watched(browser, url, locale="ja-JP", viewport={"width": 390, "height": 844}) as page:
        opened(page, url)
        words = page.inner_text("body")
        assert "チェーンソー" in page.inner_text("[data-label]")
        for each in ("比較", "ヒート", "画像をアップロード", "注意ブランチも同じ答えです"):
            assert each in words, each
        for english in ("Compare", "Heat", "attention branch", "chain saw", "Share", "one of each"):
            assert english not in words, english
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("document.documentElement.lang") == "ja"
