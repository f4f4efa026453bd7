"""A Vision Transformer's folder or Hub repository -> network and processor."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import ViTConfig, ViTForImageClassification
from transformers.utils import cached_file

from ..errors import AbnError
from ..families.vit import VIT, attention_bytes, sides
from ..model.configuration_abn import checked_id2label
from ..model.image_processing_abn import AbnImageProcessorKwargs
from ..model.image_processing_vit import VitImageProcessor

FIELDS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "qkv_bias")
FIELDS += ("layer_norm_eps", "image_size", "patch_size", "num_channels", "id2label", "label2id", "num_labels")
ACTIVATIONS = ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "swish", "tanh")
MOST_ATTENTION = 600_000_000  # bytes of a picture's attention in all layers: a ViT-L of 16 pixels a patch at 384


def load_vit(source: str | Path, **where) -> tuple[ViTForImageClassification, VitImageProcessor]:
    """The network (float32, in evaluation mode) and a processor that squashes pictures to its size.

    Raises:
        ValueError: the config is out of bounds, or the tensors are not all there, or not finite.
        OSError: it cannot be found or fetched.
    """
    config = checked_config(ViTConfig.get_config_dict(source, **where)[0])
    weights = cached_file(source, "model.safetensors", **where)
    _check_shapes(config, weights)  # ty: ignore[invalid-argument-type]  # None: it would have raised
    model, info = ViTForImageClassification.from_pretrained(  # ty: ignore[not-iterable]  # a pair, which nothing annotates
        source, config=config, dtype="float32", use_safetensors=True, output_loading_info=True, **where
    )
    if info["missing_keys"]:
        raise _lacking(sorted(info["missing_keys"]))
    if any(not tensor.isfinite().all() for tensor in model.state_dict().values() if tensor.is_floating_point()):
        raise AbnError("vit_not_finite")
    return model, _processor(source, model.config, **where)


def checked_config(found: dict) -> ViTConfig:
    """The network's shape and labels, and nothing else that a config.json may say: no way to compute, no quantisation.

    Raises:
        ValueError: a value is of another kind, or out of `VIT.limits`.
    """
    said = {name: found[name] for name in FIELDS if found.get(name) is not None}
    if "id2label" in said:
        said["id2label"] = checked_id2label(said["id2label"])
        said.pop("num_labels", None)
    labels = len(said["id2label"]) if "id2label" in said else said.get("num_labels", 2)
    for name, most in VIT.limits.items():
        value = labels if name == "num_labels" else said.get(name, 1)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
            raise AbnError("vit_limit", name=name, most=most, value=str(value)[:100])
    if said.get("hidden_act", "gelu") not in ACTIVATIONS:
        raise AbnError("vit_activation", known=", ".join(ACTIVATIONS), value=str(said["hidden_act"])[:100])
    epsilon = said.get("layer_norm_eps", 1e-12)
    if not isinstance(epsilon, float) or not 0 <= epsilon < 1:
        raise AbnError("vit_epsilon", value=str(epsilon)[:100])
    if not isinstance(said.get("qkv_bias", True), bool):
        raise AbnError("vit_bias", value=str(said["qkv_bias"])[:100])
    config = ViTConfig(**said)
    if config.hidden_size % config.num_attention_heads:
        raise AbnError("vit_heads", size=config.hidden_size, heads=config.num_attention_heads)
    picture, patch = sides(config)
    if picture % patch:
        raise AbnError("vit_patches", size=picture, patch=patch)
    tokens, attention = (picture // patch) ** 2 + 1, attention_bytes(config)
    if attention > MOST_ATTENTION:
        heads, layers, most = config.num_attention_heads, config.num_hidden_layers, MOST_ATTENTION / 1e9
        raise AbnError("vit_attention", size=attention / 1e9, tokens=tokens, heads=heads, layers=layers, most=most)
    return config


def _check_shapes(config: ViTConfig, weights: str) -> None:
    """Before anything takes memory. Raises: ValueError: the file's tensors are not the network's."""
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in ViTForImageClassification(config).state_dict().items()}
    try:
        with safe_open(weights, "pt") as file:
            there = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        raise AbnError("vit_file", name=Path(weights).name) from None
    differing = sorted(name for name, shape in wanted.items() if name in there and there[name] != shape)
    if differing or len(there) > 2 * len(wanted):
        raise _lacking(differing or sorted(set(there) - set(wanted)))


def _lacking(names: list[str]) -> AbnError:
    return AbnError("vit_tensors", count=len(names), names=", ".join(names[:3]))


def _processor(source: str | Path, config: ViTConfig, **where) -> VitImageProcessor:
    """Of preprocessor_config.json only what a network's input depends on beside its size."""
    file = cached_file(source, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False, **where)
    said = json.loads(Path(file).read_text()) if file else {}
    side, _ = sides(config)
    settings: AbnImageProcessorKwargs = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    for name in ("image_mean", "image_std", "resample"):
        if said.get(name) is not None:
            settings[name] = said[name]
    settings["size"] = settings["crop_size"] = {"height": side, "width": side}
    return VitImageProcessor(**settings)
