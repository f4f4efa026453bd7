"""Corrections are taught: masks move with their pictures, what says nothing counts nothing, old answers are kept."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import coordinates, made_up_picture, tiny_model, trainer_of, vision_transformer
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from abn import AbnImageProcessor
from abn.corrections import Correction, write
from train.correcting import SAVED, CorrectingTrainer
from train.corrections import (
    changed,
    filled,
    held_apart,
    labels_of,
    laid,
    marks,
    masked_map_loss,
    pairing,
    seen_corrections,
    squashed_corrections,
)
from train.dataset import PictureDataset
from train.recipes import RECIPES
from train.reliance import measured, table
from train.run import main
from train.settings import Correct
from train.trainer import checkpoints

CPU = torch.device("cpu")
NAN = np.float32(np.nan)
TINY = RECIPES["correct"].but(sizes=(64,), train_batch=8, crop_area=(0.3, 0.9), ema_decay=0.0)


def mask(shape=(60, 80), look=None, avoid=None):
    """Rows and columns of the parts, as slices; of the rest nothing is said."""
    found = np.full(shape, NAN)
    for part, value in ((look, 1), (avoid, 0)):
        if part is not None:
            found[part] = value
    return found


# Masks


def test_masks_become_channels_that_lie_on_their_pictures():
    picture = made_up_picture(80, 60)
    said = mask(look=np.s_[:15, :20], avoid=np.s_[45:, 40:])  # top left; bottom right half
    said[30:45, :20] = 0.25  # a share: a quarter is to be looked at
    data = squashed_corrections([Correction.of(picture, said, "b")], torch.tensor([1]), 32)
    colours, look, avoid = data.pictures[0].split([3, 1, 1])
    assert (look[0, :7, :7] == 255).all()
    assert (avoid[0, 25:, 17:] == 255).all()
    assert look[0, 17:23, :7].float().mean() == pytest.approx(255 / 4, abs=2)
    assert avoid[0, 17:23, :7].float().mean() == pytest.approx(255 * 3 / 4, abs=2)
    assert look[0, :, 9:].max() == 0
    assert avoid[0, :15].max() == 0
    assert data.aspects.tolist() == pytest.approx([4 / 3])
    expected = np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert (colours.numpy() == expected).all()


def test_a_processors_crop_is_the_masks_too():
    """60 pixels high, 100 wide; the middle square of it is seen."""
    said = mask((60, 100), look=np.s_[:, :50], avoid=np.s_[:, 60:])
    processor = AbnImageProcessor(size={"shortest_edge": 60}, crop_size={"height": 60, "width": 60})
    data, seen = seen_corrections([Correction.of(made_up_picture(100, 60), said, "b")], torch.tensor([1]), processor)
    assert data.pictures.shape == (1, 3, 60, 60)
    assert seen[0, 0].mean(0).tolist() == pytest.approx([1.0] * 30 + [0.0] * 30)
    assert seen[0, 1].mean(0).tolist() == pytest.approx([0.0] * 40 + [1.0] * 20)


class Watching(CorrectingTrainer):
    """Keeps what the loss is given."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        self.given = {name: value.clone() for name, value in inputs.items()}
        return super().compute_loss(model, inputs, *args, **kwargs)


def trainer(tmp_path, recipe=TINY, model=None, adviser=None, count=4, edge=127, kind=Watching, **how):
    model = tiny_model() if model is None else model
    plain = PictureDataset(torch.stack([coordinates()] * 16), torch.arange(16) % 10, torch.ones(16))
    picture = coordinates()
    picture[2] = 255  # what is laid on a training picture can be told
    right, low = (255 * (picture[channel] > edge).to(torch.uint8) for channel in (0, 1))
    corrected = torch.cat([picture, right[None], low[None]])[None].expand(5, -1, -1, -1)
    corrected = PictureDataset(corrected, torch.tensor([3, 4, 5, 6, 7]), torch.ones(5))
    more = {"corrected": corrected, "count": count, "how": Correct(**how), "adviser": adviser}
    made = trainer_of(recipe, model, plain, tmp_path, steps=10, kind=kind, **more)
    made.state.max_steps = 10
    made.current_gradient_accumulation_steps = 1
    made.create_optimizer_and_scheduler(10)
    made.batch = plain[torch.arange(8 - count)]
    return made


