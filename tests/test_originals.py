"""The authors' own checkpoints: against their networks' outputs, at other depths and widths, and what is refused."""

import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import ROOT, made_up_picture, stored_reference
from torch.nn import functional as F

from abn import AbnConfig, AbnForImageClassification, AbnForMultiTaskClassification, Explainer
from abn.checkpoints import load_checkpoint
from abn.checkpoints.infer import infer_config
from abn.checkpoints.originals import read_pickled
from abn.editing import Editing
from abn.model.configuration_abn import cifar_family

TAGS = ("cifar_densenet40", "cifar_resnet20", "cifar_resnet56", "cifar_resnext29_4", "cifar_wrn16_4")
TAGS = (*(f"original_{tag}" for tag in (*TAGS, "imagenet_resnet18")), "mtabn_v1_resnet18", "mtabn_v2_resnet18")


def pack(folder, tensors):
    """A file as the authors' training writes it."""
    file = folder / "model_best.pth.tar"
    held = {"epoch": 300, "state_dict": tensors, "acc": 77.5, "best_acc": np.float64(77.9)}
    held["optimizer"] = {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3}]}
    torch.save(held, file)
    return file


@pytest.mark.parametrize("tag", TAGS)
def test_they_give_what_their_own_code_gives(tag, reference_folder, tmp_path):
    meta, tensors, pixels, expected = stored_reference(reference_folder, tag)
    explainer = Explainer.from_pretrained(pack(tmp_path, tensors), device="cpu")
    with torch.no_grad():
        outputs = explainer.model(pixel_values=pixels)
    for key, values in expected.items():
        assert outputs[key].shape == values.shape
        assert np.abs(outputs[key].numpy() - values).max() <= 1e-4 * np.abs(values).max()
    assert len(explainer.labels) == meta["num_labels"]
    known = {1000: ("tench", "toilet tissue"), 100: ("apple", "worm"), 40: ("5 o'clock shadow", "young")}
    assert (explainer.labels[0], explainer.labels[-1]) == known[meta["num_labels"]]
    assert explainer.processor.geometry((300, 300)).crop == (meta["size"], meta["size"])
    explanation = explainer(made_up_picture())
    assert 0 <= explanation.heatmap.min() <= explanation.heatmap.max() <= 1


def original_names(model: AbnForImageClassification) -> dict[str, torch.Tensor]:
    """Our tensors under the names that the authors' code gives them."""
    family = (cifar_family(model.config.arch) or ("imagenet", ()))[0]
    last = "4" if family == "imagenet" else "3"
    found = {}
    for name, tensor in model.state_dict().items():
        part, rest = name.removeprefix("model.").split(".", 1)
        if not rest.startswith("stage.") and part != "features":
            head = {"norm": "bn_att", "conv": "att_conv", "norm2": "bn_att2", "class_conv": "att_conv2"}
            head |= {"map_conv": "att_conv3", "map_norm": "bn_att3"}
            head |= {"fc": "classifier" if family == "resnext" else "fc"}
            first, tail = rest.split(".", 1)
            found[f"module.{head[first]}.{tail}"] = tensor
            continue
        stage = {"attention_branch": "att_", "perception_branch": "", "features": None}[part]
        rest = rest.removeprefix("stage.")
        if family in ("imagenet", "resnet"):
            rest = rest if stage is None else f"{stage}layer{last}.{rest}"
            if ".se." in rest:
                rest = rest.replace(".se.", ".")
                tensor = tensor.flatten(1) if rest.endswith("weight") else tensor
        elif family == "densenet":
            rest = rest if stage is None else re.sub("^norm", "bn", re.sub("^dense", f"{stage}dense3", rest))
            rest = re.sub(r"denselayer(\d+)\.norm", lambda m: f"{int(m[1]) - 1}.bn", rest)
            rest = re.sub(r"denselayer(\d+)", lambda m: str(int(m[1]) - 1), rest)
            rest = re.sub(r"(trans\d)\.(norm|conv)\.", lambda m: f"{m[1]}.{m[2].replace('norm', 'bn')}1.", rest)
        elif family == "wrn":
            rest = rest if stage is None else re.sub("^blocks", f"{stage}layer3", rest)
            rest = re.sub(r"^norm\.", "bn1.", rest)
            rest = re.sub(r"^(att_)?layer(\d)\.", r"\1block\2.layer.", rest)
            rest = re.sub(r"\.norm(\d)\.", r".bn\1.", rest).replace(".shortcut.", ".convShortcut.")
        else:
            rest = rest if stage is None else f"layer{'_att' if stage else '3'}.{rest}"
            rest = re.sub(r"^layer_?(att|\d)\.(\d+)\.", r"stage_\1.stage_\1_bottleneck_\2.", rest)
            for ours, theirs in (("conv1", "conv_reduce"), ("conv2", "conv_conv"), ("conv3", "conv_expand")):
                rest = rest.replace(f".{ours}.", f".{theirs}.")
            for ours, theirs in (("bn1", "bn_reduce"), ("bn2", "bn"), ("bn3", "bn_expand")):
                rest = rest.replace(f".{ours}.", f".{theirs}.")
            rest = rest.replace(".downsample.0.", ".shortcut.shortcut_conv.")
            rest = rest.replace(".downsample.1.", ".shortcut.shortcut_bn.")
            rest = re.sub(r"^conv1\.", "conv_1_3x3.", re.sub(r"^bn1\.", "bn_1.", rest))
        found[f"module.{rest}"] = tensor
    return found


