"""Explanation methods: against torchcam, against autograd, and on cases whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import in_threads, made_up_picture, tiny_model
from torch import nn
from torch.nn import functional as F

from abn import AbnImageProcessor, Explainer
from abn.families.vit import vit_methods
from abn.methods import METHODS, Method, Parts, forward_parts, in_menus, method, method_named, scaled

torchcam = pytest.importorskip("torchcam.methods")


@pytest.fixture(scope="module")
def model():
    model = tiny_model()
    with torch.no_grad():
        model.model.perception_branch.fc.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    return model


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(3, 3, 96, 128, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def parts(model, pixels):
    return forward_parts(model, pixels)


def run(name, model, pixels, parts, targets=None):
    """The maps of the predicted classes, or of `targets`."""
    return METHODS[name].compute(model, pixels, parts, parts.logits.argmax(1) if targets is None else targets)


def test_a_function_with_a_decorator_is_a_method():
    known = dict(METHODS)

    @method("corner", "Top left corner", uses_target=False, known=known)
    def corner(model, pixel_values, parts, targets):
        return torch.eye(1, 4).expand(len(targets), 1, 4)

    assert list(known) == [*METHODS, "corner"]
    assert known["corner"] == Method("corner", "Top left corner", False, corner)
    assert in_menus(known)[-1] is in_menus(known, quick=True)[-1] is known["corner"]
    slow = [each.name for each in in_menus(known) if not each.quick]
    assert slow == [each.name for each in METHODS.values() if each.passes]
    assert {"score-cam", "occlusion"} <= set(slow)
    assert in_menus(vit_methods(2, 2)) == list(vit_methods(0, 0).values())[1:]  # no single layer, no single head


def test_parts_are_the_models_outputs(model, pixels, parts):
    with torch.no_grad():
        outputs = model(pixel_values=pixels)
    for key in ("logits", "attention_logits", "attention_map"):
        torch.testing.assert_close(getattr(parts, key), outputs[key], rtol=1e-5, atol=1e-6)


class Logits(nn.Module):
    """The perception branch's logits alone, as torchcam wants a model."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        return self.model(pixel_values=pixels).logits


@pytest.mark.parametrize(
    ("name", "peer"), [("grad-cam", "GradCAM"), ("layer-cam", "LayerCAM"), ("score-cam", "ScoreCAM")]
)
def test_the_closed_forms_are_torchcams(name, peer, model, pixels, parts):
    wrapped = Logits(model)
    ours = run(name, model, pixels, parts)
    for index, target in enumerate(parts.logits.argmax(1).tolist()):
        with getattr(torchcam, peer)(wrapped, wrapped.model.model.perception_branch.stage) as extractor:
            logits = wrapped(pixels[index : index + 1].clone().requires_grad_())
            theirs = extractor(target, logits)[0][0]
        low, high = ours[index].min(), ours[index].max()
        assert high > low
        assert (((ours[index] - low) / (high - low)) - theirs).abs().max() < 1e-3


def test_grad_cam_is_hires_cam_and_autograds(model, pixels, parts):
    """HiResCAM = relu(sum of gradient x activation): the same map after a mean and one linear layer."""
    network = model.model
    for index, target in enumerate(parts.logits.argmax(1).tolist()):
        with torch.no_grad():
            features = network.features(pixels[index : index + 1])
            last = network.perception_branch.last_features(features, parts.attention_map[index : index + 1])
        last.requires_grad_()
        network.perception_branch.fc(last.mean((2, 3)))[0, target].backward()
        hires = scaled((last.grad * last.detach()).sum(1))
        grad = scaled((last.grad.mean((2, 3), keepdim=True) * last.detach()).sum(1))
        ours = run("grad-cam", model, pixels, parts)[index : index + 1]
        torch.testing.assert_close(ours, hires, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours, grad, rtol=1e-4, atol=1e-5)


def test_grad_cam_plus_plus_is_its_papers_formula(model, pixels, parts):
    """Place by place, from autograd's gradients. (torchcam 0.5 loses the division by alpha's denominator.)"""
    network = model.model
    ours = run("grad-cam++", model, pixels, parts)
    for index, target in enumerate(parts.logits.argmax(1).tolist()):
        last = parts.last_features[index : index + 1].clone().requires_grad_()
        network.perception_branch.fc(last.mean((2, 3)))[0, target].backward()
        gradient, features = last.grad.double(), last.detach().double()
        denominator = 2 * gradient**2 + (gradient**3 * features.sum((2, 3), keepdim=True))
        weights = (gradient**2 / denominator * gradient.clamp(min=0)).sum((2, 3), keepdim=True)
        torch.testing.assert_close(ours[index : index + 1], scaled((weights * features).sum(1)), rtol=1e-3, atol=1e-4)


def test_eigen_cam_is_numpys_first_component(model, pixels, parts):
    ours = run("eigen-cam", model, pixels, parts).numpy()
    for index, features in enumerate(parts.last_features.numpy()):
        places = features.reshape(len(features), -1).T
        _, _, directions = np.linalg.svd(places, full_matrices=False)
        expected = (places @ directions[0]).reshape(features.shape[1:])
        expected = np.maximum(expected * np.sign(expected.sum()), 0)
        assert np.abs(ours[index] - expected / expected.max()).max() < 1e-3


