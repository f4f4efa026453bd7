"""What a run reads its pictures as, and how it is told to read them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from abn.decoding import normalised
from abn.model.image_processing_abn import AbnImageProcessor
from abn.names import shown
from train.room import to_stream
from train.settings import IN_MEMORY

FEW = 0.1  # of a set's pictures


@dataclass(frozen=True)
class Reading:
    """How pictures are read. workers: decoding threads or processes; corrupt: "refuse" or "skip" pictures that cannot
    be read, or skip only a "few"; cache: folder of decoded pictures, memory-mapped, for data sets larger than memory
    and quicker starts; in_memory: the share of free memory that decoded pictures may take; stream: whether they are
    decoded whenever they are looked at, None: where they would take more than that."""

    workers: int = 1
    corrupt: str = "refuse"
    cache: Path | None = None
    in_memory: float = IN_MEMORY
    stream: bool | None = None

    def streams(self, shape: tuple[int, int, int]) -> bool:
        if self.cache is not None:
            return False
        return to_stream([shape], self.in_memory)[0] if self.stream is None else self.stream


class PictureDataset(Dataset):
    """(N, 3, S, S) uint8 pictures, (N,) labels, (N,) aspects (width over height before squashing), and the N
    (path, label) samples they were read from, where they were."""

    def __init__(self, pictures: Tensor, labels: Tensor, aspects: Tensor, samples: Sequence[tuple[str, int]] = ()):
        self.pictures, self.labels, self.aspects, self.samples = pictures, labels, aspects, list(samples)
        self.side = pictures.shape[-1]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {
            "pixel_values": self.pictures[index],
            "labels": self.labels[index],
            "aspects": self.aspects[index],
            "index": torch.as_tensor(index),
        }

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        """A whole batch at once; `collate` passes it on."""
        return self[torch.as_tensor(indices)]

    def workers(self, size: int) -> int:
        """How many processes a loader of batches of `size` is to have: none, they are here."""
        return 0

    def pixel_values(self, part: slice, processor: AbnImageProcessor, device: torch.device) -> Tensor:
        """Some of the pictures, as `normalised` gives them."""
        return normalised(self.pictures[part], processor, device)

    def batches(self, size: int, processor: AbnImageProcessor, device: torch.device) -> Iterator[Tensor]:
        """All of them in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.pixel_values(slice(start, start + size), processor, device)


def collate(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return batch


class Decode(Protocol):
    """path -> ((S, S, 3) uint8 pixels, width over height). Workers take it along: it must pickle.

    Raises:
        ValueError, OSError: the picture cannot be read.
    """

    side: int

    def __call__(self, path: str) -> tuple[np.ndarray, float]: ...


def most_faults(corrupt: str, total: int) -> float:
    """How many of `total` pictures may be left out, by a `Reading.corrupt`."""
    return {"refuse": 0, "few": FEW * total, "skip": total - 1}[corrupt]


def report_faults(faults: list, total: int, corrupt: str) -> None:
    """Args: faults: (path, error) of each picture that cannot be read. Raises: ValueError: they are too many."""
    path, error = faults[0]
    words = f"{len(faults)} of {total} pictures cannot be read, the first {shown(path)}: {shown(error)}"
    if len(faults) > most_faults(corrupt, total):
        raise ValueError(f"{words}; --corrupt skip leaves them out" if len(faults) < total else words)
    tqdm.write(f"left out: {words}")
