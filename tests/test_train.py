"""The training package's parts: augmentation, data, schedule, averaging, scores."""

import numpy as np
import pytest
import torch
from torch import nn

from abn import AbnImageProcessor, imagenette
from train.augment import draw_crops, resize_crops
from train.data import preprocessed, split_off, squashed
from train.recipes import RECIPES, Recipe
from train.report import scores
from train.trainer import ExponentialAverage, rate_factor


def random_resized_crop(pictures, aspects, size, *, area, aspect, dtype=torch.float32):
    return resize_crops(pictures, draw_crops(aspects, area=area, aspect=aspect), size, dtype)


def coordinates(side=64):
    """A picture whose red is its column, whose green is its row."""
    ramp = torch.arange(side, dtype=torch.uint8) * (256 // side)
    return torch.stack([ramp.expand(side, side), ramp[:, None].expand(side, side), torch.zeros(side, side)]).byte()


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


def test_crops_are_square_in_the_pictures_own_proportions():
    """A picture twice as wide as high, squashed: a square part of it is half as wide as high in the squashed one."""
    picture = coordinates()[None].repeat(50, 1, 1, 1)
    out = random_resized_crop(picture, torch.full((50,), 2.0), 32, area=(0.25, 0.25), aspect=(1.0, 1.0))
    width, height = crop_spans(out)
    assert torch.allclose(width / height, torch.full((50,), 0.5), atol=0.02)
    assert torch.allclose(width * height, torch.full((50,), 0.25), atol=0.01)


def test_resizing_is_antialiased():
    stripes = (torch.arange(64) % 2 * 255).byte().expand(1, 3, 64, 64)
    out = random_resized_crop(stripes, torch.ones(1), 16, area=(1.0, 1.0), aspect=(1.0, 1.0))
    assert (out - 127.5).abs().max() < 20


def test_bfloat16_is_close():
    picture = (torch.rand(8, 3, 64, 64) * 255).byte()
    outs = []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(3)
        outs.append(random_resized_crop(picture, torch.ones(8), 48, area=(0.3, 1), aspect=(0.75, 1.3), dtype=dtype))
    assert (outs[0] - outs[1]).abs().mean() < 1
    assert (outs[0] - outs[1]).abs().max() < 6


def test_data_is_decoded_as_it_should(tiny_imagenette):
    data = imagenette.load(tiny_imagenette, "train")
    pictures = squashed(data._samples, 24, workers=2)
    assert pictures.pictures.shape == (40, 3, 24, 24)
    assert pictures.labels.tolist() == [label for _, label in data._samples]
    assert torch.allclose(pictures.aspects, torch.tensor(60 / 48))
    expected = np.asarray(data[17][0].resize((24, 24), 3)).transpose(2, 0, 1)
    assert np.array_equal(pictures.pictures[17].numpy(), expected)
    processor = AbnImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    evaluated = preprocessed(data._samples, processor, workers=2)
    normal = (evaluated.pictures[5].float() / 255 - torch.tensor(processor.image_mean)[:, None, None]) / torch.tensor(
        processor.image_std
    )[:, None, None]
    assert torch.allclose(normal, processor(data[5][0], return_tensors="pt")["pixel_values"][0], atol=1e-5)
    batch = pictures.__getitems__([3, 1])
    assert torch.equal(batch["pixel_values"], pictures.pictures[[3, 1]])
    with pytest.raises(ValueError, match="no pictures"):
        squashed([], 24, workers=1)


def test_split_off_is_stratified_and_repeatable():
    labels = torch.arange(10).repeat(50)
    rest, part = split_off(labels, 0.1, seed=0)
    assert labels[part].bincount().tolist() == [5] * 10
    assert sorted(rest.tolist() + part.tolist()) == list(range(500))
    assert torch.equal(part, split_off(labels, 0.1, seed=0)[1])
    assert not torch.equal(part, split_off(labels, 0.1, seed=1)[1])
    assert len(split_off(labels, 0.0, seed=0)[1]) == 0


def test_the_rate_warms_up_and_follows_the_cosine():
    factor = rate_factor(Recipe(arch="resnet18", epochs=10, warmup_epochs=2), 100)
    assert factor(0) == pytest.approx(1 / 21)
    assert factor(19) == pytest.approx(20 / 21)
    assert factor(20) == pytest.approx(1.0)
    assert factor(60) == pytest.approx(0.5)
    assert factor(100) == pytest.approx(0.0, abs=1e-6)


def test_a_schedule_replaces_the_cosine():
    factor = rate_factor(Recipe(arch="resnet18", epochs=90, schedule=(31, 61), gamma=0.1), 900)
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


def test_scores():
    logits = torch.tensor([[9.0, 1, 0, 0, 0, 0], [0, 9, 8, 7, 6, 5], [1, 2, 3, 4, 5, 9], [0, 9, 8, 7, 6, 5]])
    labels = torch.tensor([0, 1, 0, 5])
    found = scores(logits, torch.zeros_like(logits), labels)
    assert found["top1"] == 50
    assert found["top5"] == 75
    assert found["attention_top1"] == 50  # argmax of a tie is class 0
    assert found["attention_loss"] == pytest.approx(np.log(6))
    assert found["loss"] == pytest.approx(found["perception_loss"] + found["attention_loss"])


def test_the_compact_recipe_is_at_most_five_million_parameters():
    from train.fit import build_model, build_processor

    model = build_model(RECIPES["compact"])
    assert model.num_parameters() == 4_907_150
    assert model.model.perception_branch.stage[1].bn2.weight.abs().max() == 0
    assert build_processor(RECIPES["compact"]).geometry((224, 224)).crop == (160, 160)
    assert tuple(model.config.id2label.values()) == imagenette.CLASSES
