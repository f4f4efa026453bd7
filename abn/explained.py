"""What is known of one explained picture."""

from dataclasses import dataclass, field

import numpy as np

from .model.image_processing_abn import Geometry
from .overlay import coloured, overlay


@dataclass(frozen=True, eq=False)
class Explanation:
    """What the network made of one picture.

    label: the perception branch's most probable class.
    probabilities: class -> probability, most probable first; temperature-scaled where the weights bring a calibration.
    attention_probabilities: the attention branch's own opinion, likewise; empty without such a branch.
    attention_map: (h, w) float32, as the model gave it: in [0, 1], but of SE-ResNet (no upper bound) and of multi-task
        networks (signed, the target's).
    view: (H, W, 3) uint8 RGB: the picture's own pixels of what was looked at, the longest side at most 1024.
    heatmap: (H, W) float32 in [0, 1]: the map laid over `view`; the attention map, or what `method` gave.
    grid: (h, w) float32: the same map on its own places, before it was laid and cut to [0, 1].
        These four arrays are writable, and nothing else holds their memory.
    geometry: where `view` and the grid lie in the picture.
    method: the name of the method the heatmap comes from, see `abn.methods`.
    target: the class it explains; None for methods that are the same for every class.
    energy: log sum exp of the logits; summed over both branches, and with the attention map's strength added, where the
        calibration says so; low where the network has seen nothing alike.
    unfamiliar: whether `energy` lies below the calibration's threshold: probably none of the classes.
    familiarity: the share of held-out pictures of the classes whose energy is lower, 0 to 1: at 0.05, 19 of 20 of them
        score higher; None where the calibration does not say.
    """

    label: str
    probabilities: dict[str, float]
    attention_probabilities: dict[str, float]
    attention_map: np.ndarray = field(repr=False)
    view: np.ndarray = field(repr=False)
    heatmap: np.ndarray = field(repr=False)
    grid: np.ndarray = field(repr=False)
    geometry: Geometry = field(repr=False)
    energy: float
    unfamiliar: bool
    method: str = "attention"
    target: str | None = None
    familiarity: float | None = None

    def overlay(self, alpha: float = 1.0, stretch: bool = False, colourmap: str = "jet") -> np.ndarray:
        """(H, W, 3) uint8 RGB: `view` with the heatmap's colours added; see `abn.overlay.overlay`."""
        return overlay(self.view, self.heatmap, alpha, stretch, colourmap)

    def colours(self, stretch: bool = False, colourmap: str = "jet") -> np.ndarray:
        """(H, W, 3) uint8 RGB: the heatmap's colours alone, the layer that `overlay` adds."""
        return coloured(self.heatmap, colourmap, stretch)
