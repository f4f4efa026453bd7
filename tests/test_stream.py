"""Pictures decoded in worker processes whenever they are looked at: the same bytes, and the same weights in the end."""

import json
import os
import traceback
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from helpers import TINY, made_up_picture, run_here, tiny_model, train, trainer_of
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from transformers.trainer_utils import IntervalStrategy

from abn import AbnImageProcessor, decoding, imagenette
from abn.decoding import Samples, that_fit
from train.data import preprocessed, squashed
from train.dataset import Reading, collate
from train.recipes import Recipe
from train.recipes.recipe import Network, Training
from train.stream import StreamedPictures, UnreadableError

CPU = torch.device("cpu")
STREAM = Reading(workers=2, stream=True)
HELD = Reading(workers=2, stream=False)


@pytest.fixture
def samples(tiny_imagenette):
    return imagenette.load(tiny_imagenette, "train").samples


def damage(samples, places):
    for place in places:
        content = Path(samples[place][0]).read_bytes()
        Path(samples[place][0]).write_bytes(content[: len(content) // 3])


def test_the_same_bytes_as_in_memory(samples):
    processor = AbnImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32})
    for held, streamed in (
        (squashed(samples, 24, HELD), squashed(samples, 24, STREAM)),
        (preprocessed(samples, processor, HELD), preprocessed(samples, processor, STREAM)),
    ):
        assert isinstance(streamed, StreamedPictures)
        assert not isinstance(held, StreamedPictures)
        indices = [3, 39, 1, 3]
        for name, values in held.__getitems__(indices).items():
            found = streamed.__getitems__(indices)[name]
            assert torch.equal(found, values)
            assert found.dtype == values.dtype
        assert torch.equal(streamed[5]["pixel_values"], held.pictures[5])
        assert torch.equal(streamed.labels, held.labels)
        assert list(streamed.samples) == held.samples
        assert (streamed.side, len(streamed)) == (held.side, len(held))
        pairs = zip(streamed.batches(7, processor, CPU), held.batches(7, processor, CPU), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)


def test_looking_at_all_leaves_the_generator_alone(samples):
    """Else a round whose teacher looks at all pictures would go on with other numbers."""
    streamed, processor = squashed(samples, 8, STREAM), AbnImageProcessor()
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    list(streamed.batches(16, processor, CPU))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_samples_are_what_they_were(tmp_path):
    pairs = [("a.png", 2), ("", 0), (os.fsdecode(b"caf\xe9/\xff.jpg"), 1), ("日本/鶴.png", 2)]
    kept = Samples(pairs)
    assert list(kept) == pairs
    assert (kept[-1], kept[1:3], kept[::2]) == (pairs[-1], pairs[1:3], pairs[::2])
    with pytest.raises(IndexError):
        kept[4]
    tasks = [("a.png", (0, 1, 1)), ("b.png", (1, 0, 0))]
    assert list(Samples(tasks)) == tasks


@pytest.mark.parametrize(("share", "left_out"), [("skip", 5), ("few", 4)])
def test_the_next_picture_stands_in_for_one_that_cannot_be_read(share, left_out, samples, capsys):
    damage(samples, range(left_out))
    streamed = StreamedPictures(samples, squashed(samples[9:], 8, STREAM).decode, Reading(corrupt=share))
    found = streamed.__getitems__([7, 1, 39])
    assert found["index"].tolist() == [7, left_out, 39]
    assert torch.equal(found["pixel_values"][1], streamed[left_out]["pixel_values"])
    assert found["labels"].tolist() == [samples[place][1] for place in (7, left_out, 39)]
    told = capsys.readouterr().out
    streamed.__getitems__([1])
    assert capsys.readouterr().out == ""  # once a picture
    assert told.count("left out: ") == left_out - 1
    assert f"{samples[1][0]} cannot be read: " in told


def test_more_than_a_tenth_are_not_left_out_unasked(samples):
    damage(samples, range(5))
    decode = squashed(samples[9:], 8, STREAM).decode
    with pytest.raises(UnreadableError, match=r"cannot be read: .*; --corrupt skip leaves it out"):
        StreamedPictures(samples, decode, Reading(corrupt="few")).__getitems__([0])
    processor = AbnImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    for how in (STREAM, HELD):
        few = Reading(workers=2, corrupt="few", stream=how.stream)
        with pytest.raises(ValueError, match=r"5 of 40 pictures cannot be read, the first .*--corrupt skip"):
            preprocessed(samples, processor, few)
        kept = preprocessed(samples, processor, Reading(2, "skip", stream=how.stream))
        assert list(kept.samples) == samples[5:]


def test_a_picture_of_none_is_an_error(samples):
    damage(samples, range(3))
    with pytest.raises(UnreadableError, match="none of 3 pictures can be read"):
        squashed(samples[:3], 8, Reading(corrupt="skip", stream=True)).__getitems__([1])