def test_a_mask_moves_with_its_picture_through_crop_and_mirror(tmp_path):
    """Red is the column, green the row: to be looked at is where red is high, forbidden where green is."""
    made, turned = trainer(tmp_path), set()
    for step in range(6):
        made.state.global_step = step
        made.training_step(made.model, dict(made.batch))
        pictures, masks = made.given["pixel_values"].split([3, 2], 1)
        assert pictures.shape == (8, 3, 64, 64)
        assert masks[:4].abs().max() == 0  # training pictures have none
        assert set(made.given["labels"][4:].tolist()) <= {3, 4, 5, 6, 7}
        for picture, said in zip(pictures[4:], masks[4:], strict=True):
            for channel in (0, 1):
                clear = (picture[channel] - 126).abs() > 8  # of the edge
                assert torch.equal(said[channel][clear] > 127, picture[channel][clear] > 126)
            turned.add(bool(picture[0, 0, 0] > picture[0, 0, -1]))
    assert turned == {True, False}


def test_the_draws_are_those_of_the_step(tmp_path):
    first, other = trainer(tmp_path), trainer(tmp_path)
    for made, steps in ((first, (0, 1, 2)), (other, (2,))):
        for step in steps:
            made.state.global_step = step
            made.training_step(made.model, dict(made.batch))
    assert torch.equal(first.given["pixel_values"], other.given["pixel_values"])
    assert torch.equal(first.given["labels"], other.given["labels"])


# Losses


def test_the_map_loss_is_taken_where_the_mask_says_something():
    maps = torch.tensor([[[[0.9, 0.2], [0.6, 0.5]]], [[[0.3, 0.3], [0.3, 0.3]]]], requires_grad=True)
    look, avoid = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    look[0, 0, :4, :4] = 1  # the first place
    avoid[0, 0, :4, 4:6] = 1  # half of the second
    loss = masked_map_loss(maps, look, avoid)
    assert loss.item() == pytest.approx(-(np.log(0.9) + 0.5 * np.log(0.8)) / 1.5, rel=1e-5)
    loss.backward()
    assert maps.grad[0, 0, 1].tolist() == [0, 0]  # nothing is said there
    assert maps.grad[1].abs().max() == 0
    assert maps.grad[0, 0, 0, 0] < 0 < maps.grad[0, 0, 0, 1]  # up where to look, down where not to
    assert masked_map_loss(maps, look * 0, avoid * 0).item() == 0


def test_a_mask_of_less_than_one_place_weighs_less():
    maps = torch.full((1, 1, 2, 2), 0.5)
    quarter = torch.zeros(1, 1, 8, 8)
    quarter[0, 0, :2, :2] = 1
    assert masked_map_loss(maps, quarter * 0, quarter).item() == pytest.approx(np.log(2) / 4)
    assert masked_map_loss(torch.tensor([[[[0.0, 1.0]]]]), quarter, quarter).isfinite()


def test_forbidden_parts_are_filled_from_around():
    pictures = torch.full((1, 3, 64, 64), 40.0)
    pictures[:, :, 20:40, 30:44] = 200.0
    avoid = torch.zeros(1, 1, 64, 64)
    avoid[:, :, 20:40, 30:44] = 1
    assert torch.allclose(filled(pictures, avoid), torch.full((1, 3, 64, 64), 40.0), atol=0.05)
    assert filled(pictures, avoid * 0).equal(pictures)
    assert filled(pictures, torch.ones_like(avoid)).isfinite().all()


def test_changed_pictures_differ_where_it_is_forbidden_and_nowhere_else():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.arange(1.0, 41)[:, None, None, None].expand(-1, 3, 16, 16) * 5
    look, avoid = torch.zeros(40, 1, 16, 16), torch.zeros(40, 1, 16, 16)
    look[:20, :, 8:] = 1
    for number in range(40):
        avoid[number, 0, :, number % 16] = 1  # a column each, one in sixteen
    avoid = avoid * (1 - look)  # half of it
    result, there = changed(pictures, look, avoid, generator)
    assert ((result - pictures).abs().amax(1, keepdim=True) * (1 - there)).max() < 1e-3
    assert (result - pictures)[:20, :, 8:].abs().max() == 0  # to be looked at: nothing is laid there
    assert (there >= avoid).all()
    more = there > avoid
    assert 8 <= more.flatten(1).any(1).sum() <= 32
    assert {value % 5 for value in result[more.expand(-1, 3, -1, -1)].tolist()} == {0}  # another picture's, as they are
    on_top, where = laid(pictures, pictures.flip(0), torch.ones_like(avoid), generator)
    assert on_top.equal(pictures)  # what is large is laid on nothing
    assert where.max() == 0


class Saying(nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, pixel_values):
        return SimpleNamespace(logits=self.logits[: len(pixel_values)])


