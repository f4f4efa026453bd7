"""The page's scripts, styles and words: files of their own, served under a name made of their content."""

import ast
import gzip
import json
import re

import pytest
from helpers import ROOT
from starlette.applications import Starlette
from starlette.testclient import TestClient

from abn.space.page import STYLES, frame
from abn.space.server.examples import Gallery
from abn.space.server.page_files import BASE, FILES, PREFIX, page_routes
from abn.space.server.shares import Shares

SPACE = ROOT / "abn" / "space"
SCRIPT = re.compile(r"addEventListener|querySelector|getElementById|=> \{|document\.")
RULE = re.compile(r"^[.#@:\w][^{}\n]*\{ ?[\w-]+:", re.MULTILINE)
MARKUP = re.compile(r"</?[a-z]+[ >]|innerHTML|insertAdjacentHTML|\.style\.cssText")


@pytest.mark.parametrize("file", sorted(SPACE.rglob("*.py")), ids=lambda file: str(file.relative_to(SPACE)))
def test_python_holds_no_script_and_no_style(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not SCRIPT.search(node.value)
            assert not RULE.search(node.value)


@pytest.mark.parametrize("file", sorted(SPACE.rglob("*.js")), ids=lambda file: str(file.relative_to(SPACE)))
def test_scripts_hold_no_markup(file):
    code = re.sub(r"^\s*(//|\*|/\*).*$", "", file.read_text(), flags=re.MULTILINE)
    assert not MARKUP.search(code)


@pytest.mark.parametrize("file", sorted(SPACE.rglob("*.js")), ids=lambda file: str(file.relative_to(SPACE)))
def test_what_a_script_imports_is_there(file):
    found = re.findall(r"""(?:from|import\()\s*['`]([^'`]+)['`]""", file.read_text())
    for name in found:
        if "${" not in name:
            assert (file.parent / name).is_file(), name


def test_the_page_takes_every_style_once():
    assert sorted([*STYLES, "frame.css"]) == sorted(path.relative_to(SPACE).as_posix() for path in SPACE.rglob("*.css"))


def test_the_frame_holds_no_words():
    words = re.sub(r"<[^>]*>", " ", frame())
    assert set(words.split()) <= {"×", "ABN"}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    gallery, shares = Gallery(folder / "none", may_download=False), Shares(folder / "shares")
    with TestClient(Starlette(routes=page_routes(gallery, shares, lambda language: {"said": language}))) as client:
        client.gallery = gallery
        yield client


def test_files_are_served_packed_and_for_ever(client):
    answer = client.get(f"/{BASE}/page.js")
    assert answer.text == (SPACE / "page.js").read_text()
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    plain = client.get(f"/{BASE}/page.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert int(answer.headers["content-length"]) == len(gzip.compress(plain.content, 9, mtime=0))
    old = client.get(f"{PREFIX}/0123456789ab/page.js")
    assert old.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["page.py", "../page.py", "..%2f..%2fexplanation.py", "nothing.js", "page.html", ""])
def test_nothing_else_is_served(name, client):
    assert client.get(f"/{BASE}/{name}").status_code == 404


def test_the_catalogues_and_the_colours_are_served(client):
    assert client.get(f"/{BASE}/locale/ja.json").json()["tab_compare"] == "比較"
    assert set(client.get(f"/{BASE}/colours.json").json()) >= {"jet", "viridis"}
    assert json.loads(FILES["locale/en.json"])["tab_compare"] == "Compare"


def test_examples_are_served_whole_and_small(client):
    path = client.gallery.by_id("church-drawn").path
    whole = client.get(f"{PREFIX}/example/church-drawn")
    with open(path, "rb") as file:
        assert whole.content == file.read()
    small = client.get(f"{PREFIX}/example/church-drawn?small")
    assert len(small.content) < 8000
    assert client.get(f"{PREFIX}/example/..%2f..%2fetc").status_code == 404
    assert client.get(f"{PREFIX}/share/{'x' * 22}").status_code == 404


def test_the_state_is_said_in_the_language_asked_for(client):
    answer = client.get(f"{PREFIX}/state?language=ja")
    assert answer.json() == {"said": "ja"}
    assert answer.headers["cache-control"] == "no-store"
