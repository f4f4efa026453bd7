"""Labels in a table beside the pictures: metadata.csv or metadata.jsonl, as `datasets` reads them for ImageFolder.

A header (or keys) with `file_name`, the picture's path below the table's folder, and `label`, its class; more columns
are read past. (github.com/huggingface/datasets, folder_based_builder.py: METADATA_FILENAMES, `file_name`.)
"""

import csv
import json
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from .folders import HIDDEN, ClassFolders, LeftOut, fault_of, is_litter, pictures_in
from .names import nfc, shown

TABLES = ("metadata.csv", "metadata.jsonl")
NAME, LABEL = "file_name", "label"
UNLISTED = "not in the table"
UNLABELLED = "without a label"


def metadata_of(folder: Path) -> Path | None:
    """The table of labels in a folder; None where there is none, or one without labels (captions and the like)."""
    for name in TABLES:
        file = folder / name
        if file.is_file() and (first := next(_rows(file), None)) is not None and LABEL in first[1]:
            return file
    return None


def labelled(file: Path) -> tuple[dict[str, str | None], LeftOut]:
    """({picture: its class, in the table's order}, what was not taken) of a table.

    Raises:
        FileNotFoundError: a picture that it names is missing.
        ValueError: it is not of that form, or names a picture twice; says where.
    """
    folder, left_out, found, listed = file.parent, LeftOut(), {}, set()
    for number, row in _rows(file):
        place = f"{shown(file)}, line {number}"
        name, label = row.get(NAME), row.get(LABEL)
        if not isinstance(name, str) or not name or isinstance(label, (dict, list)):
            raise ValueError(f"{place}: expected a {NAME} and a {LABEL}")
        path = picture_named(folder, name)
        if path is None:
            raise FileNotFoundError(f"{place}: there is no {shown(folder / name)}")
        if str(path) in found:
            raise ValueError(f"{place}: {shown(name)} was there before")
        listed.add(os.path.realpath(path))
        label = "" if label is None else nfc(str(label)).strip()
        below = path.relative_to(folder) if path.is_relative_to(folder) else path
        fault = HIDDEN if any(map(is_litter, below.parts)) else fault_of(path)
        if fault or not label:
            left_out.add(fault or UNLABELLED, path)
        else:
            found[str(path)] = label
    for path in pictures_in(folder, LeftOut()):
        if os.path.realpath(path) not in listed:
            left_out.add(UNLISTED, path)
    return found, left_out


def classes_of(labels: dict[str, str], left_out: LeftOut, place: Path, least: int = 2) -> ClassFolders:
    """Those pictures as a folder of class folders gives them: numbers in their order, other names in the alphabet's.

    Raises:
        ValueError: there are fewer classes than `least`.
    """
    names = set(labels.values())
    classes = tuple(sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names))
    if len(classes) < least:
        raise ValueError(f"{shown(place)} must name two or more classes; it names {len(classes)}")
    index = {name: number for number, name in enumerate(classes)}
    samples = sorted(((path, index[name]) for path, name in labels.items()), key=lambda sample: (sample[1], sample[0]))
    return ClassFolders(classes, samples, left_out)


def picture_named(folder: Path, name: str) -> Path | None:
    """The file that a table names, also where the file system has the name in another normal form."""
    forms = (name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))
    return next((folder / form for form in forms if os.path.isfile(folder / form)), None)


def _rows(file: Path) -> Iterator[tuple[int, dict]]:
    """(line, row) of a table. Raises: ValueError: it is neither CSV nor a JSON object a line."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            if file.suffix == ".csv":
                reader = csv.DictReader(opened)
                for row in reader:
                    yield reader.line_num, row
                return
            for number, line in enumerate(opened, 1):
                row = json.loads(line) if line.strip() else {}
                if not isinstance(row, dict):
                    raise ValueError(f"{shown(file)}, line {number}: expected a JSON object")
                if row:
                    yield number, row
    except UnicodeDecodeError:
        raise ValueError(f"{shown(file)} is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{shown(file)}, line {number} is not JSON ({error.msg})") from None
    except csv.Error as error:
        raise ValueError(f"{shown(file)} is not CSV ({error})") from None
