"""README and docs/: short enough, their links lead somewhere, and every command and Python block in them works.

What stands before a block for this is described in `documents`.
"""

import argparse
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from documents import FILES, Block, Command, blocks, own_command, shell_lines
from gradio_client import Client
from helpers import ROOT, made_up_picture
from PIL import Image
from server import app as started_app

from abn import Explainer, corrections
from abn.corrections import Correction
from abn.space.drawings import FOLDER as DRAWN
from train.recipes import recipe_of

README = ROOT / "README.md"
BLOCKS = [block for file in FILES for block in blocks(file)]
BASH = [block for block in BLOCKS if block.language == "bash"]
OTHERS = {"python", "python3", "curl", "hf", "uv", "pip"}  # python: with -m venv or -m pip
SERVED = "http://127.0.0.1:7860"  # what a reader's own app answers at


COMMANDS = [found for block in BASH for words in shell_lines(block.text) if (found := own_command(block, words))]


def named(block_or_command) -> str:
    return str(block_or_command)


def having(marker: str, language: str) -> list[Block]:
    return [block for block in BLOCKS if block.marker == marker and block.language == language]


# Length and links


def test_readme_is_short():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 220
    assert len(text.split()) <= 1500


def test_the_recording_is_light():
    file = ROOT / "docs" / "space.webp"
    assert file.stat().st_size <= 1.5e6
    with Image.open(file) as recording:
        assert recording.n_frames > 20
        assert recording.width >= 800
    assert "(docs/space.webp)" in (ROOT / "README.md").read_text()


def test_contributing_is_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 60


