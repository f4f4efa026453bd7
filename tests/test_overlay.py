"""The overlay: the authors' formula, to the last bit."""

import cv2
import numpy as np
import pytest

from abn import jet, overlay
from abn.overlay import COLOURMAPS, coloured
from abn.overlay import overlay as same


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


@pytest.fixture
def heatmap():
    return np.random.default_rng(1).random((37, 53), dtype=np.float32)


def test_at_one_it_is_cv2_add_to_the_last_bit(picture, heatmap):
    bgr = cv2.applyColorMap(np.uint8(255 * heatmap), cv2.COLORMAP_JET)
    expected = cv2.add(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), bgr)[..., ::-1]
    assert np.array_equal(overlay(picture, heatmap), expected)
    assert np.array_equal(overlay(picture, heatmap), cv2.add(picture, jet(heatmap)))
    assert same is overlay


def test_at_zero_it_is_the_picture(picture, heatmap):
    assert np.array_equal(overlay(picture, heatmap, 0), picture)


def test_between_the_colours_are_scaled_and_the_sum_saturates(picture, heatmap):
    expected = np.clip(picture + 0.3 * jet(heatmap).astype(float), 0, 255)
    assert np.abs(overlay(picture, heatmap, 0.3) - expected).max() <= 0.5 + 1e-4


def test_jet_runs_from_blue_to_red():
    ends = jet(np.float32([[0, 0.5, 1]]))[0].tolist()
    assert ends[0] == [0, 0, 128]
    assert ends[2] == [128, 0, 0]
    assert ends[1][1] == 255


def test_stretching_is_opt_in():
    narrow = np.float32([[0.4, 0.5, 0.6]])
    assert np.array_equal(jet(narrow, stretch=True), jet(np.float32([[0, 0.5, 1]])))
    assert not np.array_equal(jet(narrow), jet(narrow, stretch=True))


@pytest.mark.parametrize("name", COLOURMAPS)
def test_other_colours_are_opencvs_and_added_likewise(name, picture, heatmap):
    expected = cv2.applyColorMap(np.uint8(255 * heatmap), getattr(cv2, f"COLORMAP_{name.upper()}"))[..., ::-1]
    assert np.array_equal(coloured(heatmap, name), expected)
    assert np.array_equal(overlay(picture, heatmap, colourmap=name), cv2.add(picture, coloured(heatmap, name)))
    assert np.array_equal(coloured(heatmap), jet(heatmap))


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("stretch", [False, True])
def test_a_constant_map_is_a_flat_colour(value, stretch):
    colours = jet(np.full((4, 5), value), stretch)
    assert np.array_equal(colours, np.broadcast_to(jet(np.full((1, 1), value)), (4, 5, 3)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": 1.1}, "alpha must lie in"),
        ({"colourmap": "rainbow"}, "colourmap must be one of 'jet', 'turbo'"),
        ({"alpha": float("nan")}, "alpha must lie in"),
        ({"heatmap": np.zeros((36, 53))}, "not the picture's"),
        ({"heatmap": np.full((37, 53), np.nan)}, "finite values"),
        ({"heatmap": np.full((37, 53), 1.5)}, r"\[0, 1\]; got 1.5"),
        ({"heatmap": np.zeros((37, 53, 1))}, r"\(H, W\)"),
        ({"picture": np.zeros((37, 53, 3))}, "uint8"),
        ({"picture": np.zeros((37, 53), np.uint8)}, r"\(H, W, 3\)"),
    ],
)
def test_refuses(change, words, picture, heatmap):
    with pytest.raises(ValueError, match=words):
        overlay(**{"picture": picture, "heatmap": heatmap, **change})
