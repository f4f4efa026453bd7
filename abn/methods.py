"""Ways to explain a prediction, behind one small interface: picture and target class -> heatmap in [0, 1].

After the perception branch's last stage come only a mean over places and a linear layer: logit_k = w_k . mean(A) + b_k.
The gradient of a logit by the last features A is therefore w_k / (h w) everywhere: the CAM family needs neither hooks
nor a backward pass, and nothing leaks between threads. The closed forms are held against torchcam in the tests.
HiResCAM (Draelos & Carin 2020) and CAM (Zhou et al. 2016) are the same map as Grad-CAM here and not listed again.

A new method is a function with a decorator: Python, the API, the benchmark and the page list it under its label.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from . import stopping
from .errors import AbnError
from .model.modeling_abn import AbnForImageClassification

SCORE_CAM_BATCH = 64  # masked pictures a forward; on a CPU 8, so that work that nobody waits for stops within a second
OCCLUSION_CELLS = 10  # patches along the short side
OCCLUSION_REACH = 2  # side of the grey square, in patches
FEWEST_MASKS = 16  # of Score-CAM; fewer tell nothing
FEWEST_CELLS = 4  # of occlusion, along the short side


@dataclass(frozen=True)
class Parts:
    """What one forward pass leaves for the methods, for B pictures and K classes.

    logits, attention_logits: (B, K). attention_map: (B, 1, h, w) in (0, 1). class_maps: (B, K, h, w), the attention
    branch's activations. last_features: (B, C, h / 2, w / 2), the perception branch's. features: (B, D, h, w), the
    feature extractor's. The last three are None where a network has one map a task, (B, K, h, w) and signed, or no
    branches at all.
    """

    logits: Tensor
    attention_logits: Tensor | None
    attention_map: Tensor
    class_maps: Tensor | None = None
    last_features: Tensor | None = None
    features: Tensor | None = None


@torch.no_grad()
def forward_parts(model: AbnForImageClassification, pixel_values: Tensor) -> Parts:
    """The model's forward pass, (B, 3, H, W) -> `Parts`; the logits and the map are those of `model(pixel_values)`."""
    network = model.model
    features = network.extract(pixel_values)
    class_maps, attention_map = network.attention_branch.maps(features)
    last = network.perception_branch.last_features(features, attention_map)
    logits = network.perception_branch.fc(last.mean((2, 3)))
    return Parts(logits, class_maps.mean((2, 3)), attention_map, class_maps, last, features)


Compute = Callable[[Any, Tensor, Any, Tensor], Tensor]  # the model and the parts: those of a method's own family
Function = TypeVar("Function", bound=Compute)


@dataclass(frozen=True)
class Method:
    """A way to explain. `compute(model, pixel_values, parts, targets)`: (B, 3, H, W), `Parts` and (B,) class indices
    -> (B, h, w) in [0, 1], on a grid of its own. `uses_target`: whether the class makes a difference.
    `passes(pixel_values, parts)`: forward passes it needs for a picture beyond the one that all share; 0 if None.
    `within(pixel_values, parts, limit)`: the same method in at most `limit` passes, with their number, or None where
    that tells nothing. `in_menus`: False for one of many, such as a transformer's heads, that a menu leaves out.
    The page has the label in other languages, too, where its catalogues have a word `method_` + name."""

    name: str
    label: str
    uses_target: bool
    compute: Compute
    passes: Callable[[Tensor, Parts], int] | None = None
    within: Callable[[Tensor, Parts, int], tuple[Compute, int] | None] | None = None
    in_menus: bool = True

    @property
    def quick(self) -> bool:
        """Whether it needs no forward pass beyond the one that all share."""
        return self.passes is None


METHODS: dict[str, Method] = {}


def method(
    name: str, label: str, *, uses_target: bool = True, known: dict[str, Method] = METHODS, **passes
) -> Callable[[Function], Function]:
    """A decorator that makes of a function, `Method.compute`, the last of the known methods.

    Args:
        passes: `passes` and `within`, as `Method` has them.
    """

    def registered(compute: Function) -> Function:
        known[name] = Method(name, label, uses_target, compute, **passes)
        return compute

    return registered


def scaled(maps: Tensor) -> Tensor:
    """(B, h, w) -> the positive part over its maximum; a map with nothing positive is zero everywhere."""
    maps = maps.float().clamp(min=0)
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)


