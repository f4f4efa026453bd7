"""What a run leaves, and what it refuses to leave: whole weights, readable files, nothing that has diverged."""

import functools
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import ROOT, TINY, made_up_picture
from safetensors.torch import load_file

from abn import Explainer, imagenette
from abn.checkpoints.convert import convert
from abn.files import by_umask, save_tensors, whole, whole_folder
from train import arguments
from train.recipes import RECIPES, recipe_of
from train.run import main, parse
from train.schedule import tuning_rounds
from train.trainer import AbnTrainer, checkpoints

ROUNDS = ["--tune-epochs", "2", "1", "--attention-weight", "1", "--teacher-size", "32"]
ROUNDS += ["--teacher-gradient-size", "32"]


def arguments_for(root: Path, out: Path, *more) -> list[str]:
    found = ["--imagenette-root", str(root), "--checkpoint", str(out), "--holdout", "0", *TINY, "--explain", "0"]
    return [*found, "--epochs", "3", "--eval-every", "1", *map(str, more)]


def kept_weights(out: Path) -> list[Path]:
    return [*out.rglob("model.safetensors"), *out.rglob("ema.safetensors"), *out.glob("round-*.safetensors")]


# Divergence


def test_a_run_that_diverges_stops_with_what_to_try(tiny_imagenette, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "train/run.py", *arguments_for(tiny_imagenette, out, "--lr", "1e30")]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    surroundings = {**os.environ, "TMPDIR": str(temporary)}
    run = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 1, run.stderr[-3000:]
    assert list(temporary.iterdir()) == []
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("error: the loss is not finite at step ")
    assert "of 15: try a lower --lr (1e+30 now)" in last
    assert int(last.split("at step ")[1].split()[0]) <= 3
    assert "Traceback" not in run.stderr
    assert kept_weights(out) == []
    assert not (out / "metrics.json").exists()


@pytest.mark.slow
def test_two_processes_stop_together(tiny_imagenette, tmp_path):
    """One of two has the loss that is not finite; both end, and one line is printed."""
    script = tmp_path / "run.py"
    script.write_text(
        "import os, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from train import run, trainer\n"
        "plain = trainer.AbnTrainer.compute_loss\n"
        "def broken(self, *given, **more):\n"
        "    loss = plain(self, *given, **more)\n"
        "    return loss * float('nan') if os.environ['RANK'] == '1' and self.state.global_step == 2 else loss\n"
        "trainer.AbnTrainer.compute_loss = broken\n"
        "sys.exit(run.main(sys.argv[1:]))\n"
    )
    out = tmp_path / "out"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    run = subprocess.run(
        [*launcher, *arguments_for(tiny_imagenette, out)], capture_output=True, text=True, timeout=200, check=False
    )
    assert run.returncode == 1, run.stderr[-3000:]
    assert run.stderr.count("error: the loss is not finite at step 3 of 15: try a lower --lr (0.05 now)") == 1
    assert kept_weights(out) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["weights", "average", "statistics"])
def test_what_is_not_finite_is_never_kept(where, value, tiny_imagenette, tmp_path, monkeypatch, capsys):
    """Broken after the eighth step, with a finite loss: the checkpoint and the best of epoch 1 stay, no other comes."""
    plain = AbnTrainer.optimizer_stepped

    def step_then_break(self):
        plain(self)
        if self.state.global_step == 10:
            states = {"weights": self.model.state_dict(), "average": self.ema.average}
            state = states.get(where, self.model.state_dict())
            name = next(n for n in state if n.endswith("running_var" if where == "statistics" else "bias"))
            state[name][0] = value

    monkeypatch.setattr(AbnTrainer, "optimizer_stepped", step_then_break)
    out = tmp_path / "out"
    assert main(arguments_for(tiny_imagenette, out)) == 1
    assert "not finite after step 10 of 15: try a lower --lr" in capsys.readouterr().err.strip().splitlines()[-1]
    assert [folder.name for folder in checkpoints(out)] == ["checkpoint-5"]
    assert kept_weights(out)
    for file in kept_weights(out):
        assert all(tensor.isfinite().all() for tensor in load_file(file).values()), file


def test_weights_beyond_half_precision_are_not_kept(tiny_imagenette, tmp_path, monkeypatch, capsys):
    plain = AbnTrainer.optimizer_stepped

    def step_then_grow(self):
        plain(self)
        bias = next(name for name in self.ema.average if name.endswith("bias"))
        self.ema.average[bias][0] = 70_000.0  # half precision ends at 65,504

    monkeypatch.setattr(AbnTrainer, "optimizer_stepped", step_then_grow)
    out = tmp_path / "out"
    assert main(arguments_for(tiny_imagenette, out, "--max-steps", "1")) == 1
    assert "not finite after step 1 of 1" in capsys.readouterr().err
    assert kept_weights(out) == []


