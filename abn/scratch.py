"""Folders of our own in the temporary folder: gone with their owner, at exit, and after a kill at the next start.

Each is locked by its process as long as that lives, whatever its number and container; the kernel lifts the lock of a
dead one. So what is not locked was left behind, and may go.
"""

import contextlib
import os
import re
import shutil
import signal
import stat
import tempfile
import time
import weakref
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows: nothing is locked there, and nothing of others' removed
    fcntl = None

OURS = re.compile(r"abn-(examples|models|uploads|digits|pictures|tests)-(\d+)-[a-z0-9_]{8}")
EARLIER = re.compile(r"abn-(examples|models)-[a-z0-9_]{8}")  # as this project named them before, without locks
DAY = 24 * 3600  # seconds

HELD: dict[Path, weakref.finalize] = {}  # this process's folders, and what removes each


class _Owner:
    """Lives as long as the process."""


_OF_THE_PROCESS = _Owner()


def scratch(kind: str, owner: object = None) -> Path:
    """A new folder `abn-KIND-PID-…` that leaves with `owner`, or when this process ends; leftovers of dead processes
    are removed first.

    Raises:
        OSError: it cannot be made.
    """
    clear_leftovers()
    lock = None
    while lock is None:
        folder = Path(tempfile.mkdtemp(prefix=f"abn-{kind}-{os.getpid()}-"))
        lock = _lock(folder)  # None where another start took it for a leftover between these two lines
    HELD[folder] = weakref.finalize(_OF_THE_PROCESS if owner is None else owner, _remove, folder, lock, os.getpid())
    return folder


def clear() -> None:
    """Remove this process's folders now."""
    for remove in list(HELD.values()):
        remove()


def clear_leftovers() -> None:
    """Remove the folders of dead processes: this user's, no links, and not locked."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        for folder in Path(tempfile.gettempdir()).iterdir():
            if OURS.fullmatch(folder.name) or (EARLIER.fullmatch(folder.name) and _age(folder) > DAY):
                lock = _lock(folder) if _is_own_folder(folder) else None
                if lock is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(lock)


def end_tidily(number: int, _) -> None:
    """A signal handler: remove this process's folders, then end as the signal does."""
    clear()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _is_own_folder(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        status = folder.lstat()
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return False


def _age(folder: Path) -> float:
    with contextlib.suppress(OSError):
        return time.time() - folder.lstat().st_mtime
    return 0.0


def _lock(folder: Path) -> int | None:
    """An open descriptor that locks the folder; None where it is locked by another, or gone. Without locks: -1."""
    if fcntl is None:
        return -1
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), folder.lstat()):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _remove(folder: Path, lock: int, process: int) -> None:
    HELD.pop(folder, None)
    if os.getpid() != process:  # a forked child: the folder is its parent's
        return
    shutil.rmtree(folder, ignore_errors=True)
    if lock >= 0:
        os.close(lock)
