"""The Model tab in Chromium: a visitor's own choice, and what is said of a model."""

import json
import shutil

import pytest
from helpers import tiny_model
from page import NEEDS_CHROMIUM, chromium, explained, says, visited

from abn import Explainer
from abn.space.drawings import DRAWINGS

pytestmark = NEEDS_CHROMIUM
STATUS, CHIP = "#abn-model [data-model-status]", "[data-chip-name]"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


def use(page, name: str) -> None:
    page.get_by_role("tab", name="Model").click()
    page.wait_for_function("() => document.querySelector('#abn-model [data-model-name]').textContent.trim()")
    page.locator("#abn-model [data-model-field]").fill(name)
    page.keyboard.press("Enter")


def test_what_was_measured_is_shown(browser, url, bundled):
    metrics = json.loads((bundled / "metrics.json").read_text())
    with visited(browser, url) as page:
        page.locator("[data-chip]").click()
        page.wait_for_selector("#abn-model [data-large] > div")
        assert page.inner_text("#abn-model [data-model-name]") == "bundled compact network"
        large = page.locator("#abn-model [data-large] > div").all_inner_texts()
        assert [text.split("\n")[1] for text in large] == [
            f"{metrics['top1']:.2f} %",
            f"{metrics['ece_calibrated']:.4f}",
            f"{metrics['explanation']['pointing']:.3f}",
        ]
        assert ["3,925 validation pictures of Imagenette" in text for text in large] == [True, True, False]
        assert "Measured on pictures of Imagenette with boxes" in large[2]  # not on the 500 of the maps' other figures
        assert "500" not in large[2]
        words = page.inner_text("#abn-model")
        assert "Grad-CAM" not in words  # folded
        for fold in page.locator("#abn-model summary").all():
            fold.click()
        words = page.inner_text("#abn-model")
        assert "Grad-CAM" in words
        for figure in (f"{metrics['ece']:.4f}", f"{metrics['explanation']['insertion']:.3f}", metrics["date"][:10]):
            assert figure in words, figure
        assert f"{metrics['per_class']['English springer']:.1f} %" in words
        row = page.locator("#abn-model .abn-matrix tr").nth(1)
        assert [int(cell) for cell in row.locator("td").all_inner_texts()] == metrics["confusion_matrix"][0]
        share = row.locator("td").first.evaluate("cell => Number(cell.style.getPropertyValue('--share'))")
        assert share == pytest.approx(metrics["confusion_matrix"][0][0] / sum(metrics["confusion_matrix"][0]), abs=1e-6)


def test_a_visitor_changes_the_model_for_himself_alone(browser, url, models_root):
    expected = Explainer.from_pretrained(models_root / "tiny-three")(DRAWINGS["chain saw"], view="whole")
    with visited(browser, url) as page:
        use(page, "tiny-three")
        says(page, STATUS, "tiny-three answers now")
        says(page, "#abn-model [data-model-name]", "tiny-three")
        says(page, "#abn-model", "This checkpoint brings no metrics.json")
        says(page, CHIP, "tiny-three")
        assert "model=tiny-three" in page.url
        page.get_by_role("tab", name="Explain").click()
        explained(page, expected.label)
        page.get_by_role("tab", name="Gallery").click()
        says(page, "#abn-gallery [data-status]", "this model knows none of their classes")
        assert "✗" not in page.inner_text("#abn-gallery")
        with visited(browser, url) as other:
            says(other, CHIP, "bundled compact network")
            explained(other, "chain saw")
        use(page, "bundled compact network")
        says(page, STATUS, "bundled compact network answers now")
        assert "model=" not in page.url
        page.get_by_role("tab", name="Explain").click()
        explained(page, "chain saw")
        options = page.eval_on_selector_all("#abn-models option", "options => options.map((one) => one.value)")
        assert {"tiny-three", "transformer", "bundled compact network"} <= set(options)


def test_a_model_that_cannot_be_had_is_named_and_the_old_one_stays(browser, url):
    with visited(browser, url) as page:
        use(page, "someone/nowhere")
        says(page, STATUS, "stays in use")
        assert page.inner_text(STATUS) == (
            "someone/nowhere cannot be used: it is not in the list, and the Hub is not asked here. "
            "bundled compact network stays in use."
        )
        says(page, "#abn-model [data-model-name]", "bundled compact network")
        assert "model=" not in page.url.replace("tab=model", "")
        use(page, "")
        says(page, STATUS, "Choose a model, or type its id.")


def test_a_link_brings_its_model(browser, url, models_root):
    expected = Explainer.from_pretrained(models_root / "tiny-three")(DRAWINGS["church"], view="whole")
    with visited(browser, url, "?model=tiny-three&example=church-drawn") as page:
        explained(page, expected.label)
        says(page, CHIP, "tiny-three")
        assert "model=tiny-three" in page.url


@pytest.mark.slow
def test_while_a_links_model_is_on_its_way_the_page_says_so_and_answers(browser, url):
    """The events are Gradio's, as its `routes.py` writes them in `simple_predict_get`."""
    line = f"event: generating\ndata: {json.dumps([{'share': 0.25}])}\n\n"
    context = browser.new_context()
    page = context.new_page()
    page.route("**/call/page_use", lambda route: route.fulfill(json={"event_id": "one"}))
    page.route("**/call/page_use/one", lambda route: route.fulfill(content_type="text/event-stream", body=line))
    page.add_init_script("""window.notices = [];
        new MutationObserver(() => window.notices.push(document.querySelector('[data-notice]')?.textContent))
            .observe(document, {childList: true, subtree: true});""")
    page.goto(f"{url}/?model=someone/large")
    page.wait_for_selector("[data-abn]")
    explained(page, "chain saw")
    assert "Loading someone/large … 25 % fetched. Meanwhile the bundled compact network answers." in page.evaluate(
        "window.notices"
    )
    says(page, "[data-toast]", "bundled compact network stays in use")  # the line broke
    says(page, CHIP, "bundled compact network")
    assert "model=" not in page.url
    context.close()


@pytest.mark.slow
def test_a_link_to_a_model_that_cannot_be_had_says_why(browser, url):
    with visited(browser, url, "?model=nonsense", locale="ja-JP") as page:
        says(page, "[data-toast]", "nonsense は使えません: 一覧にも Hub の ID")
        explained(page, "チェーンソー")
        assert "model=" not in page.url


@pytest.mark.slow
def test_what_metrics_say_is_text_and_the_tab_speaks_japanese(browser, url, models_root):
    folder = models_root / "measured"
    tiny_model(5).save_pretrained(folder)
    script = "<img src=x onerror='window.harmed = 1'>"
    metrics = {"dataset": script, "pictures": 20, "top1": 50.0, "per_class": {script: 1.0}, "command": script}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    try:
        with visited(browser, url, "?tab=model&model=measured", locale="ja-JP") as page:
            says(page, "#abn-model [data-model-name]", "measured")
            for fold in page.locator("#abn-model summary:visible").all():
                fold.click()
            text = page.inner_text("#abn-model")
            assert text.count(script) == 3
            assert page.locator("#abn-model img").count() == 0
            assert page.evaluate("window.harmed") is None
            for words in ("Top-1 正解率", "50.00 %", "最も確からしいとしたクラス", "このモデルを使う", "作成方法"):
                assert words in text, words
            for english in ("accuracy", "Measured", "answers", "Use"):
                assert english not in text, english
    finally:
        shutil.rmtree(folder)
