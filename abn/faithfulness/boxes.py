"""Boxes of the true class on Imagenette's pictures, from a CSV file, for pointing game and energy."""

import csv
import math
import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from .. import imagenette
from ..names import shown
from .measures import Box

CORNERS = ("x0", "y0", "x1", "y1")
ROUNDING = 1e-6  # by which a corner may lie outside the picture


def read_boxes(
    file: str | Path, root: str | Path | None = None, *, folders: Sequence[str] | None = imagenette.WNIDS
) -> dict[str, list[Box]]:
    """path -> boxes of a CSV file with the columns path, x0, y0, x1, y1: a picture's path below `root`;
    left, top, right and bottom as shares of its width and height.

    Args:
        root: where the pictures lie; None does not look for them.
        folders: the names of which one is the picture's folder; None for any path.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such table; names the row (the header is row 1) and what is wrong with it.
    """
    boxes = defaultdict(list)
    name = shown(file)
    try:
        with open(file, newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, skipinitialspace=True)
            columns = [shown(column).strip() for column in reader.fieldnames or ()]
            if not columns:
                raise ValueError(f"{name} is empty; expected the columns path, {', '.join(CORNERS)}")
            if missing := sorted({"path", *CORNERS} - set(columns)):
                raise ValueError(
                    f"{name} lacks the columns {', '.join(missing)}; its first row is {','.join(columns)[:80]!r}"
                )
            if len(set(columns)) < len(columns):
                raise ValueError(f"{name} has two columns of one name; its first row is {','.join(columns)[:80]!r}")
            reader.fieldnames = columns
            for row in reader:
                try:
                    path, box = _box(row, root, folders)
                except ValueError as error:
                    raise ValueError(f"{name}, row {reader.line_num}: {error}") from None
                boxes[path].append(box)
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not text in UTF-8; save it as CSV UTF-8") from None
    except csv.Error as error:
        raise ValueError(f"{name}, row {reader.reader.line_num}: not CSV ({error})") from None
    if not boxes:
        raise ValueError(f"{name} holds no box below its header")
    return dict(boxes)


def _box(row: dict, root: str | Path | None, folders: Sequence[str] | None) -> tuple[str, Box]:
    """Raises: ValueError: what is wrong with the row."""
    if None in row:
        raise ValueError(f"{len(row[None])} more cells than the header has columns")
    if not row["path"]:
        raise ValueError("the path is missing")
    path = row["path"]
    folder = unicodedata.normalize("NFC", Path(path).parent.name)
    if folders is not None and folder not in folders:
        raise ValueError(
            f"{shown(path)!r} lies in no folder of a class of Imagenette, such as {folders[0]}; got {shown(folder)!r}"
        )
    if root is not None and not os.path.isfile(Path(root) / path):
        raise ValueError(f"there is no picture {shown(path)!r} below {shown(root)}")
    values = dict(zip(CORNERS, (_number(name, row[name]) for name in CORNERS), strict=True))
    for name, value in values.items():
        if value < -ROUNDING or value > 1 + ROUNDING:
            hint = "; pixels must be divided by the picture's width and height" if value > 1 else ""
            raise ValueError(f"{name} must be a share of the picture, from 0 to 1; got {value:g}{hint}")
    for low, high in (("x0", "x1"), ("y0", "y1")):
        if values[low] >= values[high]:
            raise ValueError(f"{low} must be less than {high}; got {values[low]:g} and {values[high]:g}")
    left, top, right, bottom = (min(1.0, max(0.0, value)) for value in values.values())
    return path, (left, top, right, bottom)


def _number(name: str, text: str | None) -> float:
    if text is None or not text.strip():
        raise ValueError(f"{name} is missing")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a number from 0 to 1; got {shown(text)!r}")
    return value