def test_a_round_that_diverges_names_its_own_rate(tiny_imagenette, tmp_path, capsys):
    out = tmp_path / "out"
    more = [*ROUNDS, "--tune-lr", "1e30", "--epochs", "1"]
    assert main(arguments_for(tiny_imagenette, out, *more)) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "of 20: try a lower --tune-lr (1e+30 now), or a lower --attention-weight (1 now)" in error
    for file in kept_weights(out):
        assert all(tensor.isfinite().all() for tensor in load_file(file).values()), file


# Lengths


LENGTHS = [(1, []), (7, []), (1, ROUNDS), (7, ROUNDS)]
LENGTHS += [pytest.param(*one, marks=pytest.mark.slow) for one in [(35, []), (2, ROUNDS), (3, ROUNDS)]]


@pytest.mark.parametrize(("steps", "rounds"), LENGTHS)
def test_any_number_of_steps_ends_in_weights(steps, rounds, tiny_imagenette, tmp_path):
    """Five steps an epoch, three epochs, and three more with rounds: fewer steps than rounds, more than planned."""
    out = tmp_path / "out"
    assert main(arguments_for(tiny_imagenette, out, *rounds, "--max-steps", steps)) == 0
    assert checkpoints(out)[-1].name == f"checkpoint-{steps}"
    weights = load_file(out / "model.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert json.loads((out / "metrics.json").read_text())["top1"] >= 0


@pytest.mark.parametrize(
    ("steps", "rounds"), [(1, []), (2, [1]), (3, [1]), (4, [1]), (5, [1]), (6, [1, 2]), (30, [1, 2])]
)
def test_rounds_without_a_step_are_none(steps, rounds):
    """Three epochs, then rounds of two and one: they begin at 3/6 and 5/6 of the run, rounded up."""
    recipe = RECIPES["compact"].but(epochs=3, tune_epochs=(2, 1))
    assert tuning_rounds(recipe, steps) == rounds


# What the output folder ends in


def states(file: Path) -> dict[str, torch.Tensor]:
    return {name: tensor.float() for name, tensor in load_file(file).items() if tensor.is_floating_point()}


def made_scores(monkeypatch, values: list[float]):
    """What evaluations on the way are to find, in place of what they would."""
    plain, scores = AbnTrainer.keep_best, iter(values)
    monkeypatch.setattr(AbnTrainer, "keep_best", lambda self, found: plain(self, {**found, "eval_top1": next(scores)}))


def test_without_rounds_the_best_weights_are_kept(tiny_imagenette, tmp_path, monkeypatch, capsys):
    made_scores(monkeypatch, [10.0, 40.0, 30.0])
    out = tmp_path / "out"
    assert main(arguments_for(tiny_imagenette, out)) == 0
    of_epoch_2 = load_file(out / "checkpoint-10" / "ema.safetensors")
    ours = states(out / "model.safetensors")
    assert all(torch.equal(tensor, of_epoch_2[name].half().float()) for name, tensor in ours.items())
    assert any(
        not torch.equal(tensor, load_file(out / "checkpoint-15" / "ema.safetensors")[name].half().float())
        for name, tensor in ours.items()
    )
    metrics = json.loads((out / "metrics.json").read_text())
    words = "the best on the validation split, 40.00 % after epoch 2"
    assert (metrics["weights"], metrics["best"]) == (words, {"top1": 40, "epoch": 2})
    assert f"weights: {words}" in capsys.readouterr().out
    assert f"- weights: {words}" in (out / "README.md").read_text()


def test_with_rounds_their_mean_is_kept(tiny_imagenette, tmp_path, monkeypatch, capsys):
    made_scores(monkeypatch, [90.0, 10.0, 10.0, 10.0])
    out = tmp_path / "out"
    more = [*ROUNDS, "--epochs", "1", "--holdout", "0.25", "--before-share", "0"]
    assert main(arguments_for(tiny_imagenette, out, *more)) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["weights"] == "the mean of 2 fine-tuning rounds"
    first = load_file(out / "round-1.safetensors")
    last = load_file(checkpoints(out)[-1] / "ema.safetensors")
    for name, tensor in states(out / "model.safetensors").items():
        mean = torch.stack([last[name], first[name]]).mean(0)
        if ".map_norm.weight" in name or ".map_norm.bias" in name:
            mean *= RECIPES["compact"].remedy.steepness
        assert torch.equal(tensor, mean.half().float()), name


def test_of_rounds_that_are_not_averaged_the_last_ones_best_is_kept(tiny_imagenette, tmp_path, monkeypatch):
    """The class training had the higher score, but not yet what the rounds teach."""
    made_scores(monkeypatch, [90.0, 20.0, 10.0])
    out = tmp_path / "out"
    more = ["--recipe", "paper", "--arch", "resnet18", "--schedule", "--epochs", "1", "--tune-epochs", "2"]
    more += ["--attention-weight", "0"]
    assert main(arguments_for(tiny_imagenette, out, *more)) == 0
    assert json.loads((out / "metrics.json").read_text())["best"] == {"top1": 20, "epoch": 2}


def test_a_rerun_writes_the_same_bytes(tmp_path):
    """On 200 training pictures, by all that the recipe has: maps, mixed pictures, no class, weights of before."""
    for split, count in (("train", 20), ("val", 1)):
        for index, wnid in enumerate(imagenette.WNIDS):
            folder = tmp_path / "imagenette2-160" / split / wnid
            folder.mkdir(parents=True)
            for number in range(count):
                made_up_picture(64, 48, seed=100 * index + number).save(folder / f"{number:02d}.png")
    found = []
    for out in (tmp_path / "one", tmp_path / "other"):
        more = [*ROUNDS, "--epochs", "1", "--tune-epochs", "1", "1", "--outliers", "0.25"]
        more += ["--cutmix", "0.5", "--before-share", "0.3", "--train-batch", "32"]
        assert main([*arguments_for(tmp_path, out), *more]) == 0
        metrics = json.loads((out / "metrics.json").read_text())
        assert metrics["training_pictures"] == 200
        found.append(((out / "model.safetensors").read_bytes(), metrics["sha256"], metrics["command"]))
    assert found[0][0] == found[1][0]
    assert found[0][1] == found[1][1]
    assert found[0][2].replace("one", "other") == found[1][2]


# A bare --arch


@pytest.mark.parametrize(
    ("line", "recipe", "fields"),
    [
        ("--arch resnet152", "paper", {"arch": "resnet152", "width": 64, "epochs": 90, "schedule": (31, 61)}),
        ("--arch resnet18", "paper", {"arch": "resnet18", "width": 64, "stem": "7x7", "padding": "zeros"}),
        ("-a ResNet50 --data x", "paper", {"width": 64, "attention_head": "A"}),
        ("--arch se-resnet101", "paper", {"arch": "se-resnet101", "width": 64}),
        ("--arch resnet20-cifar", "cifar-resnet110", {"arch": "resnet20-cifar", "width": 64, "sizes": (32,)}),
        ("--arch densenet40-12-cifar", "cifar-densenet", {"train_batch": 64}),
        ("--arch wrn16-4-cifar", "cifar-wrn", {"gamma": 0.2, "dropout": 0.3}),
        ("--arch resnext29-8x64-cifar", "cifar-resnext", {"attention_head": "D"}),
        ("--arch resnet101 --multitask v2", "multitask", {"multitask": "v2", "width": 64}),
        ("--arch resnet101 --dataset celeba", "multitask", {"multitask": "v1"}),
        ("--arch vit", "vit-imagenette", {"width": 384}),
        ("--arch vit --dataset mnist", "vit-mnist", {"width": 256}),
        ("--arch resnet34 --width 16", "compact", {"arch": "resnet34", "width": 16}),
        ("--recipe compact --arch resnet34", "compact", {"arch": "resnet34", "width": 32}),
        ("--recipe resnet50 --arch resnet101", "resnet50", {"width": 64, "stem": "3x3x3"}),
        ("", "compact", {"arch": "resnet18", "width": 32}),
    ],
)
def test_a_bare_arch_is_the_standard_network(line, recipe, fields):
    args = parse(line.split())
    assert args.recipe == recipe
    found = recipe_of(args)
    assert {name: found.values()[name] for name in fields} == fields


def test_the_recipe_is_told(tiny_imagenette, tmp_path, capsys):
    out = tmp_path / "out"
    small = arguments_for(tiny_imagenette, out)
    place = small.index("--width")
    del small[place : place + 2]
    assert main([*small, "--arch", "resnet18", "--schedule", "--max-steps", "1"]) == 0
    assert "recipe paper: resnet18 of width 64, 3 epochs" in capsys.readouterr().out.splitlines()
    assert json.loads((out / "config.json").read_text())["width"] == 64
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["recipe"], metrics["network"]) == ("paper", "resnet18 of width 64")


