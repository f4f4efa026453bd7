"""Multi-task ABN (Fukui et al., CVPR 2019, section 3.4; the authors' PyTorch code): yes-or-no tasks on one picture,
such as a face's attributes, each with a signed attention map of its own.

    features = feature extractor(picture)
    attention branch:  features -> one map a task; its mean over places is the branch's own logit of that task
    perception branch: for every task, features * map (+ features) -> last stage -> mean over places -> its logit

The perception branch is shared by the tasks but for their last linear layers. All tasks run as one batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple

from .backbones import build, set_padding
from .configuration_abn import AbnConfig
from .modeling_abn import StrictlyLoaded, check_pixels


@dataclass(frozen=True)
class TaskForm:
    """The authors' multi-task networks differ in these places and in no other.

    depth_conv: every map goes through a weight and a bias of its own. answers: linear layers' outputs a task, 1 (yes)
    or 2 (no and yes). bounded: maps go through a sigmoid, into (0, 1), and the attention branch's logit is the highest
    place before it; else maps are signed, and the logit is their mean.
    """

    depth_conv: bool = False
    answers: int = 1
    bounded: bool = False


FORMS = {
    "v0.1": TaskForm(depth_conv=True, bounded=True),  # the first release
    "v1": TaskForm(),
    "v1.0": TaskForm(answers=2),  # V1 as it was at the tag v1.0
    "v2": TaskForm(depth_conv=True, answers=2),
}


@dataclass
class MultiTaskOutput(ModelOutput):
    """What one forward pass gives, for B pictures, T tasks and a feature map of h x w places.

    loss: scalar, the sum of both branches' mean losses; None without labels.
    logits: (B, T); of forms with two answers (B, 2, T), no and yes. `scores` gives both as probabilities.
    attention_logits: (B, T), the attention branch's own.
    attention_map: (B, T, h, w), signed; of v0.1 in (0, 1).
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    attention_logits: Tensor | None = None
    attention_map: Tensor | None = None


def margins(logits: Tensor) -> Tensor:
    """(B, T) or (B, 2, T) logits -> (B, T): how much yes exceeds no. A softmax over two is a sigmoid of it."""
    return logits if logits.ndim == 2 else logits[:, 1] - logits[:, 0]


def scores(logits: Tensor) -> Tensor:
    """(B, T) or (B, 2, T) logits -> (B, T) probabilities of yes."""
    return margins(logits).sigmoid()


class TaskAttentionBranch(nn.Module):
    """(B, C, h, w) features -> (B, T) logits and (B, T, h, w) maps."""

    def __init__(self, *, stage: nn.Module, channels: int, tasks: int, form: TaskForm):
        super().__init__()
        self.stage = stage
        self.conv = nn.Conv2d(channels, tasks, 1, bias=False)
        self.depth_conv = nn.Conv2d(tasks, tasks, 1, groups=tasks) if form.depth_conv else nn.Identity()
        self.bounded = form.bounded

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.depth_conv(self.conv(self.stage(features)))
        if self.bounded:
            return maps.amax((2, 3)), maps.sigmoid()
        return maps.mean((2, 3)), maps


class TaskPerceptionBranch(nn.Module):
    """(B, C, h, w) features and (B, T, h, w) maps -> (B, T) logits, or (B, 2, T) with two answers a task."""

    def __init__(self, *, stage: nn.Module, channels: int, tasks: int, answers: int, residual: bool):
        super().__init__()
        self.stage = stage
        self.weight = nn.Parameter(torch.empty(tasks, answers, channels))
        self.bias = nn.Parameter(torch.zeros(tasks, answers))
        self.residual = residual

    def forward(self, features: Tensor, maps: Tensor) -> Tensor:
        batch, tasks = maps.shape[:2]
        weights = (maps + 1 if self.residual else maps)[:, :, None]
        attended = (features[:, None] * weights).flatten(0, 1)
        pooled = self.stage(attended).mean((2, 3)).unflatten(0, (batch, tasks))
        logits = torch.einsum("btc,tac->bat", pooled, self.weight) + self.bias.T
        return logits[:, 0] if logits.shape[1] == 1 else logits


