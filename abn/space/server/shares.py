"""Pictures that visitors asked to keep for a link: for 7 days, each under a random id.

A picture is kept as an upright RGB PNG of at most 2048 pixels a side, so nothing of what its file said about camera,
place or owner stays.
"""

import contextlib
import errno
import io
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from pathlib import Path

from PIL import Image

from ...explanation import Picture
from ...model.pictures import fitted, load_rgb, resized
from ..faults import Fault
from . import limits, visitors
from .budgets import SHARES

DAYS = 7
LIFETIME = DAYS * 24 * 3600  # seconds
AT_MOST = 500  # pictures
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
    """A folder of kept pictures. Safe from any thread, and beside another server's on the same folder."""

    def __init__(
        self,
        folder: str | Path,
        *,
        lifetime: float = LIFETIME,
        at_most: int = AT_MOST,
        most_bytes: int = limits.SHARES_BYTES,
        until_restart: bool = False,
        settle: float = HOUR,
    ):
        """
        Args:
            until_restart: whether the folder is lost when the machine restarts, as a Space's own disk is.
            settle: seconds after the start in which nothing is deleted for its age: a machine's clock may be set late.
        """
        self.folder = Path(folder)
        self.until_restart = until_restart
        self.lifetime, self.at_most, self.most_bytes, self.settle = lifetime, at_most, most_bytes, settle
        self._lock = threading.Lock()
        self._own: OrderedDict[str, str] = OrderedDict()  # id -> visitor, in the order of keeping; of this run alone
        self._clock = Clock()

    def start(self) -> None:
        """Let what is too old leave every hour, also where nobody shares anything."""

        def clear():
            while True:
                try:
                    with self._lock:
                        self._clear()
                except OSError as error:
                    print(f"shares are not cleared: {error.strerror}", flush=True)
                time.sleep(min(HOUR, max(1.0, self.settle)))

        threading.Thread(target=clear, name="shares", daemon=True).start()

    def keep(self, picture: Picture, visitor: str | None = None) -> str:
        """Keep a picture and return its id, 128 random bits. Where the visitor has as many as he may, or there are too
        many in all, his own oldest leave.

        Args:
            visitor: whose it is; who asks, if None.

        Raises:
            PictureError, FileNotFoundError: as `load_rgb`'s.
            Fault: he shares too often; there is no room, and none of his own to leave; or the disk cannot be written.
        """
        visitor = visitors.current() if visitor is None else visitor
        if not SHARES.take(visitor):
            raise Fault("share_often")
        rgb = load_rgb(picture, lambda size: fitted(size, LONGEST))
        rgb = resized(rgb, fitted((rgb.width, rgb.height), LONGEST), Image.Resampling.LANCZOS)
        bare = Image.frombytes("RGB", rgb.size, rgb.tobytes())  # nothing of the file's metadata
        out = io.BytesIO()
        bare.save(out, "PNG")
        name = secrets.token_urlsafe(16)
        try:
            with self._lock:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._clear()
                leaving = self._leaving(visitor, len(out.getvalue()))
                self._write(name, out.getvalue())
                for gone in leaving:
                    self._own.pop(gone, None)
                    (self.folder / f"{gone}.png").unlink(missing_ok=True)
                self._own[name] = visitor
        except OSError as error:
            print(f"a picture could not be kept: {error.strerror}", flush=True)
            raise Fault("share_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "share_disk") from None
        return name

    def find(self, name: str) -> Path | None:
        """The kept picture of an id; None where there is none, or none any more."""
        if not ID.fullmatch(name):
            return None
        file = self.folder / f"{name}.png"
        try:
            return file if self._clock.now() - file.stat().st_mtime <= self.lifetime else None
        except OSError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        aside = self.folder / f".{name}"
        try:
            aside.write_bytes(content)
            os.replace(aside, self.folder / f"{name}.png")
        finally:
            aside.unlink(missing_ok=True)

    def _leaving(self, visitor: str, size: int) -> list[str]:
        """The visitor's oldest that must leave for a picture of so many bytes. Raises: Fault: that is not enough."""
        held = {file.stem: status.st_size for file, status in self._listed() if file.suffix}
        own = [name for name, who in self._own.items() if who == visitor and name in held]
        count, total, leaving = len(held) + 1, sum(held.values()) + size, []
        while count > self.at_most or total > self.most_bytes or len(own) >= limits.SHARES_A_VISITOR:
            if not own:
                raise Fault("share_full")
            leaving.append(own.pop(0))
            count, total = count - 1, total - held[leaving[-1]]
        return leaving

    def _listed(self) -> list[tuple[Path, os.stat_result]]:
        """Our own files that are there. One that another server took away meanwhile is not."""
        found = []
        for file in self.folder.iterdir() if self.folder.is_dir() else ():
            if OWN.fullmatch(file.name):
                with contextlib.suppress(FileNotFoundError):
                    found.append((file, file.stat()))
        return found

    def _clear(self) -> None:
        """Delete what is too old, and what was left when a server was killed in the midst of writing."""
        if self._clock.age() < self.settle:
            return
        now = self._clock.now()
        for file, status in self._listed():
            if now - status.st_mtime > (self.lifetime if file.suffix else HOUR):
                with contextlib.suppress(FileNotFoundError):
                    file.unlink()
                self._own.pop(file.stem, None)


class Clock:
    """The time of day, which does not leap forward: as it was at the start, and what has passed since. It follows the
    machine's when that is set back: then the start was wrong."""

    def __init__(self):
        self._began, self._since = time.time(), time.monotonic()

    def age(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._since

    def now(self) -> float:
        passed, said = self.age(), time.time()
        if said < self._began + passed - 60:
            self._began = said - passed
        return self._began + passed
