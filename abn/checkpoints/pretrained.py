"""ResNets that other libraries trained: torchvision's and timm's files, and transformers' ResNet, as an ABN's backbone.

From a Hub id, a folder or a file. Which layout it is follows from the tensors, what network from their shapes; a config
beside them says how pictures are preprocessed, and what of a network its tensors do not show. Nothing but tensors is
read: safetensors, or a PyTorch file as `originals.read_pickled` reads it.
"""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers.utils import cached_file

from ..hub import KINDS, with_fit_token
from ..model.configuration_abn import AbnConfig
from ..model.image_processing_abn import AbnImageProcessor
from ..model.layouts import check_shapes, uncounted
from ..model.modeling_abn import AbnForImageClassification
from .infer import ATTENTION, FEATURES, PERCEPTION, infer_config
from .originals import SUFFIXES, Original, identify_original, read_pickled
from .pretrained_processors import timm_processor, torchvision_processor, transformers_processor

WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # of a Hub repository, the first that there is
ENDINGS = (".safetensors", ".bin", *SUFFIXES)
TIMM_ARCHITECTURES = re.compile(r"(tv_)?resnet(18|34|50|101|152)[cd]?")
TIMM_ARGUMENTS = {"in_chans": 3, "global_pool": "avg"}  # that a config may name, and what they must be
TIMM_KNOWN = (*TIMM_ARGUMENTS, "num_classes", "drop_rate", "drop_path_rate", "drop_block_rate")
TRANSFORMERS_FIELDS = {  # of a ResNetConfig: what its tensors do not show -> all that there is here
    "hidden_act": "relu",
    "downsample_in_first_stage": False,
    "downsample_in_bottleneck": False,
    "num_channels": 3,
}


def _numbered(name: str):
    """Of a block's layers, which transformers counts from 0."""
    return lambda found: f".{name}{int(found[1]) + 1}."


LAYOUTS = (
    Original(
        "torchvision's and timm's ResNet",
        "layer4.0.conv1.weight",
        None,
        (
            (r"(conv1|bn1|layer[123])\.", rf"{FEATURES}\1."),
            (r"layer4\.", f"{PERCEPTION}stage."),
            (r"fc\.", f"{PERCEPTION}fc."),
        ),
    ),
    Original(
        "transformers' ResNet",
        "encoder.stages.3.layers.0.layer.0.convolution.weight",
        None,
        (
            (r"embedder\.embedder\.convolution\.", f"{FEATURES}conv1."),
            (r"embedder\.embedder\.normalization\.", f"{FEATURES}bn1."),
            (r"encoder\.stages\.([012])\.layers\.", lambda found: f"{FEATURES}layer{int(found[1]) + 1}."),
            (r"encoder\.stages\.3\.layers\.", f"{PERCEPTION}stage."),
            (r"classifier\.1\.", f"{PERCEPTION}fc."),
        ),
        inner=(
            (r"\.layer\.(\d)\.convolution\.", _numbered("conv")),
            (r"\.layer\.(\d)\.normalization\.", _numbered("bn")),
            (r"\.shortcut\.convolution\.", ".downsample.0."),
            (r"\.shortcut\.normalization\.", ".downsample.1."),
        ),
    ),
)


@dataclass(frozen=True)
class Pretrained:
    """A network without an attention branch.

    layout: its name. fields: `AbnConfig`'s that follow from it (arch, width, stem, shortcut). tensors: under an ABN's
    own names, those of `model.features` and `model.perception_branch`; without `fc` where its library had cut it off.
    processor: as its library preprocesses pictures.
    """

    layout: str
    fields: dict
    tensors: dict[str, Tensor]
    processor: AbnImageProcessor

    def branches(self) -> dict[str, Tensor]:
        """What an ABN has of it: everything but `fc`, and its last stage once more, for the attention branch."""
        kept = {name: tensor for name, tensor in self.tensors.items() if not name.startswith(f"{PERCEPTION}fc.")}
        stage = f"{PERCEPTION}stage."
        again = {
            ATTENTION + "stage." + n.removeprefix(stage): t.clone() for n, t in kept.items() if n.startswith(stage)
        }
        return kept | again


def load_pretrained(source: str | Path, **where) -> Pretrained | None:
    """The network of a Hub id, a folder or a file of one of `LAYOUTS`; None where it is none of theirs, but perhaps
    something that `load_checkpoint` reads.

    Args:
        where: `cached_file`'s revision, cache_dir, token, local_files_only.

    Raises:
        ValueError: its tensors are not all of a known ResNet, and no others; or its config says that it is another.
        OSError: it cannot be found or fetched.
    """
    path = Path(os.path.expanduser(source))
    if path.is_file():
        return _of_file(path, path.parent / "config.json", path.parent / "preprocessor_config.json")
    if path.is_dir():
        file = _weights_in(path)
        return None if file is None else _of_file(file, path / "config.json", path / "preprocessor_config.json")
    if path.is_absolute() or path.suffix in ENDINGS or str(source).startswith(".") or str(source) == "compact":
        return None
    return with_fit_token(_of_hub, str(source), **where)


def _weights_in(folder: Path) -> Path | None:
    """A folder's own weights, or the only file that could hold some."""
    named = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    others = sorted(file for file in folder.iterdir() if file.suffix in ENDINGS and file.is_file())
    return named[0] if named else others[0] if len(others) == 1 else None


