"""The tools of the MCP server, by the official client: what an assistant gets that follows no progress, and one that
does."""

import asyncio
import base64
import io
import json

import cv2
import load
import numpy as np
import pytest
from helpers import made_up_picture
from PIL import Image

from abn import Explainer, imagenette
from abn.comparison import Comparison
from abn.editing import Editing
from abn.methods import METHODS
from abn.overlay import overlay

mcp = pytest.importorskip("mcp")

from mcp.client.streamable_http import streamablehttp_client  # noqa: E402

FOLLOWED = {"progress followed": True, "progress not followed": False}


@pytest.fixture(scope="module")
def explainer(bundled):
    return Explainer.from_pretrained(bundled, device="cpu")


@pytest.fixture(scope="module")
def picture():
    return made_up_picture(300, 200)


@pytest.fixture(scope="module")
def sent(picture):
    out = io.BytesIO()
    picture.save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def calls(url, *wanted, follow=False):
    """The answers to (tool, arguments), and the tools by name; how much progress was reported."""
    reported = []

    async def progress(*values):
        reported.append(values)

    async def ask():
        async with (
            streamablehttp_client(f"{url}/gradio_api/mcp/") as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            more = {"progress_callback": progress} if follow else {}
            return tools, [await session.call_tool(name, arguments, **more) for name, arguments in wanted]

    tools, answers = asyncio.run(ask())
    return tools, answers, len(reported)


def call(url, tool, arguments, follow=False):
    _, (answer,), reported = calls(url, (tool, arguments), follow=follow)
    assert bool(reported) == follow
    assert not answer.isError, answer.content
    for content in answer.content:
        if content.type == "text":
            assert "/gradio_api/file=" not in content.text  # no path of the server
            assert not content.text.startswith(("(", "{'"))  # no Python
    return answer.content


def pixels(content):
    assert content.type == "image"
    assert content.mimeType == "image/png"
    with Image.open(io.BytesIO(base64.b64decode(content.data))) as opened:
        assert opened.format == "PNG"
        return np.asarray(opened.convert("RGB")).astype(int)


def confidences(classes):
    return {entry["label"]: entry["confidence"] for entry in classes["confidences"]}


@pytest.mark.parametrize("follow", FOLLOWED.values(), ids=FOLLOWED)
def test_explain(url, explainer, picture, sent, follow):
    expected = explainer(picture, view="model")
    sentence, classes, image = call(url, "explain", {"picture": sent, "alpha": 0.5, "view": "model"}, follow)
    assert sentence.text.startswith(
        f"The network answers {expected.label} ({expected.probabilities[expected.label]:.1%})."
    )
    own, share = next(iter(expected.attention_probabilities.items()))
    says = "agrees" if own == expected.label else f"says {own}"
    assert f"Its attention branch {says} ({share:.1%})." in sentence.text
    assert ("probably none of these" in sentence.text) is expected.unfamiliar
    classes = json.loads(classes.text)
    assert classes["label"] == expected.label
    assert confidences(classes) == pytest.approx(expected.probabilities, abs=1e-4)
    assert np.abs(pixels(image) - expected.overlay(0.5)).max() <= 1
    *_, numbers = call(url, "explain", {"picture": sent, "view": "model", "numbers": True}, follow)
    assert np.abs(np.array(json.loads(numbers.text)["attention_map"]) - expected.attention_map).max() < 1e-4


@pytest.mark.parametrize("follow", FOLLOWED.values(), ids=FOLLOWED)
def test_edit(url, explainer, picture, sent, follow):
    editing = Editing(explainer, picture)
    own = editing.explanation
    hidden = np.where(own.attention_map > 0.1, -1, own.attention_map).round(3)
    expected = editing(hidden)
    arguments = {"picture": sent, "attention_map": hidden.tolist(), "numbers": True}
    sentence, classes, image, numbers = call(url, "edit", arguments, follow)
    was, now = own.probabilities[own.label], expected.probabilities[own.label]
    assert sentence.text.startswith(f"Under the edited map {own.label} goes from {was:.1%} to {now:.1%}.")
    classes = json.loads(classes.text)
    assert confidences(classes["own_map"]) == pytest.approx(own.probabilities, abs=1e-4)
    assert confidences(classes["edited_map"]) == pytest.approx(expected.probabilities, abs=1e-3)
    laid = cv2.resize(hidden.clip(0, 1).astype(np.float32), (300, 200), interpolation=cv2.INTER_LINEAR)
    assert np.abs(pixels(image) - overlay(np.asarray(picture), laid)).max() <= 4
    assert np.abs(np.array(json.loads(numbers.text)["attention_map"]) - own.attention_map).max() < 1e-4
    sentence, classes, image = call(url, "edit", {"picture": sent}, follow)
    assert sentence.text == f"Under the model's own map the answer is {own.label} ({was:.1%})."
    assert np.abs(pixels(image) - own.overlay()).max() <= 4


@pytest.mark.parametrize("follow", FOLLOWED.values(), ids=FOLLOWED)
def test_compare(url, explainer, picture, sent, follow):
    comparison = Comparison(explainer, picture, "church")
    names = ["grad-cam", "attention", "uniform"]
    asked = {"picture": sent, "methods": ", ".join(names), "target": "church", "alpha": 0.5}
    sentence, *shown, records = call(url, "compare", asked, follow)
    assert sentence.text.endswith("what each finds in the picture for church.")
    records = json.loads(records.text)["methods"]
    assert [record["method"] for record in records] == names
    assert [record["target"] for record in records] == ["church", None, None]
    assert "map" not in records[0]
    assert len(shown) == 6
    for name, caption, image in zip(names, shown[::2], shown[1::2], strict=True):
        assert caption.text == f"{METHODS[name].label}:"
        expected = overlay(comparison.view, comparison(name).heatmap, 0.5)
        assert np.abs(pixels(image) - expected).max() <= 4
    *_, records = call(url, "compare", {**asked, "numbers": True, "target": 4}, follow)
    record = json.loads(records.text)["methods"][0]
    assert record["target"] == imagenette.CLASSES[4] == "church"
    assert np.abs(np.array(record["map"]) - comparison("grad-cam").grid).max() < 1e-3


@pytest.mark.parametrize("follow", FOLLOWED.values(), ids=FOLLOWED)
def test_models_and_model(url, models_root, follow):
    sentence, found = call(url, "models", {"model": "tiny-three"}, follow)
    assert sentence.text.startswith("tiny-three (ResNet-18 of width 8")
    found = json.loads(found.text)
    assert found["classes"] == [f"class {i}" for i in range(10)]
    assert found["models"] == ["bundled compact network", *sorted(folder.name for folder in models_root.iterdir())]
    sentence, found = call(url, "model", {}, follow)
    assert sentence.text.startswith("bundled compact network (ResNet-18 of width 32")
    assert json.loads(found.text)["state"] == "ready"


def test_what_the_tools_say_of_themselves(url):
    tools, _, _ = calls(url)
    assert set(tools) == {"explain", "edit", "compare", "models", "model"}
    explain = tools["explain"]
    assert explain.description.startswith("Classify a picture and show what the network looked at")
    assert "Gives a sentence, the classes with their confidences, and the picture" in explain.description
    assert list(explain.inputSchema["properties"]) == ["picture", "alpha", "view", "model", "classes", "numbers"]
    assert explain.inputSchema["required"] == ["picture"]
    assert tools["edit"].inputSchema["properties"]["attention_map"]["type"] == "array"


def test_null_is_the_default(url, explainer, picture, sent):
    """What clients send for an argument that their user left out."""
    wanted = (
        ("explain", {"picture": sent, "alpha": None, "view": None, "model": None, "numbers": None}),
        ("edit", {"picture": sent, "attention_map": None, "model": None}),
        ("compare", {"picture": sent, "methods": None, "target": None, "alpha": None, "model": None}),
        ("models", {"model": None}),
    )
    _, answers, _ = calls(url, *wanted)
    assert not any(answer.isError for answer in answers), [answer.content[0] for answer in answers]
    explained, edited, compared, models = (answer.content for answer in answers)
    assert np.abs(pixels(explained[2]) - explainer(picture, view="whole").overlay(1.0)).max() <= 1
    assert edited[0].text.startswith("Under the model's own map")
    assert [r["method"] for r in json.loads(compared[-1].text)["methods"]] == ["attention", "attention-cam", "grad-cam"]
    assert json.loads(models[1].text)["model"] == "bundled compact network"


def test_a_picture_may_be_an_uploaded_files_url_or_path(url, explainer, picture, sent):
    path = load.upload(url, base64.b64decode(sent.partition(",")[2]))
    for given in (path, f"{url}/gradio_api/file={path}"):
        image = call(url, "explain", {"picture": given})[2]
        assert np.abs(pixels(image) - explainer(picture, view="whole").overlay(1.0)).max() <= 1


@pytest.mark.parametrize("follow", FOLLOWED.values(), ids=FOLLOWED)
def test_faults_are_a_sentence(url, sent, follow):
    wanted = {
        "No picture was given": ("explain", {}),
        "not an uploaded file's": ("explain", {"picture": "/etc/passwd"}),
        "The picture's URL cannot be fetched": ("explain", {"picture": "http://127.0.0.1:1/x.png"}),
        "is not base64": ("explain", {"picture": "data:image/png;base64,!!!!"}),
        "picture is not a picture that can be read": ("explain", {"picture": "data:image/png;base64,AAAA"}),
        "got int": ("explain", {"picture": 5}),
        "alpha must be a number from 0 to 1; got 7": ("explain", {"picture": sent, "alpha": 7}),
        "view must be one of": ("explain", {"picture": sent, "view": "half"}),
        'model must be a string; got ["a"]': ("explain", {"picture": sent, "model": ["a"]}),
        "numbers must be a boolean": ("explain", {"picture": sent, "numbers": "yes"}),
        "There is no argument 'colour'": ("explain", {"picture": sent, "colour": "red"}),
        "There is no tool 'paint'": ("paint", {}),
        "target must be a class": ("compare", {"picture": sent, "target": "unicorn"}),
        "target must be a string": ("compare", {"picture": sent, "target": True}),
        "the map must be": ("edit", {"picture": sent, "attention_map": [[1, 2]]}),
        "cannot be used": ("models", {"model": "nonsense"}),
    }
    _, answers, _ = calls(url, *wanted.values(), follow=follow)
    for words, answer in zip(wanted, answers, strict=True):
        assert answer.isError
        (content,) = answer.content
        assert words in content.text
        assert len(content.text) < 300
