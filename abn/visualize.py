"""Pictures with their attention laid over, as a grid or as files.

    python -m abn.visualize --checkpoint abn/weights/compact --imagenette-root data --out-dir outputs --no-display
    python -m abn.visualize --checkpoint digits --data mnist-pictures/val --method rollout --out-dir outputs
    python -m abn.visualize --checkpoint checkpoint/checkpoint-710 --pictures holiday --out-dir outputs

On Imagenette, or on the class folders of --data: OUT/PREFIX_attentions.png, pairs of picture and overlay, one a class,
titled with the true class, the predicted one and its confidence, green where right and red where wrong. With
--pictures: an overlay a picture in OUT/PREFIX_overlays, and OUT/PREFIX_scores.csv.
"""

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from . import imagenette
from .explanation import BATCH, Explainer, Explanation
from .folders import HIDDEN, LeftOut, class_folders, pictures_in
from .lettering import for_plot, style
from .names import cell, file_name, print_anything, same, shown
from .pictures import load_rgb


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m abn.visualize", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--checkpoint",
        "--ckpt",
        type=os.path.expanduser,
        default="compact",
        help="a folder, a Trainer's checkpoint-N folder, a .safetensors file, a Hub id, or 'compact': the bundled one",
    )
    parser.add_argument(
        "--pictures", metavar="DIR", type=os.path.expanduser, help="one's own pictures, in place of Imagenette"
    )
    parser.add_argument(
        "--data", metavar="DIR", type=os.path.expanduser, help="any folder of class folders, in place of Imagenette"
    )
    parser.add_argument("--imagenette-root", type=os.path.expanduser, default="data")
    parser.add_argument("--imagenette-size", choices=imagenette.SIZES)
    parser.add_argument("--split", choices=("val", "train"), default="val")
    parser.add_argument("--index", type=int, default=0, help="which picture of each class: 0 is the first")
    parser.add_argument("--view", choices=("model", "whole"), help="default: whole on --pictures, else model")
    parser.add_argument("--method", default="attention", help="see abn.methods; a wrong name lists the right ones")
    parser.add_argument("--attention-alpha", type=float, default=1.0, help="0 to 1: how strongly the colours are added")
    parser.add_argument("--out-dir", type=os.path.expanduser, default="outputs")
    parser.add_argument("--prefix", default="abn")
    parser.add_argument("--dpi", type=int, default=200)
    parser.add_argument("--no-display", action="store_true", help="only write files")
    parser.add_argument("--cpu", action="store_true", help="even where there is CUDA")
    args = parser.parse_args(argv)
    if not 0 <= args.attention_alpha <= 1:
        parser.error(f"--attention-alpha must be between 0 and 1; got {args.attention_alpha}")
    if args.data and args.pictures:
        parser.error("--data and --pictures contradict each other")
    if args.dpi < 1:
        parser.error(f"--dpi must be 1 or more; got {args.dpi}")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    print_anything()
    try:
        explainer = Explainer.from_pretrained(args.checkpoint, device="cpu" if args.cpu else None)
        written = own_pictures(explainer, args) if args.pictures else one_a_class(explainer, args)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"wrote {' and '.join(map(str, written))}")
    return 0


def one_a_class(explainer: Explainer, args: argparse.Namespace) -> list[Path]:
    """The grid of one picture a class. Returns the file.

    Raises:
        ValueError: a class has no picture `--index`.
    """
    if args.data:
        found = class_folders(args.data)
        found.left_out.report(args.data)
        samples = found.samples
        named = {name: explainer.indices.get(name, ()) for name in found.classes}
        classes = [explainer.labels[of[0]] if len(of) == 1 else name for name, of in named.items()]
    else:
        data = imagenette.load(args.imagenette_root, args.split, args.imagenette_size)
        data.left_out.report(data._image_root)
        samples, classes = data._samples, imagenette.CLASSES
    chosen = nth_of_each(samples, classes, args.index)
    explanations = explainer(chosen, view=args.view or "model", method=args.method)
    figure = grid(explanations, classes, args.attention_alpha, show=not args.no_display)
    file = Path(args.out_dir) / f"{args.prefix}_attentions.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=args.dpi)
    right = sum(same(e.label, name) for e, name in zip(explanations, classes, strict=True))
    print(f"{right} of {len(explanations)} are right")
    if not args.no_display:
        from matplotlib import pyplot

        pyplot.show()
    return [file]


