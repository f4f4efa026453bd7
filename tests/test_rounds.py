"""A run step by step, replayed with plain formulas from its own gradients, and what its steps are given to see."""

import itertools
import json

import pytest
import torch
from helpers import coordinates, tiny_model, trainer_of
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torch.utils.data import default_collate
from transformers import TrainerCallback

from abn.tuning import quick_arithmetic
from train import rounds
from train import trainer as trainer_module
from train.dataset import PictureDataset, normalised
from train.networks import build_processor
from train.parameters import freeze_features
from train.plain import PlainConfig, PlainForImageClassification
from train.recipes import Recipe
from train.recipes.recipe import Network, Rounds, Training
from train.remedy import GRID, teacher_maps
from train.schedule import place
from train.trainer import AbnTrainer

COUNT, SIDE = 4, 64
RECIPE = Recipe(
    Network(arch="resnet18", width=8),
    Training(
        epochs=3,
        sizes=(32,),
        train_batch=COUNT,
        lr=0.1,
        weight_decay=0.05,
        momentum=0.8,
        schedule=(1, 2),
        gamma=0.5,
        ema_decay=0.9,
    ),
    Rounds(tune_epochs=(2, 2), tune_size=32, tune_lr=0.02, tune_warmup=0.0, tune_crop_area=(0.5, 1.0)),
)
STEPS = 7  # one an epoch
STARTS = (0, 3, 5)  # of the class training and of both rounds
RATES = (0.1, 0.05, 0.025, 0.02, 0.01, 0.02, 0.01)  # halved at epochs 1 and 2; a cosine from 0.02 in each round


def pictures() -> PictureDataset:
    generator = torch.Generator().manual_seed(0)
    made = torch.randint(0, 256, (COUNT, 3, SIDE, SIDE), generator=generator).byte()
    return PictureDataset(made, torch.arange(COUNT), torch.ones(COUNT))


class Notes(TrainerCallback):
    """Every step's gradients and the state that it left."""

    def __init__(self):
        self.gradients, self.states = [], []

    def on_optimizer_step(self, args, state, control, model, **kwargs):
        self.gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
        self.states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})


class Averaging(TrainerCallback):
    """Calls the trainer after every step, as a run does."""

    trainer: AbnTrainer

    def on_step_end(self, args, state, control, **kwargs):
        self.trainer.optimizer_stepped()


def run(recipe, folder, data=None, kind=AbnTrainer, **more):
    """The trainer after the run, its notes, and the weights that it began with."""
    model, notes, averaging = tiny_model(), Notes(), Averaging()
    begun = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trainer = trainer_of(recipe, model, data or pictures(), folder, STEPS, kind, **more)
    averaging.trainer = trainer
    trainer.add_callback(notes)
    trainer.add_callback(averaging)
    trainer.train()
    assert len(notes.states) == STEPS
    return trainer, notes, begun


def decayed(model) -> set[str]:
    """Names of the weights of convolutions and linear layers: neither norms nor biases."""
    return {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))}


def averages(begun, states):
    """The averaged weights after every step, from each round's start."""
    average, after = dict(begun), []
    for step, state in enumerate(states):
        n = step - max(start for start in STARTS if start <= step) + 1
        keep = min(0.9, (1 + n) / (10 + n))
        average = {
            name: keep * average[name] + (1 - keep) * now if now.is_floating_point() else now
            for name, now in state.items()
        }
        after.append(average)
    return after


def assert_close(found, expected, names):
    for name in names:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("nesterov", [False, True])
def test_each_round_starts_anew_from_the_averaged_weights(nesterov, tmp_path):
    """Momentum, decay of convolutions' and linear weights alone, rates, averages: nothing is kept but the average."""
    trainer, notes, begun = run(RECIPE.but(nesterov=nesterov, average_rounds=True), tmp_path)
    names, average = decayed(trainer.model), averages(begun, notes.states)
    before = begun
    for step, (gradients, state) in enumerate(zip(notes.gradients, notes.states, strict=True)):
        if step in STARTS:
            velocity = dict.fromkeys(gradients, 0.0)
            before = average[step - 1] if step else begun
        expected = {}
        for name, gradient in gradients.items():
            pull = gradient + (0.05 * before[name] if name in names else 0.0)
            velocity[name] = 0.8 * velocity[name] + pull
            move = pull + 0.8 * velocity[name] if nesterov else velocity[name]
            expected[name] = before[name] - RATES[step] * move
        assert_close(state, expected, gradients)
        before = state
    assert_close(trainer.ema.average, average[-1], begun)
    assert_close(load_file(tmp_path / "round-1.safetensors"), average[4], begun)
    assert not (tmp_path / "round-2.safetensors").exists()
    with trainer.averaged() as averaged:
        assert_close(averaged.state_dict(), average[-1], begun)
    assert_close(trainer.model.state_dict(), notes.states[-1], begun)
    assert trainer.save_result(tmp_path / "end", "") == {"weights": "the mean of 2 fine-tuning rounds"}
    mean = {name: (average[4][name] + average[-1][name]) / 2 for name in gradients}
    assert_close(load_file(tmp_path / "end" / "model.safetensors"), mean, gradients)


