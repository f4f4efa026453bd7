"""Folders as the reference's training wrote them: twenty names for ten classes, in every layout; and other labels that
published configs hold."""

import json

import numpy as np
import pytest
import torch
from helpers import (
    joined_labels,
    made_up_picture,
    multitask_network,
    one_to_one,
    reference_config,
    reference_written,
    tiny_model,
    vision_transformer,
)
from hub_stand_in import endpoint, hub
from PIL import Image
from transformers import AutoModel, AutoModelForImageClassification

from abn import AbnConfig, AbnForImageClassification, Explainer, imagenette
from abn.checkpoints import convert
from abn.classes import indices_by_name, shown_names
from abn.comparison import Comparison
from abn.space.server.serving import DEFAULT, Serving

USUAL = [
    "tench",
    "English springer",
    "cassette player",
    "chain saw",
    "church",
    "French horn",
    "garbage truck",
    "gas pump",
    "golf ball",
    "parachute",
]


def network(arch, head):
    torch.manual_seed(0)
    return AbnForImageClassification(AbnConfig(arch=arch, attention_head=head, num_labels=10)).eval()


def test_the_stand_in_is_what_the_reference_wrote(reference_folder):
    assert reference_config() == json.loads((reference_folder / "hub_config.json").read_text())


def slow(arch):
    return pytest.param(arch, marks=pytest.mark.slow)


@pytest.mark.parametrize("head", ["A", "B", "C"])
@pytest.mark.parametrize("arch", ["resnet18", slow("resnet50"), slow("resnet152")])
def test_twenty_names_for_ten_classes(arch, head, tmp_path):
    model, picture = network(arch, head), made_up_picture()
    folder = reference_written(tmp_path / "twenty", model)
    explainer = Explainer.from_pretrained(folder, device="cpu")
    explained = explainer(picture)
    assert explainer.labels == USUAL
    assert sorted(explained.probabilities) == sorted(USUAL)
    loaded = AutoModelForImageClassification.from_pretrained(folder)
    for tensors in (explainer.model.state_dict(), loaded.state_dict()):
        assert tensors.keys() == model.state_dict().keys()
        assert all(tensors[name].equal(tensor) for name, tensor in model.state_dict().items())
    (folder / "config.json").write_text(json.dumps(one_to_one(reference_config(arch))))
    friendly = Explainer.from_pretrained(folder, device="cpu")(picture)
    assert friendly.probabilities == pytest.approx(explained.probabilities, abs=1e-5)
    np.testing.assert_allclose(friendly.attention_map, explained.attention_map, atol=1e-5)


@pytest.fixture(scope="module")
def twenty(tmp_path_factory):
    return reference_written(tmp_path_factory.mktemp("twenty"), network("resnet18", "A"))


@pytest.fixture(scope="module")
def explainer(twenty):
    return Explainer.from_pretrained(twenty, device="cpu")


@pytest.mark.parametrize("head", ["A", "B", "C"])
def test_the_default_checkpoint_serves_from_the_hub(head, cache, tmp_path, monkeypatch):
    folder = reference_written(tmp_path / "hub", network("resnet18", head))
    with hub(folder, DEFAULT) as url:
        endpoint(monkeypatch, url)
        serving = Serving()
        serving._bring()
    assert (serving.state, serving.reason) == ("ready", None)
    assert serving.current.name == "yukiharada1228/abn-resnet152-imagenette"
    assert serving.current.explainer.labels == USUAL


@pytest.mark.parametrize(
    ("name", "index"), [(name, index) for index, names in enumerate(imagenette.NAMES) for name in names]
)
def test_every_name_is_a_target(name, index, explainer):
    assert explainer.target_index(name) == index
    if name in ("petrol pump", "Tinca tinca"):
        assert Comparison(explainer, made_up_picture(), target=name).target == USUAL[index]
        explained = explainer(made_up_picture(), method="grad-cam", target=name)
        assert explained.target == USUAL[index]
        by_index = explainer(made_up_picture(), method="grad-cam", target=index)
        np.testing.assert_allclose(explained.heatmap, by_index.heatmap, atol=1e-4)


