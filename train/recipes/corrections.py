"""What --corrections trains by. The network and the size of its pictures are the --initial one's."""

from train.recipes.recipe import Network, Recipe, Training

CORRECT = Recipe(
    Network(arch="resnet18"),
    Training(
        epochs=1,
        train_batch=64,
        lr=0.02,
        nesterov=True,
        weight_decay=5e-4,
        warmup_epochs=0.1,
        label_smoothing=0.1,
        crop_area=(0.5, 1.0),
        ema_decay=0.98,
        half_precision=True,
    ),
)

RECIPES = {"correct": CORRECT}
