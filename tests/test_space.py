"""The Space's parts without a server: drawings, gallery, serving, the two layers, the words."""

import hashlib
import json
from dataclasses import replace

import huggingface_hub.constants
import numpy as np
import pytest
from helpers import made_up_picture, wait_for
from hub_stand_in import endpoint, hub
from PIL import Image

from abn import Explainer, imagenette
from abn.space.answer import answer_of, known_by
from abn.space.drawings import DRAWINGS
from abn.space.page import notice_of
from abn.space.server import serving as serving_module
from abn.space.server.examples import Gallery
from abn.space.server.serving import Served, Serving, Status, answer

BUNDLED_NAME = "bundled compact network"


# Drawings


def test_the_drawings_are_ten_and_always_the_same():
    assert tuple(DRAWINGS) == imagenette.CLASSES
    pixels = hashlib.sha256()
    for drawing in DRAWINGS.values():
        with Image.open(drawing) as picture:
            assert (picture.size, picture.mode) == ((480, 360), "RGB")
            pixels.update(picture.tobytes())
    assert pixels.hexdigest() == "2b8f2410307bbc5be12717c6aecfa43201475676c37572ce9f3a522ec411cf69"


def test_the_bundled_network_knows_at_least_six_drawings():
    explainer = Explainer.from_pretrained("compact")
    labels = [e.label for e in explainer([*DRAWINGS.values()], view="whole")]
    assert sum(found == label for found, label in zip(labels, DRAWINGS, strict=True)) >= 6


# Gallery


def test_real_pictures_where_there_are_any(tiny_imagenette):
    gallery = Gallery(tiny_imagenette)
    assert gallery.real
    assert gallery.settled
    assert [example.label for example in gallery.of_class(None)] == list(imagenette.CLASSES)
    assert len(gallery.of_class("church")) == 2
    assert {(example.label, example.drawn) for example in gallery.of_class("church")} == {("church", False)}
    original = tiny_imagenette / "imagenette2-160" / "val" / "n03028079" / "n03028079_0.JPEG"
    with Image.open(gallery.of_class("church")[0].path) as picture, Image.open(original) as expected:
        assert np.array_equal(np.asarray(picture), np.asarray(expected))


def test_drawings_where_there_is_nothing(tmp_path):
    gallery = Gallery(tmp_path / "none", may_download=False)
    gallery.start()
    assert not gallery.real
    assert gallery.settled
    assert gallery.note == ("drawings_offline", {})
    assert [example.drawn for example in gallery.of_class("tench")] == [True]
    assert gallery.opening().label == "chain saw"


def test_drawings_until_the_pictures_have_come(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    gallery = Gallery(tmp_path / "data")
    assert not gallery.real
    gallery.start()
    wait_for(lambda: gallery.settled)
    assert gallery.real
    assert gallery.note == ("", {})
    assert len(gallery.of_class("golf ball")) == 2


def test_drawings_stay_when_the_download_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setitem(imagenette.Imagenette._ARCHIVES, "160px", ("http://127.0.0.1:9/imagenette2-160.tgz", "0"))
    gallery = Gallery(tmp_path / "data")
    gallery.start()
    wait_for(lambda: gallery.settled)
    assert not gallery.real
    assert gallery.note == ("drawings_failed", {})


# Serving


@pytest.fixture
def online(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


def test_the_bundled_model_serves_until_the_wanted_one_is_there(tiny_folder, online, monkeypatch):
    with hub(tiny_folder) as url:
        endpoint(monkeypatch, url)
        serving = Serving("someone/abn")
        before = serving.status()
        assert (before.model, before.state, before.wanted) == (BUNDLED_NAME, "loading", "someone/abn")
        assert serving.current.name == BUNDLED_NAME
        serving.start()
        wait_for(lambda: serving.state != "loading")
    assert serving.status().model == "someone/abn"
    served = serving.current
    answered_by = answer(served, made_up_picture(), "whole")
    explanation, seconds = answered_by.explanation, answered_by.seconds
    assert explanation.label.startswith("class ")
    assert served.name == "someone/abn"
    assert seconds > 0


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("missing", "404"),
        ("error", "500"),
        ("hang", "did not answer within 0.5 s"),
        ("stall", "stood still for 0.5 s"),
        ("short", "is not a whole safetensors file"),
    ],
)
def test_the_bundled_model_stays_and_says_why(mode, words, tiny_folder, online, monkeypatch):
    monkeypatch.setattr(
        serving_module.hub, "fetch", lambda repo_id, report, fetch=serving_module.hub.fetch: fetch(
            repo_id, deadline=0.5, idle=0.5, report=report
        )
    )  # fmt: skip
    with hub(tiny_folder, mode=mode) as url:
        endpoint(monkeypatch, url)
        serving = Serving("someone/abn")
        serving.start()
        wait_for(lambda: serving.state != "loading")
    status = serving.status()
    assert (status.model, status.state) == (BUNDLED_NAME, "refused")
    assert words in str(status.reason)
    assert "/" not in str(status.reason).replace("someone/abn", "")
    assert words.split(" in ")[0] in notice_of(status, "en")
    assert answer(serving.current, made_up_picture(), "whole").explanation.label in imagenette.CLASSES


def test_a_local_folder_serves_at_its_name(tiny_folder):
    serving = Serving(str(tiny_folder))
    serving.start()
    wait_for(lambda: serving.state == "ready")
    assert serving.status().model == "tiny"


