"""From a checkpoint to the folder of the page that needs no server."""

import importlib.util
from pathlib import Path

from ..explanation import Explainer
from .facts import MOST, check

NEEDED = ("onnx", "onnxscript")


def make(
    checkpoint: str,
    examples: str | Path | None,
    out: Path,
    *,
    name: str | None = None,
    runtime: str | Path | None = None,
    largest: float = MOST,
) -> dict[str, int]:
    """Write the folder.

    Args:
        checkpoint: a Hub id, a folder, a file, or "compact" for the bundled network.
        examples: a folder with a folder of pictures a class; the bundled drawings if None.
        name: what the page calls the network; the checkpoint's if None, "" for the bundled one.
        runtime: the folder of the npm package onnxruntime-web; npm fetches it if None.
        largest: megabytes of weights, in half precision.

    Returns:
        Bytes, as `export.write`.

    Raises:
        ValueError, OSError: the checkpoint, the pictures or the runtime cannot be had, or do not fit; in one line.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise ValueError(f"{' and '.join(missing)} must be installed: pip install onnx onnxscript")
    from . import pictures
    from . import runtime as fetching
    from .export import write

    explainer = Explainer.from_pretrained(checkpoint, device="cpu")
    check(explainer, largest)
    listed, files = pictures.examples(examples, explainer.labels)
    if name is None:
        name = "" if checkpoint == "compact" else Path(checkpoint).name or checkpoint
    return write(explainer, name, listed, files, fetching.runtime(runtime), out)
