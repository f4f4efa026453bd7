"""Imagenette (Howard 2019): its ten classes, where its pictures lie, and how they are fetched."""

import os
import shutil
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

from torchvision.datasets import Imagenette, VisionDataset
from torchvision.datasets.utils import check_integrity, extract_archive
from tqdm import tqdm

from .files import replace_folder
from .folders import class_folders
from .model.pictures import load_rgb

WNIDS = tuple(sorted(Imagenette._WNID_TO_CLASS))
NAMES = tuple(Imagenette._WNID_TO_CLASS[wnid] for wnid in WNIDS)  # of each class, the usual one first; 20 in all
CLASSES = tuple(names[0] for names in NAMES)
SIZES = ("full", "320px", "160px")
TIMEOUT = 30  # seconds without a byte
FOLDERS = {"full": "imagenette2", "320px": "imagenette2-320", "160px": "imagenette2-160"}


def find(root: str | Path, size: str | None = None) -> tuple[Path, str] | None:
    """(root, size) of the Imagenette under `root`, as torchvision wants them; None where there is none.

    `root` may hold the data set's folder or be that folder. Any size will do where `size` is None; the largest wins.
    """
    root = Path(root).expanduser()
    for candidate in SIZES if size is None else (size,):
        for base in (root, root.parent):
            folder = base / FOLDERS[candidate]
            if (base == root or folder == root) and _is_whole(folder):
                return base, candidate
    return None


def _is_whole(folder: Path) -> bool:
    """Every class of both splits is there: torchvision would renumber the rest and mislabel them."""
    return all(os.path.isdir(folder / split / wnid) for split in ("train", "val") for wnid in WNIDS)


class Pictures(Imagenette):
    """torchvision's Imagenette of a split, but for how its pictures are found and read: by `abn.folders`, whatever
    their format and whatever lies beside them, and by `load_rgb`.

    samples: (path, class index) of each. folder: that of both splits. left_out: what is not taken.
    """

    def __init__(self, base: Path, split: str, size: str, empty: bool = False):
        VisionDataset.__init__(self, base)
        self._split, self._size = split, size
        self.folder = self._size_root = Path(base) / FOLDERS[size]
        self._image_root = str(self._size_root / split)
        found = class_folders(self._image_root, only=WNIDS, empty=empty)
        self.wnids, self.wnid_to_idx = list(WNIDS), {wnid: index for index, wnid in enumerate(WNIDS)}
        self.classes = [self._WNID_TO_CLASS[wnid] for wnid in WNIDS]
        self.class_to_idx = {name: index for index, names in enumerate(self.classes) for name in names}
        self.samples = self._samples = found.samples
        self.left_out, self.loader = found.left_out, load_rgb

    def report(self) -> "Pictures":
        """Print what is left out, if anything is."""
        self.left_out.report(self._image_root)
        return self


def load(
    root: str | Path, split: str, size: str | None = None, download: bool = False, empty: bool = False
) -> Pictures:
    """torchvision's Imagenette of a split, "train" or "val".

    Args:
        empty: a class may be without a picture.

    Raises:
        ValueError: a class is without a picture, unless it may be; names it.
        FileNotFoundError: it is not under `root` and `download` is False; says what was looked for.
        OSError: the download failed.
    """
    if size is not None and size not in SIZES:
        raise ValueError(f"Imagenette's size must be one of {', '.join(SIZES)}; got {size!r}")
    found = find(root, size)
    if found is None and download:
        try:
            fetch(root, size or "full")
        except OSError as error:
            raise OSError(f"no Imagenette under {root}, and it cannot be downloaded: {error}") from error
        found = find(root, size)
    if found is None:
        looked_for = " or ".join(FOLDERS[s] for s in (SIZES if size is None else (size,)))
        raise FileNotFoundError(
            f"no Imagenette under {root}: expected a folder {looked_for} with train/ and val/ of 10 classes"
        )
    base, size = found
    return Pictures(base, split, size, empty)


def fetch(root: str | Path, size: str = "160px", report: Callable[[float], None] | None = None) -> None:
    """Download and unpack an archive, with progress on the terminal; its checksum is verified.

    Unpacked aside and then renamed, so that a folder of that name is always whole.

    Args:
        report: called with the share that has arrived, 0 to 1.

    Raises:
        OSError: no connection, an error, nothing for TIMEOUT seconds, or bytes that are not the archive's.
    """
    url, md5 = Imagenette._ARCHIVES[size]
    root = Path(root).expanduser()
    root.mkdir(parents=True, exist_ok=True)
    for stale in root.glob(".fetching-*"):  # left by a process that was killed
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetching-") as aside:
        archive = Path(aside) / Path(url).name
        _download(url, archive, report)
        if not check_integrity(archive, md5):
            raise OSError(f"{archive.name} arrived damaged: its checksum is wrong")
        extract_archive(archive, aside)
        replace_folder(Path(aside) / FOLDERS[size], root / FOLDERS[size])


def _download(url: str, file: Path, report: Callable[[float], None] | None) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, file.open("wb") as out:
        total = int(answer.headers.get("Content-Length") or 0)
        with tqdm(total=total or None, unit="B", unit_scale=True, desc=file.name) as bar:
            while chunk := answer.read(1 << 18):
                out.write(chunk)
                bar.update(len(chunk))
                if report is not None and total:
                    report(bar.n / total)
