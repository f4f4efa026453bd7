"""The reference's own run: its train.py's defaults, and the network of the 90.47 % checkpoint."""

from train.recipes.recipe import Network, Recipe, Training

RECIPES = {
    "paper": Recipe(
        Network(arch="resnet152", attention_head="A"), Training(schedule=(31, 61), test_batch=100, holdout=0.0)
    )
}
