"""Write the page that needs no server: a folder of static files in which the network runs in the visitor's browser.

python -m abn.browser --checkpoint compact --out site                      # the bundled network, with its drawings
python -m abn.browser --checkpoint my-network --examples pictures --out site
python -m http.server --directory site                                     # any web server will do; docs/browser.md
"""

import argparse
from pathlib import Path

from ..commands import carried_out, program
from ..names import shown
from .facts import MOST
from .making import make


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program("abn.browser"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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


def main(argv: list[str] | None = None) -> int:
    args = options().parse_args(argv)
    return carried_out(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Raises: ValueError, OSError: the network, its examples or the runtime cannot be had; says why."""
    sizes = make(args.checkpoint, args.examples, Path(args.out), runtime=args.runtime, largest=args.largest)
    plain, sent, webgpu, pictures = (sizes[key] / 1e6 for key in ("plain", "sent", "webgpu", "examples"))
    print(
        f"{shown(Path(args.out))}: {plain:.1f} MB, {sent:.1f} MB on the line; examples {pictures:.1f} MB; "
        f"{webgpu:.1f} MB more where there is WebGPU"
    )


if __name__ == "__main__":
    raise SystemExit(main())
