"""The multi-task ABN: a yes or no to each of its tasks, and a signed map for each.

"attention" shows the positive part of the target task's map, "attention-negative" its negative part, "attention-both"
its absolute value.
"""

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from ..methods import METHODS, Method, Parts, method
from ..model.configuration_abn import AbnConfig
from ..model.modeling_multitask import FORMS, AbnForMultiTaskClassification, margins
from .abn import LIMITS, shape
from .family import Abilities, Family

TASK_METHODS: dict[str, Method] = {}


def _strongest(model, maps: Tensor) -> Tensor:
    """What a map is shown over: its largest absolute value; 1 where maps are bounded, as their authors show them."""
    if FORMS[model.config.multitask].bounded:
        return torch.ones_like(maps[:, :1, :1])
    return maps.abs().amax((1, 2), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)


def task_maps(parts: Parts, targets: Tensor) -> Tensor:
    """(B, h, w): each picture's signed map of its target task."""
    return parts.attention_map[torch.arange(len(targets)), targets].float()


@method("attention", "Attention map, positive", known=TASK_METHODS)
def positive(model, pixel_values, parts, targets) -> Tensor:
    """Where the task's map is above zero, over the map's largest absolute value (of v0.1: the map as it is)."""
    maps = task_maps(parts, targets)
    return maps.clamp(min=0) / _strongest(model, maps)


@method("attention-negative", "Attention map, negative", known=TASK_METHODS)
def negative(model, pixel_values, parts, targets) -> Tensor:
    """Where it is below zero, likewise."""
    maps = task_maps(parts, targets)
    return (-maps).clamp(min=0) / _strongest(model, maps)


@method("attention-both", "Attention map, both signs", known=TASK_METHODS)
def both_signs(model, pixel_values, parts, targets) -> Tensor:
    """Its absolute value, likewise."""
    maps = task_maps(parts, targets)
    return maps.abs() / _strongest(model, maps)


TASK_METHODS |= {name: METHODS[name] for name in ("centre", "uniform")}


@torch.no_grad()
def _forward(model: AbnForMultiTaskClassification, pixel_values: Tensor) -> Parts:
    outputs = model(pixel_values=pixel_values)
    return Parts(margins(outputs.logits.float()), outputs.attention_logits, outputs.attention_map)


def _answers(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Each task's probability of yes; they do not sum to one. In the logits' order: sigmoids far from 0 are all 1."""
    return logits.sigmoid(), logits.argsort(descending=True, stable=True)


def _holds(config: PreTrainedConfig) -> bool:
    return config.model_type == AbnConfig.model_type and config.multitask is not None


MULTITASK = Family(
    model_type=AbnConfig.model_type,
    holds=_holds,
    forward=_forward,
    methods=lambda config: TASK_METHODS,
    shown_maps=task_maps,
    answers=_answers,
    abilities=lambda config: Abilities(uneditable="tasks", tasks=True),
    shape=shape,
    limits=LIMITS,
)
