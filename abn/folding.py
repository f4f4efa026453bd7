"""Batch norms folded into the convolutions before them: the same function with fewer layers.

Exact up to float32's rounding (Jacob et al. 2018, arXiv:1712.05877, section 3.2). Which norm follows which convolution
is seen in one forward pass of the copy. torch.fx's tracing would tell, too, but changes `nn.Module` for all threads
while it runs: other forward passes of the process fail.
"""

import copy
from collections import Counter
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.overrides import TorchFunctionMode

SIDE = 64  # pixels of the picture that is passed through

Module = TypeVar("Module", bound=nn.Module)


def folded(model: Module, **inputs: Tensor) -> Module:
    """A copy in evaluation mode without the batch norms that follow a convolution; same outputs. Those that follow
    something else stay, and those of a convolution whose output is used elsewhere as well.

    Args:
        inputs: what the model is called with to see its layers' order; (1, 3, SIDE, SIDE) zeros as `pixel_values` if
            none.
    """
    model = copy.deepcopy(model).eval()
    if not inputs:
        inputs = {"pixel_values": torch.zeros(1, 3, SIDE, SIDE, device=next(model.parameters()).device)}
    seen = _Seen()
    hooks = [module.register_forward_hook(seen.convolved) for module in _of(model, nn.Conv2d)]
    hooks += [module.register_forward_pre_hook(seen.normed) for module in _of(model, nn.BatchNorm2d)]
    try:
        with torch.no_grad(), seen:
            model(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
    names = {module: name for name, module in model.named_modules()}
    for convolution, norm in seen.pairs():
        model.set_submodule(names[convolution], fuse_conv_bn_eval(convolution, norm))
        model.set_submodule(names[norm], nn.Identity())
    return model


def _of(model: nn.Module, kind: type[Module]) -> list[Module]:
    return [module for module in model.modules() if isinstance(module, kind)]


class _Seen(TorchFunctionMode):
    """Which convolution's output goes into which norm, and how often it is used. Counts this thread's calls alone."""

    def __init__(self):
        super().__init__()
        self.outputs: dict[int, tuple[Tensor, nn.Conv2d]] = {}  # the tensors are held: their ids are not given again
        self.uses: Counter[int] = Counter()
        self.calls: Counter[nn.Module] = Counter()
        self.follows: list[tuple[int, nn.BatchNorm2d]] = []

    def convolved(self, module: nn.Conv2d, args: tuple, output: Tensor) -> None:
        self.outputs[id(output)] = output, module
        self.calls[module] += 1

    def normed(self, module: nn.BatchNorm2d, args: tuple) -> None:
        self.calls[module] += 1
        if id(args[0]) in self.outputs:
            self.follows.append((id(args[0]), module))

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if isinstance(output, (Tensor, tuple, list)):  # not its shape or type
            for one in (*args, *kwargs.values()):
                for part in one if isinstance(one, (tuple, list)) else (one,):
                    self.uses[id(part)] += id(part) in self.outputs
        return output

    def pairs(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        found = [(key, self.outputs[key][1], norm) for key, norm in self.follows]
        return [
            (convolution, norm)
            for key, convolution, norm in found
            if self.uses[key] == 1 and self.calls[convolution] == self.calls[norm] == 1
        ]
