"""Fit the calibration of any checkpoint: its temperatures, and the threshold of "probably none of these".

    python -m abn.calibration --checkpoint checkpoint --data data/imagenette2/val
    python -m abn.calibration --checkpoint compact --data val --others photos --out elsewhere

DIR holds a folder of pictures a class, named as the network's classes are, that the network was not trained on.
calibration.json is written beside the weights, or into --out. --others tells how well the score finds pictures of none
of the classes.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from ..checkpoints import BUNDLED
from ..commands import carried_out, program
from ..explanation import BATCH, Explainer
from ..folders import LeftOut, class_folders, pictures_in
from ..names import shown
from . import CALIBRATION_NAME, PERCENTILE, Calibration, map_strength


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=program("abn.calibration"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--checkpoint", type=os.path.expanduser, required=True, help="folder, .safetensors file, Hub id, or 'compact'"
    )
    parser.add_argument(
        "--data", type=os.path.expanduser, required=True, metavar="DIR", help="a folder of pictures a class"
    )
    parser.add_argument(
        "--others",
        type=os.path.expanduser,
        metavar="DIR",
        help="pictures of none of the classes; nothing is fitted on them",
    )
    parser.add_argument("--view", choices=("whole", "model"), default="whole", help="as the pictures are to be seen")
    parser.add_argument(
        "--percentile", type=float, default=PERCENTILE, help="how many in a hundred of them are called unfamiliar"
    )
    parser.add_argument("--out", type=os.path.expanduser, metavar="FOLDER", help="default: the checkpoint's own")
    args = parser.parse_args(argv)
    if not 0 <= args.percentile < 100:
        parser.error(f"--percentile must be 0 or more and below 100; got {args.percentile:g}")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    return carried_out(lambda: run(args))


def run(args: argparse.Namespace) -> Calibration:
    """Raises: ValueError, OSError: the checkpoint or the pictures cannot be had, or do not fit; says why."""
    folder = Path(args.out) if args.out else folder_of(args.checkpoint)
    data = class_folders(args.data)
    explainer = Explainer.from_pretrained(args.checkpoint)
    data.left_out.report(args.data)
    classes = [explainer.target_index(name) for name in data.classes]
    samples = [(path, classes[label]) for path, label in data.samples]
    found = calibrated(explainer, samples, args.view, args.percentile)
    folder.mkdir(parents=True, exist_ok=True)
    found.save(folder)
    print(
        f"{shown(folder / CALIBRATION_NAME)}: temperature {found.temperature:.3f}, of {found.pictures} pictures "
        f"{found.percentile:g} % score below {found.energy_threshold:.3f}"
    )
    if args.others:
        flagged, apart, count = told_apart(explainer, found, args.others, args.view)
        print(f"of {count} others {100 * flagged:.1f} % do; AUROC {apart:.3f}")
    return found


def told_apart(explainer: Explainer, calibration: Calibration, folder: str, view: str) -> tuple[float, float, int]:
    """Of a folder's pictures, none of which is of the network's classes: the share below the threshold, the AUROC (the
    chance that one of them scores lower than one that calibrated, to a percentile), and how many they are.

    Raises:
        ValueError: there are none.
    """
    left_out = LeftOut()
    files = pictures_in(folder, left_out)
    left_out.report(folder)
    if not files:
        raise ValueError(f"--others {shown(folder)}: there are no pictures")
    judge = Explainer(explainer.model, explainer.processor, calibration=calibration, device=explainer.device)
    below, familiar = 0, 0.0
    for start in range(0, len(files), BATCH):
        for one in judge(files[start : start + BATCH], view=view):
            below, familiar = below + one.unfamiliar, familiar + (one.familiarity or 0.0)
    return below / len(files), 1 - familiar / len(files), len(files)


def folder_of(checkpoint: str) -> Path:
    """Where a checkpoint's calibration lies.

    Raises:
        ValueError: it lies on the Hub.
    """
    path = BUNDLED if checkpoint == "compact" else Path(checkpoint)
    if not path.exists():
        raise ValueError(f"{checkpoint} is no folder or file here; say by --out where {CALIBRATION_NAME} is to go")
    return path.parent if path.is_file() else path


@torch.no_grad()
def calibrated(
    explainer: Explainer, samples: Sequence[tuple[str, int]], view: str = "whole", percentile: float = PERCENTILE
) -> Calibration:
    """Fit on (path, class index) pairs that the network was not trained on.

    Raises:
        ValueError: there are none; or the network answers tasks, not classes.
    """
    if explainer.abilities.tasks:
        raise ValueError("a network that answers yes-or-no tasks has no calibration")
    if not samples:
        raise ValueError("there are no pictures to calibrate on")
    logits, attention_logits, strengths, labels = [], [], [], []
    for start in range(0, len(samples), BATCH):
        chosen = samples[start : start + BATCH]
        pictures = [explainer.read(path, view) for path, _ in chosen]
        for members in explainer.batches(pictures, view):
            parts = explainer.forward([pictures[i] for i in members], view).parts
            logits.append(parts.logits.float().cpu())
            if parts.attention_logits is not None:
                attention_logits.append(parts.attention_logits.float().cpu())
                strengths.append(map_strength(parts.attention_map.float().cpu()))
            labels += [chosen[i][1] for i in members]
    own, strong = (torch.cat(values) if values else None for values in (attention_logits, strengths))
    return Calibration.fit(torch.cat(logits), own, torch.tensor(labels), percentile, strong)
