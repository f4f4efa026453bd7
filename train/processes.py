"""What the processes of a run share: one decoded copy of the pictures a machine, one answer, one batch norm."""

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from torch import nn

from abn import scratch

PATIENCE = timedelta(hours=6)  # the others wait while one decodes, makes the teacher's maps, measures and uploads

Answer = TypeVar("Answer")


def agreed(answer: Answer) -> Answer:
    """The first process's: what depends on the machine's free memory is not the same for all."""
    return broadcast_object_list([answer])[0]


@contextlib.contextmanager
def one_copy(cache: Path | None) -> Iterator[Path | None]:
    """Where decoded pictures go, which are read inside the block: `cache`, or None for memory; with several processes
    on this machine a folder for all of them. The first decodes, the others map its files, which have no name after it.
    """
    state, own = PartialState(), None
    if cache is None and int(os.environ.get("LOCAL_WORLD_SIZE") or 1) > 1:
        own = scratch.scratch("pictures") if state.is_local_main_process else None
        machine = os.environ.get("GROUP_RANK")
        places = gather_object([(machine, own)])
        cache = next(folder for other, folder in places if folder is not None and other == machine)
    with state.local_main_process_first():
        yield cache
    state.wait_for_everyone()
    if own is not None:
        scratch.HELD[own]()


def synchronised(model: nn.Module, processes: int) -> nn.Module:
    """The network with batch norms that see what all processes see, under the same names.

    Raises:
        ValueError: there is no CUDA device; PyTorch's synchronised batch norm knows no other.
    """
    if not torch.cuda.is_available():
        raise ValueError("--sync-batch-norm is for several CUDA devices; the CPU's processes keep their own")
    return nn.SyncBatchNorm.convert_sync_batchnorm(model) if processes > 1 else model
