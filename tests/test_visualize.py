"""`python -m abn.visualize`: the grid of a picture a class, and overlays and scores of one's own pictures."""

import csv
import shutil

import numpy as np
import pytest
from helpers import made_up_picture, tiny_model
from PIL import Image

from abn import AbnImageProcessor, Explainer, imagenette
from abn.visualize import grid, layout, main


@pytest.fixture
def imagenette_folder(tmp_path):
    """A tiny network that knows Imagenette's classes."""
    folder = tmp_path / "network"
    tiny_model(id2label=dict(enumerate(imagenette.CLASSES))).save_pretrained(folder)
    AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("pairs", "expected"), [(10, (2, 5)), (9, (3, 3)), (12, (3, 4)), (1, (1, 1)), (7, (2, 4)), (2, (1, 2))]
)
def test_the_layout_is_near_a_square(pairs, expected):
    assert layout(pairs) == expected


def test_titles_and_pictures(imagenette_folder):
    explainer = Explainer.from_pretrained(imagenette_folder, device="cpu")
    found = explainer([made_up_picture(80, 60, seed) for seed in range(2)])
    figure = grid(found, [found[0].label, "no such class"], alpha=0.5)
    left, right, _, wrong = figure.axes
    assert left.get_title() == f"true: {found[0].label}"
    confidence = found[0].probabilities[found[0].label]
    assert right.get_title() == f"predicted: {found[0].label}\n{confidence:.1%}"
    assert [axis.title.get_color() for axis in (right, wrong)] == ["green", "red"]
    assert np.array_equal(left.images[0].get_array(), found[0].view)
    assert np.array_equal(right.images[0].get_array(), found[0].overlay(0.5))


def test_one_picture_a_class(imagenette_folder, tiny_imagenette, tmp_path, capsys):
    trainers = imagenette_folder.rename(tmp_path / "checkpoint-12")  # as the Trainer leaves them
    arguments = ["--imagenette-root", tiny_imagenette, "--out-dir", tmp_path / "out", "--prefix", "mine", "--dpi", 50]
    arguments += ["--checkpoint", trainers, "--attention-alpha", "0.7", "--no-display", "--cpu"]
    assert main([str(argument) for argument in arguments]) == 0
    with Image.open(tmp_path / "out" / "mine_attentions.png") as picture:
        assert picture.size == (round(2.4 * 10 * 50), round(2.85 * 2 * 50))
    explainer = Explainer.from_pretrained(trainers, device="cpu")
    data = imagenette.load(tiny_imagenette, "val")
    right = sum(explainer(data._samples[2 * i][0]).label == name for i, name in enumerate(imagenette.CLASSES))
    assert f"{right} of 10 are right" in capsys.readouterr().out


def test_one_picture_a_class_of_any_folder(imagenette_folder, tmp_path, capsys):
    for seed, name in enumerate(("cats", "dogs")):
        (tmp_path / "data" / name).mkdir(parents=True)
        made_up_picture(90, 60, seed).save(tmp_path / "data" / name / "one.png")
    arguments = ["--checkpoint", str(imagenette_folder), "--data", str(tmp_path / "data"), "--method", "grad-cam"]
    arguments += ["--out-dir", str(tmp_path / "out"), "--dpi", "50", "--no-display", "--cpu"]
    assert main(arguments) == 0
    assert "0 of 2 are right" in capsys.readouterr().out
    with Image.open(tmp_path / "out" / "abn_attentions.png") as picture:
        assert picture.size == (round(2.4 * 4 * 50), round(2.85 * 50))
    assert main([*arguments, "--method", "no-such"]) == 2
    assert "no-such" in capsys.readouterr().err


def test_ones_own_pictures(imagenette_folder, tmp_path, capsys):
    mine = tmp_path / "mine"
    (mine / "sub").mkdir(parents=True)
    made_up_picture(90, 60, 1).save(mine / "a.png")
    made_up_picture(60, 90, 2).save(mine / "sub" / "a.jpg")
    (mine / "notes.txt").write_text("no picture")
    weights = str(imagenette_folder / "model.safetensors")
    out = tmp_path / "out"
    assert main(["--checkpoint", weights, "--pictures", str(mine), "--out-dir", str(out), "--cpu"]) == 0
    assert "left out notes.txt: notes.txt is not a picture" in capsys.readouterr().err
    with (out / "abn_scores.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["picture"] for row in rows] == ["a.png", "sub/a.jpg"]
    explanation = Explainer.from_pretrained(imagenette_folder, device="cpu")(mine / "a.png", view="whole")
    assert rows[0]["predicted"] == explanation.label
    assert float(rows[0]["golf ball"]) == pytest.approx(explanation.probabilities["golf ball"], abs=1e-4)
    with Image.open(out / "abn_overlays" / "a.png.png") as overlay:
        assert np.array_equal(np.asarray(overlay), explanation.overlay(1.0))
    assert (out / "abn_overlays" / "sub" / "a.jpg.png").is_file()


def test_faults_are_one_line(imagenette_folder, tiny_imagenette, tmp_path, capsys):
    network = ["--checkpoint", str(imagenette_folder), "--cpu"]
    (tmp_path / "empty").mkdir()
    shutil.copy(imagenette_folder / "config.json", tmp_path / "empty")
    for arguments, words in (
        (["--checkpoint", str(tmp_path / "nowhere")], "no checkpoint"),
        ([*network, "--imagenette-root", str(tmp_path)], "no Imagenette under"),
        ([*network, "--imagenette-root", str(tiny_imagenette), "--index", "2"], "--index must be between 0 and 1"),
        ([*network, "--pictures", str(tmp_path / "empty"), "--out-dir", str(tmp_path)], "there is no picture in"),
        ([*network, "--pictures", str(tmp_path / "none")], "--pictures must be a folder"),
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("error: ")
        assert words in error
    assert not (tmp_path / "abn_scores.csv").exists()
    with pytest.raises(SystemExit) as stop:
        main(["--attention-alpha", "1.5"])
    assert stop.value.code == 2
    assert "--attention-alpha must be between 0 and 1" in capsys.readouterr().err