def nth_of_each(samples: Sequence[tuple], classes: Sequence[str], index: int = 0) -> list:
    """The paths of the `index`-th picture of each class, of (path, class index) pairs. Raises: ValueError: too few."""
    chosen = []
    for label, name in enumerate(classes):
        of_class = [path for path, other in samples if other == label]
        if not 0 <= index < len(of_class):
            raise ValueError(f"--index must be between 0 and {len(of_class) - 1} for {shown(name)!r}; got {index}")
        chosen.append(of_class[index])
    return chosen


def layout(pairs: int) -> tuple[int, int]:
    """(rows, pairs a row): near a square and, where that can be, without a gap. 10 pairs: 2 rows of 5."""
    rows = int(pairs**0.5)
    rows = next((r for r in range(rows, 1, -1) if pairs % r == 0), max(1, rows))
    return rows, -(-pairs // rows)


def grid(explanations: Sequence[Explanation], truth: Sequence[str], alpha: float, show: bool = False):
    """A matplotlib figure of picture and overlay side by side, a pair an explanation."""
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    look = style([*truth, *(explanation.label for explanation in explanations)])
    rows, columns = layout(len(explanations))
    size = (2.4 * 2 * columns, 2.85 * rows)
    figure = pyplot.figure(figsize=size, layout="constrained") if show else Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, 2 * columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for place, (explanation, name) in enumerate(zip(explanations, truth, strict=True)):
        row, column = divmod(place, columns)
        left, right = axes[row, 2 * column], axes[row, 2 * column + 1]
        left.imshow(explanation.view)
        left.set_title(f"true: {for_plot(name)}", fontsize=8, **look)
        right.imshow(explanation.overlay(alpha))
        confidence = explanation.probabilities[explanation.label]
        colour = "green" if same(explanation.label, name) else "red"
        title = f"predicted: {for_plot(explanation.label)}\n{confidence:.1%}"
        right.set_title(title, fontsize=8, color=colour, **look)
    return figure


def own_pictures(explainer: Explainer, args: argparse.Namespace) -> list[Path]:
    """An overlay and a line of scores for each picture of a folder; files that are no pictures are named and left out.

    Raises:
        ValueError: there is no picture.
    """
    folder = Path(args.pictures)
    if not folder.is_dir():
        raise FileNotFoundError(f"--pictures must be a folder; there is none at {shown(folder)}")
    left_out = LeftOut()
    files = [Path(path) for path in pictures_in(folder, left_out)]
    for reason, path in left_out:
        if reason != HIDDEN:
            say(f"left out {shown(path.relative_to(folder))}: {shown(path.name)} is {reason}")
    overlays = Path(args.out_dir) / f"{args.prefix}_overlays"
    scores = Path(args.out_dir) / f"{args.prefix}_scores.csv"
    written, looked_at = 0, len(files) + len(left_out)
    overlays.mkdir(parents=True, exist_ok=True)
    aside = scores.with_suffix(".writing")
    with (
        aside.open("w", newline="", encoding="utf-8") as lines,
        tqdm(total=len(files), desc="explaining", mininterval=1) as bar,
    ):
        table = csv.writer(lines)
        table.writerow(map(cell, ["picture", "predicted", "confidence", "unfamiliar", *explainer.labels]))
        for start in range(0, len(files), BATCH):
            names, pictures = [], []
            for path in files[start : start + BATCH]:
                try:
                    pictures.append(load_rgb(path))
                    names.append(path.relative_to(folder))
                except (ValueError, OSError) as error:
                    say(f"left out {shown(path.relative_to(folder))}: {shown(error)}")
            for name, e in zip(names, explainer(pictures, view=args.view or "whole", method=args.method), strict=True):
                row = [name, e.label, f"{e.probabilities[e.label]:.4f}", int(e.unfamiliar)]
                table.writerow(map(cell, row + [f"{e.probabilities[label]:.4f}" for label in explainer.labels]))
                save_png(e.overlay(args.attention_alpha), overlays / name.with_name(file_name(name.name, ".png")))
                written += 1
            bar.update(len(files[start : start + BATCH]))
    if not written:
        aside.unlink()
        raise ValueError(f"there is no picture in {shown(folder)}")
    if looked_at > written:
        hidden = len(left_out.found[HIDDEN])
        say(f"left out {looked_at - written} of {looked_at}" + (f", {hidden} of them {HIDDEN}" if hidden else ""))
    os.replace(aside, scores)
    return [overlays, scores]


def say(words: str) -> None:
    """A line on the terminal, above the bar."""
    tqdm.write(words, file=sys.stderr)


def save_png(pixels: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


if __name__ == "__main__":
    sys.exit(main())
