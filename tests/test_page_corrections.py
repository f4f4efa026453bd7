"""Corrections in Chromium: painted with the mouse, kept, downloaded, written where the server has a folder for them."""

import http.client
import io
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile

import numpy as np
import pytest
from helpers import ROOT, made_up_picture, tiny_model
from page import NEEDS_CHROMIUM, Traffic, choose, chromium, open_tab, says, visited
from PIL import Image
from server import app

from abn import AbnImageProcessor, Explainer, corrections
from abn.corrections import Correction, read
from abn.space.server import limits
from abn.space.server.corrections import correction_routes

pytestmark = NEEDS_CHROMIUM
CLASSES = ("ash", "oak", "楡")
PNG, JPEG = (120, 96), (640, 480)  # sizes of pictures: kept without loss, and with


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """(url, explainer, folder of examples, folder of corrections)

    The network's folder is out/, the examples are the validation pictures of data/.
    """
    tmp = tmp_path_factory.mktemp("trees")
    tiny_model(id2label=dict(enumerate(CLASSES))).save_pretrained(tmp / "out")
    AbnImageProcessor(size={"shortest_edge": 96}, crop_size={"height": 64, "width": 64}).save_pretrained(tmp / "out")
    for place, name in enumerate(CLASSES):
        for split, sizes in (("val", (PNG, JPEG)), ("train", 4 * (PNG,))):
            (tmp / "data" / split / name).mkdir(parents=True)
            for number, size in enumerate(sizes):
                picture = made_up_picture(*size, seed=10 * place + number + 50 * (split == "train"))
                picture.save(tmp / "data" / split / name / f"{number}.png")
    arguments = ["--checkpoint", str(tmp / "out"), "--examples", str(tmp / "data")]
    with app(tmp, *arguments, "--corrections", str(tmp / "kept" / "here")) as (url, _):
        yield url, Explainer.from_pretrained(tmp / "out", device="cpu"), tmp / "data" / "val", tmp / "kept" / "here"


def editor(page) -> None:
    open_tab(page, "edit")
    page.wait_for_selector("#abn-edit [data-right]:not([disabled])", timeout=60000)


def use(page, tool: str) -> None:
    page.locator(f"#abn-edit [data-tool] input[value={tool}]").check(force=True)


def paint(page, x: float, y: float) -> None:
    """A dab at a place given as shares of the map's width and height; waits for its answer."""
    box = page.locator("#abn-edit .abn-marks").bounding_box()
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.wait_for_selector("#abn-edit [data-change][aria-busy=false] >> text=→")


def keep(page, words: str = "Kept in this browser.") -> None:
    page.get_by_role("button", name="Keep this correction").click()
    says(page, "#abn-edit [data-kept-status]", words)


def downloaded(page, tmp_path) -> list[Correction]:
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download as zip").click()
    assert coming.value.suggested_filename == "corrections.zip"
    file = tmp_path / "it.zip"
    coming.value.save_as(file)
    with zipfile.ZipFile(file) as packed:
        assert packed.testzip() is None
        assert all(one.compress_type == zipfile.ZIP_STORED for one in packed.infolist())
    return read(file)


