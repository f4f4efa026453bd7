"""What is transformers' own in a run: added gradients, precision, an early stop, where to report to."""

import contextlib
import json

import pytest
import torch
from helpers import TINY, tiny_model, train, trainer_of
from torch import nn

from train import checks, fit
from train.arguments import training_arguments
from train.checks import check_precision, check_report
from train.dataset import PictureDataset
from train.processes import synchronised
from train.recipes import Recipe
from train.recipes.recipe import Network, Training
from train.settings import Settings
from train.trainer import AbnTrainer, checkpoints

SIDE = 32
RECIPE = Recipe(
    Network(arch="resnet18", width=8),
    Training(
        sizes=(SIDE,),
        test_size=SIDE,
        resize=SIDE,
        crop_area=(1.0, 1.0),
        crop_aspect=(1.0, 1.0),
        mirror=False,
        ema_decay=0.9,
        lr=0.001,  # larger ones blow rounding up
        epochs=2,
    ),
)


def pictures(count=64):
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(256, (count, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    return PictureDataset(values, torch.arange(count) % 10, torch.ones(count))


def with_frozen_norms():
    """A network whose batch norms keep their statistics also while it is trained: a batch's parts are its sum then."""
    model = tiny_model(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
            module.train = lambda mode=True, module=module: module
    return model


def trained(folder, train_batch, accumulate, kind=AbnTrainer):
    torch.manual_seed(0)
    recipe = RECIPE.but(train_batch=train_batch, accumulate=accumulate)
    trainer = trainer_of(recipe, with_frozen_norms(), pictures(), folder, steps=2, kind=kind, precision="float32")
    trainer.add_callback(fit.AfterStep(trainer, 9))
    trainer.go(None)
    return trainer


def test_two_batches_of_32_are_a_step_of_64(tmp_path):
    one, two = trained(tmp_path / "one", 64, 1), trained(tmp_path / "two", 32, 2)
    assert [trainer.state.global_step for trainer in (one, two)] == [2, 2]
    assert [trainer.ema.steps for trainer in (one, two)] == [2, 2]
    assert one.lr_scheduler.last_epoch == two.lr_scheduler.last_epoch == 2
    before, moved = tiny_model(0).state_dict(), 0.0
    for states in ((one.model.state_dict(), two.model.state_dict()), (one.ema.average, two.ema.average)):
        for name, tensor in states[0].items():
            if tensor.is_floating_point():
                assert torch.allclose(tensor, states[1][name], atol=1e-6), name
                moved = max(moved, (tensor - before[name]).abs().max().item())
    assert moved > 1e-3  # a thousand times that


def test_each_batch_of_a_step_draws_its_own(tmp_path):
    class Noting(AbnTrainer):
        def compute_loss(self, model, *given, **more):
            if model.training:
                self.__dict__.setdefault("seeds", []).append(self._generator().initial_seed())
            return super().compute_loss(model, *given, **more)

    one, four = trained(tmp_path / "one", 16, 1, Noting), trained(tmp_path / "four", 16, 4, Noting)
    assert len(set(one.seeds)) == len(one.seeds) == 2
    assert len(set(four.seeds)) == len(four.seeds) == 8
    assert four.seeds[::4] == one.seeds  # the first of a step is as without accumulation


def test_the_command_counts_the_pictures_of_all_batches(tiny_imagenette, tmp_path):
    out = tmp_path / "out"
    arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(out), *TINY, "--holdout", "0"]
    assert train([*arguments, "--accumulate", "2", "--epochs", "1", "--explain", "0"]) == 0
    assert checkpoints(out)[-1].name == "checkpoint-3"  # five batches of 8: two, two and one
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["epochs"] == 1
    assert json.loads((out / "run.json").read_text())["fixed"]["accumulate"] == 2


# Precision and reports


def test_the_precision_is_the_one_asked_for(tmp_path):
    for precision, expected in (("float32", (False, False)), ("bf16", (True, False))):
        arguments = training_arguments(Settings(precision=precision), RECIPE, tmp_path)
        assert (arguments.bf16, arguments.fp16) == expected


def test_half_precision_needs_a_device_that_has_it(monkeypatch):
    monkeypatch.setattr(checks.torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="--precision fp16 needs a CUDA device"):
        check_precision("fp16")
    check_precision("bf16")
    monkeypatch.setattr(checks.torch.cuda, "is_available", lambda: True)
    check_precision("fp16")


def test_where_to_report_to(tmp_path, monkeypatch, capsys):
    assert training_arguments(Settings(report_to=["none"]), RECIPE, tmp_path).report_to == []
    for name, available in (("wandb", "wandb"), ("comet_ml", "comet")):
        monkeypatch.setattr(checks.integration_utils, f"is_{available}_available", lambda: False)
        assert train(["--report-to", name, "--gpu-id", "cpu", "--checkpoint", str(tmp_path)]) == 2
        words = f"error: --report-to {name} needs a package that is not installed (pip install {name})\n"
        assert capsys.readouterr().err.endswith(words)
        monkeypatch.setattr(checks.integration_utils, f"is_{available}_available", lambda: True)
        check_report([name])
    for name in checks.integration_utils.INTEGRATION_TO_CALLBACK:  # each has a question of its own
        with contextlib.suppress(ValueError):
            check_report([name])
    with pytest.raises(ValueError, match=r"--report-to must be none, all, or some of .*, wandb, .*; got 'paper'"):
        check_report(["none", "paper"])


# Stopping early


def scored(monkeypatch, values):
    """What evaluations on the way are to find."""
    scores = iter(values)
    monkeypatch.setattr(fit, "of_prediction", lambda prediction: {"top1": next(scores)})


def test_a_run_stops_where_nothing_has_risen(tiny_imagenette, tmp_path, monkeypatch):
    """Also one that was interrupted on the way; and what has stopped is not gone on with."""
    out = tmp_path / "out"
    arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(out), *TINY, "--holdout", "0"]
    arguments += ["--explain", "0", "--epochs", "9", "--eval-every", "1", "--patience", "2"]
    save = AbnTrainer._save_checkpoint

    def save_then_stop(self, model, trial):
        save(self, model, trial)
        if self.state.global_step == 15:
            raise KeyboardInterrupt

    scored(monkeypatch, [10.0, 40.0, 40.0, 39.0])
    with monkeypatch.context() as stopped:
        stopped.setattr(AbnTrainer, "_save_checkpoint", save_then_stop)
        assert train(arguments) == 130
    assert train([*arguments, "--resume"]) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["epochs"], metrics["best"]) == (4, {"top1": 40, "epoch": 2})
    assert train([*arguments, "--resume"]) == 0  # no score is left to ask for
    assert json.loads((out / "metrics.json").read_text())["epochs"] == 4


def test_rounds_and_patience_contradict_each_other(tmp_path, capsys):
    assert train(["--patience", "2", "--tune-epochs", "1", "--gpu-id", "cpu", "--checkpoint", str(tmp_path)]) == 2
    assert "error: --patience stops a class training" in capsys.readouterr().err


# Several devices


def test_synchronised_norms_keep_their_names(monkeypatch):
    with pytest.raises(ValueError, match="--sync-batch-norm is for several CUDA devices"):
        synchronised(tiny_model(), 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    model = tiny_model()
    names, norms = list(model.state_dict()), sum(isinstance(part, nn.BatchNorm2d) for part in model.modules())
    assert not any(isinstance(part, nn.SyncBatchNorm) for part in synchronised(model, 1).modules())
    made = synchronised(model, 2)
    assert sum(isinstance(part, nn.SyncBatchNorm) for part in made.modules()) == norms > 0
    assert list(made.state_dict()) == names
