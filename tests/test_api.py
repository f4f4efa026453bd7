"""The server over its API, as a program uses it."""

import json
import urllib.request

import load
import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from helpers import made_up_picture, reference_written, wait_for
from hub_stand_in import hub
from PIL import Image
from server import app

from abn import AbnConfig, AbnForImageClassification, Explainer, imagenette
from abn.comparison import Comparison
from abn.editing import Editing
from abn.methods import METHODS
from abn.overlay import overlay as laid_over
from abn.space.drawings import DRAWINGS


@pytest.fixture(scope="module")
def client(url):
    return Client(url, verbose=False)


def test_explain_is_what_the_library_says(client, tmp_path):
    picture = tmp_path / "picture.png"
    made_up_picture(300, 200).save(picture)
    label, overlay, attention_map = client.predict(handle_file(picture), api_name="/explain")
    expected = Explainer.from_pretrained("compact")(picture, view="whole")
    assert label["label"] == expected.label
    confidences = {entry["label"]: entry["confidence"] for entry in label["confidences"]}
    assert confidences == pytest.approx(expected.probabilities, abs=1e-4)
    assert overlay.endswith(".png")
    assert np.abs(np.asarray(Image.open(overlay)).astype(int) - expected.overlay(1.0)).max() <= 1
    assert np.abs(np.array(attention_map) - expected.attention_map).max() < 1e-4


def test_alpha_and_view(client, tmp_path):
    picture = tmp_path / "picture.png"
    made_up_picture(300, 200).save(picture)
    _, overlay, attention_map = client.predict(handle_file(picture), 0, "model", api_name="/explain")
    explainer = Explainer.from_pretrained("compact")
    assert np.array_equal(np.asarray(Image.open(overlay)), explainer(picture, view="model").view)
    assert np.array(attention_map).shape == (13, 13)
    _, overlay, _ = client.predict(handle_file(picture), alpha=0.5, api_name="/explain")
    expected = explainer(picture, view="whole").overlay(0.5)
    assert np.abs(np.asarray(Image.open(overlay)).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"alpha": 1.5}, "alpha must be a number from 0 to 1; got 1.5"),
        ({"alpha": -0.1}, "got -0.1"),
        ({"view": "half"}, "view must be one of model, whole; got half"),
    ],
)
def test_bad_arguments_are_named(client, tmp_path, arguments, words):
    picture = tmp_path / "picture.png"
    made_up_picture().save(picture)
    with pytest.raises(AppError, match=words):
        client.predict(handle_file(picture), **arguments, api_name="/explain")


