"""Decoding pictures in worker processes: what they share, how many there may be, and what is left to the batch."""

import os
import shutil
import tempfile
from array import array
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from .model.image_processing_abn import AbnImageProcessor

SHARED_MEMORY = "/dev/shm"  # through which PyTorch's workers hand over their batches
LONGEST = 75  # of the temporary folder's path: with what is added a socket's may have 107, and workers hang beyond that
AHEAD = 2  # batches that a worker has ready, as PyTorch does it


class Samples(Sequence):
    """(path, label) pairs in two arrays: forked workers share them, where each would come to own a list of its own.

    Built from anything that gives the pairs one by one, which need not all be there at once.
    """

    def __init__(self, samples: Iterable[tuple[str, int]]):
        paths, ends, labels = bytearray(), array("q"), []
        for path, label in samples:
            paths += os.fsencode(path)
            ends.append(len(paths))
            labels.append(label)
        self.paths, self.ends = np.frombuffer(bytes(paths), np.uint8), np.array(ends, np.int64)
        self.labels = torch.tensor(labels)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, place: int | slice):
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        path = self.paths[self.ends[place - 1] if place else 0 : self.ends[place]]
        label = self.labels[place].tolist()
        return os.fsdecode(path.tobytes()), tuple(label) if isinstance(label, list) else label


def check_meeting() -> None:
    """Raises: ValueError: workers cannot meet in the temporary folder."""
    if len(tempfile.gettempdir()) > LONGEST:
        raise ValueError(f"TMPDIR must have {LONGEST} letters at most for worker processes: {tempfile.gettempdir()}")


def that_fit(workers: int, batch: int) -> int:
    """As many of them as the shared memory has room for, of batches of so many bytes: a container may have 64 MB, and
    PyTorch's workers die of a bus error where it is full."""
    try:
        free = shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return workers
    return max(1, min(workers, free // (AHEAD * batch)))


def normalised(pictures: Tensor, processor: AbnImageProcessor, device: torch.device) -> Tensor:
    """(B, C, H, W) uint8 -> float32: scaled and normalised as `processor` does it."""
    return processor.rescale_and_normalize(
        pictures.to(device).float(),
        processor.do_rescale,
        processor.rescale_factor,
        processor.do_normalize,
        tuple(processor.image_mean),  # ty: ignore[invalid-argument-type]  # hashable, though annotated as a list
        tuple(processor.image_std),  # ty: ignore[invalid-argument-type]
    )
