"""Vision Transformers: the reference's for digits, and one small enough to learn Imagenette from scratch, with the
augmentation that a transformer needs."""

from train.recipes.recipe import Network, Recipe, Training

RECIPES = {
    "vit-mnist": Recipe(
        Network(arch="vit", width=256, patch=7, heads=8, layers=6, mlp=768, channels=1, dropout=0.2),
        Training(
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
    ),
    "vit-imagenette": Recipe(
        Network(arch="vit", width=384, patch=16, heads=6, layers=8, mlp=1536, dropout=0.1),
        Training(
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
    ),
}
