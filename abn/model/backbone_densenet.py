"""DenseNet-BC (Huang et al. 2017, arXiv:1608.06993) for 32 x 32 pictures, as an ABN's backbone (see `backbones`):
three of torchvision's dense blocks, features at stride 4, and a last stage that keeps their size.
"""

from collections import OrderedDict

from torch import nn
from torchvision.models.densenet import _DenseBlock, _Transition

BOTTLENECK = 4  # channels between the two convolutions of a layer, in growth rates
COMPRESSION = 2


class DenseNetBackbone:
    """Depth 6n+4: n layers a block."""

    def __init__(self, *, depth: int, growth: int, dropout: float = 0.0):
        self.layers, self.growth, self.dropout = (depth - 4) // 6, growth, dropout
        self.in_channels = [2 * growth]
        for _ in range(2):
            self.in_channels.append((self.in_channels[-1] + self.layers * growth) // COMPRESSION)
        self.channels = self.in_channels[2] + self.layers * growth

    def features(self) -> nn.Sequential:
        """(B, 3, H, W) -> (B, in_channels[2], H / 4, W / 4)."""
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["conv1"] = nn.Conv2d(3, self.in_channels[0], 3, padding=1, bias=False)
        for index in range(2):
            parts[f"dense{index + 1}"] = self._dense(index)
            out_channels = self.in_channels[index] + self.layers * self.growth
            parts[f"trans{index + 1}"] = _Transition(out_channels, self.in_channels[index + 1])
        return nn.Sequential(parts)

    def attention_stage(self) -> nn.Sequential:
        """(B, in_channels[2], h, w) -> (B, channels, h, w)."""
        return nn.Sequential(OrderedDict(dense=self._dense(2)))

    def perception_stage(self) -> nn.Sequential:
        """(B, in_channels[2], h, w) -> (B, channels, h, w), normalised."""
        return nn.Sequential(
            OrderedDict(dense=self._dense(2), norm=nn.BatchNorm2d(self.channels), relu=nn.ReLU(inplace=True))
        )

    def _dense(self, index: int) -> nn.Module:
        return _DenseBlock(self.layers, self.in_channels[index], BOTTLENECK, self.growth, self.dropout)
