"""The Attention Branch Network: one bounded map, used by the perception branch that answers."""

from torch import Tensor
from transformers import PreTrainedConfig

from ..methods import METHODS, forward_parts
from ..model.configuration_abn import MOST_LABELS, MOST_WIDTH, AbnConfig
from ..model.modeling_abn import HEADS, AbnForImageClassification
from .family import Abilities, Family, Shape, first_map, one_class

LIMITS = {"width": MOST_WIDTH, "num_labels": MOST_LABELS}


def shape(config: AbnConfig) -> Shape:
    return Shape(config.arch, config.width, padding=config.padding)


def _abilities(config: AbnConfig) -> Abilities:
    unbounded = config.attention_head is not None and not HEADS[config.attention_head].map_kernel
    return Abilities(uneditable="unbounded" if unbounded else "", tunable=True)


def _perceive(model: AbnForImageClassification, features: Tensor, attention_map: Tensor) -> Tensor:
    return model.model.perception_branch(features, attention_map.to(features))


def _holds(config: PreTrainedConfig) -> bool:
    return config.model_type == AbnConfig.model_type and config.multitask is None


ABN = Family(
    model_type=AbnConfig.model_type,
    holds=_holds,
    forward=forward_parts,
    methods=lambda config: METHODS,
    shown_maps=first_map,
    answers=one_class,
    abilities=_abilities,
    shape=shape,
    beside="grad-cam",
    perceive=_perceive,
    limits=LIMITS,
)
