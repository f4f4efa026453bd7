"""The very files that would be pushed to a Space, against the Space's rules."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from helpers import ROOT

from abn.space import deploy

COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}  # the Hub's
LARGEST = 10_000_000  # bytes; above it, git there wants LFS or Xet


@pytest.fixture(scope="module")
def space(tmp_path_factory) -> Path:
    """A copy of the pushed files alone."""
    folder = tmp_path_factory.mktemp("space")
    for name in deploy.pushed():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def card(space) -> dict:
    found = re.match(r"---\n(.*?)\n---\n", (space / "README.md").read_text(), re.DOTALL)
    return yaml.safe_load(found[1])


def test_what_is_needed_is_there_and_nothing_else(space):
    names = deploy.pushed()
    needed = {"app.py", "README.md", "requirements.txt", "abn/space/page.py", "abn/weights/compact/model.safetensors"}
    assert needed <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert not tops & {".git", ".venv", "data", "shares", "checkpoint", "outputs"}
    assert not [name for name in names if "__pycache__" in name]


def test_no_file_is_larger_than_git_there_takes(space):
    sizes = {file: file.stat().st_size for file in space.rglob("*") if file.is_file()}
    assert [file for file, size in sizes.items() if size > LARGEST] == []


def test_the_front_matter_is_valid(space, card):
    assert card["sdk"] == "gradio"
    assert (space / card["app_file"]).is_file()
    assert card["colorFrom"] in COLOURS
    assert card["colorTo"] in COLOURS
    assert len(card["short_description"]) <= 60
    assert card["license"] == "mit"
    assert re.fullmatch(r"3\.(11|12|13)(\.\d+)?", card["python_version"])
    assert isinstance(card["python_version"], str)
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", name) for name in [*card["models"], *card["datasets"]])
    for line in card["preload_from_hub"]:
        repo, files = line.split(" ")
        assert repo in card["models"]
        assert files.split(",") == ["config.json", "model.safetensors"]


def test_the_gradio_of_the_card_is_one_that_the_requirements_allow(space, card):
    from packaging.requirements import Requirement

    lines = (space / "requirements.txt").read_text().splitlines()
    wanted = {found.name: found.specifier for found in map(Requirement, filter(None, lines))}
    assert wanted["gradio"].contains(card["sdk_version"])
    assert wanted["gradio"].contains(version("gradio"))


@pytest.mark.parametrize("present", [False, True])
def test_the_app_imports_with_spaces_and_without(present, space, tmp_path):
    """`spaces` is on ZeroGPU machines alone; a stand-in says whether it came before PyTorch."""
    (tmp_path / "spaces.py").write_text(
        "import sys\nbefore_torch = 'torch' not in sys.modules\n"
        "def GPU(function=None, duration=60):\n"
        "    return function or (lambda wrapped: wrapped)\n"
        if present
        else "raise ImportError('no spaces here')\n"
    )
    code = (
        "import json, sys; import app; spaces = sys.modules.get('spaces')\n"
        "from pathlib import Path; import abn\n"
        "print(json.dumps([Path(abn.__file__).parts[-3], getattr(spaces, 'before_torch', None)]))"
    )
    surroundings = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run([sys.executable, "-c", code], cwd=space, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [space.name, True if present else None]


def test_push_uploads_those_files(space, monkeypatch):
    """Against a Hub that writes down what it is asked."""
    asked = []

    class Hub(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, body))
            answer = b'{"error": "no right to write"}'
            if self.path == "/api/repos/create":
                url = f"http://127.0.0.1:{server.server_port}/spaces/you/abn"
                answer = json.dumps({"url": url, "name": "you/abn"}).encode()
            elif "/preupload/" in self.path:
                files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in names(body)]
                answer = json.dumps({"files": files}).encode()
            self.send_response(403 if "/commit/" in self.path else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def names(body):
        return json.loads(body)["files"]

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = f"from pathlib import Path; from abn.space import deploy; deploy.push('you/abn', root=Path({str(space)!r}))"
    surroundings = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_TOKEN": "hf_x"}
    surroundings.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=surroundings, capture_output=True, text=True)
    server.shutdown()
    server.server_close()
    uploaded = {file["path"] for path, body in asked if "/preupload/" in path for file in names(body)}
    assert uploaded == set(deploy.pushed()), done.stderr[-2000:]
    assert "403" in done.stderr
    create = json.loads(next(body for path, body in asked if path == "/api/repos/create"))
    assert (create["type"], create["sdk"]) == ("space", "gradio")
