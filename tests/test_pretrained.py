"""ResNets of torchvision, timm and transformers: the same answers as their own library gives, and what is refused."""

import json
import re
import shutil

import numpy as np
import pytest
import timm
import torch
import torchvision
from helpers import made_up_picture, tiny_model
from hub_stand_in import REPO, endpoint, hub
from safetensors.torch import load_file, save_file
from timm.data import create_transform, resolve_data_config
from timm.models import save_for_hf
from transformers import ConvNextImageProcessor, ResNetConfig, ResNetForImageClassification, ResNetModel

from abn import AbnImageProcessor
from abn.checkpoints import load_pretrained
from abn.checkpoints.heads import with_new_heads
from train.plain import PlainConfig, PlainForImageClassification

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
DEPTHS = [18, 34, 50, *(pytest.param(depth, marks=pytest.mark.slow) for depth in (101, 152))]


def random_network(build):
    """What `build` makes, in evaluation mode, every tensor of it random: batch norms carry statistics, too."""
    with torch.device("meta"):  # its own random numbers would take longer than all that follows
        model = build()
    model.to_empty(device="cpu")
    torch.manual_seed(0)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.8, 1.2)
        elif name.endswith("num_batches_tracked"):
            tensor.fill_(9)
        elif tensor.ndim > 1:
            bound = (3 / tensor[0].numel()) ** 0.5
            tensor.uniform_(-bound, bound)
        elif name.endswith("weight"):
            tensor.uniform_(0.3, 0.9)
        else:
            tensor.uniform_(-0.2, 0.2)
    return model.eval()


def plain(pretrained):
    """The backbone without the attention branch, with the fully connected layer of its library."""
    names = {name: name.removeprefix("model.").removeprefix("perception_branch.") for name in pretrained.tensors}
    labels = len(pretrained.tensors["model.perception_branch.fc.bias"])
    with torch.device("meta"):
        model = PlainForImageClassification(PlainConfig(**pretrained.fields, num_labels=labels))
    model.load_state_dict({names[name]: tensor for name, tensor in pretrained.tensors.items()}, assign=True)
    return model.eval()


def check_equal(pretrained, pixels, expected):
    """(B, 3, H, W) pictures as the library preprocesses them, and its logits for them."""
    with torch.no_grad():
        found = plain(pretrained)(pixels).logits
    assert expected.std() > 1e-2
    assert (found - expected).abs().max() <= 1e-5 * max(1, expected.abs().max())


def odd_pixels(seed=0):
    """Of odd sides, where the ways to halve a picture differ."""
    return torch.randn(1, 3, 75, 91, generator=torch.Generator().manual_seed(seed))


# torchvision


def torchvision_file(path, depth):
    model = random_network(lambda: getattr(torchvision.models, f"resnet{depth}")(num_classes=7))
    save_file(model.state_dict(), path) if path.suffix == ".safetensors" else torch.save(model.state_dict(), path)
    return model


@pytest.mark.parametrize("depth", DEPTHS)
def test_torchvisions_answers(depth, tmp_path):
    path = tmp_path / ("resnet-of-mine.safetensors" if depth > 50 else "resnet-of-mine.pth")
    model = torchvision_file(path, depth)
    found = load_pretrained(path)
    assert found.fields == {"arch": f"resnet{depth}", "width": 64, "stem": "7x7", "shortcut": "conv"}
    with torch.no_grad():
        check_equal(found, odd_pixels(), model(odd_pixels()))


@pytest.mark.parametrize(
    ("name", "depth", "short"), [("mine", 18, 256), ("resnet18-f37072fd", 18, 256), ("resnet50-11ad3fa6", 50, 232)]
)
def test_torchvisions_preprocessing(name, depth, short, tmp_path):
    """By the file's name: the second weights of a network were resized otherwise than the first."""
    model = torchvision_file(tmp_path / f"{name}.pth", depth)
    weights = torchvision.models.get_model_weights(f"resnet{depth}")
    preset = (weights.IMAGENET1K_V2 if short == 232 else weights.IMAGENET1K_V1).transforms()
    found = load_pretrained(tmp_path / f"{name}.pth")
    exact = made_up_picture(short + 64, short, seed=1)
    with torch.no_grad():
        pixels = preset(exact)[None]
        check_equal(found, found.processor(exact, return_tensors="pt")["pixel_values"], model(pixels))
    check_close(found.processor, preset)


