"""What raises each error that a visitor can meet: tables of its key and of what provokes it in the code."""

import io
import json
import os
import shutil
import zipfile

import numpy as np
import torch
from helpers import made_up_picture, multitask_names, multitask_network, tiny_model, vision_transformer
from PIL import Image
from safetensors.torch import load_file, save_file
from test_scans import of_many_scans
from transformers import ResNetConfig

from abn import AbnImageProcessor, Explainer
from abn.comparison import Comparison
from abn.editing import checked_map
from abn.families import family_of
from abn.model import heic
from abn.model.image_processing_vit import VitImageProcessor
from abn.model.pictures import from_array, load_rgb, to_rgb
from abn.space.tabs.live import check_frame, read_frame


def explainer_of(model, processor=None):
    return Explainer(model, processor or AbnImageProcessor(), device="cpu")


def ask(model=None, method="attention", target=None, view="model", processor=None, picture=None):
    explainer = explainer_of(model or tiny_model(), processor)
    explainer(made_up_picture() if picture is None else picture, method=method, target=target, view=view)


def written(file, content):
    file.write_bytes(content) if isinstance(content, bytes) else content.save(file)
    return file


def half(folder):
    made_up_picture(300, 200).save(folder / "half.png")
    return written(folder / "half.png", (folder / "half.png").read_bytes()[:4000])


def frame(picture, **how):
    out = io.BytesIO()
    picture.save(out, "JPEG", **how)
    return out.getvalue()


def without_memory(monkeypatch, where):
    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(where, full)


def unknowing(monkeypatch):
    """Pillow 12 can turn all of its modes into RGB; others raise this (Image.convert)."""

    def unknown(*_, **__):
        raise ValueError("conversion not supported")

    monkeypatch.setattr(Image.Image, "convert", unknown)


# Pictures, and what is asked about them: key -> what raises it, of a folder and pytest's monkeypatch

