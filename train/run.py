"""Train, resume or evaluate an Attention Branch Network on Imagenette.

python train/run.py --imagenette-root data                     # the bundled network, on the CPU or CUDA
python train/run.py --evaluate --checkpoint abn/weights/compact --imagenette-root data
"""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path[0] = str(ROOT)  # Python put train/ itself there


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_argument_group("what to do")
    what.add_argument("--recipe", default="compact", help="named recipe; the arguments below override it")
    what.add_argument("--checkpoint", default="checkpoint", help="output folder; with --evaluate: what to evaluate")
    what.add_argument(
        "--resume",
        nargs="?",
        const="newest",
        help="go on from this checkpoint-N folder; without a value from the newest in --checkpoint",
    )
    what.add_argument("--evaluate", action="store_true", help="only evaluate --checkpoint on the validation split")
    what.add_argument("--average", nargs="+", metavar="CHECKPOINT", help="no training: the mean of these weights")
    what.add_argument("--push-to-hub", metavar="REPO_ID", help="upload the result to this Hub repository")
    data = parser.add_argument_group("data")
    data.add_argument("--imagenette-root", default="data", help="folder that holds imagenette2, -320 or -160")
    data.add_argument("--imagenette-size", choices=("full", "320px", "160px"), help="default: any there is, else full")
    data.add_argument("-j", "--workers", type=_positive, default=os.cpu_count() or 1, help="decoding threads")
    network = parser.add_argument_group("network")
    network.add_argument("--arch", help="resnet18, 34, 50, 101 or 152")
    network.add_argument("--width", type=_positive)
    network.add_argument("--stem", choices=("7x7", "3x3x3"))
    network.add_argument("--shortcut", choices=("conv", "avgpool"))
    network.add_argument("--attention-head", choices=("A", "B", "C"))
    fit = parser.add_argument_group("training")
    fit.add_argument("--epochs", type=_positive)
    fit.add_argument("--sizes", type=_positive, nargs="+", help="sides of the training pictures, in equal shares")
    fit.add_argument("--test-size", type=_positive, help="crop of the saved processor, pixels")
    fit.add_argument("--resize", type=_positive, help="short side before that crop, pixels")
    fit.add_argument("--train-batch", type=_positive)
    fit.add_argument("--test-batch", type=_positive)
    fit.add_argument("--lr", type=float)
    fit.add_argument("--momentum", type=float)
    fit.add_argument("--wd", dest="weight_decay", type=float)
    fit.add_argument("--schedule", type=int, nargs="+", help="epochs at which the rate falls; replaces the cosine")
    fit.add_argument("--gamma", type=float, help="factor by which it falls")
    fit.add_argument("--holdout", type=float, help="share of the training split kept for calibration")
    fit.add_argument("--eval-every", type=_positive, help="epochs between evaluations")
    fit.add_argument("--initial", metavar="CHECKPOINT", help="start from these weights (and learn from their maps)")
    fit.add_argument("--attention-weight", type=float, help="weight of the attention remedy's loss")
    fit.add_argument("--teacher-sizes", type=_positive, nargs="+", help="sides at which the remedy's teacher looks")
    fit.add_argument("--teacher-power", type=float, help="sharpens the remedy's maps")
    fit.add_argument(
        "--max-steps", type=int, default=-1, help="train for so many steps; the schedule is fitted to them"
    )
    fit.add_argument("--seed", type=int, default=0)
    fit.add_argument("--gpu-id", help="the CUDA device to use (default: 0), or 'cpu'")
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more; got {text}")
    return number


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.gpu_id is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = "" if args.gpu_id == "cpu" else args.gpu_id
    else:  # one device: with several, Trainer would silently multiply the batch
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    # Imported here: CUDA reads its devices on import, and --help should not wait for PyTorch.
    from train import fit
    from train.recipes import RECIPES

    if args.recipe not in RECIPES:
        print(f"error: --recipe must be one of {', '.join(RECIPES)}; got {args.recipe!r}", file=sys.stderr)
        return 2
    fields = {field.name for field in dataclasses.fields(RECIPES[args.recipe])}
    overrides = {
        k: tuple(v) if isinstance(v, list) else v for k, v in vars(args).items() if k in fields and v is not None
    }
    recipe = dataclasses.replace(RECIPES[args.recipe], **overrides)
    command = " ".join(["python train/run.py", *(sys.argv[1:] if argv is None else argv)])
    try:
        if args.evaluate:
            fit.evaluate(args, recipe)
        elif args.average:
            fit.average(args, recipe, command)
        else:
            fit.fit(args, recipe, command)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; go on with --resume", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
