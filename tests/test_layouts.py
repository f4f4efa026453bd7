"""Foreign checkpoints: the published layouts, against their own outputs, and what is refused."""

import numpy as np
import pytest
import torch
from helpers import OUTPUTS, foreign_names, reference_config, stored_reference, tiny_config, tiny_model, write_folder
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageClassification

from abn import AbnForImageClassification, Explainer
from abn.checkpoints.infer import infer_config
from abn.model.layouts import LAYOUTS, identify, read_tensors

LABELS = {str(i): f"class {i}" for i in range(10)}


def reference(folder, tag):
    """As `stored_reference`, with the config.json that the reference wrote."""
    meta, *rest = stored_reference(folder, tag)
    return reference_config(meta["arch"]), *rest


@pytest.mark.parametrize("letter", ["a", "b", "c"])
@pytest.mark.parametrize("way", ["auto", "folder", "file", "file alone"])
def test_published_layouts_agree_with_their_own_outputs(letter, way, reference_folder, tmp_path):
    config, tensors, pixels, expected = reference(reference_folder, f"hub_{letter}_resnet18")
    folder = write_folder(tmp_path / "foreign", config, tensors)
    (folder / "modeling_abn.py").write_text("raise SystemExit('foreign code was run')")
    if way == "auto":
        model = AutoModelForImageClassification.from_pretrained(folder)
    elif way == "folder":
        model = Explainer.from_pretrained(folder).model
    elif way == "file":
        model = Explainer.from_pretrained(folder / "model.safetensors").model
    else:
        (folder / "config.json").unlink()
        explainer = Explainer.from_pretrained(folder / "model.safetensors")
        model = explainer.model
        assert explainer.labels[8] == "golf ball"
    assert model.config.attention_head == letter.upper()
    with torch.no_grad():
        outputs = model(pixel_values=pixels.to(model.device))
    for key in OUTPUTS:
        assert np.abs(outputs[key].cpu().numpy() - expected[key]).max() <= 1e-4 * np.abs(expected[key]).max()


@pytest.mark.parametrize("head", ["A", "B", "C"])
def test_layouts_are_told_apart_by_their_tensors(head, tmp_path):
    model, pixels = tiny_model(attention_head=head), torch.randn(1, 3, 64, 64)
    config = {"model_type": "abn", "arch": "resnet18", "width": 8, "id2label": LABELS}
    folder = write_folder(tmp_path / "foreign", config, foreign_names(model, head))
    loaded = AbnForImageClassification.from_pretrained(folder)
    assert loaded.config.attention_head == head
    with torch.no_grad():
        assert torch.equal(loaded(pixels).logits, model(pixels).logits)
    loaded.save_pretrained(tmp_path / "own")  # written under our own names, and read again
    assert identify(load_file(tmp_path / "own" / "model.safetensors")).name == "own"
    again = AbnForImageClassification.from_pretrained(tmp_path / "own")
    with torch.no_grad():
        assert torch.equal(again(pixels).attention_map, model(pixels).attention_map)


def test_the_config_wins_over_the_tensors(tmp_path):
    """Layout C's tensors under a config that says A: no ReLU after the first norm."""
    model = tiny_model(attention_head="C")
    config = {"model_type": "abn", "arch": "resnet18", "width": 8, "id2label": LABELS, "attention_head": "A"}
    loaded = AbnForImageClassification.from_pretrained(write_folder(tmp_path / "f", config, foreign_names(model, "C")))
    assert loaded.config.attention_head == "A"
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.allclose(loaded(pixels).attention_logits, model(pixels).attention_logits)


@pytest.mark.parametrize(
    ("arch", "stem", "shortcut"),
    [("resnet34", "7x7", "conv"), ("resnet50", "3x3x3", "avgpool"), ("resnet101", "7x7", "conv")],
)
def test_a_lone_files_configuration_follows_from_its_shapes(arch, stem, shortcut):
    with torch.device("meta"):
        model = AbnForImageClassification(tiny_config(arch=arch, stem=stem, shortcut=shortcut))
    assert infer_config(model.state_dict()) == {
        "arch": arch,
        "width": 8,
        "stem": stem,
        "shortcut": shortcut,
        "num_labels": 10,
    }


def test_a_file_of_another_kind_says_what_it_is(tmp_path):
    save_file({"encoder.weight": torch.zeros(2), "encoder.bias": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"Found 2 tensors \(encoder.bias, encoder.weight.*expected own.*Hub A.*Hub C"):
        Explainer.from_pretrained(tmp_path / "other.safetensors")


def test_a_folder_of_another_kind_says_what_it_is(tmp_path):
    write_folder(tmp_path / "f", {"model_type": "resnet"}, {"x": torch.zeros(1)})
    with pytest.raises(ValueError, match="model of type 'resnet'; expected model_type 'abn'"):
        AbnForImageClassification.from_pretrained(tmp_path / "f")


def test_a_file_cut_short(tiny_folder):
    file = tiny_folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"model\.safetensors is not a whole safetensors file"):
        Explainer.from_pretrained(tiny_folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("model.perception_branch.fc.bias"), r"1 missing \(model.perception_branch.fc.bias\)"),
        (lambda t: t.update({"model.extra": torch.zeros(1)}), r"1 unexpected \(model.extra\)"),
        (
            lambda t: t.update({"model.perception_branch.fc.bias": torch.zeros(7)}),
            r"1 of the wrong shape \(model.perception_branch.fc.bias: \(7,\) for \(10,\)\)",
        ),
        (
            lambda t: t["model.perception_branch.fc.bias"].fill_(float("nan")),
            r"1 with values that are not finite \(model.perception_branch.fc.bias\)",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_errors(change, words, tiny_folder):
    file = tiny_folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=words):
        AbnForImageClassification.from_pretrained(tiny_folder)


def test_every_layout_knows_itself(tmp_path):
    for layout in LAYOUTS:
        assert identify(layout.present) is layout
    with pytest.raises(ValueError, match="no tensors"):
        identify([])
    (tmp_path / "empty.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        read_tensors(tmp_path / "empty.safetensors")
