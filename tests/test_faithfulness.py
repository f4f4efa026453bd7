"""The measures of faithfulness, on cases whose answer is known by hand, and the benchmark's command."""

import json

import numpy as np
import pytest
import torch
from helpers import Weighing, tiny_model
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification

from abn import AbnImageProcessor, Explainer, imagenette
from abn.faithfulness import (
    blurred,
    curve,
    deletion,
    energy_in_boxes,
    energy_inside,
    insertion,
    pointing_game,
    shuffled,
    similarity,
)
from abn.faithfulness.run import heatmaps_of, main, measure, randomisation
from abn.methods import method_named
from abn.model.image_processing_vit import VitImageProcessor
from abn.model.pictures import load_rgb


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_curve_changes_the_pixels_in_the_maps_order():
    weights = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    ones, zeros = torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    heat = torch.tensor([[[0.1, 0.9], [0.2, 0.5]]])  # worth 2, then 4, then 3, then 1
    found = curve(Weighing(weights), zeros, ones, heat, torch.tensor([0]), steps=5)[0].numpy()
    assert found == pytest.approx(sigmoid(np.array([0, 2, 6, 9, 10])), abs=1e-6)
    found = curve(Weighing(weights), ones, zeros, heat, torch.tensor([0]), steps=5)[0].numpy()
    assert found == pytest.approx(sigmoid(np.array([10, 8, 4, 1, 0])), abs=1e-6)
    other = curve(Weighing(weights), zeros, ones, heat, torch.tensor([1]), steps=5)[0].numpy()
    assert other == pytest.approx(1 - sigmoid(np.array([0, 2, 6, 9, 10])), abs=1e-6)


def test_the_best_order_has_the_highest_insertion_and_the_lowest_deletion():
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(20, 20, generator=generator) * 0.02
    model, pictures = Weighing(weights), torch.ones(1, 3, 20, 20)
    target = torch.tensor([0])
    best, worst = weights[None], -weights[None]
    random = torch.rand(1, 20, 20, generator=generator)
    inserted = [insertion(model, pictures, maps, target, "zero").mean() for maps in (best, random, worst)]
    deleted = [deletion(model, pictures, maps, target, "zero").mean() for maps in (best, random, worst)]
    assert inserted[0] > inserted[1] > inserted[2]
    assert deleted[0] < deleted[1] < deleted[2]


