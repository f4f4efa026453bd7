"""Frames of the webcam: the same answer as for the picture, and bad ones named."""

import base64
import io
import threading

import numpy as np
import pytest
from helpers import in_threads, made_up_picture
from PIL import Image

from abn import Explainer
from abn.space.server.models import Models
from abn.space.server.serving import Serving
from abn.space.tabs.live import SHOWN, Frames


@pytest.fixture(scope="module")
def frames():
    return Frames(Models(Serving("compact")))


def frame(picture: Image.Image, **how) -> str:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85, **how)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def decoded(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def test_a_frame_is_explained_as_the_picture_would_be(frames, bundled):
    url = frame(made_up_picture(320, 240))
    answer = frames({"frame": url, "model": ""})
    expected = Explainer.from_pretrained(bundled)(decoded(url), view="whole")
    assert dict(answer["classes"]) == pytest.approx(dict(list(expected.probabilities.items())[:SHOWN]), abs=1e-4)
    assert decoded(answer["colours"]).shape == (240, 320, 3)
    assert np.abs(decoded(answer["colours"]).astype(int) - expected.colours()).max() <= 3
    assert answer["milliseconds"] > 0
    assert frames({"frame": url}, "ja")["model"] == "同梱の小型ネットワーク"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "a frame must be a JPEG data URL"),
        ({"frame": 7}, "a frame must be a JPEG data URL"),
        ({"frame": "data:image/png;base64,AAAA"}, "a frame must be a JPEG data URL"),
        ({"frame": "data:image/jpeg;base64," + "A" * 3_000_000}, "at most 2,000,000 characters"),
        (7, "a frame must be a JPEG data URL"),
        ({"frame": frame(made_up_picture(), progressive=True)}, "a frame must be a baseline JPEG"),
        ({"frame": "data:image/jpeg;base64,!!!!"}, "the frame is damaged"),
        ({"frame": frame(made_up_picture())[:900]}, "the frame is damaged"),
        ({"frame": frame(Image.new("RGB", (2500, 2000)))}, "4,000,000 pixels at most"),
        ({"frame": frame(made_up_picture()), "model": "nonsense"}, "nonsense cannot be used: it is not in memory"),
    ],
)
def test_a_bad_frame_is_named(frames, asked, words):
    assert words in frames(asked)["error"]


def test_who_would_wait_too_long_is_told(frames, monkeypatch):
    monkeypatch.setattr("abn.space.tabs.live.PATIENCE", 0.05)
    asked = {"frame": frame(made_up_picture())}
    with frames._turn:
        assert frames(asked)["error"] == "Many cameras are on; trying again …"
    assert "classes" in frames(asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "_room", threading.Semaphore(0))
        assert frames(asked, "ja")["error"].startswith("多くのカメラ")


def test_visitors_take_turns(frames):
    urls = [frame(made_up_picture(200, 150, seed=seed)) for seed in range(4)]
    alone = [frames({"frame": url})["classes"] for url in urls]
    found = {}
    in_threads(lambda index: found.__setitem__(index, frames({"frame": urls[index]})["classes"]), 4)
    assert [found[index] for index in range(4)] == alone
