"""What a comparison does in hundreds of forward passes, Score-CAM's and occlusion's maps and all curves: on one loan of
ZeroGPU's GPU, or else here, within the seconds that a request may compute."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ... import stopping
from ...comparison import CURVE_PASSES, Compared, Comparison, Curves
from ...explanation import Explainer, Picture
from . import budgets, limits
from .lending import Unlent, borrow_each, is_on_loan
from .serving import Served
from .zero_gpu import loan_for

MAP, CURVES = "map", "curves"
Step = tuple[str, str]  # MAP or CURVES, and a method


@dataclass(frozen=True)
class Done:
    """A step's result; None where it would need too long. seconds: the CPU's time for it, estimated before; 0 for the
    curves of a map that there is none of. unlent: why the CPU did it in place of a borrowed GPU, "" where it did
    not."""

    step: Step
    result: Compared | Curves | None
    seconds: float
    unlent: str = ""


def is_long(comparison: Comparison, step: Step) -> bool:
    """Whether it takes more than the forward pass that all methods share."""
    what, method = step
    return what == CURVES or comparison.passes(method) > 0


def estimated(comparison: Comparison, step: Step) -> float:
    """Seconds on the CPU, by what this very picture took there."""
    what, method = step
    return comparison.seconds_a_pass * (CURVE_PASSES if what == CURVES else comparison.passes(method))


def long_work(
    served: Served, comparison: Comparison, picture: Picture, steps: Sequence[Step], found: dict[str, Compared]
) -> Iterator[Done]:
    """Do the steps, in order.

    Args:
        comparison: of that picture, on the CPU where the model's GPU is lent.
        found: the maps that are there already; a step for curves needs its method's among them or earlier in `steps`.

    Raises:
        Left, Stopped: the visitor left, while waiting for a GPU or else.
        ValueError: an unknown method.
    """
    rest, found, unlent = list(steps), dict(found), ""
    if rest and is_on_loan(served.explainer):
        seconds = loan_for(sum(estimated(comparison, step) for step in rest))
        known = {method: found[method] for what, method in rest if what == CURVES and method in found}
        given = picture, comparison.target, comparison.how, tuple(rest), known
        try:
            for result in borrow_each(_in_turn, *given, seconds=seconds):
                step = rest.pop(0)
                if step[0] == MAP:
                    found[step[1]] = result
                yield Done(step, result, estimated(comparison, step))
        except Unlent as refused:
            unlent = refused.why
    meter = budgets.current() or budgets.Meter("")
    for step in rest:
        stopping.check()
        what, method = step
        left = limits.SECONDS_A_REQUEST - meter.spent
        limit = max(0, int(left / comparison.seconds_a_pass))
        seconds, result = estimated(comparison, step), None
        if what == CURVES and method not in found:
            seconds = 0.0
        elif what == CURVES and limit >= CURVE_PASSES:
            result = comparison.curves(found[method])
        elif what == MAP and comparison.fits(method, limit):
            result = found[method] = comparison(method, limit)
        yield Done(step, result, seconds, unlent)


def _in_turn(
    explainer: Explainer, picture: Picture, target: str, how: str, steps: Sequence[Step], found: dict[str, Compared]
) -> Iterator[Compared | Curves]:
    comparison = Comparison(explainer, picture, target, how)
    for what, method in steps:
        if what == CURVES:
            yield comparison.curves(found[method])
        else:
            found[method] = comparison(method)
            yield found[method]
