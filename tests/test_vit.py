"""A Vision Transformer's attention: by hand, against the library's own, and through the common interface."""

import json

import numpy as np
import pytest
import torch
from helpers import in_threads, made_up_picture, vision_transformer
from safetensors.torch import load_file, save_file

from abn import Explainer
from abn.comparison import Comparison
from abn.editing import Editing
from abn.families import VIT
from abn.families.vit import class_token, gradient_rollout, rollout
from abn.model.image_processing_vit import VitImageProcessor
from abn.space.server.serving import Served, described


def processor(side=32):
    size = {"height": side, "width": side}
    return VitImageProcessor(size=size, crop_size=size)


@pytest.fixture(scope="module")
def explainer():
    return Explainer(vision_transformer(), processor(), device="cpu")


def test_rollout_by_hand():
    """Two layers, two heads, a class token and two patches."""
    first = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1.0, 0], [0, 0, 1], [1, 0, 0]]])[None]
    second = torch.tensor([[[0.0, 0.5, 0.5], [1, 0, 0], [0, 1, 0]], [[0.5, 0, 0.5], [0, 1, 0], [0, 0, 1]]])[None]
    # mean over heads, plus the identity, rows over their sum of 2
    one = np.array([[1.5, 0.5, 0], [0, 1.5, 0.5], [0.5, 0, 1.5]]) / 2
    two = np.array([[1.25, 0.25, 0.5], [0.5, 1.5, 0], [0, 0.5, 1.5]]) / 2
    found = rollout((first, second))[0].numpy()
    np.testing.assert_allclose(found, two @ one, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(class_token(torch.tensor(two @ one)[None], (1, 2))[0, 0], (two @ one)[0, 1:])


def test_gradient_rollout_by_hand():
    attention = torch.tensor([[[0.2, 0.8], [0.6, 0.4]], [[0.5, 0.5], [0.1, 0.9]]])[None]
    gradient = torch.tensor([[[1.0, -1.0], [2.0, 0.5]], [[0.0, 2.0], [-3.0, 1.0]]])[None]
    one = np.array([[0.2, 1.0], [1.2, 1.1]]) / 2  # relu of the products, over two heads
    expected = (np.eye(2) + one) + one @ (np.eye(2) + one)
    found = gradient_rollout((attention, attention), (gradient, gradient))[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_raw_attention_is_what_the_library_gives(explainer):
    picture = made_up_picture(32, 32)
    pixels = explainer.processor(picture, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        attentions = explainer.model(pixel_values=pixels, output_attentions=True).attentions
    comparison = Comparison(explainer, picture)
    for layer in range(3):
        row = attentions[layer][0, :, 0, 1:].unflatten(1, (4, 4))
        for head in range(4):
            grid = comparison(f"layer-{layer + 1}-head-{head + 1}").grid
            np.testing.assert_allclose(grid, row[head] / row[head].max(), atol=1e-5)
        mean = row.mean(0)
        np.testing.assert_allclose(comparison(f"layer-{layer + 1}").grid, mean / mean.max(), atol=1e-5)
    np.testing.assert_array_equal(comparison("last-layer").grid, comparison("layer-3").grid)
    rolled = rollout(attentions)[0, 0, 1:].view(4, 4)
    np.testing.assert_allclose(comparison("rollout").grid, rolled / rolled.max(), atol=1e-5)


def test_the_gradient_is_that_of_the_targets_logit(explainer):
    """Against finite differences through the layer above: the last layer's attention, nudged in one place."""
    picture = made_up_picture(32, 32)
    pixels = explainer.processor(picture, return_tensors="pt")["pixel_values"]
    model = vision_transformer().double()
    model.set_attn_implementation("eager")
    outputs = model(pixel_values=pixels.double(), output_attentions=True)
    for target in (1, 4):
        gradients = torch.autograd.grad(outputs.logits[0, target], outputs.attentions, retain_graph=True)
        expected = class_token(gradient_rollout(outputs.attentions, gradients), (4, 4))[0].detach()
        grid = Comparison(explainer, picture, target)("gradient-rollout").grid
        np.testing.assert_allclose(grid, expected / expected.max(), atol=1e-3)
    assert not np.allclose(
        *(Comparison(explainer, picture, target)("gradient-rollout").grid for target in (1, 4)), atol=1e-2
    )
    assert all(parameter.grad is None for parameter in explainer.model.parameters())


def test_it_is_explained_like_any_other_network(explainer):
    picture = made_up_picture(90, 60)
    for view in ("model", "whole"):
        explanation = explainer(picture, view=view)
        assert explanation.view.shape == (60, 90, 3)  # the whole picture, in its own proportions
        assert explanation.heatmap.shape == (60, 90)
        assert explanation.heatmap.max() <= 1
        assert explanation.attention_map.shape == (4, 4)
        assert explanation.attention_probabilities == {}
        assert sum(explanation.probabilities.values()) == pytest.approx(1, abs=1e-5)
    batch = explainer([made_up_picture(seed=seed) for seed in range(3)], method="gradient-rollout", target="class 2")
    assert [one.target for one in batch] == ["class 2"] * 3
    alone = explainer(made_up_picture(seed=1), method="gradient-rollout", target="class 2")
    np.testing.assert_allclose(batch[1].heatmap, alone.heatmap, atol=1e-4)
    curves = Comparison(explainer, picture).curves(Comparison(explainer, picture)("attention"))
    assert curves.insertion[-1] == pytest.approx(explainer(picture).probabilities[explainer(picture).label], abs=0.02)
    with pytest.raises(ValueError, match="no single attention map that could be edited"):
        Editing(explainer, picture)
    with pytest.raises(
        ValueError, match="method must be one of 'attention', 'rollout', 'last-layer', 'gradient-rollout'"
    ):
        explainer(picture, method="grad-cam")


def test_a_constant_map_stays_flat(explainer):
    flat = torch.full((1, 4, 17, 17), 1 / 17)
    rolled = class_token(rollout((flat, flat)), (4, 4))
    assert rolled.std() < 1e-7
    nothing = gradient_rollout((flat,), (torch.zeros_like(flat),))
    assert class_token(nothing, (4, 4)).abs().max() == 0


def test_digits_of_one_channel():
    explainer = Explainer(vision_transformer(channels=1, side=28, patch=7), processor(28), device="cpu")
    explanation = explainer(made_up_picture(28, 28).convert("L"))
    assert explanation.attention_map.shape == (4, 4)
    colour = explainer(made_up_picture(28, 28).convert("L").convert("RGB"))
    assert colour.probabilities == explanation.probabilities


def test_threads_do_not_disturb_each_other(explainer):
    pictures = [made_up_picture(seed=seed) for seed in range(4)]
    names = ("attention", "gradient-rollout", "layer-2-head-3", "gradient-rollout")
    alone = [explainer(p, method=m, target=2).heatmap for p, m in zip(pictures, names, strict=True)]
    found = {}
    in_threads(lambda i: found.__setitem__(i, explainer(pictures[i], method=names[i], target=2).heatmap), 4)
    for index in range(4):
        np.testing.assert_allclose(found[index], alone[index], atol=1e-5)


def test_a_checkpoint_opens_and_says_what_it_is(tmp_path):
    model = vision_transformer()
    model.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_processor_type": "ViTImageProcessor", "size": 32, "image_mean": [0.4, 0.4, 0.4]}'
    )
    explainer = Explainer.from_pretrained(tmp_path, device="cpu")
    assert explainer.family is VIT
    assert explainer.labels == [f"class {i}" for i in range(5)]
    assert list(explainer.processor.image_mean) == [0.4] * 3
    assert list(explainer.processor.image_std) == [0.5] * 3
    words = described(Served("a", explainer), "en")
    assert words.startswith("Vision Transformer of 3 layers, width 32, 0.0 M parameters")
    pixels = explainer.processor(made_up_picture(50, 40), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = model(pixel_values=pixels).logits.softmax(1)[0]
    found = explainer(made_up_picture(50, 40)).probabilities
    assert [found[f"class {i}"] for i in range(5)] == pytest.approx(expected.tolist(), abs=1e-5)


def test_half_a_checkpoint_is_refused(tmp_path):
    vision_transformer().save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors.pop("classifier.bias")
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"1 tensors are missing or of the wrong shape \(classifier\.bias\)"):
        Explainer.from_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_size": 10**6}))
    with pytest.raises(ValueError, match="hidden_size must be a whole number, 2,048 at most; got 1000000"):
        Explainer.from_pretrained(tmp_path)
