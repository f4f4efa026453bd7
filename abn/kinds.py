"""What kind of network a checkpoint holds: which explainer it takes, which architecture it is."""

from transformers import PreTrainedModel, ViTForImageClassification

from .explanation import Explainer
from .multitask import MultiTaskExplainer
from .vit import VitExplainer


def kind_of(model: PreTrainedModel) -> type[Explainer]:
    """The class of explainer for a network that `load_checkpoint` gave."""
    if isinstance(model, ViTForImageClassification):
        return VitExplainer
    return Explainer if model.config.multitask is None else MultiTaskExplainer


def check_network(arch: str | None, config, checkpoint: str) -> None:
    """Raises: ValueError: --arch, where it is given, is not the checkpoint's network."""
    own = getattr(config, "arch", config.model_type)
    if arch is not None and arch != own:
        raise ValueError(f"--arch {arch} contradicts {checkpoint}, which is a {own}; leave it out")
