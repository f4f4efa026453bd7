"""Corrections: pictures with where a network should look, as the page collects them and training takes them.

The format is told in docs/corrections.md: a folder, or a zip of it, with `corrections.jsonl` and two files a line.
"""

import hashlib
import io
import json
import os
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from .files import whole
from .model.pictures import load_rgb
from .names import is_utf8, shown

LIST = "corrections.jsonl"
MASK_END = ".mask.png"
ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png"}
NOTHING = 128  # of a mask's pixel: it says nothing
LONGEST = 2048  # pixels of a picture's side
MOST = 10_000  # corrections
FILE_BYTES = 20_000_000  # of a picture, a mask or the list
GREYS = ("1", "L", "LA", "P", "RGB", "RGBA")  # modes of a mask that a program for pictures may save it in
_WRITING = threading.Lock()


@dataclass(frozen=True, eq=False)
class Correction:
    """A picture, and where a network should look for its class.

    picture_file, mask_file: a path, or the bytes themselves. label: the class it should be. said: the answer before, as
    (label, confidence); None where it is not known. model, time, name: which model said it, when (ISO 8601), and what
    the picture was called; "" where it is not known.
    """

    picture_file: Path | bytes
    mask_file: Path | bytes
    label: str
    said: tuple[str, float] | None = None
    model: str = ""
    time: str = ""
    name: str = ""

    @classmethod
    def of(cls, picture: Image.Image | np.ndarray, mask: np.ndarray, label: str, **more) -> "Correction":
        """From a picture, kept without loss, and a mask as `mask` gives it. more: the other fields."""
        stored = np.rint(np.nan_to_num(mask, nan=0.0) * 255).astype(np.uint8)
        stored[stored == NOTHING] = NOTHING + 1
        stored[np.isnan(mask)] = NOTHING
        return cls(_png(load_rgb(picture)), _png(Image.fromarray(stored)), label, **more)

    @property
    def picture(self) -> Image.Image:
        """Upright RGB."""
        with Image.open(_source(self.picture_file)) as opened:
            return load_rgb(opened)

    @property
    def mask(self) -> np.ndarray:
        """(H, W) float32, the picture's pixels: 1 where the network should look, 0 where it should not, NaN where
        nothing is said."""
        with Image.open(_source(self.mask_file)) as opened:
            stored = np.asarray(opened.convert("L"))
        return np.where(stored == NOTHING, np.float32(np.nan), stored.astype(np.float32) / np.float32(255))


def read(source: str | Path | IO[bytes]) -> list[Correction]:
    """The corrections of a folder or a zip, in the order of its list; every file is looked at.

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: it is no folder or zip of corrections, or one of them is not as docs/corrections.md says; names the
            file, or the line of the list.
    """
    if isinstance(source, (str, Path)):
        source = Path(source).expanduser()
        if source.is_dir():
            return _read(lambda name: _of_folder(source, name), shown(source))
        if not source.is_file():
            raise FileNotFoundError(f"there is no folder or zip of corrections at {shown(source)}")
    place = shown(source) if isinstance(source, Path) else "the zip"
    try:
        with zipfile.ZipFile(source) as packed:
            within = _within(packed)
            return _read(lambda name: _of_zip(packed, within + name), place)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{place} is not a zip that can be read ({error})") from None


def write(corrections: Iterable[Correction], folder: str | Path) -> list[str]:
    """Add corrections to a folder, each under a name made of its content; gives the names. One that is there already
    is written anew. A file is whole under its name, or it is not there; the list comes last.

    Raises:
        ValueError: a correction is not as docs/corrections.md says, or there are more than MOST.
        OSError: it cannot be written.
    """
    folder, checked = Path(folder).expanduser(), [(one, _check(one, "the picture", "the mask")) for one in corrections]
    with _WRITING:
        lines, names = _lines(folder), []
        for one, ending in checked:
            picture, mask = _content(one.picture_file), _content(one.mask_file)
            name = hashlib.sha256(b"\0".join((picture, mask, one.label.encode()))).hexdigest()[:16]
            if len(lines) >= MOST and name + ending not in lines:
                raise ValueError(f"{shown(folder)} holds {MOST:,} corrections, which is the most")
            for file, content in ((name + ending, picture), (name + MASK_END, mask)):
                with whole(folder / file) as aside:
                    aside.write_bytes(content)
            lines.pop(name + ending, None)
            lines[name + ending] = json.dumps(_line(one, name, ending), ensure_ascii=False)
            names.append(name)
        _write_lines(folder, lines)
        return names


def remove(name: str, folder: str | Path) -> bool:
    """Take a correction from a folder, by the name that `write` gave; whether it was there."""
    folder = Path(folder).expanduser()
    with _WRITING:
        lines = _lines(folder)
        file = next((name + ending for ending in ENDINGS.values() if name + ending in lines), None)
        if file is None:
            return False
        del lines[file]
        _write_lines(folder, lines)
        for each in (file, name + MASK_END):
            (folder / each).unlink(missing_ok=True)
        return True


