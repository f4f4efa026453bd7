"""ResNet-6n+2 (He et al. 2016, arXiv:1512.03385, section 4.2) and ResNeXt (Xie et al. 2017, arXiv:1611.05431) for
32 x 32 pictures, as an ABN's backbone (see `backbones`): three stages of torchvision's blocks, features at stride 2.
"""

from collections import OrderedDict

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

Block = type[BasicBlock | Bottleneck]


class CifarResNetBackbone:
    """planes: of the first stage's blocks; each later stage doubles them. groups: of ResNeXt's 3x3 convolutions."""

    def __init__(self, *, block: Block, depth: int, planes: int = 16, stem: int = 16, groups: int = 1):
        self.block, self.depth, self.planes, self.stem, self.groups = block, depth, planes, stem, groups
        self.channels = 4 * planes * block.expansion

    def features(self) -> nn.Sequential:
        """(B, 3, H, W) -> (B, channels / 2, H / 2, W / 2)."""
        return nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(3, self.stem, 3, padding=1, bias=False),
                bn1=nn.BatchNorm2d(self.stem),
                relu=nn.ReLU(inplace=True),
                layer1=self._stage(0, stride=1),
                layer2=self._stage(1, stride=2),
            )
        )

    def attention_stage(self) -> nn.Sequential:
        """(B, channels / 2, h, w) -> (B, channels, h, w)."""
        return self._stage(2, stride=1)

    def perception_stage(self) -> nn.Sequential:
        """(B, channels / 2, h, w) -> (B, channels, h / 2, w / 2)."""
        return self._stage(2, stride=2)

    def _stage(self, index: int, stride: int) -> nn.Sequential:
        planes = self.planes * 2**index
        out_channels = planes * self.block.expansion
        in_channels = self.stem if index == 0 else out_channels // 2
        downsample = None
        if stride != 1 or in_channels != out_channels:
            conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
            downsample = nn.Sequential(conv, nn.BatchNorm2d(out_channels))
        blocks = [self.block(in_channels, planes, stride, downsample, self.groups)]
        blocks += [self.block(out_channels, planes, groups=self.groups) for _ in range(1, self.depth)]
        return nn.Sequential(*blocks)


def cifar_resnet(depth: int) -> CifarResNetBackbone:
    """ResNet-6n+2; bottleneck blocks from depth 44 on, as the authors of ABN have it."""
    return CifarResNetBackbone(block=Bottleneck if depth >= 44 else BasicBlock, depth=(depth - 2) // 6)


def cifar_resnext(depth: int, cardinality: int) -> CifarResNetBackbone:
    """ResNeXt-9n+2 with `cardinality` groups of 64 channels."""
    return CifarResNetBackbone(block=Bottleneck, depth=(depth - 2) // 9, planes=64, stem=64, groups=cardinality)
