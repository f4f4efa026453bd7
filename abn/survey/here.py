"""The default way to run a survey: on this machine, decoding in worker processes, the network in this one.

On a CPU each core runs the network on a group of its own, with one thread: cores that wait for one another at every
layer would stand still whenever a decoding process has one of them.
"""

import contextlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset

from ..decoding import AHEAD, check_meeting, that_fit
from ..model.image_processing_abn import LONGEST
from .decode import Decode, Decoded
from .rows import Rows

GROUP = 64  # pictures that are decoded and sent together; shapes share forwards within one
MOST_THREADS = 16  # groups at a time: each takes memory


class Groups(Dataset):
    """Groups of places, decoded."""

    def __init__(self, decode: Decode, groups: Sequence[range]):
        self.decode, self.groups = decode, groups

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> Decoded:
        return self.decode(self.groups[index])


def groups_of(places: range) -> list[range]:
    """The places of a shard, in groups. Which pictures share a forward depends on nothing else: a survey's numbers are
    the same whoever works them out, also in bfloat16, where other batches round differently."""
    return [places[start : start + GROUP] for start in range(0, len(places), GROUP)]


def run_here(rows: Rows, decode: Decode, groups: Sequence[range], workers: int) -> Iterator[pa.Table]:
    """The rows of each group, in order.

    Raises:
        ValueError: the workers cannot meet, or one died.
    """
    if workers:
        check_meeting()
    threads, each = (1, None) if rows.explainer.device.type != "cpu" else threads_of(os_cores())
    fitting = that_fit(workers, GROUP * bytes_of(decode)) if workers else 0
    loader = DataLoader(
        Groups(decode, groups),
        batch_size=None,
        num_workers=fitting,
        prefetch_factor=AHEAD if fitting else None,
        generator=torch.Generator(),
    )
    waiting: deque[Future] = deque()
    with _threads(each), ThreadPoolExecutor(threads, "rows") as pool:
        try:
            for decoded in _told(iter(loader)):
                waiting.append(pool.submit(rows.rows, decoded))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def os_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_of(cores: int) -> tuple[int, int]:
    """(groups at a time, threads of each)."""
    together = min(cores, MOST_THREADS)
    return together, cores // together


def bytes_of(decode: Decode) -> int:
    """The most that a decoded picture takes."""
    size = dict(decode.processor.crop_size if decode.processor.do_center_crop else decode.processor.size)
    side = max(value for value in size.values() if value)
    return decode.channels * (side + 32) ** 2 * (LONGEST if decode.view == "whole" else 1)


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """PyTorch's threads of an operation, also in threads that begin within; None: as they are."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _told(batches: Iterator[Decoded]) -> Iterator[Decoded]:
    """Raises: ValueError: a worker died, in one line."""
    try:
        yield from batches
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        reason = str(error).splitlines()[0][:120]
        raise ValueError(f"a decoding process died ({reason}); the same command goes on") from None
