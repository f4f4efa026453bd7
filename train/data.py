"""Pictures decoded once, into memory or into a memory-mapped cache."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from abn.files import whole
from abn.model.image_processing_abn import MARGIN, AbnImageProcessor
from abn.model.pictures import load_rgb, resized
from abn.names import shown
from train.room import check_room

DECODING = "large JPEGs at a reduced size"  # the way of decoding: another one's caches are not read


@dataclass(frozen=True)
class Reading:
    """How pictures are read. workers: decoding threads; corrupt: "refuse" or "skip" pictures that cannot be read;
    cache: folder of decoded pictures, memory-mapped, for data sets larger than memory and quicker starts."""

    workers: int = 1
    corrupt: str = "refuse"
    cache: Path | None = None


class PictureDataset(Dataset):
    """(N, 3, S, S) uint8 pictures, (N,) labels, (N,) aspects (width over height before squashing), and the N
    (path, label) samples they were read from, where they were."""

    def __init__(self, pictures: Tensor, labels: Tensor, aspects: Tensor, samples: Sequence[tuple[str, int]] = ()):
        self.pictures, self.labels, self.aspects, self.samples = pictures, labels, aspects, list(samples)

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


def collate(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return batch


def squashed(samples: Sequence[tuple[str, int]], side: int, how: Reading) -> PictureDataset:
    """Decode (path, label) samples to side x side squares, aspect not kept but remembered."""
    if how.cache is None:
        check_room([(len(samples), side, side)])

    def decode(path):
        picture = load_rgb(path, lambda size: (MARGIN * side, MARGIN * side))
        pixels = np.asarray(resized(picture, (side, side), Image.Resampling.BICUBIC))
        return pixels, picture.width / picture.height

    return _decoded(samples, decode, how, f"decoding to {side} px", f"squashed {side}")


def preprocessed(samples: Sequence[tuple[str, int]], processor: AbnImageProcessor, how: Reading) -> PictureDataset:
    """Decode (path, label) samples as `processor` resizes and crops them; normalising is left to the batch."""
    if how.cache is None:
        check_room([(len(samples), *shape_of(processor))])

    def decode(path):
        picture = load_rgb(path, processor.enough)
        pixels = processor(picture, do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"][0]
        return pixels.permute(1, 2, 0).numpy(), picture.width / picture.height

    names = ("size", "crop_size", "resample", "do_resize", "do_center_crop")
    kind = "preprocessed " + " ".join(f"{name}={getattr(processor, name)}" for name in names)
    return _decoded(samples, decode, how, "preprocessing", kind)


def shape_of(processor: AbnImageProcessor) -> tuple[int, int]:
    """(height, width) of what `processor` makes of a picture; of a square one, where nothing is cropped."""
    size = dict(processor.crop_size if processor.do_center_crop else processor.size)
    shorter = size.get("shortest_edge")
    return size.get("height") or shorter, size.get("width") or shorter


def _decoded(samples, decode: Callable, how: Reading, words: str, kind: str) -> PictureDataset:
    """Raises:
    ValueError: there are no pictures, or, unless they are to be skipped, some cannot be read: how many, and the first.
    """
    if not samples:
        raise ValueError("there are no pictures to read")
    file = None if how.cache is None else how.cache / f"{_fingerprint(samples, f'{kind}, {DECODING}')}.npy"
    if file is not None and file.is_file():
        about = json.loads(file.with_suffix(".json").read_text())
        return _dataset(np.load(file, mmap_mode="c"), about, samples)
    with contextlib.nullcontext() if file is None else whole(file) as aside:
        pictures, about = _decode_all(samples, decode, how, words, aside)
        if file is not None:
            pictures.flush()
            with whole(file.with_suffix(".json")) as beside:
                beside.write_text(json.dumps(about))
    return _dataset(pictures if file is None else np.load(file, mmap_mode="c"), about, samples)


def _decode_all(samples, decode: Callable, how: Reading, words: str, file: Path | None) -> tuple[np.ndarray, dict]:
    """(pictures, in `file` if there is one; which of the samples these are, and their aspects)."""
    pictures, kept, aspects, faults = None, [], [], []
    with ThreadPoolExecutor(max(1, how.workers)) as pool:
        results = pool.map(lambda sample: _read(decode, sample[0]), samples)
        for place, result in enumerate(tqdm(results, words, len(samples), mininterval=1)):
            if isinstance(result, Exception):
                faults.append((samples[place][0], result))
                continue
            pixels, aspect = result
            if pictures is None:
                pictures = _room((len(samples), 3, *pixels.shape[:2]), file)
            pictures[len(kept)] = pixels.transpose(2, 0, 1)
            kept.append(place)
            aspects.append(aspect)
    if faults:
        _report(faults, len(samples), how.corrupt)
    return pictures, {"kept": kept, "aspects": aspects}


def _read(decode: Callable, path: str):
    try:
        return decode(path)
    except (ValueError, OSError) as error:
        return error


def _room(shape: tuple[int, ...], file: Path | None) -> np.ndarray:
    if file is None:
        return np.empty(shape, np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    for other in file.parent.glob(".*.writing"):  # as `whole` names them
        process = other.stem.rpartition(".")[2]
        if process.isdecimal() and not Path(f"/proc/{process}").exists():  # it was killed
            other.unlink(missing_ok=True)
    room = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
    with file.open("r+b") as opened:
        try:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)  # a full disk is an error here, not a SIGBUS
        except OSError:
            file.unlink()
            raise
    return room


def _report(faults: list, total: int, corrupt: str) -> None:
    path, error = faults[0]
    words = f"{len(faults)} of {total} pictures cannot be read, the first {shown(path)}: {shown(error)}"
    if corrupt == "refuse" or len(faults) == total:
        raise ValueError(f"{words}; --corrupt skip leaves them out" if len(faults) < total else words)
    tqdm.write(f"left out: {words}")


def _dataset(pictures: np.ndarray, about: dict, samples) -> PictureDataset:
    kept = [samples[place] for place in about["kept"]]
    labels, aspects = torch.tensor([label for _, label in kept]), torch.tensor(about["aspects"], dtype=torch.float32)
    return PictureDataset(torch.from_numpy(pictures)[: len(kept)], labels, aspects, kept)


def _fingerprint(samples, kind: str) -> str:
    """Names a decoding: another file, size, time, order, label or way of decoding gives another name."""
    digest = hashlib.sha256(kind.encode())
    for path, label in samples:
        status = os.stat(path)
        line = f"{path}\0{label}\0{status.st_size}\0{status.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:24]


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
