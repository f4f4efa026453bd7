"""Named recipes: every number of a training run, in one place. An argument of the command overrides its field."""

import argparse
import re
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained: `epochs` of class training, then fine-tuning rounds of `tune_epochs` each.

    sizes: training picture sides, each for an equal share of `epochs`; test_size: the saved processor's crop.
    resize: the saved processor's short side before that crop.
    dataset: "imagenette", "cifar10", "cifar100" or "celeba"; `--data` takes its place.
    pad: training pictures are shifted by up to so many pixels, black coming in, in place of the random crop.
    dropout: of the blocks of a Wide ResNet or DenseNet, and throughout a transformer.
    arch "vit": a Vision Transformer of patch x patch pixels a token, `width` numbers a token, `mlp` between the two
    linear layers, `heads`, `layers` and `channels` of the picture (1: grey).
    optimizer: "sgd", or "adam" with decoupled weight decay.
    mirror: whether training pictures are mirrored.
    multitask: None for classes; "v1" or "v2" for yes-or-no tasks, each with a map of its own.
    residual_attention: whether the perception branch sees the features beside the weighted ones.
    focal: weigh the tasks' losses by how rare yes is and how far off the answer (see `weighted_focal_loss`).
    train_batch: of all devices together.
    schedule: epochs at which the rate is multiplied by gamma; empty: warmup_epochs, then a cosine to zero.
    weight_decay is applied to weights of convolutions and linear layers only.
    crop_area, crop_aspect: the random crop's share of the picture and width over height, before resizing.
    cutmix: share of the batches that are mixed, but for the last tenth of `epochs`; tune_cutmix: in fine-tuning rounds.
    tune_size, tune_lr, tune_warmup, tune_crop_area: the fine-tuning rounds' picture side, peak rate, epochs of warm-up,
    crops. Each round starts from the averaged weights of what came before.
    attention_weight: of the attention remedy's loss in those rounds (see `remedy`); 0: they only fine-tune.
    peak_weight: of the part of that loss that places the map's peak, beside the part that fits its values.
    attention_class_weight: of the attention branch's class loss in those rounds, beside the perception branch's.
    teacher_crop, teacher_crops, teacher_size, teacher_levels, teacher_gradient_size, teacher_power: how the teacher's
    maps are made (see `teacher_maps`); the teacher is the network a round starts from.
    distil: share of the class losses in those rounds that comes from the answers of `--teacher` in place of the labels
    (Hinton et al. 2015, arXiv:1503.02531): short rounds without CutMix otherwise cost accuracy.
    average_rounds: whether the run ends in the mean of its rounds' averaged weights, in place of the best of the last
    round. Without rounds it ends in the weights that were best on what is held out.
    holdout: share of the training split kept out of training, for choosing recipes and for the calibration.
    eval_every: epochs between evaluations on what is held out; the validation split is looked at once, at the end
    (with nothing held out it takes its place).
    plain: the same backbone without the attention branch, for comparison.
    """

    arch: str
    width: int = 64
    stem: str = "7x7"
    shortcut: str = "conv"
    padding: str = "zeros"
    attention_head: str = "C"
    zero_last_norms: bool = False
    dropout: float = 0.0
    multitask: str | None = None
    residual_attention: bool = True
    patch: int = 16
    heads: int = 6
    layers: int = 12
    mlp: int = 1536
    channels: int = 3

    optimizer: str = "sgd"
    mirror: bool = True
    dataset: str = "imagenette"
    pad: int = 0

    epochs: int = 90
    sizes: tuple[int, ...] = (224,)
    test_size: int = 224
    resize: int = 256
    train_batch: int = 64
    test_batch: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    schedule: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    crop_area: tuple[float, float] = (0.08, 1.0)
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    cutmix: float = 0.0
    ema_decay: float = 0.0
    focal: bool = False
    holdout: float = 0.04
    eval_every: int = 1
    half_precision: bool = False
    plain: bool = False

    tune_epochs: tuple[int, ...] = ()
    tune_size: int = 224
    tune_lr: float = 0.02
    tune_warmup: float = 0.5
    tune_crop_area: tuple[float, float] = (0.5, 1.0)
    tune_cutmix: float = 0.0
    attention_weight: float = 0.0
    peak_weight: float = 0.0
    attention_class_weight: float = 1.0
    teacher_crop: float = 0.75
    teacher_crops: int = 3
    teacher_size: int = 128
    teacher_levels: int = 0
    teacher_gradient_size: int = 160
    teacher_power: float = 2.0
    distil: float = 0.0
    average_rounds: bool = False


MODERN = Recipe(
    arch="resnet50",
    stem="3x3x3",
    shortcut="avgpool",
    zero_last_norms=True,
    epochs=200,
    sizes=(128, 160, 192, 224),
    test_size=256,
    resize=288,
    train_batch=128,
    lr=0.4,
    nesterov=True,
    weight_decay=5e-4,
    warmup_epochs=5,
    label_smoothing=0.1,
    crop_area=(0.35, 1.0),
    cutmix=0.5,
    ema_decay=0.999,
    eval_every=10,
    tune_epochs=(5, 5),
    tune_size=224,
    tune_lr=0.05,
    attention_weight=3.0,
    peak_weight=0.7,
    attention_class_weight=0.3,
    teacher_size=160,
    average_rounds=True,
)

COMPACT = replace(
    MODERN,
    arch="resnet18",
    width=32,
    padding="replicate",
    epochs=130,
    sizes=(96, 112, 128, 144),
    test_size=208,  # larger than what it is tuned at: crops show things larger (Touvron et al. 2019, arXiv:1906.06423)
    resize=208,
    train_batch=64,
    lr=0.2,
    warmup_epochs=3,
    ema_decay=0.998,
    half_precision=True,
    tune_size=192,
    teacher_size=128,
    teacher_levels=5,
    teacher_power=1.0,
)

# The authors' own runs for CIFAR-100.
CIFAR = Recipe(
    arch="resnet110-cifar",
    attention_head="A",
    dataset="cifar100",
    epochs=300,
    sizes=(32,),
    test_size=32,
    resize=32,
    pad=4,
    train_batch=128,
    test_batch=100,
    schedule=(150, 225),
    holdout=0.0,
)

RECIPES = {
    "compact": COMPACT,
    "compact-remedy": replace(COMPACT, epochs=0),
    "resnet18": replace(MODERN, arch="resnet18"),
    "resnet50": MODERN,
    "resnet152": replace(MODERN, arch="resnet152"),
    # The reference's own run: its train.py's defaults, and the network of the 90.47 % checkpoint.
    "paper": Recipe(arch="resnet152", attention_head="A", schedule=(31, 61), test_batch=100, holdout=0.0),
    "cifar-resnet110": CIFAR,
    "cifar-densenet": replace(CIFAR, arch="densenet100-12-cifar", train_batch=64),
    "cifar-wrn": replace(
        CIFAR, arch="wrn28-10-cifar", epochs=200, schedule=(60, 120, 160), gamma=0.2, weight_decay=5e-4, dropout=0.3
    ),
    "cifar-resnext": replace(CIFAR, arch="resnext29-8x64-cifar", attention_head="D", weight_decay=5e-4),
    # The reference's transformer for digits.
    "vit-mnist": Recipe(
        arch="vit",
        width=256,
        patch=7,
        heads=8,
        layers=6,
        mlp=768,
        channels=1,
        dropout=0.2,
        dataset="mnist",
        epochs=20,
        sizes=(28,),
        test_size=28,
        resize=28,
        pad=2,
        mirror=False,
        optimizer="adam",
        lr=3e-4,
        weight_decay=0.0,
        train_batch=32,
        holdout=0.05,
    ),
    # Small enough to learn Imagenette from scratch, with the augmentation that a transformer needs.
    "vit-imagenette": Recipe(
        arch="vit",
        width=384,
        patch=16,
        heads=6,
        layers=8,
        mlp=1536,
        dropout=0.1,
        epochs=300,
        sizes=(224,),
        test_size=224,
        resize=224,
        crop_area=(0.25, 1.0),
        cutmix=0.7,
        label_smoothing=0.1,
        optimizer="adam",
        lr=5e-4,
        weight_decay=0.05,
        warmup_epochs=10,
        train_batch=128,
        ema_decay=0.999,
        eval_every=10,
    ),
    # The authors' run for CelebA's 40 attributes.
    "multitask": Recipe(
        arch="resnet50",
        multitask="v1",
        dataset="celeba",
        epochs=100,
        lr=0.01,
        train_batch=32,
        test_batch=64,
        schedule=(50, 75),
        holdout=0.0,
    ),
}


CIFAR_RECIPES = {
    "resnet": "cifar-resnet110",
    "densenet": "cifar-densenet",
    "wrn": "cifar-wrn",
    "resnext": "cifar-resnext",
}


def recipe_for(args: argparse.Namespace) -> str:
    """The recipe of a command that names none. An --arch without a --width means the standard network as the reference
    and the authors train it, who know no widths, and not compact's narrow one."""
    if args.arch is None or args.width is not None:
        return "compact"
    arch = args.arch.lower()
    if found := re.fullmatch(r"([a-z]+)\d+(-\d+(x64)?)?-cifar", arch):
        return CIFAR_RECIPES.get(found[1], "paper")
    if arch == "vit":
        return "vit-mnist" if args.dataset == "mnist" else "vit-imagenette"
    return "multitask" if args.multitask or args.dataset == "celeba" else "paper"


def described(recipe: Recipe) -> str:
    """The network and the length of a recipe, in words."""
    network = recipe.arch if recipe.arch.endswith("-cifar") else f"{recipe.arch} of width {recipe.width}"
    rounds = f", then fine-tuning rounds of {' and '.join(map(str, recipe.tune_epochs))}" if recipe.tune_epochs else ""
    return f"{network}, {recipe.epochs} epochs{rounds}"


def recipe_of(args: argparse.Namespace) -> Recipe:
    """The recipe that `args.recipe` names, with what other arguments say in place of its fields.

    Raises:
        ValueError: there is no such recipe; names those there are.
    """
    if args.recipe not in RECIPES:
        raise ValueError(f"--recipe must be one of {', '.join(RECIPES)}; got {args.recipe!r}")
    said = {field.name: getattr(args, field.name, None) for field in fields(Recipe)}
    changes = {k: tuple(v) if isinstance(v, list) else v for k, v in said.items() if v is not None}
    recipe = replace(RECIPES[args.recipe], **changes)
    return replace(recipe, attention_weight=0.0) if recipe.plain else recipe