def _read(content: Callable[[str], Path | bytes], place: str) -> list[Correction]:
    """content: a file's name -> its path or bytes; raises ValueError where there is none, or it is too large."""
    corrections, seen = [], set()
    for number, line in enumerate(_content(content(LIST)).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{place}: line {number} of {LIST}"
        held = _told(line, where)
        if held["file"] in seen:
            raise ValueError(f"{where}: {shown(held['file'])} has a line already")
        seen.add(held["file"])
        files = content(held["file"]), content(held["mask"])
        said = held.get("said")
        said = (said["label"], float(said["confidence"])) if said else None
        more = {name: held.get(name) or "" for name in ("model", "time", "name")}
        one = Correction(*files, held["class"], said, **more)
        _check(one, shown(held["file"]), shown(held["mask"]))
        corrections.append(one)
        if len(corrections) > MOST:
            raise ValueError(f"{place} holds more than {MOST:,} corrections, which is the most")
    if not corrections:
        raise ValueError(f"{place} holds no correction: its {LIST} is empty")
    return corrections


def _told(line: bytes, where: str) -> dict:
    """A line of the list, whose fields are what they must be."""
    try:
        held = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError(f"{where} is not JSON") from None
    if not isinstance(held, dict):
        raise ValueError(f"{where} must be a JSON object")
    for name in ("file", "mask", "class"):
        if not isinstance(held.get(name), str) or not held[name] or not is_utf8(held[name]):
            raise ValueError(f"{where} must have {name!r}, a text; got {held.get(name)!r:.60}")
    for name in ("file", "mask"):
        if any(mark in held[name] for mark in "/\\\0") or held[name].startswith("."):
            raise ValueError(
                f"{where}: {name!r} must be the plain name of a file beside the list; got {held[name]!r:.60}"
            )
    for name in ("model", "time", "name"):
        if not isinstance(held.get(name) or "", str):
            raise ValueError(f"{where}: {name!r} must be a text; got {held[name]!r:.60}")
    said = held.get("said")
    known = isinstance(said, dict) and isinstance(said.get("label"), str)
    if said is not None and not (
        known and type(said.get("confidence")) in (int, float) and 0 <= said["confidence"] <= 1
    ):
        raise ValueError(f"{where}: 'said' must be {{'label': a text, 'confidence': 0 to 1}}; got {said!r:.60}")
    return held


def _check(one: Correction, picture: str, mask: str) -> str:
    """The ending of the picture's file. picture, mask: what they are called in an error.

    Raises:
        ValueError: it is not as docs/corrections.md says.
    """
    kind, size = _opened(one.picture_file, picture, ("JPEG", "PNG"), load_rgb)
    if max(size) > LONGEST:
        raise ValueError(f"{picture} has {size[0]} x {size[1]} pixels; at most {LONGEST} a side are allowed")
    _, of_mask = _opened(one.mask_file, mask, ("PNG",), lambda opened: opened if opened.mode in GREYS else None)
    if of_mask != size:
        raise ValueError(f"{mask} has {of_mask[0]} x {of_mask[1]} pixels; its picture has {size[0]} x {size[1]}")
    if np.isnan(one.mask).all():
        raise ValueError(f"{mask} says nothing: every pixel is {NOTHING}")
    return ENDINGS[kind]


def _opened(file: Path | bytes, name: str, kinds: tuple[str, ...], wanted: Callable) -> tuple[str, tuple[int, int]]:
    """(format, (width, height)) of a picture's file. wanted: the opened picture -> what it is read as, None where that
    cannot be."""
    try:
        with Image.open(_source(file), formats=kinds) as opened:
            if max(opened.size) > LONGEST:  # not decoded
                return opened.format or kinds[0], opened.size
            found = wanted(opened)
            if found is not None:
                found.load()
                return opened.format or kinds[0], found.size
    except Exception:  # Pillow's decoders raise what they like
        pass
    raise ValueError(f"{name} is not a {' or '.join(kinds)} that can be read{' as grey' * (kinds == ('PNG',))}")


def _source(file: Path | bytes) -> Path | IO[bytes]:
    return io.BytesIO(file) if isinstance(file, bytes) else file


def _content(file: Path | bytes) -> bytes:
    return file if isinstance(file, bytes) else file.read_bytes()


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _of_folder(folder: Path, name: str) -> Path:
    file = folder / name
    if not file.is_file():
        raise ValueError(f"{shown(folder)} holds no {shown(name)}")
    if file.stat().st_size > FILE_BYTES:
        raise ValueError(f"{shown(file)} is larger than {FILE_BYTES // 1_000_000} MB")
    return file


def _within(packed: zipfile.ZipFile) -> str:
    """Where in the zip the list lies: a folder that was packed as a whole is in it."""
    found = [name for name in packed.namelist() if os.path.basename(name) == LIST and not name.startswith("__MACOSX/")]
    return min(found, key=len).removesuffix(LIST) if found else ""


def _of_zip(packed: zipfile.ZipFile, name: str) -> bytes:
    try:
        told = packed.getinfo(name)
    except KeyError:
        raise ValueError(f"the zip holds no {shown(name)}") from None
    if told.file_size > FILE_BYTES:
        raise ValueError(f"{shown(name)} is larger than {FILE_BYTES // 1_000_000} MB")
    return packed.read(told)


def _lines(folder: Path) -> dict[str, str]:
    """The lines of a folder's list, by their picture's file."""
    try:
        lines = (folder / LIST).read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return {}
    told = [line for line in lines if line.strip()]
    return {_told(line.encode(), f"{shown(folder)}: a line of {LIST}")["file"]: line for line in told}


def _write_lines(folder: Path, lines: dict[str, str]) -> None:
    with whole(folder / LIST) as aside:
        aside.write_text("".join(f"{line}\n" for line in lines.values()), encoding="utf-8")


def _line(one: Correction, name: str, ending: str) -> dict:
    said = None if one.said is None else {"label": one.said[0], "confidence": one.said[1]}
    files = {"file": name + ending, "mask": name + MASK_END}
    return {**files, "class": one.label, "said": said, "model": one.model, "time": one.time, "name": one.name}
