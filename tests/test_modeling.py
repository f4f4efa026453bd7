"""The network: known outputs, the branches' formulas, gradients, saving and loading, and the copy that travels."""

import os
import subprocess
import sys

import golden
import numpy as np
import pytest
import torch
import torchvision
from helpers import ROOT, made_up_picture, tiny_config, tiny_model
from torch.nn import functional as F
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification

from abn import AbnConfig, AbnForImageClassification, AbnForMultiTaskClassification, AbnImageProcessor
from abn.model import versions
from abn.model.backbone_resnet import zero_last_norms


@pytest.mark.parametrize("head", golden.HEADS)
def test_known_outputs(head):
    stored = np.load(golden.FILE)
    for key, values in golden.known_outputs(head).items():
        expected = stored[f"{head}_{key}"]
        assert np.abs(values - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("arch", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_the_network_is_torchvisions_resnet_and_a_second_last_stage(arch):
    with torch.device("meta"):
        model = AbnForImageClassification(AbnConfig(arch=arch, num_labels=10))
        plain = getattr(torchvision.models, arch)(num_classes=10)
    channels = plain.fc.in_features
    head = 2 * channels + 10 * channels + 2 * 10 + 10 * 10 + 10 * 9 + 2
    last = sum(p.numel() for p in plain.layer4.parameters())
    assert model.num_parameters() == sum(p.numel() for p in plain.parameters()) + last + head


def test_the_maps_size_and_range():
    with torch.no_grad():
        outputs = tiny_model()(pixel_values=0.1 * torch.randn(2, 3, 64, 96))
    assert outputs.attention_map.shape == (2, 1, 4, 6)
    assert 0 <= outputs.attention_map.min() < outputs.attention_map.max() <= 1


@pytest.mark.parametrize("multitask", [None, "v1"])
def test_only_zeros_beyond_the_border_tell_where_it_is(multitask):
    """Of a picture of one colour, all places of the features and of the map are alike."""
    pixels = torch.full((1, 3, 64, 96), 0.7)
    spread = {}
    for padding in ("zeros", "replicate"):
        network = AbnForMultiTaskClassification if multitask else AbnForImageClassification
        torch.manual_seed(0)
        model = network(tiny_config(padding=padding, multitask=multitask)).eval()
        with torch.no_grad():
            for found in (model.model.features(pixels), model(pixel_values=pixels).attention_map):
                spread[padding] = max(spread.get(padding, 0), (found.amax((2, 3)) - found.amin((2, 3))).max().item())
    assert spread["replicate"] < 1e-5 < 1e-3 < spread["zeros"]


def test_only_convolutions_that_see_beyond_the_border_repeat_it():
    """The others would copy their input for a border of none, about a fifth of a training step's time."""
    convolutions = [part for part in tiny_model(padding="replicate").modules() if isinstance(part, torch.nn.Conv2d)]
    assert {(any(part.padding), part.padding_mode) for part in convolutions} == {(True, "replicate"), (False, "zeros")}


@pytest.mark.parametrize("residual", [True, False])
def test_the_perception_branch_sees_attended_features(residual):
    model = tiny_model(residual_attention=residual)
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        outputs = model(pixel_values=pixels)
        features = model.model.features(pixels)
        seen = features * outputs.attention_map + (features if residual else 0)
        branch = model.model.perception_branch
        expected = branch.fc(branch.stage(seen).mean((2, 3)))
    torch.testing.assert_close(outputs.logits, expected)


def test_loss_is_both_branches_cross_entropy():
    model, labels = tiny_model(), torch.tensor([3, 7])
    with torch.no_grad():
        outputs = model(pixel_values=torch.randn(2, 3, 64, 64), labels=labels)
    expected = F.cross_entropy(outputs.logits, labels) + F.cross_entropy(outputs.attention_logits, labels)
    torch.testing.assert_close(outputs.loss, expected)


@pytest.mark.parametrize("head", ["A", "B", "C"])
def test_every_parameter_gets_a_gradient(head):
    model = tiny_model(attention_head=head, stem="3x3x3", shortcut="avgpool").train()
    model(pixel_values=torch.randn(4, 3, 64, 64), labels=torch.tensor([0, 1, 2, 3])).loss.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_the_references_snippet():
    model = tiny_model()
    with torch.no_grad():
        outputs = model(torch.randn(2, 3, 64, 64))
    assert torch.equal(model.model.attention_map, outputs.attention_map)
    assert not model.model.attention_map.requires_grad


def test_tuple_output():
    model, pixels = tiny_model(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        logits, attention_logits, attention_map = model(pixel_values=pixels, return_dict=False)
        outputs = model(pixel_values=pixels)
    assert torch.equal(logits, outputs.logits)
    assert torch.equal(attention_logits, outputs.attention_logits)
    assert torch.equal(attention_map, outputs.attention_map)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 64, 64, 3)])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"\(batch, 3, height, width\); got"):
        tiny_model()(pixel_values=torch.zeros(shape))


def test_initial_weights():
    torch.manual_seed(0)
    model = AbnForImageClassification(tiny_config(width=64))
    conv = model.model.features.layer2[1].conv1.weight
    assert conv.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)  # He: fan out
    assert model.model.attention_branch.norm.weight.unique().tolist() == [1.0]
    assert model.model.perception_branch.fc.weight.abs().max().item() <= 512**-0.5
    zero_last_norms(model)
    assert model.model.features.layer1[0].bn2.weight.abs().max() == 0
    assert model.model.features.layer1[0].bn1.weight.min() == 1


