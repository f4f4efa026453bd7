"""The report: what it counts, and the file in Chromium, which asks nobody for anything."""

import base64
import io
import json
import re
import shutil

import numpy as np
import pytest
import torch
from helpers import made_up_picture
from page import canvas, chromium
from PIL import Image

from abn import Explainer
from abn.overlay import overlay
from abn.space.drawings import DRAWINGS
from abn.survey.__main__ import main
from abn.survey.folder import GROUPS
from abn.survey.measures import border_area
from abn.survey.report import PAGE, modules_of
from abn.survey.summary import BINS, KEPT, ranks_of, summary_of

pq = pytest.importorskip("pyarrow.parquet", reason="no pyarrow")


@pytest.fixture(scope="module")
def made(tmp_path_factory, bundled):
    """(survey's folder, its pictures, its rows): drawings in their classes' folders, one in a wrong one, pictures of
    nothing, a broken one."""
    tmp = tmp_path_factory.mktemp("survey")
    pictures, labels = tmp / "pictures", list(DRAWINGS)
    for label, drawing in DRAWINGS.items():
        (pictures / label).mkdir(parents=True)
        shutil.copyfile(drawing, pictures / label / "drawn.png")
    shutil.copyfile(DRAWINGS["church"], pictures / "tench" / "no tench.png")
    for seed in range(30):
        made_up_picture(120, 90, seed=seed).save(pictures / labels[seed % 10] / f"{seed}.png")
    Image.new("RGB", (120, 90), "white").save(pictures / "church" / "white.png")
    (pictures / "church" / "broken <").mkdir()
    (pictures / "church" / "broken <" / "script>.png").write_bytes(b"")
    out = tmp / "out"
    arguments = [str(pictures), "--checkpoint", str(bundled), "--out", str(out), "--shard", "16", "--workers", "0"]
    assert main(arguments) == 0
    return out, pictures, pq.read_table(out / "rows").to_pylist()


def of_html(out, name):
    text = (out / "report.html").read_text(encoding="utf-8")
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.DOTALL)[1])


def test_counts_are_the_tables(made):
    out, _, rows = made
    found, read = summary_of(out), [row for row in rows if row["error"] is None]
    assert (found.count, found.read) == (43, 42)
    assert found.right == sum(row["right"] for row in read)
    assert found.whole.differ == sum(row["answer"] != row["attention_answer"] for row in read)
    assert found.unread == [("church/broken </script>.png", "script>.png is not a picture that can be read")]
    for name, one in found.classes.items():
        mine = [row for row in read if row["true_class"] == name]
        assert (one.pictures, one.right) == (len(mine), sum(row["right"] for row in mine))
        assert one.answers == {row["answer"]: sum(r["answer"] == row["answer"] for r in mine) for row in mine}
        assert one.confidence / one.pictures == pytest.approx(np.mean([row["confidence"] for row in mine]))
        assert one.agreement / one.agreements == pytest.approx(np.mean([row["gradcam_agreement"] for row in mine]))
        lifts = [row["border"] / border_area(*np.array(row["map"]).shape) for row in mine]
        assert one.border / one.pictures == pytest.approx(np.mean(lifts))
        assert one.mean_map().mean() == pytest.approx(np.mean([np.mean(row["map"]) for row in mine]), abs=0.02)
    assert sum(map(sum, found.bins.values())) == 42
    sure = [row for row in read if row["right"] and row["confidence"] * BINS >= BINS - 1]
    assert found.bins["right"][-1] == len(sure)


def test_the_pictures_to_look_at_first(made):
    out, _, rows = made
    found, read = summary_of(out), [row for row in rows if row["error"] is None]
    wrong = sorted((row for row in read if not row["right"]), key=lambda row: -row["confidence"])
    assert [row["path"] for row in found.first["sure_wrong"]] == [row["path"] for row in wrong[:KEPT]]
    assert found.sizes["sure_wrong"] == len(wrong)
    differ = [row for row in read if row["answer"] != row["attention_answer"]]
    differ.sort(key=lambda row: -min(row["confidence"], row["attention_confidence"]))
    assert [row["path"] for row in found.first["disagree"]] == [row["path"] for row in differ[:KEPT]]
    strange = sorted((row for row in read if row["unfamiliar"]), key=lambda row: row["energy"])
    assert [row["path"] for row in found.first["unfamiliar"]] == [row["path"] for row in strange[:KEPT]]
    assert strange
    assert all(ranks_of(row | {"grid": np.array(row["map"]).shape}).keys() <= set(GROUPS) for row in read)
    told = json.loads((out / "groups.json").read_text(encoding="utf-8"))
    assert [row["path"] for row in told["sure_wrong"]] == [row["path"] for row in wrong[:KEPT]]


def test_a_map_at_the_border_is_one_that_beats_a_uniform_one():
    row = {"right": None, "attention_answer": None, "answer": "a", "unfamiliar": False, "grid": (4, 5)}
    assert ranks_of(row | {"border": 0.69}) == {}
    assert ranks_of(row | {"border": 0.84}) == {"border": pytest.approx(1.2)}


