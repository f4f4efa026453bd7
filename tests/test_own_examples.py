"""Examples of one's own: any folder of class folders in place of Imagenette, and a page that speaks of that alone."""

import json
import re
import shutil
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import made_up_picture, tiny_model
from page import NEEDS_CHROMIUM, TABS, chromium, open_tab, says, visited
from PIL import Image
from server import app as running

import app
from abn import AbnImageProcessor, Explainer
from abn.space.locale import say
from abn.space.server.own_examples import IN_ALL, OwnGallery


def chromium_alone(test):
    for mark in NEEDS_CHROMIUM:
        test = mark(test)
    return test


CLASSES = ("ash tree", "oak", "楡")
SHOWN = ("ash tree", "oak", "yew", "楡")  # of which the network does not know one


def folder_of(root, classes=CLASSES, count=4, ending="png", side=40):
    for place, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(count):
            made_up_picture(side, side * 3 // 4, seed=100 * place + number).save(root / name / f"{number}.{ending}")
    return root


@pytest.fixture
def opened():
    """OwnGallery, whose copies are gone after the test."""
    held = []

    def make(root) -> OwnGallery:
        held.append(OwnGallery(root))
        return held[-1]

    yield make
    for gallery in held:
        shutil.rmtree(gallery.folder)


# --- The folder


def test_a_flat_folder_is_taken_class_by_class(tmp_path, opened):
    gallery = opened(folder_of(tmp_path / "trees"))
    assert gallery.settled
    assert gallery.note == ("", {})
    assert gallery.classes == CLASSES
    assert [example.label for example in gallery.of_class(None)] == [*CLASSES]
    assert len(gallery.of_class("oak")) == 4
    assert gallery.opening() is gallery.of_class("ash tree")[0]
    for place, name in enumerate(CLASSES):
        for number, example in enumerate(gallery.of_class(name)):
            assert re.fullmatch(r"[\w.-]+", example.id, re.ASCII)
            assert gallery.by_id(example.id) is example
            assert not example.drawn
            with Image.open(example.path) as picture:
                expected = made_up_picture(40, 30, seed=100 * place + number)
                assert np.array_equal(np.asarray(picture), np.asarray(expected))
    assert gallery.by_id("church-drawn") is None
    assert gallery.by_id("../oak") is None


@pytest.mark.parametrize("split", ["val", "valid", "validation", "test"])
def test_of_splits_the_validation_pictures_are_taken(tmp_path, opened, split):
    folder_of(tmp_path / "train", count=3)
    folder_of(tmp_path / split, ("oak", "yew"), count=2)
    gallery = opened(tmp_path)
    assert gallery.classes == ("oak", "yew")
    assert len(gallery.examples) == 4


def test_validation_comes_before_test_and_class_folders_of_those_names_are_classes(tmp_path, opened):
    folder_of(tmp_path / "both" / "val", ("a",))
    folder_of(tmp_path / "both" / "test", ("b",))
    assert opened(tmp_path / "both").classes == ("a",)
    assert opened(folder_of(tmp_path / "flat", ("test", "train", "valid"))).classes == ("test", "train", "valid")


def test_large_pictures_are_reduced_upright_and_without_metadata(tmp_path, opened):
    (tmp_path / "oak").mkdir()
    picture = made_up_picture(1600, 1200, seed=5)
    turned = picture.getexif()
    turned[0x0112], turned[0x010F] = 6, "Maker"
    picture.save(tmp_path / "oak" / "photo.jpg", exif=turned, quality=95)
    made_up_picture(30, 20).save(tmp_path / "oak" / "small.tif")
    photo, small = opened(tmp_path).examples
    with Image.open(photo.path) as found:
        assert found.size == (768, 1024)
        assert not found.getexif()
        expected = picture.rotate(-90, expand=True).resize((768, 1024), Image.Resampling.LANCZOS)
        assert np.abs(np.asarray(found).astype(int) - np.asarray(expected)).mean() < 3
    with Image.open(small.path) as found:
        assert found.format == "PNG"  # which browsers show


def test_many_classes_and_pictures_are_taken_evenly(tmp_path, opened, monkeypatch):
    names = [f"class {number:03}" for number in range(12)]
    folder_of(tmp_path, names, count=5, side=8)
    monkeypatch.setattr("abn.space.server.own_examples.IN_ALL", 24)
    monkeypatch.setattr("abn.space.server.examples.IN_ROW", 7)
    gallery = opened(tmp_path)
    assert len(gallery.examples) == 24
    assert gallery.classes == tuple(names)
    assert {example.id[-1] for example in gallery.of_class(names[0])} == {"0", "2"}
    assert len(gallery.of_class(None)) == 7
    monkeypatch.setattr("abn.space.server.own_examples.IN_ALL", 6)
    assert opened(tmp_path).classes == tuple(names[::2])
    assert IN_ALL == 300


def test_damaged_pictures_are_named_and_left_out(tmp_path, opened, capfd):
    folder_of(tmp_path, ("oak", "yew"), count=2)
    (tmp_path / "oak" / "1.png").write_bytes((tmp_path / "oak" / "1.png").read_bytes()[:200])
    for file in (tmp_path / "yew").iterdir():
        file.write_bytes(b"none")
    gallery = opened(tmp_path)
    assert [example.id for example in gallery.examples] == ["oak-0"]
    assert gallery.classes == ("oak",)
    assert "3 damaged (" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: None, "there is no folder"),
        (lambda root: root.mkdir(), "must hold a folder a class"),
        (lambda root: (root / "oak").mkdir(parents=True), "holds no picture that can be read"),
        (lambda root: folder_of(root / "train"), "holds train/ and none of val/, valid/, validation/, test/; name"),
    ],
)
def test_a_folder_that_is_none_is_one_line(tmp_path, monkeypatch, make, words):
    make(tmp_path / "it")
    monkeypatch.setattr(app, "Serving", lambda wanted: None)
    with pytest.raises(SystemExit) as ended:
        app.main(["--examples", str(tmp_path / "it")])
    said = str(ended.value)
    assert said.startswith("error: --examples: ")
    assert words in said
    assert str(tmp_path / "it") in said
    assert "\n" not in said


