"""What a survey's folder holds beside its table: read without Parquet, by the page's gallery too."""

import json
from pathlib import Path

from ..names import shown

SETTINGS = "settings.json"
GROUPS_FILE = "groups.json"
GROUPS = ("sure_wrong", "disagree", "border", "unfamiliar")  # of pictures to look at first; see `summary.ranks_of`


def is_survey(folder: str | Path) -> bool:
    return (Path(folder) / SETTINGS).is_file() and (Path(folder) / "rows").is_dir()


def settings_of(folder: str | Path) -> dict:
    """Raises: ValueError: it is no survey."""
    return _object(Path(folder), SETTINGS)


def groups_of(folder: str | Path) -> dict[str, list[dict]]:
    """Group -> its first pictures: path, true_class, answer, confidence of each.

    Raises:
        ValueError: the survey has not come to its end.
    """
    if not (Path(folder) / GROUPS_FILE).is_file():
        raise ValueError(f"{shown(folder)} is a survey without its {GROUPS_FILE}: run its command to the end")
    found = _object(Path(folder), GROUPS_FILE)
    good = all(
        isinstance(each, dict) and isinstance(each.get("path"), str) for name in GROUPS for each in found.get(name, ())
    )
    if not good:
        raise ValueError(f"{shown(Path(folder) / GROUPS_FILE)} does not list pictures by their paths")
    return {name: found.get(name, []) for name in GROUPS}


def _object(folder: Path, name: str) -> dict:
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{shown(folder)} is no survey: its {name} is missing or cannot be read")
    return found
