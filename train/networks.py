"""A recipe's network and its processor."""

from transformers import PreTrainedConfig, PreTrainedModel, ViTConfig, ViTForImageClassification

from abn import AbnConfig, AbnForImageClassification, AbnForMultiTaskClassification, AbnImageProcessor
from abn.checkpoints import CIFAR_STATISTICS
from abn.model.backbone_resnet import zero_last_norms
from abn.model.configuration_abn import cifar_family
from abn.model.image_processing_vit import VitImageProcessor
from train.plain import PlainConfig, PlainForImageClassification
from train.recipes import Recipe

ALIKE = ("arch", "width", "stem", "shortcut", "padding", "attention_head", "residual_attention", "dropout", "multitask")


def build_model(recipe: Recipe, classes: tuple[str, ...]) -> PreTrainedModel:
    """A fresh network."""
    if recipe.network.arch == "vit":
        return ViTForImageClassification(vit_configuration(recipe, classes))
    network = PlainForImageClassification if recipe.network.plain else AbnForImageClassification
    if recipe.network.multitask:
        network = AbnForMultiTaskClassification
    model = network(configuration(recipe, classes))
    if recipe.network.zero_last_norms:
        zero_last_norms(model)
    return model


def configuration(recipe: Recipe, classes: tuple[str, ...]) -> PreTrainedConfig:
    """Raises: ValueError: the network is unknown; names the known ones."""
    if recipe.network.arch == "vit":
        return vit_configuration(recipe, classes)
    shared = {name: getattr(recipe.network, name) for name in ALIKE}  # an `AbnConfig` has them under these names, too
    return (PlainConfig if recipe.network.plain else AbnConfig)(**shared, id2label=dict(enumerate(classes)))


def vit_configuration(recipe: Recipe, classes: tuple[str, ...]) -> ViTConfig:
    """Raises: ValueError: the width is not shared evenly by the heads, or the picture not by the patches."""
    network, side, patch = recipe.network, recipe.training.test_size, recipe.network.patch
    if network.width % network.heads:
        raise ValueError(f"--width {network.width} cannot be shared evenly by {network.heads} --heads")
    if side % patch:
        raise ValueError(f"a picture of {side} pixels cannot be cut into --patch {patch} x {patch}")
    if side // patch < 2:
        raise ValueError(f"a picture of {side} pixels gives {(side // patch) ** 2} patches of {patch}; 4 are the least")
    return ViTConfig(
        image_size=side,
        patch_size=patch,
        num_channels=network.channels,
        hidden_size=network.width,
        intermediate_size=network.mlp,
        num_attention_heads=network.heads,
        num_hidden_layers=network.layers,
        hidden_dropout_prob=network.dropout,
        attention_probs_dropout_prob=network.dropout,
        id2label=dict(enumerate(classes)),
        label2id={name: index for index, name in enumerate(classes)},
    )


def build_processor(recipe: Recipe) -> AbnImageProcessor:
    crop = {"height": recipe.training.test_size, "width": recipe.training.test_size}
    if recipe.network.arch == "vit":
        half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        return VitImageProcessor(size=crop, crop_size=crop, **half)
    statistics = CIFAR_STATISTICS if cifar_family(recipe.network.arch) else {}
    return AbnImageProcessor(size={"shortest_edge": recipe.training.resize}, crop_size=crop, **statistics)
