"""One function, `rows`, from a group of decoded pictures to a row each: whatever runs a survey runs this."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F

from ..decoding import normalised
from ..explanation import Explainer
from ..faithfulness.measures import deletion, ends_of, energy_inside, insertion, on_pixels
from ..model.image_processing_abn import Geometry
from ..names import nfc, shown
from ..tuning import tuned
from .decode import Decoded
from .listing import Listing
from .measures import agreement, border, peaks, spread

TOP = 5
AGREES = "grad-cam"  # the method that the map is compared with

MAP = pa.list_(pa.list_(pa.float16()))
COLUMNS = {
    "path": pa.string(),
    "split": pa.string(),
    "true_class": pa.string(),
    "right": pa.bool_(),
    "answer": pa.string(),
    "confidence": pa.float32(),
    "top5": pa.list_(pa.string()),
    "top5_confidences": pa.list_(pa.float32()),
    "attention_answer": pa.string(),
    "attention_confidence": pa.float32(),
    "energy": pa.float32(),
    "unfamiliar": pa.bool_(),
    "map": MAP,
    "peak": pa.float32(),
    "peak_x": pa.float32(),
    "peak_y": pa.float32(),
    "spread": pa.float32(),
    "border": pa.float32(),
    "gradcam_agreement": pa.float32(),
    "width": pa.int32(),
    "height": pa.int32(),
    "error": pa.string(),
}
FAITHFULNESS = {"insertion": pa.float32(), "deletion": pa.float32()}
INSIDE = {"inside": pa.float32(), "inside_area": pa.float32()}


def schema_of(faithfulness: bool, inside: bool) -> pa.Schema:
    more = (FAITHFULNESS if faithfulness else {}) | (INSIDE if inside else {})
    return pa.schema(COLUMNS | more)


@dataclass(frozen=True)
class Rows:
    """What a survey asks of each picture.

    explainer: the tuned one, where there is one. faithfulness: whether insertion and deletion are measured as well.
    """

    explainer: Explainer
    listing: Listing
    view: str = "whole"
    faithfulness: bool = False
    inside: bool = False

    @property
    def schema(self) -> pa.Schema:
        return schema_of(self.faithfulness, self.inside)

    @torch.no_grad()
    def rows(self, batch: Decoded) -> pa.Table:
        """A row each, in the group's order."""
        known: list[dict] = [{} for _ in batch.places]
        for members, pixels in batch.stacks:
            most = self.explainer.most(tuple(pixels.shape[2:]))
            for start in range(0, len(members), most):
                some = members[start : start + most]
                geometries = [self.explainer.processor.geometry(batch.sizes[member], self.view) for member in some]
                inside = [batch.inside.get(member) for member in some]
                for member, row in zip(some, self._pass(pixels[start : start + most], geometries, inside), strict=True):
                    known[member] = row
        told = [self._told(batch, member) | row for member, row in enumerate(known)]
        for row in told:
            if row["index"] is not None and "answered" in row:
                row["right"] = row["answered"] == row["index"]
        return pa.table({name: _column([row.get(name) for row in told], kind) for name, kind in self._kinds()})

    def _kinds(self) -> list[tuple[str, pa.DataType]]:
        return [(field.name, field.type) for field in self.schema]

    def _told(self, batch: Decoded, member: int) -> dict:
        """What is known of a picture before the network sees it."""
        place, size, name = batch.places[member], batch.sizes[member], self.listing.true_class(batch.places[member])
        index = class_index(self.explainer, name)
        return {
            "path": shown(self.listing.below(place)),
            "split": self.listing.split(place),
            "true_class": self.explainer.labels[index] if index is not None else None if name is None else shown(name),
            "height": size and size[0],
            "width": size and size[1],
            "error": batch.errors[member],
            "index": index,
        }

    def _pass(self, pixels: Tensor, geometries: list[Geometry], inside: list[Tensor | None]) -> list[dict]:
        """Of B pictures of one shape, (B, C, H, W) uint8; in halves where the GPU's memory does not hold the whole."""
        try:
            return self._forward(pixels, geometries, inside)
        except torch.OutOfMemoryError:
            if len(pixels) == 1:
                raise
        torch.cuda.empty_cache()
        half = len(pixels) // 2
        parts = (slice(half), slice(half, None))
        return [row for part in parts for row in self._pass(pixels[part], geometries[part], inside[part])]

    def _forward(self, pixels: Tensor, geometries: list[Geometry], inside: list[Tensor | None]) -> list[dict]:
        explainer = self.explainer
        whole = pixels.expand(-1, 3, -1, -1)  # the processor's mean and deviation are of three channels
        given = normalised(whole, explainer.processor, explainer.device)[:, : pixels.shape[1]]
        given = given.contiguous(memory_format=torch.channels_last)
        parts = explainer.parts(given)
        targets = parts.logits.argmax(1)
        methods, asked = explainer.methods, (explainer.model, given, parts, targets)
        laid = methods["attention"].compute(*asked).float()
        maps, logits = laid.cpu(), parts.logits.float().cpu()
        own = None if parts.attention_logits is None else parts.attention_logits.float().cpu()
        energies = explainer.calibration.score(logits, own, parts.attention_map.float().cpu()).tolist()
        most, across, down = (values.tolist() for values in peaks(maps))
        columns = {"spread": spread(maps), "border": border(maps)}
        if AGREES in methods:
            other = methods[AGREES].compute(*asked).float()
            columns["gradcam_agreement"] = agreement(maps, _resized(other, maps.shape[1:]).cpu())
        if self.faithfulness:
            heatmaps, ends = on_pixels(laid, given), ends_of(explainer.model, given, targets)
            for name, measure, known in zip(FAITHFULNESS, (insertion, deletion), ends, strict=True):
                columns[name] = measure(explainer.model, given, heatmaps, targets, ends=known).mean(1).cpu()
        columns = {name: values.tolist() for name, values in columns.items()}
        found = []
        for i, geometry in enumerate(geometries):
            row = self._answers(logits[i], None if own is None else own[i])
            row |= {name: values[i] for name, values in columns.items()}
            row |= {"energy": energies[i], "unfamiliar": explainer.calibration.is_unfamiliar(energies[i])}
            row |= {"map": maps[i].numpy().astype(np.float16), "peak": most[i]}
            row |= dict(zip(("peak_x", "peak_y"), in_picture(across[i], down[i], geometry), strict=True))
            if inside[i] is not None:
                heatmap = on_pixels(maps[i : i + 1], given)[0]
                row["inside"] = energy_inside(heatmap, inside[i]) if inside[i].any() else 0.0
                row["inside_area"] = inside[i].double().mean().item()
            found.append(row)
        return found

    def _answers(self, logits: Tensor, own: Tensor | None) -> dict:
        explainer = self.explainer
        shares, order = explainer.family.answers(logits / explainer.calibration.temperature)
        best = order[:TOP].tolist()
        row = {"answered": best[0], "answer": explainer.labels[best[0]], "confidence": shares[best[0]].item()}
        row |= {"top5": [explainer.labels[i] for i in best], "top5_confidences": shares[best].tolist()}
        if own is not None:
            shares, order = explainer.family.answers(own / explainer.calibration.attention_temperature)
            row |= {"attention_answer": explainer.labels[order[0]], "attention_confidence": shares[order[0]].item()}
        return row