def test_labels_are_shared_with_what_the_network_said_where_it_was_right(tmp_path):
    said = torch.log(torch.tensor([[0.7, 0.2, *[0.0125] * 8], [0.7, 0.2, *[0.0125] * 8]]))
    recipe = TINY.but(label_smoothing=0.1)
    made = trainer(tmp_path, recipe, adviser=Saying(said), count=6, keep=0.25)
    aims = made._aims(torch.tensor([0, 1, 2]), torch.zeros(2, 3, 8, 8))
    assert aims[0].tolist() == pytest.approx([0.75 * 0.91 + 0.25 * 0.7, 0.75 * 0.01 + 0.25 * 0.2] + [0.010625] * 8)
    assert aims[1].tolist() == pytest.approx([0.01, 0.91] + [0.01] * 8)  # it was wrong
    assert aims[2].tolist() == pytest.approx([0.01, 0.01, 0.91] + [0.01] * 7)  # a corrected one
    without = trainer(tmp_path, recipe, adviser=None, count=6, keep=0.25)
    assert without._aims(torch.tensor([0]), torch.zeros(1, 3, 8, 8))[0, 0] == pytest.approx(0.91)


def test_logits_of_pairs_are_to_be_the_same_but_for_a_shift():
    first = {"logits": torch.tensor([[1.0, 2.0, 3.0]]), "attention_logits": torch.tensor([[0.0, 0.0, 0.0]])}
    second = {"logits": torch.tensor([[5.0, 6.0, 7.0]]), "attention_logits": torch.tensor([[3.0, 0.0, 0.0]])}
    assert pairing(first, second).item() == pytest.approx((4 + 1 + 1) / 3)  # 3, 0, 0 are 2, -1, -1 around their mean
    assert pairing(first, first).item() == 0


def test_each_weight_adds_its_loss(tmp_path):
    """By hand: the class losses of all; of the changed ones theirs and the pairs' distance; the map loss of both."""
    made = trainer(tmp_path, TINY.but(label_smoothing=0.0, crop_area=(0.9, 1.0)), edge=208)  # a sixth is forbidden
    made.training_step(made.model, dict(made.batch))
    made.model.eval()
    pictures, look, avoid = made.given["pixel_values"].split([3, 1, 1], 1)
    look, avoid, labels = look[4:] / 255, avoid[4:] / 255, made.given["labels"]

    @torch.no_grad()
    def loss(**how):
        made.how = Correct(keep=0.0, **how)
        return made.compute_loss(made.model, made.given).item()

    @torch.no_grad()
    def asked(seen, labels):
        return made.model(pixel_values=made.normalised(seen), labels=labels)

    generator = made._generator(2)
    others, there = changed(pictures[4:], look, avoid, generator)
    which = torch.randint(4, (4,), generator=generator)
    on_top, where = laid(pictures[:4], pictures[4:][which], avoid[which], generator)
    assert 0 < where.flatten(1).any(1).sum() < 4
    plain, both, far = (
        asked(pictures, labels),
        asked(torch.cat([on_top, pictures[4:]]), labels),
        asked(others, labels[4:]),
    )
    assert loss(map_weight=0.0, forbidden_weight=0.0) == pytest.approx(plain.loss.item(), rel=1e-4)
    names = ("logits", "attention_logits")
    apart = pairing({name: both[name][4:] for name in names}, {name: far[name] for name in names})
    forbidden = loss(map_weight=0.0, forbidden_weight=2.0)
    assert forbidden == pytest.approx((both.loss + 2 * (far.loss + apart)).item(), rel=1e-3)
    expected = masked_map_loss(plain.attention_map[4:], look, avoid).item()
    assert loss(map_weight=3.0, forbidden_weight=0.0) - plain.loss.item() == pytest.approx(3 * expected, rel=1e-3)
    maps = torch.cat([both.attention_map[4:], far.attention_map])
    expected = masked_map_loss(maps, torch.cat([look, look]), torch.cat([avoid, there])).item()
    assert loss(map_weight=3.0, forbidden_weight=2.0) - forbidden == pytest.approx(3 * expected, rel=1e-3)


# Which are held out


