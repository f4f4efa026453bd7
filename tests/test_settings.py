"""Settings: an empty variable is none, and ~ is the home folder, in every option and variable that takes a path."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT, made_up_picture, tiny_model

import app
from abn import Explainer, benchmark, imagenette, visualize
from abn.checkpoints import load_calibration, load_checkpoint
from abn.checkpoints.__main__ import main as checkpoints
from abn.faithfulness import run as faithfulness_run
from abn.model.pictures import load_rgb
from abn.space.server.examples import Gallery
from abn.space.server.models import Models
from train.run import parse as train
from train.sources import folder_source, table_source

DEFAULTS = {
    "checkpoint": "yukiharada1228/abn-resnet152-imagenette",
    "imagenette_root": str(ROOT / "data"),
    "examples": None,
    "corrections": None,
    "models_root": None,
    "shares": None,  # shares/ beside app.py
    "host": "127.0.0.1",
    "port": 7860,
}
VARIABLES = ("ABN_CHECKPOINT", "IMAGENETTE_ROOT", "ABN_EXAMPLES", "ABN_CORRECTIONS", "ABN_MODELS_ROOT", "ABN_SHARES")
VARIABLES += (
    "GRADIO_SERVER_NAME",
    "GRADIO_SERVER_PORT",
    "GRADIO_ANALYTICS_ENABLED",
    "GRADIO_NUM_PORTS",
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_HUB_OFFLINE",
)


@pytest.mark.slow
@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_counts_as_unset(value):
    code = (
        "import json, app, os, huggingface_hub.constants as hub; from gradio import http_server\n"
        "print(json.dumps([vars(app.parse([])), hub.ENDPOINT, hub.HF_HUB_OFFLINE, http_server.INITIAL_PORT_VALUE,\n"
        "    os.environ['GRADIO_ANALYTICS_ENABLED'], hub.HF_HOME]))"
    )
    surroundings = {**os.environ, **dict.fromkeys(VARIABLES, value)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    *found, home = json.loads(done.stdout.splitlines()[-1])
    assert found == [DEFAULTS, "https://huggingface.co", False, 7860, "False"]
    assert Path(home).is_absolute()


def test_variables_that_are_set_count(monkeypatch):
    for name, value in zip(VARIABLES, ("compact", "a", "b", "c", "d", "e", "0.0.0.0", "7861"), strict=False):
        monkeypatch.setenv(name, value)
    expected = ["compact", "a", "b", "c", "d", "e", "0.0.0.0", 7861]
    assert list(vars(app.parse([])).values()) == expected
    monkeypatch.setenv("ABN_MODELS_ROOT", "")
    assert app.parse([]).models_root is None


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


OPTIONS = {
    app.parse: ("--checkpoint", "--imagenette-root", "--examples", "--corrections", "--models-root", "--shares"),
    train: (*("--checkpoint", "--imagenette-root", "--resume", "--data", "--cache", "--boxes", "--initial"),),
    visualize.parse: ("--checkpoint", "--ckpt", "--pictures", "--data", "--imagenette-root", "--out-dir"),
    faithfulness_run.parse: ("--checkpoint", "--imagenette-root", "--data", "--boxes", "--out"),
}


@pytest.mark.parametrize(("parse", "option"), [(parse, option) for parse, all_ in OPTIONS.items() for option in all_])
def test_home_in_every_option(parse, option, home):
    name = {"--ckpt": "checkpoint"}.get(option, option[2:].replace("-", "_"))
    assert vars(parse([f"{option}=~/it"]))[name] == str(home / "it")
    assert vars(parse([option, "it"]))[name] == "it"


def test_home_in_variables(home, monkeypatch):
    names = ("checkpoint", "imagenette_root", "examples", "corrections", "models_root", "shares")
    for variable, name in zip(VARIABLES[:6], names, strict=True):
        monkeypatch.setenv(variable, "~/it")
        assert vars(app.parse([]))[name] == str(home / "it")


def test_home_in_python(tiny_folder, home, tiny_imagenette):
    shutil.copytree(tiny_folder, home / "network")
    (home / "network" / "calibration.json").write_text('{"temperature": 2.0, "attention_temperature": 1.0}')
    made_up_picture(40, 40).save(home / "it.png")
    explainer = Explainer.from_pretrained("~/network", device="cpu")
    assert explainer.calibration.temperature == load_calibration("~/network").temperature == 2.0
    assert explainer("~/it.png").probabilities == explainer(home / "it.png").probabilities
    assert explainer(Path("~/it.png")).label
    assert load_rgb("~/it.png").size == (40, 40)
    for source in (Path("~/network"), "~/network/model.safetensors"):
        model = load_checkpoint(source)[0]
        assert model.state_dict().keys() == tiny_model().state_dict().keys()
    models = Models(None, "~")
    assert models._local() == ["network", "tiny"]
    shutil.rmtree(models.fetched)
    gallery = Gallery("~/made-up")
    assert gallery.real
    shutil.rmtree(gallery.folder)
    assert len(imagenette.load("~/made-up", "val")) == 20


def test_home_in_data_folders(home):
    for split in ("train", "val"):
        for name in ("a", "b"):
            (home / "data" / split / name).mkdir(parents=True)
            made_up_picture(8, 8).save(home / "data" / split / name / "one.png")
    assert len(folder_source("~/data").train) == 2
    (home / "data" / "attributes.csv").write_text("picture,split,t\ntrain/a/one.png,train,1\nval/a/one.png,val,1\n")
    assert len(table_source("~/data").train) == 1


def test_home_where_a_checkpoint_is_converted(tiny_folder, home, capsys):
    shutil.copytree(tiny_folder, home / "network")
    checkpoints(["convert", "~/network", "~/made/it"])
    assert (home / "made" / "it" / "model.safetensors").is_file()
    assert capsys.readouterr().out.strip() == str(home / "made" / "it")


def test_home_of_the_benchmark(home, tiny_imagenette, monkeypatch, capsys):
    seen = []
    found = {"machine": "", "device": "", "preprocess, pixel by pixel": {"ours": 1.0, "pixels": 2.0}}
    monkeypatch.setattr(benchmark, "measure", lambda *_: dict(found))
    agreement = {"mean": 0.0, "largest": 0.0, "same_label": 1.0}
    monkeypatch.setattr(benchmark, "agreement", lambda one, other, files: seen.extend(files) or agreement)
    benchmark.main(["--imagenette-root=~/made-up", "--json=~/found.json"])
    assert len(seen) == 20
    assert json.loads((home / "found.json").read_text())["agreement"] == agreement
