"""Temperature scaling and the energy score, on cases whose answer is known."""

import json
import math

import pytest
import torch

from abn.calibration import CALIBRATION_NAME, Calibration, energy_score, fit_temperature


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_it_finds_the_temperature_the_labels_were_drawn_with(true_temperature):
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(20000, 10, generator=generator)
    labels = torch.multinomial(torch.softmax(logits / true_temperature, 1), 1, generator=generator)[:, 0]
    assert fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.05)


def test_the_energy_score_is_log_sum_exp():
    assert energy_score(torch.zeros(1, 10)).item() == pytest.approx(2.302585)
    assert energy_score(torch.tensor([[1000.0, 0.0]])).item() == pytest.approx(1000.0)


def test_fit_puts_the_threshold_at_the_percentile():
    logits = torch.zeros(101, 2)
    logits[:, 0] = torch.arange(101.0)
    calibration = Calibration.fit(logits, logits, torch.zeros(101, dtype=torch.long), percentile=5)
    assert calibration.energy_threshold == pytest.approx(energy_score(torch.tensor([[5.0, 0.0]])).item(), abs=1e-6)
    assert calibration.pictures == 101
    assert calibration.is_unfamiliar(4.0)
    assert not calibration.is_unfamiliar(6.0)


def test_each_branch_has_its_own_temperature():
    """Of logits that are right three times in four, the margin is to be log 3."""
    labels = torch.tensor([0, 0, 0, 1] * 25)
    logits = torch.tensor([[2 * math.log(3), 0.0]]).repeat(100, 1)
    calibration = Calibration.fit(logits, logits / 4, labels)
    assert calibration.temperature == pytest.approx(2, rel=1e-3)
    assert calibration.attention_temperature == pytest.approx(0.5, rel=1e-3)
    assert (calibration.percentile, calibration.pictures) == (5, 100)
    assert calibration.energy_threshold == pytest.approx(math.log(10))  # of the perception branch's, not cooled


def test_the_default_changes_nothing(tmp_path):
    assert Calibration.load(tmp_path) == Calibration()
    assert Calibration().temperature == 1
    assert not Calibration().is_unfamiliar(-1e9)


def test_saved_and_loaded(tmp_path):
    calibration = Calibration(0.7, 0.6, 2.5, 5.0, 378)
    calibration.save(tmp_path)
    assert Calibration.load(tmp_path) == calibration


@pytest.mark.parametrize("content", ["{", '{"temperatur": 1}', json.dumps({"temperature": 0})])
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / CALIBRATION_NAME).write_text(content)
    with pytest.raises(ValueError, match=r"calibration\.json"):
        Calibration.load(tmp_path)