PLAIN = {"do_rescale": False, "do_normalize": False}
PICTURES = {
    "picture_unreadable": lambda folder, _: load_rgb(written(folder / "notes.png", b"no picture")),
    "picture_damaged": lambda folder, _: load_rgb(half(folder)),
    "picture_pixels": lambda folder, _: load_rgb(written(folder / "large.png", Image.new("1", (8000, 8000)))),
    "picture_too_large": lambda folder, _: load_rgb(written(folder / "larger.png", Image.new("1", (14_000, 14_000)))),
    "picture_scans": lambda folder, _: load_rgb(written(folder / "many.jpg", of_many_scans(60))),
    "picture_heic": lambda folder, patch: (
        patch.setattr(heic, "READ", False),
        load_rgb(written(folder / "telephone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))),
    ),
    "picture_mode": lambda _, patch: (unknowing(patch), to_rgb(Image.new("HSV", (2, 2)))),
    "picture_not_finite": lambda *_: to_rgb(Image.fromarray(np.full((2, 2), np.nan, np.float32))),
    "picture_type": lambda *_: AbnImageProcessor()(object()),
    "picture_side": lambda *_: AbnImageProcessor().geometry((0, 9)),
    "array_shape": lambda *_: from_array(np.zeros((2, 2, 2), np.uint8)),
    "array_kind": lambda *_: from_array(np.zeros((2, 2), bool)),
    "array_layout": lambda *_: AbnImageProcessor()(np.zeros((9, 9, 3), np.uint8), input_data_format="rows"),
    "array_or_tensor": lambda *_: AbnImageProcessor()(np.zeros((9, 9, 7), np.uint8)),
    "array_ambiguous": lambda *_: AbnImageProcessor()(np.zeros((3, 9, 3), np.uint8)),
    "array_not_finite": lambda *_: AbnImageProcessor()(np.full((9, 9, 3), np.nan), **PLAIN),
    "array_floats": lambda *_: from_array(np.full((9, 9, 3), 2.0)),
    "array_numbers": lambda *_: AbnImageProcessor()(np.zeros((9, 9, 3), complex)),
    "array_bytes": lambda *_: AbnImageProcessor()(np.full((9, 9, 3), 256)),
    "tensor_dense": lambda *_: AbnImageProcessor()(torch.ones(3, 9, 9).to_sparse()),
    "view_unknown": lambda *_: ask(view="half"),
    "processor_size": lambda *_: ask(processor=AbnImageProcessor(size={"longest_edge": 9})),
    "target_ambiguous": lambda *_: ask(tiny_model(id2label={0: "crane", 1: "crane"}), target="crane"),
    "target_unknown": lambda *_: ask(target="zebra"),
    "unknown_method": lambda *_: ask(method="guess"),
    "too_few_passes": lambda *_: Comparison(explainer_of(tiny_model()), made_up_picture())("occlusion", 2),
    "no_tasks": lambda *_: explainer_of(tiny_model()).every_task([made_up_picture()]),
    "gpu_picture": lambda _, patch: (without_memory(patch, "abn.explanation.Explainer.forward"), ask()),
    "uneditable_unbounded": lambda *_: explainer_of(tiny_model(attention_head="E")).perceive(None, None),
    "uneditable_tasks": lambda *_: explainer_of(multitask_network("v1", tasks=2)).perceive(None, None),
    "uneditable_layers": lambda *_: explainer_of(vision_transformer(), VitImageProcessor()).perceive(None, None),
    "map_rows": lambda *_: checked_map([["x"]], (3, 4)),
    "map_shape": lambda *_: checked_map([[1]], (3, 4)),
    "map_number": lambda *_: checked_map(1, (3, 4)),
    "map_values": lambda *_: checked_map([[2]], (1, 1)),
    "checkpoint_missing": lambda folder, _: Explainer.from_pretrained(folder / "none"),
    "checkpoint_ending": lambda folder, _: Explainer.from_pretrained(written(folder / "a.onnx", b"")),
    "checkpoint_family": lambda *_: family_of(ResNetConfig()),
    "fault_frame": lambda *_: check_frame(b"\x89PNG"),
    "fault_frame_baseline": lambda *_: check_frame(frame(made_up_picture(), progressive=True)),
    "fault_frame_pixels": lambda *_: read_frame(frame(Image.new("L", (4000, 2000)))),
    "fault_frame_damaged": lambda *_: read_frame(b"\xff\xd8!!!!"),
}

# Models of strangers: key -> what is changed in a folder under the models' root

TWO = {"0": "a", "1": "b"}
CONFIGS = {
    "config_one_of": {"stem": "5x5"},
    "config_arch": {"arch": "vgg16"},
    "config_residual": {"residual_attention": "no"},
    "config_width": {"width": 7},
    "config_follows": {"arch": "resnet110-cifar"},
    "config_dropout": {"dropout": 1.5},
    "config_num_labels": {"num_labels": 0},
    "config_contradiction": {"num_labels": 3},
    "config_kind": {"model_type": "resnet"},
    "id2label_type": {"id2label": ["a"]},
    "id2label_numbers": {"id2label": {"0": "a", "2": "b"}},
    "id2label_count": {"id2label": {}},
    "label2id_type": {"id2label": TWO, "label2id": ["a"]},
    "label2id_no_class": {"id2label": TWO, "label2id": {"a": 9}},
    "label2id_no_index": {"id2label": TWO, "label2id": {"a": 0}},
    "label2id_other": {"id2label": TWO, "label2id": {"a": 1, "b": 1}},
    "labels_whole": {"id2label": {"first": "a"}},
}


def tensors(change):
    def changed(folder):
        found = load_file(folder / "model.safetensors")
        change(found)
        save_file(found, folder / "model.safetensors", metadata={"format": "pt"})

    return changed


def first(found):
    return found["model.features.conv1.weight"]


def put(name, content):
    return lambda folder: (folder / name).write_text(content)


def transformer(change=None, **config):
    def made(folder):
        shutil.rmtree(folder)
        vision_transformer().save_pretrained(folder)
        (folder / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | config))
        if change is not None:
            tensors(change)(folder)

    return made


FOLDERS = {
    "config_missing": put("config.json", "{}"),
    "fault_other": put("config.json", "{"),
    "file_safetensors": lambda folder: os.truncate(folder / "model.safetensors", 5000),
    "tensors_unknown": lambda folder: save_file({"x": torch.ones(1)}, folder / "model.safetensors"),
    "tensors_misfit": tensors(lambda found: found.pop("model.features.conv1.weight")),
    "processor_side": put("preprocessor_config.json", '{"size": {"shortest_edge": 5000}}'),
    "calibration_unreadable": put("calibration.json", "[1]"),
    "calibration_temperatures": put("calibration.json", '{"temperature": 0}'),
    "calibration_number": put("calibration.json", '{"energy_threshold": "9"}'),
    "calibration_branches": put("calibration.json", '{"branches": "all"}'),
    "calibration_energies": put("calibration.json", '{"energies": [1]}'),
    "processor_whole": put("preprocessor_config.json", '{"size": {"shortest_edge": 1.5}}'),
    "processor_statistics": put("preprocessor_config.json", '{"image_std": [0, 0, 0]}'),
    "vit_limit": transformer(hidden_size=10**9),
    "vit_activation": transformer(hidden_act="none"),
    "vit_epsilon": transformer(layer_norm_eps=2.0),
    "vit_bias": transformer(qkv_bias="yes"),
    "vit_heads": transformer(num_attention_heads=3),
    "vit_patches": transformer(patch_size=7),
    "vit_attention": transformer(image_size=1024, patch_size=8),
    "vit_file": lambda folder: (transformer()(folder), os.truncate(folder / "model.safetensors", 99)),
    "vit_tensors": transformer(lambda found: found.pop("classifier.bias")),
    "vit_not_finite": transformer(lambda found: found["classifier.bias"].fill_(torch.nan)),
}
MISFITS = {
    "tensors_missing": lambda found: found.pop("model.features.conv1.weight"),
    "tensors_unexpected": lambda found: found.update(more=torch.ones(1)),
    "tensors_misshapen": lambda found: found.update({"model.features.conv1.weight": torch.ones(1)}),
    "tensors_whole": lambda found: found.update({"model.features.conv1.weight": first(found).int()}),
    "tensors_not_finite": lambda found: first(found).fill_(torch.inf),
    "tensors_and": lambda found: (found.pop("model.features.conv1.weight"), found.update(more=torch.ones(1))),
}


def pickled(held):
    return lambda folder: torch.save(held() if callable(held) else held, folder / "a.pth.tar")


ONES = torch.ones(1000)


def packed(folder):
    """A hundred megabytes of zeros in a hundred kilobytes."""
    whole = io.BytesIO()
    torch.save({"x": torch.zeros(25_000_000)}, whole)
    with zipfile.ZipFile(whole) as before, zipfile.ZipFile(folder / "a.pth", "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            after.writestr(name, before.read(name))


def tasks(change):
    def made(folder):
        found = multitask_names(multitask_network("v1", tasks=2))
        change(found)
        torch.save({"model_state_dict": found}, folder / "a.pth.tar")

    return made


def lone(change):
    """A safetensors file without a config."""

    def made(folder):
        found = tiny_model().state_dict()
        change(found)
        save_file(found, folder / "a.safetensors")

    return made


LONE_FILES = {
    "checkpoint_lacks": lone(lambda found: found.pop("model.features.bn1.weight")),
    "checkpoint_dimension": tasks(lambda found: found.update({"module.bn1.weight": torch.tensor(1.0)})),
    "checkpoint_original": tasks(lambda found: found.pop("module.output_per.0.bias")),
    "checkpoint_tasks": tasks(
        lambda found: found.update({f"module.output_per.{i}.weight": torch.ones(3, 512) for i in (0, 1)})
    ),
    "checkpoint_blocks": lone(lambda found: [found.pop(name) for name in list(found) if ".layer1.1." in name]),
    "pickled_code": pickled({"x": os.system}),
    "pickled_other": lambda folder: (folder / "a.pth").write_bytes(b"notes"),
    "pickled_cut": lambda folder: (folder / "a.pth").write_bytes(b"PK\3\4"),
    "pickled_packed": packed,
    "pickled_no_tensors": pickled({"x": 1}),
    "pickled_shared": pickled({f"layer{i}": torch.ones(1000) for i in range(2)} | dict.fromkeys("abcdefgh", ONES)),
    "pickled_tensor": pickled({"x": torch.ones(1).expand(9)}),
}
KINDS = {
    "tensor_meta": lambda: torch.empty(2, device="meta"),
    "tensor_sparse": lambda: torch.eye(3).to_sparse(),
    "tensor_quantized": lambda: torch.quantize_per_tensor(torch.ones(3, 3), 0.1, 0, torch.qint8),
    "tensor_complex": lambda: torch.ones(3, dtype=torch.complex64),
    "tensor_expanded": lambda: torch.ones(1).expand(9),
}
