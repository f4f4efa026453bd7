"""Files written whole, and with the permissions that the umask gives."""

import contextlib
import os
import shutil
import stat
from collections.abc import Generator, Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel


@contextlib.contextmanager
def whole(file: str | Path) -> Generator[Path]:
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


@contextlib.contextmanager
def whole_folder(folder: str | Path) -> Generator[Path]:
    """A folder beside `folder` to write into, renamed to it at the end: under its name a folder is whole or missing.

    Raises:
        OSError: it cannot be written or renamed; nothing is left then.
    """
    folder = Path(folder)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.writing")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        replace_folder(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def replace_folder(new: Path, target: Path) -> None:
    """Rename `new` to `target`. What was there goes aside first: under its name a folder is whole or missing."""
    old = target.with_name(f".old-{target.name}")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def save_tensors(tensors: Mapping[str, Tensor], file: str | Path) -> None:
    """Write a safetensors file aside and rename it."""
    with whole(file) as aside:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, aside)


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