@pytest.mark.parametrize("lengths", [(4,), (2, 2)], ids=["one round", "two rounds"])
def test_a_share_of_what_the_class_training_ended_in_goes_into_the_mean(lengths, tmp_path):
    """Its averaged weights, a quarter of every number, before the map is made steeper."""
    recipe = TEACHING.but(tune_epochs=lengths, average_rounds=True, attention_weight=1.0, steepness=1.5)
    trainer, notes, begun = run(recipe.but(before_share=0.25), tmp_path)
    start = averages(begun, notes.states)[2]
    assert_close(load_file(tmp_path / "round-0.safetensors"), start, begun)
    rounds = [dict(trainer.ema.average), *([load_file(tmp_path / "round-1.safetensors")] if len(lengths) > 1 else [])]
    said = trainer.save_result(tmp_path / "end", "")
    what = "the mean of 2 fine-tuning rounds" if len(lengths) > 1 else "the fine-tuning round's"
    assert said == {"weights": f"{what}, with 25% of the weights before"}
    for name, saved in load_file(tmp_path / "end" / "model.safetensors").items():
        if saved.is_floating_point():
            mean = sum(state[name] for state in rounds) / len(rounds)
            expected = 0.25 * start[name] + 0.75 * mean
            steep = ".map_norm.weight" in name or ".map_norm.bias" in name
            torch.testing.assert_close(saved, expected * (1.5 if steep else 1), rtol=1e-5, atol=1e-6, msg=name)
    (tmp_path / "round-0.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"round-0\.safetensors is missing: .* cannot be resumed"):
        trainer.save_result(tmp_path / "end", "")


@pytest.mark.parametrize(("weight", "factor"), [(1.0, 1.5), (0.0, 1.0)], ids=["taught", "not taught"])
def test_the_map_of_the_mean_is_as_steep_as_the_recipe_says(weight, factor, tmp_path):
    trainer, _, _ = run(TEACHING.but(average_rounds=True, attention_weight=weight, steepness=1.5), tmp_path)
    last = dict(trainer.ema.average)
    trainer.save_result(tmp_path / "end", "")
    first, saved = load_file(tmp_path / "round-1.safetensors"), load_file(tmp_path / "end" / "model.safetensors")
    for name, other in saved.items():
        if other.is_floating_point():
            steep = ".map_norm.weight" in name or ".map_norm.bias" in name
            expected = (first[name] + last[name]) / 2 * (factor if steep else 1)
            torch.testing.assert_close(other, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("decay", [0.9, 0.0], ids=["averaged", "not averaged"])
def test_features_that_are_frozen_stay_as_the_class_training_left_them(decay, tmp_path):
    """To the bit, but for their batch norms' statistics, which follow the round's pictures; the branches learn."""
    trainer, notes, begun = run(RECIPE.but(freeze_features=True, ema_decay=decay), tmp_path)
    kept = {name for name in begun if name.startswith("model.features.") and name.endswith(("weight", "bias"))}
    start = averages(begun, notes.states)[2] if decay else notes.states[2]
    assert_close(notes.states[3], start, kept)
    for before, state in itertools.pairwise(notes.states[3:]):
        assert all(torch.equal(state[name], before[name]) for name in kept)
        same = {name for name, tensor in state.items() if torch.equal(tensor, before[name])}
        assert same == kept
    if decay:
        assert_close(trainer.ema.average, start, kept)
    for before, state in itertools.pairwise(notes.states[:3]):
        assert not any(torch.equal(state[name], before[name]) for name in kept if name.endswith("conv1.weight"))


@pytest.mark.parametrize("kind", ["abn", "plain", "compiled"])
def test_features_are_frozen_in_every_kind_of_network(kind):
    model = tiny_model()
    if kind == "plain":
        model = PlainForImageClassification(PlainConfig.from_dict(model.config.to_dict()))
    if kind == "compiled":
        model = torch.compile(model)
    freeze_features(model)
    names = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert names == {name for name, _ in model.named_parameters() if "features" in name.split(".")} != set()


def test_adam_decays_beside_the_gradient(tmp_path):
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), its moments new in each round."""
    trainer, notes, begun = run(RECIPE.but(optimizer="adam"), tmp_path)
    names, average = decayed(trainer.model), averages(begun, notes.states)
    before = begun
    for step, (gradients, state) in enumerate(zip(notes.gradients, notes.states, strict=True)):
        if step in STARTS:
            first, second, n = dict.fromkeys(gradients, 0.0), dict.fromkeys(gradients, 0.0), 0
            before = average[step - 1] if step else begun
        expected, n = {}, n + 1
        for name, gradient in gradients.items():
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.999 * second[name] + 0.001 * gradient**2
            move = first[name] / (1 - 0.9**n) / ((second[name] / (1 - 0.999**n)).sqrt() + 1e-8)
            kept = (1 - RATES[step] * 0.05) * before[name] if name in names else before[name]
            expected[name] = kept - RATES[step] * move
        for name, values in expected.items():
            torch.testing.assert_close(state[name], values, rtol=1e-3, atol=1e-5)
        before = state


def test_without_averages_a_round_goes_on_from_the_weights_themselves(tmp_path):
    trainer, notes, _ = run(RECIPE.but(ema_decay=0.0, momentum=0.0, weight_decay=0.0), tmp_path)
    assert trainer.ema is None
    expected = {name: notes.states[2][name] - 0.02 * gradient for name, gradient in notes.gradients[3].items()}
    assert_close(notes.states[3], expected, expected)
    assert not list(tmp_path.glob("round-*"))


# What the steps see


class Watching(AbnTrainer):
    """Notes what every step's loss is computed from."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        if model.training:
            self.__dict__.setdefault("seen", []).append(dict(inputs))
        return super().compute_loss(model, inputs, *args, **kwargs)


SEEN = RECIPE.but(sizes=(32, 48), tune_size=64, crop_area=(0.4, 0.4), tune_crop_area=(0.2, 0.2), crop_aspect=(1.0, 1.0))


def marked(aspect: float = 2.0) -> PictureDataset:
    """Red is the column and green the row, four levels a pixel; blue and the label say which picture it is."""
    stack = coordinates(SIDE)[None].repeat(COUNT, 1, 1, 1)
    stack[:, 2] = 40 * torch.arange(COUNT).view(-1, 1, 1)
    return PictureDataset(stack, torch.arange(COUNT), torch.full((COUNT,), aspect))


def spans(batch):
    """(B,) widths and heights of the crops, as shares of a side, and whether each is mirrored."""
    pictures, size = batch["pixel_values"], batch["pixel_values"].shape[-1]
    columns, rows = pictures[:, 0].mean(1), pictures[:, 1].mean(2)
    widths, heights = ((ramp[:, -2] - ramp[:, 1]) / (size - 3) * size / 256 for ramp in (columns, rows))
    return widths.abs(), heights, widths < 0


def test_crops_and_sizes_are_each_phases_own(tmp_path):
    """In pictures that were twice as wide as high before they were squashed, a square part is half as wide as high."""
    trainer, _, _ = run(SEEN, tmp_path, marked(), Watching)
    assert [batch["pixel_values"].shape[-1] for batch in trainer.seen] == [32, 32, 48, 64, 64, 64, 64]
    mirrored = []
    for step, batch in enumerate(trainer.seen):
        widths, heights, turned = spans(batch)
        torch.testing.assert_close(widths / heights, torch.full((COUNT,), 0.5), rtol=0.05, atol=0.0)
        area = 0.4 if step < STARTS[1] else 0.2
        torch.testing.assert_close(widths * heights, torch.full((COUNT,), area), rtol=0.05, atol=0.0)
        assert torch.equal((batch["pixel_values"][:, 2] / 40).round().mean((1, 2)), batch["labels"].float())
        assert not {"mix", "maps"} & set(batch)
        mirrored += turned.tolist()
    assert 5 < sum(mirrored) < 23  # of 28
    corners = [batch["pixel_values"][:, :2, :2, :2].mean().item() for batch in trainer.seen[3:]]
    assert len({round(corner) for corner in corners}) > 2  # every step draws its own
    again, _, _ = run(SEEN, tmp_path, marked(), Watching)
    for one, other in zip(trainer.seen, again.seen, strict=True):
        assert torch.equal(one["pixel_values"], other["pixel_values"])


def test_without_mirrors_the_crops_are_the_same_but_for_them(tmp_path):
    trainer, _, _ = run(SEEN, tmp_path, marked(), Watching)
    plain, _, _ = run(SEEN.but(mirror=False), tmp_path, marked(), Watching)
    for batch, other in zip(trainer.seen, plain.seen, strict=True):
        turned = spans(batch)[2].view(-1, 1, 1, 1)
        expected = torch.where(turned, batch["pixel_values"].flip(3), batch["pixel_values"])
        torch.testing.assert_close(other["pixel_values"], expected, rtol=0, atol=0.01)


def test_pictures_are_mixed_with_their_partners_where_the_recipe_says(tmp_path):
    for recipe, mixed in (
        (SEEN.but(cutmix=1.0), [True] * 3 + [False] * 4),
        (SEEN, [False] * 7),
    ):
        trainer, _, _ = run(recipe, tmp_path, marked(), Watching)
        assert ["mix" in batch for batch in trainer.seen] == mixed
        for batch in trainer.seen:
            mix, blue = batch.get("mix"), (batch["pixel_values"][:, 2] / 40).round()
            own = batch["labels"].float().view(-1, 1, 1).expand_as(blue)
            if mix is not None:
                own = own.clone()
                partners = batch["labels"][mix.partners].float()
                own[:, mix.top : mix.bottom, mix.left : mix.right] = partners.view(-1, 1, 1)
                size = blue.shape[-1]
                box = (mix.bottom - mix.top) * (mix.right - mix.left)
                assert mix.share == pytest.approx(1 - box / size**2)
            assert torch.equal(blue, own)


def test_each_picture_brings_its_own_map_cropped_and_mirrored_alike(tmp_path, monkeypatch):
    ramp = (torch.arange(GRID) + 0.5) / GRID
    maps = (ramp + 2 * ramp[:, None]) / 3 * torch.tensor([0.25, 0.5, 0.75, 1.0]).view(COUNT, 1, 1, 1)
    recipe = SEEN.but(attention_weight=1.0)
    monkeypatch.setattr(rounds, "teacher_maps", lambda *given: maps.half())
    trainer, _, _ = run(recipe, tmp_path, marked(), Watching)
    assert ["maps" in batch for batch in trainer.seen] == [False] * 3 + [True] * 4
    for batch in trainer.seen[3:]:
        red, green = batch["pixel_values"][:, 0], batch["pixel_values"][:, 1]
        expected = F.avg_pool2d((red + 2 * green + 3 * 2)[:, None] / 3 / 256, 16)  # a pixel's centre lies 2 levels on
        expected = expected * ((batch["labels"] + 1) / COUNT).view(-1, 1, 1, 1)
        assert batch["maps"].shape == expected.shape
        assert (batch["maps"] - expected).abs().max() < 0.02


def test_shifted_pictures_keep_their_size(tmp_path):
    """With `pad` there is no crop: whole pixels move, and black comes in."""
    recipe = RECIPE.but(pad=3, epochs=7, sizes=(SIDE,), tune_epochs=(), mirror=False)
    trainer, _, _ = run(recipe, tmp_path, marked(), Watching)
    shifts = set()
    for batch in trainer.seen:
        for picture, label in zip(batch["pixel_values"], batch["labels"].tolist(), strict=True):
            padded = F.pad(trainer.train_dataset.pictures[label], (3, 3, 3, 3))
            fits = [
                (y, x) for y in range(7) for x in range(7) if torch.equal(padded[:, y : y + 64, x : x + 64], picture)
            ]
            assert len(fits) == 1
            shifts.add(fits[0])
    assert len(shifts) > 7


def test_each_seed_and_each_process_draws_its_own(tmp_path, monkeypatch):
    recipe = SEEN.but(epochs=1, tune_epochs=(), schedule=())
    trainer, _, _ = run(recipe, tmp_path, marked(), Watching)
    seeds = set()
    for seed, process, step in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)):
        trainer.args.seed, trainer.state.global_step = seed, step
        monkeypatch.setattr(type(trainer.args), "process_index", property(lambda _, process=process: process))
        batch = default_collate([trainer.train_dataset[i] for i in range(COUNT)])
        trainer.training_step(trainer.model, batch)
        seeds.add(tuple(trainer.seen[-1]["pixel_values"].flatten().tolist()))
    assert len(seeds) == 4


