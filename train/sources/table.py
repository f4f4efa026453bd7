"""A folder of pictures with a table of yes-or-no attributes."""

import csv
import os
from pathlib import Path

from abn.folders import HIDDEN, LeftOut, fault_of, is_litter, pictures_in
from abn.metadata import UNLISTED, picture_named
from abn.names import nfc, shown
from train.sources.source import Samples, TaskSource

TABLE = "attributes.csv"
VALUES = {"1": 1, "0": 0, "-1": 0}
VALIDATION = 0.1  # of the pictures, where the table names no split


def table_source(root: str | Path) -> TaskSource:
    """A folder of pictures with attributes.csv: a header "picture,TASK,TASK,…", then a line a picture, its path below
    the folder and 1 or 0 (or -1) a task. A column "split" may say "train" or "val"; else a tenth is for validation.

    Raises:
        FileNotFoundError: the table, or a picture that it names, is missing.
        ValueError: the table is not of that form; says where.
    """
    root = Path(root).expanduser()
    file = root / TABLE
    if not file.is_file():
        raise FileNotFoundError(f"there is no {file}; expected a table of pictures and their attributes")
    left_out, listed = LeftOut(), set()
    parts: dict[str, Samples] = {"train": [], "val": [], "": []}
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            rows = csv.DictReader(opened)
            rows.fieldnames = list(map(nfc, rows.fieldnames or ()))
            tasks = tuple(name for name in rows.fieldnames if name not in ("picture", "split"))
            if "picture" not in rows.fieldnames or not tasks:
                raise ValueError(f'{shown(file)} must begin with a header "picture,TASK,TASK,…"')
            if len(set(rows.fieldnames)) < len(rows.fieldnames):
                raise ValueError(f"{shown(file)} has two columns of one name")
            for number, row in enumerate(rows, 2):
                values = [VALUES.get((row[task] or "").strip()) for task in tasks]
                split = (row.get("split") or "").strip()
                if None in values or split not in parts or not row["picture"]:
                    expected = f"expected a picture, and 1, 0 or -1 for each of {len(tasks)}"
                    raise ValueError(f"{shown(file)}, line {number}: {expected}")
                picture = picture_named(root, row["picture"])
                if picture is None:
                    missing = shown(root / row["picture"])
                    raise FileNotFoundError(f"{shown(file)}, line {number}: there is no {missing}")
                listed.add(os.path.realpath(picture))
                below = picture.relative_to(root) if picture.is_relative_to(root) else picture
                fault = HIDDEN if any(map(is_litter, below.parts)) else fault_of(picture)
                if fault:
                    left_out.add(fault, picture)
                else:
                    parts[split].append((str(picture), tuple(values)))
    except UnicodeDecodeError:
        raise ValueError(f"{shown(file)} is not text in UTF-8; save it as CSV UTF-8") from None
    except csv.Error as error:
        raise ValueError(f"{shown(file)} is not CSV ({error})") from None
    if not any(parts.values()):
        rest = left_out.words(root)
        raise ValueError(f"{shown(file)} lists no picture" + (f"; left out: {rest}" if rest else ""))
    for path in pictures_in(root, LeftOut()):
        if os.path.realpath(path) not in listed:
            left_out.add(UNLISTED, path)
    left_out.report(root)
    name = shown(root.name)
    if not parts["val"]:
        pool = parts["train"] + parts[""]
        rest, part = TaskSource(name, tasks, pool, [], root).split(VALIDATION, seed=0)
        return TaskSource(name, tasks, rest, part, root)
    return TaskSource(name, tasks, parts["train"] + parts[""], parts["val"], root)
