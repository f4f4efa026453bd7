"""Push this folder to a Space.

python -m abn.space.deploy you/abn             # needs `hf auth login`, or HF_TOKEN; a new Space runs on ZeroGPU
python -m abn.space.deploy you/abn --bucket you/abn-shares   # pictures behind share links outlive a restart
python -m abn.space.deploy you/abn --list      # only say what would be pushed
"""

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub.errors import HfHubHTTPError, HTTPError
from huggingface_hub.utils import filter_repo_objects

from .space_repo import MOUNT, Ended, Refused, SpaceRepo, in_one_line

ROOT = Path(__file__).resolve().parents[2]
IGNORED = (
    ".git",  # a file in a worktree
    ".git/*",
    ".venv/*",
    "data/*",
    "shares/*",
    "checkpoint/*",
    "outputs/*",
    "*__pycache__/*",
    ".pytest_cache/*",
    ".ruff_cache/*",
    ".hypothesis/*",
    ".gradio/*",
    "*.egg-info/*",
    "*.pyi",
    "*.log",
)
SPACE_ID = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")
BUCKET_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
HARDWARE = re.compile(r"[a-z0-9][a-z0-9-]*")


def pushed(root: Path = ROOT) -> list[str]:
    """The files that `push` uploads, relative to the root."""
    files = (path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file())
    return list(filter_repo_objects(files, ignore_patterns=list(IGNORED)))


def push(
    repo_id: str,
    *,
    private: bool = False,
    hardware: str | None = None,
    bucket: str | None = None,
    root: Path = ROOT,
) -> tuple[SpaceRepo, str]:
    """Create the Space if need be and upload the folder in one commit; gives the Space and the commit's id.

    Args:
        hardware: ZeroGPU for a new Space, and what it has for an old one, if None.
        bucket: owner/name of a storage bucket, attached at /data for the pictures behind share links.

    Raises:
        Refused: the Hub does not let us; says what to do.
    """
    space = SpaceRepo(repo_id)
    space.create(hardware=hardware, bucket=bucket, private=private)
    if not space.is_new:
        print(
            f"{space.repo_id} exists: it is pushed to, its visibility stays"
            + ("" if hardware else ", its hardware too")
        )
    return space, space.push(root, ignored=IGNORED)


def watch(space: SpaceRepo, commit: str | None) -> Ended | None:
    """Wait for the Space, saying its stages; None where Ctrl+C ended that, which leaves it building."""
    began = time.monotonic()

    def report(stage: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {stage}", flush=True)

    print("Waiting for the Space; Ctrl+C leaves it building.", flush=True)
    try:
        return space.wait(commit, report)
    except KeyboardInterrupt:
        return None


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repo_id", help="you/name of the Space")
    parser.add_argument("--private", action="store_true", help="create the Space as a private one")
    parser.add_argument(
        "--hardware",
        metavar="NAME",
        help="what it runs on, by the Hub's name: zero-a10g (ZeroGPU, a new Space's default), cpu-basic, t4-small, …; "
        "a Space that exists keeps its own without this",
    )
    parser.add_argument(
        "--bucket",
        metavar="YOU/NAME",
        help=f"a storage bucket to attach at {MOUNT}: pictures behind share links then outlive a restart",
    )
    parser.add_argument("--list", action="store_true", help="list what would be pushed, and push nothing")
    return parser


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = options()
    args = parser.parse_args(argv)
    for pattern, value, words in (
        (SPACE_ID, args.repo_id, f"a Space is named you/name; got {args.repo_id!r}"),
        (BUCKET_ID, args.bucket, f"--bucket takes you/name of a storage bucket; got {args.bucket!r}"),
        (HARDWARE, args.hardware, f"--hardware takes the Hub's name, such as zero-a10g; got {args.hardware!r}"),
    ):
        if value is not None and not pattern.fullmatch(value):
            parser.error(words)
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse(argv)
    if args.list:
        for name in pushed():
            print(f"{(ROOT / name).stat().st_size:>10,}  {name}")
        return
    try:
        space, commit = push(args.repo_id, private=args.private, hardware=args.hardware, bucket=args.bucket)
        ended = watch(space, commit)
    except Refused as error:
        fail(str(error))
    except HfHubHTTPError as error:
        fail(in_one_line(error))
    except (HTTPError, OSError, ValueError) as error:
        fail(f"the Hub cannot be reached: {first_line(error)}" if isinstance(error, HTTPError) else first_line(error))
    if ended is None:
        print(f"It goes on building: {space.url}")
    elif ended.failed:
        print(*ended.log, sep="\n", file=sys.stderr)
        fail(
            f"{space.url} does not run: {ended.stage}" + ("; the last lines of its log are above" if ended.log else "")
        )
    else:
        hint = "" if ended.stage == "RUNNING" else f" ({ended.stage}: restart it on its page, under Settings)"
        print(f"{space.url}{hint}")


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def fail(words: str) -> None:
    print(f"error: {words}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
