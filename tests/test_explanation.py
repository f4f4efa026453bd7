"""Explainer and Explanation: one pipeline from picture to explanation."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from helpers import in_threads, made_up_picture, tiny_model

from abn import AbnImageProcessor, Calibration, Explainer
from abn.methods import forward_parts


@pytest.fixture(scope="module")
def explainer():
    processor = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    return Explainer(tiny_model(), processor, device="cpu")


def test_it_is_what_the_model_says(explainer):
    picture = made_up_picture(96, 72)
    explanation = explainer(picture)
    with torch.no_grad():
        outputs = explainer.model(**explainer.processor(picture, return_tensors="pt"))
    expected = torch.softmax(outputs.logits[0], 0)
    for index, label in explainer.model.config.id2label.items():
        assert explanation.probabilities[label] == pytest.approx(expected[index].item(), abs=1e-5)
    assert explanation.label == explainer.labels[expected.argmax()]
    assert list(explanation.probabilities.values()) == sorted(explanation.probabilities.values(), reverse=True)
    attention = torch.softmax(outputs.attention_logits[0], 0)
    assert explanation.attention_probabilities["class 4"] == pytest.approx(attention[4].item(), abs=1e-5)
    assert np.abs(explanation.attention_map - outputs.attention_map[0, 0].numpy()).max() < 1e-5
    assert explanation.attention_map.shape == (4, 4)
    assert explanation.energy == pytest.approx(torch.logsumexp(outputs.logits[0], 0).item(), abs=1e-4)
    assert explanation.unfamiliar is False


def test_the_crop_shows_the_crop_and_the_whole_shows_all(explainer):
    picture = made_up_picture(96, 72)
    crop = explainer(picture, view="model")
    assert np.array_equal(crop.view, np.asarray(picture)[:, 11:84])  # 11.29 to 83.58: 64 of 85 columns, from the 10th
    whole = explainer(picture, view="whole")
    assert np.array_equal(whole.view, np.asarray(picture))
    assert whole.attention_map.shape == (4, 6)
    expected = cv2.resize(whole.attention_map, (96, 72), interpolation=cv2.INTER_LINEAR)
    assert np.abs(whole.heatmap - expected).max() < 1e-5


def test_the_grid_laid_by_the_geometry_is_the_heatmap(explainer):
    picture = made_up_picture(96, 72)
    for view in ("model", "whole"):
        explanation = explainer(picture, view=view, method="grad-cam", target=3)
        grid = torch.from_numpy(explanation.grid)[None, None]
        size = explanation.view.shape[:2]
        (laid,) = explainer.processor.post_process_attention(grid, [explanation.geometry.picture], view, [size])
        assert np.array_equal(laid.clamp(0, 1).numpy(), explanation.heatmap)
        left, top, right, bottom = explanation.geometry.box
        assert np.array_equal(explanation.view, np.asarray(picture)[top:bottom, left:right])
        assert np.array_equal(explainer(picture, view=view).grid, explainer(picture, view=view).attention_map)


def test_large_pictures_are_shown_smaller_with_the_map_on_the_same_place(explainer):
    explanation = explainer(made_up_picture(3000, 1500), view="whole")
    assert explanation.view.shape == (512, 1024, 3)
    assert explanation.heatmap.shape == (512, 1024)
    expected = cv2.resize(explanation.attention_map, (1024, 512), interpolation=cv2.INTER_LINEAR)
    assert np.abs(explanation.heatmap - expected).max() < 1e-5


def test_the_overlay_is_cv2_add(explainer):
    explanation = explainer(made_up_picture())
    assert np.array_equal(explanation.overlay(1.0), cv2.add(explanation.view, explanation.colours()))
    assert np.array_equal(explanation.overlay(0.0), explanation.view)


def test_a_list_keeps_its_order_and_agrees_with_one_at_a_time(explainer):
    pictures = [
        made_up_picture(w, h, i) for i, (w, h) in enumerate([(96, 72), (72, 96), (96, 72), (200, 64), (64, 64)])
    ]
    for view in ("model", "whole"):
        together = explainer(pictures, view=view)
        for one, picture in zip(together, pictures, strict=True):
            alone = explainer(picture, view=view)
            assert one.label == alone.label
            assert np.array_equal(one.view, alone.view)
            assert np.abs(one.heatmap - alone.heatmap).max() < 1e-4


def test_pictures_of_equal_shape_share_a_forward(explainer, monkeypatch):
    batches = []
    counted = replace(
        explainer.family, forward=lambda model, pixels: batches.append(len(pixels)) or forward_parts(model, pixels)
    )
    monkeypatch.setattr(explainer, "family", counted)
    sizes = [(96, 72), (72, 96), (96, 72), (100, 75)]
    explainer([made_up_picture(*size) for size in sizes], view="whole")
    assert sorted(batches) == [1, 3]
    batches.clear()
    explainer([made_up_picture(*size) for size in sizes] * 10)
    assert sorted(batches) == [8, 32]
    assert explainer([]) == []


def test_arrays_and_paths(explainer, tmp_path):
    picture = made_up_picture()
    picture.save(tmp_path / "picture.png")
    expected = explainer(picture).probabilities
    assert explainer(np.asarray(picture)).probabilities == expected
    assert explainer(tmp_path / "picture.png").probabilities == expected
    assert explainer(str(tmp_path / "picture.png")).probabilities == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "guess"}, "'attention'.*'grad-cam'.*got 'guess'"),
        ({"view": "half"}, "'model', 'whole'; got 'half'"),
        ({"target": "unicorn"}, "target must be a class.*'unicorn'.*class 0"),
        ({"target": 10}, "got 10"),
        ({"target": -1}, "got -1"),
    ],
)
def test_unknown_arguments_are_named(explainer, arguments, words):
    with pytest.raises(ValueError, match=words):
        explainer(made_up_picture(), **arguments)


def test_known_targets_pass(explainer):
    expected = explainer(made_up_picture()).attention_map
    for target in ("class 3", 3):
        assert np.array_equal(explainer(made_up_picture(), target=target).attention_map, expected)


def test_calibration_scales_and_warns(explainer):
    plain = explainer(made_up_picture())
    calibration = Calibration(temperature=2.0, attention_temperature=0.5, energy_threshold=plain.energy + 1)
    scaled = Explainer(explainer.model, explainer.processor, calibration=calibration, device="cpu")(made_up_picture())
    logits = np.log(np.array([plain.probabilities[f"class {i}"] for i in range(10)])) / 2
    expected = np.exp(logits) / np.exp(logits).sum()
    assert np.abs(np.array([scaled.probabilities[f"class {i}"] for i in range(10)]) - expected).max() < 1e-6
    assert max(scaled.attention_probabilities.values()) > max(plain.attention_probabilities.values())
    assert scaled.unfamiliar is True
    assert scaled.familiarity is None


def test_the_energy_is_the_calibrations_score(explainer):
    """Of both branches where it says so, of the logits before they are cooled; and where that stands among others."""
    plain = explainer(made_up_picture())
    with torch.no_grad():
        parts = explainer.forward([explainer.read(made_up_picture())], "model").parts
    own = torch.logsumexp(parts.attention_logits[0], 0).item()
    energies = tuple(plain.energy + own + step for step in (-1.0, 1.0, 2.0))
    calibration = Calibration(2.0, 0.5, plain.energy + 1e-3, branches="both", energies=energies)
    found = Explainer(explainer.model, explainer.processor, calibration=calibration, device="cpu")(made_up_picture())
    assert found.energy == pytest.approx(plain.energy + own, abs=1e-4)
    assert found.unfamiliar is (own < 0)
    assert found.familiarity == pytest.approx(0.25, abs=1e-3)
    calibration = Calibration(branches="both", map_weight=-3.0)
    found = Explainer(explainer.model, explainer.processor, calibration=calibration, device="cpu")(made_up_picture())
    strength = np.log(np.sqrt(np.mean(found.attention_map.astype(float) ** 2)))
    assert found.energy == pytest.approx(plain.energy + own - 3 * strength, abs=1e-4)


def test_threads_give_what_each_gives_alone(explainer):
    pictures = [made_up_picture(96, 72, seed) for seed in range(8)]
    expected = [explainer(picture).attention_map for picture in pictures]
    found = [None] * len(pictures)

    def work(index):
        for _ in range(3):
            found[index] = explainer(pictures[index]).attention_map

    in_threads(work, len(pictures))
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max() < 1e-5


def test_one_pixel_and_extreme_shapes(explainer):
    for size in ((1, 1), (1, 5000), (5000, 1)):
        for view in ("model", "whole"):
            explanation = explainer(made_up_picture(*size), view=view)
            assert explanation.heatmap.shape == explanation.view.shape[:2]
            assert np.isfinite(explanation.heatmap).all()


def test_a_full_gpu_takes_smaller_batches(tiny_folder, monkeypatch):
    explainer = Explainer.from_pretrained(tiny_folder, device="cpu")
    pictures = [made_up_picture(seed=seed) for seed in range(7)]
    expected = [explanation.label for explanation in explainer(pictures)]
    tried, forward = [], explainer.forward

    def small(batch, view, target=None):
        tried.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(batch, view, target)

    monkeypatch.setattr(explainer, "forward", small)
    assert [explanation.label for explanation in explainer(pictures)] == expected
    assert tried == [7, 3, 1, 2, 4, 2, 2]

    def none(batch, view, target=None):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(explainer, "forward", none)
    with pytest.raises(ValueError, match="the GPU's memory does not hold a picture of this size"):
        explainer(pictures)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none(tiny_folder):
    with pytest.raises(ValueError, match="device 'cuda' was asked for, but there is no CUDA device here"):
        Explainer.from_pretrained(tiny_folder, device="cuda")


WHOLE = {
    "Python": int,
    "int64": np.int64,
    "int32": np.int32,
    "uint8": np.uint8,
    "array": np.array,
    "tensor": torch.tensor,
    "int16 tensor": lambda n: torch.tensor(n, dtype=torch.int16),
    "of argmax": lambda n: torch.nn.functional.one_hot(torch.tensor(n), 10).argmax(),
    "of NumPy's argmax": lambda n: np.eye(10)[n].argmax(),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_target_may_be_any_whole_number(explainer, kind):
    picture = made_up_picture()
    for index in (0, 7, 9):
        expected = explainer(picture, method="grad-cam", target=f"class {index}")
        found = explainer(picture, method="grad-cam", target=WHOLE[kind](index))
        assert found.target == f"class {index}"
        assert np.array_equal(found.heatmap, expected.heatmap)


@pytest.mark.parametrize(
    "target",
    [
        True,
        False,
        np.True_,
        torch.tensor(True),
        -1,
        10,
        np.int64(-1),
        torch.tensor(10),
        1.0,
        np.float32(3),
        torch.tensor(3.0),
        np.array([3]),
        torch.tensor([3, 4]),
        "7",
        "class",
        b"class 3",
        ["class 3"],
        3 + 0j,
    ],
    ids=repr,
)
def test_what_is_no_class_is_named(explainer, target):
    with pytest.raises(ValueError, match=r"target must be a class or its index; got .*; the classes: .*class 9"):
        explainer(made_up_picture(), method="grad-cam", target=target)


@pytest.mark.parametrize("given", ["PIL", "array"])
def test_arrays_are_writable_and_nobody_elses(explainer, given):
    picture = made_up_picture()
    picture = np.array(picture) if given == "array" else picture
    before = np.array(picture)
    one, other = explainer([picture, picture], view="whole")
    expected = [other.view.copy(), other.heatmap.copy(), other.attention_map.copy(), other.overlay()]
    for array in (one.overlay(), one.colours(), one.attention_map, one.heatmap, one.view):
        array[:] = 0
        assert not array.any()
        assert array.base is None or array.base.nbytes == array.nbytes
    for array, value in zip((other.view, other.heatmap, other.attention_map, other.overlay()), expected, strict=True):
        assert np.array_equal(array, value)
    assert np.array_equal(np.array(picture), before)
    assert np.array_equal(explainer(picture, view="whole").view, expected[0])
