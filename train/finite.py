"""A run whose numbers have left the finite ones is stopped, and says what to try."""

from collections.abc import Mapping

from torch import Tensor

from train.recipes import Recipe


class DivergedError(Exception):
    """The loss or the weights are no longer finite; the message says since which step, and what to try."""


def are_finite(state: Mapping[str, Tensor], half: bool = False) -> bool:
    """Whether all numbers are finite; half: and stay so in half precision, which ends at 65,504."""
    numbers = (tensor for tensor in state.values() if tensor.is_floating_point())
    return all(bool((tensor.half() if half else tensor).isfinite().all()) for tensor in numbers)


def diverged(what: str, steps: int, recipe: Recipe, number: int) -> DivergedError:
    """The error for `what`, of a run of `steps`, in the class training, 0, or in a round, which has a rate of its
    own."""
    name, rate = "--lr", recipe.training.lr
    if number:
        name, rate = "--tune-lr", recipe.rounds.tune_lr
    other = f"a larger --train-batch ({recipe.training.train_batch} now)"
    if number and recipe.remedy.attention_weight:
        other = f"a lower --attention-weight ({recipe.remedy.attention_weight:g} now)"
    return DivergedError(f"{what} of {steps}: try a lower {name} ({rate:g} now), or {other}")
