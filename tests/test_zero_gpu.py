"""ZeroGPU with the real package `spaces`: loans that come, wait, fail and die, and what is answered then."""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from device_api_stand_in import device_api
from gradio_client import Client, handle_file
from helpers import made_up_picture, tiny_model
from PIL import Image
from server import ROOT, started

from abn import AbnImageProcessor, Explainer
from abn.comparison import Comparison
from abn.space.server.zero_gpu import PICTURE

spaces = pytest.importorskip("spaces")
PATIENT = {"timeout": 60.0}  # seconds; a dozen clients at once on a busy machine


@pytest.fixture(scope="module")
def lender(tmp_path_factory):
    """A Space on ZeroGPU that serves a tiny network; gives (DeviceApi, url, log file, picture, explainer)."""
    tmp = tmp_path_factory.mktemp("zero-gpu")
    tiny_model().save_pretrained(tmp / "tiny")
    AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(tmp / "tiny")
    made_up_picture(120, 90).save(tmp / "picture.png")
    with device_api() as (api, device_url):
        environment = {
            "SPACES_ZERO_GPU": "true",
            "SPACES_ZERO_DEVICE_API_URL": device_url,
            "ZEROGPU_OFFLOAD_DIR": str(tmp / "packed"),
            "HOME": str(tmp),
            "OMP_NUM_THREADS": "1",
        }
        arguments = ["--checkpoint", str(tmp / "tiny"), "--imagenette-root", str(tmp / "none")]
        program = str(ROOT / "tests" / "zero_gpu_app.py")
        with started(tmp, *arguments, program=program, **environment) as (_, url, log):
            assert api.started == 1
            explainer = Explainer.from_pretrained(tmp / "tiny", device="cpu")
            yield api, url, log, tmp / "picture.png", explainer


@pytest.fixture
def loans(lender, tmp_path):
    """(DeviceApi, client, picture, explainer); the API lends again afterwards."""
    api, url, _, picture, explainer = lender
    api.reset()
    yield api, Client(url, verbose=False, download_files=tmp_path, httpx_kwargs=PATIENT), picture, explainer
    api.reset()


def explained(client, picture):
    label, overlay, attention_map = client.predict(handle_file(picture), 1.0, "whole", api_name="/explain")
    scores = {one["label"]: one["confidence"] for one in label["confidences"]}
    with Image.open(overlay) as opened:
        return scores, np.asarray(opened), np.array(attention_map)


def agrees(answer, explainer, picture) -> bool:
    """Whether an answer is what the network says of the picture, as far as float32 goes."""
    scores, overlay, attention_map = answer
    expected = explainer(picture, view="whole")
    return (
        all(abs(scores[name] - value) < 1e-4 for name, value in expected.probabilities.items())
        and np.abs(attention_map - expected.attention_map).max() < 1e-4
        and np.abs(overlay.astype(int) - expected.overlay(1.0)).max() <= 2
    )


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_picture_is_explained_on_loan(loans):
    api, client, picture, explainer = loans
    assert agrees(explained(client, picture), explainer, picture)
    (asked,) = api.scheduled
    assert int(asked["durationSeconds"]) == PICTURE  # times 1.5 on the present cards, of which this machine has none
    assert list(api.released.values()) == ["false"]
    assert set(api.allowed) == set(api.released)


def test_who_waits_is_lent_to_in_the_end(loans):
    api, client, picture, explainer = loans
    api.reset("waits")
    assert agrees(explained(client, picture), explainer, picture)
    assert len(api.allowed) == len(api.released) == 1


@pytest.mark.parametrize("mode", ["quota", "too long", "none free", "waits in vain", "broken", "killed"])
def test_a_loan_refused_is_no_answer_refused(mode, loans, lender):
    api, client, picture, explainer = loans
    api.reset(mode)
    assert agrees(explained(client, picture), explainer, picture)
    assert len(api.scheduled) == 1
    assert (len(api.allowed) == 1) == (mode == "killed")
    assert "The CPU answers." in lender[2].read_text().splitlines()[-1] or mode == "killed"


def test_twelve_at_once(loans, lender, tmp_path):
    api, _, _, explainer = loans
    pictures = [tmp_path / f"{number}.png" for number in range(12)]
    clients = []
    for number, picture in enumerate(pictures):
        made_up_picture(120, 90, seed=number).save(picture)
        where = tmp_path / str(number)
        clients.append(Client(lender[1], verbose=False, download_files=where, httpx_kwargs=PATIENT))
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(explained, clients, pictures))
    assert all(agrees(one, explainer, picture) for one, picture in zip(answers, pictures, strict=True))
    assert not agrees(answers[0], explainer, pictures[1])
    assert len(api.scheduled) == len(api.allowed) == 12
    wait_for(lambda: len(api.released) == 12)
    assert set(api.released.values()) == {"false"}


def test_an_answer_larger_than_a_pipe(loans, tmp_path):
    api, client, _, explainer = loans
    large = tmp_path / "large.png"
    made_up_picture(1024, 900).save(large)  # its view and heatmap are 6 MB; a pipe holds 64 kB
    assert agrees(explained(client, large), explainer, large)
    assert len(api.allowed) == 1


def test_who_leaves_stops_waiting(loans, lender):
    api, client, picture, _ = loans
    api.reset("waits for ever")
    _, url, log, *_ = lender
    where = urlsplit(url)
    said_before = log.read_text().count("The CPU answers.")
    data = {"path": upload(where, picture), "meta": {"_type": "gradio.FileData"}}
    ask = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    ask.request(
        "POST",
        "/gradio_api/call/explain",
        json.dumps({"data": [data, 1.0, "whole"]}),
        {"Content-Type": "application/json"},
    )
    event = json.loads(ask.getresponse().read())["event_id"]
    listen = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    listen.request("GET", f"/gradio_api/call/explain/{event}")
    wait_for(lambda: api.scheduled)
    listen.close()
    assert api.gone.wait(40)
    assert not api.allowed
    api.reset()
    explained(client, picture)  # whatever followed is in the log by now
    assert log.read_text().count("The CPU answers.") == said_before


