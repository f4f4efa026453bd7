"""A survey opened in the page: its pictures in the Gallery, with its groups as filters."""

import json
import shutil
import urllib.request

import numpy as np
import pytest
from helpers import made_up_picture
from page import NEEDS_CHROMIUM, chromium, open_tab, says, visited
from PIL import Image
from server import app as running

import app
from abn.space.drawings import DRAWINGS
from abn.space.locale import CATALOGUES
from abn.space.server.examples import Example
from abn.space.server.explained import Entry
from abn.space.server.own_examples import OwnGallery
from abn.space.server.survey_examples import SurveyGallery
from abn.space.tabs.gallery import ORDERS, chosen
from abn.survey.folder import GROUPS


def written(folder, pictures, **groups):
    """What a survey leaves for the page (abn/survey/report.py, `write`; abn/survey/shards.py, `Shards`)."""
    (folder / "rows").mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"version": 1, "pictures": str(pictures)}))
    told = {"answer": "church", "confidence": 0.5}
    rows = {
        name: [{"path": path, "true_class": truth, **told} for path, truth in groups.get(name, ())] for name in GROUPS
    }
    (folder / "groups.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture
def survey(tmp_path):
    pictures = tmp_path / "pictures"
    for label in ("tench", "church"):
        (pictures / label).mkdir(parents=True)
        for number in range(3):
            made_up_picture(80, 60, seed=number + len(label)).save(pictures / label / f"{number}.png")
    made_up_picture(80, 60, seed=9).save(pictures / "alone.png")
    wrong = [("tench/2.png", "tench"), ("church/0.png", "church"), ("tench/0.png", "tench")]
    return written(
        tmp_path / "survey", pictures, sure_wrong=wrong, unfamiliar=[("alone.png", None), ("tench/0.png", "tench")]
    )


@pytest.fixture
def opened():
    held = []

    def make(root) -> SurveyGallery:
        held.append(SurveyGallery(root))
        return held[-1]

    yield make
    for gallery in held:
        shutil.rmtree(gallery.folder)


def test_the_pictures_of_its_groups_are_the_examples(survey, opened):
    gallery = opened(survey)
    found = {(example.label, example.groups) for example in gallery.examples}
    assert found == {
        ("tench", (("sure_wrong", 0),)),
        ("church", (("sure_wrong", 1),)),
        ("tench", (("sure_wrong", 2), ("unfamiliar", 1))),
        ("alone.png", (("unfamiliar", 0),)),  # nobody told its class
    }
    assert gallery.classes == ("church", "tench")
    assert gallery.groups == ["sure_wrong", "unfamiliar"]
    assert [example.label for example in gallery.of_class(None)] == ["church", "tench"]
    (alone,) = [example for example in gallery.examples if example.label == "alone.png"]
    with Image.open(alone.path) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(made_up_picture(80, 60, seed=9)))


def test_pictures_without_classes_still_fill_the_row(survey, opened):
    gallery = opened(written(survey.parent / "other", survey.parent / "pictures", border=[("alone.png", None)]))
    assert gallery.classes == ()
    assert [example.label for example in gallery.of_class(None)] == ["alone.png"]
    assert gallery.opening().label == "alone.png"


def test_a_group_is_a_filter_in_its_own_order():
    def entry(name, label, *groups):
        return Entry(Example(f"{name}.png", label, False, groups), "church", 0.5, None, None, label)

    first = entry("a", "tench", ("sure_wrong", 2), ("border", 0))
    second = entry("b", "church", ("sure_wrong", 0))
    third = entry("c", "tench", ("sure_wrong", 1))
    entries = [first, second, third]
    assert chosen(entries, "", "sure_wrong") == [second, third, first]
    assert chosen(entries, "tench", "sure_wrong") == [third, first]
    assert chosen(entries, "", "border") == [first]
    assert chosen(entries, "", "unfamiliar") == []
    assert set(GROUPS) <= set(ORDERS)
    for catalogue in CATALOGUES.values():
        assert all(f"gallery_{name}" in catalogue for name in GROUPS)


def test_any_other_folder_is_one_of_classes(survey):
    for folder, kind in ((survey, SurveyGallery), (survey.parent / "pictures", OwnGallery)):
        gallery = app.examples_of(app.parse(["--examples", str(folder)]))
        assert type(gallery) is kind
        shutil.rmtree(gallery.folder)


def test_what_is_wrong_is_one_line(survey):
    def said(folder) -> str:
        with pytest.raises(ValueError, match=r"^--examples: ") as caught:
            app.examples_of(app.parse(["--examples", str(folder)]))
        return str(caught.value)

    shutil.rmtree(survey.parent / "pictures")
    assert "none of its pictures" in said(survey)
    (survey / "groups.json").write_text('{"border": [1]}')
    assert "does not list pictures by their paths" in said(survey)
    (survey / "groups.json").unlink()
    assert "run its command to the end" in said(survey)
    (survey / "settings.json").write_text("[]")
    assert "is no survey" in said(survey)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The url of an app that shows the survey of four drawings."""
    tmp = tmp_path_factory.mktemp("served")
    for label in ("church", "tench", "golf ball", "parachute"):
        (tmp / "pictures" / label).mkdir(parents=True)
        shutil.copyfile(DRAWINGS[label], tmp / "pictures" / label / "drawn.png")
    named = [(f"{label}/drawn.png", label) for label in ("tench", "church", "golf ball", "parachute")]
    out = written(tmp / "survey", tmp / "pictures", disagree=named[:3], border=named[2:])
    with running(tmp, "--checkpoint", "compact", "--examples", str(out)) as (url, _):
        yield url


@pytest.mark.slow
def test_the_state_names_the_groups(served):
    with urllib.request.urlopen(f"{served}/gradio_api/abn/state?language=en") as answer:
        assert json.load(answer)["groups"] == ["disagree", "border"]


@pytest.mark.slow
@pytest.mark.parametrize(("language", "words"), [("en", "survey: branches disagree"), ("ja", "調査: ブランチの不一致")])
def test_groups_are_choices_of_the_gallery(served, language, words):
    with chromium() as browser, visited(browser, served, f"?lang={language}") as page:
        open_tab(page, "gallery")
        options = page.locator("#abn-gallery [data-order] option")
        assert options.all_inner_texts()[-2:] == [words, CATALOGUES[language]["gallery_border"]]
        page.locator("#abn-gallery [data-order]").select_option("disagree")
        page.wait_for_function("document.querySelectorAll('#abn-gallery .abn-tile:enabled').length === 3")
        named = {"en": ["tench", "church", "golf ball"], "ja": ["テンチ", "教会", "ゴルフボール"]}[language]
        cards = page.locator("#abn-gallery .abn-tile").all_inner_texts()
        assert [card.split("\n")[0] for card in cards] == named  # in the survey's order
        page.locator("#abn-gallery [data-order]").select_option("border")
        page.wait_for_function("document.querySelectorAll('#abn-gallery .abn-tile:enabled').length === 2")
        if language == "en":
            says(page, "#abn-gallery [data-status]", "2 of 2 shown")


for mark in NEEDS_CHROMIUM:
    test_groups_are_choices_of_the_gallery = mark(test_groups_are_choices_of_the_gallery)
