"""The authors' run for CelebA's 40 attributes."""

from train.recipes.recipe import Network, Recipe, Training

RECIPES = {
    "multitask": Recipe(
        Network(arch="resnet50", multitask="v1"),
        Training(dataset="celeba", epochs=100, lr=0.01, train_batch=32, test_batch=64, schedule=(50, 75), holdout=0.0),
    ),
}
