"""The Space: read the settings, build the page, serve it.

python app.py                                    # the Hub's ResNet-152, the bundled network meanwhile
python app.py --checkpoint compact --port 7860   # the bundled network alone
python app.py --checkpoint OUT --examples DIR    # one's own network, and pictures of its classes
"""

import argparse
import contextlib
import gc
import os
import signal
from pathlib import Path

for name in [name for name, value in os.environ.items() if not value.strip()]:
    if name.startswith(("ABN_", "IMAGENETTE_", "GRADIO_", "HF_", "SPACES_")):
        del os.environ[name]  # set to nothing means not set; Gradio and the Hub's library read theirs on import
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
gc.disable()  # until the page is up: modules are no garbage, and looking through them took a fifth of the start

with contextlib.suppress(ImportError):  # ZeroGPU wants this before PyTorch
    import spaces  # noqa: F401

from abn.scratch import end_tidily, scratch

if not os.environ.get("GRADIO_TEMP_DIR"):  # Gradio reads it while it is imported
    os.environ["GRADIO_TEMP_DIR"] = str(scratch("uploads"))
if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end_tidily)

from abn.space.server.quick_start import without_interface_files

with without_interface_files():
    from abn.commands import print_anything
    from abn.names import shown
    from abn.space.page import build, launch_settings
    from abn.space.server import cleaning
    from abn.space.server.examples import Gallery
    from abn.space.server.in_browser import in_browser_of
    from abn.space.server.limits import WAITING_IN_ALL
    from abn.space.server.memory import give_back_freed
    from abn.space.server.models import Models
    from abn.space.server.own_examples import OwnGallery
    from abn.space.server.serving import DEFAULT, Serving
    from abn.space.server.shares import Shares, outlives_restart
    from abn.space.server.shutdown import serve_until_told
    from abn.space.server.survey_examples import SurveyGallery
    from abn.space.settings import IN_BROWSER, settings_of
    from abn.survey.folder import is_survey

ROOT = Path(__file__).resolve().parent
WORK = ROOT if Path(__file__).stem == "app" else Path.cwd()  # installed, this file is abn_space.py: see pyproject.toml


def parse(argv: list[str] | None = None, own: dict[str, str] | None = None) -> argparse.Namespace:
    """Args: own: what the folder of the Space says, see `settings_of`."""
    own = own or {}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--checkpoint",
        type=os.path.expanduser,
        default=os.environ.get("ABN_CHECKPOINT") or own.get("checkpoint") or DEFAULT,
        help="Hub id, folder, .safetensors file, or 'compact' for the bundled network (also ABN_CHECKPOINT)",
    )
    parser.add_argument(
        "--imagenette-root",
        type=os.path.expanduser,
        default=os.environ.get("IMAGENETTE_ROOT") or str(WORK / "data"),
        help="where Imagenette lies, or is downloaded to for the examples (also IMAGENETTE_ROOT)",
    )
    parser.add_argument(
        "--examples",
        metavar="DIR",
        type=os.path.expanduser,
        default=os.environ.get("ABN_EXAMPLES") or own.get("examples"),
        help="a folder with a folder of pictures a class, or with train/ and val/ of such: the page's examples, in "
        "place of Imagenette's; or what abn.survey wrote: the pictures to look at first (also ABN_EXAMPLES)",
    )
    parser.add_argument(
        "--corrections",
        metavar="DIR",
        type=os.path.expanduser,
        default=os.environ.get("ABN_CORRECTIONS") or None,
        help="a folder where corrections that are kept in the page are written to as well, see docs/corrections.md; "
        "none by default (also ABN_CORRECTIONS)",
    )
    parser.add_argument(
        "--models-root",
        type=os.path.expanduser,
        default=os.environ.get("ABN_MODELS_ROOT") or None,
        help="a folder of checkpoints that visitors may choose beside Hub ids; none by default (also ABN_MODELS_ROOT)",
    )
    parser.add_argument(
        "--shares",
        type=os.path.expanduser,
        default=os.environ.get("ABN_SHARES") or None,
        help="where pictures behind share links are kept for 7 days (default shares/; also ABN_SHARES)",
    )
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1")
    parser.add_argument("--port", type=int, default=os.environ.get("GRADIO_SERVER_PORT") or "7860")
    return parser.parse_args(argv)


def kept_in_cache(demo) -> set[str]:
    """What the page's components need for as long as it runs."""
    return {path for block in list(demo.blocks.values()) for path in list(getattr(block, "keep_in_cache", ()))}


def examples_of(args: argparse.Namespace) -> Gallery:
    """Raises: ValueError, FileNotFoundError: --examples names no folder of pictures; says why."""
    if not args.examples:
        return Gallery(args.imagenette_root)
    try:
        return (SurveyGallery if is_survey(args.examples) else OwnGallery)(args.examples)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"--examples: {error}") from None


def corrections_folder(folder: str | None) -> Path | None:
    """Raises: ValueError: --corrections names no folder that can be written to."""
    if not folder:
        return None
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--corrections {shown(folder)}: {error.strerror}") from None
    return Path(folder).resolve()


def main(argv: list[str] | None = None) -> int:
    print_anything()
    give_back_freed()
    try:
        own = settings_of(ROOT)
        args = parse(argv, own)
        serving = Serving(args.checkpoint)
        gallery = examples_of(args)
        corrections = corrections_folder(args.corrections)
        in_browser = in_browser_of(WORK / IN_BROWSER)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(f"error: {error}") from None
    kept = Path(args.shares or WORK / "shares").resolve()
    shares = Shares(kept / "abn-shares", until_restart=not outlives_restart(args.shares))
    gallery.start()  # before the page is built: what it says of its pictures is on it from the first
    demo = build(Models(serving, args.models_root), gallery, shares, corrections, own.get("title", ""), in_browser)
    serving.start(at_once=bool(args.examples))  # another model's classes would stand beside those pictures
    shares.start()
    cleaning.start(demo.GRADIO_CACHE, lambda: kept_in_cache(demo))
    demo.queue(default_concurrency_limit=4, max_size=WAITING_IN_ALL)
    where = {"server_name": args.host, "server_port": args.port}
    demo.launch(prevent_thread_lock=True, **where, **launch_settings(demo))
    gc.freeze()  # what the page is made of lives as long as the server
    gc.enable()
    serve_until_told(demo)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