@method("attention", "Attention map", uses_target=False)
def attention(model, pixel_values, parts, targets) -> Tensor:
    """The attention map as the network uses it (Fukui et al. 2019): not scaled, but where it is not bounded by 1."""
    maps = parts.attention_map[:, 0].float()
    return maps if model.model.attention_branch.map_conv is not None else scaled(maps)


@method("attention-cam", "Attention branch's CAM")
def attention_cam(model, pixel_values, parts, targets) -> Tensor:
    """The attention branch's class activation map (Zhou et al. 2016, arXiv:1512.04150)."""
    return scaled(parts.class_maps[torch.arange(len(targets)), targets])


def class_weights(model, targets: Tensor) -> Tensor:
    """(B, C): the linear layer's row of each target class."""
    return model.model.perception_branch.fc.weight.detach()[targets].float()


@method("grad-cam", "Grad-CAM")
def grad_cam(model, pixel_values, parts, targets) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) on the last stage: relu(sum_c w_kc A_c)."""
    return scaled(torch.einsum("bchw,bc->bhw", parts.last_features.float(), class_weights(model, targets)))


@method("grad-cam++", "Grad-CAM++")
def grad_cam_plus_plus(model, pixel_values, parts, targets) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al. 2018, arXiv:1710.11063) on the last stage.

    With the gradient g_c = w_kc / (h w) the same at every place, alpha_c = g^2 / (2 g^2 + g^3 sum(A_c)), and channel c
    weighs alpha_c relu(g_c).
    """
    features = parts.last_features.float()
    gradient = class_weights(model, targets) / features.shape[2:].numel()
    denominator = 2 * gradient**2 + gradient**3 * features.sum((2, 3))
    alpha = torch.where(denominator != 0, gradient**2 / torch.where(denominator != 0, denominator, 1), 0)
    return scaled(torch.einsum("bchw,bc->bhw", features, alpha * gradient.clamp(min=0)))


@method("layer-cam", "LayerCAM")
def layer_cam(model, pixel_values, parts, targets) -> Tensor:
    """LayerCAM (Jiang et al. 2021) on the last stage: relu(sum_c relu(g_c) A_c)."""
    weights = class_weights(model, targets).clamp(min=0)
    return scaled(torch.einsum("bchw,bc->bhw", parts.last_features.float(), weights))


@method("eigen-cam", "EigenCAM", uses_target=False)
def eigen_cam(model, pixel_values, parts, targets) -> Tensor:
    """EigenCAM (Muhammad & Yeasin 2020, arXiv:2008.00299): the last features projected on their first principal
    direction (of the uncentred places x channels matrix), its sign such that the map is positive on the whole."""
    features = parts.last_features.float()
    places = features.flatten(2).transpose(1, 2)
    directions = torch.linalg.svd(places, full_matrices=False).Vh[:, 0]
    maps = torch.einsum("bpc,bc->bp", places, directions)
    maps = maps * torch.where(maps.sum(1, keepdim=True) < 0, -1, 1)
    return scaled(maps.unflatten(1, features.shape[2:]))


def channels(pixel_values, parts) -> int:
    """Score-CAM's forward passes."""
    return parts.last_features.shape[1]


def score_cam_within(pixel_values: Tensor, parts: Parts, limit: int) -> tuple[Compute, int] | None:
    masks = min(limit, channels(pixel_values, parts))
    return None if masks < FEWEST_MASKS else (partial(score_cam, most=masks), masks)


@method("score-cam", "Score-CAM", passes=channels, within=score_cam_within)
@torch.no_grad()
def score_cam(model, pixel_values, parts, targets, most: int | None = None) -> Tensor:
    """Score-CAM (Wang et al. 2020, arXiv:1910.01279): a channel weighs the softmax over channels of the target's
    logit on the picture masked by that channel's activation, spread to [0, 1]. One forward a channel.

    most: only so many channels, those that vary most over the picture; all if None.
    """
    maps = []
    for pixels, features, target in zip(pixel_values, parts.last_features.float(), targets.tolist(), strict=True):
        if most is not None and most < len(features):
            features = features[features.flatten(1).var(1).topk(most).indices.sort().values]
        low, high = features.amin((1, 2), keepdim=True), features.amax((1, 2), keepdim=True)
        masks = (features - low) / (high - low).clamp(min=1e-8)
        masks = F.interpolate(masks[:, None], pixels.shape[1:], mode="bilinear", align_corners=False)
        scores = []
        for chunk in masks.split(8 if pixels.device.type == "cpu" else SCORE_CAM_BATCH):
            stopping.check()
            masked = (chunk * pixels).contiguous(memory_format=torch.channels_last)
            scores.append(model(pixel_values=masked).logits.float()[:, target])
        maps.append(torch.einsum("chw,c->hw", features, torch.cat(scores).softmax(0)))
    return scaled(torch.stack(maps))