def check_close(processor, theirs, pictures=((500, 375), (301, 452))):
    """Resized by the tensor's arithmetic in place of Pillow's: no value differs by more than a grey level or two, where
    another interpolation differs by many; and where half a pixel is left to the crop, by a pixel's place."""
    for width, height in pictures:
        picture = made_up_picture(width, height, seed=width)
        ours = processor(picture, return_tensors="pt")["pixel_values"][0]
        expected = theirs(picture)
        step = 1 / 255 / min(processor.image_std)
        moved = [expected.roll((down, right), (1, 2)) for down in (0, -1, 1) for right in (0, -1, 1)]
        differences = [(ours - other)[:, 2:-2, 2:-2].abs() for other in moved]
        assert min(difference.max() for difference in differences) <= 2.01 * step


# timm


def timm_folder(folder, architecture, **cfg):
    """As timm itself pushes a model to the Hub (`push_to_hf_hub` calls `save_for_hf`)."""
    model = random_network(lambda: timm.create_model(architecture, num_classes=7, pretrained_cfg_overlay=cfg))
    save_for_hf(model, folder, safe_serialization=True)
    return model


@pytest.mark.parametrize("architecture", [f"resnet{depth}" for depth in BLOCKS] + ["resnet18d", "resnet50d"])
def test_timms_answers(architecture, tmp_path):
    model = timm_folder(tmp_path / "timm", architecture)
    found = load_pretrained(tmp_path / "timm")
    deep = architecture.endswith("d")
    form = {"stem": "3x3x3", "shortcut": "avgpool"} if deep else {"stem": "7x7", "shortcut": "conv"}
    assert found.fields == {"arch": architecture.removesuffix("d"), "width": 64, **form}
    with torch.no_grad():
        check_equal(found, odd_pixels(), model(odd_pixels()))


STATISTICS = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.25)}


@pytest.mark.parametrize(
    ("cfg", "short"),
    [
        ({"crop_pct": 0.875, "interpolation": "bicubic", **STATISTICS}, 256),
        ({"crop_pct": 0.96, "interpolation": "bilinear", "input_size": (3, 192, 192)}, 200),
        ({"crop_pct": 0.95, "interpolation": "bicubic", "test_input_size": (3, 288, 288), "test_crop_pct": 1.0}, None),
    ],
)
def test_timms_preprocessing(cfg, short, tmp_path):
    """timm's own transforms of its own config, at the size that it takes where nobody asks for the test's."""
    model = timm_folder(tmp_path / "timm", "resnet18", **cfg)
    said = json.loads((tmp_path / "timm" / "config.json").read_text())["pretrained_cfg"]
    theirs = create_transform(**resolve_data_config(pretrained_cfg=said))
    found = load_pretrained(tmp_path / "timm")
    assert list(found.processor.image_mean) == list(cfg.get("mean", AbnImageProcessor.image_mean))
    if short:
        exact = made_up_picture(short + 40, short, seed=1)
        with torch.no_grad():
            check_equal(found, found.processor(exact, return_tensors="pt")["pixel_values"], model(theirs(exact)[None]))
    check_close(found.processor, theirs)


# transformers


