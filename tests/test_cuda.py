"""On a CUDA device, by `python -m pytest -m cuda`: its results beside the CPU's, and a run from start to end."""

import json

import numpy as np
import pytest
import torch
from helpers import made_up_picture, tiny_model
from PIL import Image

from abn import Explainer
from abn.methods import METHODS
from train.run import main as train

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def whole_float32(monkeypatch):
    """Convolutions without TensorFloat-32, whose products have ten bits: so the device's results are the CPU's."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture(scope="module")
def explainers():
    """The bundled network's, on the CPU and on the device."""
    return [Explainer.from_pretrained("compact", device=device) for device in ("cpu", "cuda")]


def test_a_network_gives_what_it_gives_on_the_cpu():
    model, pixels = tiny_model(), torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        here = model(pixel_values=pixels)
        there = model.to("cuda")(pixel_values=pixels.to("cuda"))
    for key in ("logits", "attention_logits", "attention_map"):
        torch.testing.assert_close(there[key].cpu(), here[key], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("view", ["model", "whole"])
@pytest.mark.parametrize("method", list(METHODS))
def test_an_explanation_is_the_cpus(explainers, method, view):
    here, there = explainers
    picture = made_up_picture(300, 200)
    ours, theirs = here(picture, method=method, view=view), there(picture, method=method, view=view)
    assert theirs.label == ours.label
    assert theirs.unfamiliar == ours.unfamiliar
    assert theirs.probabilities == pytest.approx(ours.probabilities, abs=0.005)
    assert np.abs(theirs.heatmap - ours.heatmap).max() < 0.02


def test_a_batch_gives_what_its_pictures_give_alone(explainers):
    _, explainer = explainers
    pictures = [made_up_picture(300, 200, seed) for seed in range(40)]  # more than a forward takes
    alone = [explainer(picture) for picture in pictures]
    for one, other in zip(explainer(pictures), alone, strict=True):
        assert one.label == other.label
        assert np.abs(one.attention_map - other.attention_map).max() < 0.01


def test_a_run_with_rounds_ends_in_weights_that_are_right(tmp_path, capsys):
    """With every part of the bundled recipe: a teacher's maps, pictures of no class, weights of before."""
    for split, count in (("train", 24), ("val", 4)):
        for label, colour in enumerate(("red", "lime")):
            folder = tmp_path / "data" / split / colour
            folder.mkdir(parents=True)
            for seed in range(count):
                picture = np.asarray(made_up_picture(64, 64, seed)) // 4
                picture[..., label] += 180
                Image.fromarray(picture).save(folder / f"{seed}.png")
    command = ["--data", str(tmp_path / "data"), "--checkpoint", str(tmp_path / "out"), "--epochs", "6"]
    command += ["--train-batch", "16", "--sizes", "64", "--tune-epochs", "2", "2", "--tune-size", "64"]
    command += ["--test-size", "64", "--resize", "64", "--teacher-size", "64", "--teacher-gradient-size", "64"]
    command += ["--lr", "0.05", "--ema-decay", "0.8", "--cutmix", "0", "--explain", "4"]
    train(command)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["top1"] == 100
    assert metrics["hardware"] == torch.cuda.get_device_name()
    assert "teacher's maps" in capsys.readouterr().err
    train(["--evaluate", "--checkpoint", str(tmp_path / "out"), "--data", str(tmp_path / "data")])
    assert "top-1 100.00 %" in capsys.readouterr().out
