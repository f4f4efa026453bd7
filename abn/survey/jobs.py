"""What a survey is: its pictures, its network and its settings, and who works its rows out."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ..explanation import Explainer
from ..faithfulness.boxes import read_boxes
from ..names import shown
from ..tuning import has_bfloat16
from .decode import Decode
from .here import groups_of, os_cores, run_here
from .listing import Listing
from .rows import Rows, mark_of, quick
from .shards import Shards

VERSION = 1  # of the rows


@dataclass(frozen=True)
class Job:
    """rows, decode: what is done with each group of pictures. settings: what the rows depend on."""

    listing: Listing
    rows: Rows
    decode: Decode
    settings: dict

    @classmethod
    def of(cls, args: argparse.Namespace, explainer: Explainer) -> "Job":
        """Raises: ValueError, OSError: pictures, boxes or masks cannot be had, or the network is of another kind."""
        mark, asked = mark_of(explainer), quick(explainer, args.precision)
        listing = Listing(args.data, args.split)
        boxes = read_boxes(args.boxes, args.data, folders=None) if args.boxes else None
        if args.masks and not Path(args.masks).is_dir():
            raise ValueError(f"--masks: there is no folder {shown(args.masks)}")
        half = args.precision == "auto" and explainer.abilities.tunable and has_bfloat16(explainer.device)
        settings = {
            "version": VERSION,
            "pictures": str(Path(args.data).resolve()),
            "number_of_pictures": len(listing),
            "split": args.split,
            "list_of_pictures": listing.mark(),
            "checkpoint": args.checkpoint,
            "network": mark,
            "view": args.view,
            "arithmetic": "bfloat16" if half else "float32",
            "faithfulness": args.faithfulness,
            "boxes": args.boxes and str(Path(args.boxes).resolve()),
            "masks": args.masks and str(Path(args.masks).resolve()),
            "shard": args.shard,
        }
        rows = Rows(asked, listing, args.view, args.faithfulness, bool(args.boxes or args.masks))
        decode = Decode(listing, asked.processor, args.view, asked.abilities.channels, boxes, args.masks)
        return cls(listing, rows, decode, settings)

    def tables(
        self, shards: Shards, missing: Sequence[int], report: Callable[[int], object], args: argparse.Namespace
    ) -> Iterator[tuple[int, pa.Table]]:
        """(shard, its rows) of each that is missing. report: called with how many pictures are done."""
        if args.ray:
            from .cluster import run_on_ray

            yield from run_on_ray(self, args, shards, missing, report)
            return
        workers = os_cores() if args.workers is None else args.workers
        groups = [(shard, group) for shard in missing for group in groups_of(shards.places(shard))]
        parts: list[pa.Table] = []
        tables = run_here(self.rows, self.decode, [group for _, group in groups], workers)
        for (shard, group), table in zip(groups, tables, strict=True):
            report(len(group))
            parts.append(table)
            if group.stop == shards.places(shard).stop:
                yield shard, pa.concat_tables(parts)
                parts = []