def transformers_folder(folder, depth, kind=ResNetForImageClassification, narrow=True, **changes):
    form = {"embedding_size": 16, "hidden_sizes": [16, 32, 64, 128] if depth < 50 else [64, 128, 256, 512]}
    if not narrow:
        form = {"hidden_sizes": [64, 128, 256, 512] if depth < 50 else [256, 512, 1024, 2048]}
    layer = "basic" if depth < 50 else "bottleneck"
    config = ResNetConfig(**form, depths=list(BLOCKS[depth]), layer_type=layer, num_labels=7, **changes)
    model = random_network(lambda: kind(config))
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("depth", DEPTHS)
def test_transformers_answers(depth, tmp_path):
    model = transformers_folder(tmp_path / "hf", depth, narrow=depth > 50)
    found = load_pretrained(tmp_path / "hf")
    assert (found.fields["arch"], found.fields["width"]) == (f"resnet{depth}", 16 if depth > 50 else 64)
    with torch.no_grad():
        check_equal(found, odd_pixels(), model(odd_pixels()).logits)


@pytest.mark.parametrize(
    "changes", [{}, {"size": {"shortest_edge": 160}, "crop_pct": 0.95}, {"size": {"shortest_edge": 384}}]
)
def test_transformers_preprocessing(changes, tmp_path):
    """microsoft/resnet-50's, another share, and a size from which on pictures are squashed: with pictures of any size,
    since both resize tensors."""
    model = transformers_folder(tmp_path / "hf", 18)
    said = {"size": {"shortest_edge": 224}, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.25], **changes}
    theirs = ConvNextImageProcessor(**said)
    theirs.save_pretrained(tmp_path / "hf")
    found = load_pretrained(tmp_path / "hf")
    for picture in (made_up_picture(500, 375), made_up_picture(301, 452, seed=2)):
        pixels = theirs(picture, return_tensors="pt")["pixel_values"]
        ours = found.processor(picture, return_tensors="pt")["pixel_values"]
        assert (ours - pixels).abs().max() < 1e-6
        with torch.no_grad():
            check_equal(found, ours, model(pixels).logits)


def test_an_old_preprocessor_config_of_transformers(tmp_path):
    """As microsoft/resnet-50 has it: its size a number, its kind under the name of before processors."""
    transformers_folder(tmp_path / "hf", 18)
    said = {"crop_pct": 0.875, "feature_extractor_type": "ConvNextFeatureExtractor", "resample": 3, "size": 224}
    (tmp_path / "hf" / "preprocessor_config.json").write_text(json.dumps(said))
    found = load_pretrained(tmp_path / "hf").processor
    assert (dict(found.size)["shortest_edge"], dict(found.crop_size)["height"], found.resample) == (256, 224, 3)


def test_a_backbone_without_a_classifier(tmp_path):
    transformers_folder(tmp_path / "hf", 18, kind=ResNetModel)
    found = load_pretrained(tmp_path / "hf")
    assert not any("fc" in name for name in found.tensors)
    model, new = with_new_heads(found, ("a", "b"))
    assert "model.perception_branch.fc.weight" in new
    assert model.config.width == 16


# From there to an ABN


def test_the_attention_branch_begins_as_a_copy_of_the_last_stage(tmp_path):
    theirs = torchvision_file(tmp_path / "it.pth", 18).state_dict()
    torch.manual_seed(0)
    model, new = with_new_heads(load_pretrained(tmp_path / "it.pth"), ("ants", "bees", "wasps"))
    own = model.state_dict()
    assert model.config.id2label == {0: "ants", 1: "bees", 2: "wasps"}
    for name, tensor in theirs.items():
        if name.startswith("layer4."):
            rest = name.removeprefix("layer4.")
            assert torch.equal(own[f"model.attention_branch.stage.{rest}"], tensor)
            assert torch.equal(own[f"model.perception_branch.stage.{rest}"], tensor)
        elif not name.startswith("fc."):
            assert torch.equal(own[f"model.features.{name}"], tensor)
    branch = ("norm.weight", "norm.bias", "conv.weight", "norm2.weight", "norm2.bias", "map_conv.weight")
    branch += ("map_norm.weight", "map_norm.bias", "class_conv.weight")
    expected = {f"model.attention_branch.{name}" for name in branch}
    assert new == expected | {"model.perception_branch.fc.weight", "model.perception_branch.fc.bias"}