def test_a_local_folder_of_another_kind_is_refused(tiny_folder):
    (tiny_folder / "config.json").write_text('{"model_type": "resnet"}')
    serving = Serving(str(tiny_folder))
    serving.start()
    wait_for(lambda: serving.state == "refused")
    assert str(serving.reason) == "tiny holds a model of type 'resnet'; expected model_type 'abn'"
    (tiny_folder / "config.json").write_text("{")
    for source in (tiny_folder, tiny_folder / "model.safetensors"):
        serving = Serving(str(source))
        serving.start()
        wait_for(lambda serving=serving: serving.state == "refused")
        assert str(tiny_folder.parent) not in str(serving.status())


@pytest.mark.parametrize("wanted", ["nonsense", "../up", "a/b/c", "https://host/a/b", ""])
def test_what_can_be_no_checkpoint_is_refused_at_once(wanted):
    with pytest.raises(ValueError, match="neither a folder, a file, a Hub id"):
        Serving(wanted)


# The page


@pytest.fixture(scope="module")
def served():
    return Served(BUNDLED_NAME, Explainer.from_pretrained("compact", device="cpu"))


def answered(explanation, served, language="en"):
    return answer_of(explanation, served, language, 50)


def test_an_answer_is_the_explanation_in_a_few_kilobytes(served):
    explanation = served.explainer(made_up_picture(), view="whole")
    answer = json.loads(json.dumps(answered(explanation, served)))
    assert answer["label"] == explanation.label
    assert answer["classes"] == [[name, round(p, 6)] for name, p in list(explanation.probabilities.items())[:5]]
    assert answer["attention"] == {
        name: round(explanation.attention_probabilities[name], 6) for name, _ in answer["classes"]
    }
    assert np.array_equal(np.float32(answer["map"]["rows"]), explanation.grid)
    assert answer["map"]["size"] == [96, 72]
    assert answer["map"]["box"] == list(explanation.geometry.box)
    assert answer["model"]["description"] == "ResNet-18 of width 32, 4.9 M parameters, on the CPU"
    assert answer["unfamiliar"] == explanation.unfamiliar
    assert answer["familiarity"] == explanation.familiarity
    assert len(json.dumps(answer)) < 8000


@pytest.mark.parametrize("others", [{"church": 0.6, "tench": 0.4}, {"tench": 0.6, "church": 0.4}, {}])
def test_an_answer_names_the_attention_branchs_own(others, served):
    explanation = replace(
        served.explainer(made_up_picture(), view="whole"),
        label="church",
        probabilities={"church": 0.7, "tench": 0.3},
        attention_probabilities=others,
    )
    answer = answered(explanation, served)
    assert answer["attention_label"] == next(iter(others), None)
    assert answer["attention"] == others


def test_the_warning_appears_below_the_threshold_alone(served):
    explainer = served.explainer
    energies = [e.energy for e in explainer([*DRAWINGS.values()], view="whole")]
    threshold = sorted(energies)[4] + 1e-6
    calibration = replace(explainer.calibration, energy_threshold=threshold)
    explainer = Explainer(explainer.model, explainer.processor, calibration=calibration, device="cpu")
    explanations = explainer([*DRAWINGS.values()], view="whole")
    warned = [answered(explanation, served)["unfamiliar"] for explanation in explanations]
    assert warned == [energy < threshold for energy in energies]
    assert sum(warned) == 5


@pytest.mark.slow
def test_about_one_real_picture_in_twenty_falls_below_the_threshold(served, imagenette_root):
    files = sorted((imagenette_root / "imagenette2" / "val").glob("*/*"))[::10]
    explanations = served.explainer(files)
    share = sum(explanation.unfamiliar for explanation in explanations) / len(files)
    assert 0.02 <= share <= 0.10
    truth = [imagenette.CLASSES[imagenette.WNIDS.index(file.parent.name)] for file in files]
    right = sum(e.label == label for e, label in zip(explanations, truth, strict=True))
    confidence = sum(e.probabilities[e.label] for e in explanations)
    assert abs(right - confidence) / len(files) <= 0.04  # confidences are right on average


def test_what_outlives_a_loan_runs_on_the_cpu(served):
    assert served.lasting is served.explainer
    on_cpu = Explainer.from_pretrained("compact", device="cpu")
    assert Served("lent", served.explainer, on_cpu).lasting is on_cpu


def test_the_notice_is_in_the_visitors_language():
    assert notice_of(Status("m", "d", "ready", "m"), "en") == ""
    loading = Status(BUNDLED_NAME, "d", "loading", "someone/abn", 0.43)
    assert notice_of(loading, "en") == "Fetching someone/abn (43%). Meanwhile the bundled compact network answers."
    assert "43%" in notice_of(loading, "ja")
    assert "同梱" in notice_of(loading, "ja")
    refused = notice_of(Status(BUNDLED_NAME, "d", "refused", "a/b", 0.0, "it is broken"), "en")
    assert refused == "a/b is not in use: it is broken. The bundled compact network answers instead."


def test_other_models_list_their_own_classes(tiny_folder):
    assert known_by(Serving("compact").current) == {"labels": [*imagenette.CLASSES], "count": 10, "tasks": False}
    tiny = Served("tiny", Explainer.from_pretrained(tiny_folder, device="cpu"))
    assert known_by(tiny)["labels"][-1] == "class 9"
