"""The command itself, as a subprocess and end to end on a made-up data set."""

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, TINY, run_here, wait_for
from PIL import Image
from safetensors.torch import load_file

from abn import Calibration, Explainer, imagenette
from train import checks, fit
from train.run import main
from train.trainer import checkpoints


def start(*arguments):
    """The command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "train/run.py", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def command(*arguments, launcher=(sys.executable,), **options):
    """`python train/run.py …` from the project's root, as README has it."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [*launcher, "train/run.py", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )


OUTPUTS = {"model.safetensors", "config.json", "preprocessor_config.json", "metrics.json", "calibration.json"}
OUTPUTS |= {"attentions.png", "confusion_matrix.png", "curves.png", "README.md", "best", "modeling_abn.py"}


def test_trains_saves_and_evaluates(tiny_imagenette, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--imagenette-root", tiny_imagenette, "--checkpoint", out, "--holdout", "0.25"]
    run = command(*arguments, *TINY, "--epochs", "2", "--eval-every", "1")
    assert run.returncode == 0, run.stderr[-3000:]
    assert {file.name for file in out.iterdir()} >= OUTPUTS
    metrics = json.loads((out / "metrics.json").read_text())
    told = f"python train/run.py --imagenette-root {tiny_imagenette.name} --checkpoint out --holdout 0.25 "
    assert metrics["command"].startswith(told)
    digest = hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()
    assert metrics["sha256"] == digest
    assert digest in (out / "README.md").read_text()
    assert str(tmp_path) not in (out / "README.md").read_text() + json.dumps(metrics)
    assert metrics["pictures"] == 20
    assert (metrics["epochs"], metrics["training_pictures"], metrics["recipe"]) == (2, 30, "compact")
    assert 0 <= metrics["top1"] <= metrics["top5"] <= 100
    assert sum(map(sum, metrics["confusion_matrix"])) == 20
    right = sum(metrics["confusion_matrix"][i][i] for i in range(10))
    assert metrics["top1"] == pytest.approx(5 * right)
    assert sum(metrics["per_class"].values()) == pytest.approx(50 * right)  # two pictures a class
    figures = metrics["explanation"]
    assert figures["difference"] == pytest.approx(figures["insertion"] - figures["deletion"], abs=2e-4)
    assert metrics["pictures_per_second"] > 0
    assert Calibration.load(out).pictures == 10
    evaluation = ["--evaluate", "--imagenette-root", tiny_imagenette, "--checkpoint", out, "--explain", "4"]
    assert main(list(map(str, evaluation))) == 0
    line = f"top-1 {metrics['top1']:.2f} %  top-5 {metrics['top5']:.2f} %  loss {metrics['loss']:.4f}"
    map_line = "attention map: " + "  ".join(
        f"{key} {figures[key]:.3f}" for key in ("insertion", "deletion", "difference")
    )
    for output in (run.stdout, capsys.readouterr().out):
        assert line in output
        assert map_line in output
    assert Explainer.from_pretrained(out, device="cpu").labels[0] == "tench"
    best = json.loads((out / "best" / "top1.json").read_text())
    assert Explainer.from_pretrained(out / "best", device="cpu").labels[0] == "tench"
    newest = max(out.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    history = json.loads((newest / "trainer_state.json").read_text())["log_history"]
    assert best["top1"] == max(entry["eval_top1"] for entry in history if "eval_top1" in entry)
    assert Explainer.from_pretrained(newest, device="cpu").processor.crop_size["height"] == 48


def folder_of_colours(root, classes=("dark", "light"), count=8):
    for split, share in (("train", count), ("val", 4)):
        for place, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for number in range(share):
                level = 40 + 170 * place
                pixels = np.random.default_rng(number).integers(level - 30, level + 30, (40, 50, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


def test_any_folder_of_class_folders(tmp_path):
    data = folder_of_colours(tmp_path / "shades")
    out = tmp_path / "out"
    arguments = ["--data", str(data), "--checkpoint", str(out), *TINY, "--holdout", "0", "--cache", str(tmp_path / "c")]
    assert main([*arguments, "--epochs", "10", "--eval-every", "20"]) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["dataset"], metrics["top1"], list(metrics["per_class"])) == ("shades", 100, ["dark", "light"])
    assert Explainer.from_pretrained(out, device="cpu").labels == ["dark", "light"]
    assert len(list((tmp_path / "c").glob("*.npy"))) == 2


def test_without_the_attention_branch(tiny_imagenette, tmp_path, capsys):
    out = tmp_path / "plain"
    run_here(tiny_imagenette, out, "--plain", "--tune-epochs", "1")
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["attention"] is False
    assert "attention_top1" not in metrics
    with_branch = tmp_path / "abn"
    run_here(tiny_imagenette, with_branch)
    assert metrics["parameters"] < json.loads((with_branch / "metrics.json").read_text())["parameters"]
    capsys.readouterr()
    assert main(["--evaluate", "--checkpoint", str(out), "--imagenette-root", str(tiny_imagenette)]) == 0
    assert f"top-1 {metrics['top1']:.2f} %" in capsys.readouterr().out


@pytest.mark.slow
def test_folds(tiny_imagenette, tmp_path, capsys):
    out = tmp_path / "folds"
    arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(out), *TINY, "--holdout", "0"]
    arguments += ["--folds", "4", "--epochs", "1", "--explain", "0"]
    assert main(arguments) == 0
    summary = json.loads((out / "folds.json").read_text())
    values = [fold["top1"] for fold in summary["per_fold"]]
    assert summary["mean"]["top1"] == pytest.approx(np.mean(values))
    assert summary["std"]["top1"] == pytest.approx(np.std(values, ddof=1))
    assert sum(fold["pictures"] for fold in summary["per_fold"]) == 40
    assert all((out / f"fold-{number}" / "confusion_matrix.png").is_file() for number in (1, 2, 3, 4))
    assert main(arguments) == 2
    assert "holds an earlier run" in capsys.readouterr().err
    (out / "fold-3" / "metrics.json").unlink()  # as if stopped in the third fold
    times = {number: (out / f"fold-{number}" / "model.safetensors").stat().st_mtime_ns for number in (1, 2, 3, 4)}
    weights = load_file(out / "fold-3" / "model.safetensors")
    assert main([*arguments, "--resume"]) == 0
    again = {number: (out / f"fold-{number}" / "model.safetensors").stat().st_mtime_ns for number in (1, 2, 3, 4)}
    assert [number for number in times if times[number] != again[number]] == [3]
    resumed = load_file(out / "fold-3" / "model.safetensors")
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
    assert json.loads((out / "folds.json").read_text())["mean"] == summary["mean"]


@pytest.mark.slow
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
    monkeypatch.setattr(checks, "commit", lambda: "begun")
    with pytest.raises(Stopped):
        run_here(tiny_imagenette, tmp_path / "halves")
    monkeypatch.undo()
    monkeypatch.setattr(checks, "commit", lambda: "later")
    halves = run_here(tiny_imagenette, tmp_path / "halves", "--resume")
    metrics = json.loads((tmp_path / "halves" / "metrics.json").read_text())
    assert (metrics["commit"], metrics["resumed_by"]) == ("begun", ["later"])
    assert "commit begun (resumed by later), seed" in (tmp_path / "halves" / "README.md").read_text()
    assert "resumed_by" not in json.loads((tmp_path / "whole" / "metrics.json").read_text())
    assert whole.keys() == halves.keys()
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


ROUNDS = ["--tune-epochs", "2", "1", "--attention-weight", "1"]
ROUNDS += ["--teacher-size", "32", "--teacher-gradient-size", "32"]


@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_the_same_weights(tiny_imagenette, tmp_path):
    """SIGKILL at moments that differ: while a checkpoint is written, in a round of the remedy, at the start of one."""
    arguments = ["--imagenette-root", tiny_imagenette, "--holdout", "0", *TINY, *ROUNDS, "--explain", "0"]
    arguments += ["--epochs", "3", "--cutmix", "0.5"]
    whole = command(*arguments, "--checkpoint", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr[-3000:]
    out = tmp_path / "killed"
    killed = 0
    for awaited in (
        "checkpoint-5",
        ".writing",
        "checkpoint-20",
        "teacher-maps-2.safetensors",
        None,
    ):
        shutil.rmtree(out / ".writing", ignore_errors=True)  # else it would be killed before it writes
        resume = ["--resume"] if list(out.glob("checkpoint-*")) else []
        process = start(*arguments, "--checkpoint", out, *resume)
        if awaited is not None:
            seen = partial(Path.exists, out / awaited)
            wait_for(lambda seen=seen, process=process: seen() or process.poll() is not None, 240, every=0.002)
            if process.poll() is None:
                process.kill()
                killed += 1
        assert process.wait() in (0, -9)
        for folder in checkpoints(out)[-1:]:  # what would be resumed is whole
            assert {"ema.safetensors", "optimizer.pt", "trainer_state.json"} <= {file.name for file in folder.iterdir()}
        if awaited is None:
            break
    assert killed == 4
    one, other = (load_file(folder / "model.safetensors") for folder in (tmp_path / "whole", out))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("fails", ["model.safetensors", "ema.safetensors"])
def test_a_full_disk_is_one_line_and_harms_nothing(fails, tiny_imagenette, tmp_path):
    """No file may grow beyond a limit: what a full disk does to a checkpoint, at two of its files."""
    arguments = ["--imagenette-root", str(tiny_imagenette), "--holdout", "0", *TINY, "--epochs", "1"]
    assert main([*arguments, "--checkpoint", str(tmp_path / "whole"), "--explain", "0"]) == 0
    sizes = {file.name: file.stat().st_size for file in (tmp_path / "whole" / "checkpoint-5").iterdir()}
    assert sizes["ema.safetensors"] > sizes["model.safetensors"]
    limit = sizes[fails] - 10
    out = tmp_path / "out"

    def little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    run = command(*arguments, "--checkpoint", out, preexec_fn=little_room)
    assert run.returncode == 2, run.stderr[-3000:]
    assert run.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in run.stderr
    assert not list(out.glob("checkpoint-*"))
    assert not (out / "model.safetensors").exists()


def test_resuming_another_run_is_refused(tiny_imagenette, tmp_path, capsys):
    out = tmp_path / "out"
    run_here(tiny_imagenette, out)
    arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(out), *TINY, "--holdout", "0"]
    for more, words in (
        (["--epochs", "3", "--seed", "1"], "--resume: this run's seed was 0; now it is 1"),
        (["--epochs", "4"], "this run's epochs was 3; now it is 4"),
        (["--epochs", "3", "--width", "16"], "this run's width was 8; now it is 16"),
    ):
        assert main([*arguments, "--eval-every", "5", "--resume", *more]) == 2
        assert words in capsys.readouterr().err
    elsewhere = str(out / "checkpoint-10")
    assert main([*arguments, "--checkpoint", str(tmp_path / "other"), "--resume", elsewhere]) == 2
    assert "must be a checkpoint-N folder in --checkpoint" in capsys.readouterr().err


def test_resuming_from_an_earlier_checkpoint_gives_up_the_later(tiny_imagenette, tmp_path):
    out = tmp_path / "out"
    whole = run_here(tiny_imagenette, out)
    again = run_here(tiny_imagenette, out, "--resume", str(out / "checkpoint-10"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert [folder.name for folder in checkpoints(out)] == ["checkpoint-10", "checkpoint-15"]


def test_a_run_that_is_done_is_not_trained_on(tiny_imagenette, tmp_path):
    """Seven steps of five an epoch: stopped while it was measured, then resumed."""
    out = tmp_path / "out"
    whole = run_here(tiny_imagenette, out, "--max-steps", "7")
    seconds = json.loads((out / "metrics.json").read_text())["training_seconds"]
    (out / "metrics.json").unlink()
    again = run_here(tiny_imagenette, out, "--max-steps", "7", "--resume")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert checkpoints(out)[-1].name == "checkpoint-7"
    assert abs(json.loads((out / "metrics.json").read_text())["training_seconds"] - seconds) <= 1


def test_other_class_names_are_refused_where_answers_are_measured(tmp_path, capsys):
    one = folder_of_colours(tmp_path / "shades")
    other = folder_of_colours(tmp_path / "tones", ("black", "white"))
    common = [*TINY, "--holdout", "0", "--explain", "0"]
    first = str(tmp_path / "first")
    assert main(["--data", str(one), "--checkpoint", first, *common, "--epochs", "1"]) == 0
    assert main(["--evaluate", "--data", str(other), "--checkpoint", first]) == 2
    assert "knows other classes than tones" in capsys.readouterr().err


def test_a_failing_optimizer_file_is_one_line(tiny_imagenette, tmp_path, monkeypatch, capsys):
    def save(*arguments, **options):
        raise RuntimeError("[enforce fail at inline_container.cc:659] . PytorchStreamWriter failed writing file data/3")

    monkeypatch.setattr(torch, "save", save)
    arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(tmp_path / "out"), *TINY]
    assert main([*arguments, "--epochs", "1", "--holdout", "0"]) == 2
    assert "PytorchStreamWriter failed writing file" in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.slow
def test_two_processes_train_as_one(tiny_imagenette, tmp_path):
    """Gloo on the CPU; the same global batch. Batch norm sees halves of it, so the figures are near, not equal."""
    arguments = ["--imagenette-root", tiny_imagenette, "--holdout", "0", *TINY, "--epochs", "6", "--explain", "0"]
    arguments += ["--train-batch", "20", "--eval-every", "3"]
    one = command(*arguments, "--checkpoint", tmp_path / "one")
    assert one.returncode == 0, one.stderr[-3000:]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two = command(*arguments, "--checkpoint", tmp_path / "two", launcher=launcher)
    assert two.returncode == 0, two.stderr[-3000:]
    found = [json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two")]
    assert [metrics["processes"] for metrics in found] == [1, 2]
    assert found[0]["epochs"] == found[1]["epochs"] == 6
    losses = []
    for name in ("one", "two"):
        newest = max((tmp_path / name).glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
        history = json.loads((newest / "trainer_state.json").read_text())["log_history"]
        losses.append([entry["loss"] for entry in history if "loss" in entry])
    assert len(losses[0]) == len(losses[1]) == 6
    assert losses[1][-1] < 0.9 * losses[1][0]
    assert losses[1][-1] == pytest.approx(losses[0][-1], rel=0.15)


def test_a_checkpoint_is_whole_or_not_there(tiny_imagenette, tmp_path, monkeypatch):
    """Stopped in the middle of writing, a run leaves no checkpoint-N that is not whole."""
    out = tmp_path / "out"

    def broken(self, file):
        raise RuntimeError("disk full")

    monkeypatch.setattr("train.ema.ExponentialAverage.save", broken)
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
        (["--recipe", "nonsense"], "--recipe must be one of compact, resnet18,"),
        (["--arch", "vgg16"], "arch must be one of resnet18"),
        (["--imagenette-root", "/nowhere", "--evaluate", "--checkpoint", "/nowhere/either"], "no checkpoint at"),
        (["--data", "/nowhere"], "there is no folder /nowhere"),
        (["--resume", "--checkpoint", "/nowhere"], "nothing to resume"),
        (["--resume", "/nowhere/checkpoint-3"], "not a checkpoint-N folder"),
        (["--epochs", "0"], "needs --initial"),
        (["--epochs", "0", "--initial", "x", "--tune-epochs"], "nothing to train"),
        (["--plain", "--initial", "compact"], "--plain trains from scratch"),
        (["--lr", "nan"], "--lr must be above 0; got nan"),
        (["--tune-lr", "0"], "--tune-lr must be above 0"),
        (["--attention-weight", "-1"], "--attention-weight must be between 0 and 1000"),
        (["--schedule", "31", "61", "--epochs", "60"], "--schedule 61 lies behind the last of 60 epochs"),
        (["--holdout", "1.5"], "--holdout must be between 0 and 0.9; got 1.5"),
        (["--test-size", "256", "--resize", "224"], "--test-size 256 cannot be cropped from a short side of 224"),
        (["--lr", "-1"], "--lr must be above 0"),
    ],
)
def test_faults_are_one_clear_line(arguments, words, capsys):
    assert main([*arguments, "--gpu-id", "cpu"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert words in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["--train-batch", "0"],
        ["--workers", "many"],
        ["--stem", "9x9"],
        ["--folds", "1"],
        ["--evaluate", "--resume"],
        ["--plain", "--attention-weight", "1"],
        ["--evaluate", "--initial", "one"],
        ["--teacher", "one"],
        ["--no-such-argument"],
        ["--max-steps", "0"],
        ["--initial", "compact", "--arch", "resnet50"],
        ["--folds", "3", "--resume", "checkpoint-5"],
    ],
)
def test_argparse_refuses_in_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert arguments[0] in error


def test_faults_of_the_data_are_named(tiny_imagenette, tmp_path, capsys):
    arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(tmp_path / "out"), *TINY]
    folder = tiny_imagenette / "imagenette2-160" / "train" / imagenette.WNIDS[4]
    broken = sorted(folder.iterdir())[1]
    broken.write_bytes(broken.read_bytes()[:200])
    other = next((tiny_imagenette / "imagenette2-160" / "val" / imagenette.WNIDS[2]).iterdir())
    whole = other.read_bytes()
    other.write_bytes(whole[:200])
    assert main([*arguments, "--epochs", "1"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: 1 of ")
    assert str(broken) in error
    assert not list((tmp_path / "out").glob("checkpoint-*"))
    assert not (tmp_path / "out" / "model.safetensors").exists()
    assert main([*arguments, "--epochs", "1", "--corrupt", "skip", "--holdout", "0", "--explain", "20"]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["training_pictures"], metrics["pictures"]) == (39, 19)
    assert metrics["explanation"]["pictures"] == 19
    for path in folder.iterdir():
        path.unlink()
    assert main([*arguments, "--checkpoint", str(tmp_path / "other")]) == 2
    assert f"{imagenette.WNIDS[4]} holds no picture" in capsys.readouterr().err


@pytest.mark.slow
def test_the_bundled_weights_are_as_good_as_their_metrics_say(imagenette_root):
    run = command("--evaluate", "--checkpoint", "abn/weights/compact", "--imagenette-root", imagenette_root)
    assert run.returncode == 0, run.stderr[-3000:]
    line = next(line for line in run.stdout.splitlines() if line.startswith("top-1"))
    assert float(line.split()[1]) >= 92.0
    assert "(3925 pictures;" in line
    stored = json.loads((ROOT / "abn/weights/compact/metrics.json").read_text())
    assert float(line.split()[1]) == pytest.approx(stored["top1"], abs=0.06)
