"""Hub id, folder or file -> model and processor. Tensor layouts are in `abn.model.layouts` and `originals`."""

import os
from functools import partial
from pathlib import Path

from transformers import PreTrainedModel
from transformers.utils import cached_file

from ..calibration import CALIBRATION_NAME, Calibration
from ..classes import names_for
from ..errors import AbnError, AbnFileError
from ..families.vit import VIT
from ..hub import with_fit_token
from ..model.configuration_abn import AbnConfig, cifar_family
from ..model.image_processing_abn import AbnImageProcessor, AbnImageProcessorKwargs
from ..model.layouts import Layout, identify, read_tensors
from ..model.modeling_abn import AbnForImageClassification
from ..model.modeling_multitask import AbnForMultiTaskClassification
from .infer import infer_config
from .originals import SUFFIXES, identify_original, read_pickled, renamed
from .transformer import load_vit

CIFAR_STATISTICS: AbnImageProcessorKwargs = {
    "image_mean": [0.4914, 0.4822, 0.4465],
    "image_std": [0.2023, 0.1994, 0.2010],
}
CIFAR: AbnImageProcessorKwargs = {
    "size": {"shortest_edge": 32},
    "crop_size": {"height": 32, "width": 32},
    **CIFAR_STATISTICS,
}
# How the multi-task networks' authors preprocess: their first release with its own, later ones the values 0 to 1
ONES: AbnImageProcessorKwargs = {"image_mean": [1.0, 1.0, 1.0], "image_std": [1.0, 1.0, 1.0]}
SQUASHED: AbnImageProcessorKwargs = {
    "size": {"height": 224, "width": 224},
    "image_mean": [0.0, 0.0, 0.0],
    "image_std": [1.0, 1.0, 1.0],
}
CELEBA = {"v0.1": ONES}
# What a config.json may say about how it is computed, which is not its author's to say
NOT_A_NETWORKS = ("quantization_config", "compression_config", "_attn_implementation", "attn_implementation")
NOT_A_NETWORKS += ("_experts_implementation", "experts_implementation", "output_attentions", "torchscript")
LOADERS = {VIT.model_type: load_vit}  # of folders of other networks than ABNs
BUNDLED = Path(__file__).parents[1] / "weights" / "compact"


def load_checkpoint(
    source: str | Path, *, residual_attention: bool | None = None, **where
) -> tuple[PreTrainedModel, AbnImageProcessor]:
    """The model (float32, in evaluation mode) and the processor of a checkpoint.

    Args:
        source: a Hub id, a folder, a .safetensors file, a .pth.tar file of ABN's authors, or "compact" for the bundled
            network.
        residual_attention: in place of what the config says; a file without one does not tell, and counts as residual.
        where: `from_pretrained`'s revision, cache_dir, token, local_files_only.

    Raises:
        ValueError: it is neither an ABN's nor a Vision Transformer's; says what was found and what was expected.
        OSError: it cannot be found or fetched.
    """
    source = BUNDLED if str(source) == "compact" else os.path.expanduser(source)
    path = Path(source)
    changes = {} if residual_attention is None else {"residual_attention": residual_attention}
    if path.is_file():
        return _load_file(path, changes)
    if not path.exists() and (
        path.is_absolute() or path.suffix in (".safetensors", *SUFFIXES) or str(source).startswith(".")
    ):
        raise AbnFileError("checkpoint_missing", source=source)
    return with_fit_token(partial(_load_folder, changes=changes), source, **where)


def load_calibration(source: str | Path, **where) -> Calibration:
    """The calibration that a checkpoint brings, else the neutral one. Arguments as `load_checkpoint`'s."""
    path = BUNDLED if str(source) == "compact" else Path(source).expanduser()
    if path.is_file():
        path = path.parent
    elif not path.is_dir():
        found = with_fit_token(partial(_optional, name=CALIBRATION_NAME), source, **where)
        return Calibration() if found is None else Calibration.load(Path(found).parent)
    return Calibration.load(path)


def _load_folder(source: str | Path, changes: dict, **where) -> tuple[PreTrainedModel, AbnImageProcessor]:
    """Of a folder or a Hub repository."""
    found = AbnConfig.get_config_dict(source, **where)[0]
    if loader := LOADERS.get(found.get("model_type")):
        return loader(source, **where)
    kind = AbnForMultiTaskClassification if found.get("multitask") else AbnForImageClassification
    if any(name in found for name in NOT_A_NETWORKS):
        kept = {name: value for name, value in found.items() if name not in NOT_A_NETWORKS}
        changes = {"config": AbnConfig.from_dict(kept, **changes)}
    model = kind.from_pretrained(source, dtype="float32", **where, **changes)
    return model, _load_processor(source, model.config, **where)


def _load_processor(source: str | Path, config: AbnConfig | None = None, **where) -> AbnImageProcessor:
    if _optional(source, "preprocessor_config.json", **where) is None:
        if config is not None and config.multitask:
            return AbnImageProcessor(**CELEBA.get(config.multitask, SQUASHED))
        if config is not None and cifar_family(config.arch):
            return AbnImageProcessor(**CIFAR)
        return AbnImageProcessor()  # foreign folders may lack it: ImageNet's 256 and 224
    return AbnImageProcessor.from_pretrained(source, **where)


def _optional(source: str | Path, name: str, **where) -> str | None:
    """A file of a folder or Hub repository; None where it is known not to be there."""
    return cached_file(source, name, _raise_exceptions_for_missing_entries=False, **where)


def _load_file(path: Path, changes: dict) -> tuple[PreTrainedModel, AbnImageProcessor]:
    if path.suffix == ".safetensors":
        layout, tensors = read_tensors(path)
        head = layout.head
    elif path.suffix in SUFFIXES:
        head, tensors = _read_pickled(path)
    else:
        raise AbnError("checkpoint_ending", name=path.name, endings=", ".join((".safetensors", *SUFFIXES)))
    if (path.parent / "config.json").is_file():
        config = AbnConfig.from_pretrained(path.parent, **changes)
    else:
        try:
            fields = infer_config(tensors)
        except KeyError as error:
            raise AbnError("checkpoint_lacks", name=path.name, tensor=error.args[0]) from None
        except IndexError:
            raise AbnError("checkpoint_dimension", name=path.name) from None
        labels = names_for(fields["arch"], fields["num_labels"], "multitask" in fields)
        config = AbnConfig(**fields, id2label=labels, **changes)
    if config.attention_head is None:
        config.attention_head = head or "C"
    kind = AbnForImageClassification if config.multitask is None else AbnForMultiTaskClassification
    model = kind.from_pretrained(None, config=config, state_dict=tensors, dtype="float32")
    return model, _load_processor(path.parent, config)


def _read_pickled(path: Path) -> tuple[str | None, dict]:
    """(attention head, tensors under our own names) of a PyTorch file: the authors', or any layout of `layouts`."""
    tensors = read_pickled(path)
    original = identify_original(set(tensors))
    if original is not None:
        try:
            return original.head, renamed(original, tensors)
        except (KeyError, IndexError, RuntimeError) as error:
            raise AbnError("checkpoint_original", name=path.name, kind=original.name, reason=str(error)) from None
    layout: Layout = identify(tensors, path.name)
    return layout.head, {layout.rename(name): tensor for name, tensor in tensors.items()}


__all__ = ["BUNDLED", "load_calibration", "load_checkpoint"]
