"""Any folder of pictures: class folders with or without splits, or a table of labels."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from abn.folders import ClassFolders, LeftOut
from abn.metadata import classes_of, labelled, metadata_of
from abn.names import shown
from abn.splits import SPLIT_OF, base_of, splits_in
from train.sources.source import Source, check_same_classes, classes_in

SHARE = 0.2  # of each class for validation, where the folder has no split for it


def folder_source(root: str | Path, *, share: float | None = None, seed: int = 0, folds: bool = False) -> Source:
    """A folder of class folders: flat, or in splits (see `abn.splits`), there or in data/; in place of class
    folders a metadata.csv or .jsonl may name the classes (see `abn.metadata`).

    Args:
        share: of each class's training pictures that is for validation where there is no split for it; None: a fifth.
        seed: of the choice of those.
        folds: no validation split is needed, and none is made.

    Raises:
        FileNotFoundError: `root` or its training split is missing.
        ValueError: fewer than two classes, a class without pictures or of a name that is not UTF-8; splits of different
            classes; `share` with a validation split.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {shown(root)}")
    base, name = base_of(root), shown(root.resolve().name)
    found, folders = _read(base, folds)
    train, left_out = found["train"], LeftOut()
    for part in found.values():
        for reason, path in part.left_out:
            left_out.add(reason, path)
    more = {"test": found["test"].samples if "test" in found else [], "test_folder": folders.get("test")}
    source = Source(name, train.classes, train.samples, [], root, **more, left_out=left_out)
    if folds:
        return source
    if "val" not in found:
        return source.with_share(SHARE if share is None else share, seed)
    place = shown(folders["val"].name) + "/"
    if share is not None:
        raise ValueError(f"{shown(root)} has pictures for validation, in {place}: leave --val-share out")
    check_same_classes(root, {folders["train"].name: train.classes, folders["val"].name: found["val"].classes})
    return replace(source, val=found["val"].samples, val_from=place)


def _read(base: Path, folds: bool) -> tuple[dict[str, ClassFolders], dict[str, Path]]:
    """({"train" and, where it is needed and there, "val": what it holds}, the folders of the splits there are)."""
    if (table := metadata_of(base)) is not None:
        return _by_table(table)
    folders = splits_in(base)
    if not folders:
        return {"train": classes_in(base)}, {}
    if "train" not in folders:
        there = ", ".join(f"{folder.name}/" for folder in folders.values())
        raise FileNotFoundError(f"{shown(base)} holds {there} and no train/; its class folders alone would do")
    if "val" not in folders and "test" in folders:
        folders["val"] = folders["test"]
    wanted = ("train",) if folds or "val" not in folders else ("train", "val")
    return {split: classes_in(folders[split]) for split in wanted}, folders


def _by_table(table: Path) -> tuple[dict[str, ClassFolders], dict[str, Path]]:
    """One table for all splits, whose paths may begin with a split's folder."""
    labels, left_out = labelled(table)
    parts: dict[str, dict[str, str]] = defaultdict(dict)
    folders: dict[str, Path] = {}
    for path, label in labels.items():
        first = Path(path).relative_to(table.parent).parts[0] if Path(path).is_relative_to(table.parent) else ""
        split = SPLIT_OF.get(first.casefold(), "")
        parts[split][path] = label
        if split:
            folders[split] = table.parent / first
    if "train" not in parts:  # such names are no splits then
        return {"train": classes_of(labels, left_out, table)}, {}
    parts["train"] |= parts.pop("", {})
    if "val" not in parts and "test" in parts:
        parts["val"], folders["val"] = parts["test"], folders["test"]
    found = {split: classes_of(part, LeftOut(), table) for split, part in parts.items()}
    found["train"].left_out.found |= left_out.found
    return found, folders