def patches(pixel_values: Tensor, cells: int) -> tuple[int, int, int]:
    """(side in pixels, rows, columns) of occlusion's patches, `cells` of them along the short side."""
    height, width = pixel_values.shape[2:]
    step = max(1, round(min(height, width) / cells))
    return step, -(-height // step), -(-width // step)


def squares(pixel_values: Tensor, parts: Parts, cells: int = OCCLUSION_CELLS) -> int:
    """Occlusion's forward passes."""
    _, rows, columns = patches(pixel_values, cells)
    return (rows + OCCLUSION_REACH - 1) * (columns + OCCLUSION_REACH - 1)


def occlusion_within(pixel_values: Tensor, parts: Parts, limit: int) -> tuple[Compute, int] | None:
    for cells in range(OCCLUSION_CELLS, FEWEST_CELLS - 1, -1):
        if (count := squares(pixel_values, parts, cells)) <= limit:
            return partial(occlusion, cells=cells), count
    return None


@method("occlusion", "Occlusion", passes=squares, within=occlusion_within)
@torch.no_grad()
def occlusion(model, pixel_values, parts, targets, cells: int = OCCLUSION_CELLS) -> Tensor:
    """Occlusion (Zeiler & Fergus 2014, arXiv:1311.2901): how much of the target's probability a grey square takes
    away, averaged over the squares that cover a place. Grey is zero after normalisation: the mean colour."""
    step, rows, columns = patches(pixel_values, cells)
    before = parts.logits.float().softmax(1).gather(1, targets[:, None])[:, 0]
    drop = torch.zeros(len(targets), rows, columns, device=pixel_values.device)
    count = torch.zeros(rows, columns, device=pixel_values.device)
    for row in range(1 - OCCLUSION_REACH, rows):
        for column in range(1 - OCCLUSION_REACH, columns):
            stopping.check()
            top, left = max(0, row), max(0, column)
            bottom, right = row + OCCLUSION_REACH, column + OCCLUSION_REACH
            covered = pixel_values.clone()
            covered[:, :, top * step : bottom * step, left * step : right * step] = 0
            after = model(pixel_values=covered).logits.float().softmax(1).gather(1, targets[:, None])[:, 0]
            drop[:, top:bottom, left:right] += (before - after)[:, None, None]
            count[top:bottom, left:right] += 1
    return scaled(drop / count)


@method("centre", "Centre blob (baseline)", uses_target=False)
def centre(model, pixel_values, parts, targets) -> Tensor:
    """A baseline that sees nothing: a Gaussian in the middle, its deviation a quarter of each side."""
    rows, columns = (torch.linspace(-2, 2, n) for n in (pixel_values.shape[2] // 4, pixel_values.shape[3] // 4))
    blob = torch.exp(-(rows[:, None] ** 2 + columns[None] ** 2) / 2)
    return scaled(blob.expand(len(targets), -1, -1)).to(pixel_values.device)


@method("uniform", "Uniform (baseline)", uses_target=False)
def uniform(model, pixel_values, parts, targets) -> Tensor:
    """A baseline that prefers no place."""
    return torch.full((len(targets), 1, 1), 0.5, device=pixel_values.device)


def listed(methods: dict[str, Method]) -> list[Method]:
    """Each method once, where one goes by several names."""
    return [method for name, method in methods.items() if method.name == name]


def in_menus(methods: dict[str, Method], quick: bool = False) -> list[Method]:
    """Those that are offered for choice; `quick`: of those the quick ones."""
    return [method for method in listed(methods) if method.in_menus and (method.quick or not quick)]


def method_named(name: str, methods: dict[str, Method] = METHODS) -> Method:
    """Raises: ValueError: unknown; names the known ones."""
    if name not in methods:
        raise AbnError("unknown_method", known=", ".join(map(repr, methods)), method=name)
    return methods[name]
