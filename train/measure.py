"""What a checkpoint is worth: accuracy, calibration, and how far its attention map can be believed."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel

from abn import AbnImageProcessor, Calibration, Explainer, families
from abn.calibration import CALIBRATION_NAME
from abn.calibration.run import calibrated
from abn.checkpoints import load_calibration, load_checkpoint
from abn.faithfulness.boxes import read_boxes
from abn.faithfulness.figures import MAPS, in_words, measured
from abn.faithfulness.run import measure as explanation_figures
from abn.faithfulness.run import spread
from abn.grids import grid
from abn.names import shown
from train.aspect import cost_of_aspect
from train.data import preprocessed
from train.dataset import PictureDataset, Reading
from train.metrics import details, scores, task_details, task_scores
from train.naming import class_order
from train.plain import PlainForImageClassification, is_plain, network_shape
from train.report import predict
from train.sources import Source

SHOWN = 20  # classes of the grid of attention maps

Loaded = tuple[PreTrainedModel, AbnImageProcessor]


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load(folder: str | Path, residual_attention: bool | None = None) -> Loaded:
    """The model and the processor of an output folder, an ABN's or one trained with --plain; of a checkpoint as
    `load_checkpoint` takes it."""
    if is_plain(folder):
        return PlainForImageClassification.load(folder)
    return load_checkpoint(folder, residual_attention=residual_attention)


def calibrate(folder: Path, loaded: Loaded, held_out: PictureDataset | None) -> None:
    """Fit and write calibration.json on held-out pictures, as `python -m abn.calibration` does; without any, remove
    it."""
    (folder / CALIBRATION_NAME).unlink(missing_ok=True)
    if held_out is None or held_out.labels.ndim == 2 or is_plain(folder):
        return
    model, processor = loaded
    calibrated(Explainer(model, processor, device=device()), held_out.samples).save(folder)


def figures(
    folder: str | Path,
    loaded: Loaded,
    source: Source,
    reading: Reading,
    *,
    batch: int,
    explain: int,
    boxes: str | None,
    data: PictureDataset | None = None,
) -> dict:
    """The figures of metrics.json: of the validation split, as the checkpoint's own processor sees it.

    Args:
        loaded: what `load(folder)` gives.
        data: the validation pictures, where they are preprocessed already.
        explain: pictures for insertion and deletion, and twice as many for what aspect costs; 0: none of these.
        boxes: CSV of boxed pictures below the source's root, for pointing and energy.

    Raises:
        ValueError: the checkpoint does not know the data's classes (see `class_order`).
    """
    model, processor = loaded
    order = class_order(folder, model, source)
    if len(order) < model.config.num_labels:
        others = model.config.num_labels - len(order)
        print(f"{folder} knows {others} more classes: it answers among the {len(order)} of {source.name} alone")
    data = preprocessed(source.val, processor, reading) if data is None else data
    logits, attention_logits = (
        found if found is None else found[..., order] for found in predict(model, data, processor, batch, device())
    )
    about = {
        "parameters": model.num_parameters(),
        "attention": attention_logits is not None,
        "network": _network(model.config),
        "test_size": processor.crop_size["height"],
    }
    if data.labels.ndim == 2:
        measured = task_scores(logits, attention_logits, data.labels)
        measured |= task_details(logits, data.labels, source.classes)
        return {"dataset": source.name, "pictures": len(data), **measured, **about, "tasks": len(source.classes)}
    calibration = Calibration() if is_plain(folder) else load_calibration(folder)
    found = {
        "dataset": source.name,
        "pictures": len(data),
        **scores(logits, attention_logits, data.labels),
        **details(logits, data.labels, source.classes, calibration.temperature),
        **about,
    }
    if explain and families.find(model.config) is not None:
        found["explanation"] = explanation(loaded, data.samples, source.root, explain, boxes)
        found |= cost_of_aspect(Explainer(model, processor, device=device()), spread(data.samples, 2 * explain), order)
    return found


def attention_grid(loaded: Loaded, samples: Sequence[tuple[str, int]], classes: Sequence[str], file: Path) -> None:
    """The first of the (path, label) samples of each of the first classes beside its attention, as a PNG; of a network
    without a map, none."""
    model, processor = loaded
    family = families.find(model.config)
    if family is None or family.abilities(model.config).tasks:
        return
    first: dict[int, str] = {}
    for path, label in samples:
        first.setdefault(label, path)
    shown = sorted(first)[:SHOWN]
    explainer = Explainer(model, processor, device=device())
    explanations = explainer([first[label] for label in shown])
    grid(explanations, [classes[label] for label in shown], 1.0).savefig(file, dpi=80)


def _network(config) -> str:
    shape = network_shape(config)
    if shape.layers:
        return f"Vision Transformer of {shape.layers} layers, width {shape.width}"
    return f"{shape.arch} of width {shape.width}"


def explanation(loaded: Loaded, samples: list, root: Path, pictures: int, boxes: str | None) -> dict:
    """The attention map's figures (a transformer's: its rollout's), and those of the family's method beside it."""
    model, processor = loaded
    explainer = Explainer(model, processor, device=device())
    own, other = explainer.methods["attention"], explainer.methods[explainer.family.beside]
    samples = spread(samples, pictures)
    results = explanation_figures(
        explainer,
        samples,
        [own, other],
        boxes=read_boxes(boxes, root) if boxes else None,
        folder=root,
    )
    kept = {
        name: {figure.key: round(value, 4) for figure, value in measured(MAPS, row)} for name, row in results.items()
    }
    return {"method": own.name, "pictures": len(samples), **kept[own.name], other.name: kept[other.name]}


def summary(found: dict) -> str:
    """The figures as lines to read."""
    if "tasks" in found:
        head = f"mean accuracy {found['accuracy']:.2f} % of {found['tasks']} tasks  loss {found['loss']:.4f}  "
        lines = [f"{head}({found['pictures']} pictures; attention branch alone {found['attention_accuracy']:.2f} %)"]
        return "\n".join(
            [*lines, "  ".join(f"{shown(name)} {value:.1f}" for name, value in found["per_class"].items())]
        )
    lines = [
        f"{in_words(found, 'top1', 'top5', 'loss')}  "
        f"({found['pictures']} pictures; ece {found['ece']:.4f}, calibrated {found['ece_calibrated']:.4f})"
    ]
    if found["attention"]:
        lines.append(f"attention branch alone: {in_words({'top1': found['attention_top1']}, 'top1')}")
    lines.append("  ".join(f"{shown(name)} {value:.1f}" for name, value in found["per_class"].items()))
    if lost := in_words(found, "aspect_cost", "aspect_cost_whole"):
        lines.append(lost)
    if explained := found.get("explanation"):
        beside = [(name, row) for name, row in explained.items() if isinstance(row, dict)]
        for name, row in [("attention map", explained), *beside]:
            lines.append(f"{name}: " + "  ".join(f"{f.key} {f.shown(value)}" for f, value in measured(MAPS, row)))
    return "\n".join(lines)
