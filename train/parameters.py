"""Which parameters learn how fast: weights decay, and what was trained before may have a lower rate, or none."""

import re

from torch import nn

from train.recipes.recipe import Training

WRAPPED = re.compile(r"^((_orig_mod|module)\.)+")  # by a compiler, or for several devices


def parameter_groups(model: nn.Module, how: Training, pretrained: frozenset[str]) -> list[dict]:
    """For an optimizer: those of two and more dimensions decay, biases and norms do not.

    Args:
        pretrained: names of the parameters whose rate is `how.pretrained_rate` of the others'.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            share = how.pretrained_rate if WRAPPED.sub("", name) in pretrained else 1.0
            decay = how.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((share, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": how.lr * share, "weight_decay": decay}
        for (share, decay), parameters in groups.items()
    ]


def freeze_features(model: nn.Module) -> None:
    """From now on no optimizer changes the feature extractor's weights: those in `model.features`, or in a plain
    network's `features`. The statistics of its batch norms go on."""
    for name, parameter in model.named_parameters():
        if WRAPPED.sub("", name).removeprefix("model.").startswith("features."):
            parameter.requires_grad_(False)


def frozen_norms(model: nn.Module, pretrained: frozenset[str]) -> list[nn.Module]:
    """The batch norms whose weights are `pretrained`: from now on no optimizer changes them. While they are to use
    their statistics and not to change those, they must be put in evaluation mode before each step."""
    norms = [
        part
        for name, part in model.named_modules()
        if isinstance(part, nn.BatchNorm2d) and f"{name}.weight" in pretrained
    ]
    for norm in norms:
        norm.requires_grad_(False)
    return norms
