"""What would the network say if it looked elsewhere? Edited attention maps through the perception branch alone.

The features are computed once; each edit then costs one perception branch. The branch weighs them by 1 + map (by the
map alone without `residual_attention`): a place with map 0 is not hidden, only not stressed; -1 takes its features away
altogether. It is insight into the computation; in published studies, people who edited maps did not become more
accurate by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .errors import AbnError
from .explanation import Explainer, Explanation, Picture


@dataclass(frozen=True, eq=False)
class Edited:
    """probabilities: class -> probability under the edited map, most probable first; label: the first of them.
    attention_map: (h, w) float32, the map they belong to."""

    label: str
    probabilities: dict[str, float]
    attention_map: np.ndarray = field(repr=False)


class Editing:
    """One picture, ready to be asked again under other attention maps.

    Example:
        >>> editing = Editing(Explainer.from_pretrained("compact"), "golf.jpg")
        >>> editing.explanation.label, editing(np.zeros_like(editing.explanation.attention_map)).label
        ('golf ball', 'parachute')
    """

    def __init__(self, explainer: Explainer, picture: Picture, view: str = "whole"):
        """Explain the picture and keep its features. Errors as `Explainer`'s."""
        picture = explainer.read(picture, view)
        self.explainer, self._view, self._size = explainer, view, (picture.height, picture.width)
        self.explanation, self.features = explainer.explain_with_features(picture, view)

    def __call__(self, attention_map: np.ndarray | Sequence[Sequence[float]]) -> Edited:
        """Ask the perception branch under another map.

        Args:
            attention_map: (h, w), the shape of `explanation.attention_map`, in [0, 1]; below 0, to -1, features are
                taken away.

        Raises:
            ValueError: another shape, or values that are not finite or lie outside [-1, 1].
        """
        return under(self.explainer, self.features, attention_map, self.explanation.attention_map.shape)

    def laid(self, edited: Edited) -> np.ndarray:
        """(H, W) float32 in [0, 1]: an edited map on the pixels of `explanation.view`; what lies below 0 is 0."""
        grid = torch.from_numpy(edited.attention_map).clamp(min=0)[None, None]
        shape = self.explanation.view.shape[:2]
        laid = self.explainer.processor.post_process_attention(grid, [self._size], self._view, [shape])
        return laid[0].clamp(0, 1).numpy()


def under(explainer: Explainer, features: Tensor, attention_map, shape: tuple[int, int]) -> Edited:
    """What the perception branch makes of (1, C, h, w) features under a map of `shape`. Errors as `Editing`'s."""
    edited = checked_map(attention_map, shape)
    probabilities = explainer.perceive(features, torch.from_numpy(edited)[None, None])
    return Edited(next(iter(probabilities)), probabilities, edited)


def checked_map(attention_map, shape: tuple[int, int]) -> np.ndarray:
    """(h, w) float32.

    Raises:
        ValueError: it is not of `shape`, or not within [-1, 1].
    """
    try:
        values = np.asarray(attention_map, dtype=np.float32)
    except (ValueError, TypeError, OverflowError):
        raise AbnError("map_rows", rows=shape[0], columns=shape[1]) from None
    if not values.shape:
        raise AbnError("map_number", rows=shape[0], columns=shape[1])
    if values.shape != tuple(shape):
        raise AbnError("map_shape", rows=shape[0], columns=shape[1], found=" x ".join(map(str, values.shape)))
    if not np.isfinite(values).all() or np.abs(values).max() > 1:
        raise AbnError("map_values")
    return values


def change(before: Explanation, after: Edited) -> tuple[str, float, float]:
    """(class, before, after): the first answer and what became of its probability."""
    return before.label, before.probabilities[before.label], after.probabilities[before.label]


__all__ = ["Edited", "Editing", "change", "checked_map", "under"]