# Compiled


@pytest.mark.parametrize("start", [[], ["--initial", "compact"], ["--initial", "compact", "--padding", "replicate"]])
def test_compiling_replicated_borders_is_refused(start, tiny_imagenette, tmp_path, capsys):
    tiny = arguments_for(tiny_imagenette, tmp_path / "out")
    if start:
        del tiny[tiny.index("--width") : tiny.index("--width") + 2]
    assert main([*tiny, "--compile", *start]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: --compile does not go with --padding replicate")
    assert error.endswith("use --padding zeros, or leave --compile out")


def compiled_run(root, out):
    assert main(arguments_for(root, out, "--compile", "--padding", "zeros", "--max-steps", "1")) == 0
    for file in kept_weights(out):
        assert not any("_orig_mod" in name for name in load_file(file)), file
    assert {out / "model.safetensors", out / "checkpoint-1" / "ema.safetensors"} <= set(kept_weights(out))
    assert Explainer.from_pretrained(out, device="cpu").labels[0] == "tench"
    assert Explainer.from_pretrained(out / "checkpoint-1", device="cpu").labels[0] == "tench"


@pytest.mark.slow
def test_a_compiled_runs_weights_load(tiny_imagenette, tmp_path, monkeypatch):
    """By a compiler that runs the graphs as they are, without C++."""
    compiled, seen = arguments.TrainingArguments, []
    backend = functools.partial(compiled, torch_compile_backend="eager")
    monkeypatch.setattr(arguments, "TrainingArguments", backend)
    plain = AbnTrainer.training_step
    monkeypatch.setattr(
        AbnTrainer, "training_step", lambda self, model, *more: seen.append(type(model)) or plain(self, model, *more)
    )
    try:
        compiled_run(tiny_imagenette, tmp_path / "out")
    finally:
        torch._dynamo.reset()
        for name in [name for name in os.environ if name.startswith("ACCELERATE_DYNAMO")]:
            del os.environ[name]
    assert "OptimizedModule" in {kind.__name__ for kind in seen}


@pytest.mark.slow
def test_a_compiled_run(tiny_imagenette, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    try:
        compiled_run(tiny_imagenette, tmp_path / "out")
    finally:
        torch._dynamo.reset()
        for name in [name for name in os.environ if name.startswith("ACCELERATE_DYNAMO")]:
            del os.environ[name]


# Permissions


@pytest.fixture
def umask():
    """Sets the umask for a test: umask(0o027)."""
    old = os.umask(0o022)
    yield os.umask
    os.umask(old)


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


@pytest.mark.parametrize("mask", [pytest.param(0o022, marks=pytest.mark.slow), 0o027])
def test_what_a_run_writes_has_the_umasks_permissions(mask, umask, tiny_imagenette, tmp_path):
    umask(mask)
    out = tmp_path / "out"
    more = [*ROUNDS, "--cache", tmp_path / "cache", "--explain", "2", "--max-steps", "12"]
    assert main(arguments_for(tiny_imagenette, out, *more, "--holdout", "0.25")) == 0
    convert(out, tmp_path / "converted")
    written = {"model.safetensors", "best/model.safetensors", "round-1.safetensors", "teacher-maps-2.safetensors"}
    written |= {"checkpoint-12/ema.safetensors", "checkpoint-12/model.safetensors", "metrics.json", "README.md"}
    assert written <= set(modes(out))
    for folder in (out, tmp_path / "cache", tmp_path / "converted"):
        for name, mode in modes(folder).items():
            assert mode == (0o777 if (folder / name).is_dir() else 0o666) & ~mask, name


def test_a_file_is_whole_or_not_there(tmp_path, umask):
    umask(0o027)
    file = tmp_path / "folder" / "weights.txt"
    with whole(file) as aside:
        aside.write_text("first")
        aside.chmod(0o600)
    assert (file.read_text(), modes(tmp_path)) == ("first", {"folder": 0o750, "folder/weights.txt": 0o640})
    with pytest.raises(ZeroDivisionError), whole(file) as aside:
        aside.write_text(f"second {1 / 0}")
    assert file.read_text() == "first"
    assert [path.name for path in file.parent.iterdir()] == ["weights.txt"]


def test_a_folder_is_whole_or_what_was_there_before(tmp_path):
    folder = tmp_path / "kept"
    with whole_folder(folder) as aside:
        (aside / "one").write_text("first")
        assert not folder.exists()
    with pytest.raises(ZeroDivisionError), whole_folder(folder) as aside:
        (aside / "one").write_text(f"second {1 / 0}")
    assert (folder / "one").read_text() == "first"
    with whole_folder(folder) as aside:
        (aside / "two").write_text("second")
    assert [(file.name, file.read_text()) for file in folder.iterdir()] == [("two", "second")]
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_tensors_need_not_be_contiguous_to_be_saved(tmp_path):
    turned = torch.arange(6.0).view(2, 3).T
    save_tensors({"turned": turned}, tmp_path / "turned.safetensors")
    assert torch.equal(load_file(tmp_path / "turned.safetensors")["turned"], turned)
    assert [file.name for file in tmp_path.iterdir()] == ["turned.safetensors"]


def test_by_umask_opens_and_closes(tmp_path, umask):
    for mask, before in ((0o022, 0o600), (0o077, 0o644)):
        umask(mask)
        file = tmp_path / "file"
        file.write_text("")
        file.chmod(before)
        by_umask(file)
        assert modes(tmp_path) == {"file": 0o666 & ~mask}
        file.unlink()
