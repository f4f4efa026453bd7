"""The training loss against the same thing written plainly: each part, when it counts and how much."""

import pytest
import torch
from helpers import tiny_config, tiny_model, trainer_of, vision_transformer

from abn import AbnForMultiTaskClassification
from train.augment import Mix
from train.dataset import PictureDataset
from train.recipes import Recipe
from train.recipes.recipe import Network, Remedy, Rounds, Training

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
LABELS = torch.tensor([3, 0, 9, 3])
PICTURES = torch.randint(0, 256, (4, 3, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
BOX = Mix(torch.tensor([2, 3, 1, 0]), 0, 0, 64, 16, share=0.75)  # the left quarter of each comes from its partner
RECIPE = Recipe(
    Network(arch="resnet18", width=8),
    Training(label_smoothing=0.2, train_batch=4),
    Rounds(attention_class_weight=0.3),
    Remedy(attention_weight=2.0, peak_weight=0.7),
)


def entropy(logits, targets):
    """The mean of -sum q log p."""
    logs = logits - torch.log(torch.exp(logits).sum(1, keepdim=True))
    return -(targets * logs).sum(1).mean()


def one_hot(labels, smoothing=0.0, classes=10):
    """1 - smoothing at the label, and smoothing shared by all classes."""
    targets = torch.full((len(labels), classes), smoothing / classes)
    targets[torch.arange(len(labels)), labels] += 1 - smoothing
    return targets


@pytest.fixture
def loss_of(tmp_path):
    """(recipe, round, training, inputs) -> the trainer's loss of the four pictures, and the outputs it comes from."""

    def compute(recipe=RECIPE, number=0, training=True, model=None, **inputs):
        model = model or tiny_model()
        data = PictureDataset(PICTURES, inputs.get("labels", LABELS), torch.ones(4))
        trainer = trainer_of(recipe, model, data, tmp_path, steps=1)
        trainer.tuning.current = number
        model.train(training)
        with torch.no_grad():
            loss = trainer.compute_loss(model, {"pixel_values": PICTURES, "labels": LABELS, **inputs})
            pixels = (PICTURES / 255 - MEAN[:, None, None]) / STD[:, None, None]
            return loss.item(), model(pixel_values=pixels[:, : recipe.network.channels]), pixels

    return compute


@pytest.mark.parametrize(
    ("number", "training", "smoothing", "weight"),
    [(0, True, 0.2, 1.0), (1, True, 0.2, 0.3), (2, True, 0.2, 0.3), (0, False, 0.0, 1.0), (1, False, 0.0, 1.0)],
)
def test_both_branches_smoothed_in_training_and_the_attention_branch_weighed_in_rounds(
    number, training, smoothing, weight, loss_of
):
    loss, outputs, _ = loss_of(number=number, training=training)
    targets = one_hot(LABELS, smoothing)
    expected = entropy(outputs.logits, targets) + weight * entropy(outputs.attention_logits, targets)
    assert loss == pytest.approx(expected.item(), rel=1e-4)


def test_a_mixed_picture_has_each_label_by_its_share(loss_of):
    loss, outputs, _ = loss_of(mix=BOX)
    targets = 0.75 * one_hot(LABELS, 0.2) + 0.25 * one_hot(LABELS[BOX.partners], 0.2)
    expected = entropy(outputs.logits, targets) + entropy(outputs.attention_logits, targets)
    assert loss == pytest.approx(expected.item(), rel=1e-4)


def far(ours, target, peak_weight):
    """-(t log m + (1 - t) log(1 - m)) on the mean, and the peak's cross-entropy over places."""
    values = -(target * torch.log(ours) + (1 - target) * torch.log(1 - ours)).mean()
    odds, target = (ours / (1 - ours)).flatten(1), target.flatten(1)
    peak = -(target / target.sum(1, keepdim=True) * torch.log(odds / odds.sum(1, keepdim=True))).sum(1).mean()
    return values + peak_weight * peak


@pytest.mark.parametrize("peak_weight", [0.0, 0.7])
def test_the_attention_remedy_adds_how_far_the_maps_are_from_the_teachers(peak_weight, loss_of):
    maps = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    loss, outputs, _ = loss_of(RECIPE.but(peak_weight=peak_weight), number=1, maps=maps)
    targets = one_hot(LABELS, 0.2)
    expected = entropy(outputs.logits, targets) + 0.3 * entropy(outputs.attention_logits, targets)
    expected = expected + 2.0 * far(outputs.attention_map, maps, peak_weight)
    assert loss == pytest.approx(expected.item(), rel=1e-4)


def test_a_transformer_and_a_plain_network_have_one_branch(loss_of):
    """And a network of one channel sees the first of three that are the same."""
    recipe = RECIPE.but(arch="vit", channels=1, test_size=64)
    model = vision_transformer(channels=1, side=64, patch=16)
    grey = PICTURES[:, :1].expand(-1, 3, -1, -1)
    labels = torch.tensor([3, 0, 4, 3])
    data = {"pixel_values": grey, "labels": labels, "model": model}
    for training, smoothing in ((True, 0.2), (False, 0.0)):
        loss, _, _ = loss_of(recipe, training=training, **data)
        with torch.no_grad():
            logits = model(pixel_values=(grey[:, :1] / 255 - 0.5) / 0.5).logits
        assert loss == pytest.approx(entropy(logits, one_hot(labels, smoothing, 5)).item(), rel=1e-4)


@pytest.mark.parametrize("focal", [False, True])
def test_the_tasks_loss_weighs_rare_answers_only_if_asked(focal, loss_of):
    """Weighted focal loss, exponent a half: exp(1 - a) (1 - p)^0.5 (-log p) of a yes that a share a of pictures has."""
    torch.manual_seed(0)
    tasks = torch.tensor([[1, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 1]])
    config = tiny_config(multitask="v1", id2label={0: "round", 1: "red", 2: "large"})
    model = AbnForMultiTaskClassification(config)
    recipe = Recipe(Network(arch="resnet18", width=8, multitask="v1"), Training(focal=focal, train_batch=4))
    loss, outputs, _ = loss_of(recipe, labels=tasks, model=model)
    expected = 0
    for logits in (outputs.logits, outputs.attention_logits):
        right = torch.where(tasks == 1, torch.sigmoid(logits), torch.sigmoid(-logits))
        weight = torch.ones(4, 3)
        if focal:
            often = torch.tensor([0.25, 0.25, 1.0])
            weight = torch.where(tasks == 1, torch.exp(1 - often), torch.exp(often)) * (1 - right) ** 0.5
        expected = expected - (weight * torch.log(right)).mean()
    assert loss == pytest.approx(expected.item(), rel=1e-3)


def test_the_branches_energies_tell_pictures_of_no_class(loss_of):
    """Two of the four pictures have a class; the others' answers count in the energy alone."""
    recipe = RECIPE.but(attention_weight=0.0, outlier_weight=0.6)
    loss, outputs, _ = loss_of(recipe, number=1, labels=LABELS[:2])
    targets = one_hot(LABELS[:2], 0.2)
    expected = entropy(outputs.logits[:2], targets) + 0.3 * entropy(outputs.attention_logits[:2], targets)
    energy = sum(torch.exp(logits).mean(1).log() for logits in (outputs.logits, outputs.attention_logits))
    known = torch.sigmoid(energy)
    expected = expected - 0.6 * (known[:2].log().mean() + (1 - known[2:]).log().mean())
    assert loss == pytest.approx(expected.item(), rel=1e-4)


def test_the_remedys_part_of_the_loss_does_not_see_pictures_of_no_class(loss_of):
    recipe = RECIPE.but(outlier_weight=0.0)
    maps = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    loss, outputs, _ = loss_of(recipe, number=1, labels=LABELS[:2], maps=maps)
    targets = one_hot(LABELS[:2], 0.2)
    expected = entropy(outputs.logits[:2], targets) + 0.3 * entropy(outputs.attention_logits[:2], targets)
    expected = expected + 2.0 * far(outputs.attention_map[:2], maps, 0.7)
    assert loss == pytest.approx(expected.item(), rel=1e-4)
