"""Named recipes: every number of a training run. An argument of the command overrides its field."""

import re
from dataclasses import fields
from typing import Any

from train.recipes import cifar, corrections, finetune, modern, multitask, reference, vit
from train.recipes.recipe import PART_OF, Recipe, Remedy, Rounds

RECIPES: dict[str, Recipe] = {
    **modern.RECIPES,
    **finetune.RECIPES,
    **reference.RECIPES,
    **cifar.RECIPES,
    **vit.RECIPES,
    **multitask.RECIPES,
    **corrections.RECIPES,
}

CIFAR_RECIPES = {
    "resnet": "cifar-resnet110",
    "densenet": "cifar-densenet",
    "wrn": "cifar-wrn",
    "resnext": "cifar-resnext",
}


def recipe_for(asked: Any) -> str:
    """The recipe of a command that names none, from what it asks for (see `train.settings.Asked`). With --initial and
    nothing of fine-tuning rounds that is finetune. An --arch without a --width means the standard network as the
    reference and the authors train it, who know no widths, and not compact's narrow one."""
    if asked.corrections:
        return "correct"
    if asked.initial is not None and not (asked.multitask or asked.dataset == "celeba" or _has_rounds(asked)):
        return "finetune"
    if asked.arch is None or asked.width is not None:
        return "compact"
    arch = asked.arch.lower()
    if found := re.fullmatch(r"([a-z]+)\d+(-\d+(x64)?)?-cifar", arch):
        return CIFAR_RECIPES.get(found[1], "paper")
    if arch == "vit":
        return "vit-mnist" if asked.dataset == "mnist" else "vit-imagenette"
    return "multitask" if asked.multitask or asked.dataset == "celeba" else "paper"


def _has_rounds(asked: Any) -> bool:
    """Whether a command says anything of fine-tuning rounds or of the attention remedy."""
    named = [field.name for part in (Rounds, Remedy) for field in fields(part)]
    return any(getattr(asked, name) for name in named)


def recipe_of(asked: Any) -> Recipe:
    """The recipe that `asked.recipe` names, with what else was asked for in place of its fields.

    Raises:
        ValueError: there is no such recipe; names those there are.
    """
    if asked.recipe not in RECIPES:
        raise ValueError(f"--recipe must be one of {', '.join(RECIPES)}; got {asked.recipe!r}")
    given = {name: getattr(asked, name) for name in PART_OF}
    changes = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if v is not None}
    recipe = RECIPES[asked.recipe].but(**changes)
    without = {"attention_weight": 0.0, "outliers": 0.0}
    return recipe.but(**without) if recipe.network.plain else recipe


def described(recipe: Recipe) -> str:
    """The network and the length of a recipe, in words."""
    arch, width, lengths = recipe.network.arch, recipe.network.width, recipe.rounds.tune_epochs
    network = arch if arch.endswith("-cifar") else f"{arch} of width {width}"
    rounds = f", then fine-tuning rounds of {' and '.join(map(str, lengths))}" if lengths else ""
    return f"{network}, {recipe.training.epochs} epochs{rounds}"