def told_on(told: np.ndarray, geometry) -> np.ndarray:
    """(H, W): what a mask says where places of the map tell it; NaN outside what the network was shown."""
    height, width = geometry.picture
    (top, bottom), (left, right) = geometry.span
    expected = np.full((height, width), np.nan, np.float32)
    for y in range(height):
        for x in range(width):
            row = (y + 0.5 - top) / (bottom - top) * told.shape[0]
            column = (x + 0.5 - left) / (right - left) * told.shape[1]
            if 0 <= row < told.shape[0] and 0 <= column < told.shape[1]:
                expected[y, x] = told[int(row), int(column)]
    return expected


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize(
    ("view", "number"),
    [("whole", 0), pytest.param("model", 0, marks=pytest.mark.slow), pytest.param("whole", 1, marks=pytest.mark.slow)],
)
def test_a_correction_is_painted_kept_downloaded_and_written(browser, trees, tmp_path, view, number):
    url, explainer, data, folder = trees
    file = data / "oak" / f"{number}.png"
    explanation = explainer(file, view=view)
    with visited(browser, url, f"?example=oak-{number}&view={view}") as page:
        page.maps = []
        page.on(
            "request", lambda request: page.maps.append(request.post_data_json) if "page_edit" in request.url else None
        )
        editor(page)
        assert page.is_disabled("#abn-edit [data-keep]")  # nothing is told yet
        assert page.locator("#abn-edit [data-right] option").all_inner_texts() == [*CLASSES]
        assert page.locator("#abn-edit [data-right]").input_value() == "oak"
        page.locator("#abn-edit [data-brush]").fill("1")
        use(page, "add")
        paint(page, 0.1, 0.1)
        use(page, "hide")
        paint(page, 0.6, 0.6)
        use(page, "erase")
        paint(page, 0.9, 0.9)
        edited = np.float32([one["data"][0]["map"] for one in page.maps if one and "map" in one["data"][0]][-1])
        page.locator("#abn-edit [data-right]").select_option("楡")
        keep(page)
        assert page.inner_text("#abn-edit [data-kept-count]") == "Corrections of this model: 1"
        own = explanation.attention_map
        told = np.where(edited == own, np.nan, (edited > 0).astype(np.float32))
        assert (told == 1).sum() == 1
        assert (told == 0).sum() == 2
        (one,) = downloaded(page, tmp_path)
        assert same(one.mask, told_on(told, explanation.geometry))
        assert np.isnan(one.mask).any()
        pixels, expected = np.asarray(one.picture).astype(int), np.asarray(Image.open(file).convert("RGB")).astype(int)
        assert pixels.shape == expected.shape
        assert np.abs(pixels - expected).max() <= (0 if number == 0 else 40)
        assert np.abs(pixels - expected).mean() <= (0 if number == 0 else 1.5)
        assert (one.label, one.model, one.name) == ("楡", "out", f"oak-{number}")
        assert one.said == (explanation.label, pytest.approx(explanation.probabilities[explanation.label], abs=1e-4))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one.time)
        (written,) = read(folder)
        assert written.picture_file.read_bytes() == one.picture_file
        assert written.mask_file.read_bytes() == one.mask_file
        assert (written.label, written.said, written.model, written.time) == (one.label, one.said, one.model, one.time)
        assert all(
            re.fullmatch(r"[0-9a-f]{16}(\.mask)?\.(jpg|png)|corrections\.jsonl", f.name) for f in folder.iterdir()
        )
        page.locator("#abn-edit [data-kept] button").click()
        says(page, "#abn-edit [data-kept-status]", "Removed.")
        assert page.locator("#abn-edit [data-kept-panel]").is_hidden()
        assert [each.name for each in folder.iterdir()] == ["corrections.jsonl"]


def test_corrections_outlive_a_reload_and_a_picture_has_the_latest(browser, trees, tmp_path):
    url, _, _, folder = trees
    with visited(browser, url, "?example=ash-0") as page:
        editor(page)
        use(page, "hide")
        paint(page, 0.5, 0.5)
        keep(page)
        page.locator("#abn-edit [data-right]").select_option("oak")
        keep(page)
        assert page.locator("#abn-edit [data-kept] li").count() == 1
        assert len(read(folder)) == 1
        page.reload()
        page.wait_for_selector("[data-abn][data-ready]")
        choose(page, _photo(tmp_path))
        editor(page)
        page.wait_for_selector("#abn-edit [data-kept] li")
        page.locator("#abn-edit [data-do=only_object]").click()
        page.wait_for_selector("#abn-edit [data-change][aria-busy=false] >> text=→")
        keep(page)
        items = page.locator("#abn-edit [data-kept] li").all_inner_texts()
        assert len(items) == 2
        assert items[1].startswith("oak")
        assert "was " in items[1]
        first, second = downloaded(page, tmp_path)  # in the order they were kept in
        assert [one.label for one in (first, second)] == ["oak", second.said[0]]  # by default what the network says
        assert second.name == "mine.jpg"
        assert max(second.picture.size) == 1024
        assert set(np.unique(second.mask[~np.isnan(second.mask)])) == {0}
        assert len(read(folder)) == 2
        for _ in range(2):
            page.locator("#abn-edit [data-kept] button").first.click()
            says(page, "#abn-edit [data-kept-status]", "Removed.")
        page.wait_for_selector("#abn-edit [data-kept-panel]", state="hidden")


