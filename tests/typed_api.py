"""The public API as a user's type checker sees it. `ty check` reads this file; nothing runs it.

An `assert_type` fails where the library's annotations say anything else, wider or narrower. The lines with a reason to
be refused fail where they are not.
"""

from pathlib import Path
from typing import assert_type

import numpy as np
import torch
from PIL import Image

import abn
from abn import Calibration, Explainer, Explanation, corrections, imagenette
from abn.checkpoints import load_checkpoint
from abn.comparison import Compared, Comparison, Curves
from abn.corrections import Correction
from abn.editing import Edited, Editing, change
from abn.explained import Geometry
from abn.methods import METHODS, Method, method
from abn.model.pictures import Reduced, load_rgb
from abn.tuning import tuned


def one_picture(explainer: Explainer, picture: Image.Image, array: np.ndarray, tensor: torch.Tensor, path: Path):
    assert_type(explainer(picture), Explanation)
    assert_type(explainer(array, method="grad-cam"), Explanation)
    assert_type(explainer(tensor, target="golf ball"), Explanation)
    assert_type(explainer("picture.jpg", target=3, view="whole"), Explanation)
    assert_type(explainer(path, target=np.int64(3)), Explanation)
    assert_type(explainer(explainer.read(path)), Explanation)
    explainer(3)  # ty: ignore[no-matching-overload]  # no picture
    explainer(picture, target=0.5)  # ty: ignore[no-matching-overload]  # no class
    explainer(picture, "grad-cam")  # ty: ignore[no-matching-overload]  # which setting is it?


def several(explainer: Explainer, picture: Image.Image, path: Path, found: list[str | Path]):
    assert_type(explainer([picture, picture]), list[Explanation])
    assert_type(explainer(["picture.jpg", path, picture]), list[Explanation])
    assert_type(explainer((path, path), target="church"), list[Explanation])
    assert_type(explainer(found), list[Explanation])
    assert_type(explainer(sorted(path.iterdir())), list[Explanation])
    assert_type(explainer.every_task([picture], tasks=["smiling", 3]), list[dict[str, Explanation]])
    explainer([3])  # ty: ignore[no-matching-overload]  # no pictures


def either(explainer: Explainer, given: Image.Image | list[Image.Image]):
    assert_type(explainer(given), Explanation | list[Explanation])


def explained(e: Explanation):
    assert_type(e.label, str)
    assert_type(e.probabilities, dict[str, float])
    assert_type(e.attention_probabilities, dict[str, float])
    assert_type(e.attention_map, np.ndarray)
    assert_type(e.view, np.ndarray)
    assert_type(e.heatmap, np.ndarray)
    assert_type(e.overlay(alpha=0.5, colourmap="viridis"), np.ndarray)
    assert_type(e.unfamiliar, bool)
    assert_type(e.target, str | None)
    assert_type(e.familiarity, float | None)
    assert_type(e.geometry, Geometry)
    assert_type(e.geometry.box, tuple[int, int, int, int])
    assert_type(abn.overlay(e.view, e.heatmap), np.ndarray)
    assert_type(abn.jet(e.heatmap), np.ndarray)
    e.label = "church"  # ty: ignore[invalid-assignment]  # frozen


def loaded(folder: Path):
    explainer = Explainer.from_pretrained("compact", device="cpu", revision="main")
    assert_type(explainer, Explainer)
    assert_type(explainer.processor, abn.AbnImageProcessor)
    assert_type(explainer.calibration, Calibration)
    assert_type(explainer.labels, list[str])
    assert_type(explainer.methods, dict[str, Method])
    assert_type(explainer.target_index("church"), int)
    assert_type(explainer.target_index(None), None)
    assert_type(explainer.read(folder / "picture.jpg"), Image.Image | Reduced)
    assert_type(explainer.processor.geometry((480, 640)).crop, tuple[int, int])
    explainer.processor("picture.jpg", view="whole", return_tensors="pt")
    assert_type(tuned(explainer), Explainer)
    assert_type(Calibration.load(folder), Calibration)
    assert_type(Calibration.load(folder).is_unfamiliar(3.5), bool)
    model, processor = load_checkpoint(folder)
    assert_type(Explainer(model, processor, device=torch.device("cpu")), Explainer)
    own = abn.AbnForImageClassification.from_pretrained(folder)
    assert_type(own, abn.AbnForImageClassification)
    assert_type(own.config, abn.AbnConfig)
    assert_type(own.config.num_labels, int)
    assert_type(own.model.attention_map, torch.Tensor | None)


def beyond(explainer: Explainer, picture: Image.Image):
    comparison = Comparison(explainer, picture, target="church")
    compared = comparison("grad-cam", limit=50)
    assert_type(compared, Compared)
    assert_type(compared.heatmap, np.ndarray)
    assert_type(comparison.target, str)
    assert_type(comparison.curves(compared), Curves)
    assert_type(comparison.curves(compared).areas, tuple[float, float])
    editing = Editing(explainer, picture)
    assert_type(editing.explanation, Explanation)
    edited = editing(np.zeros((7, 7)))
    assert_type(edited, Edited)
    assert_type(editing(edited.attention_map.tolist()).probabilities, dict[str, float])
    assert_type(editing.laid(edited), np.ndarray)
    assert_type(change(editing.explanation, edited), tuple[str, float, float])


@method("mean-features", "Mean of the features")
def mean_features(model, pixel_values, parts, targets: torch.Tensor) -> torch.Tensor:
    return parts.features.mean(1)


def of_methods(pixels: torch.Tensor, targets: torch.Tensor):
    assert_type(mean_features(None, pixels, None, targets), torch.Tensor)
    assert_type(METHODS["attention"].uses_target, bool)
    assert_type(METHODS["attention"].compute(None, pixels, None, targets), torch.Tensor)


def pictures(root: Path, mask: np.ndarray):
    assert_type(load_rgb(root / "picture.jpg"), Image.Image)
    assert_type(load_rgb(root / "picture.jpg", lambda size: (224.0, 224.0)), Image.Image | Reduced)
    assert_type(imagenette.load(root, "val"), imagenette.Pictures)
    assert_type(corrections.read(root), list[Correction])
    correction = Correction.of(load_rgb(root / "picture.jpg"), mask, "church", name="picture.jpg")
    assert_type(correction.picture, Image.Image)
    assert_type(correction.mask, np.ndarray)
    assert_type(corrections.write([correction], root), list[str])