def test_the_attention_branchs_cam_sums_to_its_logits(parts):
    torch.testing.assert_close(parts.class_maps.mean((2, 3)), parts.attention_logits)


def test_the_attention_map_is_the_models(model, pixels, parts):
    assert torch.equal(run("attention", model, pixels, parts), parts.attention_map[:, 0])


def test_occlusion_finds_the_only_place_that_matters():
    """A stand-in whose probability falls only when the lower right corner is grey."""

    class Corner(nn.Module):
        def forward(self, pixel_values):
            seen = pixel_values[:, 0, 40:, 40:].mean((1, 2))
            return type("Output", (), {"logits": torch.stack([5 * seen, torch.zeros_like(seen)], 1)})

    model, pixels = Corner(), torch.ones(2, 3, 50, 50)
    nothing = torch.zeros(2, 1, 1, 1)
    parts = Parts(model(pixels).logits, nothing, nothing, nothing, nothing, nothing)
    maps = METHODS["occlusion"].compute(model, pixels, parts, torch.tensor([0, 0]))
    assert maps.shape == (2, 10, 10)
    assert maps[0, 8:, 8:].min() > 0.3
    assert maps[0, :7].max() == 0
    assert maps[0].argmax() == 88 or maps[0].flatten()[88:].max() == 1


def test_the_baselines_see_nothing(model, pixels, parts):
    blob = run("centre", model, pixels, parts)
    assert torch.equal(blob, run("centre", model, torch.zeros_like(pixels), parts))
    assert torch.allclose(blob, blob.flip(-1))
    assert torch.allclose(blob, blob.flip(-2))
    assert blob[0, 12, 16] > 0.99
    assert torch.equal(run("uniform", model, pixels, parts), torch.full((3, 1, 1), 0.5))


@pytest.mark.parametrize("name", METHODS)
def test_every_map_lies_in_zero_to_one_and_only_the_named_ask_for_a_class(name, model, pixels, parts):
    maps = run(name, model, pixels, parts)
    assert len(maps) == 3
    assert 0 <= maps.min() <= maps.max() <= 1
    other = run(name, model, pixels, parts, torch.tensor([5, 1, 9]))
    assert METHODS[name].uses_target != torch.allclose(maps, other, atol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_flat_pictures_and_dead_channels_give_flat_maps_never_nan(name, model):
    zeros = torch.zeros(1, 3, 64, 64)
    dead = forward_parts(model, zeros)
    dead = replace(dead, class_maps=0 * dead.class_maps, last_features=0 * dead.last_features)
    maps = METHODS[name].compute(model, zeros, dead, torch.tensor([0]))
    assert torch.isfinite(maps).all()
    if name not in ("attention", "centre", "occlusion"):
        assert maps.min() == maps.max()


@pytest.mark.parametrize("name", [name for name in METHODS if name != "score-cam"])
def test_a_batch_is_what_each_gives_alone(name, model, pixels, parts):
    together = run(name, model, pixels, parts)
    for index in range(3):
        one = pixels[index : index + 1]
        alone = run(name, model, one, forward_parts(model, one))
        assert (together[index] - alone[0]).abs().max() < 2e-3


def test_nothing_leaks(model, pixels, parts):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.zero_grad(set_to_none=True)
    for name in METHODS:
        assert not run(name, model, pixels, parts).requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(not module._forward_hooks and not module._backward_hooks for module in model.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not model.training


def test_threads_with_different_methods_give_what_each_gives_alone(model):
    processor = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    explainer = Explainer(model, processor, device="cpu")
    jobs = [(name, made_up_picture(96, 72, seed)) for seed, name in enumerate(METHODS)]
    expected = [explainer(picture, method=name, target=3).heatmap for name, picture in jobs]
    found = [None] * len(jobs)

    def work(index):
        name, picture = jobs[index]
        for _ in range(2):
            found[index] = explainer(picture, method=name, target=3).heatmap

    in_threads(work, len(jobs))
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max() < 1e-3


def test_the_explainer_lays_the_methods_map_on_the_view(model, pixels):
    processor = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    explainer = Explainer(model, processor, device="cpu")
    picture = made_up_picture(96, 64)
    explanation = explainer(picture, method="grad-cam", target="class 7", view="whole")
    seen = processor(picture, view="whole", return_tensors="pt")["pixel_values"]
    expected = METHODS["grad-cam"].compute(model, seen, forward_parts(model, seen), torch.tensor([7]))
    expected = F.interpolate(expected[None], (64, 96), mode="bilinear", align_corners=False)[0, 0]
    assert np.abs(explanation.heatmap - expected.numpy()).max() < 1e-4
    assert (explanation.method, explanation.target) == ("grad-cam", "class 7")
    assert explainer(picture, method="grad-cam").target == explanation.label
    assert explainer(picture).target is None
    assert np.abs(explainer(picture, view="whole").attention_map - explanation.attention_map).max() < 1e-6


def test_unknown_methods_are_named():
    with pytest.raises(ValueError, match=r"'attention', 'attention-cam', 'grad-cam'.*got 'x'"):
        method_named("x")
