"""Folder, file or name -> model, processor and calibration; and the bundled weights."""

import hashlib
import json
import math

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from abn import Calibration, Explainer, imagenette
from abn.checkpoints import load_calibration, load_checkpoint


def test_the_bundled_network(bundled):
    assert (bundled / "model.safetensors").stat().st_size <= 10_000_000
    with safe_open(bundled / "model.safetensors", "pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert kinds == {torch.float16, torch.int64}
    explainer = Explainer.from_pretrained("compact")
    assert explainer.labels == list(imagenette.CLASSES)
    assert explainer.model.dtype == torch.float32
    assert explainer.model.num_parameters() <= 5_000_000
    assert not list(bundled.glob("*.py"))
    metrics = json.loads((bundled / "metrics.json").read_text())
    assert metrics["top1"] >= 90.0
    assert metrics["command"].startswith("python train/run.py --imagenette-root data ")
    assert "--initial" not in metrics["command"]  # one run, from nothing
    assert len(metrics["commit"]) == 40
    assert metrics["date"] >= "2026-11-20"
    digest = hashlib.sha256((bundled / "model.safetensors").read_bytes()).hexdigest()
    assert metrics["sha256"] == digest
    assert digest in (bundled / "README.md").read_text()
    calibration = Calibration.load(bundled)
    assert math.isfinite(calibration.energy_threshold)
    assert calibration.pictures >= 300
    assert calibration.percentile == 5


def test_a_half_precision_folder_loads_as_float32(tiny_folder):
    tensors = load_file(tiny_folder / "model.safetensors")
    halved = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    save_file(halved, tiny_folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((tiny_folder / "config.json").read_text())
    config.pop("dtype")
    (tiny_folder / "config.json").write_text(json.dumps(config))
    model, _ = load_checkpoint(tiny_folder)
    assert model.dtype == torch.float32
    with torch.no_grad():
        assert torch.isfinite(model(pixel_values=torch.randn(1, 3, 64, 64)).logits).all()


def test_without_a_processor_it_is_imagenets(tiny_folder):
    (tiny_folder / "preprocessor_config.json").unlink()
    _, processor = load_checkpoint(tiny_folder)
    assert processor.geometry((256, 256)).crop == (224, 224)


def test_a_file_takes_what_lies_beside_it(tiny_folder):
    Calibration(temperature=0.5).save(tiny_folder)
    file = tiny_folder / "model.safetensors"
    model, processor = load_checkpoint(file)
    assert model.config.id2label[3] == "class 3"
    assert processor.geometry((256, 256)).crop == (64, 64)
    assert load_calibration(file) == load_calibration(tiny_folder) == Calibration(temperature=0.5)


def test_a_damaged_processor_is_an_error_not_a_default(tiny_folder):
    (tiny_folder / "preprocessor_config.json").write_text("{")
    with pytest.raises((OSError, ValueError)):
        load_checkpoint(tiny_folder)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint at"):
        load_checkpoint(tmp_path / "none.safetensors")
    (tmp_path / "model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ValueError, match=r"model\.bin.*expected a file in \.safetensors, .*\.pt, or a folder"):
        load_checkpoint(tmp_path / "model.bin")
    with pytest.raises(OSError, match=r"config\.json"):
        load_checkpoint(tmp_path)
