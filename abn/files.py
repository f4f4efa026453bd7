"""Files written whole, and with the permissions that the umask gives."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from transformers import PreTrainedModel


@contextlib.contextmanager
def whole(file: str | Path) -> Iterator[Path]:
    """A path beside `file` to write to, renamed to it at the end: under its name a file is whole, or it is not there.

    Raises:
        OSError: it cannot be written or renamed; nothing is left then.
    """
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{os.getpid()}.writing")
    try:
        yield aside
        by_umask(aside)
        sync(aside)
        os.replace(aside, file)
    finally:
        aside.unlink(missing_ok=True)


def by_umask(file: Path) -> None:
    """Give a file the permissions that it would have if it were newly made: safetensors makes its own for the owner
    alone, and a web server of another user could not read them."""
    probe = file.with_name(f".{os.getpid()}.{file.name}.probe")  # asking os.umask would change it for all threads
    descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
        probe.unlink()
    if stat.S_IMODE(file.stat().st_mode) != mode:
        with contextlib.suppress(OSError):  # a file system without permissions
            file.chmod(mode)


def save_network(model: PreTrainedModel, folder: str | Path, **how) -> None:
    """`model.save_pretrained(folder, **how)`, its weights with the permissions that the umask gives."""
    model.save_pretrained(folder, **how)
    for file in Path(folder).glob("model*.safetensors"):
        by_umask(file)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