@pytest.mark.slow
def test_what_is_downloaded_is_taught(browser, trees, tmp_path):
    url, _, data, folder = trees
    with visited(browser, url) as page:
        for name, tool in (("ash", "hide"), ("oak", "add")):
            page.locator("#abn-explain [data-examples] [data-open]", has_text=name).click()
            editor(page)
            use(page, tool)
            paint(page, 0.2, 0.2)
            keep(page)
            page.get_by_role("tab", name="Explain").click()
        open_tab(page, "edit")
        downloaded(page, tmp_path)
    command = [sys.executable, "train/run.py", "--initial", str(data.parents[1] / "out"), "--data", str(data.parent)]
    command += ["--corrections", str(tmp_path / "it.zip"), "--checkpoint", str(tmp_path / "taught"), "--max-steps", "2"]
    command += ["--sizes", "64", "--train-batch", "4", "--workers", "1", "--gpu-id", "cpu", "--explain", "0"]
    command += ["--holdout", "0", "--corrections-holdout", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "taught" / "metrics.json").read_text())["corrections"]
    assert found["after"]["corrected"]["pictures"] == 2
    assert Explainer.from_pretrained(tmp_path / "taught", device="cpu").labels == [*CLASSES]
    for one in folder.iterdir():
        one.unlink()


def _photo(tmp_path):
    made_up_picture(1500, 1000, seed=4).save(tmp_path / "mine.jpg")
    return tmp_path / "mine.jpg"


def test_what_is_undone_is_not_told(browser, trees):
    with visited(browser, trees[0], "?example=ash-0") as page:
        editor(page)
        button = page.locator("#abn-edit [data-keep]")
        use(page, "hide")
        paint(page, 0.5, 0.5)
        assert button.is_enabled()
        page.locator("#abn-edit [data-do=undo]").click()
        assert button.is_disabled()
        page.locator("#abn-edit [data-do=invert]").click()
        assert button.is_disabled()  # a map turned round tells nothing of itself
        page.locator("#abn-edit [data-do=clear]").click()
        assert button.is_enabled()
        page.locator("#abn-edit [data-do=reset]").click()
        assert button.is_disabled()


def test_by_keyboard_alone(browser, trees):
    with visited(browser, trees[0], "?example=ash-0") as page:
        editor(page)
        page.locator("#abn-edit .abn-marks").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Space")
        page.wait_for_selector("#abn-edit [data-keep]:not([disabled])")
        steps = "document.activeElement.matches('[data-keep]')"
        for _ in range(14):
            if page.evaluate(steps):
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        says(page, "#abn-edit [data-kept-status]", "Kept in this browser.")
        remove = page.locator("#abn-edit [data-kept] button")
        assert remove.get_attribute("aria-label") == "Remove the correction to ash (ash-0)"
        size = remove.bounding_box()
        assert min(size["width"], size["height"]) >= 44
        remove.focus()
        page.keyboard.press("Enter")
        says(page, "#abn-edit [data-kept-status]", "Removed.")
        assert page.evaluate("document.activeElement.matches('[data-right]')")


@pytest.mark.slow
def test_where_the_browser_keeps_nothing_it_is_said(browser, trees, tmp_path):
    before = "Object.defineProperty(window, 'indexedDB', {value: {open() { throw new Error('no'); }}})"
    with visited(browser, trees[0], "?example=ash-0", before=before) as page:
        editor(page)
        use(page, "add")
        paint(page, 0.5, 0.5)
        keep(page, "Kept until this page is closed")
        assert [one.label for one in downloaded(page, tmp_path)] == ["ash"]
        page.locator("#abn-edit [data-kept] button").click()
        says(page, "#abn-edit [data-kept-status]", "Removed.")


def test_what_the_server_does_not_write_is_kept_all_the_same(browser, trees, tmp_path):
    with visited(browser, trees[0], "?example=ash-0") as page:
        page.route("**/abn/correction?**", lambda route: route.fulfill(status=400, json={"error": "the disk is full"}))
        editor(page)
        use(page, "add")
        paint(page, 0.5, 0.5)
        keep(page, "Kept in this browser, but not written on the server: the disk is full")
        assert len(downloaded(page, tmp_path)) == 1
        page.faults.clear()  # the browser's own line about the answer


