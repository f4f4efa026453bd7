"""Pictures that visitors asked to keep for a link: for 7 days, each under a random id.

A picture is kept as an upright RGB PNG of at most 2048 pixels a side, so nothing of what its file said about camera,
place or owner stays.
"""

import os
import re
import secrets
import threading
import time
from pathlib import Path

from PIL import Image

from ...explanation import Picture
from ...model.pictures import fitted, load_rgb, resized

DAYS = 7
LIFETIME = DAYS * 24 * 3600  # seconds
AT_MOST = 500  # pictures; the oldest leave first
LONGEST = 2048  # pixels
ID = re.compile(r"[A-Za-z0-9_-]{22}")
OWN = re.compile(r"\.?[A-Za-z0-9_-]{22}(\.png)?")
HOUR = 3600  # seconds


def outlives_restart(shares: str | None) -> bool:
    """Whether kept pictures are still there when the machine has restarted. A Space's disk is not kept, /data without
    a bucket included; a folder that was chosen elsewhere is taken to be."""
    if not os.environ.get("SPACE_ID"):
        return True
    if not shares:
        return False
    chosen = Path(shares).resolve()
    return os.path.ismount("/data") if chosen.is_relative_to("/data") else True


class Shares:
    """A folder of kept pictures. Safe from any thread."""

    def __init__(
        self,
        folder: str | Path,
        *,
        lifetime: float = LIFETIME,
        at_most: int = AT_MOST,
        until_restart: bool = False,
    ):
        """Args: until_restart: whether the folder is lost when the machine restarts, as a Space's own disk is."""
        self.folder = Path(folder)
        self.until_restart = until_restart
        self.lifetime, self.at_most = lifetime, at_most
        self._lock = threading.Lock()

    def start(self) -> None:
        """Let what is too old leave every hour, also where nobody shares anything."""

        def clear():
            while True:
                with self._lock:
                    self._clear(self.at_most)
                time.sleep(HOUR)

        threading.Thread(target=clear, name="shares", daemon=True).start()

    def keep(self, picture: Picture) -> str:
        """Keep a picture and return its id, 128 random bits.

        Raises:
            PictureError, FileNotFoundError: as `load_rgb`'s.
            OSError: the folder cannot be written.
        """
        rgb = load_rgb(picture, lambda size: fitted(size, LONGEST))
        rgb = resized(rgb, fitted((rgb.width, rgb.height), LONGEST), Image.Resampling.LANCZOS)
        bare = Image.frombytes("RGB", rgb.size, rgb.tobytes())  # nothing of the file's metadata
        name = secrets.token_urlsafe(16)
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear(self.at_most - 1)
            aside = self.folder / f".{name}"
            bare.save(aside, "PNG")
            os.replace(aside, self.folder / f"{name}.png")
        return name

    def find(self, name: str) -> Path | None:
        """The kept picture of an id; None where there is none, or none any more."""
        if not ID.fullmatch(name):
            return None
        with self._lock:
            self._clear(self.at_most)
        file = self.folder / f"{name}.png"
        return file if file.is_file() else None

    def _clear(self, at_most: int) -> None:
        """Delete what is too old, and the oldest of what is too many."""
        if not self.folder.is_dir():
            return
        aged = sorted((file.stat().st_mtime, file) for file in self.folder.iterdir() if OWN.fullmatch(file.name))
        oldest = time.time() - self.lifetime
        for place, (changed, file) in enumerate(aged):
            if changed < oldest or place < len(aged) - at_most:
                file.unlink(missing_ok=True)
