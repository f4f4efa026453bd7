"""The page's scripts and styles: files, not strings in Python."""

import ast
import re

import pytest
from helpers import ROOT

from abn.space.page import STYLES, launch_settings
from abn.space.server.shares import Shares

SPACE = ROOT / "abn" / "space"
SCRIPT = re.compile(r"addEventListener|querySelector|getElementById|=> \{|document\.")
RULE = re.compile(r"^[.#@:\w][^{}\n]*\{ ?[\w-]+:", re.MULTILINE)


@pytest.mark.parametrize("file", sorted(SPACE.rglob("*.py")), ids=lambda file: str(file.relative_to(SPACE)))
def test_python_holds_no_script_and_no_style(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not SCRIPT.search(node.value)
            assert not RULE.search(node.value)


def test_the_page_takes_every_style_once(tmp_path):
    assert sorted(STYLES) == sorted(path.relative_to(SPACE).as_posix() for path in SPACE.rglob("*.css"))
    given = launch_settings(Shares(tmp_path))["css_paths"]
    assert given == [SPACE / name for name in STYLES]


def test_the_language_is_set_in_the_head(tmp_path):
    head = launch_settings(Shares(tmp_path))["head"]
    assert re.fullmatch(
        r"<script>.*document\.documentElement\.lang = navigator\.language \|\| 'en';</script>", head, re.S
    )
