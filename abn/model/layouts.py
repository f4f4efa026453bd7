"""Every tensor layout an ABN checkpoint comes in, as a table, and the one way to read them.

The Hub's reference checkpoint changed its code over time; config.json cannot tell its forms apart, the tensors' names
can. Each foreign form is renamed to this package's own (`model.features`, `model.attention_branch`,
`model.perception_branch`). Nothing but safetensors is read and no code of a checkpoint is run.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.utils import cached_file

from .errors import ModelError, ModelFileError

WEIGHTS_NAME = "model.safetensors"
CONFIG_FIELDS = ("arch", "width", "stem", "shortcut", "padding", "attention_head", "residual_attention", "dropout")
CONFIG_FIELDS += ("multitask", "num_labels", "id2label", "label2id")

_RESNET_BODY = (
    (r"^model\.(conv1|bn1|layer[123])\.", r"model.features.\1."),
    (r"^model\.att_layer4\.", "model.attention_branch.stage."),
    (r"^model\.layer4\.", "model.perception_branch.stage."),
    (r"^model\.fc\.", "model.perception_branch.fc."),
)


def _branch(**names: str) -> tuple[tuple[str, str], ...]:
    return tuple((rf"^model\.{old}\.", f"model.attention_branch.{new}.") for new, old in names.items())


@dataclass(frozen=True)
class Layout:
    """A form of checkpoint: the tensors that give it away, the attention head it means, and its renames."""

    name: str
    present: tuple[str, ...]
    absent: tuple[str, ...] = ()
    head: str | None = None
    renames: tuple[tuple[str, str], ...] = ()

    def matches(self, names: set[str]) -> bool:
        return all(n in names for n in self.present) and not any(n in names for n in self.absent)

    def rename(self, name: str) -> str:
        for pattern, replacement in self.renames:
            name, count = re.subn(pattern, replacement, name)
            if count:
                break
        return name


LAYOUTS = (
    Layout(name="own", present=("model.attention_branch.norm2.weight", "model.perception_branch.fc.weight")),
    Layout(name="own, multi-task", present=("model.attention_branch.conv.weight", "model.perception_branch.weight")),
    Layout(
        name="Hub A",
        present=("model.att_norm.weight", "model.att_conv3.weight", "model.att_norm3.weight"),
        head="A",
        renames=_RESNET_BODY
        + _branch(
            norm="att_norm",
            conv="att_conv",
            norm2="att_norm2",
            class_conv="att_conv2",
            map_conv="att_conv3",
            map_norm="att_norm3",
        ),
    ),
    Layout(
        name="Hub B",
        present=("model.att_norm.weight", "model.att_conv_map.weight"),
        absent=("model.att_conv2.weight",),
        head="B",
        renames=_RESNET_BODY + _branch(norm="att_norm", conv="att_conv", norm2="att_norm2", map_conv="att_conv_map"),
    ),
    Layout(
        name="Hub C",
        present=("model.bn_att.weight", "model.att_conv3.weight", "model.bn_att3.weight"),
        head="C",
        renames=_RESNET_BODY
        + _branch(
            norm="bn_att",
            conv="att_conv",
            norm2="bn_att2",
            class_conv="att_conv2",
            map_conv="att_conv3",
            map_norm="bn_att3",
        ),
    ),
)


def identify(names: Iterable[str], source: object = "the checkpoint") -> Layout:
    """The layout of a checkpoint with these tensor names.

    Raises:
        ValueError: it is none of the known ones; says what was found and what was expected.
    """
    names = set(names)
    for layout in LAYOUTS:
        if layout.matches(names):
            return layout
    sample = ", ".join(sorted(names)[:3]) or "no tensors"
    known = "; ".join(f"{layout.name}: {', '.join(layout.present)}" for layout in LAYOUTS)
    raise ModelError("tensors_unknown", source=source, count=len(names), sample=sample, known=known)


def read_tensors(file: str | Path) -> tuple[Layout, dict[str, Tensor]]:
    """A safetensors file's layout and its tensors under this package's own names.

    Raises:
        ValueError: the file is damaged, or not an ABN's.
        OSError: the file cannot be read.
    """
    try:
        tensors = load_file(file)
    except SafetensorError as error:
        raise ModelError("file_safetensors", name=Path(file).name, reason=str(error)) from None
    layout = identify(tensors, Path(file).name)
    return layout, {layout.rename(name): tensor for name, tensor in tensors.items()}


def read_checkpoint(source, config, config_class, kwargs: dict) -> tuple[PreTrainedConfig, dict[str, Tensor]]:
    """A folder's or Hub repository's config and its tensors under our own names.

    `kwargs` are `from_pretrained`'s: those that say where to look are taken out of it. Config wins: the attention
    head is read off the tensors only where config.json does not name it.
    """
    where = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder", "proxies")
    where = {name: kwargs.pop(name) for name in where if kwargs.get(name) is not None}
    if not isinstance(config, PreTrainedConfig):  # not config_class: with trust_remote_code there can be two copies
        config_source = source if config is None else config
        found = config_class.get_config_dict(config_source, **where)[0]
        if not found:
            raise ModelFileError("config_missing", source=source, weights=WEIGHTS_NAME)
        if found.get("model_type") != config_class.model_type:
            raise ModelError("config_kind", source=source, kind=found.get("model_type"))
        changes = {name: kwargs.pop(name) for name in CONFIG_FIELDS if name in kwargs}
        config = config_class.from_dict({**found, **changes})
    weights = cached_file(source, WEIGHTS_NAME, **where)
    layout, tensors = read_tensors(weights)  # ty: ignore[invalid-argument-type]  # None: it would have raised
    if config.attention_head is None:
        config.attention_head = layout.head
    return config, tensors


def uncounted(wanted: Iterable[str], found: Iterable[str]) -> dict[str, Tensor]:
    """The batch norms' counts that a file older than PyTorch 0.4.1 lacks, as 0; inference does not read them."""
    missing = set(wanted) - set(found)
    return {name: torch.tensor(0) for name in missing if name.endswith(".num_batches_tracked")}


