"""Fine-tuning a pretrained network to 200 to 20,000 pictures of one's own: what `--initial` means where no recipe is
named."""

from dataclasses import replace

from train.recipes.recipe import Network, Recipe, Training

SEEN = 20_000  # pictures that a run looks at, each as often as that comes to, within these bounds
EPOCHS = (10, 65)
SAVED = 5  # checkpoints of a run: epochs of few pictures take less time than writing one
FEWEST = 1000  # training pictures of which some can be spared to calibrate the answers

FINETUNE = Recipe(
    Network(arch="resnet50"),  # --initial's, in truth
    Training(
        train_batch=32,
        lr=0.1,
        pretrained_rate=0.4,
        nesterov=True,
        weight_decay=5e-4,
        warmup_epochs=2,
        label_smoothing=0.1,
        crop_area=(0.35, 1.0),
        cutmix=0.5,
        ema_decay=0.98,
        eval_every=1000,
        half_precision=True,  # the bundled network's 4.9 M parameters have 10 MB then: they fit into a Space
    ),
    fitted=frozenset({"epochs", "sizes", "test_size", "resize", "train_batch", "holdout", "save_every"}),
)

RECIPES = {"finetune": FINETUNE}


def fitted(recipe: Recipe, crop: int, resize: int, pictures: int) -> Recipe:
    """The recipe with what follows from the network's own preprocessing and from the number of training pictures, but
    for what was asked for otherwise (`recipe.fitted` says what is left open).

    Args:
        crop, resize: pixels of a side that --initial is given, and of the short side of the picture it is cut from.

    The last third of training sees pictures of about nine tenths of the test's sides: crops show things larger than the
    test does (Touvron et al. 2019, arXiv:1906.06423). Before, smaller ones cost less and vary more.
    """
    side = 0.9 * crop
    epochs = min(max(round(SEEN / pictures), EPOCHS[0]), EPOCHS[1])
    found = {
        "epochs": epochs,
        "save_every": -(-epochs // SAVED),
        "sizes": tuple(max(32, 32 * round(share * side / 32)) for share in (2 / 3, 5 / 6, 1)),
        "test_size": crop,
        "resize": resize,
        "train_batch": min(recipe.training.train_batch, pictures),
        "holdout": 0.0 if pictures < FEWEST else recipe.training.holdout,
    }
    changes = {name: value for name, value in found.items() if name in recipe.fitted}
    return replace(recipe.but(**changes), fitted=recipe.fitted)


def in_words(recipe: Recipe) -> str:
    """The length of a run and its pictures' sides."""
    sizes = ", ".join(map(str, recipe.training.sizes))
    return f"{recipe.training.epochs} epochs at {sizes} pixels, then {recipe.training.test_size} pixels in the test"
