"""Work in a forked process: the same answer, and a sentence where there is none."""

import os
import signal

import pytest
import torch

from abn.space.server.aside import aside


def slope(x: torch.Tensor) -> torch.Tensor:
    x = x.requires_grad_(True)
    return torch.autograd.grad((x**3).sum(), x)[0]


def fails(x):
    raise ValueError("no such thing")


def dies(x):
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_answer_is_the_same():
    x = torch.arange(40_000.0)  # more than a pipe holds
    assert torch.equal(aside(slope, x), 3 * x**2)


@pytest.mark.parametrize(("work", "words"), [(fails, "ValueError: no such thing"), (dies, "the process died")])
def test_what_went_wrong_is_said(work, words):
    with pytest.raises(RuntimeError, match=words):
        aside(work, torch.ones(1))