def test_a_corrections_folder_that_cannot_be_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(app, "Serving", lambda wanted: None)
    monkeypatch.setattr(app, "examples_of", lambda args: SimpleNamespace())
    with pytest.raises(SystemExit, match=r"error: --corrections .*file"):
        app.main(["--corrections", str(tmp_path / "file")])


# --- The page


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """(url, explainer, folder) of an app of a network of three classes, and pictures of those and a fourth."""
    tmp = tmp_path_factory.mktemp("trees")
    model = tiny_model(id2label=dict(enumerate(CLASSES)))
    model.save_pretrained(tmp / "out")
    AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(tmp / "out")
    folder_of(tmp / "data" / "train", count=1)
    folder = folder_of(tmp / "data" / "valid", SHOWN, count=3, side=96)
    arguments = ["--checkpoint", str(tmp / "out"), "--imagenette-root", str(tmp / "none")]
    with running(tmp, *arguments, ABN_EXAMPLES=str(tmp / "data")) as (url, _):
        yield url, Explainer.from_pretrained(tmp / "out", device="cpu"), folder


def heard(url: str, path: str):
    with urllib.request.urlopen(f"{url}{path}") as answer:
        return answer.read().decode()


@pytest.mark.parametrize("language", [pytest.param("en", marks=pytest.mark.slow), "ja"])
@chromium_alone
def test_no_word_of_imagenette(browser, trees, language):
    url = trees[0]
    for path in ("/", "/config", f"/gradio_api/abn/state?language={language}"):
        assert "imagenette" not in heard(url, path).lower()
    with visited(browser, url, f"?lang={language}") as page:
        for name in [name for name in TABS if name != "model"]:
            open_tab(page, name)
        page.click("[data-tab=model]")
        says(page, "#abn-model", say("model_no_metrics", language))
        for words in (page.inner_text("body"), page.evaluate("document.body.textContent"), page.title()):
            assert "imagenette" not in words.lower()
            assert "church" not in words
        assert "imagenette" not in page.evaluate("document.head.innerHTML").lower()


@chromium_alone
def test_gallery_examples_and_opening_picture_are_the_folders(browser, trees):
    url, explainer, folder = trees
    with visited(browser, url) as page:
        names = page.locator("#abn-explain [data-examples] [data-open]").all_inner_texts()
        assert [name.strip() for name in names] == [*SHOWN]
        opening = explainer(folder / "ash tree" / "0.png", view="whole")
        assert page.inner_text("#abn-explain [data-label]") == opening.label
        says(page, "#abn-explain [data-knows]", "This model knows 3 things")
        assert all(name in page.inner_text("#abn-explain [data-knows]") for name in CLASSES)
        page.locator("#abn-explain [data-examples] [data-open]").nth(2).click()
        says(page, "#abn-explain [data-label]", explainer(folder / "yew" / "0.png", view="whole").label)
        open_tab(page, "gallery")
        options = page.locator("#abn-gallery [data-class] option").all_inner_texts()
        assert options == ["all", *SHOWN]
        page.wait_for_function("document.querySelectorAll('#abn-gallery .abn-tile:enabled').length === 12")
        right = 0
        for name in SHOWN:
            page.locator("#abn-gallery [data-class]").select_option(name)
            page.wait_for_function(
                "(name) => { const all = [...document.querySelectorAll('#abn-gallery .abn-tile:enabled')];"
                "return all.length === 3 && all.every((each) => each.innerText.startsWith(name)); }",
                arg=name,
            )
            said = explainer([folder / name / f"{number}.png" for number in range(3)], view="whole")
            cards = page.locator("#abn-gallery .abn-tile").all_inner_texts()
            for text, explanation in zip(cards, said, strict=True):
                mark = "" if name == "yew" else "✓" if explanation.label == name else "✗"
                right += mark == "✓"
                assert explanation.label in text
                assert ("✓" in text, "✗" in text) == (mark == "✓", mark == "✗")
        says(page, "#abn-gallery [data-status]", f"of all 12 pictures {right} are right")


def test_the_state_names_the_networks_own_classes_from_the_first(trees):
    state = json.loads(heard(trees[0], "/gradio_api/abn/state?language=en"))
    assert state["model"]["name"] == "out"
    assert state["model"]["known"]["labels"] == [*CLASSES]
    assert state["classes"] == [*SHOWN]
    assert state["more"] == dict.fromkeys(SHOWN, 3)
    assert state["corrections"] is False
