"""Pictures that are decoded whenever they are looked at, in worker processes: for data sets larger than memory.

A batch is the same bytes as that of a `PictureDataset` in memory, and augmentation is drawn after the loader: a run
that streams ends in the same weights, and resumes in mid-epoch without decoding what it skips.

What it takes, for ImageNet-1k (1,281,167 pictures of 110 kB, kept at 1.25 x 224 = 280 pixels a side):
    decoded, in memory or with --cache on the disk    1,281,167 x 3 x 280 x 280 bytes = 301 GB
    streamed, in the workers and on their way         W workers x 2 batches x B x 235 kB: 0.5 GB of 16 and 64
    where the pictures lie and what they show         1,281,167 x (16 bytes + a path of 60) = 0.1 GB, shared by workers
    an epoch's decoding                               at 5 ms a picture 107 minutes of one core, 7 of sixteen
"""

import os
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from abn.decoding import Samples, check_meeting, normalised, that_fit
from abn.model.image_processing_abn import AbnImageProcessor
from abn.names import shown
from train.dataset import Decode, PictureDataset, Reading, collate, most_faults, report_faults


class UnreadableError(ValueError):
    """A picture that cannot be read; of a worker's, the last line alone and not its traceback."""

    def __init__(self, message: str):
        super().__init__(message.rpartition(f"{type(self).__name__}: ")[2].strip())


class StreamedPictures(PictureDataset):
    """A `PictureDataset` that holds the places of its pictures, and not the pictures.

    A picture that cannot be read is an `UnreadableError` or, where such are to be left out, gives its place to the next
    one that can.
    """

    def __init__(self, samples: Sequence[tuple[str, int]], decode: Decode, how: Reading):
        """Raises: ValueError: the workers cannot meet."""
        check_meeting()
        self.samples = Samples(samples)
        self.labels, self.side = self.samples.labels, decode.side
        self.decode, self.how = decode, how
        self.unread = torch.zeros(len(self), dtype=torch.bool).share_memory_()  # one for all workers

    def workers(self, size: int) -> int:
        """`how.workers` shared by the processes that train on this machine, as far as they fit (see `that_fit`)."""
        workers = max(1, self.how.workers // int(os.environ.get("LOCAL_WORLD_SIZE") or 1))
        return that_fit(workers, 3 * self.side**2 * size)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: values[0] for name, values in self.__getitems__([int(index)]).items()}

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        found = [self._readable(int(index)) for index in indices]
        index = torch.tensor([place for place, *_ in found])
        pictures = np.stack([pixels.transpose(2, 0, 1) for _, pixels, _ in found])
        aspects = torch.tensor([aspect for *_, aspect in found], dtype=torch.float32)
        labels = self.labels[index]
        return {"pixel_values": torch.from_numpy(pictures), "labels": labels, "aspects": aspects, "index": index}

    def _readable(self, index: int) -> tuple[int, np.ndarray, float]:
        """(its place, pixels, aspect) of a picture, or of the next that can be read."""
        for step in range(len(self)):
            place = (index + step) % len(self)
            if not self.unread[place]:
                path = self.samples[place][0]
                try:
                    return place, *self.decode(path)
                except (ValueError, OSError) as error:
                    self._leave_out(place, f"{shown(path)} cannot be read: {shown(error)}")
        raise UnreadableError(f"none of {len(self)} pictures can be read")

    def _leave_out(self, place: int, words: str) -> None:
        """Once a picture. Raises: UnreadableError: none is to be left out, or no more of them."""
        self.unread[place] = True
        if self.how.corrupt != "skip" and int(self.unread.sum()) > most_faults(self.how.corrupt, len(self)):
            raise UnreadableError(f"{words}; --corrupt skip leaves it out")
        tqdm.write(f"left out: {words}")

    def batches(self, size: int, processor: AbnImageProcessor, device: torch.device) -> Iterator[Tensor]:
        for batch in self._loader(self, size):
            yield normalised(batch["pixel_values"], processor, device)

    def checked(self, words: str) -> "StreamedPictures":
        """The same without the pictures that cannot be read, each of which is looked at once, as `Reading` says."""
        found = tqdm(self._loader(_Faults(self), 1), words, mininterval=1)
        faults = {place: fault for place, fault in enumerate(found) if fault is not None}
        if not faults:
            return self
        report_faults([(self.samples[place][0], fault) for place, fault in faults.items()], len(self), self.how.corrupt)
        rest = [sample for place, sample in enumerate(self.samples) if place not in faults]
        return StreamedPictures(rest, self.decode, self.how)

    def _loader(self, data: Dataset, size: int) -> DataLoader:
        """In order. Its own generator: PyTorch's is the training's, and is to stay as it is."""
        how = {"num_workers": self.workers(size), "collate_fn": collate, "generator": torch.Generator()}
        return DataLoader(data, size, **how)


class _Faults(Dataset):
    """Of each picture, why it cannot be read; None where it can."""

    def __init__(self, data: StreamedPictures):
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, indices: list[int]) -> str | None:
        try:
            self.data.decode(self.data.samples[indices[0]][0])
        except (ValueError, OSError) as error:
            return str(error) or type(error).__name__
        return None
