"""Push this folder to a Space.

python -m abn.space.deploy you/abn             # needs `hf auth login`, or HF_TOKEN
python -m abn.space.deploy you/abn --list      # only say what would be pushed
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import filter_repo_objects

ROOT = Path(__file__).resolve().parents[2]
IGNORED = (
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


def pushed(root: Path = ROOT) -> list[str]:
    """The files that `push` uploads, relative to the root."""
    files = (path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file())
    return list(filter_repo_objects(files, ignore_patterns=list(IGNORED)))


def push(repo_id: str, *, private: bool = False, root: Path = ROOT) -> str:
    """Create the Space if need be, upload the folder in one commit, and return the Space's address.

    Raises:
        HfHubHTTPError: the Hub refuses, for want of a token or of the right to write.
    """
    api = HfApi()
    made = api.create_repo(repo_id, repo_type="space", space_sdk="gradio", private=private, exist_ok=True)
    api.upload_folder(repo_id=repo_id, repo_type="space", folder_path=root, ignore_patterns=list(IGNORED))
    return str(made)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repo_id", help="you/name of the Space")
    parser.add_argument("--private", action="store_true", help="create the Space as a private one")
    parser.add_argument("--list", action="store_true", help="list what would be pushed, and push nothing")
    args = parser.parse_args(argv)
    if args.list:
        for name in pushed():
            print(f"{(ROOT / name).stat().st_size:>10,}  {name}")
        return
    try:
        print(push(args.repo_id, private=args.private))
    except (HfHubHTTPError, OSError, ValueError) as error:
        print(f"error: {str(error).strip().splitlines()[0]}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