def test_a_workers_error_is_one_line(samples):
    damage(samples, (4,))
    loader = DataLoader(squashed(samples, 8, STREAM), 8, num_workers=2, collate_fn=collate)
    with pytest.raises(UnreadableError) as error:
        list(loader)
    assert str(error.value).startswith(f"{samples[4][0]} cannot be read: ")
    assert "\n" not in str(error.value)
    traceback.clear_frames(error.tb)  # else the workers are ended by the garbage collector, which waits for each


def test_as_many_workers_as_the_shared_memory_holds(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(decoding.shutil, "disk_usage", lambda folder: usage(0, 0, 64_000_000))
    assert that_fit(16, 15_000_000) == 2
    assert that_fit(16, 1_000_000) == 16
    assert that_fit(16, 90_000_000) == 1
    monkeypatch.setattr(decoding, "SHARED_MEMORY", "/nowhere")
    monkeypatch.undo()
    monkeypatch.setattr(decoding, "SHARED_MEMORY", "/nowhere")
    assert that_fit(16, 90_000_000) == 16


def test_a_long_temporary_folder_is_named(samples, monkeypatch):
    """Workers send their batches through sockets in it, whose names are bounded: they would hang."""
    monkeypatch.setattr(decoding.tempfile, "gettempdir", lambda: "/" + "t" * 80)
    with pytest.raises(ValueError, match="TMPDIR must have 75 letters at most for worker processes: /ttt"):
        squashed(samples, 8, STREAM)


# Whole runs

ROUNDS = ["--tune-epochs", "1", "--attention-weight", "1", "--teacher-size", "32", "--teacher-gradient-size", "32"]


@pytest.mark.slow
def test_a_run_that_streams_ends_in_the_same_weights(tiny_imagenette, tmp_path):
    """Bit for bit, with held-out pictures, CutMix and a round whose teacher looks at all pictures."""
    more = ["--cutmix", "0.5", "--holdout", "0.25", *ROUNDS, "--workers", "2", "--eval-every", "1"]
    held = run_here(tiny_imagenette, tmp_path / "held", *more)
    streamed = run_here(tiny_imagenette, tmp_path / "streamed", *more, "--in-memory", "0")
    assert held.keys() == streamed.keys()
    assert all(torch.equal(held[name], streamed[name]) for name in held)
    one, other = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("held", "streamed"))
    for name in ("top1", "loss", "ece", "attention_top1", "per_class", "pictures", "training_pictures"):
        assert one[name] == other[name]
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("held", "streamed")]
    figures = [[json.loads(line).get("eval_loss") for line in lines] for lines in logs]
    assert figures[0] == figures[1]


class Stopped(Exception):
    pass


def streaming(samples, folder, stop_at=None, resume=None):
    """Seven steps of five an epoch, with a checkpoint after each third; the weights in the end."""
    torch.manual_seed(0)
    recipe = Recipe(
        Network(arch="resnet18", width=8, dropout=0.0),
        Training(epochs=2, sizes=(32,), test_size=32, resize=32, train_batch=8, cutmix=0.5, ema_decay=0.9, lr=0.05),
    )
    data = squashed(samples, 40, STREAM)
    trainer = trainer_of(recipe, tiny_model(1).train(), data, folder, steps=7)
    trainer.args.save_strategy, trainer.args.save_steps = IntervalStrategy.STEPS, 3
    plain = trainer._save_checkpoint

    def save(model, trial):
        plain(model, trial)
        if trainer.state.global_step == stop_at:
            raise Stopped

    trainer._save_checkpoint = save
    trainer.go(resume)
    return trainer.model.state_dict()


@pytest.mark.slow
def test_a_run_that_streams_resumes_in_mid_epoch(samples, tmp_path):
    whole = streaming(samples, tmp_path / "whole")
    with pytest.raises(Stopped):
        streaming(samples, tmp_path / "halves", stop_at=3)
    assert load_file(tmp_path / "halves" / "checkpoint-3" / "model.safetensors").keys() <= whole.keys()
    halves = streaming(samples, tmp_path / "halves", resume=tmp_path / "halves" / "checkpoint-3")
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


@pytest.mark.parametrize("more", [[], ["--in-memory", "0"]], ids=["held", "streamed"])
def test_a_damaged_picture_does_not_stop_a_folders_training(more, tmp_path, capsys):
    """Held in memory or streamed; it does with --corrupt refuse, in one line."""
    for split, count in (("train", 12), ("val", 6)):
        for name in ("one", "two"):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for number in range(count):
                made_up_picture(40, 40, number).save(tmp_path / "data" / split / name / f"{number}.jpg")
    for split in ("train", "val"):
        file = tmp_path / "data" / split / "two" / "3.jpg"
        file.write_bytes(file.read_bytes()[:300])
    arguments = ["--data", str(tmp_path / "data"), *TINY, "--epochs", "1", "--holdout", "0", "--explain", "0", *more]
    assert train([*arguments, "--checkpoint", str(tmp_path / "out")]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["pictures"] == 11
    assert train([*arguments, "--checkpoint", str(tmp_path / "none"), "--corrupt", "refuse"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert "two/3.jpg" in error
    assert "Traceback" not in error
