"""What a survey's table says in all: counts, classes, confusions, mean maps, and the pictures to look at first.

The table is read a shard at a time; what is kept does not grow with the number of pictures.
"""

import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from .folder import GROUPS
from .measures import border_area
from .shards import tables

KEPT = 24  # pictures of a group
UNREAD = 200  # files that are named
BINS = 20  # of confidence
GRID = 14  # places a side of a mean map


@dataclass
class OfClass:
    """One class's pictures: those that show it, or, where no folder says so, those that are answered so."""

    pictures: int = 0
    right: int = 0
    known: int = 0
    confidence: float = 0.0
    differ: int = 0
    with_branch: int = 0
    border: float = 0.0
    agreement: float = 0.0
    agreements: int = 0
    unfamiliar: int = 0
    answers: Counter = field(default_factory=Counter)
    maps: dict[tuple[int, int], list] = field(default_factory=dict)  # shape -> [sum, count]

    def mean_map(self) -> np.ndarray:
        """(GRID, GRID): the mean of its pictures' maps."""
        total = torch.zeros(GRID, GRID, dtype=torch.float64)
        for values, count in self.maps.values():
            mean = torch.from_numpy(values / count)[None, None]
            how = {"mode": "bilinear", "align_corners": False}
            total += F.interpolate(mean, (GRID, GRID), **how)[0, 0] * count / max(1, self.pictures)
        return total.numpy()


@dataclass
class Summary:
    """count: of the rows; read: those of pictures that could be read. classes: name -> `OfClass`, by name. first: group
    -> its first KEPT rows; sizes: how many there are in each. unread: the first files that could not be read. bins: how
    many rows of each confidence are right, wrong, neither. by_truth: whether `classes` are what pictures show."""

    count: int = 0
    read: int = 0
    known: int = 0
    right: int = 0
    with_branch: int = 0
    by_truth: bool = False
    classes: dict[str, OfClass] = field(default_factory=dict)
    whole: OfClass = field(default_factory=OfClass)
    first: dict[str, list[dict]] = field(default_factory=lambda: {name: [] for name in GROUPS})
    sizes: Counter = field(default_factory=Counter)
    unread: list[tuple[str, str]] = field(default_factory=list)
    bins: dict[str, list[int]] = field(default_factory=lambda: {key: [0] * BINS for key in ("right", "wrong", "other")})

    def confusions(self) -> list[tuple[str, str, int]]:
        """(what it is, what it was taken for, how often), the most frequent first."""
        pairs = [
            (truth, answer, count)
            for truth, one in self.classes.items()
            for answer, count in one.answers.items()
            if answer != truth
        ]
        return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))


def ranks_of(row: dict) -> dict[str, float]:
    """The groups that a row belongs to -> its rank there, the highest first.

    sure_wrong: the answer is not the true class; by its confidence.
    disagree: the attention branch answers otherwise; by the less sure of both.
    border: more of the map lies in its outermost places than of a uniform one; by how many times as much.
    unfamiliar: probably none of the classes; by how low the energy is.
    """
    found = {}
    if row["right"] is False:
        found["sure_wrong"] = row["confidence"]
    if row["attention_answer"] not in (None, row["answer"]):
        found["disagree"] = min(row["confidence"], row["attention_confidence"])
    if row["border"] is not None and (share := row["border"] / border_area(*row["grid"])) > 1:
        found["border"] = share
    if row["unfamiliar"]:
        found["unfamiliar"] = -row["energy"]
    return found


def summary_of(out: str | Path) -> Summary:
    found, heaps = Summary(), defaultdict(list)
    wanted = "path true_class right answer confidence attention_answer attention_confidence energy unfamiliar"
    columns = [*wanted.split(), "border", "gradcam_agreement", "error", "width", "height", "peak", "map"]
    by_truth = any(table["true_class"].null_count < len(table) for table in tables(out, ["true_class"]))
    found.by_truth = by_truth
    for number, table in enumerate(tables(out, columns)):
        maps = maps_of(table["map"].combine_chunks())
        for place, row in enumerate(table.drop_columns(["map"]).to_pylist()):
            found.count += 1
            if row["error"] is not None:
                if len(found.unread) < UNREAD:
                    found.unread.append((row["path"], row["error"]))
                continue
            row["grid"] = maps[place].shape
            _count(found, row, maps[place], by_truth)
            for group, rank in ranks_of(row).items():
                found.sizes[group] += 1
                entry = (rank, -number, -place, row | {"map": maps[place].copy(), "group": group})
                (heapq.heappush if len(heaps[group]) < KEPT else heapq.heappushpop)(heaps[group], entry)
    for group, heap in heaps.items():
        found.first[group] = [entry[-1] for entry in sorted(heap, key=lambda entry: entry[:3], reverse=True)]
    found.classes = dict(sorted(found.classes.items()))
    return found


def _count(found: Summary, row: dict, grid: np.ndarray, by_truth: bool) -> None:
    found.read += 1
    known, right = row["right"] is not None, row["right"] is True
    found.known, found.right = found.known + known, found.right + right
    kind = "right" if right else "wrong" if known else "other"
    found.bins[kind][min(BINS - 1, int(BINS * row["confidence"]))] += 1
    found.with_branch += row["attention_answer"] is not None
    ones = [found.whole]
    if (name := row["true_class"] if by_truth else row["answer"]) is not None:
        ones.append(found.classes.setdefault(name, OfClass()))
    for one in ones:
        one.pictures += 1
        one.right, one.known = one.right + right, one.known + known
        one.confidence += row["confidence"]
        one.with_branch += row["attention_answer"] is not None
        one.differ += row["attention_answer"] not in (None, row["answer"])
        one.border += row["border"] / border_area(*grid.shape)
        one.unfamiliar += row["unfamiliar"]
        if row["gradcam_agreement"] is not None:
            one.agreement, one.agreements = one.agreement + row["gradcam_agreement"], one.agreements + 1
        if one is not found.whole:
            one.answers[row["answer"]] += 1
        held = one.maps.setdefault(grid.shape, [np.zeros(grid.shape), 0])
        held[0] += grid
        held[1] += 1


def maps_of(column) -> list[np.ndarray | None]:
    """A column of maps as (h, w) float16 arrays, None where there is none."""
    values = column.values.values.to_numpy(zero_copy_only=False)
    lines, pictures = column.values.offsets.to_numpy(), column.offsets.to_numpy()
    there, found = column.is_valid().to_numpy(zero_copy_only=False), []
    for place, is_there in enumerate(there.tolist()):
        first, last = pictures[place], pictures[place + 1]
        flat = values[lines[first] : lines[last]]
        found.append(flat.reshape(last - first, -1) if is_there else None)
    return found
