"""The table of a survey on the disk: shards that are written aside and renamed, and what they were made with.

OUT/settings.json          what the rows depend on; a run with other settings does not go on here
OUT/rows/00000.parquet …   the rows of pictures 0 to SHARD - 1, and so on
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..files import whole
from ..names import shown
from .folder import GROUPS_FILE, SETTINGS, settings_of

ROWS = "rows"
ALONE = (SETTINGS, ROWS, "report.html", GROUPS_FILE)  # what an earlier survey has left


class Shards:
    """The shards of a survey of `count` pictures, `size` each. settings: JSON, of what rows depend on."""

    def __init__(self, out: str | Path, settings: Mapping, count: int, size: int):
        """Begin in a new folder, or go on in one that was begun with the same settings.

        Raises:
            ValueError: the folder holds something else, or was begun with other settings; names the first.
        """
        self.out, self.count, self.size = Path(out), count, size
        self._check(dict(settings))
        (self.out / ROWS).mkdir(parents=True, exist_ok=True)
        if not (self.out / SETTINGS).is_file():
            with whole(self.out / SETTINGS) as aside:
                aside.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        for left in (self.out / ROWS).glob(".*.writing"):  # by a process that was killed, as `whole` names them
            process = left.name.split(".")[-2]
            if not (process.isdecimal() and os.path.isdir(f"/proc/{process}")):
                left.unlink(missing_ok=True)

    def __len__(self) -> int:
        return -(-self.count // self.size)

    def file(self, shard: int) -> Path:
        return self.out / ROWS / f"{shard:05d}.parquet"

    def places(self, shard: int) -> range:
        return range(shard * self.size, min((shard + 1) * self.size, self.count))

    def missing(self) -> list[int]:
        """The shards that are not written, or not whole."""
        return [shard for shard in range(len(self)) if not self._is_whole(shard)]

    def write(self, shard: int, table: pa.Table) -> None:
        with whole(self.file(shard)) as aside:
            pq.write_table(table.combine_chunks(), aside, compression="zstd")

    def _is_whole(self, shard: int) -> bool:
        try:
            return pq.read_metadata(self.file(shard)).num_rows == len(self.places(shard))
        except (OSError, pa.ArrowInvalid):
            return False

    def _check(self, settings: dict) -> None:
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"{shown(self.out)} is a file; expected a folder to write")
        there = self.out / SETTINGS
        if not there.is_file():
            if self.out.is_dir() and any(path.name not in ALONE for path in self.out.iterdir() if path.name[0] != "."):
                raise ValueError(f"{shown(self.out)} holds other things; expected a new folder, or an earlier survey")
            return
        begun = settings_of(self.out)
        for name in sorted({*begun, *settings}, key=[*settings, *begun].index):
            if name != "checkpoint" and begun.get(name) != settings.get(name):  # its path; `network` is what it holds
                was, now = (json.dumps(each.get(name), ensure_ascii=False) for each in (begun, settings))
                raise ValueError(
                    f"{shown(self.out)} was begun with another {name.replace('_', ' ')} ({was[:80]}; now {now[:80]}); "
                    f"give another --out, or remove that folder"
                )


def tables(out: str | Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The table of a survey, a shard at a time, in order."""
    for file in sorted((Path(out) / ROWS).glob("*.parquet")):
        yield pq.read_table(file, columns=columns)
