"""The benchmark behind `python -m abn.faithfulness`: every method's faithfulness on real pictures, as a table.

    python -m abn.faithfulness --checkpoint abn/weights/compact --imagenette-root data --limit 500 \\
        --boxes boxes.csv --methods attention attention-cam grad-cam centre uniform

Writes OUT/faithfulness.json and OUT/faithfulness.png. The same arguments give the same table; milliseconds vary.
"""

import argparse
import csv
import json
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from . import imagenette
from .explanation import Explainer
from .faithfulness import (
    Box,
    deletion,
    ends_of,
    energy_in_boxes,
    insertion,
    on_pixels,
    pointing_game,
    shuffled,
    similarity,
)
from .methods import METHODS, Method, forward_parts, method_named
from .pictures import load_rgb

QUICK = ("attention", "attention-cam", "grad-cam", "grad-cam++", "layer-cam", "eigen-cam", "centre", "uniform")
BATCH = 32


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m abn.faithfulness", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", default="compact", help="folder, .safetensors file, Hub id, or 'compact'")
    parser.add_argument("--imagenette-root", default="data")
    parser.add_argument("--split", choices=("val", "train"), default="val")
    parser.add_argument("--limit", type=int, default=500, help="pictures for insertion and deletion, spread evenly")
    parser.add_argument("--boxes", help="CSV of path,x0,y0,x1,y1 as fractions, for pointing game and energy")
    parser.add_argument("--methods", nargs="+", default=list(QUICK), metavar="METHOD", help=", ".join(METHODS))
    parser.add_argument("--tolerance", type=int, default=0, help="of the pointing game, in pixels")
    parser.add_argument("--seed", type=int, default=0, help="of the randomisation check")
    parser.add_argument("--out", default="outputs", help="folder for the JSON and the curves")
    args = parser.parse_args(argv)
    if args.limit < 1:
        parser.error("--limit must be 1 or more")
    return args


def main(argv: list[str] | None = None) -> dict:
    args = parse(argv)
    methods = [method_named(name) for name in args.methods]
    explainer = Explainer.from_pretrained(args.checkpoint)
    data = imagenette.load(args.imagenette_root, args.split)
    samples = spread(data._samples, args.limit)
    boxes = read_boxes(args.boxes) if args.boxes else None
    results = measure(explainer, samples, methods, boxes=boxes, folder=Path(data._size_root), tolerance=args.tolerance)
    randomisation(explainer, samples[:BATCH], methods, results, args.seed)
    report = {"checkpoint": args.checkpoint, "split": args.split, "pictures": len(samples), "methods": results}
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "faithfulness.json").write_text(json.dumps(report, indent=2) + "\n")
    draw(results, out / "faithfulness.png")
    print(table(results))
    return report


def measure(
    explainer: Explainer,
    samples: list,
    methods: list[Method],
    *,
    boxes: dict[str, list[Box]] | None = None,
    folder: Path | None = None,
    tolerance: int = 0,
) -> dict[str, dict]:
    """Method's name -> its figures: insertion, deletion, their difference, curves, milliseconds, and, with `boxes`,
    pointing and energy.

    Args:
        samples: (path, label) pairs, for insertion and deletion of the predicted class.
        boxes: path below `folder` -> boxes of the true class, which the folder holding the picture names.
    """
    results = {method.name: {} for method in methods}
    _curves(explainer, samples, methods, results)
    if boxes:
        _boxes(explainer, boxes, folder, methods, results, tolerance)
    return results


