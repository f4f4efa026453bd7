"""A stranger's checkpoint, loaded and asked once, in a process that can be killed: python -m … FOLDER

Its last line is JSON: {"seconds": a picture's}, or {"key", "values"} or {"words"} of what is wrong. It is not pickled:
who reads it does not trust this process.
"""

import json
import os
import sys
import time

import numpy as np
from PIL import Image

from ...explanation import Explainer
from ...model.errors import KeyedError
from . import limits

EXTREME = ((100, 60_000), (60_000, 100), (600, 1800))  # (height, width) of pictures that a processor may be given


LONGEST = 2000  # characters of a value


class Wrong(KeyedError, ValueError):
    """A key of the page's own catalogues, which this process does not open, and its values."""


def checked(explainer: Explainer) -> float:
    """The seconds that one picture takes.

    Raises:
        Wrong: the network is given too much of a picture, knows too many classes, or does not answer with numbers.
    """
    if len(explainer.labels) > limits.CLASSES:
        raise Wrong("stranger_classes", count=f"{len(explainer.labels):,}", most=f"{limits.CLASSES:,}")
    for view in ("whole", "model"):
        for picture in EXTREME:
            rows, columns = explainer.processor.geometry(picture, view).crop
            if rows * columns > limits.NETWORK_PIXELS:
                raise Wrong("stranger_pixels", rows=rows, columns=columns, most=f"{limits.NETWORK_PIXELS:,}")
    height, width = EXTREME[-1]
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    seconds = 0.0
    for _ in range(2):  # the first is slower than all later ones
        began = time.perf_counter()
        explanation = explainer(Image.fromarray(pixels), view="whole")
        seconds = time.perf_counter() - began
    numbers = [*explanation.probabilities.values(), *explanation.attention_probabilities.values()]
    if not (np.isfinite(numbers).all() and np.isfinite(explanation.heatmap).all()):
        raise Wrong("stranger_not_finite")
    if seconds > limits.PASS_SECONDS:
        raise Wrong("stranger_slow", seconds=f"{seconds:.0f}", most=f"{limits.PASS_SECONDS:g}")
    return seconds


def main(folder: str) -> dict:
    try:
        return {"seconds": checked(Explainer.from_pretrained(folder, device="cpu"))}
    except KeyedError as wrong:
        return as_json(wrong)
    except MemoryError:
        return {"key": "stranger_memory", "values": {"most": f"{limits.TRIAL_BYTES / 1e9:.1f}"}}
    except (ValueError, OSError) as error:
        return {"words": str(error)[:LONGEST]}
    except Exception as error:  # whatever a file can make a library raise
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return {"key": "stranger_broken", "values": {}}


def as_json(error: KeyedError) -> dict:
    """An error's key and values, errors among them likewise, and other values as JSON or in words."""
    return {"key": error.key, "values": {name: _as_json(value) for name, value in error.values.items()}}


def _as_json(value):
    if isinstance(value, KeyedError):
        return as_json(value)
    if isinstance(value, str):
        return value[:LONGEST]
    plain = value is None or isinstance(value, (bool, int, float)) or (isinstance(value, list) and len(value) < 100)
    return value if plain and len(repr(value)) <= LONGEST and "{" not in repr(value) else str(value)[:LONGEST]


if __name__ == "__main__":
    os.nice(5)
    print(json.dumps(main(sys.argv[1])), flush=True)
