"""ResNets with what came after ABN: averaged weights, CutMix, growing pictures, and the attention remedy."""

from train.recipes.recipe import Network, Recipe, Remedy, Rounds, Training

MODERN = Recipe(
    Network(arch="resnet50", stem="3x3x3", shortcut="avgpool", zero_last_norms=True),
    Training(
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
    ),
    Rounds(tune_epochs=(5, 5), tune_size=224, tune_lr=0.05, attention_class_weight=0.3, average_rounds=True),
    Remedy(attention_weight=3.0, peak_weight=0.7, teacher_size=160),
)

COMPACT = MODERN.but(
    arch="resnet18",
    width=32,
    padding="replicate",
    epochs=160,
    sizes=(96, 112, 128, 144),
    test_size=208,  # larger than what it is tuned at: crops show things larger (Touvron et al. 2019, arXiv:1906.06423)
    resize=208,
    train_batch=64,
    lr=0.2,
    warmup_epochs=3,
    ema_decay=0.998,
    half_precision=True,
    tune_epochs=(8,),
    tune_size=192,
    freeze_features=True,
    outliers=0.125,
    outlier_weight=0.25,
    before_share=0.5,
    attention_weight=5.0,
    peak_weight=1.0,
    steepness=1.4,
    teacher_size=128,
)

RECIPES = {
    "compact": COMPACT,
    "resnet18": MODERN.but(arch="resnet18"),
    "resnet50": MODERN,
    "resnet152": MODERN.but(arch="resnet152"),
}
