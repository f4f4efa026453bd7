"""Any folder of class folders."""

from pathlib import Path

from abn.names import shown
from train.sources.source import Source, classes_in


def folder_source(root: str | Path, folds: bool = False) -> Source:
    """A folder with train/ and val/, each with a folder of pictures a class, as `abn.folders` reads them.

    Args:
        folds: val/ is not needed, nor is train/: the class folders may lie in `root` itself.

    Raises:
        FileNotFoundError: `root`, train/ or val/ is missing.
        ValueError: fewer than two classes, a class folder without pictures or of a name that is not UTF-8, or val/ with
            other classes than train/.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {shown(root)}")
    inside, name = folds and not (root / "train").is_dir(), shown(root.name)
    classes, train = classes_in(root if inside else root / "train")
    if folds:
        return Source(name, classes, train, [], root)
    others, val = classes_in(root / "val")
    if others != classes:
        odd = ", ".join(map(shown, sorted(set(classes) ^ set(others))))
        raise ValueError(f"{shown(root)}: train/ and val/ must have the same class folders; only one has {odd}")
    return Source(name, classes, train, val, root)
