"""What a data set is to a run: lists of (path, class index), or of (path, one 0 or 1 a task)."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from abn.folders import ClassFolders, LeftOut, class_folders
from abn.metadata import LABEL, TABLES, classes_of, labelled, metadata_of
from abn.names import shown
from abn.splits import folders_in
from train.data import split_off

Samples = list[tuple[str, int]]

NAMED = 10  # classes, in a summary
PACKED = ("parquet", "arrow", "zip", "tar", "tar.gz")  # in which the Hub keeps many data sets


@dataclass(frozen=True)
class Source:
    """A data set. name: as it appears in metrics and model card; classes: names by index; root: what the paths of box
    files are relative to; test: a third split, where the data set itself has one, or test_folder, which is read only
    when it is asked for; val_from: where the validation pictures come from, in words; left_out: what was not taken."""

    name: str
    classes: tuple[str, ...]
    train: Samples
    val: Samples
    root: Path
    test: Samples = field(default_factory=list)
    test_folder: Path | None = None
    val_from: str = ""
    left_out: LeftOut = field(default_factory=LeftOut)

    def summary(self) -> str:
        """What will be read, in one line: classes, pictures of each split, what was left out and why."""
        kind = "tasks" if isinstance(self, TaskSource) else "classes"
        names = [shown(name) for name in self.classes[:NAMED]] + ["…"] * (len(self.classes) > NAMED)
        counts = f"{len(self.train):,} training"
        if self.val:
            counts += f" and {len(self.val):,} validation"
        of = f" ({self.val_from})" if self.val and self.val_from else ""
        rest = f"; left out: {self.left_out.words(self.root)}" if self.left_out else ""
        return f"{self.name}: {len(self.classes)} {kind} ({', '.join(names)}), {counts} pictures{of}{rest}"

    def with_val(self, split: str) -> "Source":
        """The same with `split` ("train", "val" or "test") in the place of the validation split.

        Raises:
            ValueError: there is no test split, or it has other classes.
        """
        samples = self.test_split() if split == "test" else getattr(self, split)
        if not samples:
            raise ValueError(f"{self.name} has no {split} split")
        return replace(self, val=samples)

    def test_split(self) -> Samples:
        """`test`, or what `test_folder` holds."""
        if self.test or self.test_folder is None:
            return self.test
        found = classes_in(self.test_folder)
        check_same_classes(self.root, {"train": self.classes, self.test_folder.name: found.classes})
        found.left_out.report(self.root)
        return found.samples

    def with_share(self, share: float, seed: int) -> "Source":
        """The same with `share` of each class's training pictures, one at least and never all, for validation."""
        rest, part = split_off(torch.tensor([label for _, label in self.train]), share, seed, least=1)
        parts = ([self.train[i] for i in which.tolist()] for which in (rest, part))
        return replace(self, **dict(zip(("train", "val"), parts, strict=True)), val_from=f"{share:.3g} of each class")

    def split(self, holdout: float, seed: int) -> tuple[Samples, Samples]:
        """(rest, held out) of the training pictures: `holdout` of each class, the same for the same seed."""
        rest, part = split_off(torch.tensor([label for _, label in self.train]), holdout, seed)
        return [self.train[i] for i in rest.tolist()], [self.train[i] for i in part.tolist()]

    def fold(self, number: int, count: int, seed: int) -> "Source":
        """Fold `number` of `count` of the training pictures as validation, the others as training; stratified.

        Raises:
            ValueError: a class has fewer pictures than there are folds.
        """
        train, val = [], []
        generator = torch.Generator().manual_seed(seed)
        for label, name in enumerate(self.classes):
            members = [sample for sample in self.train if sample[1] == label]
            if len(members) < count:
                raise ValueError(f"--folds {count} needs {count} pictures a class; {name!r} has {len(members)}")
            for place, i in enumerate(torch.randperm(len(members), generator=generator).tolist()):
                (val if place % count == number else train).append(members[i])
        return replace(self, train=sorted(train), val=sorted(val))


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

    def test_split(self) -> Samples:
        return self.test

    def fold(self, number: int, count: int, seed: int) -> Source:
        raise ValueError("--folds is for classes; a multi-task network is trained on one split")


def classes_in(folder: Path) -> ClassFolders:
    """The pictures of one split, by its table or by its class folders.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: there are fewer than two classes, or one without a picture; the table is not of the form.
    """
    if (table := metadata_of(folder)) is not None:
        return classes_of(*labelled(table), table)
    if not folders_in(folder):
        if tables := [folder / name for name in TABLES if (folder / name).is_file()]:
            raise ValueError(f"{shown(tables[0])} has no {LABEL}, and there are no class folders beside it")
        if packed := sorted(path.name for kind in PACKED for path in folder.glob(f"*.{kind}")):
            words = "it is not read: save its pictures in a folder a class"
            raise ValueError(f"{shown(folder)} holds {shown(packed[0])} and no class folders; {words}")
    return class_folders(folder, least=2)


def check_same_classes(root: Path, splits: Mapping[str, Iterable[str]]) -> None:
    """Args: splits: folder -> classes, of two. Raises: ValueError: one has a class that the other lacks."""
    (one, ones), (other, others) = splits.items()
    lacks = [(one, set(others) - set(ones)), (other, set(ones) - set(others))]
    words = [f"{shown(name)}/ lacks {', '.join(map(shown, sorted(missing)))}" for name, missing in lacks if missing]
    if words:
        both = f"{shown(one)}/ and {shown(other)}/"
        raise ValueError(f"{shown(root)}: {both} must have the same classes; {'; '.join(words)}")
