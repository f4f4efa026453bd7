"""What must hold for every size, map and picture, tried on many (hypothesis)."""

import numpy as np
import pytest
import torch
from helpers import tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from abn import AbnImageProcessor, Explainer
from abn.editing import Editing, checked_map
from abn.model.pictures import from_array
from abn.overlay import coloured, jet, overlay

PROCESSOR = AbnImageProcessor(size={"shortest_edge": 73}, crop_size={"height": 64, "width": 64})
SIDES = st.integers(1, 3000)
shares = st.floats(0, 1, width=32)


@given(SIDES, SIDES, st.sampled_from(["model", "whole"]))
@settings(max_examples=300, deadline=None)
def test_what_is_seen_lies_within_the_picture_and_is_not_empty(height, width, view):
    geometry = PROCESSOR.geometry((height, width), view)
    left, top, right, bottom = geometry.box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    rows, columns = geometry.crop
    if view == "model":
        assert (rows, columns) == (64, 64)
    else:
        assert (left, top, right, bottom) == (0, 0, width, height)  # nothing is cropped
        assert rows % 32 == columns % 32 == 0
        assert 32 <= rows <= 192
        assert 32 <= columns <= 192


@given(SIDES, SIDES, st.integers(1, 12), st.integers(1, 12), st.sampled_from(["model", "whole"]))
@settings(max_examples=60, deadline=None)
def test_a_map_stays_within_its_own_range_wherever_it_is_laid(height, width, rows, columns, view):
    torch.manual_seed(rows * 13 + columns)
    grid = torch.rand(1, 1, rows, columns)
    left, top, right, bottom = PROCESSOR.geometry((height, width), view).box
    size = (min(bottom - top, 300), min(right - left, 300))
    laid = PROCESSOR.post_process_attention(grid, [(height, width)], view, [size])[0]
    assert tuple(laid.shape) == size
    assert grid.min() - 1e-5 <= laid.min() <= laid.max() <= grid.max() + 1e-5


@given(st.integers(1, 60), st.integers(1, 60), shares, st.floats(0, 1), st.integers(0, 255))
@settings(max_examples=100, deadline=None)
def test_an_overlay_only_adds_light(height, width, value, alpha, grey):
    view = np.full((height, width, 3), grey, np.uint8)
    heatmap = np.full((height, width), value, np.float32)
    shown = overlay(view, heatmap, alpha)
    assert shown.shape == view.shape
    assert shown.dtype == np.uint8
    assert (shown >= view).all()
    assert np.array_equal(overlay(view, heatmap, 0.0), view)
    added = np.minimum(view.astype(int) + jet(heatmap), 255)
    assert np.array_equal(overlay(view, heatmap, 1.0), added)
    assert np.isfinite(coloured(heatmap, "viridis", True)).all()


MAPS = arrays.arrays(np.float32, st.tuples(st.integers(0, 6), st.integers(0, 6)), elements=st.floats(-3, 3, width=32))


@given(MAPS | arrays.arrays(np.float32, (4, 4), elements=st.floats(allow_nan=True, width=32)))
@settings(max_examples=150, deadline=None)
def test_an_edited_map_is_taken_or_refused_in_words(values):
    good = values.shape == (4, 4) and np.isfinite(values).all() and np.abs(values).max() <= 1
    if good:
        assert np.array_equal(checked_map(values, (4, 4)), values)
    else:
        with pytest.raises(ValueError, match=r"the map|a map"):
            checked_map(values, (4, 4))


@pytest.fixture(scope="module")
def editing():
    explainer = Explainer(tiny_model(), PROCESSOR, device="cpu")
    return Editing(explainer, np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), "model")


@given(arrays.arrays(np.float32, (4, 4), elements=st.floats(-1, 1, width=32)))
@settings(max_examples=30, deadline=None)
def test_any_map_that_is_taken_gives_probabilities(editing, values):
    edited = editing(values)
    assert sum(edited.probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert edited.probabilities[edited.label] == max(edited.probabilities.values())


@given(
    arrays.arrays(st.sampled_from([np.uint8, np.uint16, np.float32, np.int32, bool]), arrays.array_shapes(max_dims=4))
)
@settings(max_examples=150, deadline=None)
def test_an_array_becomes_a_picture_or_is_refused_in_words(values):
    flat = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (1, 3, 4))
    kind = values.dtype in (np.uint8, np.uint16) or (
        values.dtype == np.float32 and bool(np.isfinite(values).all()) and values.min() >= 0 and values.max() <= 1
    )
    if flat and kind:
        assert from_array(values).size == values.shape[1::-1]
    else:
        with pytest.raises((ValueError, TypeError), match=r"an array must be|a float array must"):
            from_array(values)
