"""The same network, quicker at inference: batch norms folded into convolutions, channels last, bfloat16 where the
processor has it.

Folding is exact up to float32's rounding (see `folding`); bfloat16 changes probabilities by thousandths in the mean and
hundredths at most. `python -m abn.benchmark` measures the gain.
"""

import torch
from torch import Tensor, nn

from .explanation import Explainer
from .folding import folded


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is quicker than float32 there. Emulated, it takes up to fourteen times as long."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def quick_arithmetic(device: torch.device) -> torch.autocast:
    """bfloat16 where the processor has it: twice as quick, probabilities to about 0.01."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


class HalfPrecision(nn.Module):
    """A part of a network in bfloat16 that takes what comes and gives float32."""

    def __init__(self, part: nn.Module):
        super().__init__()
        self.part = part.to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        return self.part(x.to(torch.bfloat16)).float()


def tuned(explainer: Explainer, half: bool | None = None) -> Explainer:
    """An explainer on a quicker copy of the network, for where thousandths do not matter: live pictures, galleries.

    Args:
        half: bfloat16 in the features and the last stages; None: where the device has it.

    Raises:
        ValueError: the network has one map a task, or is a Vision Transformer.
    """
    if not explainer.abilities.tunable:
        kind = "a network with a map for every task" if explainer.abilities.tasks else "a Vision Transformer"
        raise ValueError(f"{kind} cannot be tuned")
    model = folded(explainer.model)
    if has_bfloat16(explainer.device) if half is None else half:
        network = model.model
        network.features = HalfPrecision(network.features)
        for branch in (network.attention_branch, network.perception_branch):
            branch.stage = HalfPrecision(branch.stage)
    return Explainer(model, explainer.processor, calibration=explainer.calibration, device=explainer.device)
