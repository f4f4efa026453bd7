"""Pictures decoded once, into memory or into a memory-mapped cache, or anew whenever they are looked at."""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from abn.files import whole
from abn.model.image_processing_abn import MARGIN, AbnImageProcessor
from abn.model.pictures import load_rgb, resized
from train.dataset import Decode, PictureDataset, Reading, report_faults
from train.stream import StreamedPictures

DECODING = "large JPEGs at a reduced size"  # the way of decoding: another one's caches are not read


@dataclass(frozen=True)
class Squash:
    """To side x side, aspect not kept but remembered."""

    side: int

    def __call__(self, path: str) -> tuple[np.ndarray, float]:
        picture = load_rgb(path, lambda size: (MARGIN * self.side, MARGIN * self.side))
        pixels = np.asarray(resized(picture, (self.side, self.side), Image.Resampling.BICUBIC))
        return pixels, picture.width / picture.height


@dataclass(frozen=True)
class Preprocess:
    """As `processor` resizes and crops; normalising is left to the batch."""

    processor: AbnImageProcessor

    @property
    def side(self) -> int:
        return shape_of(self.processor)[1]

    def __call__(self, path: str) -> tuple[np.ndarray, float]:
        picture = load_rgb(path, self.processor.enough)
        pixels = self.processor(picture, do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"][0]
        return pixels.permute(1, 2, 0).numpy(), picture.width / picture.height


def squashed(samples: Sequence[tuple[str, int]], side: int, how: Reading) -> PictureDataset:
    """(path, label) samples as `Squash` decodes them, for training. Raises as `_decoded`."""
    if samples and how.streams((len(samples), side, side)):
        return StreamedPictures(samples, Squash(side), how)
    return _decoded(samples, Squash(side), how, f"decoding to {side} px", f"squashed {side}")


def preprocessed(samples: Sequence[tuple[str, int]], processor: AbnImageProcessor, how: Reading) -> PictureDataset:
    """(path, label) samples as `Preprocess` decodes them, for measuring: those that cannot be read are found at once,
    also where they are streamed. Raises as `_decoded`."""
    if samples and how.streams((len(samples), *shape_of(processor))):
        return StreamedPictures(samples, Preprocess(processor), how).checked("looking at the pictures")
    names = ("size", "crop_size", "resample", "do_resize", "do_center_crop")
    kind = "preprocessed " + " ".join(f"{name}={getattr(processor, name)}" for name in names)
    return _decoded(samples, Preprocess(processor), how, "preprocessing", kind)


def shape_of(processor: AbnImageProcessor) -> tuple[int, int]:
    """(height, width) of what `processor` makes of a picture; of a square one, where nothing is cropped."""
    size = dict(processor.crop_size if processor.do_center_crop else processor.size)
    shorter = size.get("shortest_edge")
    return size.get("height") or shorter, size.get("width") or shorter


def _decoded(samples, decode: Decode, how: Reading, words: str, kind: str) -> PictureDataset:
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


def _decode_all(samples, decode: Decode, how: Reading, words: str, file: Path | None) -> tuple[np.ndarray, dict]:
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
        report_faults(faults, len(samples), how.corrupt)
    return pictures, {"kept": kept, "aspects": aspects}


def _read(decode: Decode, path: str):
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


def split_off(labels: Tensor, share: float, seed: int, least: int = 0) -> tuple[Tensor, Tensor]:
    """Indices (rest, part): a random part of `share` of each class, the same for the same seed; with `least`, so many
    of each class at least, and never all."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for label in labels.unique(sorted=True):
        members = torch.nonzero(labels == label).flatten()
        count = round(share * len(members))
        if least:
            count = min(max(count, least), len(members) - 1)
        parts.append(members[torch.randperm(len(members), generator=generator)[:count]])
    part = torch.cat(parts).sort().values
    rest = torch.ones(len(labels), dtype=torch.bool)
    rest[part] = False
    return torch.nonzero(rest).flatten(), part
