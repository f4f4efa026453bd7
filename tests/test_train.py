"""The training package's parts: augmentation, data, schedule, averaging, scores."""

import pytest
import torch
from helpers import coordinates
from torch import nn

from abn import imagenette
from train import arguments
from train.augment import draw_crops, draw_cutmix, resize_crops
from train.ema import ExponentialAverage
from train.networks import build_model, build_processor
from train.recipes import RECIPES, Recipe
from train.recipes.recipe import Network, Rounds, Training
from train.schedule import (
    cutmix_share,
    outlier_share,
    picture_size,
    place,
    rate_factor,
    total_epochs,
    tuning_rounds,
)
from train.settings import Settings


def random_resized_crop(pictures, aspects, size, *, area, aspect, dtype=torch.float32):
    return resize_crops(pictures, draw_crops(aspects, area=area, aspect=aspect), size, dtype)


def test_the_whole_picture_is_an_identity_up_to_mirroring():
    picture = coordinates()[None].repeat(64, 1, 1, 1)
    torch.manual_seed(0)
    out = random_resized_crop(picture, torch.ones(64), 64, area=(1.0, 1.0), aspect=(1.0, 1.0))
    mirrored = [torch.allclose(one, picture[0].float().flip(-1), atol=1e-3) for one in out]
    same = [torch.allclose(one, picture[0].float(), atol=1e-3) for one in out]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 16 < sum(mirrored) < 48


def crop_spans(out, side=64):
    """Width and height of the crops of `coordinates`, as shares of the picture."""
    size = out.shape[-1]
    steps = (out[:, 0, :, -2] - out[:, 0, :, 1]).abs().mean(1), (out[:, 1, -2] - out[:, 1, 1]).abs().mean(1)
    return [step / (size - 3) * size / 256 for step in steps]


def test_area_and_aspect_are_those_asked_for():
    picture = coordinates()[None].repeat(400, 1, 1, 1)
    torch.manual_seed(1)
    out = random_resized_crop(picture, torch.ones(400), 32, area=(0.25, 0.5), aspect=(0.8, 1.25))
    width, height = crop_spans(out)
    area, aspect = width * height, width / height
    assert 0.24 < area.min() < 0.27
    assert 0.48 < area.max() < 0.52
    assert abs(area.mean() - 0.375) < 0.01
    assert 0.78 < aspect.min() < 0.84
    assert 1.2 < aspect.max() < 1.28


def test_parts_lie_anywhere_in_the_picture_and_half_of_them_are_mirrored():
    crops = draw_crops(
        torch.ones(4000), area=(0.25, 0.25), aspect=(1.0, 1.0), generator=torch.Generator().manual_seed(0)
    )
    assert torch.allclose(crops.height, torch.tensor(0.5))
    assert torch.allclose(crops.width, torch.tensor(0.5))
    for start in (crops.top, crops.left):  # uniform from 0 to a half
        assert 0 <= start.min() < 0.001
        assert 0.499 < start.max() <= 0.5
        assert start.mean().item() == pytest.approx(0.25, abs=0.01)
        assert start.std().item() == pytest.approx(0.5 / 12**0.5, abs=0.01)
    together = torch.stack([crops.top, crops.left, crops.mirrored.float()])
    assert (torch.corrcoef(together) - torch.eye(3)).abs().max() < 0.05  # each drawn for itself
    assert crops.mirrored.float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_crops_are_square_in_the_pictures_own_proportions():
    """A picture twice as wide as high, squashed: a square part of it is half as wide as high in the squashed one."""
    picture = coordinates()[None].repeat(50, 1, 1, 1)
    out = random_resized_crop(picture, torch.full((50,), 2.0), 32, area=(0.25, 0.25), aspect=(1.0, 1.0))
    width, height = crop_spans(out)
    assert torch.allclose(width / height, torch.full((50,), 0.5), atol=0.02)
    assert torch.allclose(width * height, torch.full((50,), 0.25), atol=0.01)


