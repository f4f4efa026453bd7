"""The Edit tab: another attention map, and what the perception branch makes of it."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ...editing import under
from ...model.image_processing_abn import Geometry
from ...packing import map_of
from ..context import Asked
from ..locale import say
from ..server.explained import class_of
from ..server.serving import Served
from .explain import preview_of

SHOWN = 5  # classes
REFUSALS = {
    "unbounded": "edit_only_bounded",
    "tasks": "edit_only_one",
    "layers": "edit_only_abn",
}  # by `Abilities.uneditable`


@dataclass(frozen=True, eq=False)
class Held:
    """What a picture's edits start from. probabilities: under its own map, attention_map, (h, w); features: (1, C, h,
    w)."""

    probabilities: dict[str, float]
    attention_map: np.ndarray
    geometry: Geometry
    features: Tensor


class Features:
    """The last few pictures' features, by file, model and view. Any may vanish at any time: they are made again."""

    def __init__(self, most: int):
        self.most, self._held, self._lock = most, OrderedDict(), threading.Lock()

    def of(self, served: Served, picture: str, view: str) -> Held:
        """Errors as `Explainer.explain_with_features`."""
        key = picture, served.name, view
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        made, features = served.lasting.explain_with_features(picture, view)
        held = Held(made.probabilities, made.attention_map, made.geometry, features)
        with self._lock:
            self._held[key] = held
            while len(self._held) > self.most:
                self._held.popitem(last=False)
        return held


FEATURES = Features(16)  # of ResNet-152 they take 1 to 4 MB a picture


def edit(asked: Asked) -> dict:
    """The answer under `map`, rows of numbers from -1 to 1, beside that under the model's own; where none is given, the
    own map itself, and of an example its class: `truth`, as the model calls it. With `labels` the model's classes as
    well, with `preview` the picture, for a browser that cannot decode it."""
    served = asked.served
    if why := REFUSALS.get(served.lasting.abilities.uneditable):
        return {"uneditable": say(why, asked.language)}
    held = FEATURES.of(served, asked.picture, asked.view)
    rows = asked.values.get("map")
    if rows is None:
        found = {"map": map_of(held.attention_map, held.geometry), **beside(held.probabilities, held.probabilities)}
        example = asked.example
        found["truth"] = class_of(served, example.label) if example else None
        if asked.values.get("labels"):
            found["labels"] = served.explainer.labels
        if asked.values.get("preview"):
            found["preview"] = preview_of(served, asked.picture)
        return found
    edited = under(served.lasting, held.features, rows, held.attention_map.shape)
    return beside(held.probabilities, edited.probabilities)


def beside(before: dict[str, float], after: dict[str, float]) -> dict:
    """classes: [name, after, before], by the greater of both; first: the answer under the own map, with both; now: the
    answer after, likewise."""

    def both(name: str) -> list:
        return [name, round(after[name], 6), round(before[name], 6)]

    order = sorted(before, key=lambda name: -max(before[name], after[name]))[:SHOWN]
    first, now = next(iter(before)), next(iter(after))
    return {"classes": [both(name) for name in order], "first": both(first), "now": both(now)}


ASKS = {"edit": edit}
