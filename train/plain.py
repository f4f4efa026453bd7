"""The same backbone without the attention branch: what `--plain` trains, to tell what the branch adds."""

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.utils import ModelOutput

from abn import families
from abn.families import Abilities, Shape
from abn.families.abn import shape
from abn.model.backbones import build, set_padding
from abn.model.configuration_abn import AbnConfig
from abn.model.image_processing_abn import AbnImageProcessor
from abn.model.modeling_abn import AbnPreTrainedModel


class PlainConfig(AbnConfig):
    """An `AbnConfig`; what it says of attention has no meaning here."""

    model_type = "abn-plain"
    _auto_class = None  # its folders carry no code


@dataclass
class PlainOutput(ModelOutput):
    logits: Tensor | None = None


class PlainForImageClassification(AbnPreTrainedModel):
    """features -> the perception branch's last stage -> mean -> linear: an ABN whose map is zero everywhere."""

    config_class = PlainConfig

    def __init__(self, config: PlainConfig):
        super().__init__(config)
        backbone = build(config)
        self.features = backbone.features()
        self.stage = backbone.perception_stage()
        self.fc = nn.Linear(backbone.channels, config.num_labels)
        set_padding(self, config.padding)
        self.post_init()

    def forward(self, pixel_values: Tensor, **kwargs) -> PlainOutput:
        """(B, 3, H, W) normalised pictures -> (B, K) logits."""
        return PlainOutput(logits=self.fc(self.stage(self.features(pixel_values)).mean((2, 3))))

    @classmethod
    def load(cls, folder: str | Path) -> "tuple[PlainForImageClassification, AbnImageProcessor]":
        model = cls.from_pretrained(folder, dtype="float32")
        return model, AbnImageProcessor.from_pretrained(folder)


def is_plain(folder: str | Path) -> bool:
    """Whether an output folder holds a network trained with --plain."""
    file = Path(folder) / "config.json"
    return file.is_file() and json.loads(file.read_text()).get("model_type") == PlainConfig.model_type


def network_shape(config: PreTrainedConfig) -> Shape:
    """A network's of any family, or one trained with --plain: its config is an ABN's."""
    family = families.find(config)
    return shape(config) if family is None else family.shape(config)


def abilities_of(config: PreTrainedConfig) -> Abilities:
    """Likewise; a plain network has none."""
    family = families.find(config)
    return Abilities() if family is None else family.abilities(config)
