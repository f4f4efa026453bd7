"""pyproject.toml, the wheel, and the commands that README starts with."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import import_module
from pathlib import Path

import pytest
from documents import FILES, blocks
from gradio_client import Client, handle_file
from helpers import ROOT, wait_for
from packaging.requirements import Requirement
from server import answers, free_port, started

import abn
from abn.space import deploy
from abn.space.drawings import FOLDER as DRAWN

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
STARTS = [block.text.strip() for block in blocks(ROOT / "README.md") if block.marker == "start"]


def lines(name: str) -> set[str]:
    return set((ROOT / name).read_text().split("\n")) - {"", "-r requirements.txt"}


def test_requirements_are_the_projects():
    assert set(PROJECT["dependencies"]) == lines("requirements.txt")
    ours = [line for line in EXTRAS["dev"] if line.startswith("abn-space[")]
    extras = [name for line in ours for name in Requirement(line).extras]
    dev = {line for line in EXTRAS["dev"] if line not in ours}.union(*(EXTRAS[name] for name in extras))
    assert dev == lines("requirements-dev.txt")
    assert "heic" in extras


def test_the_version_is_said_alike():
    assert PROJECT["version"] == abn.__version__


@pytest.mark.parametrize("name", PROJECT["scripts"])
def test_a_script_goes_by_its_own_name(name, monkeypatch, capsys):
    """The wheel's abn_space.py is app.py."""
    module, _, function = PROJECT["scripts"][name].replace("abn_space", "app").partition(":")
    monkeypatch.setattr("sys.argv", [f"/somewhere/bin/{name}", "--help"])
    with pytest.raises(SystemExit) as stopped:
        getattr(import_module(module), function)()
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {name} ")


def test_the_pages_name_every_script_and_no_other():
    named = {name for file in FILES for name in re.findall(r"`(abn-[a-z]+)`", file.read_text(encoding="utf-8"))}
    assert named == set(PROJECT["scripts"])


def run(*command, **options) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{done.stdout[-1000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy of the tracked files."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in deploy.pushed():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", built, source]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("no package index at hand")
    assert done.returncode == 0, done.stderr[-2000:]
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin folder of an environment with the wheel, which sees the packages of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def surroundings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}


@pytest.mark.slow
def test_the_wheel_holds_all_that_the_packages_do(wheel):
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {name for name in deploy.pushed() if re.match("(abn|train)/", name) and "train/results/" not in name}
    assert inside == wanted | {"abn_space.py"}
    assert "abn/py.typed" in inside


@pytest.mark.slow
def test_the_wheel_explains_a_picture_from_any_folder(installed, tmp_path):
    (tmp_path / "picture.png").write_bytes((DRAWN / "golf-ball.png").read_bytes())
    code = "import abn; e = abn.Explainer.from_pretrained('compact')('picture.png'); print(abn.__file__, e.label)"
    where, label = run(installed / "python", "-c", code, cwd=tmp_path, env=surroundings()).strip().split(" ", 1)
    assert Path(where).is_relative_to(installed.parent)
    assert label == "golf ball"
    code = "import abn_space; print(abn_space.parse([]).imagenette_root)"
    assert run(installed / "python", "-c", code, cwd=tmp_path, env=surroundings()).strip() == str(tmp_path / "data")
    command = [installed / "abn-visualize", "--pictures", "picture.png", "--no-display"]
    run(*command, cwd=tmp_path, env=surroundings())
    assert list((tmp_path / "outputs").glob("*_overlays/*.png"))
    run(installed / "abn-convert", "compact", "copy", cwd=tmp_path, env=surroundings())
    assert (tmp_path / "copy" / "model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", PROJECT["scripts"])
def test_the_wheels_scripts_start(name, installed, tmp_path):
    said = run(installed / name, "--help", cwd=tmp_path, env=surroundings())
    assert said.startswith(f"usage: {name} ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_wheel_brings_its_types(installed, tmp_path):
    """What a user's type checker makes of the installed package, elsewhere; `ty check` in CI reads the sources."""
    (tmp_path / "typed_api.py").write_bytes((ROOT / "tests" / "typed_api.py").read_bytes())
    ty = shutil.which("ty", path=os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"])))
    if ty is None:
        pytest.skip("no ty")
    command = [ty, "check", "--python", installed / "python", "--error", "unused-ignore-comment", "typed_api.py"]
    assert "All checks passed" in run(*command, cwd=tmp_path, env=surroundings())


@pytest.mark.slow
def test_the_wheel_serves_the_page_from_any_folder(installed, tmp_path):
    command = {"python": installed / "python", "program": str(installed / "abn-space"), "root": tmp_path}
    with started(tmp_path, "--checkpoint", "compact", **command) as (_, url, _):
        client = Client(url, verbose=False)
        label, _, _ = client.predict(handle_file(DRAWN / "golf-ball.png"), api_name="/explain")
        assert label["label"] == "golf ball"


@pytest.mark.slow
def test_the_wheel_deploys_nothing(installed, tmp_path):
    command = [installed / "python", "-m", "abn.space.deploy", "you/abn", "--list"]
    done = subprocess.run(command, cwd=tmp_path, env=surroundings(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: what is pushed is the repository: run this in a clone of it\n"


@pytest.mark.slow
@pytest.mark.parametrize("command", STARTS, ids=lambda command: command.split()[0])
def test_readmes_start_works_as_written(command, tmp_path):
    """On a copy of the repository, with nothing installed; port and network are set from outside."""
    for name in deploy.pushed():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    port, log = free_port(), tmp_path / "start.log"
    settings = {"GRADIO_SERVER_PORT": str(port), "ABN_CHECKPOINT": "compact", "IMAGENETTE_ROOT": str(tmp_path / "none")}
    settings["TMPDIR"] = str(tmp_path)  # where uv leaves a lock
    with log.open("w") as out:
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={**surroundings(), **settings},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: process.poll() is not None or answers(url), 1200, every=1)
        if process.poll() is not None and re.search(
            "No matching distribution|command not found|fetch", log.read_text()
        ):
            pytest.skip("no package index at hand, or no uv")
        assert process.poll() is None, log.read_text()[-3000:]
        label, _, _ = Client(url, verbose=False).predict(handle_file(DRAWN / "golf-ball.png"), api_name="/explain")
        assert label["label"] == "golf ball"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
