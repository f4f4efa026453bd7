"""Every backbone an ABN can have, behind one interface.

A backbone is what `build` returns. It holds no parameters and makes an ABN's parts:

    channels            of the last stage's output
    features()          picture -> feature map: everything before the last stage
    attention_stage()   the last stage as the attention branch has it: it keeps the feature map's size
    perception_stage()  the last stage as the perception branch has it, with what belongs to its end
"""

from torch import nn

from .backbone_cifar_resnet import CifarResNetBackbone, cifar_resnet, cifar_resnext
from .backbone_densenet import DenseNetBackbone
from .backbone_resnet import ResNetBackbone
from .backbone_wide_resnet import WideResNetBackbone
from .configuration_abn import AbnConfig, cifar_family

Backbone = CifarResNetBackbone | DenseNetBackbone | ResNetBackbone | WideResNetBackbone


def build(config: AbnConfig) -> Backbone:
    """The backbone that an `AbnConfig` asks for."""
    found = cifar_family(config.arch)
    if found is None:
        return ResNetBackbone(config)
    family, numbers = found
    if family == "resnet":
        return cifar_resnet(*numbers)
    if family == "resnext":
        return cifar_resnext(*numbers)
    if family == "densenet":
        return DenseNetBackbone(depth=numbers[0], growth=numbers[1], dropout=config.dropout)
    return WideResNetBackbone(depth=numbers[0], factor=numbers[1], dropout=config.dropout)


def set_padding(module: nn.Module, padding: str) -> None:
    """What the module's convolutions see beyond the border, one of `configuration_abn.PADDINGS`; no tensor changes.

    Those of one pixel see nothing there: PyTorch would copy their input for a border of none."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and any(part.padding):
            part.padding_mode = padding  # ty: ignore[invalid-assignment]
