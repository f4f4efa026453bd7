"""Command lines of the reference and of ABN's authors, in this package's own arguments.

    github.com/yukiharada1228/attention-branch-network                     train.py
    github.com/machine-perception-robotics-group/attention_branch_network  cifar.py, imagenet.py
    github.com/machine-perception-robotics-group/ABN_CelebA_PyTorch        train_celeba.py, eval_celeba.py
    the same, first release (v0.1)                                         main.py

What a line leaves out is the authors' default. What has no counterpart here is refused in one line, with the command
that comes nearest.
"""

import argparse
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

# Another name for the same thing.
SPELLINGS = {
    "--data-root": "--imagenette-root",
    "--data_root": "--imagenette-root",
    "--lr_steps": "--schedule",
    "--num_workers": "--workers",
    "--gpu_id": "--gpu-id",
    "--use_wfl": "--focal",
    "--use_nesterov": "--nesterov",
    "--save_attention": "--save-attention",
    "--save_attention_map": "--save-attention",
    "--attention_type": "--attention-type",
}


@dataclass(frozen=True)
class Family:
    """An --arch of cifar.py. recipe: that it belongs to; form: the network's name here; fixed: what it knows one value
    of; depth: an example, None where cifar.py's default will do."""

    recipe: str
    form: str
    fixed: dict[str, int] = field(default_factory=dict)
    depth: int | None = None

    @property
    def used(self) -> set[str]:
        return {*re.findall(r"{(\w+)}", self.form), *self.fixed}


FAMILIES = {
    "resnet": Family("cifar-resnet110", "resnet{depth}-cifar", depth=110),
    "densenet": Family("cifar-densenet", "densenet{depth}-{growthRate}-cifar", {"compressionRate": 2}, depth=100),
    "wrn": Family("cifar-wrn", "wrn{depth}-{widen_factor}-cifar", depth=28),
    "resnext": Family("cifar-resnext", "resnext{depth}-{cardinality}x64-cifar", {"widen_factor": 4}),
}
NUMBERS = {"depth": 29, "cardinality": 8, "widen_factor": 4, "growthRate": 12, "compressionRate": 2, "base_width": None}
CIFAR_DEFAULTS = "--epochs 300 --schedule 150 225 --gamma 0.1 --lr 0.1 --wd 5e-4 --train-batch 128 --test-batch 100"
CELEBA_DEFAULTS = "--epochs 10 --schedule 4 8 --lr 0.01 --wd 1e-4 --train-batch 8 --test-batch 16 --seed 1701"
CELEBA_TRAINS = ("--epochs", "--lr", "--lr_steps", "--use_wfl", "--use_nesterov", "--momentum", "--wd", "--seed")
PICKLED = (".tar", ".pth", ".pt")


class Refused(ValueError):
    """There is no counterpart; the message names the command that comes nearest."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise Refused(message)


@dataclass
class _Line:
    """A command line on its way. args: what has to be understood; rest: all else, as it stands; before: what is
    implied, and gives way to `rest`; notes: what the user is told; refused: why the line cannot be followed."""

    args: argparse.Namespace
    rest: list[str]
    before: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def has(self, *names: str) -> bool:
        return any(token.split("=")[0] in names for token in self.rest)

    @property
    def evaluates(self) -> bool:
        return self.has("-e", "--evaluate")


def translate(argv: list[str]) -> tuple[list[str], list[str]]:
    """(arguments of `train/run.py`, notes for the user). This package's own arguments keep their meaning.

    Raises:
        Refused: the line cannot be followed here; the message gives the nearest command.
    """
    line = _Line(*_parser().parse_known_args(argv))
    args = line.args
    celeba = args.model or args.logdir or args.batch_size or line.has("--data_root", "--num_workers", "--lr_steps")
    (_celeba if celeba else _classes)(line)
    if args.pretrained:
        line.refused.append(
            "--pretrained: nothing is fetched by that name; --initial takes a ResNet of torchvision, timm, transformers"
        )
    if args.start_epoch:
        line.refused.append(f"--start-epoch {args.start_epoch}: --resume alone knows where a run stopped")
    if args.save_every_epochs is not None:
        line.notes.append("--save-every-epochs: a checkpoint is written every epoch, and the newest two are kept")
    ours = [*line.before, *map(_spelt, line.rest)]
    command = f"python train/run.py {shlex.join(ours)}"
    if line.refused:
        raise Refused(f"{'; '.join(line.refused)}. Here: {command}")
    if line.before:
        line.notes.append(f"here that is: {command}")
    return ours, line.notes


def _parser() -> argparse.ArgumentParser:
    """What has to be understood rather than renamed; all else passes by."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("-a", "--arch")
    for name in NUMBERS:
        parser.add_argument("--" + name.replace("_", "-"), type=int)
    parser.add_argument("--drop", "--dropout", dest="dropout", type=float)
    parser.add_argument("-d")
    parser.add_argument("--data")
    parser.add_argument("--dataset")
    parser.add_argument("--gamma")
    parser.add_argument("--resume", nargs="?", const="newest")
    parser.add_argument("--start-epoch", type=int)
    parser.add_argument("--save-every-epochs", type=int)
    parser.add_argument("--pretrained", action="store_true")
    for name in ("--model", "--logdir", "--alpha"):
        parser.add_argument(name)
    parser.add_argument("--arg_file", default="args.json")
    parser.add_argument("--batch_size", type=int)
    for name in ("--residual_attention", "--no_eval_train", "--no_eval_val", "--no_eval_test"):
        parser.add_argument(name, action="store_true")
    return parser


