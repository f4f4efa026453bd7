"""What a recipe says, in four parts: the network, its training, the fine-tuning rounds, the attention remedy.

A field is a flag of `train/run.py`, which overrides it, and says here what it means and may be.
"""

from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from train.options import option


@dataclass(frozen=True, kw_only=True)
class Network:
    arch: str = option(MISSING, "-a", help="resnet18, se-resnet50, wrn28-10-cifar, vit, … (see AbnConfig)")
    width: int = option(64, least=1, help="channels of the first stage; of a transformer, numbers a token")
    stem: str = option("7x7", choices=("7x7", "3x3x3"), help="one convolution, or three")
    shortcut: str = option("conv", choices=("conv", "avgpool"), help="whether a mean goes before its convolution")
    padding: str = option("zeros", choices=("zeros", "replicate"), help="also of the --initial network")
    attention_head: str = option("C", choices=("A", "B", "C", "D", "E"), help="the attention branch's layout")
    zero_last_norms: bool = option(False, help="start each block as an identity")
    dropout: float = option(0.0, help="in the blocks of a Wide ResNet or DenseNet, and in a transformer")
    residual_attention: bool = option(
        True,
        "--residual",
        help="whether the perception branch sees the features beside the weighted ones; a lone file does not say",
    )
    multitask: str | None = option(None, choices=("v1", "v2"), help="yes-or-no tasks: the form of the network")
    plain: bool = option(
        False,
        help="the backbone without the attention branch, for comparison",
        against=("attention_weight", "attention_head"),
    )
    patch: int = option(16, least=1, help="of a Vision Transformer: pixels a side")
    heads: int = option(6, least=1, help="of a transformer")
    layers: int = option(12, least=1, help="of a transformer")
    mlp: int = option(1536, least=1, help="numbers between the two linear layers of a block")
    channels: int = option(3, choices=(1, 3), help="of the pictures a transformer sees; 1: grey")


