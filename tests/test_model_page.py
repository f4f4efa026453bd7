"""The Model tab: figures as they are recorded, and nothing of another's file believed blindly."""

import json

import pytest

from abn import Explainer
from abn.space.server.serving import Served, metrics_of
from abn.space.tabs.model import model_html

METRICS = {
    "dataset": "Imagenette",
    "pictures": 3925,
    "top1": 92.514,
    "loss": 0.65,
    "ece": 0.0312,
    "per_class": {"tench": 96.25},
    "explanation": {"pointing": 0.885, "difference": 0.44, "grad-cam": {"difference": 0.49}},
    "confusion_matrix": [[9 if row == column else 1 for column in range(10)] for row in range(10)],
    "command": "python train/run.py",
}


@pytest.fixture(scope="module")
def explainer(bundled):
    return Explainer.from_pretrained(bundled, device="cpu")


def test_figures_are_shown_as_recorded(explainer):
    shown = model_html(Served("a model", explainer, metrics=METRICS))
    for words in ("3,925", "92.51 %", "0.6500", "0.031", "96.2 %", "0.885", "0.440", "0.490", "python train/run.py"):
        assert words in shown
    assert shown.count("--share: 0.500") == 10  # 9 of 18 in each row
    assert shown.count("--share: 0.056") == 90
    assert "ResNet-18 of width 32" in shown


def test_a_transformers_figures(explainer):
    figures = {"method": "rollout", "strokes": 0.25, "strokes_area": 0.125, "gradient-rollout": {"strokes": 0.375}}
    shown = model_html(Served("a model", explainer, metrics={**METRICS, "explanation": figures}))
    for words in ("Attention rollout", "Rollout for the class", "Share on the strokes", "0.250", "0.375", "0.125"):
        assert words in shown
    assert "Grad-CAM" not in shown


def test_without_metrics_it_says_so(explainer):
    assert "brings no metrics.json" in model_html(Served("a model", explainer))
    assert "brings no metrics.json" in model_html(Served("a model", explainer, metrics={"top1": "high"}))


@pytest.mark.parametrize(
    "change",
    [
        {"top1": float("nan"), "top5": [1]},
        {"per_class": [1, 2], "explanation": "good"},
        {"per_class": {"<b>x</b>": "y"}, "explanation": {"pointing": None, "grad-cam": 3}},
        {"confusion_matrix": [[1, 2], [3]]},
        {"confusion_matrix": [["<b>"] * 10] * 10},
        {"command": "<b>x</b>", "dataset": "<b>y</b>", "pictures": "<b>"},
    ],
)
def test_strange_metrics_harm_nothing(explainer, change):
    shown = model_html(Served("<b>z</b>", explainer, metrics={**METRICS, **change}))
    assert "<b>" not in shown
    assert "0.6500" in shown


def test_metrics_are_read_from_beside_the_weights(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    assert metrics_of(tmp_path)["top1"] == 92.514
    assert metrics_of(tmp_path / "model.safetensors")["top1"] == 92.514
    (tmp_path / "metrics.json").write_text("[1, 2]")
    assert metrics_of(tmp_path) is None
    (tmp_path / "metrics.json").write_text("not json")
    assert metrics_of(tmp_path) is None
    assert metrics_of(tmp_path / "nowhere" / "x") is None