def test_what_is_held_out_is_a_share_of_each_class_and_follows_the_seed():
    labels = torch.tensor([0] * 10 + [1] * 20 + [2] * 5)
    taught, held_out = held_apart(labels, 0.2, 0)
    assert labels[held_out].bincount().tolist() == [2, 4, 1]
    assert sorted([*taught.tolist(), *held_out.tolist()]) == list(range(35))
    assert held_apart(labels, 0.2, 0)[1].equal(held_out)
    assert not held_apart(labels, 0.2, 1)[1].equal(held_out)
    few = held_apart(torch.tensor([0, 1, 2]), 0.2, 0)
    assert [len(part) for part in few] == [2, 1]
    assert len(held_apart(torch.tensor([0]), 0.2, 0)[1]) == 0
    assert len(held_apart(labels, 0.0, 0)[1]) == 0


def test_classes_go_by_name():
    picture, said = made_up_picture(8, 8), mask((8, 8), avoid=np.s_[:4])
    model = tiny_model(id2label={0: "tench", 1: "gas pump", 2: "church"})
    names = ["church", "n03425413", "tench", "church"]
    assert labels_of([Correction.of(picture, said, name) for name in names], "OUT", model).tolist() == [2, 1, 0, 2]
    with pytest.raises(
        ValueError, match=r"^OUT knows no class 'pump' of the corrections, but tench, gas pump, church$"
    ):
        labels_of([Correction.of(picture, said, "pump")], "OUT", model)


# Before and after


class Looking(nn.Module):
    """Looks at the left half, and answers by the red of the top row: class 1 where it is bright, else 0."""

    def forward(self, pixel_values):
        bright = pixel_values[:, 0, 0].mean(1)
        attention = torch.zeros(len(pixel_values), 1, 4, 4)
        attention[..., :2] = 1
        return SimpleNamespace(logits=torch.stack([torch.zeros_like(bright), 2 * bright], 1), attention_map=attention)


def test_the_measures_of_a_network_that_is_known():
    processor = AbnImageProcessor(image_mean=[0.5] * 3, image_std=[0.5] * 3)
    pictures = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    pictures[0, :, 0] = 255  # a bright line at the top of a black picture
    said = torch.zeros(2, 2, 64, 64)
    said[0, 1, :2] = 1  # the line is forbidden
    said[0, 0, 32:, :16] = 1  # a quarter of the left half is to be looked at
    said[1, 0] = 1  # nothing is forbidden here, and everything to be looked at
    found = measured(Looking(), PictureDataset(pictures, torch.tensor([1, 1]), torch.ones(2)), said, processor, 1, CPU)
    sure = 1 / (1 + np.exp(-2))  # of 1, with the line; of 0 without it
    assert found["pictures"] == 2
    assert found["top1"] == 50
    assert found["reliance"] == pytest.approx(2 * sure - 1, abs=1e-3)
    assert found["flips"] == 1
    assert found["avoid_area"] == pytest.approx(1 / 32)
    assert found["avoid_energy"] == pytest.approx(1 / 32)
    assert found["look_area"] == pytest.approx((1 / 8 + 1) / 2)
    left = torch.nn.functional.interpolate(
        Looking()(torch.zeros(1, 3, 64, 64)).attention_map, (64, 64), mode="bilinear"
    )
    share = (left[..., 32:, :16].sum() / left.sum()).item()
    assert share == pytest.approx(0.25, abs=0.01)
    assert found["look_energy"] == pytest.approx((share + 1) / 2, abs=1e-4)


def test_the_table_says_before_and_after():
    row = {"pictures": 8, "top1": 50.0, "avoid_energy": 0.25, "avoid_area": 0.1, "reliance": 0.4, "flips": 0.5}
    found = {
        "before": {"corrected": row, "validation": {"pictures": 20, "top1": 80.0}},
        "after": {"corrected": {**row, "top1": 75.0, "reliance": 0.01}, "validation": {"pictures": 20, "top1": 81.5}},
    }
    lines = table(found).splitlines()
    assert lines[2] == "| 8 corrected | accuracy | 50.00 % | 75.00 % |"
    assert "| 8 corrected | map on forbidden parts | 25.0 % | 25.0 % |" in lines
    assert "| 8 corrected | answer's probability changes without forbidden parts by | 0.400 | 0.010 |" in lines
    assert lines[-1] == "| 20 validation | accuracy | 80.00 % | 81.50 % |"
    assert not any("held-out" in line or "looked at" in line for line in lines)


# The command


