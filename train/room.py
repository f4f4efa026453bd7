"""Whether decoded pictures will fit into memory, asked before they are decoded."""

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path

CGROUPS = (  # of the container this runs in: the folder, and the files with its limit and its use; version 2, and 1
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def available_memory() -> int | None:
    """Bytes that this process may still take: what the machine has free, or its container, whichever is less. None
    where the system does not say."""
    found = []
    with contextlib.suppress(OSError, ValueError, KeyError):
        found.append(1024 * int(_table(Path("/proc/meminfo"))["MemAvailable"]))
    for folder, limit, used, cached in CGROUPS:
        with contextlib.suppress(OSError, ValueError, KeyError):  # no container, or one without a limit: "max"
            most, taken = (int(Path(folder, name).read_text()) for name in (limit, used))
            found.append(most - taken + int(_table(Path(folder, "memory.stat"))[cached]))
    return max(0, min(found)) if found else None


def _table(file: Path) -> dict[str, str]:
    """Name -> number, of lines such as "MemAvailable:  1024 kB" or "inactive_file 4096"."""
    return {name.rstrip(":"): number for name, number, *_ in map(str.split, file.read_text().splitlines())}


def to_stream(shapes: Sequence[tuple[int, int, int]], share: float) -> list[bool]:
    """Which of several sets of pictures are to be decoded anew whenever they are looked at: those that do not fit, the
    smallest first, into `share` of the memory that is free. Where the system does not say how much that is: none, but
    all for a `share` of 0.

    Args:
        shapes: (pictures, height, width) of each, three bytes a pixel.
    """
    free = available_memory()
    room = share * free if free is not None else math.inf if share else 0
    found, taken = [True] * len(shapes), 0
    for place in sorted(range(len(shapes)), key=lambda place: _bytes(shapes[place])):
        taken += _bytes(shapes[place])
        found[place] = taken > room
    return found


def _bytes(shape: tuple[int, int, int]) -> int:
    return 3 * math.prod(shape)
