"""What differs between kinds of networks: a file a kind, and here the only list of them."""

from torch import nn
from transformers import PreTrainedConfig

from ..errors import AbnError
from .abn import ABN
from .family import Abilities, Family, Shape
from .multitask import MULTITASK
from .vit import VIT

FAMILIES = (ABN, MULTITASK, VIT)


def find(config: PreTrainedConfig) -> Family | None:
    """The family of networks of that config; None for a network that nothing here explains."""
    return next((family for family in FAMILIES if family.holds(config)), None)


def family_of(config: PreTrainedConfig) -> Family:
    """Raises: ValueError: no family holds such a network."""
    found = find(config)
    if found is None:
        known = ", ".join(sorted({repr(family.model_type) for family in FAMILIES}))
        raise AbnError("checkpoint_family", kind=config.model_type, known=known)
    return found


def answers_tasks(model: nn.Module) -> bool:
    """Whether a network answers task by task; False for any module that is of no family."""
    config = getattr(model, "config", None)
    if config is None:
        return False
    family = find(config)
    return family is not None and family.abilities(config).tasks


def check_arch(arch: str | None, own: str, checkpoint: str) -> None:
    """Raises: ValueError: --arch, where it is given, is not the checkpoint's network."""
    if arch is not None and arch != own:
        raise ValueError(f"--arch {arch} contradicts {checkpoint}, which is a {own}; leave it out")


__all__ = [
    "ABN",
    "FAMILIES",
    "MULTITASK",
    "VIT",
    "Abilities",
    "Family",
    "Shape",
    "answers_tasks",
    "check_arch",
    "family_of",
    "find",
]