def test_from_the_hub(tmp_path, cache, monkeypatch):
    timm_folder(tmp_path / "timm", "resnet18d", crop_pct=0.9)
    with hub(tmp_path / "timm", REPO) as url:
        endpoint(monkeypatch, url)
        found = load_pretrained(REPO)
    assert found.fields["stem"] == "3x3x3"
    assert dict(found.processor.size)["shortest_edge"] == 248
    there = load_file(tmp_path / "timm" / "model.safetensors")["conv1.0.weight"]
    assert torch.equal(found.tensors["model.features.conv1.0.weight"], there)


def test_a_folder_with_a_lone_file_and_weights_of_half_precision(tmp_path):
    model = torchvision_file(tmp_path / "resnet18-f37072fd.pth", 18)
    torch.save({name: tensor.half() for name, tensor in model.state_dict().items()}, tmp_path / "resnet18-f37072fd.pth")
    found = load_pretrained(tmp_path)
    assert found.tensors["model.features.conv1.weight"].dtype == torch.float32
    assert torch.equal(found.tensors["model.features.conv1.weight"], model.conv1.weight.half().float())


def test_an_abn_is_none_of_them(tmp_path, bundled):
    tiny_model().save_pretrained(tmp_path / "abn")
    assert load_pretrained(tmp_path / "abn") is None
    assert load_pretrained(bundled) is None
    assert load_pretrained("compact") is None
    assert load_pretrained(tmp_path / "nothing.pth") is None


# Refused, in one line


def broken(folder, change):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("layer3.1.bn2.bias"), "1 missing (model.features.layer3.1.bn2.bias)"),
        (lambda t: t.pop("bn1.weight"), "it lacks 'model.features.bn1.weight'"),
        (lambda t: t.update({"layer1.0.bn9.weight": torch.ones(64)}), "1 unexpected (model.features.layer1.0.bn9"),
        (lambda t: t.update({"layer1.0.conv1.weight": torch.ones(64, 32, 3, 3)}), "1 of the wrong shape"),
        (
            lambda t: t["layer1.0.conv1.weight"].fill_(np.nan),
            "values that are not finite (model.features.layer1.0.conv1",
        ),
        (lambda t: t.pop("layer4.1.conv1.weight") is t.pop("fc.bias"), "2 missing"),
    ],
)
def test_tensors_that_are_not_all_there_and_no_others(change, words, tmp_path):
    timm_folder(tmp_path / "timm", "resnet18")
    broken(tmp_path / "timm", change)
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        load_pretrained(tmp_path / "timm")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ("resnetaa50", "is a resnetaa50; expected timm's resnet18,"),  # the tensors of a resnet50, and other means
        ("resnet26", "bottleneck blocks of depths"),
        ("resnext50_32x4d", "of the wrong shape"),
        ("resnetv2_18", "is a 'resnetv2_18' (tensors"),
    ],
)
def test_timms_other_networks(architecture, words, tmp_path):
    timm_folder(tmp_path / "timm", architecture)
    with pytest.raises(ValueError, match=re.escape(words)):
        load_pretrained(tmp_path / "timm")


@pytest.mark.parametrize(
    "changes", [{"downsample_in_bottleneck": True}, {"hidden_act": "gelu"}, {"downsample_in_first_stage": True}]
)
def test_transformers_other_networks(changes, tmp_path):
    transformers_folder(tmp_path / "hf", 50, **changes)
    ((field, value),) = changes.items()
    with pytest.raises(ValueError, match=f"is a ResNet of {field} {value!r}; only"):
        load_pretrained(tmp_path / "hf")


def test_code_in_a_file_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (shutil.rmtree, (str(tmp_path / "kept"),))

    (tmp_path / "kept").mkdir()
    torch.save({"layer4.0.conv1.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"asks for code \(shutil.rmtree\)"):
        load_pretrained(tmp_path / "evil.pth")
    assert (tmp_path / "kept").is_dir()
