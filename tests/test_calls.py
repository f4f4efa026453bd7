"""What programs send: nulls, pictures in every form, sixty of the same at once."""

import base64
import http.client
import io
import json
import shutil
import subprocess
import sys
import urllib.parse
from pathlib import Path

import load
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from helpers import ROOT, in_threads, made_up_picture
from PIL import Image

from abn import Explainer, imagenette
from abn.data_urls import decoded

META = {"_type": "gradio.FileData"}


@pytest.fixture(scope="module")
def explainer(bundled):
    return Explainer.from_pretrained(bundled, device="cpu")


@pytest.fixture(scope="module")
def expected(explainer):
    return explainer(picture(), view="whole")


def picture():
    return made_up_picture(120, 90, seed=4)


def encoded(kind="PNG", of=None):
    out = io.BytesIO()
    (of or picture()).save(out, kind)
    return out.getvalue()


def ask(url, endpoint, data, source=("127.0.0.1", 0)):
    """The answer's outputs, or its error's words; over plain HTTP, from an address of one's own."""
    event = json.loads(request(url, "POST", f"/gradio_api/call/{endpoint}", {"data": data}, source))["event_id"]
    text = request(url, "GET", f"/gradio_api/call/{endpoint}/{event}", None, source).decode()
    kind, content = text.strip().split("\n")[-2:]
    content = json.loads(content.removeprefix("data: "))
    return content if kind == "event: complete" else content["error"]


def request(url, method, path, body, source):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120, source_address=source)
    headers = {"Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status == 200, (answer.status, content[:200])
    return content


def shares(output):
    return {entry["label"]: entry["confidence"] for entry in output["confidences"]}


# Null


def test_null_is_the_default_over_http(url, expected):
    path = load.upload(url, encoded())
    for data in ([path, None], [path, None, None], [path, None, None, None], [path, 1.0, None, None]):
        label, overlay, attention_map = ask(url, "explain", data)
        assert shares(label) == pytest.approx(expected.probabilities, abs=1e-4)
        assert np.abs(np.array(attention_map) - expected.attention_map).max() < 1e-4
        shown = np.asarray(Image.open(overlay["path"])).astype(int)
        assert np.abs(shown - expected.overlay(1.0)).max() <= 1
    before, after, _ = ask(url, "edit", [path, None, None])
    assert shares(before) == pytest.approx(expected.probabilities, abs=1e-4)
    assert shares(after) == pytest.approx(expected.probabilities, abs=1e-4)
    _, records = ask(url, "compare", [path, None, None, None, None])
    assert [record["method"] for record in records] == ["attention", "attention-cam", "grad-cam"]
    assert records[2]["target"] == expected.label
    assert ask(url, "models", [None])[0]["model"] == "bundled compact network"
    assert ask(url, "explain", [None, None]) == "No picture was given. Pass one as the first argument."


def test_null_is_the_default_for_the_python_client(url, expected, tmp_path):
    (tmp_path / "picture.png").write_bytes(encoded())
    client, sent = Client(url, verbose=False), handle_file(tmp_path / "picture.png")
    label, _, _ = client.predict(sent, None, view=None, model=None, api_name="/explain")
    assert shares(label) == pytest.approx(expected.probabilities, abs=1e-4)
    _, records = client.predict(sent, methods="grad-cam", target=None, alpha=None, api_name="/compare")
    assert records[0]["target"] == expected.label
    _, after, _ = client.predict(sent, attention_map=None, model=None, api_name="/edit")
    assert shares(after) == pytest.approx(expected.probabilities, abs=1e-4)
    assert client.predict(None, api_name="/models")["model"] == "bundled compact network"


JAVASCRIPT = """
import { Client, handle_file } from "@gradio/client";
import { readFile } from "node:fs/promises";
const [url, file] = process.argv.slice(2);
const client = await Client.connect(url);
const picture = new Blob([await readFile(file)], { type: "image/png" });
const found = {};
for (const [name, endpoint, values] of [
  ["explain", "/explain", [picture]],
  ["by name", "/explain", { picture }],
  ["nulls", "/explain", [picture, null, null, null]],
  ["undefined", "/explain", { picture, alpha: undefined, view: null }],
  ["edit", "/edit", [picture]],
  ["compare", "/compare", [picture]],
  ["compare an index", "/compare", [picture, "grad-cam", 4]],
  ["models", "/models", []],
  ["model", "/model", []],
]) {
  try { found[name] = (await client.predict(endpoint, values)).data; }
  catch (error) { found[name] = { error: error.message ?? String(error) }; }
}
console.log(JSON.stringify(found));
process.exit(0);
"""


@pytest.fixture(scope="session")
def javascript(tmp_path_factory):
    """A folder with the client that npm gives, as it is."""
    folder = tmp_path_factory.mktemp("javascript")
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("no Node.js with npm here")
    (folder / "package.json").write_text('{"type": "module"}')
    command = [npm, "install", "--no-audit", "--no-fund", "--cache", str(folder / "cache"), "@gradio/client"]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=120)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npm cannot fetch @gradio/client here")
    (folder / "ask.js").write_text(JAVASCRIPT)
    return folder