@pytest.mark.slow
def test_without_a_folder_nothing_is_sent_and_there_is_no_such_way(browser, url, tmp_path):
    with visited(browser, url, locale="ja-JP", viewport={"width": 390, "height": 844}) as page:
        traffic = Traffic(page)
        editor(page)
        page.locator("#abn-edit [data-do=hide_object]").click()
        page.wait_for_selector("#abn-edit [data-change][aria-busy=false] >> text=→")
        traffic.clear()
        page.get_by_role("button", name="この訂正を保存").click()
        says(page, "#abn-edit [data-kept-status]", "このブラウザーに保存しました。")
        assert traffic.requests == []
        words = page.inner_text("#abn-edit .abn-correct")
        assert "このモデルの訂正: 1 件" in words
        assert "チェーンソー" in words
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for method, path in (("POST", "correction/"), ("DELETE", "correction/0123456789abcdef")):  # Starlette adds the "/"
        with pytest.raises(urllib.error.HTTPError) as error:
            send(url, b"x", path, method)
        assert error.value.code in (404, 405)


# --- What the server takes


def send(url: str, content: bytes, path="correction", method="POST", kind="application/zip") -> dict:
    headers = {"Content-Type": kind, "Accept-Language": "ja"}
    request = urllib.request.Request(f"{url}/gradio_api/abn/{path}", content, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def zip_of(tmp_path, *masks) -> bytes:
    folder = tmp_path / f"zip-{len(list(tmp_path.iterdir()))}"
    corrections.write([Correction.of(made_up_picture(20, 10), mask, "oak") for mask in masks], folder)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for file in folder.iterdir():
            packed.write(file, file.name)
    return out.getvalue()


def test_what_is_no_correction_is_refused_and_nothing_is_written(trees, tmp_path):
    url, _, _, folder = trees
    before = sorted(folder.iterdir())
    white, black = np.ones((10, 20), np.float32), np.zeros((10, 20), np.float32)
    good = zip_of(tmp_path, white)
    for content, kind, status, words in (
        (b"no zip", "application/zip", 400, "is not a zip"),
        (good[:-30], "application/zip", 400, "is not a zip"),
        (zip_of(tmp_path, white, black), "application/zip", 400, "2 件"),
        (good.replace(b"corrections.jsonl", b"corrections.jsonX"), "application/zip", 400, "holds no"),
        (good, "text/plain", 415, "application/zip"),
    ):
        with pytest.raises(urllib.error.HTTPError) as error:
            send(url, content, kind=kind)
        assert error.value.code == status
        assert words in json.loads(error.value.read())["error"]
    large = http.client.HTTPConnection(url.removeprefix("http://"))
    large.putrequest("POST", "/gradio_api/abn/correction")
    large.putheader("Content-Length", str(limits.CORRECTION_BYTES + 1))  # answered before a byte of it is sent
    large.endheaders()
    assert large.getresponse().status == 413
    large.close()
    assert sorted(folder.iterdir()) == before
    name = send(url, good)["name"]
    assert send(url, good)["name"] == name
    assert len(read(folder)) == len(before) // 2 + 1
    assert send(url, b"", f"correction/{name}", "DELETE") == {"removed": True}
    assert send(url, b"", f"correction/{name}", "DELETE") == {"removed": False}
    assert sorted(folder.iterdir()) == before or not before


def test_a_disk_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("abn.space.server.corrections.write", full)
    monkeypatch.setattr("abn.space.server.corrections.remove", full)
    client = TestClient(Starlette(routes=correction_routes(tmp_path)))
    content = zip_of(tmp_path, np.ones((10, 20), np.float32))
    path = "/gradio_api/abn/correction"
    answer = client.post(f"{path}?language=en", content=content, headers={"Content-Type": "application/zip"})
    assert (answer.status_code, answer.json()) == (400, {"error": "the server's disk cannot be written"})
    assert client.delete(f"{path}/x?language=ja").json() == {"error": "サーバーのディスクに書き込めません"}
