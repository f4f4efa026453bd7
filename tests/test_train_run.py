"""The command itself, as a subprocess and end to end on a made-up data set."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from abn import Calibration, Explainer
from train import fit
from train.run import main

ROOT = Path(__file__).resolve().parents[1]
TINY = ["--width", "8", "--sizes", "32", "48", "--test-size", "48", "--resize", "48", "--train-batch", "8"]
TINY += ["--test-batch", "16", "--workers", "1", "--lr", "0.05", "--gpu-id", "cpu"]


def command(*arguments, **options):
    """`python train/run.py …` from the project's root, as README has it."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "train/run.py", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )


def test_trains_saves_and_evaluates(tiny_imagenette, tmp_path):
    out = tmp_path / "out"
    arguments = ["--imagenette-root", tiny_imagenette, "--checkpoint", out, "--holdout", "0.25"]
    run = command(*arguments, *TINY, "--epochs", "2", "--eval-every", "1")
    assert run.returncode == 0, run.stderr[-3000:]
    names = {file.name for file in out.iterdir()}
    assert names >= {"model.safetensors", "config.json", "preprocessor_config.json", "metrics.json", "calibration.json"}
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["command"].startswith(f"python train/run.py --imagenette-root {tiny_imagenette}")
    assert metrics["pictures"] == 20
    assert metrics["epochs"] == 2
    assert 0 <= metrics["top1"] <= metrics["top5"] <= 100
    assert Calibration.load(out).pictures == 10
    evaluated = command("--evaluate", "--imagenette-root", tiny_imagenette, "--checkpoint", out)
    assert evaluated.returncode == 0, evaluated.stderr[-3000:]
    line = f"top-1 {metrics['top1']:.2f} %  top-5 {metrics['top5']:.2f} %  loss {metrics['loss']:.4f}"
    assert line in run.stdout
    assert line in evaluated.stdout
    assert Explainer.from_pretrained(out, device="cpu").labels[0] == "tench"


def test_the_loss_falls(tiny_imagenette, tmp_path):
    out = tmp_path / "out"
    arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(out), "--holdout", "0", *TINY]
    assert main([*arguments, "--epochs", "12", "--eval-every", "20"]) == 0
    newest = max(out.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    history = json.loads((newest / "trainer_state.json").read_text())["log_history"]
    losses = [entry["loss"] for entry in history if "loss" in entry]
    evaluated = [entry["eval_top1"] for entry in history if "eval_top1" in entry]
    top1 = json.loads((out / "metrics.json").read_text())["top1"]
    assert evaluated == [pytest.approx(top1, abs=5.1)]  # the same 20 pictures, in bfloat16 there
    assert losses[-1] < 0.8 * losses[0]
    assert not (out / "calibration.json").exists()


def run_here(root, out, *more):
    arguments = ["--imagenette-root", str(root), "--checkpoint", str(out), "--holdout", "0", *TINY]
    assert main([*arguments, "--epochs", "3", "--eval-every", "5", *more]) == 0
    return {name: load_file(out / name) for name in ("model.safetensors",)}["model.safetensors"]


def test_resumed_it_ends_as_if_never_stopped(tiny_imagenette, tmp_path, monkeypatch):
    whole = run_here(tiny_imagenette, tmp_path / "whole")

    class Stopped(Exception):
        pass

    save = fit.AbnTrainer._save_checkpoint

    def save_then_stop(self, model, trial):
        save(self, model, trial)
        if self.state.global_step >= 10:
            raise Stopped

    monkeypatch.setattr(fit.AbnTrainer, "_save_checkpoint", save_then_stop)
    with pytest.raises(Stopped):
        run_here(tiny_imagenette, tmp_path / "halves")
    monkeypatch.undo()
    halves = run_here(tiny_imagenette, tmp_path / "halves", "--resume")
    assert whole.keys() == halves.keys()
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


def test_a_checkpoint_is_whole_or_not_there(tiny_imagenette, tmp_path, monkeypatch):
    """Stopped in the middle of writing, a run leaves no checkpoint-N that is not whole."""
    out = tmp_path / "out"

    def broken(self, file):
        raise RuntimeError("disk full")

    monkeypatch.setattr("train.trainer.ExponentialAverage.save", broken)
    with pytest.raises(RuntimeError, match="disk full"):
        run_here(tiny_imagenette, out)
    assert list(out.glob("checkpoint-*")) == []
    assert (out / ".writing").exists()
    monkeypatch.undo()
    run_here(tiny_imagenette, out)
    kept = sorted(out.glob("checkpoint-*"))
    assert len(kept) == 2
    assert all((path / name).is_file() for path in kept for name in ("ema.safetensors", "trainer_state.json"))
    assert not (out / ".writing").exists()


def test_a_used_folder_is_not_trained_into(tiny_imagenette, tmp_path, capsys):
    run_here(tiny_imagenette, tmp_path / "out")
    arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(tmp_path / "out"), *TINY]
    assert main([*arguments, "--epochs", "1"]) == 2
    assert "holds an earlier run: go on with --resume" in capsys.readouterr().err


