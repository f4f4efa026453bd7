"""Write the page that needs no server: a folder of static files in which the network runs in the visitor's browser.

python -m abn.browser --checkpoint compact --out site                      # the bundled network, with its drawings
python -m abn.browser --checkpoint my-network --examples pictures --out site
python -m http.server --directory site                                     # any web server will do; docs/browser.md
"""

import argparse
import importlib.util
import sys
from pathlib import Path

from ..explanation import Explainer
from ..names import print_anything, shown
from .facts import MOST, check

NEEDED = ("onnx", "onnxscript")


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m abn.browser", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", default="compact", help="a Hub id, a folder, a file, or compact (the default)")
    parser.add_argument(
        "--examples", metavar="DIR", help="pictures to choose from, a folder a class; at most 60 are taken, reduced"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="where to write; new, empty or an earlier export")
    parser.add_argument(
        "--runtime",
        metavar="DIR",
        help="the folder of the npm package onnxruntime-web, where npm cannot fetch it",
    )
    parser.add_argument(
        "--largest", type=float, default=MOST, metavar="MB", help=f"refuse weights above this (default {MOST:g})"
    )
    return parser


def run(args: argparse.Namespace) -> dict[str, int]:
    """Raises: ValueError, OSError: the checkpoint, the pictures or the runtime cannot be had, or do not fit."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise ValueError(f"{' and '.join(missing)} must be installed: pip install onnx onnxscript")
    from .export import write
    from .pictures import examples
    from .runtime import runtime

    explainer = Explainer.from_pretrained(args.checkpoint, device="cpu")
    check(explainer, args.largest)
    listed, pictures = examples(args.examples, explainer.labels)
    name = "" if args.checkpoint == "compact" else Path(args.checkpoint).name or args.checkpoint
    return write(explainer, name, listed, pictures, runtime(args.runtime), Path(args.out))


def main(argv: list[str] | None = None) -> int:
    args = options().parse_args(argv)
    print_anything()
    try:
        sizes = run(args)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    plain, sent, pictures = (sizes[key] / 1e6 for key in ("plain", "sent", "examples"))
    print(f"{shown(Path(args.out))}: {plain:.1f} MB, {sent:.1f} MB on the line; examples {pictures:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
