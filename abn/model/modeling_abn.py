"""The Attention Branch Network (ABN; Fukui et al., CVPR 2019, arXiv:1812.10025).

    features = feature extractor(picture)
    attention branch:  features -> class logits of its own, and an attention map in (0, 1)
    perception branch: features * map + features -> last stage -> mean over places -> class logits

Both branches are trained by the sum of their cross-entropies; one forward pass gives both.
"""

import copy
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple

from .backbones import build, set_padding
from .configuration_abn import AbnConfig
from .layouts import check_loaded, check_shapes, read_checkpoint, uncounted


@dataclass
class AbnOutput(ModelOutput):
    """What one forward pass gives, for B pictures, K classes and a feature map of h x w places.

    loss: scalar, the sum of both branches' mean cross-entropies; None without labels.
    logits: (B, K), the perception branch's: the network's answer.
    attention_logits: (B, K), the attention branch's own answer.
    attention_map: (B, 1, h, w) in (0, 1).
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    attention_logits: Tensor | None = None
    attention_map: Tensor | None = None


@dataclass(frozen=True)
class AttentionHead:
    """The published forms differ in these places and in no other. map_kernel 0: the map is the sum over classes of
    log(1 + response), without a convolution and not bounded by 1."""

    norm: bool = True
    relu_after_norm: bool = False
    map_kernel: int = 3
    map_norm: bool = True
    class_conv: bool = True


HEADS = {
    "A": AttentionHead(),  # the paper's
    "B": AttentionHead(relu_after_norm=True, map_kernel=1, map_norm=False, class_conv=False),
    "C": AttentionHead(relu_after_norm=True),
    "D": AttentionHead(norm=False),  # the authors' ResNeXt
    "E": AttentionHead(map_kernel=0, map_norm=False),  # the authors' SE-ResNet
}


class AttentionBranch(nn.Module):
    """(B, C, h, w) features -> (B, K) class logits and a (B, 1, h, w) attention map in (0, 1)."""

    def __init__(self, *, stage: nn.Module, channels: int, num_labels: int, head: AttentionHead):
        super().__init__()
        self.stage = stage
        self.norm = nn.BatchNorm2d(channels) if head.norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True) if head.relu_after_norm else nn.Identity()
        self.conv = nn.Conv2d(channels, num_labels, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(num_labels)
        self.map_conv = None
        if head.map_kernel:
            self.map_conv = nn.Conv2d(num_labels, 1, head.map_kernel, padding=head.map_kernel // 2, bias=False)
        self.map_norm = nn.BatchNorm2d(1) if head.map_norm else nn.Identity()
        self.class_conv = nn.Conv2d(num_labels, num_labels, 1, bias=False) if head.class_conv else nn.Identity()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        class_maps, attention_map = self.maps(features)
        return class_maps.mean((2, 3)), attention_map

    def maps(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K, h, w) class activations, whose mean over places is the logits, and the (B, 1, h, w) attention map."""
        responses = F.relu(self.norm2(self.conv(self.relu(self.norm(self.stage(features))))))
        if self.map_conv is None:
            return self.class_conv(responses), responses.log1p().sum(1, keepdim=True)
        return self.class_conv(responses), torch.sigmoid(self.map_norm(self.map_conv(responses)))


class PerceptionBranch(nn.Module):
    """(B, C, h, w) features and a (B, 1, h, w) map -> (B, K) class logits."""

    def __init__(self, *, stage: nn.Module, channels: int, num_labels: int, residual: bool):
        super().__init__()
        self.stage = stage
        self.fc = nn.Linear(channels, num_labels)
        self.residual = residual

    def forward(self, features: Tensor, attention_map: Tensor) -> Tensor:
        return self.fc(self.last_features(features, attention_map).mean((2, 3)))

    def last_features(self, features: Tensor, attention_map: Tensor) -> Tensor:
        """(B, channels, h / 2, w / 2): what the last stage makes of the attended features."""
        attended = features * attention_map
        return self.stage(attended + features if self.residual else attended)


class AbnNetwork(nn.Module):
    """Feature extractor and the two branches. `attention_map` keeps the last forward's map, (B, 1, h, w), for
    callers of the reference implementation; `AbnOutput.attention_map` is the one to use, also across threads."""

    def __init__(self, config: AbnConfig, head: AttentionHead):
        super().__init__()
        backbone = build(config)
        shape = {"channels": backbone.channels, "num_labels": config.num_labels}
        self.features: nn.Module = backbone.features()
        self.attention_branch = AttentionBranch(stage=backbone.attention_stage(), head=head, **shape)
        self.perception_branch = PerceptionBranch(
            stage=backbone.perception_stage(), residual=config.residual_attention, **shape
        )
        set_padding(self, config.padding)
        self.attention_map: Tensor | None = None

    def extract(self, pixel_values: Tensor) -> Tensor:
        """(B, 3, H, W) -> the feature extractor's (B, C, h, w). A network in half precision takes float32 pictures."""
        return self.features(pixel_values.to(self.perception_branch.fc.weight.dtype))

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.extract(pixel_values)
        attention_logits, attention_map = self.attention_branch(features)
        logits = self.perception_branch(features, attention_map)
        self.attention_map = attention_map.detach()
        return logits, attention_logits, attention_map