# The teacher's maps, evaluation and the best weights

TEACHING = RECIPE.but(attention_weight=1.0, teacher_size=48, teacher_gradient_size=48)


def taught_by(weights) -> torch.Tensor:
    """The maps that a network of these weights makes by `TEACHING`."""
    model = tiny_model()
    model.load_state_dict(weights)
    return teacher_maps(model, pictures(), build_processor(TEACHING), TEACHING.remedy, torch.device("cpu"))


def test_the_teacher_is_the_averaged_weights_as_each_round_begins(tmp_path):
    trainer, notes, begun = run(TEACHING, tmp_path)
    average = averages(begun, notes.states)
    files = sorted(tmp_path.glob("teacher-maps-*"))
    assert [file.name for file in files] == ["teacher-maps-1.safetensors", "teacher-maps-2.safetensors"]
    for file, weights in zip(files, (average[2], average[4]), strict=True):
        maps = load_file(file)["maps"]
        assert (maps.float() - taught_by(weights).float()).abs().mean() < 0.01  # bfloat16
    assert torch.equal(trainer.tuning.maps, maps)  # the last round's
    assert not (tmp_path / "round-0.safetensors").exists()
    trainer.tuning = rounds.Tuning(trainer.recipe, tmp_path, pictures(), trainer.processing_class)  # of a resumed run
    here = (place(trainer.recipe, 6, STEPS), STEPS, trainer.model, trainer.ema, trainer.optimizer, trainer.accelerator)
    trainer.tuning.enter(*here)
    assert torch.equal(trainer.tuning.maps, maps)
    files[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"teacher-maps-2\.safetensors is missing: .* cannot be resumed"):
        trainer.tuning.enter(*here)


