"""A checkpoint's metrics.json: another's text, of which what the page shows is taken, within bounds."""

import json
import math
from pathlib import Path

MOST_BYTES = 1_000_000
DEPTH, ENTRIES, LETTERS, LARGEST = 4, 2000, 300, 1e12


def metrics_of(source: Path) -> dict | None:
    """Of a folder, or beside a file; None where there is none that can be read."""
    file = (source if source.is_dir() else source.parent) / "metrics.json"
    try:
        if file.stat().st_size > MOST_BYTES:
            return None
        found = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return bounded(found) if isinstance(found, dict) else None


def bounded(value, depth: int = DEPTH):
    """Numbers that are finite and no larger than LARGEST, texts cut, lists and tables no longer and deeper than that;
    None in place of all else."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= LARGEST else None
    if isinstance(value, float):
        return value if math.isfinite(value) and abs(value) <= LARGEST else None
    if isinstance(value, str):
        return value[:LETTERS]
    if depth == 0:
        return None
    if isinstance(value, list):
        return [bounded(one, depth - 1) for one in value[:ENTRIES]]
    return {str(name)[:LETTERS]: bounded(one, depth - 1) for name, one in list(value.items())[:ENTRIES]}