def test_modules_are_the_spaces_own(made):
    _, modules = modules_of(PAGE / "report.js")
    paint = base64.b64decode(modules["abn/space/widgets/stage/paint.js"].partition(",")[2])
    assert paint == (PAGE.parents[1] / "space" / "widgets" / "stage" / "paint.js").read_bytes()
    assert {"abn/space/widgets/stage/packed.js", "abn/space/locale/words.js"} <= set(modules)


def test_both_languages_have_the_same_words():
    english, japanese = (json.loads((PAGE / "locale" / f"{name}.json").read_text()) for name in ("en", "ja"))
    assert english.keys() == japanese.keys()
    for key, words in english.items():
        assert set(re.findall(r"\{\w+\}", words)) == set(re.findall(r"\{\w+\}", japanese[key])), key
    used = "".join(file.read_text() for file in PAGE.glob("*.*"))
    for key in english:
        stem = re.sub(r"^(group|about|view|key|column|why|told)_.*", r"\1_", key)
        assert stem in used, key


# In the browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture
def opened(browser, made):
    """The report as a file, in English."""
    out, pictures, rows = made
    page = browser.new_page(locale="en-GB", viewport={"width": 1280, "height": 900})
    page.faults, page.asked = [], []
    page.on("console", lambda message: page.faults.append(message.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto((out / "report.html").as_uri())
    page.wait_for_selector("[data-ready]")
    page.rows, page.pictures, page.file = rows, pictures, (out / "report.html").as_uri()
    yield page
    page.close()


@pytest.mark.browser
def test_no_console_error_and_no_request(opened):
    opened.wait_for_function("() => !document.querySelector('.abn-tile:not([data-painted])')")
    for button in opened.locator("[data-groups] button").all():
        button.click()
    opened.locator("[data-groups] button").first.click()
    opened.locator(".abn-tile").first.click()
    opened.keyboard.press("Escape")
    opened.click("[data-language]")
    assert opened.inner_text("[data-first] h2") == "まず見るべき画像"
    assert opened.faults == []
    assert {url for url in opened.asked if not url.startswith("data:")} == {opened.file}


@pytest.mark.browser
def test_it_says_what_the_table_says(opened):
    read = [row for row in opened.rows if row["error"] is None]
    facts = opened.inner_text("[data-facts]")
    right = sum(row["right"] for row in read)
    assert f"{right} of 42" in facts
    assert f"{100 * right / 42:.1f} %" in facts
    tench = next(line for line in opened.locator("[data-rows] tr").all_inner_texts() if line.startswith("tench"))
    mine = [row for row in read if row["true_class"] == "tench"]
    assert f"{100 * sum(row['right'] for row in mine) / len(mine):.1f} %" in tench
    assert "broken </script>.png" in opened.text_content("[data-unread-list]")
    cell = opened.locator("[data-matrix] td[title^='tench → church']")
    assert int(cell.inner_text() or 0) == sum(row["answer"] == "church" for row in mine)
    opened.click("[data-heads] button:has-text('Pictures')")
    names = [text.split("\t")[0] for text in opened.locator("[data-rows] tr").all_inner_texts()]
    assert len(names) == 10
    assert set(names[:2]) == {"tench", "church"}  # they have one more


@pytest.mark.browser
def test_cards_are_painted_as_the_library_paints(opened, bundled):
    wrong = sorted((r for r in opened.rows if r["right"] is False), key=lambda row: -row["confidence"])[0]
    opened.locator("input[value=paper]").check(force=True)
    opened.locator("[data-alpha]").fill("1")
    opened.mouse.move(0, 0)
    card = f".abn-tile[title='{wrong['path']}']"
    opened.wait_for_selector(f"{card}[data-painted]")
    assert f"✗ {wrong['answer']}" in opened.inner_text(card)
    painted = canvas(opened, f"{card} canvas").astype(int)
    cards = json.loads(opened.evaluate("document.getElementById('data').textContent"))["groups"][0]["cards"]
    url = next(each["picture"] for each in cards if each["path"] == wrong["path"])
    small = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))
    explainer = Explainer.from_pretrained(bundled)
    with Image.open(opened.pictures / wrong["path"]) as picture:
        sizes = [(picture.height, picture.width)]
    grid = torch.tensor(np.array(wrong["map"], np.float32))[None, None]
    heat = explainer.processor.post_process_attention(grid, sizes, "whole", [small.shape[:2]])[0].clamp(0, 1).numpy()
    expected = overlay(small, heat, 1.0).astype(int)
    assert painted.shape == expected.shape
    assert np.abs(painted - expected).mean() < 1.5  # the map comes in 255 steps of its peak; JPEG decoders differ
    assert np.abs(small.astype(int) - expected).mean() > 10


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_it_fits_the_window(opened, width):
    opened.set_viewport_size({"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.browser
def test_it_can_be_used_by_all(opened):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        found = axe.Axe().run(opened, options={"runOnly": ["wcag2a", "wcag2aa"]}).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
