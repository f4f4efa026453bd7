"""A Vision Transformer's attention (Dosovitskiy et al. 2021, arXiv:2010.11929), beside an ABN's.

The network is transformers' `ViTForImageClassification`. Each of its L layers has H heads, and each head an (N, N)
matrix of attention among N tokens, the class token first and then the patches, row by row; a row sums to one. What is
shown is the class token's row, in one of these ways. Unlike an ABN's map, attention is no weight on the picture: each
layer mixes what the layers below have mixed already.
"""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from transformers import ViTConfig, ViTForImageClassification

from ..methods import METHODS, Compute, Method, Parts, scaled
from .family import Abilities, Family, Shape, first_map, one_class

LIMITS = {"image_size": 1024, "patch_size": 1024, "num_channels": 4, "hidden_size": 2048, "intermediate_size": 8192}
LIMITS |= {"num_hidden_layers": 48, "num_attention_heads": 64, "num_labels": 100_000}


@dataclass(frozen=True)
class VitParts(Parts):
    """`Parts` of a transformer: attention_map is the rollout's, (B, 1, h, w); attentions: L tensors of (B, H, N, N)."""

    attentions: tuple[Tensor, ...] = ()


def rollout(attentions: tuple[Tensor, ...]) -> Tensor:
    """Attention rollout (Abnar & Zuidema 2020, arXiv:2005.00928): L x (B, H, N, N) -> (B, N, N).

    Heads averaged, the residual connection added as the identity, rows normalised, layers multiplied, last first.
    """

    def mixed(attention: Tensor) -> Tensor:
        mean = attention.float().mean(1)
        mean = mean + torch.eye(mean.shape[-1], device=mean.device)
        return mean / mean.sum(-1, keepdim=True)

    return reduce(lambda product, layer: layer @ product, map(mixed, attentions))


def gradient_rollout(attentions: tuple[Tensor, ...], gradients: tuple[Tensor, ...]) -> Tensor:
    """Attention relevance for one class (Chefer et al. 2021, arXiv:2103.15679, eq. 5 and 6): L x (B, H, N, N) twice ->
    (B, N, N).

    Starting from R = I, layer by layer R <- R + mean_h(relu(gradient * attention)) R.
    """
    tokens = attentions[0].shape[-1]
    relevance = torch.eye(tokens, device=attentions[0].device).expand(len(attentions[0]), -1, -1)
    for attention, gradient in zip(attentions, gradients, strict=True):
        relevance = relevance + (gradient.float() * attention.float()).clamp(min=0).mean(1) @ relevance
    return relevance


def class_token(matrix: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, N, N) -> (B, h, w): what the class token takes from each patch."""
    return matrix[:, 0, 1:].unflatten(1, grid)


def _grid(parts: Parts) -> tuple[int, int]:
    height, width = parts.attention_map.shape[-2:]
    return height, width


def rolled_out(model, pixel_values, parts: VitParts, targets) -> Tensor:
    """Attention rollout, over its maximum: as `_forward` keeps it."""
    return parts.attention_map[:, 0]


def last_layer(model, pixel_values, parts: VitParts, targets) -> Tensor:
    """The last layer's attention, heads averaged, over its maximum."""
    return scaled(class_token(parts.attentions[-1].float().mean(1), _grid(parts)))


def for_class(model, pixel_values, parts: VitParts, targets: Tensor) -> Tensor:
    """`gradient_rollout` for each picture's target, over its maximum. A forward and a backward pass of its own; nothing
    is left on the model."""
    given = model, pixel_values, _grid(parts), targets
    return gradients(_for_class, *given) if pixel_values.device.type == "cpu" else _for_class(*given)


def gradients(compute, *given) -> Tensor:
    """How a backward pass on the CPU is run. Replaced where autograd must stay out of this process (ZeroGPU)."""
    return compute(*given)