def test_saved_and_loaded_it_gives_identical_outputs(tmp_path):
    model, pixels = tiny_model(stem="3x3x3", shortcut="avgpool", residual_attention=False), torch.randn(2, 3, 64, 96)
    model.save_pretrained(tmp_path)
    again = AbnForImageClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        for one, other in zip(model(pixels).to_tuple(), again(pixels).to_tuple(), strict=True):
            assert torch.equal(one, other)
    assert again.config.attention_head == "C"
    assert not again.training


def test_arguments_of_from_pretrained_reach_the_configuration(tiny_folder):
    model = AbnForImageClassification.from_pretrained(
        tiny_folder, residual_attention=False, ignore_mismatched_sizes=True
    )
    assert model.model.perception_branch.residual is False
    with pytest.raises(ValueError, match="num_labels=5 contradicts id2label"):
        AbnForImageClassification.from_pretrained(tiny_folder, num_labels=5)


def test_auto_classes_need_no_trust(tiny_folder):
    assert isinstance(AutoConfig.from_pretrained(tiny_folder), AbnConfig)
    assert isinstance(AutoModelForImageClassification.from_pretrained(tiny_folder), AbnForImageClassification)
    assert isinstance(AutoImageProcessor.from_pretrained(tiny_folder), AbnImageProcessor)


OUTSIDE = """
import sys
import numpy as np, torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification
folder = sys.argv[1]
assert not any(name == "abn" for name in sys.modules)
model = AutoModelForImageClassification.from_pretrained(folder, trust_remote_code=True)
other = AutoModel.from_pretrained(folder, trust_remote_code=True).state_dict()
assert all(other[name].equal(tensor) for name, tensor in model.state_dict().items())
processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
pixels = processor(Image.open(sys.argv[2]), return_tensors="pt")["pixel_values"]
with torch.no_grad():
    outputs = model(pixel_values=pixels)
assert not any(name == "abn" for name in sys.modules), "the package was imported"
np.savez(sys.argv[3], **{k: outputs[k].numpy() for k in ("logits", "attention_logits", "attention_map")})
"""


def test_what_is_pushed_loads_without_this_repository(tiny_folder, tmp_path):
    """The saved folder is what push_to_hub uploads: weights, configuration and the code that loads them."""
    picture = tmp_path / "picture.png"
    made_up_picture().save(picture)
    result = tmp_path / "outputs.npz"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", OUTSIDE, str(tiny_folder), str(picture), str(result)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    model = AbnForImageClassification.from_pretrained(tiny_folder)
    processor = AbnImageProcessor.from_pretrained(tiny_folder)
    with torch.no_grad():
        here = model(**processor(made_up_picture(), return_tensors="pt"))
    there = np.load(result)
    for key in there:
        assert np.array_equal(there[key], here[key].numpy())


OLDER = """
import sys
import transformers
for kind in ("AutoConfig", "AutoModel", "AutoModelForImageClassification", "AutoImageProcessor"):
    try:
        getattr(transformers, kind).from_pretrained(sys.argv[1], trust_remote_code=True)
    except ImportError as error:
        print(f"{kind}: {error}")
"""


@pytest.mark.slow
def test_an_older_transformers_is_told_the_version_that_is_needed(tiny_folder, tmp_path):
    """transformers 4.57.1, as it is, with the two packages that it pins; the others are this environment's."""
    older = tmp_path / "older"
    wanted = ["transformers==4.57.1", "huggingface-hub==0.36.0", "tokenizers==0.22.1"]
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--retries", "1", "--target", str(older)]
    if subprocess.run([*command, *wanted], capture_output=True, check=False).returncode:
        pytest.skip("transformers 4.57.1 cannot be had: no package index at hand")
    environment = {**os.environ, "PYTHONPATH": str(older), "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", OLDER, str(tiny_folder)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    words = "this network's code needs transformers 5.17 or later; found 4.57.1: pip install 'transformers>=5.17,<6'"
    kinds = ("AutoConfig", "AutoModel", "AutoModelForImageClassification", "AutoImageProcessor")
    assert run.stdout.splitlines() == [f"{kind}: {words}" for kind in kinds]


@pytest.mark.parametrize("file", ["configuration_abn.py", "image_processing_abn.py"])
@pytest.mark.parametrize("version", ["4.57.1", "5.16.2", "5.9"])
def test_the_code_beside_the_weights_asks_for_its_version_first(file, version, tiny_folder, tmp_path):
    """Under a stand-in for an older transformers, which has none of the names that the code imports."""
    (tmp_path / "transformers.py").write_text(f"__version__ = {version!r}")
    code = f"import sys; sys.path.insert(0, {str(tiny_folder.parent)!r}); import tiny.{file.removesuffix('.py')}"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    told = run.stderr.splitlines()[-1]
    assert told == (
        f"ImportError: this network's code needs transformers 5.17 or later; found {version}: "
        "pip install 'transformers>=5.17,<6'"
    )


def test_the_version_needed_is_the_one_required():
    assert versions.TRANSFORMERS in (ROOT / "requirements.txt").read_text().splitlines()
    for version in ("5.17.0", "5.17", "5.24.0.dev0", "6.0"):
        versions.check(version)
