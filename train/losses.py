"""The training loss: what a network's answers and its attention map are held against."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from abn.model.modeling_multitask import multitask_loss
from train.augment import Mix
from train.recipes import Recipe
from train.remedy import map_loss

OUTPUTS = ("logits", "attention_logits", "attention_map")


@dataclass(frozen=True)
class Aims:
    """What a batch of B pictures is to be answered with.

    Args:
        labels: (B,) classes, or (B, T) of 0 and 1.
        mix: how the pictures were mixed.
        maps: (B, 1, h, w) in [0, 1]: where each picture is to be attended to.
        shares: (T,) each task's share of yes, where rare answers weigh more.
    """

    labels: Tensor
    mix: Mix | None = None
    maps: Tensor | None = None
    shares: Tensor | None = None


def training_loss(outputs: Mapping[str, Tensor], aims: Aims, recipe: Recipe, tuning: bool) -> Tensor:
    """The class losses, with the shares of mixed pictures, and the attention remedy's.

    Args:
        outputs: of the network for the pictures of the aims, and then for those of no class.
        tuning: whether this is a fine-tuning round.
    """
    weight = recipe.rounds.attention_class_weight if tuning else 1.0

    def towards(labels: Tensor) -> Tensor:
        smoothing = recipe.training.label_smoothing
        return answer_loss(outputs, labels, bool(recipe.network.multitask), aims.shares, smoothing, weight)

    every, count = outputs, len(aims.labels)
    outputs = {name: every[name][:count] for name in OUTPUTS if every.get(name) is not None}
    loss, mix, maps = towards(aims.labels), aims.mix, aims.maps
    if mix is not None:
        loss = mix.share * loss + (1 - mix.share) * towards(aims.labels[mix.partners])
    if maps is not None:
        remedy = recipe.remedy
        loss = loss + remedy.attention_weight * map_loss(outputs["attention_map"], maps, remedy.peak_weight)
    if len(every["logits"]) > count:
        loss = loss + recipe.rounds.outlier_weight * outlier_loss(every, count)
    return loss


def outlier_loss(outputs: Mapping[str, Tensor], count: int) -> Tensor:
    """How badly both branches' energies tell the first `count` pictures, which have a class, from the others.

    The energy log(sum exp logits), summed over the branches, less what it is where all logits are 0, is the logit of
    having a class: a logistic regression on the energy (Du et al. 2022, arXiv:2202.01197), each side weighed alike.
    """
    score = sum(
        outputs[name].float().logsumexp(1) - math.log(outputs[name].shape[1]) for name in ("logits", "attention_logits")
    )
    return F.softplus(-score[:count]).mean() + F.softplus(score[count:]).mean()


def answer_loss(
    outputs: Mapping[str, Tensor],
    labels: Tensor,
    tasks: bool,
    shares: Tensor | None = None,
    smoothing: float = 0.0,
    attention_weight: float = 1.0,
) -> Tensor:
    """How far both branches' answers are from the labels: cross-entropy of classes, or the loss of yes-or-no tasks.

    Args:
        shares: (T,) of yes, for the weighted focal loss of tasks.
        smoothing: of labels of classes.
        attention_weight: of the attention branch's cross-entropy, beside the perception branch's.
    """
    if tasks:
        return multitask_loss(outputs["logits"], outputs["attention_logits"], labels, shares)
    loss = F.cross_entropy(outputs["logits"].float(), labels, label_smoothing=smoothing)
    if "attention_logits" not in outputs:
        return loss
    other = F.cross_entropy(outputs["attention_logits"].float(), labels, label_smoothing=smoothing)
    return loss + attention_weight * other


def shares(labels: Tensor) -> Tensor:
    """(N, T) -> (T,): each task's share of yes, for the weighted focal loss."""
    return torch.as_tensor(labels).float().mean(0)