def test_resizing_is_antialiased():
    """Stripes of two pixels, a bright one wherever a new pixel's centre lies: alone they would all be bright."""
    stripes = ((torch.arange(64) + 1) // 2 % 2 * 255).byte().expand(1, 3, 64, 64)
    assert (stripes[..., 1::4] == 255).all()
    assert (stripes[..., 2::4] == 255).all()
    out = random_resized_crop(stripes, torch.ones(1), 16, area=(1.0, 1.0), aspect=(1.0, 1.0))
    assert (out[..., 1:-1] - 127.5).abs().max() < 1


def test_bfloat16_is_close():
    picture = (torch.rand(8, 3, 64, 64) * 255).byte()
    outs = []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(3)
        outs.append(random_resized_crop(picture, torch.ones(8), 48, area=(0.3, 1), aspect=(0.75, 1.3), dtype=dtype))
    assert (outs[0] - outs[1]).abs().mean() < 1
    assert (outs[0] - outs[1]).abs().max() < 6


@pytest.mark.parametrize("has", [True, False])
def test_bfloat16_only_where_the_processor_has_it(has, tmp_path, monkeypatch):
    monkeypatch.setattr(arguments, "has_bfloat16", lambda device: has)
    assert arguments.training_arguments(Settings(max_steps=1), Recipe(Network(arch="resnet18")), tmp_path).bf16 is has


def test_the_rate_warms_up_and_follows_the_cosine():
    factor = rate_factor(Recipe(Network(arch="resnet18"), Training(epochs=10, warmup_epochs=2)), 100)
    assert factor(0) == pytest.approx(1 / 21)
    assert factor(19) == pytest.approx(20 / 21)
    assert factor(20) == pytest.approx(1.0)
    assert factor(60) == pytest.approx(0.5)
    assert factor(100) == pytest.approx(0.0, abs=1e-6)


def test_fine_tuning_follows_the_class_training():
    recipe = Recipe(
        Network(arch="resnet18"),
        Training(epochs=6, sizes=(8, 16), lr=0.2, cutmix=0.5),
        Rounds(tune_epochs=(1, 3), tune_size=24, tune_lr=0.02, outliers=0.5),
    )
    steps = 100
    assert [place(recipe, step, steps).round for step in (0, 59, 60, 69, 70, 99)] == [0, 0, 1, 1, 2, 2]
    assert [step for step in range(steps) if place(recipe, step, steps).first] == [0, 60, 70]
    assert place(recipe, 85, steps).done == pytest.approx(0.5)
    assert [picture_size(recipe, place(recipe, step, steps)) for step in (0, 29, 30, 60)] == [8, 8, 16, 24]
    assert [cutmix_share(recipe, place(recipe, step, steps)) for step in (53, 54, 60)] == [0.5, 0, 0]
    assert [outlier_share(recipe, place(recipe, step, steps)) for step in (59, 60, 99)] == [0, 0.5, 0.5]
    factor = rate_factor(recipe, steps)
    assert factor(59) < 0.001
    assert factor(62) == pytest.approx(0.1)  # warmed up to tune_lr, in a fifth of the round at most
    assert factor(69) < factor(75) == pytest.approx(0.1)
    assert factor(99) < 0.001
    assert total_epochs(recipe) == 10
    assert tuning_rounds(recipe, steps) == [1, 2]
    only_rounds = Recipe(Network(arch="resnet18"), Training(epochs=0), Rounds(tune_epochs=(2, 2)))
    assert [place(only_rounds, step, 10).round for step in (0, 4, 5, 9)] == [1, 1, 2, 2]
    assert place(only_rounds, 0, 10).first


def test_every_step_count_has_its_rounds():
    recipe = Recipe(Network(arch="resnet18"), Training(epochs=7), Rounds(tune_epochs=(2, 3)))
    for steps in (3, 10, 37, 1000):
        rounds = [place(recipe, step, steps).round for step in range(steps)]
        assert rounds == sorted(rounds)
        assert [rounds.index(number) for number in set(rounds)] == [
            step for step in range(steps) if place(recipe, step, steps).first
        ]
        assert all(0 <= place(recipe, step, steps).done < 1 for step in range(steps))


def test_cutmix_replaces_a_box_by_the_partners():
    pictures = torch.arange(6).float().view(6, 1, 1, 1).expand(6, 3, 20, 20)
    shares = []
    for seed in range(300):
        mix = draw_cutmix(6, 20, torch.Generator().manual_seed(seed))
        mixed = mix.pictures(pictures)
        own = (mixed == pictures).float().mean((1, 2, 3))
        for one, partner in enumerate(mix.partners.tolist()):
            assert own[one].item() == pytest.approx(1 if partner == one else mix.share, abs=1e-6)
            assert set(mixed[one].unique().tolist()) <= {float(one), float(partner)}
        shares.append(mix.share)
    assert min(shares) < 0.2
    assert max(shares) > 0.97
    assert 0.5 < sum(shares) / 300 < 0.7  # half, and more where the box is clipped


def test_a_schedule_replaces_the_cosine():
    factor = rate_factor(Recipe(Network(arch="resnet18"), Training(epochs=90, schedule=(31, 61), gamma=0.1)), 900)
    assert [factor(step) for step in (0, 309, 310, 609, 610, 899)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_the_average_is_the_formula():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = ExponentialAverage(model, decay=0.5)
    expected = 0.0
    for step in range(1, 40):
        nn.init.constant_(model.weight, step)
        average.update(model)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
        assert average.average["weight"].item() == pytest.approx(expected, rel=1e-5)
    with average.applied_to(model):
        assert model.weight.item() == pytest.approx(expected, rel=1e-5)
    assert model.weight.item() == 39


def test_the_average_survives_saving(tmp_path):
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    average = ExponentialAverage(model, 0.9)
    average.update(model)
    average.save(tmp_path / "ema.safetensors")
    other = ExponentialAverage(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), 0.9)
    other.load(tmp_path / "ema.safetensors")
    assert other.steps == 1
    assert all(torch.equal(other.average[name], tensor) for name, tensor in average.average.items())


def test_the_compact_recipe_is_at_most_five_million_parameters():
    model = build_model(RECIPES["compact"], imagenette.CLASSES)
    assert model.num_parameters() == 4_907_150
    assert model.model.perception_branch.stage[1].bn2.weight.abs().max() == 0
    assert build_processor(RECIPES["compact"]).geometry((224, 224)).crop == (208, 208)
    assert tuple(model.config.id2label.values()) == imagenette.CLASSES
