"""Starting from --initial: the heads of other classes, the rates and norms of what is pretrained, the recipe."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from helpers import TINY, tiny_config, tiny_model, trainer_of
from PIL import Image
from safetensors.torch import load_file

from abn import AbnForImageClassification, AbnForMultiTaskClassification, AbnImageProcessor, Explainer
from abn.checkpoints.heads import with_new_heads
from train.dataset import PictureDataset
from train.parameters import parameter_groups
from train.recipes import RECIPES, recipe_of
from train.recipes.finetune import fitted
from train.recipes.recipe import Network, Recipe, Training
from train.run import main, parse
from train.trainer import checkpoints

QUICK = ["--gpu-id", "cpu", "--explain", "0", "--workers", "1"]


def shades(root, classes, count=8, size=(50, 40), name="{}.png"):
    """Class folders of noisy grey pictures, each class a level of its own."""
    for split, share in (("train", count), ("val", 4)):
        for place, label in enumerate(classes):
            (root / split / label).mkdir(parents=True)
            for number in range(share):
                level = 40 + 170 * place // max(1, len(classes) - 1)
                pixels = np.random.default_rng(number).integers(level - 30, level + 30, (*size, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / label / name.format(number))
    return root


# Heads anew


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"attention_head": "A", "padding": "replicate", "residual_attention": False},
        {"attention_head": "B", "arch": "resnet50"},
        {"attention_head": "E", "arch": "se-resnet18"},
        {"multitask": "v2"},
        {"arch": "resnet8-cifar"},
        {"arch": "wrn10-1-cifar", "dropout": 0.2},
        {"arch": "densenet10-4-cifar"},
        {"arch": "resnext11-1x64-cifar", "attention_head": "D"},
    ],
)
def test_other_classes_get_the_backbone_and_the_branch_and_new_heads(changes):
    if "cifar" in changes.get("arch", ""):
        changes = {"width": 64, "stem": "7x7", "shortcut": "conv", **changes}
    kind = AbnForMultiTaskClassification if "multitask" in changes else AbnForImageClassification
    torch.manual_seed(0)
    before = kind(tiny_config(**changes)).eval()
    model, new = with_new_heads(before, ("ants", "bees"))
    old, own = before.state_dict(), model.state_dict()
    heads = ("conv.weight", "norm2.", "class_conv.", "map_conv.", "map_norm.", "fc.")
    if "multitask" in changes:
        heads += ("attention_branch.norm.",)  # which a network of tasks has not
    for name, tensor in own.items():
        is_head = not name.startswith("model.features.") and ".stage." not in name and any(h in name for h in heads)
        parameter = "running" not in name and "num_batches" not in name
        assert (name in new) == (is_head and parameter), name
        if not is_head:
            assert torch.equal(tensor, old[name]), name
    kept = {name: getattr(model.config, name) for name in changes if name != "multitask"}
    assert kept == {name: value for name, value in changes.items() if name != "multitask"}
    assert model.config.id2label == {0: "ants", 1: "bees"}
    assert own["model.perception_branch.fc.weight"].shape[0] == 2


def test_a_run_from_an_abn_of_other_classes(tmp_path, capsys):
    data = shades(tmp_path / "shades", ("dark", "grey", "light"))
    before = tiny_model()
    before.save_pretrained(tmp_path / "ten")
    statistics = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.25]}
    square = {"height": 40, "width": 40}
    AbnImageProcessor(size={"shortest_edge": 48}, crop_size=square, resample=3, **statistics).save_pretrained(
        tmp_path / "ten"
    )
    arguments = ["--data", str(data), "--initial", str(tmp_path / "ten"), "--checkpoint", str(tmp_path / "out"), *QUICK]
    assert main([*arguments, "--max-steps", "2", "--train-batch", "8", "--pretrained-rate", "0", "--freeze-norms"]) == 0
    told = capsys.readouterr().out
    assert f"{tmp_path / 'ten'} knows 10 classes, other than the 3 of shades: its heads begin anew" in told
    assert "recipe finetune" in told.splitlines()
    assert "24 training pictures: 65 epochs at 32, 32, 32 pixels, then 40 pixels in the test" in told
    old, own = before.state_dict(), load_file(tmp_path / "out" / "model.safetensors")
    for name, tensor in own.items():
        if name.startswith("model.features.") or ".stage." in name:
            assert torch.equal(tensor, old[name].to(tensor.dtype)), name
    assert own["model.perception_branch.fc.weight"].shape == (3, 64)
    assert Explainer.from_pretrained(tmp_path / "out", device="cpu").labels == ["dark", "grey", "light"]
    processor = json.loads((tmp_path / "out" / "preprocessor_config.json").read_text())
    assert {name: processor[name] for name in statistics} == statistics
    assert (processor["size"]["shortest_edge"], processor["crop_size"]["height"], processor["resample"]) == (48, 40, 3)


def test_checkpoints_every_so_many_epochs(tmp_path):
    data = shades(tmp_path / "shades", ("dark", "light"))
    tiny_model().save_pretrained(tmp_path / "ten")
    out = tmp_path / "out"
    arguments = ["--data", str(data), "--initial", str(tmp_path / "ten"), "--checkpoint", str(out), *QUICK]
    arguments += ["--sizes", "32", "--train-batch", "8", "--epochs", "5", "--save-every", "4"]
    assert main(arguments) == 0
    assert [folder.name for folder in checkpoints(out)] == ["checkpoint-8", "checkpoint-10"]
    whole = load_file(out / "model.safetensors")
    shutil.rmtree(out / "checkpoint-10")
    assert main([*arguments, "--resume"]) == 0
    again = load_file(out / "model.safetensors")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_the_same_classes_keep_their_heads(tmp_path, capsys):
    data = shades(tmp_path / "shades", ("dark", "light"))
    before = tiny_model(id2label={0: "dark", 1: "light"})
    before.save_pretrained(tmp_path / "two")
    arguments = ["--data", str(data), "--initial", str(tmp_path / "two"), "--checkpoint", str(tmp_path / "out"), *QUICK]
    assert main([*arguments, "--max-steps", "1", "--train-batch", "8", "--sizes", "32", "--lr", "1e-9"]) == 0
    assert "anew" not in capsys.readouterr().out
    own = load_file(tmp_path / "out" / "model.safetensors")
    for name, tensor in before.named_parameters():
        assert torch.allclose(own[name].float(), tensor, rtol=1e-3, atol=1e-6), name


def test_a_run_from_a_torchvision_file_with_a_stray_gif(tmp_path, capsys):
    data = shades(tmp_path / "shades", ("dark", "light"))
    Image.new("RGB", (20, 20)).save(data / "train" / "stray.gif")
    Image.new("RGB", (20, 20)).save(data / "train" / "dark" / "stray.gif")
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(num_classes=9)
    torch.save(theirs.state_dict(), tmp_path / "resnet18-f37072fd.pth")
    arguments = ["--data", str(data), "--initial", str(tmp_path / "resnet18-f37072fd.pth"), *QUICK]
    arguments += ["--checkpoint", str(tmp_path / "out"), "--max-steps", "1", "--train-batch", "8", "--sizes", "32"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "torchvision's and timm's ResNet, resnet18; the attention branch begins as a copy of its last stage" in told
    assert Explainer.from_pretrained(tmp_path / "out", device="cpu").labels == ["dark", "light"]
    processor = json.loads((tmp_path / "out" / "preprocessor_config.json").read_text())
    assert (processor["size"]["shortest_edge"], processor["crop_size"]["height"]) == (256, 224)


def test_the_statistics_of_initial_hold_with_another_recipe(tmp_path):
    data = shades(tmp_path / "shades", ("dark", "light"))
    tiny_model().save_pretrained(tmp_path / "ten")
    statistics = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.25]}
    AbnImageProcessor(**statistics).save_pretrained(tmp_path / "ten")
    arguments = ["--data", str(data), "--initial", str(tmp_path / "ten"), "--checkpoint", str(tmp_path / "out")]
    assert main([*arguments, "--recipe", "resnet18", *TINY[2:], "--max-steps", "1"]) == 0
    processor = json.loads((tmp_path / "out" / "preprocessor_config.json").read_text())
    assert {name: processor[name] for name in statistics} == statistics
    assert processor["crop_size"] == {"height": 48, "width": 48}


# Rates and norms


def test_the_rates_and_the_decay_of_what_is_pretrained_and_what_is_new():
    model, new = with_new_heads(tiny_model(), ("a", "b"))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    old = frozenset(names.values()) - new
    groups = parameter_groups(model, Training(lr=0.5, pretrained_rate=0.1, weight_decay=0.01), old)
    seen = {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert len(seen) == sum(len(group["params"]) for group in groups) == len(names)
    assert seen["model.features.layer1.0.conv1.weight"] == (0.05, 0.01)
    assert seen["model.features.layer1.0.bn1.bias"] == (0.05, 0)
    assert seen["model.attention_branch.norm.weight"] == (0.05, 0)
    assert seen["model.perception_branch.fc.weight"] == (0.5, 0.01)
    assert seen["model.perception_branch.fc.bias"] == (0.5, 0)
    assert [len(group["params"]) for group in parameter_groups(model, Training(lr=0.5), old)] == [
        sum(p.ndim > 1 for p in model.parameters()),
        sum(p.ndim == 1 for p in model.parameters()),
    ]


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_norms_keep_their_weights_and_statistics(frozen, tmp_path):
    model, new = with_new_heads(tiny_model(), ("a", "b"))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    recipe = Recipe(
        Network(arch="resnet18"),
        Training(lr=0.1, train_batch=4, sizes=(32,), freeze_norms=frozen, epochs=1, weight_decay=0.1),
    )
    pictures = torch.randint(0, 256, (8, 3, 40, 40), generator=torch.Generator().manual_seed(0)).byte()
    data = PictureDataset(pictures, torch.tensor([0, 1] * 4), torch.ones(8))
    old = frozenset(name for name, _ in model.named_parameters()) - new
    trainer_of(recipe, model, data, tmp_path, steps=2, pretrained=old).go(None)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor.cpu(), before[name])}
    for norm in (
        "features.bn1",
        "features.layer2.0.downsample.1",
        "attention_branch.norm",
        "perception_branch.stage.1.bn2",
    ):
        for part in ("weight", "running_mean", "running_var"):
            assert (f"model.{norm}.{part}" in changed) != frozen, (norm, part)
    assert {"model.attention_branch.norm2.running_mean", "model.features.conv1.weight"} <= changed


# The recipe


@pytest.mark.parametrize(
    ("line", "recipe"),
    [
        ("--initial x", "finetune"),
        ("--initial x --epochs 3 --cutmix 0.5 --freeze-norms", "finetune"),
        ("--initial x --padding replicate --data d", "finetune"),
        ("--initial x --outliers 0.2", "compact"),
        ("--initial x --tune-epochs 5", "compact"),
        ("--initial x --attention-weight 2", "compact"),
        ("--initial x --recipe resnet18", "resnet18"),
        ("--initial x --multitask v1", "compact"),
        ("--width 8", "compact"),
    ],
)
def test_when_it_is_meant(line, recipe):
    assert parse(line.split()).recipe == recipe


@pytest.mark.parametrize(
    ("pictures", "epochs", "holdout", "batch"),
    [(24, 65, 0, 24), (250, 65, 0, 32), (1000, 20, 0.04, 32), (20_000, 10, 0.04, 32)],
)
def test_what_follows_from_the_number_of_pictures(pictures, epochs, holdout, batch):
    training = fitted(RECIPES["finetune"], 224, 256, pictures).training
    assert (training.epochs, training.holdout, training.train_batch) == (epochs, holdout, batch)
    assert epochs / training.save_every == 5


@pytest.mark.parametrize(
    ("crop", "resize", "sizes"),
    [(208, 208, (128, 160, 192)), (224, 256, (128, 160, 192)), (32, 32, (32, 32, 32)), (288, 303, (160, 224, 256))],
)
def test_what_follows_from_the_networks_size(crop, resize, sizes):
    training = fitted(RECIPES["finetune"], crop, resize, 500).training
    assert (training.sizes, training.test_size, training.resize) == (sizes, crop, resize)


def test_what_is_asked_for_stays():
    line = "--initial x --epochs 3 --sizes 64 96 --test-size 100 --holdout 0.2"
    recipe = recipe_of(parse(line.split()))
    training = fitted(recipe, 224, 256, 100).training
    assert (training.epochs, training.sizes, training.holdout) == (3, (64, 96), 0.2)
    assert (training.test_size, training.resize) == (100, 256)
    assert replace(recipe, fitted=frozenset()) != recipe


def test_it_needs_a_network_to_start_from(capsys, tmp_path):
    assert main(["--recipe", "finetune", "--checkpoint", str(tmp_path / "out"), "--gpu-id", "cpu"]) == 2
    assert "the recipe finetune needs --initial" in capsys.readouterr().err