def quick(explainer: Explainer, precision: str = "auto") -> Explainer:
    """The explainer that a survey asks: tuned, where its kind can be.

    Args:
        precision: "auto" (bfloat16 where the processor is quick at it) or "float32".

    Raises:
        ValueError: its network answers tasks.
    """
    if explainer.abilities.tasks:
        raise ValueError("this network answers several tasks with yes or no; a survey is of networks with one answer")
    if not explainer.abilities.tunable:
        return explainer
    return tuned(explainer, half=None if precision == "auto" else False)


def mark_of(explainer: Explainer) -> str:
    """A mark of what answers: other weights, another preprocessing or another calibration have another."""
    digest = hashlib.sha256(explainer.processor.to_json_string().encode())
    digest.update(repr(explainer.calibration).encode() + repr(explainer.labels).encode())
    for name, tensor in explainer.model.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def class_index(explainer: Explainer, name: str | None) -> int | None:
    """The class of that name or alias; None where the network has no such class, or several."""
    found = () if name is None else explainer.indices.get(name) or explainer.indices.get(nfc(name)) or ()
    return found[0] if len(found) == 1 else None


def in_picture(x: float, y: float, geometry: Geometry) -> tuple[float, float]:
    """(x, y) in shares of what the network saw -> in shares of the picture."""
    (top, bottom), (left, right) = geometry.span
    height, width = geometry.picture
    return (left + x * (right - left)) / width, (top + y * (bottom - top)) / height


def _resized(maps: Tensor, shape: tuple[int, int]) -> Tensor:
    """(B, h, w) maps on another grid."""
    return F.interpolate(maps[:, None], tuple(shape), mode="bilinear", align_corners=False)[:, 0]


def _column(values: list, kind: pa.DataType) -> pa.Array:
    return _maps(values) if kind == MAP else pa.array(values, kind)


def _maps(maps: list[np.ndarray | None]) -> pa.Array:
    """(h, w) float16 arrays, of different shapes or None, as lists of lists."""
    heights = [0 if each is None else len(each) for each in maps]
    widths = [0 if each is None else each.shape[1] for each in maps]
    flat = np.concatenate([np.empty(0, np.float16), *(each.ravel() for each in maps if each is not None)])
    lines = np.concatenate([[0], np.cumsum(np.repeat(widths, heights))]).astype(np.int32)
    pictures = np.concatenate([[0], np.cumsum(heights)]).astype(np.int32)
    rows = pa.ListArray.from_arrays(pa.array(lines), pa.array(flat, pa.float16()))
    return pa.ListArray.from_arrays(pa.array(pictures), rows, mask=pa.array([each is None for each in maps]))
