"""Whether decoded pictures will fit into memory, asked before they are decoded."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

LEFT = 0.1  # of what is free stays free: for the network, its gradients and the batches
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


def check_room(shapes: Iterable[tuple[int, int, int]]) -> None:
    """Args: shapes: (pictures, height, width) of all that is to be held at once, three bytes a pixel.

    Raises:
        ValueError: it is more than there is; says both, and what to do.
    """
    needed = sum(3 * count * height * width for count, height, width in shapes)
    needed *= int(os.environ.get("LOCAL_WORLD_SIZE") or 1)  # each process holds its own
    free = available_memory()
    if free is not None and needed > (1 - LEFT) * free:
        raise ValueError(
            f"the decoded pictures need {_gigabytes(needed)} of memory, and {_gigabytes(free)} are free: "
            "--cache DIR keeps them on the disk"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