@pytest.fixture(scope="module")
def shades(tmp_path_factory):
    """A folder of two classes, a network trained on them, and corrections."""
    root = tmp_path_factory.mktemp("shades")
    rng = np.random.default_rng(0)
    kept = []
    for split, count in (("train", 12), ("val", 4)):
        for place, name in enumerate(("dark", "light")):
            (root / "data" / split / name).mkdir(parents=True)
            for number in range(count):
                level = 40 + 170 * place
                pixels = rng.integers(level - 30, level + 30, (40, 50, 3)).astype(np.uint8)
                pixels[:10, :10] = (255, 0, 0) if place else (0, 0, 255)
                picture = Image.fromarray(pixels)
                picture.save(root / "data" / split / name / f"{number}.png")
                if split == "train" and number < 5:
                    kept.append(Correction.of(picture, mask((40, 50), avoid=np.s_[:10, :10]), name))
    write(kept, root / "corrections")
    start = ["--recipe", "compact", "--data", str(root / "data"), "--checkpoint", str(root / "start"), *SMALL]
    start += ["--width", "8", "--tune-epochs", "--epochs", "4", "--test-size", "48", "--resize", "48", "--lr", "0.05"]
    assert main([*start, "--eval-every", "9"]) == 0
    return root


SMALL = ["--sizes", "48", "--train-batch", "8", "--workers", "1", "--gpu-id", "cpu", "--holdout", "0", "--explain", "0"]


def teach(root, out, *more):
    arguments = ["--initial", str(root / "start"), "--corrections", str(root / "corrections"), "--checkpoint", str(out)]
    return main([*arguments, "--data", str(root / "data"), *SMALL, *more])


def test_the_command_teaches_and_tells_before_and_after(shades, tmp_path, capsys):
    assert teach(shades, tmp_path / "out", "--max-steps", "42") == 0
    printed = capsys.readouterr().out
    assert "8 corrections to learn, 2 held out" in printed
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    found = metrics["corrections"]
    assert (metrics["recipe"], metrics["steps"], metrics["test_size"]) == ("correct", 42, 48)
    assert {name: part["pictures"] for name, part in found["after"].items()} == {
        "corrected": 8,
        "held_out": 2,
        "validation": 8,
    }
    assert found["after"]["validation"]["top1"] == metrics["top1"]
    assert len(checkpoints(tmp_path / "out")) == 2  # of at most five; two are kept
    history = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert sum("eval_loss" in entry for entry in history) <= SAVED
    assert found["before"]["corrected"]["avoid_area"] == found["after"]["corrected"]["avoid_area"] > 0
    assert found["before"]["corrected"]["avoid_energy"] != found["after"]["corrected"]["avoid_energy"]
    for place in (printed, (tmp_path / "out" / "README.md").read_text()):
        assert table(found) in place


@pytest.mark.slow
def test_it_goes_on_where_it_was_stopped(shades, tmp_path):
    assert teach(shades, tmp_path / "whole", "--max-steps", "12") == 0
    again = tmp_path / "again"
    assert teach(shades, again, "--max-steps", "12") == 0
    steps = sorted(again.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    assert len(steps) == 2
    assert teach(shades, again, "--max-steps", "12", "--resume", str(steps[0])) == 0
    whole, resumed = (load_file(folder / "model.safetensors") for folder in (tmp_path / "whole", again))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_what_cannot_be_taught_is_one_line(shades, tmp_path, capsys):
    said = mask((40, 50), avoid=np.s_[:10, :10])
    write([Correction.of(made_up_picture(50, 40), said, "grey")], tmp_path / "grey")
    assert teach(shades, tmp_path / "out", "--corrections", str(tmp_path / "grey")) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1] == (
        f"error: {shades / 'start'} knows no class 'grey' of the corrections, but dark, light"
    )
    assert teach(shades, tmp_path / "out", "--corrections-share", "1") == 2
    assert "--corrections-share must be between 0.01 and 0.9; got 1" in capsys.readouterr().err
    other = vision_transformer(labels=2)
    other.config.id2label, other.config.label2id = {0: "dark", 1: "light"}, {"dark": 0, "light": 1}
    other.save_pretrained(tmp_path / "vit")
    assert teach(shades, tmp_path / "out", "--initial", str(tmp_path / "vit")) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1] == (
        f"error: --corrections needs a network with one attention map; {tmp_path / 'vit'} has none"
    )
    for wrong in (["--epochs", "3"], ["--cutmix", "0.5"]):
        with pytest.raises(SystemExit):
            teach(shades, tmp_path / "out", *wrong)
        assert f"--corrections and {wrong[0]} contradict each other" in capsys.readouterr().err


def test_marks_are_shares():
    said = np.array([[1.0, 0.0], [0.25, np.nan]], np.float32)
    assert np.asarray(marks(said))[..., :2].tolist() == [[[255, 0], [0, 255]], [[64, 191], [0, 0]]]
