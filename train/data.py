"""Imagenette in memory, decoded once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from abn.image_processing_abn import AbnImageProcessor
from abn.pictures import to_rgb


class PictureDataset(Dataset):
    """(N, 3, S, S) uint8 pictures, (N,) labels, (N,) aspects (width over height before squashing), and, for the
    attention remedy, (N, 1, G, G) maps that lie on the pictures."""

    def __init__(self, pictures: Tensor, labels: Tensor, aspects: Tensor, maps: Tensor | None = None):
        self.pictures, self.labels, self.aspects, self.maps = pictures, labels, aspects, maps

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        item = {"pixel_values": self.pictures[index], "labels": self.labels[index], "aspects": self.aspects[index]}
        return item if self.maps is None else {**item, "maps": self.maps[index]}

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        """A whole batch at once; `collate` passes it on."""
        return self[torch.as_tensor(indices)]

    def pixel_values(self, part: slice, processor: AbnImageProcessor, device: torch.device) -> Tensor:
        """(B, 3, S, S) float32: some of the pictures, scaled and normalised as `processor` does it."""
        return processor.rescale_and_normalize(
            self.pictures[part].to(device).float(),
            processor.do_rescale,
            processor.rescale_factor,
            processor.do_normalize,
            tuple(processor.image_mean),
            tuple(processor.image_std),
        )

    def subset(self, indices: Tensor) -> "PictureDataset":
        maps = None if self.maps is None else self.maps[indices]
        return PictureDataset(self.pictures[indices], self.labels[indices], self.aspects[indices], maps)


def collate(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return batch


def squashed(samples: Sequence[tuple[str, int]], side: int, workers: int) -> PictureDataset:
    """Decode (path, label) samples to side x side squares, aspect not kept but remembered."""

    def decode(sample):
        with Image.open(sample[0]) as picture:
            picture = to_rgb(picture)
            aspect = picture.width / picture.height
            return np.array(picture.resize((side, side), Image.Resampling.BICUBIC)), aspect

    return _decoded(samples, decode, workers, f"decoding to {side} px")


def preprocessed(samples: Sequence[tuple[str, int]], processor: AbnImageProcessor, workers: int) -> PictureDataset:
    """Decode (path, label) samples as `processor` resizes and crops them; normalising is left to the batch."""

    def decode(sample):
        with Image.open(sample[0]) as picture:
            aspect = picture.width / picture.height
            pixels = processor(picture, do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"][0]
            return pixels.permute(1, 2, 0).numpy(), aspect

    return _decoded(samples, decode, workers, "preprocessing")


def _decoded(samples, decode, workers: int, words: str) -> PictureDataset:
    if not samples:
        raise ValueError("there are no pictures to read")
    pictures, aspects = None, torch.empty(len(samples))
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for index, (pixels, aspect) in enumerate(tqdm(pool.map(decode, samples), words, len(samples), mininterval=1)):
            if pictures is None:
                pictures = torch.empty(len(samples), 3, *pixels.shape[:2], dtype=torch.uint8)
            pictures[index] = torch.from_numpy(pixels).permute(2, 0, 1)
            aspects[index] = aspect
    return PictureDataset(pictures, torch.tensor([label for _, label in samples]), aspects)


def split_off(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices (rest, part): a random part of `share` of each class, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for label in labels.unique(sorted=True):
        members = torch.nonzero(labels == label).flatten()
        count = round(share * len(members))
        parts.append(members[torch.randperm(len(members), generator=generator)[:count]])
    part = torch.cat(parts).sort().values
    rest = torch.ones(len(labels), dtype=torch.bool)
    rest[part] = False
    return torch.nonzero(rest).flatten(), part
