"""Push this folder to a Space, or a Space of one's own model.

python -m abn.space.deploy you/abn             # needs `hf auth login`, or HF_TOKEN; a new Space runs on ZeroGPU
python -m abn.space.deploy you/abn --bucket you/abn-shares   # pictures behind share links outlive a restart
python -m abn.space.deploy you/abn --list      # only say what would be pushed
python -m abn.space.deploy you/flowers --checkpoint OUT --examples DIR --licence cc-by-4.0   # one's own, as trained
python -m abn.space.deploy you/flowers --checkpoint OUT --examples DIR --model you/flowers-abn   # larger weights
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub.errors import HfHubHTTPError, HTTPError
from huggingface_hub.utils import filter_repo_objects

from .own_space import EXAMPLES, SHORT, Own, assemble, push_model
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
    "dist/*",
    "build/*",
    "uv.lock",
    "*.pyi",
    "*.log",
)
SPACE_ID = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")
BUCKET_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MODEL_ID = BUCKET_ID
HARDWARE = re.compile(r"[a-z0-9][a-z0-9-]*")
LICENCE = "Under which licence may others use these pictures and weights (such as cc-by-4.0, mit or other)? "


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


def own_of(args: argparse.Namespace) -> Own | None:
    """What the Space is made of, where it is of one's own model; asks for the licence where it was not given.

    Raises:
        FileNotFoundError, ValueError: as `Own`; there is nobody to ask.
    """
    if args.checkpoint is None:
        return None
    licence = args.licence or ("other" if args.list else None)
    if licence is None:
        if not sys.stdin.isatty():
            raise ValueError("--licence NAME is needed: under it others may use these pictures and weights")
        licence = input(LICENCE).strip()
    return Own(
        name=args.repo_id.rpartition("/")[2],
        checkpoint=Path(args.checkpoint).expanduser(),
        examples=Path(args.examples).expanduser(),
        licence=licence,
        model=args.model,
        title=args.title or "",
        description=args.description or "",
    )


def push_own(own: Own, args: argparse.Namespace) -> tuple[SpaceRepo, str]:
    """Upload one's own weights, where they have a repository, and the Space. Errors as `push`'s and `assemble`'s."""
    with tempfile.TemporaryDirectory() as space, tempfile.TemporaryDirectory() as model:
        assemble(own, pushed(), ROOT, Path(space))  # what is wrong with it is said before anything is uploaded
        if own.model:
            print(push_model(own, Path(model), private=args.private))
        return push(args.repo_id, private=args.private, hardware=args.hardware, bucket=args.bucket, root=Path(space))


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
    own = parser.add_argument_group("a Space of one's own model")
    own.add_argument("--checkpoint", metavar="OUT", help="the folder that train/run.py wrote")
    own.add_argument(
        "--examples",
        metavar="DIR",
        help=f"a folder with a folder of pictures a class, or with train/ and val/ of such; {EXAMPLES} pictures at "
        "most, made smaller, go along",
    )
    own.add_argument(
        "--model", metavar="YOU/NAME", help="a model repository for the weights; needed where they have over 10 MB"
    )
    own.add_argument("--title", help="the page's heading; default: the Space's name")
    own.add_argument("--description", help=f"in a line, of {SHORT} letters at most")
    own.add_argument("--licence", "--license", metavar="NAME", help="of pictures and weights, by the Hub's name")
    return parser


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = options()
    args = parser.parse_args(argv)
    for pattern, value, words in (
        (SPACE_ID, args.repo_id, f"a Space is named you/name; got {args.repo_id!r}"),
        (BUCKET_ID, args.bucket, f"--bucket takes you/name of a storage bucket; got {args.bucket!r}"),
        (MODEL_ID, args.model, f"--model takes you/name of a model repository; got {args.model!r}"),
        (HARDWARE, args.hardware, f"--hardware takes the Hub's name, such as zero-a10g; got {args.hardware!r}"),
    ):
        if value is not None and not pattern.fullmatch(value):
            parser.error(words)
    if (args.checkpoint is None) != (args.examples is None):
        parser.error("--checkpoint and --examples go together")
    given = [name for name in ("model", "title", "description", "licence") if getattr(args, name) is not None]
    if given and args.checkpoint is None:
        parser.error(f"--{given[0]} is for a Space of one's own model: it needs --checkpoint and --examples")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse(argv)
    if not (ROOT / "app.py").is_file():  # installed from a wheel
        fail("what is pushed is the repository: run this in a clone of it")
    try:
        own = own_of(args)
        if args.list:
            listed(own)
            return
        if own:
            space, commit = push_own(own, args)
        else:
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


def listed(own: Own | None) -> None:
    """Print each file that would be pushed, with its bytes."""
    with tempfile.TemporaryDirectory() as folder:
        root, names = (Path(folder), assemble(own, pushed(), ROOT, Path(folder))) if own else (ROOT, pushed())
        for name in names:
            print(f"{(root / name).stat().st_size:>10,}  {name}")


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def fail(words: str) -> None:
    print(f"error: {words}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