class MultiTaskNetwork(nn.Module):
    def __init__(self, config: AbnConfig, form: TaskForm):
        super().__init__()
        backbone, tasks = build(config), config.num_labels
        self.features = backbone.features()
        self.attention_branch = TaskAttentionBranch(
            stage=backbone.attention_stage(),
            channels=backbone.channels,
            tasks=tasks,
            form=form,
        )
        self.perception_branch = TaskPerceptionBranch(
            stage=backbone.perception_stage(),
            channels=backbone.channels,
            tasks=tasks,
            answers=form.answers,
            residual=config.residual_attention,
        )
        set_padding(self, config.padding)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.features(pixel_values.to(self.perception_branch.weight.dtype))
        attention_logits, maps = self.attention_branch(features)
        return self.perception_branch(features, maps), attention_logits, maps


class AbnForMultiTaskClassification(StrictlyLoaded):
    """Answers yes or no to each of its tasks, and says where it looked for each.

    Example:
        >>> config = AbnConfig(arch="resnet18", multitask="v1", num_labels=40)
        >>> AbnForMultiTaskClassification(config)(torch.randn(1, 3, 224, 224)).attention_map.shape
        torch.Size([1, 40, 14, 14])
    """

    def __init__(self, config: AbnConfig):
        super().__init__(config)
        if config.multitask is None:
            known = ", ".join(map(repr, FORMS))
            raise ValueError(f"multitask must be one of {known} for a multi-task network; got None")
        self.model = MultiTaskNetwork(config, FORMS[config.multitask])
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, TaskPerceptionBranch):
            bound = module.weight.shape[2] ** -0.5
            init.uniform_(module.weight, -bound, bound)
            init.uniform_(module.bias, -bound, bound)

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, labels: Tensor | None = None, task_weight: Tensor | None = None, **kwargs
    ) -> MultiTaskOutput:
        """Answer.

        Args:
            pixel_values: (B, 3, H, W) float, normalised as `AbnImageProcessor` does it; any H and W of 32 or more.
            labels: (B, T), 1 for yes and 0 for no; gives the loss.
            task_weight: (T,), each task's share of positives; with it the loss is `weighted_focal_loss`, without it the
                mean binary cross-entropy.

        Raises:
            ValueError: `pixel_values` is not (B, 3, H, W).
        """
        check_pixels(pixel_values)
        logits, attention_logits, maps = self.model(pixel_values)
        loss = None
        if labels is not None:
            loss = multitask_loss(logits, attention_logits, labels, task_weight)
        return MultiTaskOutput(loss=loss, logits=logits, attention_logits=attention_logits, attention_map=maps)


def multitask_loss(
    logits: Tensor, attention_logits: Tensor, labels: Tensor, task_weight: Tensor | None = None
) -> Tensor:
    """The sum of both branches' losses; arguments as `AbnForMultiTaskClassification.forward`'s and output's."""
    perception, attention = margins(logits).float(), attention_logits.float()
    loss = task_loss(perception, labels.to(perception), task_weight)
    return loss + task_loss(attention, labels.to(attention), task_weight)


def task_loss(logits: Tensor, labels: Tensor, task_weight: Tensor | None = None) -> Tensor:
    """(B, T) logits and labels -> scalar."""
    if task_weight is None:
        return F.binary_cross_entropy_with_logits(logits, labels)
    return weighted_focal_loss(logits, labels, task_weight)


def weighted_focal_loss(logits: Tensor, labels: Tensor, positives: Tensor, gamma: float = 0.5) -> Tensor:
    """Weighted focal loss (Sarafianos et al. 2018, arXiv:1807.03903, eq. 4): mean of w (1 - p_t)^gamma (-log p_t),
    with w = exp(1 - a) where the label is yes and exp(a) where it is no, for a task of which a share a is positive.

    Args:
        logits, labels: (B, T). positives: (T,) in [0, 1].
    """
    weight = torch.where(labels > 0.5, torch.exp(1 - positives), torch.exp(positives))
    entropy = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    missed = (labels - logits.sigmoid()).abs().clamp(min=1e-6)  # 1 - p_t; at 0 its root has no gradient
    return (weight * missed**gamma * entropy).mean()


__all__ = ["AbnForMultiTaskClassification", "MultiTaskOutput", "scores", "weighted_focal_loss"]
