"""Which part of a run a step belongs to, and what that makes of the rate, the picture size and CutMix.

A run is `training.epochs` of class training, then fine-tuning rounds of `rounds.tune_epochs` each. `--max-steps`
squeezes the whole of it into fewer steps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from train.recipes import Recipe


@dataclass(frozen=True)
class Place:
    """round: 0 for the class training, 1, 2, ... for fine-tuning; done: share of the round, 0 at its
    start, 1 only past the run's end; first: whether this is the round's first step; epoch: epochs since it began."""

    round: int
    done: float
    first: bool
    epoch: float


def place(recipe: Recipe, step: int, steps: int) -> Place:
    """Where `step` of `steps` (0, 1, ...) lies. Steps past the end count as the last round's."""
    lengths, starts = _lengths(recipe), _starts(recipe, steps)
    current = max(i for i, start in enumerate(starts[:-1]) if start <= step and (lengths[i] or i == len(lengths) - 1))
    length = max(1, starts[current + 1] - starts[current])
    done = min((step - starts[current]) / length, 1.0)
    return Place(current, done, step == starts[current], done * lengths[current])


def _lengths(recipe: Recipe) -> list[int]:
    """Epochs of the class training and of each fine-tuning round."""
    return [recipe.training.epochs, *recipe.rounds.tune_epochs]


def _starts(recipe: Recipe, steps: int) -> list[int]:
    """The step at which the class training and each round begin, and the run's end."""
    lengths = _lengths(recipe)
    return [-(-sum(lengths[:i]) * steps // sum(lengths)) for i in range(len(lengths) + 1)]


def tuning_rounds(recipe: Recipe, steps: int) -> list[int]:
    """The fine-tuning rounds (1, 2, ...) that have a step at all: `--max-steps` may leave none for some."""
    starts = _starts(recipe, steps)
    return [number for number in range(1, len(starts) - 1) if starts[number] < starts[number + 1]]


def rate_factor(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """step -> share of `recipe.training.lr`.

    Class training: the schedule's steps (the reference's way), or a linear warm-up and a cosine to zero (Loshchilov &
    Hutter 2017, arXiv:1608.03983). Each fine-tuning round: `tune_warmup` epochs of warm-up to `tune_lr`, and a cosine.
    """

    training, rounds = recipe.training, recipe.rounds

    def factor(step: int) -> float:
        now = place(recipe, step, steps)
        if now.round == 0 and training.schedule:
            return training.gamma ** sum(now.epoch + 1e-6 >= epoch for epoch in training.schedule)
        per_epoch = steps / total_epochs(recipe)
        epochs = _lengths(recipe)[now.round]
        warmup = min(rounds.tune_warmup if now.round else training.warmup_epochs, 0.2 * epochs) * per_epoch
        peak = rounds.tune_lr / training.lr if now.round else 1.0
        done = now.done * epochs * per_epoch
        if done < warmup:
            return peak * (done + 1) / (warmup + 1)
        share = (done - warmup) / max(1.0, epochs * per_epoch - warmup)
        return peak * 0.5 * (1 + math.cos(math.pi * share))

    return factor


def total_epochs(recipe: Recipe) -> int:
    return sum(_lengths(recipe))


def picture_size(recipe: Recipe, now: Place) -> int:
    """Side of the training pictures: `training.sizes`, each for an equal share of the class training; `tune_size` in
    the rounds."""
    if now.round:
        return recipe.rounds.tune_size
    sizes = recipe.training.sizes
    return sizes[min(int(now.done * len(sizes)), len(sizes) - 1)]


def cutmix_share(recipe: Recipe, now: Place) -> float:
    """How often a batch is mixed: never in the last tenth of the class training, nor in the rounds."""
    return recipe.training.cutmix if not now.round and now.done < 0.9 else 0.0


def outlier_share(recipe: Recipe, now: Place) -> float:
    """Pictures of no class in a batch, as a share of the others: none in the class training."""
    return recipe.rounds.outliers if now.round else 0.0
