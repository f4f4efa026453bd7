"""Push this folder to a Space, or a Space of one's own model.

python -m abn.space.deploy you/abn             # needs `hf auth login`, or HF_TOKEN; a new Space runs on ZeroGPU
python -m abn.space.deploy you/abn --bucket you/abn-shares   # pictures behind share links outlive a restart
python -m abn.space.deploy you/abn --list      # only say what would be pushed
python -m abn.space.deploy you/flowers --checkpoint OUT --examples DIR --licence cc-by-4.0   # one's own, as trained
python -m abn.space.deploy you/flowers --checkpoint OUT --examples DIR --model you/flowers-abn   # larger weights
python -m abn.space.deploy you/abn-in-the-browser --static   # the page that needs no server, as docs/browser.md says
"""

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub.errors import HfHubHTTPError, HTTPError
from huggingface_hub.utils import filter_repo_objects

from . import static_space
from .own_space import EXAMPLES, SHORT, Own, assemble, push_model
from .settings import IN_BROWSER
from .space_repo import MOUNT, Ended, Refused, SpaceRepo, in_one_line
from .static_space import SDK, Static

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
    f"{IN_BROWSER}/*",  # made anew for each push
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
    root: Path,
    repo_id: str,
    *,
    sdk: str = "gradio",
    private: bool = False,
    hardware: str | None = None,
    bucket: str | None = None,
    replaced: str = "",
) -> tuple[SpaceRepo, str]:
    """Create the Space if need be and upload a folder in one commit; gives the Space and the commit's id.

    Args:
        hardware: ZeroGPU for a new Space, and what it has for an old one, if None.
        bucket: owner/name of a storage bucket, attached at /data for the pictures behind share links.
        replaced: see `SpaceRepo.push`.

    Raises:
        Refused: the Hub does not let us; says what to do.
    """
    space = SpaceRepo(repo_id)
    space.create(sdk=sdk, hardware=hardware, bucket=bucket, private=private)
    if not space.is_new:
        more = ", its hardware too" if sdk != SDK and not hardware else ""
        print(f"{space.repo_id} exists: it is pushed to, its visibility stays{more}")
    return space, space.push(root, ignored=(), replaced=replaced)


def put_together(args: argparse.Namespace, own: Own | None, into: Path) -> None:
    """Write the Space's files into an empty folder. Errors as `assemble`'s."""
    if own:
        assemble(own, pushed(), ROOT, into)
    else:
        for name in pushed():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, into / name)
    if args.list and not args.server_only:
        print(f"{'':>10}  {IN_BROWSER}/, written when it is pushed")
    elif not args.server_only:
        static_space.write_beside(into, own, args.runtime)


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


def static_of(args: argparse.Namespace) -> Static:
    """What a static Space is made of. Errors as `Static`'s."""
    given = {key: getattr(args, key) for key in ("checkpoint", "title", "description") if getattr(args, key)}
    more = {"examples": args.examples, "runtime": args.runtime, "licence": args.licence}
    return Static(args.repo_id.rpartition("/")[2], **given, **more)


def upload(args: argparse.Namespace) -> tuple[SpaceRepo, str] | None:
    """Put the Space together and push it; None where it was only listed. What is wrong with it is said before anything
    is uploaded. Errors as `push`'s, `assemble`'s and `Static.write`'s."""
    own = None if args.static else own_of(args)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as model:
        if args.static:
            static_of(args).write(Path(folder))
        else:
            put_together(args, own, Path(folder))
        if args.list:
            listed(Path(folder))
            return None
        how = {"private": args.private, "hardware": args.hardware, "bucket": args.bucket}
        if args.static:
            return push(Path(folder), args.repo_id, sdk=SDK, replaced="*/*", **how)
        if own and own.model:
            print(push_model(own, Path(model), private=args.private))
        return push(Path(folder), args.repo_id, replaced=f"{IN_BROWSER}/*", **how)


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
    browser = parser.add_argument_group("the network in the visitor's browser, docs/browser.md")
    browser.add_argument("--static", action="store_true", help="push a static Space, which needs no server and is free")
    browser.add_argument(
        "--server-only", action="store_true", help="leave the folder out with which Live runs on the visitor's device"
    )
    browser.add_argument("--runtime", metavar="DIR", help="the npm package onnxruntime-web, where npm cannot fetch it")
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
    check_together(parser, args)
    return args


def check_together(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Exits where options do not go together."""
    if (args.checkpoint is None) != (args.examples is None):
        parser.error("--checkpoint and --examples go together")
    if args.static:
        for name in ("hardware", "bucket", "model", "server_only"):
            if getattr(args, name):
                parser.error(f"--{name.replace('_', '-')} is for a Space with a server; --static needs none")
    own = ("licence",) if args.static else ("model", "title", "description", "licence")
    given = [name for name in own if getattr(args, name) is not None]
    if given and args.checkpoint is None:
        parser.error(f"--{given[0]} is for a Space of one's own model: it needs --checkpoint and --examples")


def main(argv: Sequence[str] | None = None) -> None:
    args = parse(argv)
    if not args.static and not (ROOT / "app.py").is_file():  # installed from a wheel
        fail("what is pushed is the repository: run this in a clone of it")
    try:
        done = upload(args)
        if done is None:
            return
        space, commit = done
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


def listed(root: Path) -> None:
    """Print each file that would be pushed, with its bytes."""
    for file in sorted(root.rglob("*")):
        if file.is_file():
            print(f"{file.stat().st_size:>10,}  {file.relative_to(root).as_posix()}")


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def fail(words: str) -> None:
    print(f"error: {words}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