@pytest.mark.parametrize("content", [b"", b"this is no picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_picture_is_named_and_the_app_goes_on(client, tmp_path, content):
    bad = tmp_path / "bad.png"
    bad.write_bytes(content)
    with pytest.raises(AppError, match=r"bad\.png is not a picture that can be read") as caught:
        client.predict(handle_file(bad), api_name="/explain")
    assert str(tmp_path) not in str(caught.value)
    assert client.predict(api_name="/model")["state"] == "ready"


def test_no_picture_at_all(client):
    with pytest.raises(AppError, match="No picture was given"):
        client.predict(None, api_name="/explain")


def test_model_says_which_answers(client):
    found = client.predict(api_name="/model")
    assert found["model"] == "bundled compact network"
    assert found["classes"] == list(imagenette.CLASSES)


def test_only_the_documented_endpoints_are_named(client):
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/explain", "/edit", "/compare", "/model", "/models"}
    parameters = named["/explain"]["parameters"]
    assert [p["parameter_name"] for p in parameters] == ["picture", "alpha", "view", "model", "classes"]
    assert [p.get("parameter_default") for p in parameters][:3] == [None, 1.0, "whole"]
    assert all(p["parameter_has_default"] for p in parameters[1:])


def test_edit_is_what_the_library_says(client, bundled):
    picture = DRAWINGS["chain saw"]
    editing = Editing(Explainer.from_pretrained(bundled, device="cpu"), picture)
    before, after, own = client.predict(handle_file(picture), api_name="/edit")
    confidences = [[entry["confidence"] for entry in each["confidences"]] for each in (before, after)]
    assert confidences[0] == pytest.approx(confidences[1], abs=1e-4)
    assert np.abs(np.array(own) - editing.explanation.attention_map).max() < 1e-4
    hidden = np.where(np.array(own) > 0.1, -1, own)
    before, after, _ = client.predict(handle_file(picture), hidden.tolist(), api_name="/edit")
    assert before["label"] == "chain saw"
    confidences = {entry["label"]: entry["confidence"] for entry in after["confidences"]}
    assert confidences == pytest.approx(editing(hidden).probabilities, abs=1e-3)
    assert confidences["chain saw"] < before["confidences"][0]["confidence"] - 0.1
    with pytest.raises(AppError, match=r"the map must be \d+ x \d+, as the model's own; got 2 x 1"):
        client.predict(handle_file(picture), [[1], [0]], api_name="/edit")
    with pytest.raises(AppError, match="between -1 and 1"):
        client.predict(handle_file(picture), (hidden * 3).tolist(), api_name="/edit")


def test_compare_is_what_the_library_says(client, tmp_path, bundled):
    picture = tmp_path / "picture.png"
    made_up_picture(300, 200).save(picture)
    overlays, records = client.predict(
        handle_file(picture), "grad-cam, attention, uniform", "church", 0.5, api_name="/compare"
    )
    comparison = Comparison(Explainer.from_pretrained(bundled, device="cpu"), picture, "church")
    assert [record["method"] for record in records] == ["grad-cam", "attention", "uniform"]
    assert [record["target"] for record in records] == ["church", None, None]
    for shown, record in zip(overlays, records, strict=True):
        expected = comparison(record["method"])
        assert np.abs(np.array(record["map"]) - expected.grid).max() < 1e-3
        assert shown["caption"] == METHODS[record["method"]].label
        picture_shown = np.asarray(Image.open(shown["image"])).astype(int)
        assert np.abs(picture_shown - laid_over(comparison.view, expected.heatmap, 0.5)).max() <= 4
    for arguments, words in (
        (["magic"], "method must be one of 'attention'"),
        ([" , "], "methods must name one or more"),
        (["attention", "unicorn"], "target must be a class"),
        (["attention", "", 7], "alpha must be a number from 0 to 1; got 7"),
    ):
        with pytest.raises(AppError, match=words):
            client.predict(handle_file(picture), *arguments, api_name="/compare")


def test_models_lists_methods_and_classes(client):
    found = client.predict(api_name="/models")
    assert found["model"] == "bundled compact network"
    assert found["classes"] == list(imagenette.CLASSES)
    assert [method["name"] for method in found["methods"]] == list(METHODS)
    quick = {method["name"]: method["quick"] for method in found["methods"]}
    assert (quick["attention"], quick["occlusion"]) == (True, False)


def test_another_model_answers_where_it_is_named(client, tmp_path):
    picture = tmp_path / "picture.png"
    made_up_picture(300, 200).save(picture)
    found = client.predict("tiny-three", api_name="/models")
    assert found["models"] == ["bundled compact network", "digits", "three-tasks", "tiny-three", "transformer"]
    assert found["model"] == "tiny-three"
    assert found["classes"] == [f"class {i}" for i in range(10)]
    label, _, attention_map = client.predict(handle_file(picture), model="tiny-three", api_name="/explain")
    assert label["label"].startswith("class ")
    before, after, _ = client.predict(handle_file(picture), attention_map, "tiny-three", api_name="/edit")
    confidences = [[entry["confidence"] for entry in each["confidences"]] for each in (before, after)]
    assert confidences[0] == pytest.approx(confidences[1], abs=1e-4)
    _, records = client.predict(handle_file(picture), "grad-cam", "class 4", 1, "tiny-three", api_name="/compare")
    assert records[0]["target"] == "class 4"
    with pytest.raises(AppError, match="nonsense cannot be used: it is neither in the list nor a Hub id"):
        client.predict(handle_file(picture), model="nonsense", api_name="/explain")
    assert client.predict(handle_file(picture), api_name="/explain")[0]["label"] in imagenette.CLASSES


def test_programs_that_know_fewer_parameters_go_on_working(url, tmp_path):
    """Plain HTTP with three values, as before `model` was there, and with the picture alone."""
    picture = tmp_path / "picture.png"
    made_up_picture(300, 200).save(picture)
    path = load.upload(url, picture.read_bytes())
    expected = Explainer.from_pretrained("compact")(picture, view="whole").probabilities
    for more in ([0.5, "whole"], []):
        data = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, *more]}
        body = json.dumps(data).encode()
        event = json.loads(load.post(f"{url}/gradio_api/call/explain", body, "application/json"))["event_id"]
        with urllib.request.urlopen(f"{url}/gradio_api/call/explain/{event}", timeout=60) as answer:
            text = answer.read().decode()
        label = json.loads(text.split("data: ", 1)[1])[0]
        found = {entry["label"]: entry["confidence"] for entry in label["confidences"]}
        assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_a_hundred_validation_pictures(client, validation_pictures):
    right = 0
    for picture, label in validation_pictures:
        right += client.predict(handle_file(picture), api_name="/explain")[0]["label"] == label
    assert len(validation_pictures) == 100
    assert right >= 85


