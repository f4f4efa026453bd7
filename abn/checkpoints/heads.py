"""New heads for other classes: what an ABN keeps of a trained network, and what begins anew."""

from transformers import PreTrainedConfig

from ..model.configuration_abn import AbnConfig
from ..model.modeling_abn import AbnForImageClassification
from .infer import ATTENTION, PERCEPTION
from .pretrained import Pretrained

KEPT_FIELDS = ("arch", "width", "stem", "shortcut", "padding", "attention_head", "residual_attention", "dropout")
# What answers for classes, or for tasks, and the map that is made of it
HEADS = tuple(f"{ATTENTION}{part}." for part in ("conv", "norm2", "class_conv", "map_conv", "map_norm", "depth_conv"))
HEADS += (f"{PERCEPTION}fc.", f"{PERCEPTION}weight", f"{PERCEPTION}bias")


def can_have_new_heads(config: PreTrainedConfig) -> bool:
    """Whether a network is an ABN, a classifier or of tasks; a Vision Transformer is none."""
    return config.model_type == AbnConfig.model_type


def with_new_heads(network, classes: tuple[str, ...]) -> tuple[AbnForImageClassification, frozenset[str]]:
    """A classifier of other classes: backbone and branches of `network`, heads anew.

    Args:
        network: an ABN, of classes or of tasks, or what `load_pretrained` gives.

    Returns:
        The model, and the names of its parameters that are new.
    """
    if isinstance(network, Pretrained):
        fields, tensors = network.fields, network.branches()
    else:
        fields = {name: getattr(network.config, name) for name in KEPT_FIELDS}
        tensors = {name: t for name, t in network.state_dict().items() if not name.startswith(HEADS)}
    model = AbnForImageClassification(AbnConfig(**fields, id2label=dict(enumerate(classes))))
    fresh = model.state_dict()
    model.load_state_dict({**fresh, **tensors})
    return model, frozenset(name for name, _ in model.named_parameters() if name not in tensors)
