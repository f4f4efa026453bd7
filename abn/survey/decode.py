"""From paths to what the network is given, but for normalising: the part of a survey that any process can do."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..explanation import grey
from ..faithfulness.measures import Box
from ..model.image_processing_abn import AbnImageProcessor, Geometry
from ..model.pictures import load_rgb
from ..names import shown
from .listing import Listing

ENDINGS = (".png", ".PNG", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")  # of a mask, where it has not the picture's own


@dataclass
class Decoded:
    """A group of N pictures. places: of the listing; sizes: (height, width), None of one that cannot be read; errors:
    why not. stacks: for each shape there is, the members (indices from 0 to N) and their (B, C, H, W) uint8 pixels.
    inside: member -> (H, W) bool, what lies in its boxes or its mask."""

    places: list[int]
    sizes: list[tuple[int, int] | None] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)
    stacks: list[tuple[list[int], Tensor]] = field(default_factory=list)
    inside: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Decode:
    """Places of a listing -> `Decoded`, as the explainer of this processor sees them in `view`.

    channels: 1 for a network of grey pictures. boxes: path below the listing's root -> boxes. masks: a folder that
    holds each picture's mask under the picture's own path, with its ending or one of ENDINGS.
    """

    listing: Listing
    processor: AbnImageProcessor
    view: str
    channels: int = 3
    boxes: dict[str, list[Box]] | None = None
    masks: str | None = None

    def __call__(self, places: Sequence[int]) -> Decoded:
        found = Decoded(list(places))
        groups: dict[tuple[int, int], list[tuple[int, Image.Image]]] = defaultdict(list)
        for member, place in enumerate(found.places):
            try:
                picture = load_rgb(self.listing.path(place), lambda size: self.processor.enough(size, self.view))
                geometry = self.processor.geometry((picture.height, picture.width), self.view)
            except Exception as error:  # whatever is wrong with a file, the others go on
                found.sizes.append(None)
                found.errors.append(shown(error) or type(error).__name__)
                continue
            found.sizes.append((picture.height, picture.width))
            found.errors.append(None)
            groups[geometry.crop].append((member, grey(picture) if self.channels == 1 else picture))
            if (inside := self._inside(self.listing.below(place), geometry)) is not None:
                found.inside[member] = inside
        how = {"view": self.view, "do_rescale": False, "do_normalize": False, "return_tensors": "pt"}
        for members in groups.values():
            pixels = self.processor([picture for _, picture in members], **how)["pixel_values"]
            found.stacks.append(([member for member, _ in members], pixels[:, : self.channels].contiguous()))
        return found

    def _inside(self, below: str, geometry: Geometry) -> Tensor | None:
        if self.boxes is not None:
            boxes = self.boxes.get(below)
            return None if boxes is None else in_boxes(boxes, geometry)
        if self.masks is None or (file := _mask_of(Path(self.masks) / below)) is None:
            return None
        try:
            with Image.open(file) as opened:
                mask = np.asarray(opened if opened.mode in ("P", "L", "1", "I", "I;16") else opened.convert("L"))
        except Exception:  # the picture itself is explained all the same
            return None
        return in_mask(mask > 0, geometry)


def centres(geometry: Geometry) -> tuple[Tensor, Tensor]:
    """(H,), (W,): where the centres of the network's pixels lie in the picture, in shares of its height and width."""
    return tuple(
        (start + (torch.arange(count, dtype=torch.float64) + 0.5) / count * (stop - start)) / length
        for (start, stop), count, length in zip(geometry.span, geometry.crop, geometry.picture, strict=True)
    )


def in_boxes(boxes: Sequence[Box], geometry: Geometry) -> Tensor:
    """(H, W) bool: the network's pixels whose centres lie in any of the boxes."""
    y, x = centres(geometry)
    inside = torch.zeros(geometry.crop, dtype=torch.bool)
    for left, top, right, bottom in boxes:
        inside |= ((y >= top) & (y <= bottom))[:, None] & ((x >= left) & (x <= right))[None]
    return inside


def in_mask(mask: np.ndarray, geometry: Geometry) -> Tensor:
    """(H, W) bool: the network's pixels whose centres lie on what an (h, w) mask of the whole picture marks."""
    rows, columns = ((at * side).floor().long() for at, side in zip(centres(geometry), mask.shape, strict=True))
    there = [(at >= 0) & (at < side) for at, side in zip((rows, columns), mask.shape, strict=True)]
    inside = torch.from_numpy(np.ascontiguousarray(mask))
    found = inside[rows.clamp(0, mask.shape[0] - 1)][:, columns.clamp(0, mask.shape[1] - 1)]
    return found & there[0][:, None] & there[1][None]


def _mask_of(file: Path) -> Path | None:
    return next((each for each in (file, *map(file.with_suffix, ENDINGS)) if os.path.isfile(each)), None)
