"""ZeroGPU's GPU on loan, and what became of a loan that was refused.

ZeroGPU runs decorated functions in a forked process: what they are given and give is pickled, and the network, which is
not, reaches them as a global. A loan can fail in many ways (the visitor's quota, no free card, a worker that dies); all
end in `Unlent`, and the caller answers on the CPU. Off ZeroGPU nothing here is called.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ...explanation import Explainer
from ...families import vit
from .aside import aside

ZERO_GPU = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")  # as `spaces` reads it

LEFT = "Connection closed by visitor"  # how `spaces` begins when the visitor left while waiting (zero/client.py)
NONE_FREE = "No GPU was available"
USED_UP = ("ZeroGPU quota exceeded", "ZeroGPU pending credits exceeded")

try:  # the decorator does nothing off ZeroGPU
    import spaces

    def lend_gpu(seconds: Callable) -> Callable:
        return spaces.GPU(duration=seconds)
except ImportError:

    def lend_gpu(seconds: Callable) -> Callable:
        return lambda function: function


if ZERO_GPU:
    vit.gradients = aside


class Unlent(Exception):
    """No loan. why: "quota", "none_free" or "failed"."""

    def __init__(self, why: str):
        super().__init__(why)
        self.why = why


class Left(Exception):
    """The visitor left while waiting: nobody wants the answer."""


_lent: Explainer | None = None  # on the GPU, inside a loan


def offer(explainer: Explainer) -> None:
    """Name the network that loans are about."""
    global _lent
    _lent = explainer


def is_on_loan(explainer: Explainer) -> bool:
    return explainer is _lent


def borrow(work: Callable, *given: Any, seconds: int) -> Any:
    """work(explainer, *given) on a GPU.

    Args:
        work: a function of a module; `given` and its answer are pickled.
        seconds: how long it takes at most.

    Raises:
        Unlent: whatever was the matter, an error of `work` included.
        Left: the visitor left meanwhile.
    """
    try:
        return _on_gpu(work, given, seconds)
    except Exception as error:
        raise _refusal(error) from None


def borrow_each(work: Callable, *given: Any, seconds: int) -> Iterator:
    """As `borrow`, for a function that yields its answers one by one."""
    try:
        yield from _each_on_gpu(work, given, seconds)
    except Exception as error:
        raise _refusal(error) from None


@lend_gpu(lambda work, given, seconds: seconds)
def _on_gpu(work: Callable, given: tuple, seconds: int) -> Any:
    return work(_ready(), *given)


@lend_gpu(lambda work, given, seconds: seconds)
def _each_on_gpu(work: Callable, given: tuple, seconds: int) -> Iterator:
    yield from work(_ready(), *given)


def _ready() -> Explainer:
    """The network as the forked process has it: its weights have been moved, and threads of OpenMP do not outlive a
    fork."""
    torch.set_num_threads(1)
    _lent.device = next(_lent.model.parameters()).device
    return _lent


def _refusal(error: Exception) -> Exception:
    words, title = str(error), getattr(error, "title", "")
    if words.startswith(LEFT):
        return Left()
    why = "none_free" if NONE_FREE in words else "quota" if title in USED_UP else "failed"
    print(f"No GPU on loan ({why}): {words or type(error).__name__}. The CPU answers.", flush=True)
    return Unlent(why)
