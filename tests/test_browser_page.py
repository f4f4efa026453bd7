"""The page without a server, in Chromium over a plain web server: its numbers against the library's, and a visit."""

import base64
import gzip
import io
import json
import re

import numpy as np
import pytest
import yaml
from helpers import made_up_picture, tiny_model
from page import (
    CAMERA,
    NEEDS_CHROMIUM,
    READY,
    canvas,
    choose,
    chromium,
    explained,
    open_tab,
    opened,
    photo,
    says,
    watched,
)
from PIL import Image
from plain_server import ISOLATED, Plain

from abn import AbnImageProcessor, Explainer
from abn.browser.export import write
from abn.browser.pictures import examples
from abn.calibration import Calibration
from abn.editing import Editing
from abn.space.drawings import DRAWINGS

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def browser():
    with chromium(*CAMERA) as opened_browser:
        yield opened_browser


@pytest.fixture(scope="module")
def server(site):
    server = Plain(site)
    yield server
    server.close()


@pytest.fixture
def served(server):
    server.renew()
    return server


@pytest.fixture(scope="module")
def explainer(bundled):
    return Explainer.from_pretrained(bundled, device="cpu")


@pytest.fixture(scope="module")
def site(bundled_site):
    return bundled_site


def test_what_it_weighs_and_that_it_is_a_static_space(site):
    files = [file for file in site.rglob("*") if file.is_file() and "examples" not in file.parts]
    apart = [file for file in files if "webgpu" in file.name]
    assert len(apart) == 3
    assert sum(file.stat().st_size for file in apart) <= 8e6
    files = [file for file in files if file not in apart]
    (listed,) = site.glob("*/files.json")
    assert not [name for name in json.loads(listed.read_text()) if "webgpu" in name]
    sent = sum(file.stat().st_size for file in files)
    packed = [file for file in files if file.suffix == ".gz"]
    plain = sum(len(gzip.decompress(file.read_bytes())) - file.stat().st_size for file in packed)
    assert sent <= 14e6
    assert sent + plain <= 26e6
    front = yaml.safe_load((site / "README.md").read_text().split("---")[1])
    assert front["sdk"] == "static"
    assert {name: front["custom_headers"][name.lower()] for name in ISOLATED} == ISOLATED


# --- Answers

ASK = """async ([url, name, values]) => {
  const base = document.querySelector('script[type=module]').src.replace('/start.js', '');
  const { connect } = await import(`${base}/ask.js`);
  window.answering ||= connect(base);
  window.pictures ||= {};
  const made = async () => {
    const bitmap = await createImageBitmap(await (await fetch(url)).blob());
    const pixels = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height });
    pixels.getContext('2d').drawImage(bitmap, 0, 0);
    return { pixels };
  };
  const picture = window.pictures[url] ||= await made();
  const said = [];
  const last = await window.answering.ask(name, { language: 'en', ...values, picture },
      { report: (one) => said.push(one) });
  return said.length ? [...said, last] : last;
}"""


