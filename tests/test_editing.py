"""Editing the attention map: the perception branch alone, under another map."""

import numpy as np
import pytest
import torch
from helpers import made_up_picture, tiny_model

from abn import AbnImageProcessor, Calibration, Explainer
from abn.editing import Editing, change, checked_map


@pytest.fixture
def explainer():
    processor = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    return Explainer(tiny_model(), processor, calibration=Calibration(temperature=2.0), device="cpu")


@pytest.mark.parametrize("view", ["model", "whole"])
def test_its_own_map_changes_nothing(explainer, view):
    picture = made_up_picture(130, 80)
    editing = Editing(explainer, picture, view)
    expected = explainer(picture, view=view)
    assert editing.explanation.probabilities == expected.probabilities
    same = editing(editing.explanation.attention_map)
    assert same.label == expected.label
    assert same.probabilities == pytest.approx(expected.probabilities, abs=1e-6)


def test_another_map_is_what_the_perception_branch_makes_of_it(explainer):
    picture = made_up_picture(96, 64)
    editing = Editing(explainer, picture)
    edited = np.zeros_like(editing.explanation.attention_map)
    edited[1, 2] = 0.75
    found = editing(edited.tolist())
    model, pixels = explainer.model.model, explainer.processor(picture, view="whole", return_tensors="pt")
    with torch.no_grad():
        features = model.features(pixels["pixel_values"])
        logits = model.perception_branch(features, torch.from_numpy(edited)[None, None])
    expected = (logits[0] / 2.0).softmax(0)
    assert found.label == explainer.labels[expected.argmax()]
    for index, label in enumerate(explainer.labels):
        assert found.probabilities[label] == pytest.approx(expected[index].item(), abs=1e-5)
    label, before, after = change(editing.explanation, found)
    assert (label, before) == (editing.explanation.label, editing.explanation.probabilities[label])
    assert after == found.probabilities[label]


@pytest.mark.parametrize(
    ("attention_map", "words"),
    [
        (np.zeros((3, 4)), "must be 2 x 4, as the model's own; got 3 x 4"),
        (0.5, "got a single number"),
        ([[1, 2], [3]], "2 rows of 4 numbers"),
        ([["a"] * 4] * 2, "2 rows of 4 numbers"),
        (np.full((2, 4), np.nan), "finite and lie between -1 and 1"),
        (np.full((2, 4), 1.01), "finite and lie between -1 and 1"),
        (np.full((2, 4), -1.01), "finite and lie between -1 and 1"),
    ],
)
def test_what_is_no_map_is_named(attention_map, words):
    with pytest.raises(ValueError, match=words):
        checked_map(attention_map, (2, 4))


def test_erasing_the_object_makes_its_class_fall(bundled):
    """Without attention the class loses a little, without the object's features a lot."""
    from abn.space.drawings import DRAWINGS

    editing = Editing(Explainer.from_pretrained(bundled, device="cpu"), DRAWINGS["chain saw"])
    label, before, after = change(editing.explanation, editing(np.zeros_like(editing.explanation.attention_map)))
    assert label == "chain saw"
    assert after < before