def _spelt(token: str) -> str:
    name, equals, value = token.partition("=")
    return SPELLINGS.get(name, name) + equals + value


def _classes(line: _Line) -> None:
    """train.py, cifar.py, imagenet.py, and the first release's main.py."""
    args = line.args
    if args.d in ("cifar10", "cifar100"):  # cifar.py's -d is --dataset, imagenet.py's is --data
        args.dataset = args.d
    elif args.d is not None:
        args.data = args.d
    _resume(line)
    if args.data is not None and _is_celeba(Path(args.data).expanduser()):
        line.before += ["--recipe", "multitask", "--multitask", "v2", "--imagenette-root", args.data]
        line.before += ["--split", "test"] if line.evaluates else ["--residual-attention"]
    elif args.data is not None:
        line.rest += ["--data", args.data]
    if args.arch in FAMILIES:
        _cifar(line, FAMILIES[args.arch])
    elif args.arch is not None:
        _imagenet(line)
    for name in NUMBERS:
        if getattr(args, name) is not None:
            _unused(line, name)
    for name in ("dropout", "gamma", "dataset"):
        if getattr(args, name) is not None:
            line.rest += [f"--{name}", str(getattr(args, name))]
    if args.residual_attention:
        line.rest += ["--residual-attention"]


def _cifar(line: _Line, family: Family) -> None:
    args = line.args
    numbers = {
        name: default if getattr(args, name) is None else getattr(args, name) for name, default in NUMBERS.items()
    }
    for name, value in family.fixed.items():
        if numbers[name] != value:
            option = name.replace("_", "-")
            line.refused.append(f"--{option} is {value} in every {args.arch} here; got {numbers[name]}")
    if args.depth is None and family.depth is not None:
        line.refused.append(f"-a {args.arch} needs its --depth, such as {family.depth}")
        numbers["depth"] = family.depth
    if args.arch == "resnet" and args.dropout is not None:
        line.notes.append("--drop means nothing for -a resnet, here as there")
        args.dropout = None
    if not line.has("--recipe"):
        line.before += ["--recipe", family.recipe]
        line.before += [] if args.data or args.dataset else ["--dataset", "cifar10"]
        if not line.evaluates:
            line.before += CIFAR_DEFAULTS.split()
            line.before += [] if args.arch == "resnet" else ["--dropout", "0"]
    line.before += ["--arch", family.form.format(**numbers)]
    for name in family.used:
        setattr(args, name, None)


def _imagenet(line: _Line) -> None:
    args = line.args
    if found := re.fullmatch(r"se_resnet_(\d+)", args.arch):
        line.before += [] if line.has("--recipe") else ["--recipe", "paper", "--attention-head", "E"]
        args.arch = f"se-resnet{found[1]}"
    elif found := re.fullmatch(r"resnext(50|101|152)", args.arch):
        line.refused.append(f"-a {args.arch} is not among the networks here, nor in the authors' code")
        args.arch, args.cardinality, args.base_width = f"resnet{found[1]}", None, None
    line.rest += ["--arch", args.arch]


def _unused(line: _Line, name: str) -> None:
    """A number that the network has no use for; the authors' scripts take any with any."""
    option = "--" + name.replace("_", "-")
    if line.args.arch is None:
        line.refused.append(f"{option} needs -a, one of {', '.join(FAMILIES)}")
    elif name == "depth":
        line.refused.append(f"--depth contradicts -a {line.args.arch}, which says it already")
    else:
        line.notes.append(f"{option} means nothing for -a {line.args.arch}, here as there")