def test_saving_keeps_every_name(twenty, explainer, tmp_path):
    explainer.model.save_pretrained(tmp_path / "saved")
    convert(twenty, tmp_path / "converted")
    for folder in (tmp_path / "saved", tmp_path / "converted"):
        config = json.loads((folder / "config.json").read_text())
        assert config["label2id"] == reference_config()["label2id"]
        assert config["id2label"] == reference_config()["id2label"]
        again = Explainer.from_pretrained(folder, device="cpu")
        assert again.labels == USUAL
        assert again.target_index("petrol pump") == 7
        tensors = again.model.state_dict()
        assert all(tensors[name].equal(tensor) for name, tensor in explainer.model.state_dict().items())
    assert "10 classes" in (tmp_path / "converted" / "README.md").read_text()
    assert ", gas pump, golf ball, parachute." in (tmp_path / "converted" / "README.md").read_text()


def test_what_is_saved_names_our_classes_whatever_was_loaded(twenty, tmp_path):
    """The reference's config names `modeling_abn.AbnModel`, which the code beside our weights does not have."""
    model = AutoModel.from_pretrained(twenty)
    assert isinstance(model, AbnForImageClassification)
    model.save_pretrained(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["auto_map"] == {
        "AutoConfig": "configuration_abn.AbnConfig",
        "AutoModel": "modeling_abn.AbnForImageClassification",
        "AutoModelForImageClassification": "modeling_abn.AbnForImageClassification",
    }


def tiny_with(labels, folder, label2id=None):
    """A tiny ABN's folder with these labels in its config.json."""
    model = tiny_model(id2label=dict(enumerate(range(len(labels)))))
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": {str(i): label for i, label in enumerate(labels)}, "label2id": label2id}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def vit_with(labels, folder, label2id=None):
    model = vision_transformer()
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = label2id or {label: index for index, label in enumerate(labels)}
    model.classifier = torch.nn.Linear(32, len(labels))
    model.save_pretrained(folder)
    return folder


KINDS = pytest.mark.parametrize("saved", [tiny_with, vit_with], ids=["abn", "vit"])


@KINDS
def test_all_names_of_a_class_in_one_label(saved, tmp_path):
    explainer = Explainer.from_pretrained(saved(list(joined_labels().values()), tmp_path / "joined"), device="cpu")
    assert explainer.labels == USUAL
    for name in ("petrol pump", "gas pump / gasoline pump / petrol pump / island dispenser", "n03425413"):
        assert explainer.target_index(name) == 7
    assert sorted(explainer(made_up_picture()).probabilities) == sorted(USUAL)


@KINDS
def test_two_classes_of_one_name_are_told_apart(saved, tmp_path):
    """As ImageNet-1k's: crane (the bird) and crane (the machine)."""
    labels = ["tench", "crane", "maillot", "crane", "maillot"]
    names = {"tench": 0, "crane": 3, "maillot": 4}  # a JSON object holds a name once
    explainer = Explainer.from_pretrained(saved(labels, tmp_path / "cranes", names), device="cpu")
    assert explainer.labels == ["tench", "crane (1)", "maillot (2)", "crane (3)", "maillot (4)"]
    probabilities = explainer(made_up_picture()).probabilities
    assert len(probabilities) == 5
    assert sum(probabilities.values()) == pytest.approx(1)
    assert explainer.target_index("crane (3)") == 3
    assert explainer.target_index("tench") == 0
    with pytest.raises(
        ValueError, match=r"target 'crane' may be any of 2 classes; say which: 'crane \(1\)', 'crane \(3\)'$"
    ):
        explainer(made_up_picture(), target="crane")


@KINDS
def test_some_of_imagenettes_classes_in_another_order(saved, tmp_path):
    labels = {"chute": 0, "parachute": 0, "dustcart": 1, "tench": 2}
    explainer = Explainer.from_pretrained(saved(["chute", "dustcart", "tench"], tmp_path / "f", labels), device="cpu")
    assert explainer.labels == ["parachute", "garbage truck", "tench"]
    assert [explainer.target_index(n) for n in ("parachute", "garbage truck", "Tinca tinca")] == [0, 1, 2]
    with pytest.raises(ValueError, match="target must be a class or its index; got 'petrol pump'"):
        explainer.target_index("petrol pump")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["horn", "siren"], ["horn", "siren"]),  # not all are Imagenette's
        (["horn", "French horn"], ["horn", "French horn"]),  # two names of one class
        (["crane", "crane (0)", "crane"], ["crane (0) (0)", "crane (0)", "crane (2)"]),
        (
            ["crane", "crane (0)", "crane", "crane (0)"],
            ["crane (0) (0)", "crane (0) (1)", "crane (2)", "crane (0) (3)"],
        ),
        (["church", "tench, Tinca tinca"], ["church", "tench"]),
        (["church / tench", "golf ball"], ["church / tench", "golf ball"]),
    ],
)
def test_names_that_are_shown(labels, expected):
    id2label = dict(enumerate(labels))
    assert shown_names(id2label) == expected
    assert [indices_by_name(id2label, None)[name] for name in expected] == [[i] for i in id2label]


