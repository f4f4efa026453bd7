"""Explaining a multi-task network: scores of all tasks, and the map of one of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .explanation import Explainer, Explanation, Passed, Picture
from .methods import METHODS, Method, Parts, method_named
from .model.modeling_multitask import FORMS, margins


def _strongest(model, maps: Tensor) -> Tensor:
    """What a map is shown over: its largest absolute value; 1 where maps are bounded, as their authors show them."""
    if FORMS[model.config.multitask].bounded:
        return torch.ones_like(maps[:, :1, :1])
    return maps.abs().amax((1, 2), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)


def task_maps(parts: Parts, targets: Tensor) -> Tensor:
    """(B, h, w): each picture's signed map of its target task."""
    return parts.attention_map[torch.arange(len(targets)), targets].float()


def positive(model, pixel_values, parts, targets) -> Tensor:
    """Where the task's map is above zero, over the map's largest absolute value (of v0.1: the map as it is)."""
    maps = task_maps(parts, targets)
    return maps.clamp(min=0) / _strongest(model, maps)


def negative(model, pixel_values, parts, targets) -> Tensor:
    """Where it is below zero, likewise."""
    maps = task_maps(parts, targets)
    return (-maps).clamp(min=0) / _strongest(model, maps)


def both(model, pixel_values, parts, targets) -> Tensor:
    """Its absolute value, likewise."""
    maps = task_maps(parts, targets)
    return maps.abs() / _strongest(model, maps)


TASK_METHODS = {
    method.name: method
    for method in (
        Method("attention", "Attention map, positive", True, positive),
        Method("attention-negative", "Attention map, negative", True, negative),
        Method("attention-both", "Attention map, both signs", True, both),
        METHODS["centre"],
        METHODS["uniform"],
    )
}


class MultiTaskExplainer(Explainer):
    """As `Explainer`, for a network of `modeling_multitask`.

    `label` is the task most surely answered with yes, `probabilities` every task's probability of yes (they do not sum
    to one). `target` names the task whose map is shown; `attention_map` is that map, signed. `method` "attention" shows
    its positive part, "attention-negative" its negative part, "attention-both" its absolute value.
    """

    methods = TASK_METHODS

    def explain_with_features(self, picture: Picture, view: str = "model") -> tuple[Explanation, Tensor]:
        """Raises: ValueError: always; there is one map a task, and no single one to edit."""
        raise ValueError("this network has an attention map for every task; only a single one can be edited")

    @torch.no_grad()
    def every_task(
        self,
        pictures: Sequence[Picture],
        *,
        method: str = "attention",
        view: str = "model",
        tasks: Sequence[str | int] | None = None,
    ) -> list[dict[str, Explanation]]:
        """For each picture, its explanation for every task, or for `tasks`, from one forward pass: name -> explanation.

        Raises:
            As `__call__`.
        """
        how, opened = method_named(method, self.methods), [self.read(picture, view) for picture in pictures]
        indices = [self.target_index(task) for task in (range(len(self.labels)) if tasks is None else tasks)]
        found: list[dict[str, Explanation]] = [{} for _ in opened]
        for members in self.batches(opened, view):
            batch = [opened[i] for i in members]
            passed = self.forward(batch, view)
            for index in indices:
                targets = torch.full_like(passed.targets, index)
                made = self._made(batch, how, view, Passed(passed.pixels, passed.parts, targets))
                for place, explanation in zip(members, made, strict=True):
                    found[place][self.labels[index]] = explanation
        return found

    @torch.no_grad()
    def parts(self, pixels: Tensor) -> Parts:
        outputs = self.model(pixel_values=pixels)
        return Parts(margins(outputs.logits.float()), outputs.attention_logits, outputs.attention_map)

    def _attention_maps(self, passed: Passed) -> Tensor:
        return task_maps(passed.parts, passed.targets)

    def _probabilities(self, logits: Tensor) -> dict[str, float]:
        values = logits.sigmoid()
        order = logits.argsort(descending=True, stable=True)  # sigmoids far from 0 are all 1
        return {self.labels[i]: values[i].item() for i in order.tolist()}