def upload(where, path) -> str:
    boundary = "abn"
    body = b'--abn\r\nContent-Disposition: form-data; name="files"; filename="p.png"\r\n\r\n'
    with open(path, "rb") as file:
        body += file.read() + b"\r\n--abn--\r\n"
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    connection.request("POST", "/gradio_api/upload", body, headers)
    return json.loads(connection.getresponse().read())[0]


@pytest.mark.parametrize("mode", ["lent", "quota", "killed"])
def test_slow_methods_borrow_too(mode, loans):
    api, client, picture, explainer = loans
    api.reset(mode)
    _, records = client.predict(
        handle_file(picture), "occlusion, grad-cam, score-cam", "class 3", 1.0, api_name="/compare"
    )
    assert [one["method"] for one in records] == ["occlusion", "grad-cam", "score-cam"]
    comparison = Comparison(explainer, picture, "class 3")
    for one in records:
        assert np.abs(np.array(one["map"]) - comparison(one["method"]).grid).max() < 1e-3
        assert one["target"] == "class 3"
        assert "masks" not in one
    assert len(api.scheduled) == 1  # one loan for both
    assert int(api.scheduled[0]["durationSeconds"]) >= PICTURE
    assert len(api.allowed) == (0 if mode == "quota" else 1)


def test_what_needs_no_loan_takes_none(loans):
    api, client, picture, _ = loans
    client.predict(handle_file(picture), "attention, grad-cam", "", 1.0, api_name="/compare")
    client.predict(handle_file(picture), 1.0, "whole", "compact", api_name="/explain")
    client.predict(handle_file(picture), None, api_name="/edit")
    assert api.scheduled == []
    assert re.search(r"on the GPU$", client.predict(api_name="/model")["description"])


DRIVER = """
import contextlib, ctypes, sys
from concurrent.futures import ThreadPoolExecutor
import spaces
import numpy as np
import torch
from helpers import made_up_picture
from abn import Explainer
from abn.comparison import Comparison
from abn.editing import Editing
import abn.space.server.lending
from transformers import ViTConfig, ViTForImageClassification

def mark(name):
    with contextlib.suppress(OSError):
        ctypes.CDLL(name)

lent, on_cpu = Explainer.from_pretrained(sys.argv[1]), Explainer.from_pretrained(sys.argv[1], device="cpu")
assert str(lent.device) == "cuda" and str(on_cpu.device) == "cpu"
shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
vit = ViTForImageClassification(ViTConfig(image_size=64, patch_size=16, num_labels=10, **shape)).eval()
def work():
    picture = made_up_picture(64, 64)
    for explainer in (on_cpu, Explainer(vit, on_cpu.processor, device="cpu")):
        explainer([picture] * 3, view="whole")
        comparison = Comparison(explainer, picture)
        for method in list(explainer.methods)[:12]:
            comparison.curves(comparison(method))
    editing = Editing(on_cpu, picture)
    editing(np.zeros_like(editing.explanation.attention_map))

mark("abn-mark-begin")
with ThreadPoolExecutor(1) as pool:  # as the server does: the patches' modes are the main thread's own
    pool.submit(work).result()
mark("abn-mark-end")
torch._C._cuda_getDeviceCount() if hasattr(torch._C, "_cuda_getDeviceCount") else None
"""


@pytest.mark.slow
def test_nothing_in_the_patched_process_looks_for_the_driver(tmp_path):
    """Whoever touches CUDA's runtime before a fork spoils every worker that is forked later. The loader says what a
    process looks for (LD_DEBUG of ld.so)."""
    tiny_model().save_pretrained(tmp_path / "tiny")
    AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(
        tmp_path / "tiny"
    )
    surroundings = {
        **os.environ,
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": "http://127.0.0.1:9",
        "LD_DEBUG": "libs",
        "LD_DEBUG_OUTPUT": str(tmp_path / "loader"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    process = subprocess.Popen([sys.executable, "-c", DRIVER, tmp_path / "tiny"], env=surroundings, cwd=ROOT)
    assert process.wait(120) == 0
    said = (tmp_path / f"loader.{process.pid}").read_text()  # what it forked writes there, too
    looked = re.findall(rf"^ *{process.pid}:\s+find library=(\S+)", said, re.MULTILINE)
    begin, end = looked.index("abn-mark-begin"), looked.index("abn-mark-end")
    driver = re.compile(r"libcuda\.so|libnvidia-ml")
    assert [name for name in looked[begin:end] if driver.match(name)] == []
    if torch.version.cuda:  # asked for at last, it is looked for: the test would have seen it
        assert [name for name in looked[end:] if driver.match(name)]


@pytest.mark.browser
def test_the_page_says_that_the_cpu_answered_and_shows_no_fault(lender):
    from page import chromium  # without Playwright this test alone is skipped

    api, url, *_ = lender
    api.reset("quota")
    with chromium() as browser:
        page = browser.new_page(locale="en-GB")
        page.goto(url)
        page.wait_for_selector("[data-abn][data-ready]", timeout=60000)
        page.wait_for_function(
            "() => document.querySelector('[data-small]').textContent.includes('answered on the CPU')"
        )
        small = page.text_content("[data-small]")
        faults = page.is_visible("[data-toast]") or page.locator(".toast-body.error").count() > 0
    api.reset()
    assert small.endswith(" · answered on the CPU: today's GPU time is used up")
    assert "on the CPU ·" in small
    assert not faults
