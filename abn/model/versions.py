"""The transformers that this code is written for. Imported before the rest, so that under an older one a single line
says what is missing; saved folders carry this file."""

import re

import transformers

TRANSFORMERS = "transformers>=5.17,<6"
OLDEST = (5, 17)


def check(version: str) -> None:
    """Raises: ImportError: transformers of this version are too old."""
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise ImportError(
            f"this network's code needs transformers {wanted} or later; found {version}: pip install '{TRANSFORMERS}'"
        )


check(transformers.__version__)