@dataclass(frozen=True, kw_only=True)
class Training:
    dataset: str = option(
        "imagenette",
        "-d",
        choices=("imagenette", "cifar10", "cifar100", "mnist", "celeba"),
        group="data",
        help="looked for in --imagenette-root",
    )
    epochs: int = option(90, least=0, help="of class training; 0 with --initial: only the fine-tuning rounds")
    sizes: tuple[int, ...] = option((224,), least=1, help="sides of the training pictures, in equal shares")
    test_size: int = option(224, least=1, help="crop of the saved processor, pixels")
    resize: int = option(256, least=1, help="short side before that crop, pixels")
    train_batch: int = option(
        64,
        least=1,
        help="of all devices together, which share it evenly; batch norm sees a device's share (see --sync-batch-norm)",
    )
    accumulate: int = option(
        1,
        least=1,
        metavar="N",
        help="add up the gradients of N such batches a step: 2 of 32 are a step of 64, but batch norm sees 32; the "
        "schedule and the averaged weights count steps",
    )
    test_batch: int = option(128, least=1, help="pictures at once when measuring")
    optimizer: str = option("sgd", choices=("sgd", "adam"), help="adam: with decoupled weight decay")
    lr: float = option(0.1, "--learning-rate", above=0, help="the highest rate")
    pretrained_rate: float = option(
        1.0, least=0, most=1, help="share of that for what --initial brings; what is new, such as heads, has all of it"
    )
    freeze_norms: bool = option(False, help="keep the batch norms that --initial brings as they are")
    momentum: float = option(0.9, least=0, most=1, help="of sgd")
    nesterov: bool = option(False, help="of sgd")
    weight_decay: float = option(1e-4, "--wd", least=0, most=1, help="of convolutions and linear layers alone")
    schedule: tuple[int, ...] = option((), empty=True, help="epochs at which the rate falls, in place of the cosine")
    gamma: float = option(0.1, above=0, help="factor by which it falls")
    warmup_epochs: float = option(0.0, least=0, help="in which the rate rises, before the cosine")
    label_smoothing: float = option(0.0, least=0, most=1, help="share of a label that all classes share")
    crop_area: tuple[float, float] = option((0.08, 1.0), metavar=("LEAST", "MOST"), help="share of it that is cropped")
    crop_aspect: tuple[float, float] = option(
        (3 / 4, 4 / 3), metavar=("LEAST", "MOST"), help="width over height of that crop, before it is resized"
    )
    pad: int = option(0, least=0, help="in place of the crop, shift by up to so many pixels, black coming in")
    mirror: bool = option(True, help="whether half of the training pictures are mirrored")
    cutmix: float = option(0.0, least=0, most=1, help="share of the batches that are mixed, but for the last tenth")
    ema_decay: float = option(0.0, least=0, most=0.999999, help="of the averaged weights; 0: none are kept")
    focal: bool = option(False, help="weighted focal loss (multi-task recipes)")
    holdout: float = option(0.04, least=0, most=0.9, help="share of the training pictures kept out of training")
    eval_every: int = option(1, least=1, help="epochs between evaluations on what is held out")
    save_every: int = option(1, least=1, help="epochs between checkpoints that --resume goes on from")
    patience: int = option(
        0, least=0, metavar="N", help="stop after N evaluations in which top-1 did not rise; 0: never"
    )
    half_precision: bool = option(False, help="of the saved weights")


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Each round starts from the averaged weights of what came before."""

    tune_epochs: tuple[int, ...] = option((), least=1, empty=True, help="epochs of each fine-tuning round, or none")
    tune_size: int = option(224, least=1, help="side of the pictures in those rounds")
    tune_lr: float = option(0.02, above=0, help="the highest rate there")
    tune_warmup: float = option(0.5, least=0, help="epochs of each round in which the rate rises")
    tune_crop_area: tuple[float, float] = option(
        (0.5, 1.0), metavar=("LEAST", "MOST"), help="share of a picture that is cropped there"
    )
    freeze_features: bool = option(
        False, help="keep the feature extractor's weights there as they are: only the branches learn"
    )
    attention_class_weight: float = option(1.0, least=0, most=1000, help="of the attention branch's class loss there")
    outliers: float = option(
        0.0, least=0, most=4, help="pictures of no class in a batch there (train/outliers.py), as a share of the others"
    )
    outlier_weight: float = option(0.5, least=0, most=1000, help="of the loss that tells them from the others")
    average_rounds: bool = option(
        False, help="end in the mean of the rounds' averaged weights, in place of the best of the last"
    )
    before_share: float = option(
        0.0, least=0, most=0.9, help="share of the weights before the rounds in what --average-rounds ends in"
    )  # Wortsman et al. 2022, arXiv:2109.01903: such weights name better than those before and those after


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """See `train.remedy`. The teacher is the network that a round starts from."""

    attention_weight: float = option(0.0, least=0, most=1000, help="of the attention remedy's loss; 0: only fine-tune")
    peak_weight: float = option(0.0, least=0, most=1000, help="of the part of that loss that places the map's peak")
    steepness: float = option(
        1.0, above=0, most=10, help="factor of the map's logits in the mean of the rounds: above 1, more contrast"
    )
    teacher_size: int = option(128, least=1, help="pixels a side at which the teacher sees a crop")
    teacher_gradient_size: int = option(
        160, least=32, help="pixels a side at which it sees the whole, for its gradients"
    )


PARTS = {"network": Network, "training": Training, "rounds": Rounds, "remedy": Remedy}
PART_OF = {field.name: part for part, kind in PARTS.items() for field in fields(kind)}  # no two have one of a name


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained: `epochs` of class training, then fine-tuning rounds of `tune_epochs` each.

    Without rounds, or where it does not average them, a run ends in the weights that were best on what is held out. The
    validation split is looked at once, at the end; with nothing held out it takes that place.

    fitted: the fields that follow from --initial's network and from the number of pictures (see `finetune.fitted`).
    """

    network: Network
    training: Training = Training()
    rounds: Rounds = Rounds()
    remedy: Remedy = Remedy()
    fitted: frozenset[str] = frozenset()

    def but(self, **changes: Any) -> "Recipe":
        """The same with other values of its parts' fields, which then follow from nothing: `recipe.but(epochs=90)`."""
        of_part: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
        for name, value in changes.items():
            of_part[PART_OF[name]][name] = value
        parts = {part: replace(getattr(self, part), **values) for part, values in of_part.items()}
        return Recipe(**parts, fitted=self.fitted - set(changes))

    def values(self) -> dict[str, Any]:
        """Every field's value by its name, whatever its part."""
        return {name: getattr(getattr(self, part), name) for name, part in PART_OF.items()}
