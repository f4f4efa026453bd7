"""Convert a checkpoint into a folder as the Hub has them.

python -m abn.checkpoints convert model_best.pth.tar resnet110-cifar100
abn-convert model_best.pth.tar resnet110-cifar100                        # the same, installed
"""

import argparse

from ..commands import carried_out
from . import convert


def main(argv: list[str] | None = None) -> int:
    """`python -m abn.checkpoints`: its first word says what to do."""
    parser = argparse.ArgumentParser(
        prog="python -m abn.checkpoints", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command = parser.add_subparsers(dest="command", required=True).add_parser("convert", help="write a Hub folder")
    _add_options(command)
    return _convert(parser.parse_args(argv))


def converting(argv: list[str] | None = None) -> int:
    """`abn-convert`."""
    parser = argparse.ArgumentParser(
        prog="abn-convert", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _add_options(parser)
    return _convert(parser.parse_args(argv))


def _add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", help="a .pth.tar of ABN's authors, a .safetensors file, a folder or a Hub id")
    command.add_argument("folder", help="where to write; must not exist, or be empty")
    command.add_argument(
        "--no-residual-attention",
        action="store_true",
        help="the perception branch sees features * map alone (a .pth.tar does not tell)",
    )


def _convert(args: argparse.Namespace) -> int:
    residual = False if args.no_residual_attention else None
    return carried_out(lambda: print(convert(args.source, args.folder, residual_attention=residual)))


if __name__ == "__main__":
    raise SystemExit(main())
