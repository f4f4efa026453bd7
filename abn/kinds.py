"""Which explainer a network takes."""

from transformers import PreTrainedModel, ViTForImageClassification

from .explanation import Explainer
from .multitask import MultiTaskExplainer
from .vit import VitExplainer


def kind_of(model: PreTrainedModel) -> type[Explainer]:
    """The class of explainer for a network that `load_checkpoint` gave."""
    if isinstance(model, ViTForImageClassification):
        return VitExplainer
    return Explainer if model.config.multitask is None else MultiTaskExplainer
