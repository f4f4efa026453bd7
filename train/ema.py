"""Exponential moving average of weights."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn


def mean_of(states: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of several states of one network, on the first one's device; what is counted is the first one's."""
    return {
        name: torch.stack([state[name].to(first) for state in states]).mean(0) if first.is_floating_point() else first
        for name, first in states[0].items()
    }


class ExponentialAverage:
    """Exponential moving average of a model's weights and batch-norm statistics.

    The decay grows with the steps, min(decay, (1 + n) / (10 + n)), so that early weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.steps = 0
        self.average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - decay)
            else:
                self.average[name].copy_(tensor)

    @contextlib.contextmanager
    def applied_to(self, model: nn.Module):
        """The model carries the averaged weights inside the block and its own again after it."""
        own = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(self.average)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def mix(self, others: Sequence[dict[str, torch.Tensor]]) -> None:
        """Become the mean of itself and other averages of the same network."""
        self.average = mean_of([self.average, *others])

    @torch.no_grad()
    def lean(self, other: dict[str, torch.Tensor], share: float) -> None:
        """Move every number `share` (0 to 1) of the way to another average of the same network."""
        for name, tensor in self.average.items():
            if tensor.is_floating_point():
                tensor.lerp_(other[name].to(tensor), share)

    def save(self, file: Path) -> None:
        tensors = {name: tensor.contiguous() for name, tensor in self.average.items()}
        save_file({**tensors, "steps": torch.tensor(self.steps)}, file)

    def load(self, file: Path) -> None:
        tensors = load_file(file)
        self.steps = int(tensors.pop("steps"))
        for name, tensor in tensors.items():
            self.average[name].copy_(tensor)
