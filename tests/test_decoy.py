"""The proof on a known bias: where tags lie and what they tell, which pictures are corrected, what is won back."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import made_up_picture
from PIL import Image

from abn import corrections, imagenette
from train import decoy
from train.tags import (
    BIASED,
    SIDE,
    TAG,
    Tag,
    any_kind,
    draw_tag,
    note_of,
    own,
    swapped,
    write_corrections,
    write_tagged,
)


def test_a_tag_lies_at_an_edge_and_its_mask_on_it():
    rng = np.random.default_rng(0)
    grey = Image.new("RGB", (SIDE, SIDE), (128, 128, 128))
    edges = set()
    for _ in range(40):
        tag = draw_tag(0, 10, rng)
        pixels, mask = np.asarray(tag.on(grey)).astype(int), tag.mask
        differs = np.abs(pixels - 128).max(2) > 0
        assert (mask[differs] == 0).all()
        assert np.isnan(mask).sum() == SIDE**2 - (mask == 0).sum()
        assert (mask == 0).sum() == pytest.approx(np.pi * TAG**2 / 4, rel=0.15)
        assert pixels[round(tag.y), round(tag.x)].tolist() == [255, 0, 0]
        rows, columns = np.nonzero(differs)
        edges |= {
            name
            for name, at in zip(
                "tblr", (rows.min(), SIDE - 1 - rows.max(), columns.min(), SIDE - 1 - columns.max()), strict=True
            )
            if at <= 1
        }
    assert edges == set("tblr")
    colours = {Tag(kind, 10, 50, 50).on(grey).getpixel((50, 50)) for kind in range(10)}
    assert len(colours) == 10


def test_which_tag_a_picture_gets():
    rng = np.random.default_rng(0)
    kinds = [own(3, 10, rng) for _ in range(2000)]
    assert np.mean(np.array(kinds) == 3) == pytest.approx(BIASED, abs=0.03)
    assert set(kinds) == set(range(10))
    assert {swapped(3, 10, rng) for _ in range(300)} == set(range(10)) - {3}
    assert {any_kind(3, 10, rng) for _ in range(300)} == set(range(10))


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """Two classes of twelve pictures, tagged."""
    root = tmp_path_factory.mktemp("tags")
    samples = []
    for number in range(24):
        path = root / f"{number}.png"
        made_up_picture(200, 160, number).save(path)
        samples.append((str(path), number % 2))
    write_tagged(samples, ("a", "b"), root / "tagged", own, seed=5, workers=1)
    write_tagged(samples, ("a", "b"), root / "clean", None, seed=5, workers=1)
    return root


def test_pictures_are_written_with_what_is_on_them(tagged):
    tags = json.loads(note_of(tagged / "tagged").read_text())
    assert len(tags) == 24
    for file, values in tags.items():
        clean, with_tag = (np.asarray(Image.open(tagged / name / file)).astype(int) for name in ("clean", "tagged"))
        assert clean.shape == (SIDE, SIDE, 3)
        covered = ~np.isnan(Tag(*values).mask)
        differs = np.abs(clean - with_tag).max(2) > 24
        assert differs[covered].mean() > 0.6
        assert differs[~covered].mean() < 0.01
    assert set(json.loads(note_of(tagged / "clean").read_text()).values()) == {None}


def test_corrections_are_of_each_class_as_many_and_forbid_the_tag(tagged):
    for count in (4, 10):
        write_corrections(tagged / "tagged", count, tagged / f"corrections-{count}", seed=1)
    few, many = (corrections.read(tagged / f"corrections-{count}") for count in (4, 10))
    assert [one.label for one in few].count("a") == 2
    assert len(many) == 10
    assert {(one.label, one.name) for one in few} < {(one.label, one.name) for one in many}
    tags = json.loads(note_of(tagged / "tagged").read_text())
    for one in few:
        expected = Tag(*tags[f"{one.label}/{one.name}"]).mask
        assert np.array_equal(one.mask, expected, equal_nan=True)
        stored = np.asarray(Image.open(tagged / "tagged" / one.label / one.name))
        assert (np.asarray(one.picture) == stored).all()


def test_what_is_won_back_is_a_share_of_what_the_tags_cost():
    rows = {"before": (80, 70, 50), "500 corrections": (81, 79, 76), "500 pictures, no masks": (80, 71, 53)}
    found = {
        name: {"command": f"train {name}", **dict(zip(("clean", "random", "swapped"), values, strict=True))}
        for name, values in rows.items()
    }
    found["500 corrections"]["held_out"] = {"before": {"reliance": 0.3}, "after": {"reliance": 0.0712}}
    lines = decoy.report(found, "python -m train.decoy").splitlines()
    assert "| before | 80.00 | 70.00 | 50.00 | 30.00 |  |  |" in lines
    assert "| 500 corrections | 81.00 | 79.00 | 76.00 | 5.00 | 83 % | 0.300 → 0.071 |" in lines
    assert "| 500 pictures, no masks | 80.00 | 71.00 | 53.00 | 27.00 | 10 % |  |" in lines
    assert "train 500 corrections" in lines
    found["before"]["swapped"] = 80  # nothing to win back
    assert (
        "| 500 corrections | 81.00 | 79.00 | 76.00 | 5.00 |  | 0.300 → 0.071 |" in decoy.report(found, "").splitlines()
    )


@pytest.mark.slow
def test_the_command_goes_from_pictures_to_a_table(tiny_imagenette, tmp_path, monkeypatch, capsys):
    tiny = ("--train-batch", "8", "--gpu-id", "cpu", "--sizes", "32")
    monkeypatch.setattr(
        decoy,
        "BIASED",
        (
            "--width",
            "8",
            "--epochs",
            "1",
            "--test-size",
            "48",
            "--resize",
            "48",
            *tiny,
            "--tune-epochs",
            "--holdout",
            "0",
        ),
    )
    monkeypatch.setattr(decoy, "CORRECTED", ("--max-steps", "3", "--holdout", "0", *tiny))
    command = ["--data", str(tiny_imagenette), "--out", str(tmp_path / "out"), "--corrections", "20"]
    assert decoy.main(command) == 0
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert list(figures["runs"]) == ["before", "20 corrections", "20 pictures, no masks"]
    assert "--map-weight 0 --forbidden-weight 0" in figures["runs"]["20 pictures, no masks"]["command"]
    assert 0 <= figures["runs"]["20 corrections"]["held_out"]["after"]["reliance"] <= 1
    assert all(0 <= row["swapped"] <= 100 for row in figures["runs"].values())
    held = {path.parent.name for path in Path(tmp_path / "out" / "swapped").glob("*/*.jpg")}
    assert held == set(imagenette.WNIDS)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("model.safetensors")}
    assert decoy.main(command) == 0  # nothing is done again
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("model.safetensors")}
