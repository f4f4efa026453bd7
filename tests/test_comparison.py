"""Several methods on one picture."""

import numpy as np
import pytest
import torch
from helpers import made_up_picture, tiny_model
from torch.nn import functional as F

from abn import AbnImageProcessor, Explainer
from abn.comparison import Comparison
from abn.faithfulness import deletion, insertion
from abn.methods import METHODS


@pytest.fixture
def explainer():
    processor = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    return Explainer(tiny_model(), processor, device="cpu")


@pytest.mark.parametrize("view", ["whole", "model"])
def test_each_heatmap_is_the_explainers(explainer, view):
    picture = made_up_picture(130, 80)
    comparison = Comparison(explainer, picture, target="class 3", view=view)
    for name in METHODS:
        expected = explainer(picture, method=name, target=3, view=view)
        found = comparison(name)
        assert np.array_equal(comparison.view, expected.view)
        assert np.allclose(found.heatmap, expected.heatmap, atol=1e-5)
        assert (found.method, found.target) == (name, expected.target)
        assert found.milliseconds > 0


def test_without_a_target_it_is_the_predicted_class(explainer):
    picture = made_up_picture(96, 64)
    comparison = Comparison(explainer, picture)
    assert comparison.target == explainer(picture, view="whole").label
    assert comparison("grad-cam").target == comparison.target
    assert comparison("attention").target is None


def test_curves_are_insertion_and_deletion_of_the_target(explainer):
    picture = made_up_picture(96, 64)
    comparison = Comparison(explainer, picture, target=7)
    found = comparison("grad-cam")
    curves = comparison.curves(found)
    pixels = explainer.processor(picture, view="whole", return_tensors="pt")["pixel_values"]
    laid = F.interpolate(torch.from_numpy(found.grid)[None, None], pixels.shape[2:], mode="bilinear")[:, 0]
    target = torch.tensor([7])
    expected = insertion(explainer.model, pixels, laid, target)[0], deletion(explainer.model, pixels, laid, target)[0]
    assert curves.insertion == pytest.approx(expected[0].tolist(), abs=0.02)  # bfloat16
    assert curves.deletion == pytest.approx(expected[1].tolist(), abs=0.02)
    assert curves.areas == pytest.approx([values.mean().item() for values in expected], abs=0.02)
    assert curves.insertion[-1] == pytest.approx(curves.deletion[0], abs=0.02)  # the whole picture


def test_faults_are_named(explainer):
    with pytest.raises(ValueError, match="target must be a class"):
        Comparison(explainer, made_up_picture(), target="unicorn")
    with pytest.raises(ValueError, match="method must be one of 'attention'"):
        Comparison(explainer, made_up_picture())("magic")


def test_writing_to_one_map_leaves_the_next_alone():
    explainer = Explainer(tiny_model(), AbnImageProcessor(), device="cpu")
    comparison = Comparison(explainer, made_up_picture())
    first = comparison("attention")
    expected = first.grid.copy()
    first.grid[:] = first.heatmap[:] = 0
    comparison.view[:] = 0
    assert np.array_equal(comparison("attention").grid, expected)
