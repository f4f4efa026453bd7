"""Yes-or-no tasks in place of classes: where their pictures come from, and how answers are scored."""

import csv
import random
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.datasets import CelebA

from abn.classes import CELEBA
from abn.modeling_multitask import scores as yes
from train.sources import Samples, Source

TABLE = "attributes.csv"
VALUES = {"1": 1, "0": 0, "-1": 0}
VALIDATION = 0.1  # of the pictures, where the table names no split


class TaskSource(Source):
    """A `Source` whose samples are (path, one 0 or 1 a task); `classes` are the tasks."""

    def split(self, holdout: float, seed: int) -> tuple[Samples, Samples]:
        """(rest, held out): a random part, the same for the same seed."""
        order = random.Random(seed).sample(range(len(self.train)), len(self.train))
        held_out = set(order[: round(holdout * len(order))])
        parts = ([], [])
        for place, sample in enumerate(self.train):
            parts[place in held_out].append(sample)
        return parts

    def fold(self, number: int, count: int, seed: int) -> Source:
        raise ValueError("--folds is for classes; a multi-task network is trained on one split")


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
    with file.open(newline="", encoding="utf-8-sig") as opened:
        rows = csv.DictReader(opened)
        tasks = tuple(name for name in rows.fieldnames or () if name not in ("picture", "split"))
        if "picture" not in (rows.fieldnames or ()) or not tasks:
            raise ValueError(f'{file} must begin with a header "picture,TASK,TASK,…"')
        parts: dict[str, Samples] = {"train": [], "val": [], "": []}
        for number, row in enumerate(rows, 2):
            values = [VALUES.get((row[task] or "").strip()) for task in tasks]
            split = (row.get("split") or "").strip()
            if None in values or split not in parts or not row["picture"]:
                raise ValueError(f"{file}, line {number}: expected a picture, and 1, 0 or -1 for each of {len(tasks)}")
            picture = root / row["picture"]
            if not picture.is_file():
                raise FileNotFoundError(f"{file}, line {number}: there is no {picture}")
            parts[split].append((str(picture), tuple(values)))
    if not parts["val"]:
        pool = parts["train"] + parts[""]
        rest, part = TaskSource(root.name, tasks, pool, [], root).split(VALIDATION, seed=0)
        return TaskSource(root.name, tasks, rest, part, root)
    return TaskSource(root.name, tasks, parts["train"] + parts[""], parts["val"], root)


def celeba_source(root: str | Path, download: bool) -> TaskSource:
    """CelebA's 40 attributes, its own training and validation splits.

    Raises:
        FileNotFoundError: it is not at `root`, and `download` is False or fails (its host counts downloads).
    """
    root, parts = Path(root).expanduser(), []
    for split in ("train", "valid"):
        try:
            data = CelebA(root, split=split, target_type="attr", download=download)
        except RuntimeError as error:
            raise FileNotFoundError(f"CelebA is not at {root}: {str(error).splitlines()[0]}") from None
        folder = root / data.base_folder / "img_align_celeba"
        parts.append(
            [(str(folder / name), tuple(row)) for name, row in zip(data.filename, data.attr.tolist(), strict=True)]
        )
    return TaskSource("CelebA", CELEBA, *parts, root / CelebA.base_folder)


def task_scores(logits: Tensor, attention_logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Mean accuracy over pictures and tasks of both branches (per cent), and both binary cross-entropies.

    Args:
        logits: (N, T) or (N, 2, T). attention_logits: (N, T). labels: (N, T) of 0 and 1.
    """
    labels = labels.float()
    answers, others = yes(logits), attention_logits.sigmoid()
    perception, attention = (F.binary_cross_entropy(p, labels).item() for p in (answers, others))
    return {
        "accuracy": 100 * ((answers > 0.5) == (labels > 0.5)).float().mean().item(),
        "loss": perception + attention,
        "perception_loss": perception,
        "attention_accuracy": 100 * ((others > 0.5) == (labels > 0.5)).float().mean().item(),
        "attention_loss": attention,
    }


def task_details(logits: Tensor, labels: Tensor, tasks: tuple[str, ...]) -> dict:
    """Each task's accuracy, balanced accuracy (the mean over yes and no) and share of yes, per cent."""
    right = (yes(logits) > 0.5) == (labels > 0.5)
    per_class, balanced, positives = {}, {}, {}
    for place, task in enumerate(tasks):
        one, truth = right[:, place].float(), labels[:, place] > 0.5
        per_class[task] = 100 * one.mean().item()
        halves = [one[part].mean().item() for part in (truth, ~truth) if part.any()]
        balanced[task] = 100 * sum(halves) / len(halves)
        positives[task] = 100 * truth.float().mean().item()
    return {"per_class": per_class, "balanced": balanced, "positives": positives}


def shares(labels: Tensor) -> Tensor:
    """(N, T) -> (T,): each task's share of yes, for the weighted focal loss."""
    return torch.as_tensor(labels).float().mean(0)
