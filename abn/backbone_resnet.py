"""ResNet (He et al. 2016, arXiv:1512.03385) as an ABN backbone: the stages before the last one, and the last.

The blocks are torchvision's. A backbone gives an ABN three things: `features` (picture -> feature map at stride 16),
`last_stage(stride)` (made twice: for the attention branch at stride 1, for the perception branch at stride 2)
and `channels` (of the last stage's output).
"""

from collections import OrderedDict

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

BLOCKS = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
    "resnet152": (Bottleneck, (3, 8, 36, 3)),
}


class ResNetBackbone:
    """Builds the parts of a ResNet from an `AbnConfig`; holds no parameters itself."""

    def __init__(self, config):
        self.block, self.depths = BLOCKS[config.arch]
        self.width = config.width
        self.stem = config.stem
        self.shortcut = config.shortcut
        self.channels = 8 * self.width * self.block.expansion

    def features(self) -> nn.Sequential:
        """(B, 3, H, W) -> (B, 4 * width * expansion, H / 16, W / 16)."""
        parts = OrderedDict(
            conv1=self._stem(),
            bn1=nn.BatchNorm2d(self.width),
            relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        for index in range(3):
            parts[f"layer{index + 1}"] = self._stage(index, stride=1 if index == 0 else 2)
        return nn.Sequential(parts)

    def last_stage(self, stride: int) -> nn.Sequential:
        """(B, 4 * width * expansion, h, w) -> (B, channels, h / stride, w / stride)."""
        return self._stage(3, stride)

    def _stem(self) -> nn.Module:
        if self.stem == "7x7":
            return nn.Conv2d(3, self.width, 7, stride=2, padding=3, bias=False)
        half = self.width // 2
        return nn.Sequential(
            nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 3, padding=1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, self.width, 3, padding=1, bias=False),
        )

    def _stage(self, index: int, stride: int) -> nn.Sequential:
        planes = self.width * 2**index
        out_channels = planes * self.block.expansion
        in_channels = self.width if index == 0 else out_channels // 2
        blocks = [self.block(in_channels, planes, stride, self._downsample(in_channels, out_channels, stride))]
        blocks += [self.block(out_channels, planes) for _ in range(1, self.depths[index])]
        return nn.Sequential(*blocks)

    def _downsample(self, in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
        if stride == 1 and in_channels == out_channels:
            return None
        norm = nn.BatchNorm2d(out_channels)
        if self.shortcut == "conv":
            return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), norm)
        pool = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False) if stride == 2 else nn.Identity()
        return nn.Sequential(pool, nn.Conv2d(in_channels, out_channels, 1, bias=False), norm)


def zero_last_norms(module: nn.Module) -> None:
    """Start every residual block as the identity: its last batch norm's weight at zero (Goyal et al. 2017)."""
    for block in module.modules():
        if isinstance(block, BasicBlock):
            nn.init.zeros_(block.bn2.weight)
        elif isinstance(block, Bottleneck):
            nn.init.zeros_(block.bn3.weight)
