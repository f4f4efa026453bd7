"""The checkpoints that ABN's authors published: `.pth.tar` files that only their own code reads.

Each holds a state_dict, with `module.` before every name, beside an epoch, an accuracy and an optimizer. What network
it is follows from the tensors; what cannot follow from them, `residual_attention`, is the caller's to say. A file is
read with `torch.load(weights_only=True)` alone: nothing in it is ever executed.
"""

import pickle
import re
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy._core.multiarray import scalar
from torch import Tensor

from ..errors import AbnError
from .infer import ATTENTION, FEATURES, PERCEPTION

SUFFIXES = (".tar", ".pth", ".pt")
STATE_DICTS = ("state_dict", "model_state_dict")
# What stands beside the tensors: accuracies, by NumPy 1 and 2
BESIDE = (
    scalar,
    (scalar, "numpy.core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("?", "f2", "f4", "f8", "i4", "i8")),
)
PACKED = 2  # a file may unpack to at most so many times its size: torch.save packs nothing

Rename = tuple[str, str | Callable[[re.Match], str]]

HEAD: tuple[Rename, ...] = (
    (r"bn_att\.", f"{ATTENTION}norm."),
    (r"att_conv\.", f"{ATTENTION}conv."),
    (r"bn_att2\.", f"{ATTENTION}norm2."),
    (r"att_conv2\.", f"{ATTENTION}class_conv."),
    (r"att_conv3\.", f"{ATTENTION}map_conv."),
    (r"bn_att3\.", f"{ATTENTION}map_norm."),
    (r"fc\.", f"{PERCEPTION}fc."),
)


@dataclass(frozen=True)
class Original:
    """A kind of published checkpoint. tell_tale: a tensor that it alone has. renames: the beginnings of its tensors'
    names, the first that fits is taken; inner: then parts within blocks. unused: tensors that its network holds and
    never applies."""

    name: str
    tell_tale: str
    head: str | None
    renames: tuple[Rename, ...]
    inner: tuple[Rename, ...] = ()
    unused: str | None = None
    absent: str | None = None

    def matches(self, names: set[str]) -> bool:
        return self.tell_tale in names and self.absent not in names

    def rename(self, name: str) -> str:
        for old, new in (*self.renames, *HEAD):
            found, count = re.subn("^" + old, new, name)
            if count:
                name = found
                break
        for old, new in self.inner:
            name = re.sub(old, new, name)
        return name


RESNET = (
    (r"(conv1|bn1|layer[123])\.", rf"{FEATURES}\1."),
    (r"att_layer4\.", f"{ATTENTION}stage."),
    (r"layer4\.", f"{PERCEPTION}stage."),
)


def _layer(found: re.Match) -> str:
    """torchvision counts a dense block's layers from 1."""
    return f".denselayer{int(found[1]) + 1}."


FIRST_MULTITASK: tuple[Rename, ...] = (
    (r"(conv1|bn1|layer[123])\.", rf"{FEATURES}\1."),
    (r"att_layer4\.", f"{ATTENTION}stage."),
    (r"(att_conv|depth_conv)\.", lambda found: ATTENTION + found[1].removeprefix("att_") + "."),
    (r"mtl\.layer4\.", f"{PERCEPTION}stage."),
    (r"mtl\.output\.", "output_per."),
)
MULTITASK: tuple[Rename, ...] = (
    (r"(conv1|bn1|layer[123])\.", rf"{FEATURES}\1."),
    (r"layer4_att\.", f"{ATTENTION}stage."),
    (r"(?:conv_att|att_conv)\.", f"{ATTENTION}conv."),
    (r"depth_conv\.", f"{ATTENTION}depth_conv."),
    (r"layer4\.", f"{PERCEPTION}stage."),
)
ORIGINALS = (
    Original("multi-task v0.1", "mtl.output.0.weight", None, FIRST_MULTITASK, unused="att_conv2."),
    Original("multi-task v1", "conv_att.weight", None, MULTITASK),
    Original("multi-task v2", "depth_conv.weight", None, MULTITASK),
    Original("SE-ResNet", "layer1.0.fc1.weight", "E", RESNET, inner=((r"\.(fc[12])\.(?=weight|bias)", r".se.\1."),)),
    Original("ResNet", "att_layer4.0.conv1.weight", "A", RESNET, absent="layer1.0.fc1.weight"),
    Original(
        "ResNet for CIFAR",
        "att_layer3.0.conv1.weight",
        "A",
        (
            (r"(conv1|bn1|layer[12])\.", rf"{FEATURES}\1."),
            (r"att_layer3\.", f"{ATTENTION}stage."),
            (r"layer3\.", f"{PERCEPTION}stage."),
        ),
    ),
    Original(
        "DenseNet for CIFAR",
        "att_dense3.0.conv1.weight",
        "A",
        (
            (r"(conv1|dense[12])\.", rf"{FEATURES}\1."),
            (r"(trans[12])\.bn1\.", rf"{FEATURES}\1.norm."),
            (r"(trans[12])\.conv1\.", rf"{FEATURES}\1.conv."),
            (r"att_dense3\.", f"{ATTENTION}stage.dense."),
            (r"dense3\.", f"{PERCEPTION}stage.dense."),
            (r"bn\.", f"{PERCEPTION}stage.norm."),
        ),
        inner=((r"\.(\d+)\.(?=(?:bn|conv)[12]\.)", _layer), (r"(?<=denselayer)(\d+)\.bn([12])\.", r"\1.norm\2.")),
    ),
    Original(
        "Wide ResNet",
        "att_block3.layer.0.conv1.weight",
        "A",
        (
            (r"conv1\.", f"{FEATURES}conv1."),
            (r"block([12])\.layer\.", rf"{FEATURES}layer\1."),
            (r"att_block3\.layer\.", f"{ATTENTION}stage.blocks."),
            (r"block3\.layer\.", f"{PERCEPTION}stage.blocks."),
            (r"bn1\.", f"{PERCEPTION}stage.norm."),
        ),
        inner=((r"(?<=\d)\.bn([12])\.", r".norm\1."), (r"\.convShortcut\.", ".shortcut.")),
    ),
    Original(
        "ResNeXt",
        "stage_att.stage_att_bottleneck_0.conv_reduce.weight",
        "D",
        (
            (r"conv_1_3x3\.", f"{FEATURES}conv1."),
            (r"bn_1\.", f"{FEATURES}bn1."),
            (r"stage_([12])\.stage_[12]_bottleneck_(\d+)\.", rf"{FEATURES}layer\1.\2."),
            (r"stage_att\.stage_att_bottleneck_(\d+)\.", rf"{ATTENTION}stage.\1."),
            (r"stage_3\.stage_3_bottleneck_(\d+)\.", rf"{PERCEPTION}stage.\1."),
            (r"classifier\.", f"{PERCEPTION}fc."),
        ),
        inner=(
            (r"\.conv_reduce\.", ".conv1."),
            (r"\.bn_reduce\.", ".bn1."),
            (r"\.conv_conv\.", ".conv2."),
            (r"(?<=\d)\.bn\.", ".bn2."),
            (r"\.conv_expand\.", ".conv3."),
            (r"\.bn_expand\.", ".bn3."),
            (r"\.shortcut\.shortcut_conv\.", ".downsample.0."),
            (r"\.shortcut\.shortcut_bn\.", ".downsample.1."),
        ),
        unused="bn_att.",
    ),
)


def read_pickled(file: str | Path) -> dict[str, Tensor]:
    """The tensors of a PyTorch file, without `module.` before their names.

    Raises:
        ValueError: it is damaged, holds something else than plain tensors, or needs code to be read; says which.
        OSError: it cannot be read.
    """
    name = Path(file).name
    try:
        _check_packing(Path(file))
        with torch.serialization.safe_globals(list(BESIDE)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kinds of tensors that are refused below
            held = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if found := re.search(r"(?:GLOBAL|global) ([\w.]+)", str(error)):
            raise AbnError("pickled_code", name=name, code=found[1]) from None
        raise AbnError("pickled_other", name=name) from None
    except (AbnError, OSError):
        raise
    except Exception:  # a damaged file may say anything to who reads it
        raise AbnError("pickled_cut", name=name) from None
    if isinstance(held, dict):
        held = next((held[key] for key in STATE_DICTS if isinstance(held.get(key), dict)), held)
    tensors = held if isinstance(held, dict) else {}
    if not tensors or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in tensors.items()):
        raise AbnError("pickled_no_tensors", name=name)
    for key, tensor in tensors.items():
        if kind := _unusual(tensor):
            raise AbnError("pickled_tensor", name=name, kind=kind, tensor=key)
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    memory = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors.values()}
    if claimed > PACKED * sum(memory.values()):
        raise AbnError("pickled_shared", name=name)
    return {re.sub(r"^((module|_orig_mod)\.)+", "", key): tensor.detach() for key, tensor in tensors.items()}


