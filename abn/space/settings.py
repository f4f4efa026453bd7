"""What an owner has set in the folder of the Space itself: `own/settings.json`, as `deploy` writes it."""

import json
from pathlib import Path

from ..names import shown

OWN = "own"
IN_BROWSER = "in-browser"  # the page that needs no server, as `python -m abn.browser` writes it
FILE = "settings.json"
KEYS = ("checkpoint", "examples", "title")


def settings_of(root: Path) -> dict[str, str]:
    """The settings in `root`, none where there is no such file; folders in it are given as whole paths.

    Raises:
        ValueError: the file is no object of texts.
    """
    file = root / OWN / FILE
    if not file.is_file():
        return {}
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ValueError(f"{shown(file)} cannot be read: {error}") from None
    if not isinstance(told, dict) or not all(isinstance(told.get(key, ""), str) for key in KEYS):
        raise ValueError(f"{shown(file)} must hold an object with texts under {', '.join(KEYS)}")
    given = {key: told[key] for key in KEYS if told.get(key)}
    folders = {key: str(root / value) for key, value in given.items() if key != "title" and (root / value).is_dir()}
    return given | folders