def check_shapes(wanted: dict[str, Tensor], found: dict[str, Tensor], source: object) -> None:
    """Refuse tensors that are not those of the network: transformers only warns and leaves random weights.

    Args:
        wanted: the network's own, of which names and shapes count.

    Raises:
        ValueError: tensors are missing, left over, of the wrong shape or of whole numbers; names the first few of each.
    """
    both = sorted(wanted.keys() & found.keys())
    misshapen = [name for name in both if wanted[name].shape != found[name].shape]
    whole = [name for name in both if wanted[name].is_floating_point() and not found[name].is_floating_point()]
    faults = (
        ("tensors_missing", sorted(wanted.keys() - found.keys())),
        ("tensors_unexpected", sorted(found.keys() - wanted.keys())),
        ("tensors_misshapen", [f"{n}: {tuple(found[n].shape)} for {tuple(wanted[n].shape)}" for n in misshapen]),
        ("tensors_whole", [f"{name}: {str(found[name].dtype).removeprefix('torch.')}" for name in whole]),
    )
    _refuse([_counted(key, names) for key, names in faults if names], source)


def check_loaded(info: dict, tensors: dict[str, Tensor], source: object) -> None:
    """Refuse a network that did not get every tensor, or got values that are not finite.

    Args:
        tensors: of the loaded model.

    Raises:
        ValueError: names the first few.
    """
    faults = [ModelError(key, count=len(info[name]), named="") for name, key in NOT_LOADED if info[name]]
    broken = sorted(name for name, t in tensors.items() if t.is_floating_point() and not t.isfinite().all())
    if broken:
        faults.append(_counted("tensors_not_finite", broken))
    _refuse([*faults, *map(str, info.get("error_msgs") or ())], source)


NOT_LOADED = (
    ("missing_keys", "tensors_missing"),
    ("unexpected_keys", "tensors_unexpected"),
    ("mismatched_keys", "tensors_misshapen"),
)


def _counted(key: str, names: Sequence[str]) -> ModelError:
    return ModelError(key, count=len(names), named=f" ({', '.join(names[:3])})")


def _refuse(faults: Sequence[ModelError | str], source: object) -> None:
    if faults:
        chained = reduce(lambda first, second: ModelError("tensors_and", first=first, second=second), faults)
        raise ModelError("tensors_misfit", source=source or "the checkpoint", faults=chained)
