"""Train, resume or evaluate an Attention Branch Network, on Imagenette or on any folder of class folders.

python train/run.py --imagenette-root data                     # the bundled network, on the CPU or CUDA
python train/run.py --recipe resnet50 --data flowers           # flowers/train/CLASS/*.jpg, flowers/val/CLASS/*.jpg
python train/run.py --evaluate --checkpoint abn/weights/compact --imagenette-root data
python train/run.py --recipe resnet50 --gpu-id 0,1             # several devices, as torchrun --nproc-per-node 2 does

The arguments of the reference's train.py and of the authors' cifar.py, imagenet.py, train_celeba.py and eval_celeba.py
mean here what they mean there, or are refused with the line that comes nearest.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path[0] = str(ROOT)  # Python put train/ itself there

from train.devices import use  # noqa: E402
from train.foreign import translate  # noqa: E402
from train.options import add_options, options_of  # noqa: E402
from train.recipes import Recipe, described, recipe_for, recipe_of  # noqa: E402
from train.recipes.recipe import PARTS, Network, Remedy, Rounds, Training  # noqa: E402
from train.settings import Asked, Correct, Data, Figures, Start, Task  # noqa: E402

TITLES = {
    "what to do": (Task,),
    "data": (Data,),
    "figures": (Figures,),
    "network": (Network,),
    "training": (Training, Start),
    "fine-tuning rounds": (Rounds,),
    "the attention remedy in those rounds": (Remedy,),
    "corrections": (Correct,),
}


class Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def error(self, message: str):
        self.exit(2, f"error: {message}\n")


def parse(argv: list[str] | None = None) -> Asked:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    add_options(parser, TITLES, overriding=PARTS.values())
    try:
        argv, notes = translate(sys.argv[1:] if argv is None else list(argv))
        asked = Asked(**vars(parser.parse_args(argv)))
    except ValueError as error:
        parser.error(str(error))
    asked.recipe = asked.recipe or recipe_for(asked)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return asked


def without_folders(argv: Sequence[str], asked: Asked) -> list[str]:
    """The arguments as they are told to others: of files and folders the last name alone."""
    paths: set[str] = set()
    for field, about in options_of(asked):
        given = getattr(asked, field.name) if about.path else None
        paths |= {given} if isinstance(given, str) else set(given or ())
    if asked.initial and not os.path.exists(asked.initial):
        paths.discard(asked.initial)  # a Hub id

    def told(word: str) -> str:
        name, _, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if os.path.expanduser(value) not in paths:
            return word
        last = os.path.basename(os.path.abspath(os.path.expanduser(value)))
        return f"{name}={last}" if name else last

    return [told(word) for word in argv]


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else list(argv)
    asked = parse(argv)
    try:
        status = use(asked.gpu_id, argv, trains=not asked.evaluate)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if status is not None:
        return status
    # Imported here: CUDA reads its devices on import, and --help should not wait for PyTorch.
    from accelerate import PartialState
    from safetensors import SafetensorError

    from abn.commands import print_anything
    from abn.names import shown
    from train.finite import DivergedError

    print_anything()
    command = shown(f"python train/run.py {shlex.join(without_folders(argv, asked))}".strip())
    try:
        run(asked, recipe_of(asked), command)
    except (ValueError, OSError, SafetensorError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "PytorchStreamWriter" not in str(error):  # torch.save on a full disk
            raise
        _tell(error)
        return 2
    except DivergedError as error:  # in all processes alike
        if PartialState().is_main_process:
            _tell(error)
        PartialState().wait_for_everyone()
        return 1
    except KeyboardInterrupt:
        print("stopped; go on with --resume", file=sys.stderr)
        return 130
    return 0


def _tell(error: Exception) -> None:
    from tqdm import tqdm

    for bar in list(tqdm._instances):
        bar.close()  # else the error would stand behind it, on its line
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)


def run(settings: Asked, recipe: Recipe, command: str) -> None:
    import torch
    from accelerate import PartialState

    from abn.faithfulness.boxes import read_boxes
    from abn.families import check_arch
    from abn.names import is_utf8, shown
    from train import fit, measure
    from train.checks import check_compile, check_precision, check_recipe, check_report, check_unused, resume_from
    from train.correcting import correct
    from train.folds import cross_validate
    from train.networks import configuration
    from train.plain import abilities_of, network_shape
    from train.processes import PATIENCE
    from train.publish import check_name
    from train.sources import source_of

    output = Path(settings.checkpoint)
    if not settings.evaluate and not is_utf8(settings.checkpoint):
        raise ValueError(f"--checkpoint must have a name in UTF-8; got {shown(settings.checkpoint)}")
    state = PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
    if settings.evaluate and not state.is_main_process:
        return
    # Faults of the arguments are named before anything is downloaded.
    if settings.evaluate:
        loaded = measure.load(settings.checkpoint, settings.residual_attention)
        check_arch(settings.arch, network_shape(loaded[0].config).arch, settings.checkpoint)
    else:
        configuration(recipe, ("one", "other"))
        check_recipe(recipe, settings.initial)
        check_precision(settings.precision)
        check_report(settings.report_to)
        if settings.folds is None and resume_from(settings.resume, output) is None:
            check_unused(output)
        check_compile(settings.compile, settings.padding if settings.initial else recipe.network.padding)
        if state.is_main_process:
            print(f"recipe {settings.recipe}" + ("" if settings.initial else f": {described(recipe)}"), flush=True)
    if settings.boxes:
        read_boxes(settings.boxes)
    if settings.push_to_hub:
        check_name(settings.push_to_hub)
    tasks = abilities_of(loaded[0].config).tasks if settings.evaluate else recipe.network.multitask
    with state.local_main_process_first():
        source = source_of(settings, recipe.training.dataset, bool(tasks))
    state.print(source.summary(), flush=True)
    if settings.boxes:
        read_boxes(settings.boxes, source.root)
    if settings.evaluate:
        fit.evaluate(settings, recipe, source, loaded)
    elif settings.corrections:
        correct(settings, recipe, source, output, command)
    elif settings.folds:
        cross_validate(settings, recipe, source, fit.fit, command)
    else:
        fit.fit(settings, recipe, source, output, command)


if __name__ == "__main__":
    sys.exit(main())
