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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path[0] = str(ROOT)  # Python put train/ itself there

from train.devices import use  # noqa: E402
from train.foreign import Refused, translate  # noqa: E402
from train.recipes import recipe_for  # noqa: E402


class Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def error(self, message: str):
        self.exit(2, f"error: {message}\n")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    what = parser.add_argument_group("what to do")
    what.add_argument(
        "--recipe",
        help="named recipe; the arguments below override it (default: compact; with --arch and no --width the standard "
        "network's: paper, CIFAR's cifar-…, or multitask)",
    )
    what.add_argument(
        "-c",
        "--checkpoint",
        type=os.path.expanduser,
        default="checkpoint",
        help="output folder; with --evaluate: what to evaluate",
    )
    what.add_argument(
        "--resume",
        type=os.path.expanduser,
        nargs="?",
        const="newest",
        help="go on from this checkpoint-N folder; without a value from the newest in --checkpoint; with --evaluate: "
        "what to evaluate",
    )
    what.add_argument(
        "-e", "--evaluate", action="store_true", help="only evaluate --checkpoint on the validation split"
    )
    what.add_argument(
        "--split",
        nargs="+",
        choices=("val", "test", "train"),
        help="with --evaluate: on these splits, as far as there are",
    )
    what.add_argument(
        "-s",
        "--save-attention",
        type=os.path.expanduser,
        nargs="?",
        const="",
        metavar="DIR",
        help="with --evaluate: write every picture with its attention; default: attention-SPLIT in --checkpoint",
    )
    what.add_argument("--attention-type", choices=("pos", "neg", "both"), default="pos", help="of signed maps, with -s")
    what.add_argument(
        "--average",
        type=os.path.expanduser,
        nargs="+",
        metavar="CHECKPOINT",
        help="no training: the mean of their weights",
    )
    what.add_argument("--folds", type=_several, metavar="K", help="K-fold cross-validation over the training pictures")
    what.add_argument(
        "--push-to-hub",
        nargs="?",
        const="",
        metavar="REPO_ID",
        help="upload the result to this Hub repository; without a value to one of yours, named as the output folder",
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--imagenette-root",
        "--root",
        type=os.path.expanduser,
        default="data",
        help="folder that holds, or is to hold, the data set",
    )
    data.add_argument("--imagenette-size", choices=("full", "320px", "160px"), help="default: any there is, else full")
    data.add_argument(
        "-d",
        "--dataset",
        choices=("imagenette", "cifar10", "cifar100", "mnist", "celeba"),
        help="looked for in --imagenette-root",
    )
    data.add_argument(
        "--data",
        type=os.path.expanduser,
        metavar="DIR",
        help="train/ and val/ of class folders; for tasks: attributes.csv",
    )
    data.add_argument("-j", "--workers", type=_positive, default=os.cpu_count() or 1, help="decoding threads")
    data.add_argument("--corrupt", choices=("refuse", "skip"), default="refuse", help="pictures that cannot be read")
    data.add_argument(
        "--cache", type=os.path.expanduser, metavar="DIR", help="keep decoded pictures here, memory-mapped"
    )
    figures = parser.add_argument_group("figures")
    figures.add_argument(
        "--explain", type=_natural, default=100, help="pictures for insertion and deletion; 0: no explanation figures"
    )
    figures.add_argument(
        "--boxes", type=os.path.expanduser, metavar="CSV", help="path,x0,y0,x1,y1: boxes for pointing and energy"
    )
    network = parser.add_argument_group("network")
    network.add_argument("-a", "--arch", help="resnet18, se-resnet50, wrn28-10-cifar, … (see AbnConfig)")
    network.add_argument("--width", type=_positive)
    network.add_argument("--stem", choices=("7x7", "3x3x3"))
    network.add_argument("--shortcut", choices=("conv", "avgpool"))
    network.add_argument("--padding", choices=("zeros", "replicate"), help="also of the --initial network")
    network.add_argument("--attention-head", choices=("A", "B", "C", "D", "E"))
    network.add_argument("--patch", type=_positive, help="of a Vision Transformer: pixels a side")
    network.add_argument("--heads", type=_positive)
    network.add_argument("--layers", type=_positive)
    network.add_argument("--mlp", type=_positive, help="numbers between the two linear layers of a block")
    network.add_argument(
        "--dropout", type=float, help="in the blocks of a Wide ResNet or DenseNet, and in a transformer"
    )
    network.add_argument(
        "--residual-attention",
        "--residual",
        action=argparse.BooleanOptionalAction,
        help="whether the perception branch sees the features beside the weighted ones; a lone file does not say",
    )
    network.add_argument("--multitask", choices=("v1", "v2"), help="yes-or-no tasks: the form of the network")
    network.add_argument("--plain", action="store_true", default=None, help="the backbone without the attention branch")
    fit = parser.add_argument_group("training")
    fit.add_argument("--epochs", type=_natural, help="of class training; 0 with --initial: only the fine-tuning rounds")
    fit.add_argument("--sizes", type=_positive, nargs="+", help="sides of the training pictures, in equal shares")
    fit.add_argument("--test-size", type=_positive, help="crop of the saved processor, pixels")
    fit.add_argument("--resize", type=_positive, help="short side before that crop, pixels")
    fit.add_argument("--train-batch", type=_positive, help="of all devices together")
    fit.add_argument("--test-batch", type=_positive)
    fit.add_argument("--lr", "--learning-rate", type=float)
    fit.add_argument("--optimizer", choices=("sgd", "adam"))
    fit.add_argument("--momentum", type=float)
    fit.add_argument("--nesterov", action="store_true", default=None)
    fit.add_argument("--wd", "--weight-decay", dest="weight_decay", type=float)
    fit.add_argument("--schedule", type=int, nargs="*", help="epochs at which the rate falls, in place of the cosine")
    fit.add_argument("--gamma", type=float, help="factor by which it falls")
    fit.add_argument("--crop-area", type=float, nargs=2, metavar=("LEAST", "MOST"), help="share of it that is cropped")
    fit.add_argument("--cutmix", type=float, help="share of the batches that are mixed")
    fit.add_argument("--focal", action="store_true", default=None, help="weighted focal loss (multi-task recipes)")
    fit.add_argument("--holdout", type=float, help="share of the training pictures kept out of training")
    fit.add_argument("--eval-every", type=_positive, help="epochs between evaluations")
    fit.add_argument("--initial", type=os.path.expanduser, metavar="CHECKPOINT", help="start from these weights")
    fit.add_argument("--max-steps", type=_positive, default=-1, help="squeeze the run into so many steps")
    fit.add_argument("--seed", "--manualSeed", type=int, default=0)
    fit.add_argument("--gpu-id", help="the CUDA device to use (default: 0), several as 0,1, or 'cpu'")
    fit.add_argument("--compile", action="store_true", help="torch.compile the network")
    tune = parser.add_argument_group("fine-tuning rounds and the attention remedy")
    tune.add_argument("--tune-epochs", type=_positive, nargs="*", help="epochs of each fine-tuning round, or none")
    tune.add_argument("--tune-size", type=_positive, help="side of the pictures in those rounds")
    tune.add_argument("--tune-lr", type=float)
    tune.add_argument("--tune-cutmix", type=float, help="share of the batches that are mixed there")
    tune.add_argument("--attention-weight", type=float, help="of the attention remedy's loss; 0: only fine-tune")
    tune.add_argument("--peak-weight", type=float, help="of the part of that loss that places the map's peak")
    tune.add_argument("--attention-class-weight", type=float, help="of the attention branch's class loss there")
    tune.add_argument(
        "--teacher",
        type=os.path.expanduser,
        metavar="CHECKPOINT",
        help="of all rounds; default: the network a round starts from",
    )
    tune.add_argument(
        "--teacher-maps",
        type=os.path.expanduser,
        metavar="FILE",
        help="what an earlier run left as such, in place of making them",
    )
    tune.add_argument("--distil", type=float, help="share of the class losses that --teacher's answers make up there")
    tune.add_argument("--teacher-crop", type=float, help="share of a side that the teacher sees at once")
    tune.add_argument("--teacher-crops", type=_positive, help="how many such crops along each side")
    tune.add_argument("--teacher-size", type=_positive, help="pixels a side at which it sees one")
    tune.add_argument("--teacher-levels", type=_natural, help="of its mask gradients; 0: class activation maps alone")
    tune.add_argument("--teacher-gradient-size", type=_positive, help="pixels a side at which it sees the whole then")
    tune.add_argument("--teacher-power", type=float, help="sharpens the teacher's maps")
    try:
        argv, notes = translate(sys.argv[1:] if argv is None else list(argv))
    except Refused as error:
        parser.error(str(error))
    args = parser.parse_args(argv)
    args.recipe = args.recipe or recipe_for(args)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    args.push_to_hub = Path(args.checkpoint).resolve().name if args.push_to_hub == "" else args.push_to_hub
    if args.folds is not None and args.resume not in (None, "newest"):
        parser.error("--folds goes on with --resume alone; it takes no checkpoint-N folder")
    for one, other in CONTRADICTIONS:
        if given(args, one) and given(args, other):
            parser.error(f"--{one.replace('_', '-')} and --{other.replace('_', '-')} contradict each other")
    for name in ("split", "save_attention"):
        if given(args, name) and not args.evaluate:
            parser.error(f"--{name.replace('_', '-')} goes with --evaluate")
    return args