def test_a_vision_transformer_whose_labels_have_gaps(tmp_path):
    folder = vit_with(["a", "b"], tmp_path / "gaps")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "id2label": {"0": "a", "2": "b"}}))
    with pytest.raises(ValueError, match="id2label must number its labels 0 to 1, each once; it lacks 1"):
        Explainer.from_pretrained(folder)


def test_the_references_processor_squashes_and_crops(tmp_path):
    """preprocessor_config.json as its `AbnImageProcessor.to_dict` writes it (abn/image_processing_abn.py), and the
    pixels of its `preprocess`."""
    said = {
        "auto_map": {"AutoImageProcessor": "image_processing_abn.AbnImageProcessor"},
        "crop_size": {"height": 224, "width": 224},
        "do_center_crop": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_processor_type": "AbnImageProcessor",
        "image_std": [0.229, 0.224, 0.225],
        "rescale_factor": 1 / 255,
        "size": {"height": 256, "width": 256},
    }
    config = {**reference_config("resnet18"), "width": 8}
    folder = reference_written(tmp_path / "f", tiny_model(attention_head="C"), config)
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    picture, processor = made_up_picture(300, 200), Explainer.from_pretrained(folder, device="cpu").processor
    found = processor(picture, return_tensors="pt")["pixel_values"][0].permute(1, 2, 0).numpy()
    squashed = picture.resize((256, 256), Image.Resampling.BILINEAR).crop((16, 16, 240, 240))
    wanted = (np.asarray(squashed) / 255 - said["image_mean"]) / said["image_std"]
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 2.01 / 255 / 0.224


def test_multi_task_folders_name_their_own_class(tmp_path):
    multitask_network("v0.1", tasks=2).save_pretrained(tmp_path)
    auto_map = json.loads((tmp_path / "config.json").read_text())["auto_map"]
    assert auto_map["AutoModel"] == "modeling_multitask.AbnForMultiTaskClassification"
    assert auto_map["AutoModelForImageClassification"] == auto_map["AutoModel"]
    assert (tmp_path / "modeling_multitask.py").is_file()
    assert (tmp_path / "versions.py").is_file()


def test_a_vision_transformer_is_not_converted(tmp_path):
    with pytest.raises(ValueError, match="holds a model of type 'vit'; only an ABN's is converted"):
        convert(vit_with(["a", "b"], tmp_path / "vit"), tmp_path / "converted")
    assert not (tmp_path / "converted").exists()


def test_a_contradiction_is_one_line(twenty, tmp_path):
    config = reference_config("resnet18")
    config["label2id"]["island dispenser"] = 3
    reference_written(tmp_path / "wrong", tiny_model(attention_head="A"), {**config, "width": 8})
    with pytest.raises(
        ValueError, match=r"label2id contradicts id2label: 'island dispenser' is class 7 and is 3"
    ) as told:
        Explainer.from_pretrained(tmp_path / "wrong")
    assert "\n" not in str(told.value)
