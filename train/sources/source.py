"""What a data set is to a run: lists of (path, class index), or of (path, one 0 or 1 a task)."""

import random
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from abn.folders import class_folders
from abn.names import shown
from train.data import split_off

Samples = list[tuple[str, int]]


@dataclass(frozen=True)
class Source:
    """A data set. name: as it appears in metrics and model card; classes: names by index; root: what the paths of box
    files are relative to; test: a third split, where the data set itself has one."""

    name: str
    classes: tuple[str, ...]
    train: Samples
    val: Samples
    root: Path
    test: Samples = field(default_factory=list)

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
        """`test`, or what root/test holds, which is looked for only when it is asked for."""
        if self.test or not (self.root / "test").is_dir():
            return self.test
        classes, samples = classes_in(self.root / "test")
        if classes != self.classes:
            raise ValueError(f"{shown(self.root)}: test/ and train/ must have the same class folders")
        return samples

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


def classes_in(folder: Path) -> tuple[tuple[str, ...], Samples]:
    """The classes and samples of a folder of class folders; prints what is left out. Raises as `class_folders`."""
    found = class_folders(folder, least=2)
    found.left_out.report(folder)
    return found.classes, found.samples