def png(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def ask(page, picture, name, **values):
    return page.evaluate(ASK, [png(picture), name, values])


@pytest.fixture(scope="module")
def visit(site, browser):
    """A page that is open, for questions."""
    server = Plain(site)
    with watched(browser, server.url, locale="en-GB") as page:
        opened(page, server.url)
        yield page
    server.close()


def drawing(label: str) -> Image.Image:
    with Image.open(DRAWINGS[label]) as picture:
        return picture.convert("RGB")


PICTURES = {
    "drawing": lambda: drawing("church"),
    "other": lambda: drawing("chain saw").resize((1000, 340)),
    "noise": lambda: Image.fromarray(np.random.default_rng(5).integers(0, 256, (400, 320, 3), np.uint8)),
}


def test_the_page_gives_the_explainers_answer(visit, explainer):
    for make in PICTURES.values():
        picture = make()
        for view in ("whole", "model"):
            wanted = explainer(picture, view=view)
            found = ask(visit, picture, "explain", view=view)
            assert found["label"] == wanted.label
            for name, share in found["classes"]:
                assert share == pytest.approx(wanted.probabilities[name], abs=0.01)
                assert found["attention"][name] == pytest.approx(wanted.attention_probabilities[name], abs=0.01)
            assert found["attention_label"] == next(iter(wanted.attention_probabilities))
            assert found["unfamiliar"] == wanted.unfamiliar
            assert found["familiarity"] == pytest.approx(wanted.familiarity, abs=0.01)
            assert np.abs(np.float32(found["map"]["rows"]) - wanted.attention_map).max() < 0.01
            assert found["map"]["box"] == list(wanted.geometry.box)
    strange, known = (explainer(PICTURES[name](), view="whole").unfamiliar for name in ("noise", "drawing"))
    assert strange
    assert not known


def test_a_painted_map_gives_the_librarys_edit(visit, explainer):
    picture = PICTURES["drawing"]()
    editing = Editing(explainer, picture, "whole")
    own = ask(visit, picture, "edit", view="whole")
    assert own["labels"] == explainer.labels
    rows = np.random.default_rng(3).uniform(-1, 1, editing.explanation.attention_map.shape).astype(np.float32)
    hidden = np.where(editing.explanation.attention_map > 0.1, -1, 0).astype(np.float32)
    for edited in (rows, hidden):
        wanted = editing(edited).probabilities
        found = ask(visit, picture, "edit", view="whole", map=edited.tolist())
        for name, after, before in [*found["classes"], found["first"], found["now"]]:
            assert after == pytest.approx(wanted[name], abs=0.01)
            assert before == pytest.approx(editing.explanation.probabilities[name], abs=0.01)
        assert found["now"][0] == next(iter(wanted))


@pytest.mark.parametrize("target", ["", "gas pump"])
def test_compare_has_grad_cam_beside_the_attention_map(visit, explainer, target):
    picture = PICTURES["drawing"]()
    first, *maps, last = ask(visit, picture, "compare", view="whole", target=target, methods=None)
    assert [one["method"] for one in maps] == first["methods"] == ["attention", "attention-cam", "grad-cam"]
    assert last == {"done": True, "notes": []}
    for one in maps:
        wanted = explainer(picture, view="whole", method=one["method"], target=target or None)
        found = np.frombuffer(base64.b64decode(one["map"]["floats"]), "<f4").reshape(one["map"]["shape"])
        assert found.shape == wanted.grid.shape
        assert np.abs(found - wanted.grid).max() < 0.02
        assert one["target"] == wanted.target


# --- A visit


def test_a_picture_is_dropped_explained_edited_and_nothing_leaves(browser, served, explainer, tmp_path):
    file = tmp_path / "large.jpg"
    photo(file, 1600, 1100, seed=4)
    with watched(browser, served.url, locale="en-GB") as page:
        posts = []
        page.on("request", lambda request: posts.append(request.url) if request.method != "GET" else None)
        opened(page, served.url)
        served.asked.clear()
        choose(page, file)
        wanted = explainer(Image.open(file), view="whole")
        assert page.inner_text("#abn-explain [data-label]") == wanted.label
        assert "local=" in page.url
        open_tab(page, "edit")
        before = page.inner_text("[data-change]")
        canvas_box = page.locator(".abn-marks").bounding_box()
        page.mouse.move(canvas_box["x"] + canvas_box["width"] * 0.3, canvas_box["y"] + canvas_box["height"] * 0.5)
        page.mouse.down()
        page.mouse.move(
            canvas_box["x"] + canvas_box["width"] * 0.7, canvas_box["y"] + canvas_box["height"] * 0.5, steps=5
        )
        says(page, "[data-change]", "→")  # the stroke is not over
        page.mouse.up()
        says(page, "[data-change]", "→")
        page.click("[data-do=undo]")
        page.wait_for_function(
            "(words) => document.querySelector('[data-change]').firstChild.textContent.startsWith(words)",
            arg=before.split("\n")[0].strip(),
        )
        open_tab(page, "compare")
        assert page.locator(".abn-card").count() == 3
        assert posts == []
        assert [path for path in served.asked if "large" in path] == []


def test_the_shown_overlay_is_the_librarys(browser, served, explainer):
    picture = PICTURES["drawing"]()
    with watched(browser, served.url, locale="en-GB") as page:
        opened(page, served.url, "?blend=paper&alpha=1")
        page.set_input_files(
            "#abn-explain [data-file]", {"name": "church.png", "mimeType": "image/png", "buffer": _bytes(picture)}
        )
        explained(page, explainer(picture, view="whole").label)
        found = canvas(page).astype(int)
    wanted = explainer(picture, view="whole").overlay(1.0).astype(int)
    apart = np.abs(found - wanted)  # half precision moves the map by thousandths, its colours by a few bytes
    assert apart.max() <= 10
    assert apart.mean() < 0.5


def _bytes(picture) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


KEPT = "navigator.serviceWorker.ready.then(() => true)"  # once all is kept


def test_the_second_visit_needs_no_network(browser, site):
    served = Plain(site)
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    opened(page, served.url)
    first = page.inner_text("#abn-explain [data-label]")
    network = [path for path in served.asked if "/network/" in path]
    assert len(network) == 3  # each once, the copy that is kept included
    assert page.evaluate(KEPT)
    assert [path for path in served.asked if "/network/" in path] == network
    served.close()
    page.goto(f"{served.url}/?alpha=0.3")
    page.wait_for_selector(READY)
    explained(page, first)
    assert page.input_value("#abn-explain [data-alpha]") == "0.3"
    context.close()


@pytest.mark.slow
def test_loading_is_told_in_bytes_and_a_missing_file_in_a_sentence(browser, served):
    served.missing = ["/network/perceive"]
    page = browser.new_page(locale="en-GB")
    page.add_init_script("""window.told = []; new MutationObserver(() => {
        const words = document.querySelector('[data-loading] p')?.textContent;
        if (words && words !== window.told.at(-1)) window.told.push(words);
    }).observe(document, {subtree: true, childList: true, characterData: true});""")
    page.goto(served.url)
    says(page, "[data-loading]", "could not be loaded")
    served.missing = []
    page.click("[data-loading] button")
    explained(page)
    assert any(re.search(r"of 1\d\.\d MB", words) for words in page.evaluate("window.told"))
    assert page.locator("[data-loading]").is_hidden()
    page.close()


@pytest.mark.slow
def test_a_tab_whose_script_does_not_come_is_said(browser, served):
    served.missing = ["tabs/edit.js"]  # from the first request on: what was once fetched is in the browser's own cache
    page = browser.new_page(locale="en-GB")
    opened(page, served.url)
    page.click("[data-tab=edit]")
    says(page, "[data-toast]", "cannot be fetched")
    page.close()


def test_an_old_browser_is_told(browser, served):
    page = browser.new_page(locale="en-GB")
    page.add_init_script("delete window.DecompressionStream")
    page.goto(served.url)
    says(page, "[data-plain-old]", "newer browser")
    page.close()


def test_live_explains_the_camera_on_this_device(browser, served):
    with watched(browser, served.url, locale="en-GB") as page:
        page.context.grant_permissions(["camera"])
        opened(page, served.url)
        open_tab(page, "live")
        says(page, ".abn-live-about", "No frame leaves it")
        posts = []
        page.on("request", lambda request: posts.append(request.url))
        page.click("#abn-live [data-start]")
        page.wait_for_function(
            "() => Number(document.querySelector('[data-rate]').dataset.frames) >= 10", timeout=60000
        )
        assert page.locator("[data-live-answer] li").count() == 3
        assert posts == []


@pytest.mark.slow
def test_a_network_of_ones_own_classes_in_japanese(browser, tmp_path, web_runtime):
    model = tiny_model(id2label={0: "cat", 1: "dog", 2: "bird"})
    processor = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    energy = Explainer(model, processor, device="cpu")(made_up_picture(120, 90), view="whole").energy
    energies = tuple(energy + place - 3 for place in range(101))  # a random network's scores are all alike
    calibration = Calibration(energy_threshold=1e6, energies=energies)
    explainer = Explainer(model, processor, calibration=calibration, device="cpu")
    for name in ("cat", "dog", "bird"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        made_up_picture(120, 90, seed=len(name)).save(tmp_path / "pictures" / name / "one.png")
    listed, pictures = examples(tmp_path / "pictures", explainer.labels)
    write(explainer, "pets", listed, pictures, web_runtime, tmp_path / "site")
    server = Plain(tmp_path / "site")
    try:
        with watched(browser, server.url, locale="ja-JP") as page:
            opened(page, server.url)
            shown = page.locator("#abn-explain .abn-score-name").all_inner_texts()
            assert {name.strip() for name in shown} - {""} == {"cat", "dog", "bird"}
            assert page.locator("#abn-explain [data-open]").count() == 3
            assert page.inner_text("[data-chip-name]") == "pets"
            assert page.locator("[data-warning]").is_visible()  # its threshold is above every score
            assert "100枚のうち97枚" in page.inner_text("[data-warning]")
            page.click("#abn-explain [data-share]")
            says(page, "[data-shared]", "リンク")
            assert "example=" in page.input_value("[data-link]")
    finally:
        server.close()
