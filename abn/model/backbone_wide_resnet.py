"""Wide ResNet (Zagoruyko & Komodakis 2016, arXiv:1605.07146) for 32 x 32 pictures, as an ABN's backbone (see
`backbones`): three stages of pre-activation blocks, features at stride 2.
"""

from collections import OrderedDict

from torch import Tensor, nn


class PreActivationBlock(nn.Module):
    """BN, ReLU, 3x3, BN, ReLU, dropout, 3x3, and a shortcut: a 1x1 convolution of the activated input where the number
    of channels changes, else the input itself."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, dropout: float):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.shortcut = None
        if in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.norm1(x).relu()
        out = self.conv2(self.dropout(self.norm2(self.conv1(activated)).relu()))
        return out + (x if self.shortcut is None else self.shortcut(activated))


class WideResNetBackbone:
    """Depth 6n+4: n blocks a stage, `factor` times the channels of a ResNet for CIFAR."""

    def __init__(self, *, depth: int, factor: int, dropout: float = 0.0):
        self.blocks, self.dropout = (depth - 4) // 6, dropout
        self.widths = (16, 16 * factor, 32 * factor, 64 * factor)
        self.channels = self.widths[3]

    def features(self) -> nn.Sequential:
        """(B, 3, H, W) -> (B, channels / 2, H / 2, W / 2)."""
        return nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(3, self.widths[0], 3, padding=1, bias=False),
                layer1=self._stage(0, stride=1),
                layer2=self._stage(1, stride=2),
            )
        )

    def attention_stage(self) -> nn.Sequential:
        """(B, channels / 2, h, w) -> (B, channels, h, w)."""
        return nn.Sequential(OrderedDict(blocks=self._stage(2, stride=1)))

    def perception_stage(self) -> nn.Sequential:
        """(B, channels / 2, h, w) -> (B, channels, h / 2, w / 2), normalised."""
        return nn.Sequential(
            OrderedDict(blocks=self._stage(2, stride=2), norm=nn.BatchNorm2d(self.channels), relu=nn.ReLU(inplace=True))
        )

    def _stage(self, index: int, stride: int) -> nn.Sequential:
        in_channels, out_channels = self.widths[index : index + 2]
        first = PreActivationBlock(in_channels, out_channels, stride, self.dropout)
        rest = [PreActivationBlock(out_channels, out_channels, 1, self.dropout) for _ in range(1, self.blocks)]
        return nn.Sequential(first, *rest)
