"""Frames of the camera: the same answer as for the picture, and bad ones named."""

import io
import threading

import numpy as np
import pytest
from helpers import in_threads, made_up_picture
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient
from test_gallery_page import unpacked

from abn import Explainer
from abn.space.server import budgets
from abn.space.server.models import Models
from abn.space.server.serving import Serving
from abn.space.tabs.live import SHOWN, Frames, frame_route


@pytest.fixture(scope="module")
def models():
    return Models(Serving("compact"))


@pytest.fixture(scope="module")
def frames(models):
    return Frames(models)


def frame(picture: Image.Image, **how) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80, **how)
    return out.getvalue()


def test_a_frame_is_explained_as_the_picture_would_be(frames, bundled):
    content = frame(made_up_picture(320, 240))
    answer = frames(content)
    with Image.open(io.BytesIO(content)) as picture:
        expected = Explainer.from_pretrained(bundled)(picture.convert("RGB"), view="whole")
    assert dict(answer["classes"]) == pytest.approx(dict(list(expected.probabilities.items())[:SHOWN]), abs=1e-4)
    assert np.abs(unpacked(answer["map"]) - expected.grid).max() <= expected.grid.max() / 500 + 1e-4
    assert answer["map"]["size"] == [320, 240]
    assert answer["milliseconds"] > 0
    assert frames(content, "", "ja")["model"] == "同梱の小型ネットワーク"


@pytest.mark.parametrize(
    ("content", "model", "words"),
    [
        (b"", "", "a frame must be a JPEG"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 100, "", "a frame must be a JPEG"),
        (frame(made_up_picture(), progressive=True), "", "a frame must be a baseline JPEG"),
        (b"\xff\xd8" + b"!" * 100, "", "a frame must be a baseline JPEG"),
        (frame(made_up_picture())[:900], "", "the picture is damaged and cannot be read"),
        (frame(Image.new("RGB", (2500, 2000))), "", "4,000,000 pixels at most"),
        (frame(made_up_picture()), "nonsense", "nonsense cannot be used: it is not in memory"),
    ],
)
def test_a_bad_frame_is_named(frames, content, model, words):
    assert words in frames(content, model)["error"]


def test_who_would_wait_too_long_is_told(frames, monkeypatch):
    monkeypatch.setattr("abn.space.tabs.live.PATIENCE", 0.05)
    content = frame(made_up_picture())
    with frames._turn:
        assert frames(content)["error"] == "Many cameras are on; trying again …"
    assert "classes" in frames(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "_room", threading.Semaphore(0))
        assert frames(content, "", "ja")["error"].startswith("多くのカメラ")


def test_visitors_take_turns(frames):
    contents = [frame(made_up_picture(200, 150, seed=seed)) for seed in range(4)]
    alone = [frames(content)["classes"] for content in contents]
    found = {}
    in_threads(lambda index: found.__setitem__(index, frames(contents[index])["classes"]), 4)
    assert [found[index] for index in range(4)] == alone


def test_a_frame_is_one_request_and_its_seconds_are_the_visitors(models, frames, monkeypatch):
    spent = {}
    monkeypatch.setattr(budgets.SECONDS, "spend", lambda visitor, amount: spent.__setitem__(visitor, amount))
    client = TestClient(Starlette(routes=[frame_route(models)]), client=("192.0.2.7", 1))
    content = frame(made_up_picture(320, 240))
    answer = client.post("/gradio_api/abn/frame?language=ja&model=compact", content=content)
    assert answer.status_code == 200
    assert answer.json()["classes"] == frames(content)["classes"]
    assert answer.json()["model"] == "同梱の小型ネットワーク"
    assert len(answer.content) < 2000
    assert list(spent) == ["192.0.2.7"]
    assert spent["192.0.2.7"] >= answer.json()["milliseconds"] / 1000
    asked = client.post("/gradio_api/abn/frame", content=b"no", headers={"accept-language": "en"})
    assert asked.json() == {"error": "a frame must be a JPEG"}
    asked = client.post("/gradio_api/abn/frame?model=nonsense&language=en", content=content)
    assert asked.json()["error"].startswith("nonsense cannot be used")
    assert client.get("/gradio_api/abn/frame").status_code == 405
