"""What corrections win back where a data set misleads: Imagenette with tags (see `train.tags`).

python -m train.decoy --data imagenette --out outputs/decoy --corrections 100 500

A network is trained on tagged pictures, nine of ten with their own class's colour. Then it is taught corrections of
some training pictures, "do not look at the tag", by `train/run.py --corrections`; beside it the same pictures are
trained on for as many steps without their masks. Accuracy is measured on the validation pictures without tags (clean),
with tags at random, and with other classes' tags (swapped). What the tags cost is clean minus swapped; what is won back
is the share of that cost that is gone.

Every step leaves its result in --out, is not done again, and goes on where it was stopped. The table lies in
--out/README.md, the figures in --out/figures.json.
"""

import argparse
import json
import shlex
import sys
from functools import partial
from pathlib import Path

from abn import imagenette
from abn.faithfulness.run import spread
from train import measure
from train.data import preprocessed
from train.dataset import Reading
from train.report import circumstances, commit, predict, write_json
from train.run import main as train
from train.sources.source import classes_in
from train.tags import any_kind, own, swapped, write_corrections, write_tagged
from train.trainer import checkpoints

PICTURES = {  # where they lie in --out: (split, which tags)
    "tagged/train": ("train", own),
    "tagged/val": ("val", any_kind),
    "clean": ("val", None),
    "swapped": ("val", swapped),
}
SETS = {"clean": "clean", "random": "tagged/val", "swapped": "swapped"}
BIASED = ("--recipe", "compact", "--initial", "abn/weights/compact", "--epochs", "10", "--lr", "0.2")
BIASED += ("--sizes", "64", "--test-size", "64", "--resize", "64", "--tune-epochs", "--cutmix", "0")
BIASED += ("--crop-area", "0.8", "1", "--ema-decay", "0.95", "--eval-every", "9", "--holdout", "0")
CORRECTED = ("--max-steps", "80", "--train-batch", "48", "--holdout", "0", "--eval-every", "9")
PLAIN = ("--map-weight", "0", "--forbidden-weight", "0")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder that holds Imagenette")
    parser.add_argument("--out", type=Path, default=Path("outputs/decoy"), help="where everything is written")
    parser.add_argument("--corrections", type=int, nargs="+", default=[100, 500], help="how many, one run each")
    parser.add_argument("--training", type=int, default=9469, help="training pictures, at even distances")
    parser.add_argument("--validation", type=int, default=3925, help="validation pictures, at even distances")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="decoding threads")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = parse(argv)
    out = asked.out
    try:
        write_pictures(asked)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    tagged, found = out / "tagged", {}
    runs = {"before": (out / "biased", [*BIASED])}
    for count in asked.corrections:
        folder = out / f"corrections-{count}"
        write_corrections(tagged / "train", count, folder, asked.seed)
        taught = ["--initial", str(out / "biased"), "--corrections", str(folder), *CORRECTED]
        runs[f"{count} corrections"] = (out / f"corrected-{count}", taught)
        runs[f"{count} pictures, no masks"] = (out / f"plain-{count}", [*taught, *PLAIN])
    for name, (folder, more) in runs.items():
        command = ["--data", str(tagged), "--checkpoint", str(folder), "--seed", str(asked.seed), *more]
        command += ["--cache", str(out / "cache"), "--explain", "0"]
        status = run(command, folder, asked.workers)
        if status:
            return status
        found[name] = {"command": f"python train/run.py {shlex.join(command)}", **accuracies(folder, out, asked)}
        if taught := json.loads((folder / "metrics.json").read_text()).get("corrections"):
            found[name]["held_out"] = {when: taught[when].get("held_out", {}) for when in ("before", "after")}
    write_json(out / "figures.json", {"runs": found, **circumstances(command_of(argv), asked.seed, commit())})
    (out / "README.md").write_text(report(found, command_of(argv)), encoding="utf-8")
    print((out / "README.md").read_text(encoding="utf-8"))
    return 0


def write_pictures(asked: argparse.Namespace) -> None:
    counts = {"train": asked.training, "val": asked.validation}
    for number, (place, (split, choose)) in enumerate(PICTURES.items()):
        samples = spread(imagenette.load(asked.data, split).samples, counts[split])
        seed = asked.seed * len(PICTURES) + number
        write_tagged(samples, imagenette.WNIDS, asked.out / place, choose, seed, asked.workers)


def run(command: list[str], folder: Path, workers: int) -> int:
    if (folder / "metrics.json").is_file():
        return 0
    more = ["--resume"] if checkpoints(folder) else []
    return train([*command, "--workers", str(workers), *more])


def accuracies(folder: Path, out: Path, asked: argparse.Namespace) -> dict[str, float]:
    """Top-1 of the network in `folder` on each of SETS, per cent; kept beside it."""
    file = folder / "decoy.json"
    if not file.is_file():
        model, processor = measure.load(folder)
        answers = partial(predict, model, processor=processor, batch=128, device=measure.device())
        found = {}
        for name, place in SETS.items():
            data = preprocessed(classes_in(out / place).samples, processor, Reading(asked.workers))
            found[name] = 100 * (answers(data=data)[0].argmax(1) == data.labels).float().mean().item()
        write_json(file, found)
    return json.loads(file.read_text())


def command_of(argv: list[str] | None) -> str:
    return f"python -m train.decoy {shlex.join(sys.argv[1:] if argv is None else argv)}".strip()


def cost(figures: dict[str, float]) -> float:
    return figures["clean"] - figures["swapped"]


def report(found: dict[str, dict], command: str) -> str:
    """Markdown. found: run -> top-1 on SETS, its command and, of runs with corrections, "held_out": {"before", "after"}
    as `train.reliance` measures it."""
    before = found["before"]
    lines = ["| | clean | random tags | swapped tags | cost | won back | reliance on the tag |", "|" + "---|" * 7]
    for name, row in found.items():
        won = "" if row is before or cost(before) <= 0 else f"{100 * (1 - cost(row) / cost(before)):.0f} %"
        held_out = row.get("held_out", {})
        reliance = " → ".join(f"{held_out[when]['reliance']:.3f}" for when in held_out if held_out[when])
        values = " | ".join(f"{row[key]:.2f}" for key in SETS)
        lines.append(f"| {name} | {values} | {cost(row):.2f} | {won} | {reliance} |")
    commands = "\n".join(row["command"] for row in found.values())
    return (
        "# Corrections against a known bias\n\n"
        "Top-1 in per cent; cost is clean minus swapped; won back is the share of the first row's cost that is gone. "
        "Reliance: how far the answer's probability changes where the tag is replaced by a blur of what is around, on "
        "the corrections that were held out.\n\n"
        + "\n".join(lines)
        + f"\n\n```\n{command}\n```\n\nwhich runs\n\n```\n{commands}\n```\n"
    )


if __name__ == "__main__":
    sys.exit(main())
