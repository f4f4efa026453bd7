"""Hub id, folder or file -> model and processor. Tensor layouts are in `layouts`."""

from pathlib import Path

from transformers.utils import cached_file

from .calibration import CALIBRATION_NAME, Calibration
from .configuration_abn import AbnConfig
from .image_processing_abn import AbnImageProcessor
from .imagenette import CLASSES
from .layouts import infer_config, read_tensors
from .modeling_abn import AbnForImageClassification

BUNDLED = Path(__file__).parent / "weights" / "compact"


def load_checkpoint(source: str | Path, **where) -> tuple[AbnForImageClassification, AbnImageProcessor]:
    """The model (float32, in evaluation mode) and the processor of a checkpoint.

    Args:
        source: a Hub id, a folder, a .safetensors file, or "compact" for the bundled network.
        where: `from_pretrained`'s revision, cache_dir, token, local_files_only.

    Raises:
        ValueError: it is not an ABN checkpoint; says what was found and what was expected.
        OSError: it cannot be found or fetched.
    """
    if str(source) == "compact":
        source = BUNDLED
    path = Path(source)
    if path.is_file():
        return _load_file(path)
    if not path.exists() and (path.is_absolute() or path.suffix == ".safetensors" or str(source).startswith(".")):
        raise FileNotFoundError(f"there is no checkpoint at {source}")
    model = AbnForImageClassification.from_pretrained(source, dtype="float32", **where)
    return model, _load_processor(source, **where)


def load_calibration(source: str | Path, **where) -> Calibration:
    """The calibration that a checkpoint brings, else the neutral one. Arguments as `load_checkpoint`'s."""
    path = BUNDLED if str(source) == "compact" else Path(source)
    if path.is_file():
        path = path.parent
    elif not path.is_dir():
        found = _optional(source, CALIBRATION_NAME, **where)
        return Calibration() if found is None else Calibration.load(Path(found).parent)
    return Calibration.load(path)


def _load_processor(source: str | Path, **where) -> AbnImageProcessor:
    if _optional(source, "preprocessor_config.json", **where) is None:
        return AbnImageProcessor()  # foreign folders may lack it: ImageNet's 256 and 224
    return AbnImageProcessor.from_pretrained(source, **where)


def _optional(source: str | Path, name: str, **where) -> str | None:
    """A file of a folder or Hub repository; None where it is known not to be there."""
    return cached_file(source, name, _raise_exceptions_for_missing_entries=False, **where)


def _load_file(path: Path) -> tuple[AbnForImageClassification, AbnImageProcessor]:
    if path.suffix != ".safetensors":
        raise ValueError(f"{path.name} is not a checkpoint this reads; expected a .safetensors file or a folder")
    layout, tensors = read_tensors(path)
    if (path.parent / "config.json").is_file():
        config = AbnConfig.from_pretrained(path.parent)
    else:
        fields = infer_config(tensors)
        labels = dict(enumerate(CLASSES)) if fields["num_labels"] == len(CLASSES) else None
        config = AbnConfig(**fields, id2label=labels)
    if config.attention_head is None:
        config.attention_head = layout.head or "C"
    model = AbnForImageClassification.from_pretrained(None, config=config, state_dict=tensors, dtype="float32")
    return model, _load_processor(path.parent)


__all__ = ["BUNDLED", "load_calibration", "load_checkpoint"]
