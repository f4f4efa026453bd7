"""Multi-task training: tables of attributes, scores by hand, and a network that learns shapes and points at them."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from helpers import made_up_picture
from PIL import Image, ImageDraw
from torchvision.datasets import CelebA

from abn import Explainer
from abn.classes import CELEBA
from train.losses import shares
from train.metrics import task_details, task_scores
from train.run import main
from train.sources import celeba_source, table_source


def write_table(folder, header, *rows):
    folder.mkdir(exist_ok=True)
    with (folder / "attributes.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return folder


@pytest.fixture
def faces(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        made_up_picture(20, 20).save(tmp_path / name)
    return tmp_path


def test_a_table_of_attributes(faces):
    rows = [["a.png", "train", 1, -1], ["b.png", "val", 0, 1], ["c.png", "", 1, 1]]
    write_table(faces, ["picture", "split", "smiling", "hat"], *rows)
    source = table_source(faces)
    assert source.classes == ("smiling", "hat")
    assert source.train == [(str(faces / "a.png"), (1, 0)), (str(faces / "c.png"), (1, 1))]
    assert source.val == [(str(faces / "b.png"), (0, 1))]


def test_a_tenth_is_for_validation_where_no_split_is_named(faces):
    write_table(faces, ["picture", "smiling"], *[["a.png", place % 2] for place in range(30)])
    source = table_source(faces)
    assert (len(source.train), len(source.val)) == (27, 3)
    kept, held_out = source.split(1 / 3, seed=1)
    assert (len(kept), len(held_out)) == (18, 9)
    assert held_out == source.split(1 / 3, seed=1)[1]
    with pytest.raises(ValueError, match="--folds is for classes"):
        source.fold(0, 3, 0)


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ([["name", "smiling"]], ValueError, 'must begin with a header "picture,TASK'),
        ([["picture"]], ValueError, 'must begin with a header "picture,TASK'),
        ([["picture", "smiling"], ["a.png", "yes"]], ValueError, "line 2: expected a picture, and 1, 0 or -1"),
        ([["picture", "smiling"], ["a.png"]], ValueError, "line 2: expected a picture"),
        ([["picture", "split", "x"], ["a.png", "test", 1]], ValueError, "line 2"),
        ([["picture", "smiling"], ["a.png", 1], ["z.png", 1]], FileNotFoundError, r"line 3: there is no .*z\.png"),
    ],
)
def test_faults_name_the_line(rows, error, words, faces):
    write_table(faces, *rows)
    with pytest.raises(error, match=words):
        table_source(faces)


def test_no_table(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no .*attributes\.csv"):
        table_source(tmp_path)


def test_scores_by_hand():
    logits = torch.tensor([[2.0, -1.0], [-0.5, 3.0]])
    labels = torch.tensor([[1, 1], [0, 1]])
    found = task_scores(logits, torch.zeros(2, 2), labels)
    p = logits.sigmoid()
    expected = -(p[0, 0].log() + p[0, 1].log() + (1 - p[1, 0]).log() + p[1, 1].log()) / 4
    assert found["accuracy"] == 75
    assert found["perception_loss"] == pytest.approx(expected.item())
    assert found["attention_loss"] == pytest.approx(math.log(2))
    two = torch.stack([torch.zeros(2, 2), logits], 1)  # no and yes: the same answers
    assert task_scores(two, torch.zeros(2, 2), labels) == pytest.approx(found)
    details = task_details(logits, labels, ("one", "other"))
    assert details["per_class"] == {"one": 100, "other": 50}
    assert details["balanced"] == {"one": 100, "other": 50}
    assert details["positives"] == {"one": 50, "other": 100}
    assert shares(labels).tolist() == [0.5, 1.0]


CORNERS = {"disc": (0, 0), "square": (1, 0), "cross": (0, 1), "bar": (1, 1)}  # column, row of the quarter it lies in
SIDE = 96


def shapes_picture(present, rng) -> Image.Image:
    """Each shape in its own quarter of the picture, on noise."""
    picture = Image.fromarray(rng.integers(70, 110, (SIDE, SIDE, 3), dtype=np.uint8))
    draw = ImageDraw.Draw(picture)
    for name, (column, row) in CORNERS.items():
        if not present[name]:
            continue
        x, y = (int(48 * place + rng.integers(10, 18)) for place in (column, row))
        box, colour = (x, y, x + 20, y + 20), tuple(int(v) for v in rng.integers(190, 255, 3))
        if name == "disc":
            draw.ellipse(box, fill=colour)
        elif name == "square":
            draw.rectangle(box, outline=colour, width=4)
        elif name == "cross":
            draw.line((x, y, x + 20, y + 20), fill=colour, width=5)
            draw.line((x, y + 20, x + 20, y), fill=colour, width=5)
        else:
            draw.rectangle((x, y + 7, x + 20, y + 13), fill=colour)
    return picture


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0)
    rows = []
    for place in range(720):
        present = {name: int(rng.random() < 0.5) for name in CORNERS}
        shapes_picture(present, rng).save(folder / f"{place}.png")
        rows.append([f"{place}.png", "val" if place >= 600 else "train", *present.values()])
    return write_table(folder, ["picture", "split", *CORNERS], *rows)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_it_learns_shapes_and_its_maps_point_at_them(version, shapes, tmp_path):
    out = tmp_path / "out"
    arguments = ["--recipe", "multitask", "--multitask", version, "--data", str(shapes), "--checkpoint", str(out)]
    arguments += ["--arch", "resnet18", "--width", "8", "--sizes", "96", "--test-size", "96", "--resize", "96"]
    arguments += ["--epochs", "12", "--schedule", "9", "--lr", "0.05", "--crop-area", "0.8", "1", "--workers", "1"]
    assert main([*arguments, "--focal"] if version == "v2" else arguments) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["tasks"] == 4
    assert metrics["accuracy"] >= 95
    assert set(metrics["per_class"]) == set(CORNERS)
    assert "mean accuracy over tasks" in (out / "README.md").read_text()
    explainer = Explainer.from_pretrained(out, device="cpu")
    pointed = []
    for picture, labels in table_source(shapes).val:
        for place, (task, (column, row)) in enumerate(CORNERS.items()):
            if labels[place]:
                heatmap = explainer(picture, target=task).heatmap
                y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
                pointed.append((x >= SIDE / 2, y >= SIDE / 2) == (column == 1, row == 1))
    assert len(pointed) > 150
    assert sum(pointed) / len(pointed) >= 0.9
    assert main(["--recipe", "multitask", "--evaluate", "--checkpoint", str(out), "--data", str(shapes)]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--plain"], "knows no --plain"),
        (["--attention-weight", "1"], "no --attention-weight"),
        (["--multitask", "v3"], "invalid choice"),
    ],
)
def test_what_contradicts_a_multitask_recipe(arguments, words, faces, capsys):
    write_table(faces, ["picture", "smiling"], ["a.png", 1])
    try:
        status = main(["--recipe", "multitask", "--data", str(faces), *arguments])
    except SystemExit as exit_:
        status = exit_.code
    assert status == 2
    assert words in capsys.readouterr().err


def test_celeba_as_its_files_lie(tmp_path, monkeypatch):
    """Two training pictures and two for validation, in the files that torchvision reads."""
    monkeypatch.setattr(CelebA, "_check_integrity", lambda self: True)
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{place:06d}.jpg" for place in (1, 2, 3, 4)]
    for name in names:
        made_up_picture(20, 24).save(folder / "img_align_celeba" / name)
    rows = [[1] + [-1] * 39, [-1] * 39 + [1], [1] * 40, [-1] * 40]

    def write(file, lines, header=()):
        (folder / file).write_text("\n".join([*header, *lines]) + "\n")

    def numbered(values):
        return [f"{name} {' '.join(map(str, row))}" for name, row in zip(names, values, strict=True)]

    write("list_eval_partition.txt", numbered([[0], [0], [1], [1]]))
    write("identity_CelebA.txt", numbered([[1], [2], [3], [4]]))
    write("list_attr_celeba.txt", numbered(rows), ["4", " ".join(name.replace(" ", "_") for name in CELEBA)])
    write("list_bbox_celeba.txt", numbered([[0, 0, 5, 5]] * 4), ["4", "image_id x_1 y_1 width height"])
    write("list_landmarks_align_celeba.txt", numbered([[1] * 10] * 4), ["4", " ".join("abcdefghij")])
    source = celeba_source(tmp_path, download=False)
    assert source.classes == CELEBA
    assert len(CELEBA) == 40
    assert source.train[0] == (str(folder / "img_align_celeba" / "000001.jpg"), (1,) + (0,) * 39)
    assert source.train[1][1] == (0,) * 39 + (1,)
    assert [label for _, label in source.val] == [(1,) * 40, (0,) * 40]
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match="CelebA is not at"):
        celeba_source(tmp_path / "none", download=False)
