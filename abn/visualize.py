"""Pictures with their attention laid over, as a grid or as files.

    python -m abn.visualize --checkpoint abn/weights/compact --imagenette-root data --out-dir outputs --no-display
    python -m abn.visualize --checkpoint digits --data mnist-pictures/val --method rollout --out-dir outputs
    python -m abn.visualize --checkpoint checkpoint/checkpoint-710 --pictures holiday --out-dir outputs
    python -m abn.visualize --checkpoint faces --pictures face.jpg --target smiling

On Imagenette, or on the class folders of --data: OUT/PREFIX_attentions.png, pairs of picture and overlay, one a class,
titled with the true class, the predicted one and its confidence, green where right and red where wrong. With
--pictures: an overlay a picture in OUT/PREFIX_overlays, and OUT/PREFIX_scores.csv. A multi-task network gives one
for every task, or for --target: in a row a picture, or with --pictures in OUT/PREFIX_overlays/PICTURE/TASK.png.
"""

import argparse
import csv
import os
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from . import imagenette
from .commands import carried_out, program
from .explanation import BATCH, Explainer, Explanation, Upright
from .families import check_arch
from .files import whole
from .folders import HIDDEN, LeftOut, class_folders, pictures_in
from .grids import grid, task_rows
from .methods import method_named
from .names import cell, file_name, same, shown


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=program("abn.visualize"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-c",
        "--checkpoint",
        "--ckpt",
        type=os.path.expanduser,
        default="compact",
        help="a folder, a Trainer's checkpoint-N folder, a .safetensors file, a Hub id, or 'compact': the bundled one",
    )
    parser.add_argument(
        "--pictures",
        metavar="PATH",
        type=os.path.expanduser,
        help="one's own pictures, a folder or one file, in place of Imagenette",
    )
    parser.add_argument(
        "--data", metavar="DIR", type=os.path.expanduser, help="any folder of class folders, in place of Imagenette"
    )
    parser.add_argument("--imagenette-root", "--data-root", type=os.path.expanduser, default="data")
    parser.add_argument("--imagenette-size", choices=imagenette.SIZES)
    parser.add_argument("--split", choices=("val", "train"), default="val")
    parser.add_argument("--num-classes", type=int, help="only the first so many classes; default: all")
    parser.add_argument("--target", help="the class or task to explain, a name or an index; default: the predicted one")
    parser.add_argument("--index", type=int, default=0, help="which picture of each class: 0 is the first")
    parser.add_argument("--view", choices=("model", "whole"), help="default: whole on --pictures, else model")
    parser.add_argument("--method", default="attention", help="see abn.methods; a wrong name lists the right ones")
    parser.add_argument("--attention-alpha", type=float, default=1.0, help="0 to 1: how strongly the colours are added")
    parser.add_argument("--out-dir", type=os.path.expanduser, default="outputs")
    parser.add_argument("--prefix", default="abn")
    parser.add_argument("--dpi", type=int, default=200)
    parser.add_argument("--no-display", action="store_true", help="only write files")
    parser.add_argument("-a", "--arch", help="refuse a checkpoint of another network")
    parser.add_argument("-j", "--workers", type=int, default=os.cpu_count() or 1, help="decoding threads")
    parser.add_argument("--test-batch", type=int, default=BATCH, help="pictures opened at a time, with --pictures")
    parser.add_argument("--cpu", action="store_true", help="even where there is CUDA")
    parser.add_argument("--gpu-id", help="the CUDA device to use (default: 0), or 'cpu'")
    args = parser.parse_args(argv)
    for name in ("dpi", "workers", "test_batch", "num_classes"):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} must be 1 or more; got {value}")
    if not re.fullmatch(r"(\d+(,\d+)*|cpu)?", args.gpu_id or ""):
        parser.error(f"--gpu-id must be 'cpu' or a CUDA device such as 0; got {args.gpu_id!r}")
    if not 0 <= args.attention_alpha <= 1:
        parser.error(f"--attention-alpha must be between 0 and 1; got {args.attention_alpha}")
    if args.data and args.pictures:
        parser.error("--data and --pictures contradict each other")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    return carried_out(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Raises: ValueError, OSError: the checkpoint, the device or a picture cannot be had; says why."""
    explainer = Explainer.from_pretrained(args.checkpoint, device=device(args.gpu_id, args.cpu))
    check_arch(args.arch, explainer.family.shape(explainer.model.config).arch, args.checkpoint)
    args.target = target_of(explainer, args.target, args.method)
    written = own_pictures(explainer, args) if args.pictures else one_a_class(explainer, args)
    print(f"wrote {' and '.join(map(str, written))}")


def device(gpu_id: str | None, cpu: bool) -> str | None:
    """The device of --gpu-id, of several the first; the CPU where it is asked for, or where there is no CUDA.

    Raises:
        ValueError: there are CUDA devices, but not this one.
    """
    if cpu or gpu_id == "cpu" or not torch.cuda.is_available():
        return "cpu"
    if not gpu_id:
        return None
    first, *others = map(int, gpu_id.split(","))
    count = torch.cuda.device_count()
    if first >= count:
        raise ValueError(f"--gpu-id must be between 0 and {count - 1} here; got {first}")
    if others:
        print(f"note: one device is used, {first} of {gpu_id}", file=sys.stderr)
    return f"cuda:{first}"


def target_of(explainer: Explainer, target: str | None, method: str) -> str | int | None:
    """--target as a class's name, or its index where no class has that name.

    Raises:
        ValueError: there is no such class, or no such method.
    """
    found: str | int | None = target
    if target is not None and target not in explainer.labels and re.fullmatch(r"\d+", target):
        found = int(target)
    explainer.target_index(found)
    if target is not None and not method_named(method, explainer.methods).uses_target:
        print(f"note: --method {method} is the same for every class", file=sys.stderr)
    return found


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
        data = imagenette.load(args.imagenette_root, args.split, args.imagenette_size).report()
        samples, classes = data.samples, imagenette.CLASSES
    classes = classes[: args.num_classes]
    chosen = nth_of_each(samples, classes, args.index)
    how = {"view": args.view or "model", "method": args.method}
    show = not args.no_display
    if explainer.abilities.tasks:
        rows = explainer.every_task(chosen, tasks=None if args.target is None else [args.target], **how)
        figure, summary = task_rows(rows, args.attention_alpha, show), ""
    else:
        explanations = explainer(chosen, target=args.target, **how)
        figure = grid(explanations, classes, args.attention_alpha, show)
        right = sum(same(e.label, name) for e, name in zip(explanations, classes, strict=True))
        summary = f"{right} of {len(explanations)} are right"
    file = Path(args.out_dir) / f"{args.prefix}_attentions.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=args.dpi)
    if summary:
        print(summary)
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


def own_pictures(explainer: Explainer, args: argparse.Namespace) -> list[Path]:
    """An overlay (a multi-task network's: one a task) and a line of scores for each picture of a folder, or for one
    file; files that are no pictures are named and left out.

    Raises:
        ValueError: there is no picture.
    """
    folder = Path(args.pictures)
    left_out = LeftOut()
    if folder.is_file():
        folder, files = folder.parent, [folder]
    elif folder.is_dir():
        files = [Path(path) for path in pictures_in(folder, left_out)]
    else:
        raise FileNotFoundError(f"--pictures must be a folder or a picture; there is none at {shown(folder)}")
    for reason, path in left_out:
        if reason != HIDDEN:
            say(f"left out {shown(path.relative_to(folder))}: {shown(path.name)} is {reason}")
    overlays = Path(args.out_dir) / f"{args.prefix}_overlays"
    scores = Path(args.out_dir) / f"{args.prefix}_scores.csv"
    written, looked_at = 0, len(files) + len(left_out)
    overlays.mkdir(parents=True, exist_ok=True)
    with whole(scores) as aside:
        with (
            aside.open("w", newline="", encoding="utf-8") as lines,
            tqdm(total=len(files), desc="explaining", mininterval=1) as bar,
            ThreadPoolExecutor(args.workers) as pool,
        ):
            table = csv.writer(lines)
            table.writerow(map(cell, ["picture", "predicted", "confidence", "unfamiliar", *explainer.labels]))
            for start in range(0, len(files), args.test_batch):
                chunk = files[start : start + args.test_batch]
                names, pictures = [], []
                opening = pool.map(lambda path: _opened(explainer, path, args.view or "whole"), chunk)
                for path, opened in zip(chunk, opening, strict=True):
                    if isinstance(opened, (ValueError, OSError)):
                        say(f"left out {shown(path.relative_to(folder))}: {shown(str(opened))}")
                    else:
                        pictures.append(opened)
                        names.append(path.relative_to(folder))
                for name, found in zip(names, _explained(explainer, pictures, args), strict=True):
                    e = next(iter(found.values()))
                    row = [name, e.label, f"{e.probabilities[e.label]:.4f}", int(e.unfamiliar)]
                    table.writerow(map(cell, row + [f"{e.probabilities[label]:.4f}" for label in explainer.labels]))
                    for task, explanation in found.items():
                        own = file_name(name.name, ".png")
                        file = name.with_name(own) if task is None else name / task_file(task)
                        save_png(explanation.overlay(args.attention_alpha), overlays / file)
                    written += 1
                bar.update(len(chunk))
        if not written:
            raise ValueError(f"there is no picture in {shown(folder)}")
    if looked_at > written:
        hidden = len(left_out.found[HIDDEN])
        say(f"left out {looked_at - written} of {looked_at}" + (f", {hidden} of them {HIDDEN}" if hidden else ""))
    return [overlays, scores]


def say(words: str) -> None:
    """A line on the terminal, above the bar."""
    tqdm.write(words, file=sys.stderr)


def _opened(explainer: Explainer, path: Path, view: str) -> Upright | ValueError | OSError:
    try:
        return explainer.read(path, view)
    except (ValueError, OSError) as error:
        return error


def _explained(
    explainer: Explainer, pictures: list[Upright], args: argparse.Namespace
) -> list[dict[str, Explanation]] | list[dict[None, Explanation]]:
    """Each picture's explanation by task, for --target or all; of a network of classes: the one, under None."""
    how = {"view": args.view or "whole", "method": args.method}
    if explainer.abilities.tasks:
        return explainer.every_task(pictures, tasks=None if args.target is None else [args.target], **how)
    return [{None: explanation} for explanation in explainer(pictures, target=args.target, **how)]


def task_file(task: str) -> str:
    """The file of a task's overlay: what some file system does not take in its name is written %XX."""
    plain = re.sub(r'[%/\\:*?"<>|\x00-\x1f]|^\.', lambda found: f"%{ord(found[0]):02X}", task)
    return file_name(plain, ".png")


def save_png(pixels: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


if __name__ == "__main__":
    sys.exit(main())
