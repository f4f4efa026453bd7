"""Named recipes: every number of a training run, in one place. An argument of the command overrides its field."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained.

    sizes: training picture sides, each for an equal share of the epochs; test_size: the saved processor's crop.
    resize: the saved processor's short side before that crop.
    schedule: epochs at which the rate is multiplied by gamma; empty: warmup_epochs, then a cosine to zero.
    weight_decay is applied to weights of convolutions and linear layers only.
    crop_area, crop_aspect: the random crop's share of the picture and width over height, before resizing.
    holdout: share of the training split kept out of training, for the calibration.
    eval_every: epochs between evaluations on the validation split.
    attention_weight: of the attention remedy's loss (see `remedy`); 0 for none. It needs --initial, the teacher.
    teacher_sizes, teacher_power: how the teacher's maps are made.
    """

    arch: str
    width: int = 64
    stem: str = "7x7"
    shortcut: str = "conv"
    attention_head: str = "C"
    zero_last_norms: bool = False

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
    ema_decay: float = 0.0
    holdout: float = 0.04
    eval_every: int = 1
    half_precision: bool = False
    attention_weight: float = 0.0
    teacher_sizes: tuple[int, ...] = (160, 224)
    teacher_power: float = 2.0


COMPACT = Recipe(
    arch="resnet18",
    width=32,
    stem="3x3x3",
    shortcut="avgpool",
    zero_last_norms=True,
    epochs=60,
    sizes=(96, 112, 128),
    test_size=160,
    resize=160,
    lr=0.2,
    nesterov=True,
    weight_decay=5e-4,
    warmup_epochs=3,
    label_smoothing=0.1,
    crop_area=(0.35, 1.0),
    ema_decay=0.998,
    eval_every=10,
    half_precision=True,
)

RECIPES = {
    "compact": COMPACT,
    "compact-remedy": replace(
        COMPACT,
        epochs=5,
        sizes=(160,),
        lr=0.02,
        warmup_epochs=0.5,
        crop_area=(0.5, 1.0),
        attention_weight=1.0,
    ),
}