@pytest.mark.parametrize(
    ("arch", "head"),
    [
        ("resnet34", "A"),
        ("resnet50", "A"),
        pytest.param("resnet101", "A", marks=pytest.mark.slow),
        ("se-resnet18", "E"),
        pytest.param("se-resnet50", "E", marks=pytest.mark.slow),
        ("resnet32-cifar", "A"),
        ("resnet44-cifar", "A"),
        ("resnet110-cifar", "A"),
        ("densenet22-8-cifar", "A"),
        ("densenet100-12-cifar", "A"),
        ("wrn10-2-cifar", "A"),
        ("wrn28-3-cifar", "A"),
        ("wrn76-1-cifar", "A"),
        ("resnext20-2x64-cifar", "D"),
        pytest.param("resnext29-8x64-cifar", "D", marks=pytest.mark.slow),
    ],
)
def test_other_depths_and_widths(arch, head, tmp_path):
    torch.manual_seed(0)
    model = AbnForImageClassification(AbnConfig(arch=arch, attention_head=head, num_labels=7)).eval()
    tensors = original_names(model)
    if head == "D":
        tensors |= {f"module.bn_att.{name}": torch.rand(1024) for name in ("weight", "bias", "running_mean")}
    loaded, _ = load_checkpoint(pack(tmp_path, tensors))
    assert loaded.config.arch == arch
    assert loaded.config.attention_head == head
    assert loaded.config.num_labels == 7
    found, expected = loaded.state_dict(), model.state_dict()
    assert all(found[name].equal(tensor) for name, tensor in expected.items())


def test_the_number_of_parameters_is_the_published_networks():
    """Counted from the authors' definitions, layer by layer."""

    def count(arch, head="A"):
        with torch.device("meta"):
            model = AbnForImageClassification(AbnConfig(arch=arch, attention_head=head, num_labels=100))
        return model.num_parameters()

    branch = 100 * 100 + 9 * 100 + 2 + 2 * 100  # class_conv, map_conv, map_norm, norm2
    block = 2 * 9 * 64 * 64 + 4 * 64
    first = 9 * 32 * 64 + 9 * 64 * 64 + 32 * 64 + 6 * 64
    stages = 3 * 9 * 16 + 2 * 16 + 3 * (2 * 9 * 16 * 16 + 4 * 16)
    stages += 9 * 16 * 32 + 9 * 32 * 32 + 16 * 32 + 6 * 32 + 2 * (2 * 9 * 32 * 32 + 4 * 32)
    expected = stages + 2 * (first + 2 * block) + branch + 2 * 64 + 100 * 64 + 101 * 100 - 100 * 100 + 100 * 64
    assert count("resnet20-cifar") == expected


def test_squeeze_and_excitation_by_hand():
    """One block and the map of the authors' SE-ResNet, in plain functions."""
    torch.manual_seed(0)
    model = AbnForImageClassification(AbnConfig(arch="se-resnet18", attention_head="E", num_labels=5)).eval()
    block = model.model.features.layer1[0]
    x = torch.randn(2, 64, 8, 8)
    with torch.no_grad():
        out = block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))
        squeezed = F.relu(F.linear(out.mean((2, 3)), block.se.fc1.weight[:, :, 0, 0], block.se.fc1.bias))
        excited = torch.sigmoid(F.linear(squeezed, block.se.fc2.weight[:, :, 0, 0], block.se.fc2.bias))
        torch.testing.assert_close(block(x), F.relu(out * excited[:, :, None, None] + x))
        assert squeezed.shape[1] == 4
        branch, features = model.model.attention_branch, torch.randn(2, 256, 4, 4)
        responses = F.relu(branch.norm2(branch.conv(branch.norm(branch.stage(features)))))
        torch.testing.assert_close(branch(features)[1], torch.log(responses + 1).sum(1, keepdim=True))


