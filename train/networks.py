"""A recipe's network and its processor."""

from transformers import PreTrainedConfig, PreTrainedModel, ViTConfig, ViTForImageClassification

from abn import AbnConfig, AbnForImageClassification, AbnForMultiTaskClassification, AbnImageProcessor
from abn.checkpoints import CIFAR_STATISTICS
from abn.model.backbone_resnet import zero_last_norms
from abn.model.configuration_abn import cifar_family
from abn.model.image_processing_vit import VitImageProcessor
from train.plain import PlainConfig, PlainForImageClassification
from train.recipes import Recipe


def build_model(recipe: Recipe, classes: tuple[str, ...]) -> PreTrainedModel:
    """A fresh network."""
    if recipe.arch == "vit":
        return ViTForImageClassification(vit_configuration(recipe, classes))
    network = PlainForImageClassification if recipe.plain else AbnForImageClassification
    if recipe.multitask:
        network = AbnForMultiTaskClassification
    model = network(configuration(recipe, classes))
    if recipe.zero_last_norms:
        zero_last_norms(model)
    return model


def configuration(recipe: Recipe, classes: tuple[str, ...]) -> PreTrainedConfig:
    """Raises: ValueError: the network is unknown; names the known ones."""
    if recipe.arch == "vit":
        return vit_configuration(recipe, classes)
    return (PlainConfig if recipe.plain else AbnConfig)(
        arch=recipe.arch,
        width=recipe.width,
        stem=recipe.stem,
        shortcut=recipe.shortcut,
        padding=recipe.padding,
        attention_head=recipe.attention_head,
        dropout=recipe.dropout,
        multitask=recipe.multitask,
        residual_attention=recipe.residual_attention,
        id2label=dict(enumerate(classes)),
    )


def vit_configuration(recipe: Recipe, classes: tuple[str, ...]) -> ViTConfig:
    """Raises: ValueError: the width is not shared evenly by the heads, or the picture not by the patches."""
    side, patch = recipe.test_size, recipe.patch
    if recipe.width % recipe.heads:
        raise ValueError(f"--width {recipe.width} cannot be shared evenly by {recipe.heads} --heads")
    if side % patch:
        raise ValueError(f"a picture of {side} pixels cannot be cut into --patch {patch} x {patch}")
    if side // patch < 2:
        raise ValueError(f"a picture of {side} pixels gives {(side // patch) ** 2} patches of {patch}; 4 are the least")
    return ViTConfig(
        image_size=side,
        patch_size=patch,
        num_channels=recipe.channels,
        hidden_size=recipe.width,
        intermediate_size=recipe.mlp,
        num_attention_heads=recipe.heads,
        num_hidden_layers=recipe.layers,
        hidden_dropout_prob=recipe.dropout,
        attention_probs_dropout_prob=recipe.dropout,
        id2label=dict(enumerate(classes)),
        label2id={name: index for index, name in enumerate(classes)},
    )


def build_processor(recipe: Recipe) -> AbnImageProcessor:
    crop = {"height": recipe.test_size, "width": recipe.test_size}
    if recipe.arch == "vit":
        half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        return VitImageProcessor(size=crop, crop_size=crop, **half)
    statistics = CIFAR_STATISTICS if cifar_family(recipe.arch) else {}
    return AbnImageProcessor(size={"shortest_edge": recipe.resize}, crop_size=crop, **statistics)
