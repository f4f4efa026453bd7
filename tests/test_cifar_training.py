"""The authors' CIFAR recipes: their schedules, their augmentation, and two steps of each."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from abn.classes import CIFAR100
from train.arguments import training_arguments
from train.augment import shift
from train.dataset import PictureDataset, collate
from train.networks import build_model, build_processor
from train.recipes import RECIPES
from train.schedule import rate_factor
from train.settings import Settings
from train.sources import cifar_source
from train.trainer import AbnTrainer

NAMES = ("cifar-resnet110", "cifar-densenet", "cifar-wrn", "cifar-resnext")


def test_shifts_move_whole_pixels_and_let_black_in():
    pictures = torch.arange(1, 1 + 2 * 36, dtype=torch.uint8).view(2, 1, 6, 6).repeat(50, 3, 1, 1)
    shifted = shift(pictures, 2, torch.Generator().manual_seed(0))
    assert shifted.shape == pictures.shape
    assert shifted.dtype == torch.uint8
    seen = set()
    for one, original in zip(shifted, pictures, strict=True):
        padded = torch.nn.functional.pad(original, (2, 2, 2, 2))
        found = [
            (row, column, mirrored)
            for row in range(5)
            for column in range(5)
            for mirrored in (False, True)
            if torch.equal(one.flip(-1) if mirrored else one, padded[:, row : row + 6, column : column + 6])
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert {mirrored for _, _, mirrored in seen} == {False, True}
    assert {row for row, _, _ in seen} == {column for _, column, _ in seen} == set(range(5))


@pytest.mark.parametrize(
    ("name", "rates", "weight_decay", "batch"),
    [
        ("cifar-resnet110", {0: 0.1, 149: 0.1, 150: 0.01, 225: 0.001, 299: 0.001}, 1e-4, 128),
        ("cifar-densenet", {0: 0.1, 150: 0.01, 225: 0.001}, 1e-4, 64),
        ("cifar-wrn", {0: 0.1, 60: 0.02, 120: 0.004, 160: 0.0008, 199: 0.0008}, 5e-4, 128),
        ("cifar-resnext", {0: 0.1, 150: 0.01, 225: 0.001}, 5e-4, 128),
    ],
)
def test_the_authors_schedules(name, rates, weight_decay, batch):
    recipe = RECIPES[name]
    factor = rate_factor(recipe, recipe.training.epochs)
    assert {epoch: factor(epoch) * recipe.training.lr for epoch in rates} == pytest.approx(rates)
    training = recipe.training
    assert (training.weight_decay, training.train_batch, training.pad, training.momentum) == (
        weight_decay,
        batch,
        4,
        0.9,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_steps_lower_the_loss(name, tmp_path):
    recipe = RECIPES[name]
    torch.manual_seed(0)
    classes = tuple(f"class {i}" for i in range(4))
    colours = torch.randint(0, 255, (4, 3, 1, 1), dtype=torch.uint8)
    labels = torch.arange(8) % 4
    pictures = colours[labels].repeat(1, 1, 32, 32) // 2 + torch.randint(0, 60, (8, 3, 32, 32), dtype=torch.uint8)
    data = PictureDataset(pictures, labels, torch.ones(8))
    trainer = AbnTrainer(
        model=build_model(recipe, classes),
        args=training_arguments(Settings(max_steps=2), recipe.but(train_batch=8), tmp_path),
        recipe=recipe,
        processing_class=build_processor(recipe),
        train_dataset=data,
        eval_dataset=data,
        data_collator=collate,
    )
    assert list(trainer.processing_class.image_mean) == [0.4914, 0.4822, 0.4465]
    trainer.state.max_steps = 2
    trainer.create_optimizer()
    for group in trainer.optimizer.param_groups:
        group["lr"] = 0.001  # two steps from fresh weights at 0.1 would leap

    def loss():
        inputs = {"pixel_values": data.pictures, "labels": data.labels}
        trainer.model.train()
        return trainer.compute_loss(trainer.model, inputs)

    before = loss()
    before.backward()
    trainer.optimizer.step()
    trainer.optimizer.zero_grad()
    between = loss()
    between.backward()
    trainer.optimizer.step()
    with torch.no_grad():
        assert loss() < before


def write_cifar(root, coarse=False):
    """CIFAR-100 as its archive unpacks, with two pictures a class."""
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [name.replace(" ", "_") for name in CIFAR100]
    for split, count in (("train", 2), ("test", 1)):
        labels = [label for label in range(100) for _ in range(count)]
        data = {"data": rng.integers(0, 256, (len(labels), 3072), dtype=np.uint8), "fine_labels": labels}
        (folder / split).write_bytes(pickle.dumps(data))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}))
    return folder


def test_cifar_becomes_a_folder_of_pictures_once(tmp_path, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *a, **k: True)
    folder = write_cifar(tmp_path)
    source = cifar_source(tmp_path, "cifar100", download=False)
    assert source.name == "CIFAR-100"
    assert source.classes == CIFAR100
    assert (len(source.train), len(source.val)) == (200, 100)
    held = pickle.loads((folder / "train").read_bytes())["data"][7].reshape(3, 32, 32).transpose(1, 2, 0)
    path, label = source.train[7]
    assert label == 3
    assert np.array_equal(np.asarray(Image.open(path)), held)
    (folder / "train").unlink()  # what is made already needs the archive no more
    assert cifar_source(tmp_path, "cifar100", download=False).train == source.train
    assert not list(tmp_path.glob(".cifar*"))


def test_where_cifar_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="CIFAR10 is not at"):
        cifar_source(tmp_path / "none", "cifar10", download=False)
