"""What `Explainer`, the page and the training package ask of a kind of network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from ..methods import Method, Parts

Model = TypeVar("Model", bound=PreTrainedModel)
Config = TypeVar("Config", bound=PreTrainedConfig)


@dataclass(frozen=True)
class Abilities:
    """What a network allows beyond an answer and a map.

    uneditable: why its map cannot be edited, as in the error `uneditable_…`; "" where it can. tasks: it answers each of
    its labels with yes or no, and has a map for each. layers, heads: of attention that can be shown one by one; 0
    without. channels: of its pictures; 1 for grey ones, such as digits. tunable: whether `tuning.tuned` makes it
    quicker.
    """

    uneditable: str = ""
    tasks: bool = False
    layers: int = 0
    heads: int = 0
    channels: int = 3
    tunable: bool = False

    @property
    def editable(self) -> bool:
        return not self.uneditable

    @property
    def pad(self) -> bool:
        """Whether a digit may be drawn for it."""
        return self.channels == 1


@dataclass(frozen=True)
class Shape:
    """A network's size in words' parts. layers: of a transformer, else 0. padding: of convolutions, if it has any."""

    arch: str
    width: int
    layers: int = 0
    padding: str | None = None


def nothing(model: PreTrainedModel) -> None:
    """For a network that needs no preparation."""


@dataclass(frozen=True)
class Family(Generic[Model, Config]):
    """A kind of network. B pictures, K labels, a map of h x w places.

    model_type: as its config.json says. holds: whether a config is one of its networks'.
    forward(model, pixel values): one pass, (B, C, H, W) -> `Parts`. methods(config): its ways to explain, by name.
    shown_maps(parts, targets): (B, h, w), each picture's map as the network gave it.
    answers(logits): (K,) -> (K,) probabilities, and the labels' order, the surest first.
    abilities(config), shape(config): see there. prepare(model): what must be done before it is explained.
    perceive(model, features, map): (1, K) logits under another map; None where no map is editable.
    picture_bytes(config): what a forward pass keeps of a picture that does not follow from its pixels.
    limits: the most that a stranger's config may ask for, by the names of its fields.
    beside: the method that a run measures beside the network's own map.
    """

    model_type: str
    holds: Callable[[PreTrainedConfig], bool]
    forward: Callable[[Model, Tensor], Parts]
    methods: Callable[[Config], dict[str, Method]]
    shown_maps: Callable[[Parts, Tensor], Tensor]
    answers: Callable[[Tensor], tuple[Tensor, Tensor]]
    abilities: Callable[[Config], Abilities]
    shape: Callable[[Config], Shape]
    beside: str | None = None
    prepare: Callable[[Model], None] = nothing
    perceive: Callable[[Model, Tensor, Tensor], Tensor] | None = None
    picture_bytes: Callable[[Config], int] = lambda config: 0
    limits: Mapping[str, int] = field(default_factory=dict)


def one_class(logits: Tensor) -> tuple[Tensor, Tensor]:
    """`Family.answers` of a network that chooses one label."""
    values = logits.softmax(0)
    return values, values.argsort(descending=True, stable=True)


def first_map(parts: Parts, targets: Tensor) -> Tensor:
    """`Family.shown_maps` of a network with one map for all labels."""
    return parts.attention_map[:, 0]
