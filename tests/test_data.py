"""Decoding: once, as it should, with faults named, and into a cache that knows when it is stale."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from abn import AbnImageProcessor, imagenette
from train.data import preprocessed, split_off, squashed
from train.dataset import Reading


@pytest.fixture
def data(tiny_imagenette):
    return imagenette.load(tiny_imagenette, "train")


def test_data_is_decoded_as_it_should(data):
    pictures = squashed(data.samples, 24, Reading(workers=2))
    assert pictures.pictures.shape == (40, 3, 24, 24)
    assert pictures.labels.tolist() == [label for _, label in data.samples]
    assert torch.allclose(pictures.aspects, torch.tensor(60 / 48))
    expected = np.asarray(data[17][0].resize((24, 24), 3)).transpose(2, 0, 1)
    assert np.array_equal(pictures.pictures[17].numpy(), expected)
    processor = AbnImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    evaluated = preprocessed(data.samples, processor, Reading(workers=2))
    normal = next(itertools.islice(evaluated.batches(1, processor, torch.device("cpu")), 5, None))[0]
    assert torch.allclose(normal, processor(data[5][0], return_tensors="pt")["pixel_values"][0], atol=1e-5)
    batch = pictures.__getitems__([3, 1])
    assert torch.equal(batch["pixel_values"], pictures.pictures[[3, 1]])
    assert batch["index"].tolist() == [3, 1]
    with pytest.raises(ValueError, match="no pictures"):
        squashed([], 24, Reading())


def test_split_off_is_stratified_and_repeatable():
    labels = torch.arange(10).repeat(50)
    rest, part = split_off(labels, 0.1, seed=0)
    assert labels[part].bincount().tolist() == [5] * 10
    assert sorted(rest.tolist() + part.tolist()) == list(range(500))
    assert torch.equal(part, split_off(labels, 0.1, seed=0)[1])
    assert not torch.equal(part, split_off(labels, 0.1, seed=1)[1])
    assert len(split_off(labels, 0.0, seed=0)[1]) == 0


def damage(samples, places):
    for place in places:
        path = samples[place][0]
        with open(path, "rb") as file:
            whole = file.read()
        with open(path, "wb") as file:
            file.write(whole[: len(whole) // 3])


def test_damaged_pictures_are_refused_or_left_out(data, capsys):
    samples = data.samples
    damage(samples, (2, 7))
    with pytest.raises(ValueError, match=r"2 of 40 pictures cannot be read, the first .*_2.JPEG: .*--corrupt skip"):
        squashed(samples, 24, Reading())
    pictures = squashed(samples, 24, Reading(corrupt="skip"))
    kept = [sample for place, sample in enumerate(samples) if place not in (2, 7)]
    assert pictures.labels.tolist() == [label for _, label in kept]
    assert torch.equal(pictures.pictures, squashed(kept, 24, Reading()).pictures)
    assert "left out: 2 of 40 pictures cannot be read" in capsys.readouterr().out
    with pytest.raises(ValueError, match="1 of 1 pictures cannot be read"):
        squashed(samples[2:3], 24, Reading(corrupt="skip"))


def test_the_cache_holds_what_decoding_gives(data, tmp_path, monkeypatch):
    reading = Reading(cache=tmp_path / "cache")
    plain = squashed(data.samples, 24, Reading())
    assert torch.equal(squashed(data.samples, 24, reading).pictures, plain.pictures)
    monkeypatch.setattr("train.data.load_rgb", lambda path: pytest.fail("decoded again"))
    cached = squashed(data.samples, 24, reading)
    assert torch.equal(cached.pictures, plain.pictures)
    assert torch.equal(cached.labels, plain.labels)
    assert torch.equal(cached.aspects, plain.aspects)
    monkeypatch.undo()
    assert squashed(data.samples, 16, reading).pictures.shape[-1] == 16
    os.utime(data.samples[0][0], (1, 1))  # another file of that name, for all one can tell
    squashed(data.samples, 24, reading)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 3
    assert list((tmp_path / "cache").glob("*.writing")) == []


def test_caches_of_another_way_of_decoding_are_not_read(data, tmp_path, monkeypatch):
    reading = Reading(cache=tmp_path)
    with monkeypatch.context() as before:
        before.setattr("train.data.DECODING", "at full size")
        squashed(data.samples, 24, reading)
    assert torch.equal(squashed(data.samples, 24, reading).pictures, squashed(data.samples, 24, Reading()).pictures)
    assert len(list(tmp_path.glob("*.npy"))) == 2


@pytest.mark.parametrize("same", ["size", "time", "neither"])
def test_the_cache_sees_that_a_file_has_changed(same, tmp_path):
    """Also where another picture has the same size, or carries the time of the one before it."""
    file, reading = tmp_path / "one.bmp", Reading(cache=tmp_path / "cache")

    def colour(rgb, side, time):
        Image.new("RGB", (side, side), rgb).save(file)
        os.utime(file, (time, time))
        return squashed([(str(file), 0)], 8, reading).pictures[0, :, 4, 4].tolist()

    assert colour((255, 0, 0), 20, 1_000_000_000) == [255, 0, 0]
    side, time = (20 if same == "size" else 24), (1_000_000_000 if same == "time" else 1_000_000_001)
    assert colour((0, 0, 255), side, time) == [0, 0, 255]


def test_the_cache_tells_labels_order_files_and_processors_apart(data, tmp_path):
    reading, samples = Reading(cache=tmp_path / "cache"), data.samples[:6]
    kept = squashed(samples, 8, reading)
    turned = squashed(samples[::-1], 8, reading)
    assert torch.equal(turned.pictures, kept.pictures.flip(0))
    assert turned.labels.tolist() == kept.labels.tolist()[::-1]
    assert squashed([(path, 7) for path, _ in samples], 8, reading).labels.tolist() == [7] * 6
    other = data.samples[6:12]
    assert torch.equal(squashed(other, 8, reading).pictures, squashed(other, 8, Reading()).pictures)
    size = {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}}
    for changes in (
        {},
        {"size": {"shortest_edge": 36}},
        {"resample": 0},
        {"do_resize": False},
        {"do_center_crop": False},
    ):
        processor = AbnImageProcessor(**{**size, **changes})
        found, expected = (preprocessed(samples, processor, how).pictures for how in (reading, Reading()))
        assert torch.equal(found, expected)


def test_a_cache_of_damaged_pictures_is_not_left_behind(data, tmp_path):
    damage(data.samples, (0,))
    with pytest.raises(ValueError, match="1 of 40"):
        squashed(data.samples, 24, Reading(cache=tmp_path))
    assert not list(tmp_path.glob("*.npy")) + list(tmp_path.glob("*.writing"))
    assert len(squashed(data.samples, 24, Reading(cache=tmp_path, corrupt="skip"))) == 39
    assert len(squashed(data.samples, 24, Reading(cache=tmp_path, corrupt="skip"))) == 39


def test_a_file_aside_goes_where_its_process_is_gone_and_no_other_does(data, tmp_path):
    """Also beside files of other programs, whatever they are called."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = ("x.writing", ".writing", ".x.writing", f".a.npy.{gone.pid}.writing", f".a.npy.{os.getpid()}.writing")
    for name in names:
        (tmp_path / name).touch()
    squashed(data.samples[:2], 8, Reading(cache=tmp_path))
    assert sorted(file.name for file in tmp_path.glob("*.writing")) == sorted({*names} - {names[3]})
