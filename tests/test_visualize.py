"""`python -m abn.visualize`: the grid of a picture a class, and overlays and scores of one's own pictures."""

import csv
import os
import shutil

import numpy as np
import pytest
import torch
from helpers import made_up_picture, tiny_model
from PIL import Image

from abn import AbnConfig, AbnForMultiTaskClassification, AbnImageProcessor, Explainer, imagenette, visualize
from abn.grids import grid, layout, task_rows
from abn.visualize import main


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
    right = sum(explainer(data.samples[2 * i][0]).label == name for i, name in enumerate(imagenette.CLASSES))
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


def test_scores_are_written_whole_or_not_at_all(imagenette_folder, tmp_path, monkeypatch):
    """The file aside is this process's own, and gone when the run breaks off; what was there before stays."""
    made_up_picture(90, 60, 1).save(tmp_path / "a.png")
    out, seen = tmp_path / "out", []
    out.mkdir()
    for name in ("abn_scores.csv", "abn_scores.writing"):
        (out / name).write_text("of before")

    def breaking(*_):
        seen.extend(file.name for file in out.iterdir() if file.is_file())
        raise OSError("no space left")

    monkeypatch.setattr("abn.visualize.save_png", breaking)
    arguments = ["--checkpoint", str(imagenette_folder), "--pictures", str(tmp_path / "a.png"), "--out-dir", str(out)]
    assert main([*arguments, "--cpu"]) == 2
    assert sorted(seen) == [f".abn_scores.csv.{os.getpid()}.writing", "abn_scores.csv", "abn_scores.writing"]
    files = sorted(file for file in out.iterdir() if file.is_file())
    assert [(file.name, file.read_text()) for file in files] == [
        ("abn_scores.csv", "of before"),
        ("abn_scores.writing", "of before"),
    ]


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


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A tiny multi-task network of three tasks."""
    folder = tmp_path_factory.mktemp("faces")
    torch.manual_seed(0)
    labels = {0: "smiling", 1: "hat / cap", 2: "7"}
    config = AbnConfig(arch="resnet18", width=8, multitask="v1", id2label=labels)
    AbnForMultiTaskClassification(config).save_pretrained(folder)
    AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def pixels(file):
    with Image.open(file) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("method", ["attention", "attention-negative"])
def test_a_map_a_task_of_ones_own_pictures(method, faces, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    for seed, size in enumerate(((90, 60), (60, 90), (90, 60))):  # not of one shape
        made_up_picture(*size, seed).save(mine / f"{seed}.png")
    out = tmp_path / "out"
    arguments = ["-c", str(faces), "--pictures", str(mine), "--out-dir", str(out), "--cpu", "--method", method]
    assert main([*arguments, "-j", "2", "--test-batch", "2"]) == 0
    explainer = Explainer.from_pretrained(faces, device="cpu")
    for seed in range(3):
        folder = out / "abn_overlays" / f"{seed}.png"
        assert sorted(file.name for file in folder.iterdir()) == ["7.png", "hat %2F cap.png", "smiling.png"]
        for task, file in (("smiling", "smiling.png"), ("hat / cap", "hat %2F cap.png"), ("7", "7.png")):
            explanation = explainer(mine / f"{seed}.png", target=task, view="whole", method=method)
            assert np.array_equal(pixels(folder / file), explanation.overlay())
    with (out / "abn_scores.csv").open(newline="") as lines:
        row = next(csv.DictReader(lines))
    expected = explainer(mine / "0.png", view="whole").probabilities["hat / cap"]
    assert float(row["hat / cap"]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("target", "task", "file"),
    [("smiling", "smiling", "smiling.png"), ("1", "hat / cap", "hat %2F cap.png"), ("7", "7", "7.png")],
)
def test_one_task_of_one_picture(target, task, file, faces, tmp_path):
    picture = tmp_path / "face.jpg"
    made_up_picture(90, 60).save(picture)
    out = tmp_path / "out"
    arguments = ["-c", str(faces), "--pictures", str(picture), "--out-dir", str(out), "--cpu", "--target", target]
    assert main(arguments) == 0
    written = list((out / "abn_overlays").rglob("*.png"))
    assert written == [out / "abn_overlays" / "face.jpg" / file]
    expected = Explainer.from_pretrained(faces, device="cpu")(picture, target=task, view="whole").overlay()
    assert np.array_equal(pixels(written[0]), expected)


def test_a_row_a_picture_of_every_task(faces, tmp_path):
    for seed, name in enumerate(("men", "women")):
        (tmp_path / "data" / name).mkdir(parents=True)
        made_up_picture(90, 60, seed).save(tmp_path / "data" / name / "one.png")
    arguments = ["-c", str(faces), "--data", str(tmp_path / "data"), "--out-dir", str(tmp_path / "out"), "--dpi", "50"]
    for more, columns in ([], 4), (["--target", "smiling"], 2), (["--num-classes", "1"], 4):
        assert main([*arguments, "--no-display", "--cpu", *more]) == 0
        rows = 1 if "--num-classes" in more else 2
        with Image.open(tmp_path / "out" / "abn_attentions.png") as picture:
            assert picture.size == (round(2.4 * columns * 50), round(2.7 * rows * 50))
    explainer = Explainer.from_pretrained(faces, device="cpu")
    rows = explainer.every_task([made_up_picture(90, 60, seed) for seed in range(2)])
    axes = task_rows(rows, alpha=0.5).axes
    assert [axis.get_title().split("\n")[0] for axis in axes] == 2 * ["", "smiling", "hat / cap", "7"]
    expected = explainer(made_up_picture(90, 60, 1), target="7")
    assert np.array_equal(axes[7].images[0].get_array(), expected.overlay(0.5))
    assert axes[7].get_title() == f"7\n{expected.probabilities['7']:.1%}"


def test_a_class_of_ones_choice_for_one_picture(imagenette_folder, tmp_path, capsys):
    picture = tmp_path / "one.png"
    made_up_picture(90, 60).save(picture)
    arguments = ["-c", str(imagenette_folder), "--pictures", str(picture), "--out-dir", str(tmp_path / "out"), "--cpu"]
    explainer = Explainer.from_pretrained(imagenette_folder, device="cpu")
    for target in ("church", "4", str(explainer.labels.index("tench"))):
        assert main([*arguments, "--method", "grad-cam", "--target", target]) == 0
        index = int(target) if target.isdigit() else target
        expected = explainer(picture, method="grad-cam", target=index, view="whole").overlay()
        assert np.array_equal(pixels(tmp_path / "out" / "abn_overlays" / "one.png.png"), expected)
    assert "is the same for every class" not in capsys.readouterr().err
    assert main([*arguments, "--target", "church"]) == 0
    assert "note: --method attention is the same for every class" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "cow"], "target must be a class or its index; got 'cow'"),
        (["--target", "10"], "target must be a class or its index; got 10"),
        (["--arch", "resnet152"], "--arch resnet152 contradicts {}, which is a resnet18; leave it out"),
        (["-a", "resnet110-cifar"], "--arch resnet110-cifar contradicts {}, which is a resnet18"),
    ],
)
def test_what_contradicts_the_checkpoint(arguments, words, imagenette_folder, tmp_path, capsys):
    picture = tmp_path / "one.png"
    made_up_picture().save(picture)
    line = ["-c", str(imagenette_folder), "--pictures", str(picture), "--cpu", "--out-dir", str(tmp_path)]
    assert main([*line, *arguments]) == 2
    assert words.format(imagenette_folder) in capsys.readouterr().err
    assert main([*line, "--arch", "resnet18", "--target", "tench"]) == 0


def test_which_device(monkeypatch, capsys):
    assert visualize.device("0", cpu=False) == "cpu"  # as the reference: CUDA where there is any
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for gpu_id, cpu, expected in (
        (None, False, None),
        ("0", False, "cuda:0"),
        ("1", False, "cuda:1"),
        ("1", True, "cpu"),
        ("cpu", False, "cpu"),
    ):
        assert visualize.device(gpu_id, cpu) == expected
    assert capsys.readouterr().err == ""
    assert visualize.device("1,0", cpu=False) == "cuda:1"
    assert "note: one device is used, 1 of 1,0" in capsys.readouterr().err
    with pytest.raises(ValueError, match="--gpu-id must be between 0 and 1 here; got 2"):
        visualize.device("2", cpu=False)


@pytest.mark.parametrize(
    "line", ["-j 0", "--test-batch 0", "--num-classes 0", "--dpi -1", "--gpu-id one", "--gpu-id 0,"]
)
def test_malformed_arguments(line, capsys):
    with pytest.raises(SystemExit):
        main(line.split())
    assert line.split()[1] in capsys.readouterr().err


def test_the_references_line(imagenette_folder, tiny_imagenette, tmp_path):
    """visualize.py's arguments, all of them (github.com/yukiharada1228/attention-branch-network)."""
    line = f"-j 1 --test-batch 10 --gpu-id 0 -c {imagenette_folder} --out-dir {tmp_path / 'out'} --prefix abn --dpi 50"
    line += f" --attention-alpha 1.0 --no-display --num-classes 4 --data-root {tiny_imagenette} --imagenette-size 160px"
    assert main([*line.split(), "--cpu"]) == 0
    with Image.open(tmp_path / "out" / "abn_attentions.png") as picture:
        assert picture.size == (round(2.4 * 4 * 50), round(2.85 * 2 * 50))
