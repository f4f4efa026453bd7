"""What several tests need: small networks and pictures made on the spot, foreign checkpoints, a tiny training run."""

import json
import re
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import ViTConfig, ViTForImageClassification

from abn import AbnConfig, AbnForImageClassification, AbnForMultiTaskClassification, imagenette
from train.arguments import training_arguments
from train.dataset import PictureDataset, collate
from train.networks import build_processor
from train.recipes import Recipe
from train.run import main as train
from train.settings import Settings
from train.trainer import AbnTrainer

ROOT = Path(__file__).resolve().parents[1]

# Pictures


def made_up_picture(width: int = 96, height: int = 72, seed: int = 0) -> Image.Image:
    """Smooth random colours: a picture with structure at every place, made here."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def coordinates(side=64):
    """A picture whose red is its column, whose green is its row."""
    ramp = torch.arange(side, dtype=torch.uint8) * (256 // side)
    return torch.stack([ramp.expand(side, side), ramp[:, None].expand(side, side), torch.zeros(side, side)]).byte()


# Networks


def tiny_config(**changes) -> AbnConfig:
    fields = {"arch": "resnet18", "width": 8, "id2label": {i: f"class {i}" for i in range(10)}}
    return AbnConfig(**{**fields, **changes})


def tiny_model(seed: int = 0, **changes) -> AbnForImageClassification:
    """A small ABN whose batch norms carry statistics, so that every tensor matters."""
    torch.manual_seed(seed)
    model = AbnForImageClassification(tiny_config(**changes)).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(0, 0.1)
            elif name.endswith("running_var"):
                tensor.uniform_(0.8, 1.2)
    return model


def vision_transformer(channels=3, side=32, patch=8, layers=3, heads=4, labels=5, **more):
    """A small Vision Transformer whose attention differs from place to place."""
    torch.manual_seed(0)
    config = ViTConfig(
        image_size=side,
        patch_size=patch,
        num_channels=channels,
        hidden_size=32,
        intermediate_size=48,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        id2label={i: f"class {i}" for i in range(labels)},
        **{"initializer_range": 0.3, **more},
    )
    return ViTForImageClassification(config).eval()


class Weighing(nn.Module):
    """logit 0 = the sum of the picture's weighed pixels, logit 1 = 0: each pixel's worth is known."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, pixel_values):
        seen = (pixel_values[:, 0] * self.weights).sum((1, 2))
        return type("Output", (), {"logits": torch.stack([seen, torch.zeros_like(seen)], 1)})


# Foreign checkpoints

OUTPUTS = ("logits", "attention_logits", "attention_map")


def stored_reference(folder, tag):
    """(what it is, tensors, pixel values, expected outputs); weights follow from the names."""
    stored = np.load(folder / f"{tag}.npz")
    meta = json.loads(stored["meta"].tobytes())
    tensors = {name: _filled(name, shape) for name, shape in meta["tensors"]}
    shape = (meta["batch"], 3, meta["size"], meta["size"])
    pixels = torch.from_numpy(np.random.default_rng(7).standard_normal(shape).astype("f4"))
    return meta, tensors, pixels, {key: stored[key] for key in OUTPUTS}


def _filled(name, shape):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if name.endswith("running_var"):
        return torch.from_numpy(np.exp(0.1 * rng.standard_normal(shape)).astype("f4"))
    if len(shape) == 1:
        values = 0.1 * rng.standard_normal(shape) + (name.endswith("weight") and not name.endswith("running_mean"))
        return torch.from_numpy(values.astype("f4"))
    return torch.from_numpy((rng.standard_normal(shape) * np.sqrt(1.0 / int(np.prod(shape[1:])))).astype("f4"))


