"""ResNet (He et al. 2016, arXiv:1512.03385) and SE-ResNet (Hu et al. 2018, arXiv:1709.01507) for ImageNet-sized
pictures, as an ABN's backbone (see `backbones`): four stages of torchvision's blocks, features at stride 16.
"""

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import SqueezeExcitation


class SEBasicBlock(BasicBlock):
    """torchvision's basic block, its residual weighed channel by channel; a sixteenth of the channels in between."""

    def __init__(self, inplanes: int, planes: int, *args, **kwargs):
        super().__init__(inplanes, planes, *args, **kwargs)
        self.se = SqueezeExcitation(planes, round(planes / 16))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(self.se(out) + (x if self.downsample is None else self.downsample(x)))


class SEBottleneck(Bottleneck):
    """torchvision's bottleneck block, weighed likewise."""

    def __init__(self, inplanes: int, planes: int, *args, **kwargs):
        super().__init__(inplanes, planes, *args, **kwargs)
        self.se = SqueezeExcitation(4 * planes, round(planes / 4))

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
        out = self.bn3(self.conv3(out))
        return self.relu(self.se(out) + (x if self.downsample is None else self.downsample(x)))


DEPTHS = {
    "18": (BasicBlock, SEBasicBlock, (2, 2, 2, 2)),
    "34": (BasicBlock, SEBasicBlock, (3, 4, 6, 3)),
    "50": (Bottleneck, SEBottleneck, (3, 4, 6, 3)),
    "101": (Bottleneck, SEBottleneck, (3, 4, 23, 3)),
    "152": (Bottleneck, SEBottleneck, (3, 8, 36, 3)),
}
BLOCKS: dict[str, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]]
BLOCKS = {f"resnet{depth}": (plain, counts) for depth, (plain, _, counts) in DEPTHS.items()}
BLOCKS |= {f"se-resnet{depth}": (weighed, counts) for depth, (_, weighed, counts) in DEPTHS.items()}


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

    def attention_stage(self) -> nn.Sequential:
        """(B, 4 * width * expansion, h, w) -> (B, channels, h, w)."""
        return self._stage(3, stride=1)

    def perception_stage(self) -> nn.Sequential:
        """(B, 4 * width * expansion, h, w) -> (B, channels, h / 2, w / 2)."""
        return self._stage(3, stride=2)

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
            nn.init.zeros_(block.bn2.weight)  # ty: ignore[invalid-argument-type]  # torchvision: any module
        elif isinstance(block, Bottleneck):
            nn.init.zeros_(block.bn3.weight)  # ty: ignore[invalid-argument-type]
