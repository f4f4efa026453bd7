"""Explain a whole folder of pictures: a row a picture in Parquet, and a report of which pictures to look at first.

python -m abn.survey pictures --checkpoint compact --out survey            # class folders, or any folder of pictures
python -m abn.survey pictures --checkpoint my-network --out survey --faithfulness
python -m abn.survey pictures --checkpoint my-network --out survey --ray auto   # over a cluster; docs/survey.md

The same command goes on where one was ended. `python app.py --examples survey` opens it in the page's gallery.
"""

import argparse
import importlib.util
import os
import time
from pathlib import Path

from tqdm import tqdm

from ..commands import carried_out, program
from ..explanation import Explainer
from ..model.image_processing_abn import VIEWS
from ..names import shown

SHARD = 1024  # pictures
SPLITS = ("train", "val", "test")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=program("abn.survey"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    path = os.path.expanduser
    parser.add_argument("data", type=path, metavar="DIR", help="a folder a class, or any folder of pictures")
    parser.add_argument(
        "--checkpoint", type=path, required=True, help="folder, .safetensors file, Hub id, or 'compact'"
    )
    parser.add_argument("--out", type=path, required=True, metavar="DIR", help="a new folder, or an earlier survey")
    parser.add_argument("--split", choices=SPLITS, help="of a folder with splits; default: all of them")
    parser.add_argument("--view", choices=VIEWS, default="whole", help="as the pictures are to be seen")
    parser.add_argument(
        "--faithfulness", action="store_true", help="insertion and deletion as well: 40 times as many forward passes"
    )
    objects = parser.add_mutually_exclusive_group()
    objects.add_argument(
        "--boxes", type=path, metavar="CSV", help="path,x0,y0,x1,y1 as shares of the picture: the map's share inside"
    )
    objects.add_argument(
        "--masks", type=path, metavar="DIR", help="pictures, under the pictures' own paths, of what lies inside"
    )
    parser.add_argument(
        "--precision", choices=("auto", "float32"), default="auto", help="auto: bfloat16 where it is quicker"
    )
    parser.add_argument("--workers", type=int, help="decoding processes; default: one a core; 0: none")
    parser.add_argument("--shard", type=int, default=SHARD, metavar="N", help=f"pictures a file (default {SHARD})")
    parser.add_argument(
        "--ray",
        metavar="auto|ADDRESS",
        help="run on a Ray cluster: its address; auto: the one at hand, or this machine",
    )
    args = parser.parse_args(argv)
    if args.shard < 1:
        parser.error("--shard must be 1 or more")
    if args.workers is not None and args.workers < 0:
        parser.error("--workers must be 0 or more")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    return carried_out(lambda: run(args), "ended; the same command goes on from here")


def run(args: argparse.Namespace) -> None:
    """Raises: ValueError, OSError: the checkpoint or the pictures cannot be had, or OUT is another's; says why."""
    for module, package in (("pyarrow", "pyarrow"), *([("ray", "'ray[data]'")] if args.ray else ())):
        if importlib.util.find_spec(module) is None:
            raise ValueError(f"{module} must be installed: pip install {package}")
    from .jobs import Job
    from .report import write
    from .shards import Shards

    explainer = Explainer.from_pretrained(args.checkpoint)
    job = Job.of(args, explainer)
    shards = Shards(args.out, job.settings, len(job.listing), args.shard)
    job.listing.left_out.report(args.data)
    missing = shards.missing()
    done = len(job.listing) - sum(len(shards.places(shard)) for shard in missing)
    if done:
        print(f"{shown(args.out)}: {done:,} of {len(job.listing):,} pictures are there", flush=True)
    began = time.monotonic()
    if missing:
        with tqdm(total=len(job.listing), initial=done, unit=" pictures", mininterval=1, smoothing=0.1) as bar:
            for shard, table in job.tables(shards, missing, bar.update, args):
                shards.write(shard, table)
    seconds, fresh = time.monotonic() - began, len(job.listing) - done
    rate = f", {fresh / seconds:.0f} a second" if missing else ""
    said = write(Path(args.out), job)
    print(f"{shown(Path(args.out) / 'report.html')}: {len(job.listing):,} pictures{rate}; {said}")


if __name__ == "__main__":
    raise SystemExit(main())
