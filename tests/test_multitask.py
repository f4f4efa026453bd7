"""Multi-task networks: batched over tasks with a loop's outputs, losses by hand, and maps shown with their signs."""

import math

import numpy as np
import pytest
import torch
from helpers import made_up_picture
from torch.nn import functional as F

from abn import AbnConfig, AbnForImageClassification, AbnForMultiTaskClassification, AbnImageProcessor, Explainer
from abn.comparison import Comparison
from abn.editing import Editing
from abn.families import MULTITASK
from abn.model.modeling_multitask import scores, weighted_focal_loss

TASKS = {0: "round", 1: "red", 2: "large"}


def network(version="v1", **changes):
    torch.manual_seed(0)
    config = AbnConfig(arch="resnet18", width=8, multitask=version, id2label=TASKS, **changes)
    model = AbnForMultiTaskClassification(config).eval()
    with torch.no_grad():  # untrained, its activations are large
        model.model.attention_branch.conv.weight *= 0.01
        model.model.perception_branch.weight *= 0.01
    return model


@pytest.fixture(scope="module")
def explainer():
    processor = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    return Explainer(network(), processor, device="cpu")


@pytest.mark.parametrize("version", ["v0.1", "v1", "v1.0", "v2"])
@pytest.mark.parametrize("residual", [True, False])
def test_the_batch_over_tasks_is_the_loop_over_tasks(version, residual):
    model, pixels = network(version, residual_attention=residual), torch.randn(2, 3, 64, 96)
    net = model.model
    with torch.no_grad():
        outputs = model(pixel_values=pixels)
        features = net.features(pixels)
        responses = net.attention_branch.depth_conv(net.attention_branch.conv(net.attention_branch.stage(features)))
        maps = 1 / (1 + (-responses).exp()) if version == "v0.1" else responses
        answers = []
        for task in range(3):
            seen = features * (maps[:, task : task + 1] + (1 if residual else 0))
            pooled = net.perception_branch.stage(seen).mean((2, 3))
            answers.append(F.linear(pooled, net.perception_branch.weight[task], net.perception_branch.bias[task]))
    expected = torch.stack(answers, 2)
    torch.testing.assert_close(outputs.logits, expected[:, 0] if version in ("v0.1", "v1") else expected)
    torch.testing.assert_close(outputs.attention_map, maps)
    own = responses.flatten(2).max(2).values if version == "v0.1" else responses.mean((2, 3))
    torch.testing.assert_close(outputs.attention_logits, own)
    assert (maps.min() > 0 and maps.max() < 1) if version == "v0.1" else maps.min() < 0 < maps.max()


def test_scores_are_probabilities_of_yes():
    assert scores(torch.tensor([[0.0, math.log(3)]]))[0].tolist() == pytest.approx([0.5, 0.75])
    two = torch.tensor([[[0.0, 1.0], [math.log(4), 1.0]]])
    assert scores(two)[0].tolist() == pytest.approx([0.8, 0.5])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_loss_is_both_branches_cross_entropy(version):
    model, labels = network(version), torch.tensor([[1, 0, 1], [0, 0, 1]])
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        outputs = model(pixel_values=pixels, labels=labels)
    yes = scores(outputs.logits)
    by_hand = -torch.where(labels == 1, yes, 1 - yes).log().mean()
    own = outputs.attention_logits.sigmoid()
    by_hand = by_hand - torch.where(labels == 1, own, 1 - own).log().mean()
    torch.testing.assert_close(outputs.loss, by_hand)


def test_weighted_focal_loss_by_hand():
    """Two tasks, a tenth and half of them positive; p = 0.8 and 0.3."""
    logits = torch.tensor([[math.log(4.0), math.log(3 / 7)]])
    share = torch.tensor([0.1, 0.5])
    yes_no = weighted_focal_loss(logits, torch.tensor([[1.0, 0.0]]), share, gamma=2)
    expected = [math.exp(0.9) * 0.2**2 * -math.log(0.8), math.exp(0.5) * 0.3**2 * -math.log(0.7)]
    assert yes_no.item() == pytest.approx(sum(expected) / 2, rel=1e-5)
    no_yes = weighted_focal_loss(logits, torch.tensor([[0.0, 1.0]]), share, gamma=2)
    expected = [math.exp(0.1) * 0.8**2 * -math.log(0.2), math.exp(0.5) * 0.7**2 * -math.log(0.3)]
    assert no_yes.item() == pytest.approx(sum(expected) / 2, rel=1e-5)
    model = network()
    loss = model(torch.randn(2, 3, 64, 64), labels=torch.ones(2, 3), task_weight=torch.full((3,), 0.2)).loss
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_saved_and_loaded_it_is_the_same(tmp_path):
    model = network("v2")
    model.save_pretrained(tmp_path)
    explainer = Explainer.from_pretrained(tmp_path, device="cpu")
    assert explainer.family is MULTITASK
    assert explainer.labels == list(TASKS.values())
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(explainer.model(pixels).logits, model(pixels).logits)
    with pytest.raises(ValueError, match="a multi-task network's"):
        AbnForImageClassification(model.config)
    with pytest.raises(
        ValueError, match=r"multitask must be one of 'v0.1', 'v1', 'v1.0', 'v2' for a multi-task network"
    ):
        AbnForMultiTaskClassification(AbnConfig(arch="resnet18"))
    with pytest.raises(ValueError, match=r"multitask must be one of 'v0.1', 'v1', 'v1.0', 'v2'; got 'v3'"):
        AbnConfig(multitask="v3")


def test_every_task_has_its_score_and_its_map(explainer):
    picture = made_up_picture(90, 60)
    with torch.no_grad():
        outputs = explainer.model(**explainer.processor(picture, return_tensors="pt"))
    yes = scores(outputs.logits)[0].tolist()
    explained = explainer(picture)
    assert explained.probabilities == pytest.approx(dict(zip(TASKS.values(), yes, strict=True)), abs=1e-5)
    assert explained.label == max(explained.probabilities, key=explained.probabilities.get) == explained.target
    for index, task in TASKS.items():
        one = explainer(picture, target=task)
        own = outputs.attention_map[0, index].numpy()
        np.testing.assert_allclose(one.attention_map, own, atol=1e-5)
        signs = {"attention": own.clip(0), "attention-negative": (-own).clip(0), "attention-both": np.abs(own)}
        for method, part in signs.items():
            grid = Comparison(explainer, picture, task)(method).grid
            assert grid.max() <= 1
            whole = Comparison(explainer, picture, task)("attention-both").grid
            assert whole.max() == pytest.approx(1)
            if method == "attention-both":
                continue
            np.testing.assert_array_equal(grid > 0, (grid > 0) & (whole > 0))
            model_view = explainer(picture, target=task, method=method)
            assert model_view.heatmap.max() <= part.max() / np.abs(own).max() + 1e-5


def test_what_it_cannot_do_is_said(explainer):
    with pytest.raises(ValueError, match="method must be one of 'attention', 'attention-negative', 'attention-both'"):
        explainer(made_up_picture(), method="grad-cam")
    with pytest.raises(ValueError, match="an attention map for every task; only a single one can be edited"):
        Editing(explainer, made_up_picture())


def test_insertion_and_deletion_follow_the_tasks_score(explainer):
    picture = made_up_picture(90, 60)
    comparison = Comparison(explainer, picture, "red", "model")
    curves = comparison.curves(comparison("attention"))
    score = explainer(picture).probabilities["red"]
    assert curves.insertion[-1] == pytest.approx(score, abs=0.02)
    assert curves.deletion[0] == pytest.approx(score, abs=0.02)