def _check_packing(file: Path) -> None:
    """Raises: AbnError: a file unpacks to far more than it is; zipfile.BadZipFile."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(record.file_size for record in archive.infolist())
    if unpacked > PACKED * file.stat().st_size:
        raise AbnError("pickled_packed", name=file.name, size=unpacked / 1e9, times=PACKED)


def _unusual(tensor: Tensor) -> AbnError | None:
    """What keeps a tensor from being plain numbers in memory, each of its own; None where nothing does."""
    if tensor.is_meta:
        return AbnError("tensor_meta")
    if tensor.layout != torch.strided or tensor.is_nested:
        return AbnError("tensor_sparse")
    if tensor.is_quantized:
        return AbnError("tensor_quantized")
    if tensor.is_complex():
        return AbnError("tensor_complex")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return AbnError("tensor_expanded", shape=" x ".join(map(str, tensor.shape)))
    return None


def identify_original(names: set[str]) -> Original | None:
    """The kind of checkpoint with these tensor names (without `module.`); None if it is none of the authors'."""
    return next((original for original in ORIGINALS if original.matches(names)), None)


def renamed(original: Original, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under this package's own names."""
    kept = {name: t for name, t in tensors.items() if not (original.unused and name.startswith(original.unused))}
    found = {original.rename(name): tensor for name, tensor in kept.items()}
    tasks = sum(name.startswith("output_per.") and name.endswith(".weight") for name in found)
    if tasks:  # one linear layer a task -> stacked
        for part in ("weight", "bias"):
            each = [found.pop(f"output_per.{i}.{part}") for i in range(tasks)]
            found[f"{PERCEPTION}{part}"] = torch.stack(each)
    # torchvision's squeeze and excitation are 1x1 convolutions
    return {name: t[:, :, None, None] if re.search(r"\.se\.fc[12]\.weight$", name) else t for name, t in found.items()}
