"""Uploads, answers and what was cut off leave Gradio's cache by age, and the oldest where there is too much.

By a thread of our own that goes by the folder: Gradio's deletes what its components remember, ends at a set that
changes under its hands, and knows nothing of an upload that never ended.
"""

import contextlib
import threading
import time
from collections.abc import Collection
from pathlib import Path

from . import limits

EVERY = 60.0  # seconds


def clean(folder: Path, keep: Collection[str] = (), now: float | None = None) -> int:
    """Delete what is too old, and the oldest of what is too much. How many files went.

    Args:
        folder: Gradio's cache: folders by content, with a file each; beside them uploads under way.
        keep: paths that stay, such as the examples'.
    """
    now, found, gone = time.time() if now is None else now, [], 0
    for path in [one for part in _entries(folder) for one in ([part] if part.is_file() else _entries(part))]:
        with contextlib.suppress(OSError):
            status = path.stat()
            # An upload under way lies in the folder itself, under the name of a temporary file
            most = limits.UNFINISHED_SECONDS if path.parent == folder else limits.CACHE_SECONDS
            age = now - max(status.st_mtime, status.st_ctime if path.parent != folder else 0)
            if str(path) not in keep:
                found.append((age, status.st_size, path, age > most))
    total = sum(size for _, size, *_ in found)
    for _, size, path, old in sorted(found, key=lambda one: -one[0]):
        if old or total > limits.CACHE_BYTES:
            with contextlib.suppress(OSError):
                path.unlink()
                total, gone = total - size, gone + 1
                if path.parent != folder:
                    path.parent.rmdir()
    return gone


def start(folder: str | Path, keep) -> None:
    """Clean every minute, for as long as the process lives. keep(): the paths that stay."""

    def work() -> None:
        while True:
            try:
                clean(Path(folder), keep())
            except Exception as error:  # nothing ends this thread
                print(f"the cache is not cleaned: {type(error).__name__}: {error}", flush=True)
            time.sleep(EVERY)

    threading.Thread(target=work, name="cleaning", daemon=True).start()


def _entries(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(folder.iterdir())
    return []
