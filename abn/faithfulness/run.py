"""The benchmark behind `python -m abn.faithfulness`: every method's faithfulness on real pictures, as a table.

    python -m abn.faithfulness --checkpoint abn/weights/compact --imagenette-root data --limit 500 \\
        --boxes boxes.csv --methods attention attention-cam grad-cam centre uniform
    python -m abn.faithfulness --checkpoint digits --data mnist-pictures/val    # a Vision Transformer's

Writes OUT/faithfulness.json and OUT/faithfulness.png. The same arguments give the same table; milliseconds vary.
"""

import argparse
import json
import os
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from .. import imagenette
from ..commands import carried_out, program
from ..explanation import Explainer
from ..folders import class_folders
from ..methods import Method, Parts, in_menus, method_named
from ..names import shown
from ..tuning import tuned
from .boxes import read_boxes
from .figures import BENCHMARK, MAPS
from .measures import (
    Box,
    deletion,
    ends_of,
    energy_in_boxes,
    energy_inside,
    insertion,
    on_pixels,
    pointing_game,
    shuffled,
    similarity,
)

BATCH = 32
SHUFFLES = 8


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=program("abn.faithfulness"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--checkpoint",
        type=os.path.expanduser,
        default="compact",
        help="folder, .safetensors file, Hub id, or 'compact'",
    )
    parser.add_argument("--imagenette-root", type=os.path.expanduser, default="data")
    parser.add_argument("--split", choices=("val", "train"), default="val")
    parser.add_argument(
        "--data", type=os.path.expanduser, metavar="DIR", help="any folder of class folders, in place of Imagenette"
    )
    parser.add_argument("--limit", type=int, default=500, help="pictures for insertion and deletion, spread evenly")
    parser.add_argument(
        "--boxes", type=os.path.expanduser, help="CSV of path,x0,y0,x1,y1 as fractions, for pointing game and energy"
    )
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help="default: those that need few forward passes")
    parser.add_argument("--tolerance", type=int, default=0, help="of the pointing game, in pixels")
    parser.add_argument("--seed", type=int, default=0, help="of the randomisation check")
    parser.add_argument("--out", type=os.path.expanduser, default="outputs", help="folder for the JSON and the curves")
    args = parser.parse_args(argv)
    if args.limit < 1:
        parser.error("--limit must be 1 or more")
    if args.data and args.boxes:
        parser.error("--boxes are of Imagenette's pictures; --data takes their place")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    return carried_out(lambda: run(args))


def run(args: argparse.Namespace) -> dict:
    """Raises: ValueError, OSError: the checkpoint, the pictures, the boxes or a method cannot be had; says why."""
    explainer = Explainer.from_pretrained(args.checkpoint)
    methods = in_menus(explainer.methods, quick=True)
    if args.methods:
        methods = [method_named(name, explainer.methods) for name in args.methods]
    if args.data:
        data, folder = class_folders(args.data), Path(args.data)
        data.left_out.report(args.data)
    else:
        data = imagenette.load(args.imagenette_root, args.split).report()
        folder = data.folder
    boxes = read_boxes(args.boxes, folder) if args.boxes else None
    samples = spread(data.samples, args.limit)
    results = measure(explainer, samples, methods, boxes=boxes, folder=folder, tolerance=args.tolerance)
    randomisation(explainer, spread(samples, BATCH), methods, results, args.seed)
    split = shown(args.data or args.split)
    report = {"checkpoint": shown(args.checkpoint), "split": split, "pictures": len(samples), "methods": results}
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "faithfulness.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
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
    """Method's name -> its figures: insertion, deletion, their difference, curves, milliseconds; with `boxes` pointing
    and energy; of a network for grey pictures strokes, the share of the map (minus its minimum) on pixels brighter than
    middle grey, and strokes_area, what a uniform map scores.

    Args:
        samples: (path, label) pairs, for insertion and deletion of the predicted class.
        boxes: path below `folder` -> boxes of the true class, which the folder holding the picture names.
    """
    results = {method.name: {"label": method.label} for method in methods}
    _curves(explainer, samples, methods, results)
    if boxes:
        _boxes(explainer, boxes, folder, methods, results, tolerance)
    if explainer.abilities.channels == 1:
        _strokes(explainer, samples, methods, results)
    return results