@pytest.mark.slow
def test_the_javascript_client_as_it_is(javascript, url, expected, tmp_path):
    (tmp_path / "picture.png").write_bytes(encoded())
    command = ["node", "ask.js", url, str(tmp_path / "picture.png")]
    ran = subprocess.run(command, cwd=javascript, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(ran.stdout)
    for name in ("explain", "by name", "nulls", "undefined"):
        assert "error" not in found[name], (name, found[name])
        label, overlay, attention_map = found[name]
        assert shares(label) == pytest.approx(expected.probabilities, abs=1e-4)
        assert np.abs(np.array(attention_map) - expected.attention_map).max() < 1e-4
        content = request(url, "GET", overlay["url"].removeprefix(url), None, None)
        shown = np.asarray(Image.open(io.BytesIO(content))).astype(int)
        assert np.abs(shown - expected.overlay(1.0)).max() <= 1
    assert shares(found["edit"][1]) == pytest.approx(expected.probabilities, abs=1e-4)
    assert [record["method"] for record in found["compare"][1]] == ["attention", "attention-cam", "grad-cam"]
    assert found["compare an index"][1][0]["target"] == imagenette.CLASSES[4]
    assert found["models"][0]["classes"] == list(imagenette.CLASSES)
    assert found["model"][0]["state"] == "ready"


# The class to explain


@pytest.mark.parametrize("target", [0, 7, "7", " 7 ", "gas pump", "petrol pump"])
def test_compare_takes_a_class_by_name_or_index(url, target):
    _, records = ask(url, "compare", [load.upload(url, encoded()), "grad-cam", target])
    assert records[0]["target"] == ("tench" if target == 0 else "gas pump")


@pytest.mark.parametrize("target", [10, -1, "-1", "10", 7.5, True, "unicorn", "1e1", "٧"])
def test_compare_names_what_is_no_class(url, target):
    words = ask(url, "compare", [load.upload(url, encoded()), "grad-cam", target])
    assert words.startswith("target must be a class or its index; got ")
    assert "'gas pump'" in words


# Pictures


BASE64 = base64.b64encode(encoded()).decode()
LINES = "\r\n".join(BASE64[start : start + 76] for start in range(0, len(BASE64), 76))
URL_SAFE = base64.urlsafe_b64encode(encoded()).decode()
AS_DATA = {
    "plain": "data:image/png;base64," + BASE64,
    "lines": "data:image/png;base64,\n" + LINES,
    "URL-safe": "data:image/png;base64," + URL_SAFE,
    "unpadded": "data:image/png;base64," + BASE64.rstrip("="),
    "URL-safe and unpadded": "data:image/png;base64," + URL_SAFE.rstrip("="),
    "percent-encoded base64": "data:image/png;base64," + urllib.parse.quote(BASE64, safe=""),
    "percent-encoded bytes": "data:image/png," + urllib.parse.quote_from_bytes(encoded()),
    "upper case": "DATA:IMAGE/PNG;BASE64," + BASE64,
    "parameters": 'data:image/png;name="a;b.png";charset=utf-8;base64,' + BASE64,
    "no media type": "data:;base64," + BASE64,
    "another media type": "data:image/x-png;base64," + BASE64,
    "octets": "data:application/octet-stream;base64," + BASE64,
    "white space around": "  data:image/png;base64," + BASE64 + "\n",
    "WebP": "data:image/webp;base64," + base64.b64encode(encoded("WEBP")).decode(),
    "BMP": "data:image/bmp;base64," + base64.b64encode(encoded("BMP")).decode(),
    "GIF": "data:image/gif;base64," + base64.b64encode(encoded("GIF")).decode(),
    "TIFF": "data:image/tiff;base64," + base64.b64encode(encoded("TIFF")).decode(),
}
WAYS = {
    "bare": lambda sent: sent,
    "path": lambda sent: {"path": sent, "meta": META},
    "url": lambda sent: {"url": sent, "meta": META},
    "path without meta": lambda sent: {"path": sent},
    "url beside an empty path": lambda sent: {"path": "", "url": sent, "orig_name": "a.png", "meta": META},
    "url beside no path": lambda sent: {"path": None, "url": sent, "meta": META},
}


def sent(name: str, way: str):
    """Each form in one way, and three forms in each; the rest only where asked for."""
    few = way == "bare" or name in ("plain", "URL-safe and unpadded", "WebP")
    return pytest.param(name, way, marks=() if few else pytest.mark.slow)


@pytest.mark.parametrize(("name", "way"), [sent(name, way) for name in AS_DATA for way in WAYS])
def test_data_urls_of_every_form_are_taken(url, explainer, name, way):
    output = ask(url, "explain", [WAYS[way](AS_DATA[name])])
    with Image.open(io.BytesIO(decoded(AS_DATA[name].strip()))) as opened:
        expected = explainer(opened, view="whole")
    assert not isinstance(output, str), output
    assert shares(output[0]) == pytest.approx(expected.probabilities, abs=1e-4)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 786_431, 786_432, 786_433, 3_000_000])