def check_pixels(pixel_values: Tensor) -> None:
    """Raises: ValueError: not (B, 3, H, W)."""
    if pixel_values.ndim != 4 or pixel_values.shape[1] != 3:
        raise ValueError(f"pixel_values must be (batch, 3, height, width); got {tuple(pixel_values.shape)}")


class AbnPreTrainedModel(PreTrainedModel):
    config: AbnConfig
    config_class = AbnConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """He initialisation of convolutions, as in torchvision's ResNet; the rest as PyTorch does it."""
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            for at_one in (module.weight, module.running_var):
                if at_one is not None:
                    init.ones_(at_one)
            for at_zero in (module.bias, module.running_mean, module.num_batches_tracked):
                if at_zero is not None:
                    init.zeros_(at_zero)
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            init.uniform_(module.weight, -bound, bound)
            init.uniform_(module.bias, -bound, bound)


class StrictlyLoaded(AbnPreTrainedModel):
    """A network whose every tensor must come from its checkpoint."""

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path, *model_args, config: Any = None, state_dict=None, **kwargs
    ) -> Self:
        """As everywhere in transformers, and stricter: every tensor must be there, of the right shape, and no other.

        Reads the published Hub layouts A, B and C as well as its own; see `layouts`.

        Raises:
            ValueError: the checkpoint is not an ABN's, or its tensors are not those its config asks for.
            OSError: the checkpoint cannot be found or fetched.
        """
        wants_info = kwargs.pop("output_loading_info", False)
        kwargs.pop("ignore_mismatched_sizes", None)  # never ignored
        if state_dict is None:
            config, state_dict = read_checkpoint(pretrained_model_name_or_path, config, AbnConfig, kwargs)
        with torch.device("meta"):  # before any memory is taken: what a config claims can be anything
            wanted = cls(copy.deepcopy(config)).state_dict()
        state_dict = {**uncounted(wanted, state_dict), **state_dict}
        check_shapes(wanted, state_dict, pretrained_model_name_or_path)
        model, info = super().from_pretrained(  # ty: ignore[not-iterable]  # a pair, which nothing annotates
            None,
            *model_args,
            config=config,
            state_dict=state_dict,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **kwargs,
        )
        check_loaded(info, model.state_dict(), pretrained_model_name_or_path)
        model.config.name_or_path = model.name_or_path = str(pretrained_model_name_or_path or "")
        return (model, info) if wants_info else model  # ty: ignore[invalid-explicit-return]

    def save_pretrained(self, save_directory, *args, **kwargs):
        """As everywhere in transformers. config.json names our own classes for AutoModel and the rest, whatever the
        checkpoint named from which this was loaded."""
        if self.is_remote_code():
            network, config = (f"{kind.__module__.split('.')[-1]}.{kind.__name__}" for kind in (type(self), AbnConfig))
            kinds = ("AutoModel", "AutoModelForImageClassification")
            self.config.auto_map = {"AutoConfig": config, **dict.fromkeys(kinds, network)}
        super().save_pretrained(save_directory, *args, **kwargs)


class AbnForImageClassification(StrictlyLoaded):
    """An image classifier that says where it looked.

    Example:
        >>> model = AbnForImageClassification.from_pretrained("abn/weights/compact")
        >>> outputs = model(pixel_values=torch.randn(1, 3, 160, 160))
        >>> outputs.logits.shape, outputs.attention_map.shape
        (torch.Size([1, 10]), torch.Size([1, 1, 10, 10]))
    """

    def __init__(self, config: AbnConfig):
        super().__init__(config)
        if config.multitask is not None:
            raise ValueError(f"multitask={config.multitask!r} is a multi-task network's; load it with `Explainer`")
        if config.attention_head is None:
            config.attention_head = "C"
        self.model: AbnNetwork = AbnNetwork(config, HEADS[config.attention_head])
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs) -> AbnOutput:
        """Classify.

        Args:
            pixel_values: (B, 3, H, W) float, normalised as `AbnImageProcessor` does it; any H and W of 32 or more.
            labels: (B,) int64 class indices; gives the loss.

        Raises:
            ValueError: `pixel_values` is not (B, 3, H, W).
        """
        check_pixels(pixel_values)
        logits, attention_logits, attention_map = self.model(pixel_values)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits, labels) + F.cross_entropy(attention_logits, labels)
        return AbnOutput(loss=loss, logits=logits, attention_logits=attention_logits, attention_map=attention_map)


__all__ = ["AbnForImageClassification", "AbnNetwork", "AbnOutput", "AbnPreTrainedModel"]