def _for_class(model, pixel_values, grid: tuple[int, int], targets: Tensor) -> Tensor:
    # The weights are frozen: the way back leads through the picture alone. Inference mode has to be left altogether,
    # and what was made in it copied.
    with torch.inference_mode(False), torch.enable_grad():
        pixel_values, targets = pixel_values.detach().clone().requires_grad_(True), targets.clone()
        outputs = model(pixel_values=pixel_values, output_attentions=True)
        logit = outputs.logits.gather(1, targets[:, None]).sum()
        gradients = torch.autograd.grad(logit, outputs.attentions)
    attentions = tuple(attention.detach() for attention in outputs.attentions)
    return scaled(class_token(gradient_rollout(attentions, gradients), grid))


def one_head(layer: int, head: int | None) -> Compute:
    """The attention of one layer (from 0), of one head (from 0) or of the mean over heads, over its maximum."""

    def compute(model, pixel_values, parts: VitParts, targets) -> Tensor:
        attention = parts.attentions[layer].float()
        chosen = attention.mean(1) if head is None else attention[:, head]
        return scaled(class_token(chosen, _grid(parts)))

    return compute


def attention_name(layer: int | str, head: int | str | None) -> str:
    """The method that shows one layer's attention, of one head or (None) of the mean; both count from 1."""
    return f"layer-{layer}" + ("" if head is None else f"-head-{head}")


def vit_methods(layers: int, heads: int) -> dict[str, Method]:
    """All ways to explain a transformer of so many layers and heads. "attention" means the rollout, too; "layer-3" and
    "layer-3-head-2" count from 1."""
    methods = [
        Method("rollout", "Attention rollout", False, rolled_out),
        Method("last-layer", "Last layer's attention", False, last_layer),
        Method("gradient-rollout", "Rollout for the class (gradients)", True, for_class),
        METHODS["centre"],
        METHODS["uniform"],
    ]
    for layer in range(layers):
        for head in (None, *range(heads)):
            name = attention_name(layer + 1, None if head is None else head + 1)
            words = f"Layer {layer + 1}" + (", all heads" if head is None else f", head {head + 1}")
            methods.append(Method(name, words, False, one_head(layer, head), in_menus=False))
    return {"attention": methods[0]} | {method.name: method for method in methods}


def _leave_inference_mode(model: ViTForImageClassification) -> None:
    """Copies of the weights that were made in inference mode: no gradient passes those, whatever the mode is later."""
    with torch.inference_mode(False):
        for module in model.modules():
            for name, weight in module.named_parameters(recurse=False):
                if weight.is_inference():
                    setattr(module, name, torch.nn.Parameter(weight.clone(), requires_grad=False))


def _prepare(model: ViTForImageClassification) -> None:
    model.set_attn_implementation("eager")  # the others do not give their attention away
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    _leave_inference_mode(model)


@torch.no_grad()
def _forward(model: ViTForImageClassification, pixel_values: Tensor) -> VitParts:
    outputs = model(pixel_values=pixel_values, output_attentions=True)
    _, patch = sides(model.config)
    grid = pixel_values.shape[2] // patch, pixel_values.shape[3] // patch
    rolled = class_token(rollout(outputs.attentions), grid)
    return VitParts(outputs.logits, None, scaled(rolled)[:, None], attentions=outputs.attentions)


def _abilities(config: ViTConfig) -> Abilities:
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    return Abilities(uneditable="layers", layers=layers, heads=heads, channels=config.num_channels)


def sides(config: ViTConfig) -> tuple[int, int]:
    """Of the picture and of a patch, in pixels: squares, whatever else transformers would take."""
    return config.image_size, config.patch_size  # ty: ignore[invalid-explicit-return]


def attention_bytes(config: ViTConfig) -> int:
    """What the attention of a picture takes, in all layers."""
    picture, patch = sides(config)
    tokens = (picture // patch) ** 2 + 1
    return 4 * tokens**2 * config.num_attention_heads * config.num_hidden_layers


VIT = Family(
    model_type=ViTConfig.model_type,
    holds=lambda config: config.model_type == ViTConfig.model_type,
    forward=_forward,
    methods=lambda config: vit_methods(config.num_hidden_layers, config.num_attention_heads),
    shown_maps=first_map,
    answers=one_class,
    abilities=_abilities,
    shape=lambda config: Shape(ViTConfig.model_type, config.hidden_size, config.num_hidden_layers),
    beside="gradient-rollout",
    prepare=_prepare,
    picture_bytes=attention_bytes,
    limits=LIMITS,
)
