"""Fetching from the Hub, over HTTP against a local stand-in that serves well and badly."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub.constants
import pytest
import torch
from hub_stand_in import REPO, endpoint, hub

from abn import Calibration, Explainer
from abn.checkpoints import load_calibration
from abn.hub import HubError, _probe, fetch
from abn.space.faults import in_words


def test_fetches_the_files_and_no_code(tiny_folder, cache, monkeypatch):
    (tiny_folder / "modeling_abn.py").write_text("raise SystemExit('code of the Hub was run')")
    shares = []
    with hub(tiny_folder, REPO) as url:
        endpoint(monkeypatch, url)
        folder = fetch(REPO, report=shares.append)
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    assert (folder / "model.safetensors").read_bytes() == (tiny_folder / "model.safetensors").read_bytes()
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert json.loads((folder / "config.json").read_text())["arch"] == "resnet18"
    assert Explainer.from_pretrained(folder).labels[3] == "class 3"


def test_offline_uses_the_cache_alone(tiny_folder, cache, monkeypatch):
    with hub(tiny_folder, REPO) as url:
        endpoint(monkeypatch, url)
        online = fetch(REPO)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert fetch(REPO) == online
    with pytest.raises(HubError, match="cache"):
        fetch("someone/else")


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("missing", r"404 \(not found\)"),
        ("error", "500"),
        ("hang", "did not answer"),
        ("stall", r"stood still for 1 s at 3\d%"),
    ],
)
def test_says_what_went_wrong_in_time(mode, words, tiny_folder, cache, monkeypatch):
    with hub(tiny_folder, REPO, mode) as url:
        endpoint(monkeypatch, url)
        started = time.monotonic()
        with pytest.raises(HubError, match=words):
            fetch(REPO, deadline=1, idle=1)
    assert time.monotonic() - started < 8


def test_the_token_stays_with_the_hub(tiny_folder, cache, monkeypatch):
    """The Hub redirects to its storage: asking there first must not show it the token."""
    seen = []

    class Storage(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_HEAD(self):
            seen.append(dict(self.headers))
            self.send_response(200)
            self.end_headers()

        do_GET = do_HEAD

    class Hub(Storage):
        def do_HEAD(self):
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{storage.server_port}{self.path}")
            self.end_headers()

    storage, front = (ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (Storage, Hub))
    for server in (storage, front):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("abn.hub.get_token", lambda: "hf_secret")
    _probe(f"http://127.0.0.1:{front.server_port}/file", 5)
    for server in (storage, front):
        server.shutdown()
        server.server_close()
    assert not any("hf_secret" in str(headers) for headers in seen)


def test_a_checkpoint_by_its_id_brings_its_calibration(tiny_folder, cache, monkeypatch):
    Calibration(temperature=0.5, energy_threshold=3.0).save(tiny_folder)
    with hub(tiny_folder, REPO) as url:
        endpoint(monkeypatch, url)
        folder = fetch(REPO)
        assert load_calibration(REPO) == Calibration(temperature=0.5, energy_threshold=3.0)
    assert Explainer.from_pretrained(folder).calibration.temperature == 0.5


def test_a_connection_cut_in_mid_file_is_an_error(tiny_folder, cache, monkeypatch):
    with hub(tiny_folder, REPO, "cut") as url:
        endpoint(monkeypatch, url)
        with pytest.raises(HubError, match=r"failed|stood still"):
            fetch(REPO, deadline=5, idle=3)


def test_files_above_the_limit_are_cut_off(tiny_folder, cache, monkeypatch):
    """Also where the Hub does not tell a size beforehand, and for the files beside the weights."""
    monkeypatch.setattr("abn.hub._probe", lambda *_: None)
    with hub(tiny_folder, REPO) as url:
        endpoint(monkeypatch, url)
        with pytest.raises(HubError, match=r"one of its files is larger than the 0\.0001 GB that are allowed"):
            fetch(REPO, limit=100_000, deadline=5, idle=5)
    (tiny_folder / "metrics.json").write_text(" " * 300_000)
    monkeypatch.setattr("abn.hub.DESCRIPTION", 200_000)
    with hub(tiny_folder, REPO) as url:
        endpoint(monkeypatch, url)
        with pytest.raises(HubError, match=r"one of its files is larger than the 0\.0002 GB"):
            fetch(REPO, limit=10_000_000, deadline=5, idle=5)


def test_nobody_there(cache, monkeypatch):
    endpoint(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(HubError, match="cannot be reached"):
        fetch(REPO)


INVALID = ["hf_expired", "nonsense", "期限切れ"]


@pytest.mark.parametrize("token", INVALID)
def test_a_token_that_the_hub_does_not_know_hides_no_public_checkpoint(token, tiny_folder, cache, monkeypatch):
    Calibration(temperature=0.5).save(tiny_folder)
    monkeypatch.setenv("HF_TOKEN", token)
    with hub(tiny_folder, REPO, token="hf_valid") as url:
        endpoint(monkeypatch, url)
        folder = fetch(REPO, deadline=5)
    assert (folder / "model.safetensors").read_bytes() == (tiny_folder / "model.safetensors").read_bytes()
    assert Explainer.from_pretrained(folder).calibration.temperature == 0.5


@pytest.mark.parametrize("how", ["environment", "argument"])
@pytest.mark.parametrize("token", INVALID)
def test_nor_does_it_from_python(token, how, tiny_folder, cache, monkeypatch):
    Calibration(temperature=0.5).save(tiny_folder)
    given = {"token": token} if how == "argument" else {}
    if how == "environment":
        monkeypatch.setenv("HF_TOKEN", token)
    with hub(tiny_folder, REPO, token="hf_valid") as url:
        endpoint(monkeypatch, url)
        explainer = Explainer.from_pretrained(REPO, device="cpu", **given)
    assert explainer.calibration.temperature == 0.5
    weights = Explainer.from_pretrained(tiny_folder, device="cpu").model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in explainer.model.state_dict().items())


def test_a_token_that_the_hub_knows_opens_a_private_checkpoint(tiny_folder, cache, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_valid")
    with hub(tiny_folder, REPO, token="hf_valid", private=True) as url:
        endpoint(monkeypatch, url)
        assert (fetch(REPO, deadline=5) / "config.json").is_file()
        assert Explainer.from_pretrained(REPO, device="cpu").labels[3] == "class 3"


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("hf_expired", r"the Hub answered 401 \(not found, or private; the token in use is not valid\)$"),
        (None, r"the Hub answered 401 \(not found, or private\)$"),
    ],
)
def test_a_private_checkpoint_stays_private_and_says_so(token, words, tiny_folder, cache, monkeypatch):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        monkeypatch.setattr("abn.hub.get_token", lambda: None)
    with hub(tiny_folder, REPO, token="hf_valid", private=True) as url:
        endpoint(monkeypatch, url)
        with pytest.raises(HubError, match=words) as raised:
            fetch(REPO, deadline=5)
        with pytest.raises(OSError, match=REPO):
            Explainer.from_pretrained(REPO, device="cpu")
    assert in_words(raised.value, "ja") != str(raised.value)


def test_no_token_of_the_space_goes_with_a_visitors_model(tiny_folder, cache, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_valid")
    with hub(tiny_folder, REPO, token="hf_valid", private=True) as url:
        endpoint(monkeypatch, url)
        with pytest.raises(HubError, match="not found, or private"):
            fetch(REPO, deadline=5, token=False)