def test_a_map_that_is_not_bounded_cannot_be_edited():
    from abn import AbnImageProcessor

    model = AbnForImageClassification(AbnConfig(arch="se-resnet18", attention_head="E", num_labels=5))
    with pytest.raises(ValueError, match="has no upper bound; only one between 0 and 1 can be edited"):
        Editing(Explainer(model, AbnImageProcessor(), device="cpu"), made_up_picture())


def test_a_map_that_is_not_bounded_is_shown_over_its_maximum():
    from abn import AbnImageProcessor

    torch.manual_seed(0)
    model = AbnForImageClassification(AbnConfig(arch="se-resnet18", attention_head="E", num_labels=5))
    explanation = Explainer(model, AbnImageProcessor(), device="cpu")(made_up_picture())
    assert explanation.attention_map.max() > 1
    assert explanation.heatmap.max() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("residual", [None, True, False])
def test_what_a_file_does_not_tell_is_an_argument(residual, tmp_path):
    torch.manual_seed(0)
    model = AbnForImageClassification(AbnConfig(arch="resnet20-cifar", attention_head="A", num_labels=10)).eval()
    file = pack(tmp_path, original_names(model))
    explainer = Explainer.from_pretrained(file, residual_attention=residual, device="cpu")
    assert explainer.model.config.residual_attention is (residual is not False)
    assert explainer.labels[3] == "cat"
    model.model.perception_branch.residual = residual is not False
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(explainer.model(pixels).logits, model(pixels).logits)


class Evil:
    def __reduce__(self):
        return (os.system, ("touch executed",))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda good: pickle.dumps({"state_dict": Evil()}, 2), r"asks for code \(\w+\.system\) to be read"),
        (lambda good: pickle.dumps({"state_dict": Evil()}, 5), "is not a PyTorch file of tensors"),
        (lambda good: good[: len(good) // 2], "is not a (whole )?PyTorch file"),
        (lambda good: good[:100], "is not a (whole )?PyTorch file"),
        (lambda good: b"", "is not a (whole )?PyTorch file"),
        (lambda good: b"this is text", "is not a (whole )?PyTorch file"),
    ],
)
def test_damaged_and_hostile_files(make, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = pack(tmp_path, {"module.x": torch.zeros(1000)})
    file.write_bytes(make(file.read_bytes()))
    with pytest.raises(ValueError, match=rf"^model_best\.pth\.tar {words}") as raised:
        Explainer.from_pretrained(file)
    assert "\n" not in str(raised.value)
    assert str(tmp_path) not in str(raised.value)
    assert not (tmp_path / "executed").exists()


def test_code_within_a_torch_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"module.x": Evil()}}, tmp_path / "evil.pth.tar")
    with pytest.raises(
        ValueError, match=r"evil\.pth\.tar asks for code \(posix\.system\) to be read; it is not opened"
    ):
        Explainer.from_pretrained(tmp_path / "evil.pth.tar")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ([1, 2], "holds no state_dict of tensors"),
        ({"state_dict": {}}, "holds no state_dict of tensors"),
        ({"weight": "text"}, "holds no state_dict of tensors"),
        ({"encoder.weight": torch.zeros(2)}, r"is not an ABN checkpoint\. Found 1 tensors"),
    ],
)
def test_files_of_another_kind(held, words, tmp_path):
    torch.save(held, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=rf"other\.pth {words}"):
        Explainer.from_pretrained(tmp_path / "other.pth")


@pytest.mark.parametrize("lost", ["module.fc.weight", "module.layer1.0.conv1.weight"])
def test_a_file_that_lacks_what_tells_its_kind(lost, tmp_path):
    model = AbnForImageClassification(AbnConfig(arch="resnet20-cifar", attention_head="A", num_labels=10))
    tensors = original_names(model)
    tensors.pop(lost)
    with pytest.raises(ValueError, match=r"model_best\.pth\.tar is not a whole checkpoint: it lacks|1 missing"):
        Explainer.from_pretrained(pack(tmp_path, tensors))