def spread(samples: list, limit: int) -> list:
    """`limit` of the samples at even distances, so that every class has its share."""
    count = min(limit, len(samples))
    return [samples[i * len(samples) // count] for i in range(count)]


def _pixels(explainer: Explainer, paths: list) -> list[tuple[Tensor, list[int]]]:
    """Pictures at view "whole", batched by shape: [(pixel values, places in `paths`)]."""
    groups = defaultdict(list)
    for place, path in enumerate(paths):
        pixels = explainer.pixel_values([explainer.read(path, "whole")], "whole")
        groups[pixels.shape].append((pixels, place))
    batches = []
    for members in groups.values():
        for start in range(0, len(members), BATCH):
            chosen = members[start : start + BATCH]
            batches.append((torch.cat([pixels for pixels, _ in chosen]), [place for _, place in chosen]))
    return [(pixels.to(explainer.device, memory_format=torch.channels_last), places) for pixels, places in batches]


def heatmaps_of(
    explainer: Explainer, method: Method, pixels: Tensor, targets: Tensor | None, parts: Parts | None = None
) -> tuple[Tensor, Tensor]:
    """(B, H, W) heatmaps on the network's pixels, and the (B,) targets: the predicted classes if None. `parts`: of the
    forward pass, where it is known."""
    parts = explainer.parts(pixels) if parts is None else parts
    targets = parts.logits.argmax(1) if targets is None else targets
    return on_pixels(method.compute(explainer.model, pixels, parts, targets), pixels), targets


def _quick(explainer: Explainer):
    """The network that the curves ask, 40 times a map: folded and in bfloat16 where that is possible."""
    return tuned(explainer).model if explainer.abilities.tunable else explainer.model


def _curves(explainer, samples, methods, results) -> None:
    curves = {method.name: {"insertion": [], "deletion": []} for method in methods}
    seconds = defaultdict(float)
    model = _quick(explainer)
    with tqdm(total=len(samples) * len(methods), desc="insertion and deletion", mininterval=1) as bar:
        for start in range(0, len(samples), BATCH):
            for pixels, _ in _pixels(explainer, [path for path, _ in samples[start : start + BATCH]]):
                targets = explainer.parts(pixels).logits.argmax(1)
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


def _boxes(explainer, boxes, folder, methods, results, tolerance) -> None:
    """Pointing game and energy of the true class's map on boxed pictures."""
    paths = list(boxes)
    order = {wnid: index for index, wnid in enumerate(imagenette.WNIDS)}
    order |= {wnid: explainer.indices[wnid][0] for wnid in order if wnid in explainer.indices}
    truth = torch.tensor([order[Path(path).parent.name] for path in paths])
    found = {method.name: {"pointing": [], "energy": []} for method in methods}
    for pixels, places in tqdm(_pixels(explainer, [folder / path for path in paths]), "boxes", mininterval=1):
        targets, seen = truth[places].to(explainer.device), explainer.parts(pixels)
        for method in methods:
            maps, _ = heatmaps_of(explainer, method, pixels, targets, seen)
            for heatmap, place in zip(maps.cpu(), places, strict=True):
                found[method.name]["pointing"].append(pointing_game(heatmap, boxes[paths[place]], tolerance))
                found[method.name]["energy"].append(energy_in_boxes(heatmap, boxes[paths[place]]))
    for name, values in found.items():
        results[name] |= {kind: sum(scores) / len(scores) for kind, scores in values.items()}
        results[name]["boxed_pictures"] = len(paths)
    if "uniform" in results:
        results["uniform"]["pointing"] = None  # it points nowhere


def _strokes(explainer, samples, methods, results) -> None:
    found, areas = {method.name: [] for method in methods}, []
    middle = (0.5 - explainer.processor.image_mean[0]) / explainer.processor.image_std[0]
    for pixels, _ in tqdm(_pixels(explainer, [path for path, _ in samples]), "strokes", mininterval=1):
        bright = (pixels[:, 0] > middle).cpu()
        areas += bright.float().mean((1, 2)).tolist()
        seen = explainer.parts(pixels)
        for method in methods:
            maps = heatmaps_of(explainer, method, pixels, None, seen)[0].cpu()
            found[method.name] += [energy_inside(*pair) for pair in zip(maps, bright, strict=True)]
    for name, values in found.items():
        results[name] |= {"strokes": sum(values) / len(values), "strokes_area": sum(areas) / len(areas)}


def randomisation(explainer, samples, methods, results, seed) -> None:
    """Mean rank correlation between each method's maps and those of the same network with shuffled weights.

    SHUFFLES networks are drawn: the border, where padding is felt with any weights, lets one draw favour the centre and
    the next the border, the same in all its pictures.
    """
    batches = _pixels(explainer, [path for path, _ in samples])
    own = []
    for pixels, _ in batches:
        seen = explainer.parts(pixels)
        own.append([heatmaps_of(explainer, method, pixels, None, seen) for method in methods])
    values = defaultdict(list)
    for draw in tqdm(range(SHUFFLES), "shuffled weights", mininterval=1):
        weights = shuffled(explainer.model, seed * SHUFFLES + draw)
        other = Explainer(weights, explainer.processor, device=explainer.device)
        for (pixels, _), found in zip(batches, own, strict=True):
            seen = other.parts(pixels)
            for method, (maps, targets) in zip(methods, found, strict=True):
                values[method.name].append(similarity(maps, heatmaps_of(other, method, pixels, targets, seen)[0]))
    for name, parts in values.items():
        results[name]["similarity_to_shuffled"] = torch.cat(parts).mean().item()


def table(results: dict[str, dict]) -> str:
    """The results as a Markdown table, a row a method."""
    figures = [figure for figure in (*MAPS, *BENCHMARK) if any(figure.key in row for row in results.values())]
    heads = " | ".join(figure.column for figure in figures)
    lines = [f"| method | {heads} |", "|---" * (len(figures) + 1) + "|"]
    for row in results.values():
        cells = ["–" if row.get(f.key) is None else f.shown(row[f.key]) for f in figures]
        lines.append(f"| {row['label']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(results: dict[str, dict], file: Path) -> None:
    """Mean insertion and deletion curves side by side, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    for axis, kind in zip(axes, ("insertion", "deletion"), strict=True):
        for row in results.values():
            values = row["curves"][kind]
            shares = [100 * i / (len(values) - 1) for i in range(len(values))]
            axis.plot(shares, values, label=f"{row['label']} ({row[kind]:.2f})", linewidth=1.6)
        axis.set(title=kind.capitalize(), xlabel=f"pixels {'inserted' if kind == 'insertion' else 'deleted'} (%)")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    axes[0].set(ylabel="probability of the predicted class", ylim=(0, 1))
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