def _of_hub(source: str, **where) -> Pretrained | None:
    found = partial(cached_file, source, _raise_exceptions_for_missing_entries=False, **where)
    config = found("config.json")
    if config is None or _read(config).get("model_type") in KINDS:
        return None
    weights = next((file for name in WEIGHTS if (file := found(name)) is not None), None)
    if weights is None:
        raise ValueError(f"{source} holds no weights that are read here; expected {' or '.join(WEIGHTS)}")
    processor = found("preprocessor_config.json")
    return _of_file(Path(weights), Path(config), None if processor is None else Path(processor), name=source)


def _of_file(file: Path, config_file: Path, processor_file: Path | None, name: str | None = None) -> Pretrained | None:
    """name: of it in errors; the file's own if None."""
    if file.suffix not in ENDINGS:
        return None
    name = name or file.name
    config = _read(config_file)
    if config.get("model_type") in KINDS:
        return None
    tensors = _tensors(file)
    layout = _layout(tensors)
    if layout is None:
        return _refuse_foreign(config, tensors, name)
    own = {layout.rename(_bare(key)): t.float() if t.is_floating_point() else t for key, t in tensors.items()}
    fields, own = _checked(own, name)
    if layout is LAYOUTS[1]:
        _check_transformers(config, name)
        processor = transformers_processor(_read(processor_file), name)
    elif "architecture" in config:
        _check_timm(config, name)
        processor = timm_processor(config.get("pretrained_cfg") or config, name)
    else:
        processor = torchvision_processor(fields["arch"], file.name)
    return Pretrained(layout.name, fields, own, processor)


def _read(file: str | Path | None) -> dict:
    """What a JSON file says; nothing where there is none. Raises: ValueError: it holds something else than a dict."""
    if file is None or not Path(file).is_file():
        return {}
    try:
        found = json.loads(Path(file).read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{Path(file).name} beside the weights is not a JSON object")
    return found


def _tensors(file: Path) -> dict[str, Tensor]:
    """Raises: ValueError, OSError: as `read_pickled`'s."""
    if file.suffix != ".safetensors":
        return read_pickled(file)
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file.name} is not a whole safetensors file ({error}); is it cut short?") from None


def _bare(name: str) -> str:
    """transformers' classifier has its backbone under this name; its backbone alone has not."""
    return name.removeprefix("resnet.")


def _layout(names: Iterable[str]) -> Original | None:
    """None of what ABN's authors published, whose names are like torchvision's."""
    names = {_bare(name) for name in names}
    if identify_original(names) is not None:
        return None
    return next((layout for layout in LAYOUTS if layout.matches(names)), None)


def _refuse_foreign(config: dict, tensors: dict[str, Tensor], name: str) -> None:
    """Raises: ValueError: its config says that it is timm's or transformers', and of no known layout."""
    kind = config.get("architecture") or config.get("model_type")
    if kind is not None and config.get("model_type") not in ("abn", "abn-plain"):
        sample = ", ".join(sorted(tensors)[:3])
        known = "; ".join(layout.name for layout in LAYOUTS)
        raise ValueError(f"{name} is a {kind!r} (tensors {sample}, …); expected an ABN, or {known}")


def _checked(tensors: dict[str, Tensor], name: str) -> tuple[dict, dict[str, Tensor]]:
    """(fields of its config, tensors with the counts that old files lack).

    Raises:
        ValueError: tensors are missing, left over, of the wrong shape or not finite; says which.
    """
    head = f"{PERCEPTION}fc."
    whole = any(key.startswith(head) for key in tensors)
    try:
        fields = infer_config(tensors if whole else tensors | {f"{head}weight": torch.empty(2, 0)})
    except (KeyError, IndexError) as error:
        raise ValueError(f"{name} is not a whole checkpoint: it lacks {error.args[0]!r}") from None
    with torch.device("meta"):
        network = AbnForImageClassification(AbnConfig(**fields)).state_dict()
    parts = (FEATURES, PERCEPTION if whole else f"{PERCEPTION}stage.")
    wanted = {key: tensor for key, tensor in network.items() if key.startswith(parts)}
    tensors = {**uncounted(wanted, tensors), **tensors}
    check_shapes(wanted, tensors, name)
    broken = sorted(key for key, tensor in tensors.items() if not tensor.isfinite().all())
    if broken:
        raise ValueError(f"{name} holds values that are not finite ({', '.join(broken[:3])})")
    fields.pop("num_labels")
    return fields, tensors


def _check_transformers(config: dict, name: str) -> None:
    """Raises: ValueError: it computes with its tensors what an ABN's backbone does not."""
    for field, known in TRANSFORMERS_FIELDS.items():
        if config.get(field, known) != known:
            raise ValueError(f"{name} is a ResNet of {field} {config[field]!r}; only {known!r} can be started from")


def _check_timm(config: dict, name: str) -> None:
    """Raises: ValueError: likewise."""
    architecture = str(config["architecture"]).partition(".")[0]
    said = config.get("model_args") or {}
    more = {k: v for k, v in said.items() if k not in TIMM_KNOWN or TIMM_ARGUMENTS.get(k, v) != v}
    if not TIMM_ARCHITECTURES.fullmatch(architecture) or more:
        what = f"{architecture} with {more}" if more else architecture
        raise ValueError(f"{name} is a {what}; expected timm's resnet18, 34, 50, 101 or 152, or its c or d variant")