def test_missing_tensors_are_errors(tmp_path):
    model = AbnForImageClassification(AbnConfig(arch="resnet20-cifar", attention_head="A", num_labels=10))
    tensors = original_names(model)
    tensors.pop("module.bn_att.weight")
    with pytest.raises(ValueError, match=r"1 missing \(model\.attention_branch\.norm\.weight\)"):
        Explainer.from_pretrained(pack(tmp_path, tensors))


def test_files_older_than_pytorch_0_4_1_do_not_count_batches(tmp_path):
    torch.manual_seed(0)
    model = AbnForImageClassification(AbnConfig(arch="resnet20-cifar", attention_head="A", num_labels=10)).train()
    with torch.no_grad():
        model(pixel_values=torch.randn(4, 3, 32, 32))  # batch norms that are not as when made
    tensors = {name: t for name, t in original_names(model).items() if not name.endswith("num_batches_tracked")}
    assert len(tensors) < len(model.state_dict())
    read = load_checkpoint(pack(tmp_path, tensors))[0].state_dict()
    for name, tensor in model.state_dict().items():
        assert read[name].equal(torch.tensor(0) if name.endswith("num_batches_tracked") else tensor), name


def test_names_without_the_prefix_and_a_bare_state_dict(tmp_path):
    model = AbnForImageClassification(AbnConfig(arch="resnet20-cifar", attention_head="A", num_labels=10))
    bare = {name.removeprefix("module."): tensor for name, tensor in original_names(model).items()}
    torch.save(bare, tmp_path / "bare.pth")
    assert set(read_pickled(tmp_path / "bare.pth")) == set(bare)
    assert load_checkpoint(tmp_path / "bare.pth")[0].config.arch == "resnet20-cifar"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cifar", "multitask"])
def test_convert_and_load_again_is_exact(kind, tmp_path):
    torch.manual_seed(0)
    if kind == "cifar":
        model = AbnForImageClassification(AbnConfig(arch="wrn10-2-cifar", attention_head="A", num_labels=100))
        file = pack(tmp_path, original_names(model))
    else:
        model = AbnForMultiTaskClassification(AbnConfig(arch="resnet18", multitask="v2", num_labels=6))
        model.save_pretrained(tmp_path / "own")
        file = tmp_path / "own" / "model.safetensors"
    command = [sys.executable, "-W", "error", "-m", "abn.checkpoints", "convert", str(file), str(tmp_path / "hub")]
    done = subprocess.run([*command, "--no-residual-attention"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    before = Explainer.from_pretrained(file, residual_attention=False, device="cpu")
    after = Explainer.from_pretrained(tmp_path / "hub", device="cpu")
    assert after.model.config.residual_attention is False
    assert before.labels == after.labels
    found = after.model.state_dict()
    assert all(found[name].equal(tensor) for name, tensor in before.model.state_dict().items())
    one, two = before(made_up_picture()), after(made_up_picture())
    assert np.array_equal(one.attention_map, two.attention_map)
    assert one.probabilities == two.probabilities
    card = (tmp_path / "hub" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers")
    assert ("classes: apple, aquarium fish" in card.lower()) == (kind == "cifar")
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert again.stderr == f"error: {tmp_path / 'hub'} holds something already; name a new folder\n"


@pytest.mark.parametrize(
    "arch", ["resnet26-cifar", "resnet56-cifar", "densenet40-12-cifar", "wrn16-4-cifar", "resnext29-4x64-cifar"]
)
def test_a_lone_file_of_our_own_tells_its_network(arch):
    with torch.device("meta"):
        model = AbnForImageClassification(AbnConfig(arch=arch, num_labels=100))
    assert infer_config(model.state_dict()) == {"arch": arch, "num_labels": 100}


@pytest.mark.parametrize("arch", ["resnet21-cifar", "wrn28-0-cifar", "resnet19", "densenet40-cifar", "vgg16", ""])
def test_wrong_names_list_the_right_ones(arch):
    with pytest.raises(
        ValueError, match=r"arch must be one of resnet18, .*se-resnet152.*wrnD-FACTOR-cifar with D = 10"
    ):
        AbnConfig(arch=arch)


def test_what_contradicts_a_cifar_network():
    with pytest.raises(ValueError, match="width, stem and shortcut follow from arch='wrn28-10-cifar'"):
        AbnConfig(arch="wrn28-10-cifar", width=32)
    with pytest.raises(ValueError, match="dropout must be at least 0 and below 1; got 1"):
        AbnConfig(arch="wrn28-10-cifar", dropout=1)