def wait_for_state(url, seconds=150):
    client = Client(url, verbose=False)
    wait_for(lambda: client.predict(api_name="/model")["state"] != "loading", seconds)
    return client, client.predict(api_name="/model")


@pytest.fixture(scope="module")
def resnet152(tmp_path_factory):
    """A Hub folder of layout A, as the reference wrote the published one."""
    torch.manual_seed(0)
    model = AbnForImageClassification(AbnConfig(arch="resnet152", attention_head="A", num_labels=10)).eval()
    return reference_written(tmp_path_factory.mktemp("resnet152"), model)


@pytest.mark.slow
def test_the_hubs_resnet152_takes_over(resnet152, tiny_imagenette, tmp_path):
    picture = tmp_path / "picture.png"
    made_up_picture(200, 200).save(picture)
    repo_id = "yukiharada1228/abn-resnet152-imagenette"
    with (
        hub(resnet152, repo_id) as endpoint,
        app(tmp_path, "--imagenette-root", str(tiny_imagenette), HF_ENDPOINT=endpoint) as (url, log),
    ):
        client, found = wait_for_state(url)
        assert found["model"] == repo_id, found
        assert "ResNet-152, 73.2 M parameters" in found["description"]
        assert found["classes"] == list(imagenette.CLASSES)
        _, records = client.predict(handle_file(picture), "grad-cam", "petrol pump", api_name="/compare")
        assert records[0]["target"] == "gas pump"
        label, _, attention_map = client.predict(handle_file(picture), api_name="/explain")
        assert f"Serving {repo_id}" in log.read_text()
    expected = Explainer.from_pretrained(resnet152)(picture, view="whole")
    assert label["label"] == expected.label
    assert np.abs(np.array(attention_map) - expected.attention_map).max() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "words"),
    [("missing", "404"), ("error", "500"), ("hang", "within 10 s"), ("short", "cut short"), ("cut", "download")],
)
def test_where_the_hub_fails_the_bundled_network_stays(mode, words, tiny_folder, tiny_imagenette, tmp_path):
    with (
        hub(tiny_folder, "someone/abn", mode) as endpoint,
        app(
            tmp_path, "--imagenette-root", str(tiny_imagenette), HF_ENDPOINT=endpoint, ABN_CHECKPOINT="someone/abn"
        ) as (url, log),
    ):
        _, found = wait_for_state(url)
    assert found["model"] == "bundled compact network"
    assert found["wanted"] == "someone/abn"
    assert words in found["reason"], found
    assert "someone/abn is not in use" in log.read_text()


def test_as_many_classes_are_answered_as_are_asked_for(client, tmp_path):
    made_up_picture().save(tmp_path / "picture.png")
    picture = handle_file(tmp_path / "picture.png")
    asked = {"classes": 3, "api_name": "/explain"}
    few, all_of_them = client.predict(picture, **asked)[0], client.predict(picture, api_name="/explain")[0]
    assert few["confidences"] == all_of_them["confidences"][:3]
    found = client.predict(classes=2, api_name="/models")
    assert (found["classes"], found["count"]) == (list(imagenette.CLASSES)[:2], 10)
    with pytest.raises(AppError, match="classes must be a whole number, 1 or more; got 0"):
        client.predict(picture, classes=0, api_name="/explain")