def test_both_ends_of_the_curves():
    model, pixels = tiny_model(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        whole = model(pixel_values=pixels).logits.softmax(1)
        faded = model(pixel_values=blurred(pixels)).logits.softmax(1)
        empty = model(pixel_values=torch.zeros_like(pixels)).logits.softmax(1)
    targets, heat = torch.tensor([3, 5]), torch.rand(2, 64, 64)
    rows = torch.arange(2)
    found = insertion(model, pixels, heat, targets)
    assert found.shape == (2, 21)
    torch.testing.assert_close(found[:, 0], faded[rows, targets], rtol=0.05, atol=0.02)
    torch.testing.assert_close(found[:, -1], whole[rows, targets], rtol=0.05, atol=0.02)
    found = deletion(model, pixels, heat, targets)
    torch.testing.assert_close(found[:, 0], whole[rows, targets], rtol=0.05, atol=0.02)
    torch.testing.assert_close(found[:, -1], empty[rows, targets], rtol=0.05, atol=0.02)
    with pytest.raises(ValueError, match="'blur' or 'zero'; got 'black'"):
        insertion(model, pixels, heat, targets, "black")


def test_the_blur_is_a_mean():
    spot = torch.zeros(1, 3, 63, 63)
    spot[..., 31, 31] = 1
    out = blurred(spot)
    assert out[0, 0, 31, 31].item() == pytest.approx(1 / 31**2)
    assert out[0, 0, 31 - 15, 31 + 15].item() == pytest.approx(1 / 31**2)
    assert out[0, 0, 31 - 16, 31] == 0
    assert torch.allclose(blurred(torch.full((1, 3, 40, 40), 0.7)), torch.full((1, 3, 40, 40), 0.7))


def test_pointing_game():
    heat = torch.zeros(10, 20)
    heat[2, 15] = 1  # centre at (15.5, 2.5)
    assert pointing_game(heat, [(0.7, 0.1, 0.9, 0.4)])
    assert not pointing_game(heat, [(0.0, 0.0, 0.7, 1.0)])
    assert pointing_game(heat, [(0.0, 0.0, 0.1, 0.1), (0.7, 0.1, 0.9, 0.4)])
    assert not pointing_game(heat, [(0.0, 0.0, 0.7, 1.0)], tolerance=1)
    assert pointing_game(heat, [(0.0, 0.0, 0.7, 1.0)], tolerance=2)  # 14 + 2 >= 15.5
    for box in ((0.85, 0.0, 1.0, 1.0), (0.7, 0.0, 0.7, 1.0), (0.0, 0.4, 1.0, 1.0), (0.0, 0.0, 1.0, 0.1)):
        assert not pointing_game(heat, [box], tolerance=1)  # 1.5 beside it on each of its four sides
        assert pointing_game(heat, [box], tolerance=2)
    heat[6:9, 1:4] = 1  # a plateau of nine and a single one: the place nearest to their mean
    assert pointing_game(heat, [(0.05, 0.6, 0.2, 0.9)])


def test_energy_in_boxes():
    heat = torch.zeros(10, 10)
    heat[:, :5] = 1
    assert energy_in_boxes(heat, [(0.0, 0.0, 0.5, 1.0)]) == 1
    assert energy_in_boxes(heat, [(0.0, 0.0, 0.5, 0.5)]) == pytest.approx(0.5)
    assert energy_in_boxes(heat + 3, [(0.0, 0.0, 0.5, 0.5)]) == pytest.approx(0.5)  # minus its minimum
    assert energy_in_boxes(heat, [(0.0, 0.0, 0.5, 0.5), (0.0, 0.0, 0.5, 0.5)]) == pytest.approx(0.5)  # the union
    assert energy_in_boxes(torch.full((10, 10), 0.3), [(0.0, 0.0, 0.5, 0.4)]) == pytest.approx(0.2)


@pytest.mark.slow
def test_the_benchmark_asks_a_quicker_copy_of_the_same_network(bundled, validation_pictures):
    """Its areas are those of the network itself to 0.01 on the whole."""
    explainer = Explainer.from_pretrained(bundled, device="cpu")
    samples = validation_pictures[::25]
    methods = [method_named("attention"), method_named("grad-cam")]
    results = measure(explainer, samples, methods)
    for method in methods:
        areas = []
        for file, _ in samples:
            pixels = explainer.pixel_values([load_rgb(file)], "whole")
            maps, targets = heatmaps_of(explainer, method, pixels, None)
            areas.append([kind(explainer.model, pixels, maps, targets).mean() for kind in (insertion, deletion)])
        expected = torch.tensor(areas).mean(0).tolist()
        found = [results[method.name][kind] for kind in ("insertion", "deletion")]
        assert found == pytest.approx(expected, abs=0.01)


def test_energy_inside_any_part():
    heat = torch.tensor([[1.0, 2.0], [3.0, 1.0]])
    inside = torch.tensor([[True, True], [False, False]])
    assert energy_inside(heat, inside) == pytest.approx(1 / 3)  # 0 and 1 of 0, 1, 2, 0
    assert energy_inside(torch.ones(2, 2), inside) == pytest.approx(0.5)


def test_shuffling_keeps_the_values_and_leaves_the_model():
    model = tiny_model()
    before = model.model.features.layer1[0].conv1.weight.clone()
    other = shuffled(model, 1)
    assert torch.equal(model.model.features.layer1[0].conv1.weight, before)
    mixed = other.model.features.layer1[0].conv1.weight
    assert torch.equal(mixed.flatten().sort().values, before.flatten().sort().values)
    assert not torch.equal(mixed, before)
    assert torch.equal(shuffled(model, 1).model.features.layer1[0].conv1.weight, mixed)


def test_similarity_is_spearmans():
    one = torch.rand(2, 8, 8)
    assert similarity(one, one**3).tolist() == pytest.approx([1, 1])
    assert similarity(one, -one).tolist() == pytest.approx([-1, -1])
    assert similarity(one, torch.full((2, 8, 8), 0.5)).tolist() == [0, 0]


@pytest.mark.slow
def test_shuffled_weights_turn_the_bundled_networks_maps_to_noise(imagenette_root):
    samples = imagenette.load(imagenette_root, "val").samples[::60]
    methods = [method_named(name) for name in ("attention", "attention-cam", "grad-cam", "centre")]
    results = {method.name: {} for method in methods}
    randomisation(Explainer.from_pretrained("compact", device="cpu"), samples, methods, results, seed=0)
    found = {name: row["similarity_to_shuffled"] for name, row in results.items()}
    assert all(abs(found[name]) < 0.2 for name in ("attention", "attention-cam", "grad-cam")), found
    assert found["centre"] == pytest.approx(1)


@pytest.mark.slow
def test_the_benchmark_writes_the_same_table_twice(tiny_imagenette, tmp_path, capsys):
    boxes = tmp_path / "boxes.csv"
    lines = ["path,x0,y0,x1,y1"]
    lines += [f"train/{wnid}/{wnid}_0.JPEG,0.0,0.0,0.5,1.0" for wnid in imagenette.WNIDS]
    boxes.write_text("\n".join(lines))
    tables = []
    for run in ("one", "two"):
        arguments = ["--imagenette-root", str(tiny_imagenette), "--boxes", str(boxes), "--limit", "6"]
        arguments += ["--out", str(tmp_path / run), "--methods", "attention", "grad-cam", "uniform"]
        assert main(arguments) == 0
        assert (tmp_path / run / "faithfulness.png").stat().st_size > 10_000
        stored = json.loads((tmp_path / run / "faithfulness.json").read_text())
        for row in stored["methods"].values():
            row.pop("milliseconds")
        tables.append(stored)
    assert tables[0] == tables[1]
    rows = tables[0]["methods"]
    assert rows["uniform"]["energy"] == pytest.approx(0.5, abs=0.02)
    assert rows["uniform"]["pointing"] is None
    assert rows["grad-cam"]["boxed_pictures"] == 10
    assert rows["grad-cam"]["difference"] == pytest.approx(rows["grad-cam"]["insertion"] - rows["grad-cam"]["deletion"])
    assert len(rows["attention"]["curves"]["insertion"]) == 21
    assert "| Grad-CAM |" in capsys.readouterr().out


def test_a_transformers_maps_on_strokes(tmp_path, capsys):
    digits = tmp_path / "digits"
    for digit in range(3):
        (digits / str(digit)).mkdir(parents=True)
        pixels = np.zeros((28, 28), np.uint8)
        pixels[7 * digit : 7 * digit + 7, 14:21] = 200
        Image.fromarray(pixels).save(digits / str(digit) / "one.png")
    torch.manual_seed(0)
    config = ViTConfig(
        image_size=28,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        patch_size=7,
        num_channels=1,
        id2label={i: str(i) for i in range(3)},
    )
    ViTForImageClassification(config).save_pretrained(tmp_path / "network")
    side = {"height": 28, "width": 28}
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    VitImageProcessor(size=side, crop_size=side, **half).save_pretrained(tmp_path / "network")
    arguments = ["--checkpoint", str(tmp_path / "network"), "--data", str(digits), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    rows = json.loads((tmp_path / "out" / "faithfulness.json").read_text())["methods"]
    assert list(rows) == ["rollout", "last-layer", "gradient-rollout", "centre", "uniform"]
    assert all(row["strokes_area"] == pytest.approx(1 / 16) for row in rows.values())
    assert rows["uniform"]["strokes"] == pytest.approx(1 / 16)
    assert "| Attention rollout |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*arguments, "--boxes", "boxes.csv"])


def test_the_bundled_networks_checkpoint_is_the_default():
    assert Explainer.from_pretrained("compact").labels == list(imagenette.CLASSES)


def test_the_true_class_of_a_boxed_picture_goes_by_its_name(tiny_imagenette):
    """The same network with its classes numbered the other way round has the same figures."""
    plain, turned = (
        tiny_model(id2label=dict(enumerate(names))) for names in (imagenette.CLASSES, imagenette.CLASSES[::-1])
    )
    with torch.no_grad():
        for tensor in (turned.model.perception_branch.fc.weight, turned.model.perception_branch.fc.bias):
            tensor.copy_(tensor.flip(0))
    folder = tiny_imagenette / "imagenette2-160"
    files = [sorted((folder / "val" / wnid).iterdir())[0] for wnid in imagenette.WNIDS[:3]]
    boxes = {str(file.relative_to(folder)): [(0.0, 0.0, 0.6, 0.5)] for file in files}
    energies = []
    for model in (plain, turned):
        explainer = Explainer(model, AbnImageProcessor(), device="cpu")
        how = {"boxes": boxes, "folder": folder}
        found = measure(explainer, [(str(file), 0) for file in files], [method_named("grad-cam")], **how)
        energies.append(found["grad-cam"]["energy"])
    assert energies[0] == pytest.approx(energies[1], rel=1e-3)
    assert energies[0] != pytest.approx(0.3, rel=1e-3)  # a map that says nothing