def anchors(file: Path) -> set[str]:
    """As GitHub and the Hub name headings."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_links_lead_somewhere(file):
    links = re.findall(r"\]\(([^)\s]+)\)", file.read_text(encoding="utf-8"))
    for place, _, anchor in [link.partition("#") for link in links if "://" not in link]:
        target = (file.parent / place) if place else file
        assert target.exists(), place
        assert not anchor or anchor in anchors(target), anchor


def test_readme_lists_every_page():
    listed = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", README.read_text(encoding="utf-8")))
    assert {file.name for file in (ROOT / "docs").glob("*.md")} == listed


# Commands


class Parsed(Exception):
    """The arguments were understood; nothing is run."""


@pytest.fixture
def stopped(monkeypatch):
    """Programs stop once their arguments are parsed."""
    whole = argparse.ArgumentParser.parse_args

    def parse_args(self, args=None, namespace=None):
        whole(self, args, namespace)
        raise Parsed

    def stop():
        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)

    return stop


def test_every_command_is_this_projects_or_a_known_one():
    others = {
        Path(words[0]).name for block in BASH for words in shell_lines(block.text) if not own_command(block, words)
    }
    assert others <= OTHERS
    assert len(COMMANDS) >= 25


def parsed(command: Command, stop) -> None:
    module, path = command.program.removeprefix("-m "), ROOT / command.program
    if module == command.program:
        assert path.is_file()
        module = command.program.removesuffix(".py").replace("/", ".") if path.parts[-2] == "train" else ""
    if command.program == "app.py":
        module = "app"
    found = import_module(module) if module else None
    if hasattr(found, "parse"):
        asked = found.parse(list(command.arguments))
        if module == "train.run":
            recipe_of(asked)
        return
    stop()
    run, name = (runpy.run_module, module) if module else (runpy.run_path, str(path))
    with pytest.raises(Parsed):
        run(name, run_name="__main__")


@pytest.mark.parametrize("command", COMMANDS, ids=named)
def test_a_commands_arguments_are_understood(command, stopped, monkeypatch):
    if command.program == "-m pytest":
        assert [word for word in command.arguments if word.startswith("tests/") and not (ROOT / word).exists()] == []
        return
    monkeypatch.setattr(sys, "argv", [command.program, *command.arguments])
    monkeypatch.setattr(sys, "path", [str(ROOT / "tests"), *sys.path])
    parsed(command, stopped)


# Blocks that are run


@pytest.fixture
def among_pictures(tmp_path, monkeypatch):
    """The working folder: picture.jpg, which is the drawn golf ball, and a folder holiday/ of two drawings."""
    (tmp_path / "holiday").mkdir()
    Image.open(DRAWN / "golf-ball.png").convert("RGB").save(tmp_path / "picture.jpg", quality=95)
    for name in ("church", "parachute"):
        shutil.copyfile(DRAWN / f"{name}.png", tmp_path / "holiday" / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", having("run: python", "python"), ids=named)
def test_python_blocks_run(block, among_pictures):
    names = {}
    exec(block.text, names)
    if block.file == README:
        e = names["e"]
        assert (e.label, e.unfamiliar, e.attention_map.dtype) == ("golf ball", False, "float32")
        assert e.overlay(alpha=1.0).shape == e.view.shape == (*e.heatmap.shape, 3)
        assert 5 <= len(block.text.splitlines()) <= 10
    else:
        assert len(names["compared"].heatmap) == len(names["comparison"].view)


def test_python_over_http_runs(url, among_pictures):
    (block,) = having("run: python, on the app", "python")
    names = {}
    exec(block.text.replace(SERVED, url), names)
    assert names["label"]["label"] == names["before"]["label"] == "golf ball"
    assert Path(names["overlay"]).suffix == ".png"
    assert min(map(min, names["hidden"])) == -1 < 0 <= min(map(min, names["attention_map"]))
    assert [record["method"] for record in names["records"]] == ["attention", "grad-cam"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_gets_the_answer(url, among_pictures):
    (block,) = having("run: bash, on the app", "bash")
    done = subprocess.run(["bash", "-ec", block.text.replace(SERVED, url)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "event: complete" in done.stdout
    assert '"label": "golf ball"' in done.stdout


SHORTENED = [command for command in COMMANDS if command.block.marker.startswith("run, with: ")]


@pytest.mark.parametrize("command", SHORTENED, ids=named)
def test_shortened_commands_run(command, among_pictures):
    """In a folder of pictures; what shortens a command comes last, where it overrides what stands before."""
    more = shlex.split(command.block.marker.removeprefix("run, with: "))
    module = command.program.startswith("-m ")
    program = command.program.split(" ") if module else [str(ROOT / command.program)]
    done = subprocess.run(
        [sys.executable, *program, *command.arguments, *more],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()


@pytest.mark.slow
def test_from_your_own_pictures_to_a_space(tmp_path):
    """README's four commands on three made-up classes. Trainings take two steps, the app is started and ended, with one
    correction there already, and deploying only lists what it would push."""
    (block,) = [block for block in BLOCKS if block.marker.startswith("run: your own pictures")]
    train, app, teach, deploy = [own_command(block, words) for words in shell_lines(block.text)]
    for split, count in (("train", 6), ("val", 2)):
        for level, name in enumerate(("daisy", "rose", "tulip")):
            (tmp_path / "flowers" / split / name).mkdir(parents=True)
            for number in range(count):
                picture = made_up_picture(60, 48, seed=number).point(lambda value, level=level: value // 3 + 85 * level)
                picture.save(tmp_path / "flowers" / split / name / f"{number}.png")
    mask = np.full((48, 60), np.nan)
    mask[:24] = 0
    several = [Correction.of(made_up_picture(60, 48, seed=seed), mask, "daisy") for seed in range(4)]
    corrections.write(several, tmp_path / "fixes")

    def run(command: Command, *more: str) -> str:
        program = command.program.split(" ") if command.program[0] == "-" else [ROOT / command.program]
        done = subprocess.run(
            [sys.executable, *program, *command.arguments, *more],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    short = ("--max-steps", "2", "--explain", "0", "--gpu-id", "cpu")
    run(train, *short)
    assert list(Explainer.from_pretrained(tmp_path / "out").labels) == ["daisy", "rose", "tulip"]
    there = {name: str(tmp_path / name) for name in ("flowers", "out", "fixes")}
    with started_app(tmp_path, *[there.get(word, word) for word in app.arguments]) as (url, _):
        answers = Client(url, verbose=False).predict(api_name="/models")
    assert answers["classes"] == ["daisy", "rose", "tulip"]
    run(teach, *short)
    assert list(Explainer.from_pretrained(tmp_path / "better").labels) == ["daisy", "rose", "tulip"]
    listed = run(deploy, "--list")
    assert "abn/space/page.py" in listed
    assert "own/flowers/model.safetensors" in listed
    assert "daisy" in listed