def test_schedule_selects_the_references_steps(tiny_imagenette, tmp_path):
    out = tmp_path / "out"
    run_here(tiny_imagenette, out, "--schedule", "1", "2", "--gamma", "0.5")
    newest = max(out.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    history = json.loads((newest / "trainer_state.json").read_text())["log_history"]
    rates = [entry["learning_rate"] for entry in history if "learning_rate" in entry]
    assert rates[-1] == pytest.approx(0.05 * 0.25)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--recipe", "nonsense"], "--recipe must be one of compact, compact-remedy; got 'nonsense'"),
        (["--arch", "vgg16"], "arch must be one of 'resnet18'"),
        (["--imagenette-root", "/nowhere", "--evaluate", "--checkpoint", "/nowhere/either"], "nowhere"),
        (["--resume", "--checkpoint", "/nowhere"], "nothing to resume"),
        (["--resume", "/nowhere/checkpoint-3"], "not a checkpoint-N folder"),
    ],
)
def test_faults_are_one_clear_line(arguments, words, capsys):
    assert main([*arguments, "--gpu-id", "cpu"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert words in error


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--workers", "many"], ["--stem", "9x9"]])
def test_argparse_refuses(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_push_uploads_weights_and_code_and_no_checkpoints(tiny_folder, monkeypatch):
    calls = {}

    class Api:
        def create_repo(self, repo_id, exist_ok):
            calls["repo"] = (repo_id, exist_ok)

        def upload_folder(self, **arguments):
            calls["upload"] = arguments
            return "https://hub/commit"

    monkeypatch.setattr(fit, "HfApi", Api)
    shutil.copytree(tiny_folder, tiny_folder / "checkpoint-7")
    fit.push(tiny_folder, "someone/abn")
    assert calls["repo"] == ("someone/abn", True)
    assert calls["upload"]["folder_path"] == tiny_folder
    assert "checkpoint-*" in calls["upload"]["ignore_patterns"]
    assert {"modeling_abn.py", "layouts.py", "pictures.py"} <= {file.name for file in tiny_folder.iterdir()}


@pytest.mark.slow
def test_the_bundled_weights_reach_ninety_per_cent(imagenette_root):
    run = command("--evaluate", "--checkpoint", "abn/weights/compact", "--imagenette-root", imagenette_root)
    assert run.returncode == 0, run.stderr[-3000:]
    line = next(line for line in run.stdout.splitlines() if line.startswith("top-1"))
    assert float(line.split()[1]) >= 90.0
    assert "(3925 pictures;" in line
    stored = json.loads((ROOT / "abn/weights/compact/metrics.json").read_text())
    assert float(line.split()[1]) == pytest.approx(stored["top1"], abs=0.06)
