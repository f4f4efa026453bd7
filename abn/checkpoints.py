"""Hub id, folder or file -> model and processor. Tensor layouts are in `layouts`."""

from pathlib import Path

from .calibration import Calibration
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
    model = AbnForImageClassification.from_pretrained(source, dtype="float32", **where)
    return model, _load_processor(source, **where)


def load_calibration(source: str | Path) -> Calibration:
    """The calibration beside a local checkpoint; the neutral one where there is none."""
    path = BUNDLED if str(source) == "compact" else Path(source)
    return Calibration.load(path.parent if path.is_file() else path)


def _load_processor(source: str | Path, **where) -> AbnImageProcessor:
    try:
        return AbnImageProcessor.from_pretrained(source, **where)
    except OSError:  # foreign folders may lack preprocessor_config.json: ImageNet's 256 and 224
        return AbnImageProcessor()


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
