"""The authors' own runs for CIFAR-100."""

from train.recipes.recipe import Network, Recipe, Training

CIFAR = Recipe(
    Network(arch="resnet110-cifar", attention_head="A"),
    Training(
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
    ),
)

RECIPES = {
    "cifar-resnet110": CIFAR,
    "cifar-densenet": CIFAR.but(arch="densenet100-12-cifar", train_batch=64),
    "cifar-wrn": CIFAR.but(
        arch="wrn28-10-cifar", epochs=200, schedule=(60, 120, 160), gamma=0.2, weight_decay=5e-4, dropout=0.3
    ),
    "cifar-resnext": CIFAR.but(arch="resnext29-8x64-cifar", attention_head="D", weight_decay=5e-4),
}
