"""Several methods on one picture: one forward pass for all, a heatmap, its time and its faithfulness each."""

import time
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from .errors import AbnError
from .explanation import Explainer, Picture, Target
from .faithfulness import STEPS, deletion, ends_of, insertion, on_pixels
from .methods import method_named

CURVE_PASSES = 2 * STEPS - 1  # forward passes of a method's two curves: both end in the picture itself


@dataclass(frozen=True, eq=False)
class Compared:
    """method, label: its name, and its label. target: the class it explains, None where that makes no difference.
    grid: (h, w) float32 in [0, 1], the map on its own grid; heatmap: (H, W), laid over the picture's view.
    milliseconds: what the method took beyond the forward pass that all share.
    passes: how many forward passes it made, where those were fewer than the method's own number."""

    method: str
    label: str
    target: str | None
    milliseconds: float
    grid: np.ndarray = field(repr=False)
    heatmap: np.ndarray = field(repr=False)
    passes: int | None = None


@dataclass(frozen=True)
class Curves:
    """Insertion and deletion of one map: the class's probability at each step, and the mean (the area)."""

    insertion: tuple[float, ...]
    deletion: tuple[float, ...]

    @property
    def areas(self) -> tuple[float, float]:
        return sum(self.insertion) / len(self.insertion), sum(self.deletion) / len(self.deletion)


class Comparison:
    """One picture, ready for any method. Safe to use beside others on the same explainer.

    Example:
        >>> comparison = Comparison(Explainer.from_pretrained("compact"), "golf.jpg", target="golf ball")
        >>> comparison("grad-cam").heatmap.shape == comparison.view.shape[:2]
        True
    """

    @torch.no_grad()
    def __init__(self, explainer: Explainer, picture: Picture, target: Target | None = None, view: str = "whole"):
        """Run the forward pass.

        Args:
            target: the class to explain; the predicted one if None.

        Raises:
            ValueError, TypeError, FileNotFoundError: as `Explainer`'s.
        """
        picture = explainer.read(picture, view)
        self.explainer, self.how, self._size = explainer, view, (picture.height, picture.width)
        began = time.perf_counter()
        self._passed = explainer.forward([picture], view, explainer.target_index(target))
        self.seconds_a_pass = time.perf_counter() - began
        self.target = explainer.labels[self._passed.targets]
        self.geometry = explainer.processor.geometry(self._size, view)
        self.view = explainer.seen(picture, view)

    def __call__(self, method: str, limit: int | None = None) -> Compared:
        """
        Args:
            limit: the most forward passes it may make; a method that needs more makes do with fewer of its masks.

        Raises:
            ValueError: an unknown method, names the known ones; or so few passes tell nothing.
        """
        how, passed = method_named(method, self.explainer.methods), self._passed
        compute, made = how.compute, None
        if limit is not None and self.passes(method) > limit:
            fewer = how.within(passed.pixels, passed.parts, limit) if how.within else None
            if fewer is None:
                raise AbnError("too_few_passes", method=method, passes=self.passes(method), limit=limit)
            compute, made = fewer
        began = time.perf_counter()
        maps = compute(self.explainer.model, passed.pixels, passed.parts, passed.targets)[:, None].cpu()
        took = 1000 * (time.perf_counter() - began)
        sizes = [self.view.shape[:2]]
        heatmap = self.explainer.processor.post_process_attention(maps, [self._size], self.how, sizes)[0]
        return Compared(
            how.name,
            how.label,
            self.target if how.uses_target else None,
            took,
            maps[0, 0].numpy().copy(),
            heatmap.clamp(0, 1).numpy(),
            made,
        )

    def passes(self, method: str) -> int:
        """The forward passes that a method needs beyond the one that all share."""
        how = method_named(method, self.explainer.methods)
        return how.passes(self._passed.pixels, self._passed.parts) if how.passes else 0

    def fits(self, method: str, limit: int | None) -> bool:
        """Whether a method tells something in at most so many forward passes."""
        if limit is None or self.passes(method) <= limit:
            return True
        within = self.explainer.methods[method].within
        return within is not None and within(self._passed.pixels, self._passed.parts, limit) is not None

    def curves(self, compared: Compared) -> Curves:
        """How the target's probability rises and falls as pixels come and go in the map's order."""
        model, pixels, targets = self.explainer.model, self._passed.pixels, self._passed.targets
        laid = on_pixels(torch.from_numpy(compared.grid)[None].to(pixels), pixels)
        inserting, deleting = self._ends
        return Curves(
            tuple(insertion(model, pixels, laid, targets, ends=inserting)[0].tolist()),
            tuple(deletion(model, pixels, laid, targets, ends=deleting)[0].tolist()),
        )

    @cached_property
    def _ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        return ends_of(self.explainer.model, self._passed.pixels, self._passed.targets)