CONTRADICTIONS = (
    ("evaluate", "resume"),
    ("evaluate", "average"),
    ("evaluate", "folds"),
    ("evaluate", "push_to_hub"),
    ("average", "resume"),
    ("average", "folds"),
    ("average", "initial"),
    ("folds", "initial"),
    ("folds", "push_to_hub"),
    ("plain", "attention_weight"),
    ("plain", "attention_head"),
    ("plain", "teacher"),
    ("plain", "teacher_maps"),
    ("evaluate", "teacher"),
    ("evaluate", "teacher_maps"),
    ("average", "teacher"),
    ("average", "teacher_maps"),
    ("data", "imagenette_size"),
    ("data", "dataset"),
    ("initial", "arch"),
    ("initial", "width"),
    ("initial", "stem"),
    ("initial", "shortcut"),
    ("initial", "attention_head"),
    ("initial", "residual_attention"),
    ("initial", "dropout"),
    ("evaluate", "plain"),
    ("average", "plain"),
    ("evaluate", "initial"),
    ("data", "boxes"),
)


def given(args: argparse.Namespace, name: str) -> bool:
    value = getattr(args, name)
    return value is not None and (value is not False or name == "residual_attention")


def _number(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number; got {text!r}") from None
    if number < least:
        raise argparse.ArgumentTypeError(f"must be {least} or more; got {text}")
    return number


def _natural(text: str) -> int:
    return _number(text, 0)


def _positive(text: str) -> int:
    return _number(text, 1)


def _several(text: str) -> int:
    return _number(text, 2)


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else list(argv)
    args = parse(argv)
    try:
        status = use(args.gpu_id, argv, trains=not (args.evaluate or args.average))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if status is not None:
        return status
    # Imported here: CUDA reads its devices on import, and --help should not wait for PyTorch.
    from accelerate import PartialState
    from safetensors import SafetensorError

    from abn.names import print_anything, shown
    from train.finite import DivergedError
    from train.recipes import recipe_of

    print_anything()
    command = shown(f"python train/run.py {shlex.join(argv)}".strip())
    try:
        run(args, recipe_of(args), command)
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


def run(args: argparse.Namespace, recipe, command: str) -> None:
    import torch
    from accelerate import PartialState

    from abn.faithfulness.boxes import read_boxes
    from abn.families import check_arch
    from abn.names import is_utf8, shown
    from train import fit, measure
    from train.checks import check_compile, check_recipe, check_unused, resume_from
    from train.folds import cross_validate
    from train.plain import abilities_of, network_shape
    from train.publish import check_name
    from train.recipes import described
    from train.sources import cifar_source, folder_source, imagenette_source, mnist_source
    from train.tasks import celeba_source, table_source

    output = Path(args.checkpoint)
    if not args.evaluate and not is_utf8(args.checkpoint):
        raise ValueError(f"--checkpoint must have a name in UTF-8; got {shown(args.checkpoint)}")
    state = PartialState(cpu=not torch.cuda.is_available())
    if (args.evaluate or args.average) and not state.is_main_process:
        return
    # Faults of the arguments are named before anything is downloaded.
    if args.evaluate:
        loaded = measure.load(args.checkpoint, args.residual_attention)
        check_arch(args.arch, network_shape(loaded[0].config).arch, args.checkpoint)
    elif not args.average:
        fit.configuration(recipe, ("one", "other"))
        check_recipe(recipe, args.initial)
        if args.folds is None and resume_from(args.resume, output) is None:
            check_unused(output)
        check_compile(args.compile, args.padding if args.initial else recipe.padding)
        if state.is_main_process:
            print(f"recipe {args.recipe}" + ("" if args.initial else f": {described(recipe)}"), flush=True)
    if args.boxes:
        read_boxes(args.boxes)
    if args.push_to_hub:
        check_name(args.push_to_hub)
    tasks = abilities_of(loaded[0].config).tasks if args.evaluate else recipe.multitask
    with state.local_main_process_first():
        if tasks and args.data:
            source = table_source(args.data)
        elif tasks:
            source = celeba_source(args.imagenette_root, download=args.resume is None)
        elif args.data:
            source = folder_source(args.data, folds=bool(args.folds))
        elif recipe.dataset == "mnist":
            source = mnist_source(args.imagenette_root, download=args.resume is None)
        elif recipe.dataset in ("cifar10", "cifar100"):
            source = cifar_source(args.imagenette_root, recipe.dataset, download=args.resume is None)
        else:
            source = imagenette_source(args.imagenette_root, args.imagenette_size, download=args.resume is None)
    if args.boxes:
        read_boxes(args.boxes, source.root)
    if args.evaluate:
        fit.evaluate(args, recipe, source, loaded)
    elif args.average:
        fit.average(args, recipe, source, output, command)
    elif args.folds:
        cross_validate(args, recipe, source, fit.fit, command)
    else:
        fit.fit(args, recipe, source, output, command)


if __name__ == "__main__":
    sys.exit(main())
