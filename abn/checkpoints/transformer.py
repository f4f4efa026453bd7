"""A Vision Transformer's folder or Hub repository -> network and processor."""

import json
from pathlib import Path

from transformers import ViTConfig, ViTForImageClassification
from transformers.utils import cached_file

from ..families.vit import VIT
from ..model.configuration_abn import checked_id2label
from ..model.image_processing_vit import VitImageProcessor


def load_vit(source: str | Path, **where) -> tuple[ViTForImageClassification, VitImageProcessor]:
    """The network (float32, in evaluation mode) and a processor that squashes pictures to its size.

    Raises:
        ValueError: the config is out of bounds, or the tensors are not all there, or not finite.
        OSError: it cannot be found or fetched.
    """
    found = ViTConfig.get_config_dict(source, **where)[0]
    if found.get("id2label") is not None:
        checked_id2label(found["id2label"])
    labels = found.get("num_labels") or len(found.get("id2label") or ()) or 2
    for name, most in VIT.limits.items():
        value = labels if name == "num_labels" else found.get(name, 1)
        if not isinstance(value, int) or not 0 < value <= most:
            raise ValueError(f"{name} must be a whole number, {most:,} at most; got {value!r}")
    model, info = ViTForImageClassification.from_pretrained(
        source, dtype="float32", use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True, **where
    )
    missing = sorted([*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])])
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing or of the wrong shape ({', '.join(missing[:3])})")
    if any(not tensor.isfinite().all() for tensor in model.state_dict().values() if tensor.is_floating_point()):
        raise ValueError("its tensors hold values that are not finite")
    return model, _processor(source, model.config, **where)


def _processor(source: str | Path, config: ViTConfig, **where) -> VitImageProcessor:
    """Of preprocessor_config.json only what a network's input depends on beside its size."""
    file = cached_file(source, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False, **where)
    said = json.loads(Path(file).read_text()) if file else {}
    size = {"height": config.image_size, "width": config.image_size}
    kept = {name: said[name] for name in ("image_mean", "image_std", "resample") if said.get(name) is not None}
    return VitImageProcessor(size=size, crop_size=size, **{"image_mean": [0.5] * 3, "image_std": [0.5] * 3, **kept})
