"""Convert a checkpoint into a folder as the Hub has them.

python -m abn.checkpoints convert model_best.pth.tar resnet110-cifar100
"""

import argparse
import sys

from ..names import print_anything
from . import convert


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m abn.checkpoints", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command = parser.add_subparsers(dest="command", required=True).add_parser("convert", help="write a Hub folder")
    command.add_argument("source", help="a .pth.tar of ABN's authors, a .safetensors file, a folder or a Hub id")
    command.add_argument("folder", help="where to write; must not exist, or be empty")
    command.add_argument(
        "--no-residual-attention",
        action="store_true",
        help="the perception branch sees features * map alone (a .pth.tar does not tell)",
    )
    args = parser.parse_args(argv)
    print_anything()
    try:
        print(convert(args.source, args.folder, residual_attention=False if args.no_residual_attention else None))
    except (ValueError, OSError) as error:
        print(f"error: {str(error).strip().splitlines()[0]}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
