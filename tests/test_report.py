"""Figures of a run: scores, calibration error, confusion matrix; and files that are whole."""

import json

import numpy as np
import pytest
import torch

from train.figures import confusion_matrix_png, curves_png
from train.metrics import details, expected_calibration_error, scores
from train.report import write_json


def test_scores():
    logits = torch.tensor([[9.0, 1, 0, 0, 0, 0], [0, 9, 8, 7, 6, 5], [1, 2, 3, 4, 5, 9], [0, 9, 8, 7, 6, 5]])
    labels = torch.tensor([0, 1, 0, 5])
    found = scores(logits, torch.zeros_like(logits), labels)
    assert found["top1"] == 50
    assert found["top5"] == 75
    assert found["attention_top1"] == 50  # argmax of a tie is class 0
    assert found["attention_loss"] == pytest.approx(np.log(6))
    assert found["loss"] == pytest.approx(found["perception_loss"] + found["attention_loss"])


def test_scores_without_an_attention_branch():
    found = scores(torch.tensor([[0.0, 2.0], [1.0, 0.0]]), None, torch.tensor([1, 1]))
    assert found["top1"] == 50
    assert found["loss"] == found["perception_loss"]
    assert not any(name.startswith("attention") for name in found)


def test_expected_calibration_error_by_hand():
    """Four pictures at 80 % of which three are right, one at 60 % that is wrong: (4 * 0.05 + 1 * 0.6) / 5."""
    logits = torch.log(torch.tensor([[0.8, 0.2]] * 4 + [[0.6, 0.4]]))
    labels = torch.tensor([0, 0, 0, 1, 1])
    assert expected_calibration_error(logits, labels) == pytest.approx((4 * 0.05 + 0.6) / 5, abs=1e-6)
    sure = torch.tensor([[50.0, 0.0]] * 5)
    assert expected_calibration_error(sure, torch.zeros(5, dtype=torch.long)) == pytest.approx(0, abs=1e-6)


def test_details_by_hand():
    logits = torch.eye(3)[[0, 0, 1, 2, 1]] * 9
    found = details(logits, torch.tensor([0, 0, 0, 1, 1]), ("a", "b", "c"), temperature=2.0)
    assert found["confusion_matrix"] == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert found["per_class"] == {"a": pytest.approx(200 / 3), "b": 50.0}  # no picture of c
    assert found["ece_calibrated"] == expected_calibration_error(logits / 2, torch.tensor([0, 0, 0, 1, 1]))


def test_json_is_whole_and_readable(tmp_path):
    content = {"matrix": [[1, 2], [3, 4]], "name": "[1,  2]", "rate": 0.5}
    write_json(tmp_path / "deep" / "metrics.json", content)
    text = (tmp_path / "deep" / "metrics.json").read_text()
    assert json.loads(text) == content
    assert "[ 1, 2 ]" in text
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["metrics.json"]


def test_the_confusion_matrix_shows_its_counts(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    words = []
    original = Axes.text
    monkeypatch.setattr(
        Axes, "text", lambda axis, x, y, text, **more: words.append((x, y, text)) or original(axis, x, y, text, **more)
    )
    confusion_matrix_png([[5, 1], [0, 7]], ("cat", "dog"), tmp_path / "matrix.png", "pets")
    assert words == [(0, 0, "5"), (1, 0, "1"), (1, 1, "7")]  # column, row
    assert (tmp_path / "matrix.png").stat().st_size > 2000


def test_curves_are_drawn_from_a_log(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    lines = {}
    original = Axes.plot

    def plot(axis, x, y, **more):
        lines[more["label"]] = (x, y)
        return original(axis, x, y, **more)

    monkeypatch.setattr(Axes, "plot", plot)
    log = [
        {"epoch": 1, "loss": "2.5", "learning_rate": "0.1"},
        {"epoch": 2, "loss": 1.5, "learning_rate": 0.05},
        {"epoch": 2, "eval_top1": 60.0, "eval_attention_top1": 55.0, "eval_both_loss": 1.9},
    ]
    curves_png(log, tmp_path / "curves.png")
    assert lines["training"] == ((1, 2), (2.5, 1.5))
    assert lines["perception branch"] == ((2,), (60.0,))
    assert lines["held out"] == ((2,), (1.9,))
    assert np.allclose(lines["learning rate"][1], (0.1, 0.05))
