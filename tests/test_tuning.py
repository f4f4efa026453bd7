"""The quicker copy: folding changes nothing but rounding, bfloat16 little."""

import threading

import numpy as np
import pytest
import torch
from helpers import made_up_picture, tiny_model
from torch import nn

from abn import AbnConfig, AbnForImageClassification, AbnImageProcessor, Explainer
from abn.benchmark import agreement
from abn.folding import folded
from abn.tuning import has_bfloat16, tuned


@pytest.mark.parametrize("head", ["A", "B", "C"])
def test_folding_changes_nothing_but_rounding(head):
    model, pixels = tiny_model(attention_head=head), 0.2 * torch.randn(2, 3, 64, 96)
    quicker = folded(model)
    with torch.no_grad():
        expected, found = model(pixel_values=pixels), quicker(pixel_values=pixels)
    for key in ("logits", "attention_logits", "attention_map"):
        torch.testing.assert_close(found[key], expected[key], rtol=1e-3, atol=1e-4)
    norms = [name for name, module in quicker.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms == ["model.attention_branch.norm"]
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.model.features.modules())  # untouched


class Branching(nn.Module):
    """One norm alone behind its convolution, one whose convolution's output is used beside it."""

    def __init__(self):
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.second, self.second_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        for norm in (self.first_norm, self.second_norm):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)

    def forward(self, x):
        y = self.second(self.first_norm(self.first(x)).relu())
        return self.second_norm(y) + y


def test_a_norm_stays_where_the_convolutions_output_is_used_beside_it():
    network, x = Branching().eval(), torch.randn(2, 3, 8, 8)
    quicker = folded(network, x=x)
    assert isinstance(quicker.first_norm, nn.Identity)
    assert isinstance(quicker.second_norm, nn.BatchNorm2d)
    torch.testing.assert_close(quicker(x), network(x), rtol=1e-4, atol=1e-5)


def test_others_go_on_while_a_network_is_folded():
    """The page answers with the network that it folds a copy of."""
    model, pixels, over, wrong = tiny_model(), 0.2 * torch.randn(1, 3, 64, 64), threading.Event(), []
    with torch.no_grad():
        expected = model(pixel_values=pixels).logits

    def ask():
        with torch.no_grad():
            while not over.is_set():
                try:
                    torch.testing.assert_close(model(pixel_values=pixels).logits, expected)
                except Exception as error:
                    wrong.append(error)

    others = [threading.Thread(target=ask) for _ in range(4)]
    for thread in others:
        thread.start()
    for _ in range(5):
        folded(model)
    over.set()
    for thread in others:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("arch", ["se-resnet18", "resnet20-cifar", "densenet22-8-cifar", "wrn10-2-cifar"])
def test_other_networks_fold_as_well(arch):
    torch.manual_seed(0)
    head = "E" if arch.startswith("se") else "A"
    model = AbnForImageClassification(AbnConfig(arch=arch, attention_head=head, num_labels=5)).eval()
    pixels = 0.1 * torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(folded(model)(pixels).logits, model(pixels).logits, rtol=1e-3, atol=1e-3)


def test_the_bundled_network_tuned(bundled, validation_pictures):
    """Probabilities differ by 0.01 at most in the mean and 0.05 at most; labels are the same."""
    explainer = Explainer.from_pretrained(bundled, device="cpu")
    found = agreement(explainer, tuned(explainer, half=True), [file for file, _ in validation_pictures])
    assert found["mean"] <= 0.01
    assert found["largest"] <= 0.05
    assert found["same_label"] >= 0.99


def test_half_precision_where_the_processor_has_it(bundled):
    explainer = Explainer.from_pretrained(bundled, device="cpu")
    kinds = {p.dtype for p in tuned(explainer).model.model.features.parameters()}
    assert kinds == {torch.bfloat16 if has_bfloat16(torch.device("cpu")) else torch.float32}
    for method in ("attention", "grad-cam", "attention-cam", "layer-cam"):
        one, other = (each(made_up_picture(), method=method).heatmap for each in (explainer, tuned(explainer)))
        assert np.abs(one - other).mean() < 0.05


def test_one_map_a_task_cannot_be_tuned():
    from abn import AbnForMultiTaskClassification

    model = AbnForMultiTaskClassification(AbnConfig(arch="resnet18", width=8, multitask="v1", num_labels=3))
    with pytest.raises(ValueError, match="cannot be tuned"):
        tuned(Explainer(model, AbnImageProcessor(), device="cpu"))