def test_pictures_of_no_class_come_after_the_others_in_the_rounds(tmp_path, monkeypatch):
    """Half as many as there are others, with a map for none of them; also without the remedy."""
    for weight in (1.0, 0.0):
        given = []

        def noted(count, size, generator, given=given):
            given.append((count, size))
            return torch.full((count, 3, size, size), 7.0)

        monkeypatch.setattr(rounds, "teacher_maps", lambda *_: torch.rand(COUNT, 1, GRID, GRID).half())
        monkeypatch.setattr(trainer_module, "outliers", noted)
        trainer, _, _ = run(SEEN.but(attention_weight=weight, outliers=0.5), tmp_path, marked(), Watching)
        assert [len(batch["pixel_values"]) for batch in trainer.seen] == [4] * 3 + [6] * 4
        assert given == [(2, 64)] * 4
        for batch in trainer.seen[3:]:
            assert (batch["pixel_values"][4:] == 7).all()
            assert (batch["pixel_values"][:4, 2] / 40 - 7 / 40).abs().min() > 0.1
            assert len(batch["labels"]) == 4
            assert len(batch.get("maps", batch["labels"])) == 4


def test_evaluation_sees_every_picture_with_the_averaged_weights(tmp_path):
    trainer, _, _ = run(RECIPE.but(test_size=SIDE, resize=SIDE), tmp_path)
    data = pictures()
    more = torch.cat([data.pictures, 255 - data.pictures[:1]])
    held_out = PictureDataset(more, torch.tensor([0, 1, 2, 3, 3]), torch.ones(5))  # one more than a batch
    found = trainer.evaluate(held_out)["eval_loss"]
    model = tiny_model()
    model.load_state_dict(trainer.ema.average)
    pixels = normalised(held_out.pictures, trainer.processing_class, torch.device("cpu"))
    losses = []
    with torch.no_grad(), quick_arithmetic(torch.device("cpu")):  # as the trainer computes
        outputs = model(pixel_values=pixels)
    for logits in (outputs.logits, outputs.attention_logits):
        losses.append(-logits.float().log_softmax(1)[torch.arange(5), held_out.labels].mean().item())
    assert found == pytest.approx(sum(losses), rel=1e-3)


def test_the_best_are_the_first_of_the_highest(tmp_path):
    """The averaged weights of the moment; a later one that is no better does not replace them."""
    trainer, _, _ = run(RECIPE, tmp_path)
    name = "model.perception_branch.fc.bias"
    kept = []
    for level, top1 in enumerate((40.0, 60.0, 60.0, 50.0, 61.0)):
        trainer.ema.average[name].fill_(level)
        trainer.keep_best({"eval_top1": top1})
        kept.append(load_file(tmp_path / "best" / "model.safetensors")[name].mean().item())
    assert kept == [0, 1, 1, 1, 4]
    assert json.loads((tmp_path / "best" / "top1.json").read_text())["top1"] == 61.0
