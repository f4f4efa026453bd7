"""Networks in float16 and bfloat16, and gradients where PyTorch keeps none."""

import contextlib

import numpy as np
import pytest
import torch
from helpers import made_up_picture, tiny_model, vision_transformer

from abn import AbnConfig, AbnImageProcessor, Explainer
from abn.comparison import Comparison
from abn.editing import Editing
from abn.model.image_processing_vit import VitImageProcessor
from abn.model.modeling_multitask import AbnForMultiTaskClassification

CLOSE = {torch.float16: 0.03, torch.bfloat16: 0.1}
MODES = {"no mode": contextlib.nullcontext, "no_grad": torch.no_grad, "inference_mode": torch.inference_mode}


def tasks():
    torch.manual_seed(2)
    return AbnForMultiTaskClassification(AbnConfig(arch="resnet18", width=8, multitask="v2", num_labels=4)).eval()


MODELS = {"abn": tiny_model, "multi-task": tasks, "vit": vision_transformer}


def explainer_of(name, dtype=torch.float32):
    side = {"height": 32, "width": 32} if name == "vit" else {"height": 64, "width": 64}
    processor = (VitImageProcessor if name == "vit" else AbnImageProcessor)(size=side, crop_size=side)
    model = MODELS[name]().to(dtype)
    return Explainer(model, processor, device="cpu")


def methods_of(name):
    return [method for method in explainer_of(name).methods if "head" not in method]


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize(("name", "method"), [(name, method) for name in MODELS for method in methods_of(name)])
def test_half_precision_gives_about_the_same_in_float32(name, method, dtype):
    picture = made_up_picture()
    full, half = (explainer_of(name, kind)(picture, method=method, target=1) for kind in (torch.float32, dtype))
    assert half.attention_map.dtype == half.heatmap.dtype == np.float32
    assert half.probabilities == pytest.approx(full.probabilities, abs=CLOSE[dtype])
    assert half.attention_probabilities == pytest.approx(full.attention_probabilities, abs=CLOSE[dtype])
    assert np.abs(half.heatmap - full.heatmap).max() < CLOSE[dtype]
    strongest = np.abs(full.attention_map).max()
    assert np.abs(half.attention_map - full.attention_map).max() < CLOSE[dtype] * max(1, strongest)


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
def test_edits_and_curves_of_a_network_in_half_precision(dtype):
    picture = made_up_picture()
    full, half = explainer_of("abn"), explainer_of("abn", dtype)
    edited = np.full(Editing(full, picture).explanation.attention_map.shape, -0.5)
    expected = Editing(full, picture)(edited).probabilities
    assert Editing(half, picture)(edited).probabilities == pytest.approx(expected, abs=CLOSE[dtype])
    curves = [Comparison(each, picture, 1) for each in (full, half)]
    curves = [each.curves(each("grad-cam")) for each in curves]
    assert curves[1].insertion == pytest.approx(curves[0].insertion, abs=CLOSE[dtype])
    assert curves[1].deletion == pytest.approx(curves[0].deletion, abs=CLOSE[dtype])


def test_the_network_itself_takes_float32():
    pixels = torch.randn(1, 3, 64, 64)
    for make in (tiny_model, tasks):
        with torch.no_grad():
            outputs = make().half()(pixel_values=pixels)
            expected = make()(pixel_values=pixels)
        assert outputs.logits.dtype == torch.float16
        assert torch.allclose(outputs.logits.float(), expected.logits, atol=0.02, rtol=0.005)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "method"), [(name, method) for name in MODELS for method in methods_of(name)])
def test_every_method_works_in_every_mode(name, method, mode):
    picture = made_up_picture()
    expected = explainer_of(name)(picture, method=method, target=1).heatmap
    explainer = explainer_of(name)
    with MODES[mode]():
        found = explainer(picture, method=method, target=1).heatmap
        comparison = Comparison(explainer, picture, 1, view="model")
        inside = comparison(method).heatmap
        made_inside = explainer_of(name)
        own = made_inside(picture, method=method, target=1).heatmap
    later = comparison(method).heatmap, made_inside(picture, method=method, target=1).heatmap
    for heatmap in (found, inside, own, *later):
        assert np.array_equal(heatmap, expected)


def test_gradients_are_the_classes_own_in_inference_mode():
    explainer = explainer_of("vit")
    with torch.inference_mode():
        maps = [explainer(made_up_picture(), method="gradient-rollout", target=index).heatmap for index in range(2)]
    assert np.abs(maps[0] - maps[1]).max() > 0.01
    assert all(parameter.grad is None for parameter in explainer.model.parameters())