def spread(samples: list, limit: int) -> list:
    """`limit` of the samples at even distances, so that every class has its share."""
    count = min(limit, len(samples))
    return [samples[i * len(samples) // count] for i in range(count)]


def _pixels(explainer: Explainer, paths: list) -> list[tuple[Tensor, list[int]]]:
    """Pictures at view "whole", batched by shape: [(pixel values, places in `paths`)]."""
    groups = defaultdict(list)
    for place, path in enumerate(paths):
        pixels = explainer.processor(load_rgb(path), view="whole", return_tensors="pt")["pixel_values"]
        groups[pixels.shape].append((pixels, place))
    batches = []
    for members in groups.values():
        for start in range(0, len(members), BATCH):
            chosen = members[start : start + BATCH]
            batches.append((torch.cat([pixels for pixels, _ in chosen]), [place for _, place in chosen]))
    return [(pixels.to(explainer.device, memory_format=torch.channels_last), places) for pixels, places in batches]


def heatmaps_of(explainer: Explainer, method: Method, pixels: Tensor, targets: Tensor | None) -> tuple[Tensor, Tensor]:
    """(B, H, W) heatmaps on the network's pixels, and the (B,) targets: the predicted classes if None."""
    parts = forward_parts(explainer.model, pixels)
    targets = parts.logits.argmax(1) if targets is None else targets
    return on_pixels(method.compute(explainer.model, pixels, parts, targets), pixels), targets


def _curves(explainer, samples, methods, results) -> None:
    curves = {method.name: {"insertion": [], "deletion": []} for method in methods}
    seconds = defaultdict(float)
    with tqdm(total=len(samples) * len(methods), desc="insertion and deletion", mininterval=1) as bar:
        for start in range(0, len(samples), BATCH):
            for pixels, _ in _pixels(explainer, [path for path, _ in samples[start : start + BATCH]]):
                model = explainer.model
                targets = forward_parts(model, pixels).logits.argmax(1)
                inserting, deleting = ends_of(model, pixels, targets)
                for method in methods:
                    began = time.perf_counter()
                    maps, _ = heatmaps_of(explainer, method, pixels, targets)
                    seconds[method.name] += time.perf_counter() - began
                    found = curves[method.name]
                    found["insertion"].append(insertion(model, pixels, maps, targets, ends=inserting).cpu())
                    found["deletion"].append(deletion(model, pixels, maps, targets, ends=deleting).cpu())
                    bar.update(len(pixels))
    for method in methods:
        found = {kind: torch.cat(parts) for kind, parts in curves[method.name].items()}
        inserted, deleted = found["insertion"].mean().item(), found["deletion"].mean().item()
        results[method.name] |= {
            "insertion": inserted,
            "deletion": deleted,
            "difference": inserted - deleted,
            "milliseconds": 1000 * seconds[method.name] / len(samples),
            "curves": {kind: values.mean(0).tolist() for kind, values in found.items()},
        }


def read_boxes(file: str | Path) -> dict[str, list[Box]]:
    """path -> boxes of a CSV with the columns path, x0, y0, x1, y1.

    Raises:
        ValueError: columns are missing.
    """
    boxes = defaultdict(list)
    with open(file, newline="") as lines:
        reader = csv.DictReader(lines)
        if missing := {"path", "x0", "y0", "x1", "y1"} - set(reader.fieldnames or ()):
            raise ValueError(f"{file} lacks the columns {', '.join(sorted(missing))}")
        for row in reader:
            boxes[row["path"]].append(tuple(float(row[name]) for name in ("x0", "y0", "x1", "y1")))
    return dict(boxes)


def _boxes(explainer, boxes, folder, methods, results, tolerance) -> None:
    """Pointing game and energy of the true class's map on boxed pictures."""
    paths = list(boxes)
    truth = torch.tensor([imagenette.WNIDS.index(Path(path).parent.name) for path in paths])
    found = {method.name: {"pointing": [], "energy": []} for method in methods}
    for pixels, places in tqdm(_pixels(explainer, [folder / path for path in paths]), "boxes", mininterval=1):
        targets = truth[places].to(explainer.device)
        for method in methods:
            maps, _ = heatmaps_of(explainer, method, pixels, targets)
            for heatmap, place in zip(maps.cpu(), places, strict=True):
                found[method.name]["pointing"].append(pointing_game(heatmap, boxes[paths[place]], tolerance))
                found[method.name]["energy"].append(energy_in_boxes(heatmap, boxes[paths[place]]))
    for name, values in found.items():
        results[name] |= {kind: sum(scores) / len(scores) for kind, scores in values.items()}
        results[name]["boxed_pictures"] = len(paths)
    if "uniform" in results:
        results["uniform"]["pointing"] = None  # it points nowhere


def randomisation(explainer, samples, methods, results, seed) -> None:
    """Mean rank correlation between each method's maps and those of the same network with shuffled weights."""
    other = Explainer(shuffled(explainer.model, seed), explainer.processor, device=explainer.device)
    values = defaultdict(list)
    for pixels, _ in _pixels(explainer, [path for path, _ in samples]):
        for method in methods:
            maps, targets = heatmaps_of(explainer, method, pixels, None)
            noise, _ = heatmaps_of(other, method, pixels, targets)
            values[method.name].append(similarity(maps, noise))
    for name, parts in values.items():
        results[name]["similarity_to_shuffled"] = torch.cat(parts).mean().item()


COLUMNS = (
    ("insertion", "insertion", ".3f"),
    ("deletion", "deletion", ".3f"),
    ("difference", "ins - del", ".3f"),
    ("pointing", "pointing", ".3f"),
    ("energy", "energy", ".3f"),
    ("similarity_to_shuffled", "shuffled", ".2f"),
    ("milliseconds", "ms", ".1f"),
)


def table(results: dict[str, dict]) -> str:
    """The results as a Markdown table, a row a method."""
    lines = ["| method | " + " | ".join(title for _, title, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, row in results.items():
        cells = ["–" if row.get(key) is None else format(row[key], form) for key, _, form in COLUMNS]
        lines.append(f"| {METHODS[name].label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(results: dict[str, dict], file: Path) -> None:
    """Mean insertion and deletion curves side by side, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    for axis, kind in zip(axes, ("insertion", "deletion"), strict=True):
        for name, row in results.items():
            values = row["curves"][kind]
            shares = [100 * i / (len(values) - 1) for i in range(len(values))]
            axis.plot(shares, values, label=f"{METHODS[name].label} ({row[kind]:.2f})", linewidth=1.6)
        axis.set(title=kind.capitalize(), xlabel=f"pixels {'inserted' if kind == 'insertion' else 'deleted'} (%)")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    axes[0].set(ylabel="probability of the predicted class", ylim=(0, 1))
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