def write_folder(folder, config, tensors):
    """A checkpoint folder of these tensors, without a processor."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def foreign_names(model, head):
    """Our tensors under the names of Hub layout A, B or C."""
    branch = {
        "A": {"norm": "att_norm", "conv": "att_conv", "norm2": "att_norm2", "class_conv": "att_conv2"}
        | {"map_conv": "att_conv3", "map_norm": "att_norm3"},
        "B": {"norm": "att_norm", "conv": "att_conv", "norm2": "att_norm2", "map_conv": "att_conv_map"},
        "C": {"norm": "bn_att", "conv": "att_conv", "norm2": "bn_att2", "class_conv": "att_conv2"}
        | {"map_conv": "att_conv3", "map_norm": "bn_att3"},
    }[head]
    names = {}
    for name, tensor in model.state_dict().items():
        _, part, rest = name.split(".", 2)
        if part == "attention_branch" and not rest.startswith("stage."):
            first, tail = rest.split(".", 1)
            rest = f"{branch[first]}.{tail}"
        elif rest.startswith("stage."):
            rest = {"attention_branch": "att_layer4.", "perception_branch": "layer4."}[part] + rest[len("stage.") :]
        names[f"model.{rest}"] = tensor.contiguous()
    return names


def reference_config(arch="resnet152"):
    """config.json as the reference's training wrote it on Imagenette: torchvision's `class_to_idx` as it is, 20 names
    for 10 classes, of which id2label keeps the last (github:yukiharada1228/attention-branch-network, train.py of commit
    60fbe98, `main`; the auto_map is its abn/configuration_abn.py's)."""
    class_to_idx = {name: index for index, names in enumerate(imagenette.NAMES) for name in names}
    label2id = {str(label): int(idx) for label, idx in class_to_idx.items()}
    id2label = {idx: label for label, idx in label2id.items()}
    auto_map = {"AutoConfig": "configuration_abn.AbnConfig", "AutoModel": "modeling_abn.AbnModel"}
    auto_map["AutoModelForImageClassification"] = "modeling_abn.AbnModelForImageClassification"
    return {
        "architectures": ["AbnModelForImageClassification"],
        "arch": arch,
        "auto_map": auto_map,
        "dtype": "float32",
        "id2label": {str(index): label for index, label in id2label.items()},
        "label2id": label2id,
        "model_type": "abn",
        "transformers_version": "4.57.1",
    }


def joined_labels():
    """id2label as the reference's training writes it today, all names of a class in one (its imagenette_utils.py,
    `normalize_class_name`): "gas pump / gasoline pump / petrol pump / island dispenser"."""
    return {str(index): " / ".join(names) for index, names in enumerate(imagenette.NAMES)}


def one_to_one(config):
    """A copy of a config whose classes have one name each."""
    labels = list(imagenette.CLASSES)
    return {**config, "id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}


def reference_written(folder, model, config=None):
    """A folder as the reference's training left it: no processor (`Trainer.save_model` alone), and code beside it that
    must not be run."""
    head = model.config.attention_head
    write_folder(folder, config or reference_config(model.config.arch), foreign_names(model, head))
    for name in ("configuration_abn.py", "modeling_abn.py", "resnet_abn_backbone.py"):
        (folder / name).write_text("raise SystemExit('foreign code was run')")
    return folder


def multitask_network(version, arch="resnet18", tasks=40):
    """A multi-task ABN of a release, with moderate activations."""
    torch.manual_seed(0)
    model = AbnForMultiTaskClassification(AbnConfig(arch=arch, multitask=version, num_labels=tasks)).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(0, 0.1)
            elif "attention_branch.conv" in name or "perception_branch.weight" in name:
                tensor *= 0.01
    return model


def multitask_names(model):
    """A multi-task network's tensors under the names that its release's code gives them, behind DataParallel's prefix
    (github:machine-perception-robotics-group/ABN_CelebA_PyTorch: models/celeba/resnet.py at tag v0.1, later
    mtabn/models/resnet_mtabn_v1.py and _v2.py)."""
    first = model.config.multitask == "v0.1"
    conv = "conv_att." if model.config.multitask in ("v1", "v1.0") else "att_conv."
    stage, last, heads = (
        ("att_layer4.", "mtl.layer4.", "mtl.output") if first else ("layer4_att.", "layer4.", "output_per")
    )
    found = {}
    for name, tensor in model.state_dict().items():
        _, part, rest = name.split(".", 2)
        if part == "perception_branch" and rest in ("weight", "bias"):
            found |= {f"module.{heads}.{task}.{rest}": each.clone() for task, each in enumerate(tensor)}
            continue
        rest = re.sub(r"^stage\.", stage if part == "attention_branch" else last, rest)
        found[f"module.{re.sub(r'^conv[.]', conv, rest) if part == 'attention_branch' else rest}"] = tensor
    if first:  # made and never applied
        tasks = model.config.num_labels
        found["module.att_conv2.weight"] = torch.randn(tasks, tasks, 3, 3)
    return found


# Training

TINY = ["--width", "8", "--sizes", "32", "48", "--test-size", "48", "--resize", "48", "--train-batch", "8"]
TINY += ["--test-batch", "16", "--workers", "1", "--lr", "0.05", "--gpu-id", "cpu"]
TINY += ["--tune-epochs", "--tune-size", "48", "--explain", "4"]

# What a run of training measures, as metrics.json holds it.
METRICS = {
    "dataset": "Imagenette",
    "attention": True,
    "network": "resnet18 of width 32",
    "parameters": 4_907_150,
    "pictures": 3925,
    "top1": 92.514,
    "top5": 99.2,
    "loss": 0.65,
    "ece": 0.031,
    "attention_top1": 92.0,
    "per_class": {"tench": 96.25, "church": 91.0},
    "explanation": {"pictures": 100, "difference": 0.44, "grad-cam": {"difference": 0.46}},
    "recipe": "compact",
    "command": "python train/run.py --recipe compact",
    "commit": "abc123",
    "seed": 0,
    "date": "2026-11-20",
    "hardware": "a processor, 2 threads",
    "python": "3.11.2",
    "versions": {"torch": "2.15.0"},
    "training_seconds": 7200,
    "epochs": 140,
    "pictures_per_second": 180.4,
}


def run_here(root, out, *more) -> dict[str, torch.Tensor]:
    """Train a tiny network on the data at `root` for three epochs, in this process; gives its weights."""
    tiny = TINY if "--initial" not in more else TINY[2:]  # the network is the initial one's
    arguments = ["--imagenette-root", str(root), "--checkpoint", str(out), "--holdout", "0", *tiny]
    assert train([*arguments, "--epochs", "3", "--eval-every", "5", "--explain", "0", *more]) == 0
    return load_file(out / "model.safetensors")


def trainer_of(
    recipe: Recipe,
    model: nn.Module,
    data: PictureDataset,
    folder: Path,
    steps: int,
    kind=AbnTrainer,
    precision: str | None = None,
    **more,
):
    """An `AbnTrainer` (or a `kind` of it) on the processor, as `train.fit` sets it up, whose crops are in float32.

    Args:
        precision: of the network's arithmetic; None: bfloat16 where the processor has it.
    """
    arguments = training_arguments(Settings(max_steps=steps, precision=precision), recipe, folder)
    arguments.bf16, arguments.disable_tqdm = False, True
    arguments.eval_strategy = arguments.save_strategy = "no"
    return kind(
        model=model.to(memory_format=torch.channels_last),
        args=arguments,
        recipe=recipe,
        processing_class=build_processor(recipe),
        train_dataset=data,
        eval_dataset=data,
        data_collator=collate,
        **more,
    )


# Threads and waiting


def wait_for(condition, seconds: float = 30, every: float = 0.02) -> None:
    """Return as soon as `condition()` holds, which is looked at `every` so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(every)


def in_threads(work, count: int) -> None:
    """Run work(0) ... work(count - 1), each in a thread of its own, and wait for all."""
    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