def _is_celeba(folder: Path) -> bool:
    """Whether --data means CelebA, as the first release has it, in place of class folders or a table."""
    if (folder / "train").is_dir() or (folder / "attributes.csv").is_file():
        return False
    lists = ("list_attr_celeba.txt", "Anno/list_attr_celeba.txt", "celeba/list_attr_celeba.txt")
    return folder.name.lower() == "celeba" or any((folder / name).is_file() for name in lists)


def _resume(line: _Line) -> None:
    """--resume FILE names what to evaluate, or a run of the authors' scripts, which cannot be gone on with."""
    resume = line.args.resume
    if resume is None:
        return
    if line.evaluates and resume != "newest":
        line.rest += ["--checkpoint", str(_what_there_is(line, Path(resume).expanduser()))]
    elif resume.endswith(PICKLED):
        line.refused.append(f"--resume: {resume} is no run of this package; --initial starts from its weights")
        line.args.arch = line.args.dropout = None  # the file brings the network
        for name in NUMBERS:
            setattr(line.args, name, None)
        line.rest += ["--initial", resume]
    else:
        line.rest += ["--resume", resume]


def _what_there_is(line: _Line, file: Path) -> Path:
    """The authors' file; where this package trained into its folder, that folder."""
    if not file.exists() and (file.parent / "config.json").is_file():
        line.notes.append(f"there is no {file}; {file.parent} is evaluated")
        return file.parent
    return file


def _celeba(line: _Line) -> None:
    """train_celeba.py and eval_celeba.py."""
    if line.evaluates or not (line.args.model or line.args.pretrained or line.has(*CELEBA_TRAINS)):
        _eval_celeba(line)
    else:
        _train_celeba(line)


def _train_celeba(line: _Line) -> None:
    args = line.args
    model = args.model or "mtabn_v1_resnet101"
    found = re.fullmatch(r"(?:mtabn_v(\d+)_)?(resnet(?:18|34|50|101|152))", model)
    if found is None:
        raise Refused(f"--model must be mtabn_v1_ or mtabn_v2_ and resnet18, 34, 50, 101 or 152; got {model!r}")
    version, arch = found.groups()
    if version is None:
        line.refused.append(f"--model {model}: tasks are learnt with an attention branch alone")
    elif version not in ("1", "2"):
        line.refused.append(f"--model {model}: there are v1 and v2, here as there")
    if args.resume is not None:
        line.refused.append(f"--resume {args.resume}: only runs of this package can be gone on with, by --resume alone")
    if args.alpha is not None or args.gamma is not None:
        line.refused.append("--alpha, --gamma: the focal loss has its published exponent (Sarafianos et al. 2018), 0.5")
    line.before += ["--recipe", "multitask", "--multitask", "v2" if version == "2" else "v1", "--arch", arch]
    line.before += CELEBA_DEFAULTS.split()
    line.before.append("--residual-attention" if args.residual_attention else "--no-residual-attention")
    if args.logdir is not None:
        line.rest += ["--checkpoint", args.logdir]
    if args.batch_size is not None:
        line.rest += ["--train-batch", str(args.batch_size), "--test-batch", str(2 * args.batch_size)]


def _eval_celeba(line: _Line) -> None:
    args = line.args
    line.before += ["--evaluate", "--recipe", "multitask"]
    splits = [split for split in ("train", "val", "test") if not getattr(args, f"no_eval_{split}")]
    if splits:
        line.before += ["--split", *splits]
    else:
        line.refused.append("--no_eval_train, --no_eval_val and --no_eval_test leave nothing to evaluate")
    if args.logdir is not None:
        folder = Path(args.logdir).expanduser()
        settings = folder / args.arg_file
        if settings.is_file():
            line.before.append("--residual-attention" if _residual_of(settings) else "--no-residual-attention")
        file = folder / (args.resume or "checkpoint-best.pt")
        line.rest += ["--checkpoint", str(_what_there_is(line, file))]
    if args.batch_size is not None:
        line.rest += ["--test-batch", str(args.batch_size)]


def _residual_of(settings: Path) -> bool:
    """What train_celeba.py noted beside its weights, which do not tell."""
    try:
        return bool(json.loads(settings.read_text())["residual_attention"])
    except (ValueError, KeyError, TypeError):
        raise Refused(f"{settings} does not say residual_attention") from None