def test_a_data_url_of_any_length_holds_its_bytes(size):
    """It is decoded in pieces of 2**20 letters, 786,432 bytes."""
    content = np.random.default_rng(size).bytes(size)
    letters = base64.b64encode(content).decode()
    lines = "\r\n".join(letters[at : at + 76] for at in range(0, len(letters), 76))
    for sent in (letters, letters.rstrip("="), lines, base64.urlsafe_b64encode(content).decode()):
        assert decoded("data:image/png;base64," + sent) == content


@pytest.mark.parametrize("place", [1_048_575, 500, 2_000_000])
def test_padding_in_the_middle_is_no_base64(place):
    letters = base64.b64encode(bytes(3_000_000)).decode()
    with pytest.raises(ValueError, match="is not base64"):
        decoded(f"data:image/png;base64,{letters[:place]}={letters[place + 1 :]}")


@pytest.mark.parametrize("way", ["bare", "path", "path without meta"])
def test_an_uploaded_files_path_or_url_is_taken(url, expected, way):
    path = load.upload(url, encoded())
    for sent in (path, f"{url}/gradio_api/file={path}"):
        assert shares(ask(url, "explain", [WAYS[way](sent)])[0]) == pytest.approx(expected.probabilities, abs=1e-4)


PRIVATE = "The picture's URL cannot be fetched: only http and https addresses of the public internet are asked."
REFUSED = {
    "no base64": ("data:image/png;base64,%%%", "The picture's data URL is not base64."),
    "one character too many": ("data:image/png;base64," + "A" * 5, "The picture's data URL is not base64."),
    "no comma": ("data:image/png;base64", "The picture's data URL has no comma before its data."),
    "no picture": ("data:image/png;base64,AAAA", "is not a picture that can be read"),
    "nothing in it": ("data:,", "is not a picture that can be read"),
    "bare base64": (BASE64, "not an uploaded file's"),
    "bare base64 of a JPEG": ("/9j/4AAQSkZJRgABAQ", "not an uploaded file's"),
    "a name": ("picture.png", "not an uploaded file's"),
    "a null character": ("a\0b", "not an uploaded file's"),
    "a file of the server": ("/etc/passwd", "not an uploaded file's"),
    "a file beside it": ("app.py", "not an uploaded file's"),
    "a file URL": ("file:///etc/passwd", "not an uploaded file's"),
    "the way out of the cache": ("{cache}/../../../../../etc/passwd", "not an uploaded file's"),
    "by the server's own URL": ("http://somewhere/gradio_api/file=/etc/passwd", "not an uploaded file's"),
    "a neighbour": ("http://127.0.0.1:1/x.png", PRIVATE),
    "a neighbour by name": ("http://localhost:1/x.png", PRIVATE),
    "the cloud's own": ("http://169.254.169.254/latest/meta-data", PRIVATE),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", REFUSED)
def test_other_pictures_are_refused_in_a_sentence(running_app, name, way):
    url, log = running_app
    so_far = len(log.read_text())
    sent, words = REFUSED[name]
    cache = Path(load.upload(url, b"x")).parents[1]
    found = ask(url, "explain", [WAYS[way](sent.replace("{cache}", str(cache)))])
    assert isinstance(found, str)
    assert words in found
    assert len(found) < 250
    assert "Traceback" not in log.read_text()[so_far:]


@pytest.mark.parametrize("sent", [7, True, ["a.png"], {"path": 7}, {"url": ["x"]}], ids=repr)
def test_what_is_no_picture_at_all_is_refused_in_a_sentence(url, sent):
    words = ask(url, "explain", [sent])
    assert words.startswith("The picture must be an uploaded file's path or a data URL (data:image/png;base64,…); got ")


@pytest.mark.parametrize("sent", ["", {}, {"path": ""}, {"path": None, "meta": META}, None], ids=repr)
def test_an_empty_picture_is_none(url, sent):
    assert ask(url, "explain", [sent]) == "No picture was given. Pass one as the first argument."


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_beside_the_cache_is_not_read(url, tmp_path, way):
    """Also without `meta`, where Gradio does not look at a path."""
    (tmp_path / "secret.png").write_bytes(encoded())
    (tmp_path / "way-out.png").symlink_to(tmp_path / "secret.png")
    for name in ("secret.png", "way-out.png"):
        assert "not an uploaded file's" in ask(url, "explain", [WAYS[way](str(tmp_path / name))])


@pytest.mark.parametrize("name", ["explain", "edit", "compare", "share"])
def test_the_pages_own_questions_read_no_other_file(name, url, tmp_path):
    (tmp_path / "secret.png").write_bytes(encoded())
    for path in (tmp_path / "secret.png", ROOT / "docs" / "space.png"):
        answer = ask(url, f"page_{name}", [{"picture": {"upload": str(path)}, "language": "en"}])[0]
        assert answer["gone"] is True
        assert answer["error"] == "The picture is gone; please upload it again."


# Many at once


def test_sixty_calls_with_one_picture_get_sixty_right_answers(url, bundled):
    """Each from an address of its own, as a data URL or uploaded; the picture takes a while to write and to read."""
    noise = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    content = encoded(of=Image.fromarray(noise))
    expected = Explainer.from_pretrained(bundled, device="cpu")(noise, view="whole")
    data = "data:image/png;base64," + base64.b64encode(content).decode()
    found = {}

    def one(number):
        source = (f"127.0.{1 + number // 30}.{1 + number % 30}" if sys.platform == "linux" else "127.0.0.1", 0)
        sent = data if number % 3 else load.upload(url, content)
        label, overlay, _ = ask(url, "explain", [sent], source)
        shown = request(url, "GET", overlay["url"].removeprefix(url), None, source)
        found[number] = shares(label), np.asarray(Image.open(io.BytesIO(shown)).convert("RGB")).astype(int)

    in_threads(one, 60)
    assert len(found) == 60
    for answer, shown in found.values():
        assert answer == pytest.approx(expected.probabilities, abs=1e-3)
        assert np.abs(shown - expected.overlay(1.0)).max() <= 4


def test_a_bad_call_says_so_to_the_python_client(url, tmp_path):
    (tmp_path / "picture.png").write_bytes(b"")
    with pytest.raises(AppError, match="is not a picture that can be read"):
        Client(url, verbose=False).predict(handle_file(tmp_path / "picture.png"), None, api_name="/explain")
