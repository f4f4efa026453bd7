"""A survey's rows: the explainer's own numbers, picture by picture, of any folder and with broken files among them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import made_up_picture, tiny_model, vision_transformer
from PIL import Image
from test_survey_measures import spearman

from abn import AbnImageProcessor, Calibration, Explainer
from abn.comparison import Comparison
from abn.faithfulness import energy_in_boxes, energy_inside
from abn.faithfulness.measures import on_pixels
from abn.survey.__main__ import main

pq = pytest.importorskip("pyarrow.parquet", reason="no pyarrow")

CLASSES = ("class 3", "class 7", "stranger")


@pytest.fixture
def pictures(tmp_path):
    """Three classes of pictures of several shapes, one class unknown to the network; PNG, and JPEG of two sizes."""
    root = tmp_path / "pictures"
    shapes = ((96, 72), (72, 96), (60, 60), (200, 60), (96, 72), (900, 700))
    for level, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for number, (width, height) in enumerate(shapes):
            picture = made_up_picture(width, height, seed=10 * level + number)
            picture.save(root / name / f"{number}.{'jpg' if number % 2 else 'png'}")
    return root


def survey(data, out, checkpoint, *more: str) -> list[dict]:
    """The rows, as Parquet gives them."""
    arguments = [str(data), "--checkpoint", str(checkpoint), "--out", str(out), "--workers", "0", *more]
    assert main(arguments) == 0
    return pq.read_table(out / "rows").to_pylist()


def refused(capsys, *arguments) -> str:
    """The one line that a refused command says."""
    assert main([str(each) for each in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert errors == lines[-1:]
    return errors[0]


def spread_of(grid) -> float:
    """By its definition, place by place."""
    energy = grid.astype(float) - grid.min()
    energy /= energy.sum()
    rows, columns = np.indices(grid.shape)
    y, x = (rows + 0.5) / grid.shape[0], (columns + 0.5) / grid.shape[1]
    return np.sqrt((energy * ((y - (energy * y).sum()) ** 2 + (x - (energy * x).sum()) ** 2)).sum())


@pytest.mark.parametrize("view", ["whole", "model"])
def test_rows_are_the_explainers_own_numbers(pictures, tiny_folder, tmp_path, view):
    calibration = Calibration(0.6, 1.7, branches="both", map_weight=2.0)
    calibration.save(tiny_folder)
    found = Explainer.from_pretrained(tiny_folder)(sorted(pictures.rglob("*.*g")), view=view)
    replace(calibration, energy_threshold=float(np.median([e.energy for e in found]))).save(tiny_folder)
    rows = survey(pictures, tmp_path / "out", tiny_folder, "--precision", "float32", "--view", view)
    assert {row["unfamiliar"] for row in rows} == {True, False}
    assert [row["path"] for row in rows] == [f"{c}/{n}.{'jpg' if n % 2 else 'png'}" for c in CLASSES for n in range(6)]
    explainer = Explainer.from_pretrained(tiny_folder)
    for row in rows:
        e = explainer(pictures / row["path"], view=view)
        names, shares = list(e.probabilities), list(e.probabilities.values())
        assert row["answer"] == row["top5"][0] == e.label
        assert row["top5"] == names[:5]
        assert row["top5_confidences"] == pytest.approx(shares[:5], abs=1e-5)
        assert row["confidence"] == row["top5_confidences"][0]
        own = next(iter(e.attention_probabilities))
        assert (row["attention_answer"], row["attention_confidence"]) == (
            own,
            pytest.approx(e.attention_probabilities[own], abs=1e-5),
        )
        assert row["energy"] == pytest.approx(e.energy, abs=1e-4)
        assert row["unfamiliar"] is e.unfamiliar
        assert np.abs(np.array(row["map"]) - e.attention_map).max() <= 5e-4
        assert row["peak"] == pytest.approx(e.attention_map.max(), abs=1e-5)
        (top, bottom), (left, right) = e.geometry.span
        height, width = e.geometry.picture
        assert (width, height) == (row["width"], row["height"]) == Image.open(pictures / row["path"]).size
        column = (row["peak_x"] * width - left) / (right - left) * e.grid.shape[1] - 0.5
        line = (row["peak_y"] * height - top) / (bottom - top) * e.grid.shape[0] - 0.5
        assert (line, column) == pytest.approx((round(line), round(column)), abs=1e-4)  # a place's centre
        assert e.attention_map[round(line), round(column)] == pytest.approx(e.attention_map.max(), abs=1e-5)
        energy = e.attention_map.astype(float) - e.attention_map.min()
        assert row["border"] == pytest.approx(1 - energy[1:-1, 1:-1].sum() / energy.sum(), abs=1e-4)
        assert row["spread"] == pytest.approx(spread_of(e.attention_map), abs=1e-4)
        known = row["path"].split("/")[0]
        assert row["true_class"] == known
        assert row["right"] is (None if known == "stranger" else known == e.label)
        assert (row["error"], row["split"]) == (None, None)


def test_columns_and_their_kinds(pictures, tiny_folder, tmp_path):
    survey(pictures, tmp_path / "out", tiny_folder)
    schema = pq.read_schema(tmp_path / "out" / "rows" / "00000.parquet")
    kinds = {field.name: str(field.type) for field in schema}
    assert kinds["map"] == "list<element: list<element: halffloat>>"
    assert (kinds["confidence"], kinds["top5"]) == ("float", "list<element: string>")
    assert not {"insertion", "inside"} & set(kinds)


def test_agreement_with_grad_cam_is_spearmans(pictures, tiny_folder, tmp_path):
    rows = survey(pictures, tmp_path / "out", tiny_folder, "--precision", "float32")
    explainer = Explainer.from_pretrained(tiny_folder)
    for row in rows:
        e = explainer(pictures / row["path"], view="whole")
        other = torch.from_numpy(explainer(pictures / row["path"], view="whole", method="grad-cam").grid)[None, None]
        other = torch.nn.functional.interpolate(other, e.grid.shape, mode="bilinear")[0, 0]
        if e.grid.min() < e.grid.max() and other.min() < other.max():
            expected = spearman(e.grid.ravel().tolist(), other.ravel().tolist())
            assert row["gradcam_agreement"] == pytest.approx(expected, abs=2e-3)
    assert len({round(row["gradcam_agreement"], 3) for row in rows}) > 10


def test_faithfulness_is_that_of_compare(pictures, tiny_folder, tmp_path):
    rows = survey(pictures / "class 3", tmp_path / "out", tiny_folder, "--precision", "float32", "--faithfulness")
    explainer = Explainer.from_pretrained(tiny_folder)
    assert len(rows) == 6
    for row in rows:
        comparison = Comparison(explainer, pictures / "class 3" / row["path"])
        areas = comparison.curves(comparison("attention")).areas
        assert (row["insertion"], row["deletion"]) == pytest.approx(areas, abs=0.02)  # in bfloat16, where there is one
        assert row["insertion"] != pytest.approx(row["deletion"], abs=1e-6)


def test_bfloat16_gives_the_same_labels_where_the_network_is_sure(pictures, bundled, tmp_path):
    plain = survey(pictures, tmp_path / "plain", bundled, "--precision", "float32")
    quick = survey(pictures, tmp_path / "quick", bundled)
    for one, other in zip(plain, quick, strict=True):
        assert one["confidence"] == pytest.approx(other["confidence"], abs=0.05)
        assert np.abs(np.array(one["map"]) - np.array(other["map"])).max() < 0.05
        if one["confidence"] > 0.6:
            assert one["answer"] == other["answer"]


@pytest.mark.parametrize("view", ["whole", "model"])
def test_the_share_inside_boxes_and_masks(pictures, tiny_folder, tmp_path, view):
    boxes = {"class 3/0.png": [(0.1, 0.2, 0.6, 0.7), (0.5, 0.5, 1, 1)], "class 7/3.jpg": [(0, 0, 0.5, 1)]}
    lines = [f"{path},{','.join(map(str, box))}" for path, several in boxes.items() for box in several]
    (tmp_path / "boxes.csv").write_text("\n".join(["path,x0,y0,x1,y1", *lines]))
    masks = tmp_path / "masks"
    for path, several in boxes.items():  # the same as pictures
        size = Image.open(pictures / path).size
        mask = np.zeros(size[::-1], np.uint8)
        for left, top, right, bottom in several:
            mask[round(top * size[1]) : round(bottom * size[1]), round(left * size[0]) : round(right * size[0])] = 255
        (masks / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save((masks / path).with_suffix(".png"))
    how = ("--precision", "float32", "--view", view)
    boxed = survey(pictures, tmp_path / "boxed", tiny_folder, *how, "--boxes", str(tmp_path / "boxes.csv"))
    masked = survey(pictures, tmp_path / "masked", tiny_folder, *how, "--masks", str(masks))
    explainer = Explainer.from_pretrained(tiny_folder)
    for row, other in zip(boxed, masked, strict=True):
        if row["path"] not in boxes:
            assert [row["inside"], row["inside_area"], other["inside"], other["inside_area"]] == [None] * 4
            continue
        e = explainer(pictures / row["path"], view=view)
        heatmap = on_pixels(torch.from_numpy(e.grid)[None], torch.zeros(1, 3, *e.geometry.crop))[0]
        if view == "whole":
            assert row["inside"] == pytest.approx(energy_in_boxes(heatmap, boxes[row["path"]]), abs=1e-4)
        (top, bottom), (left, right) = e.geometry.span
        y, x = ((np.arange(n) + 0.5) / n for n in e.geometry.crop)
        y = (top + y * (bottom - top)) / e.geometry.picture[0]
        x = (left + x * (right - left)) / e.geometry.picture[1]
        inside = np.zeros(e.geometry.crop, bool)
        for x0, y0, x1, y1 in boxes[row["path"]]:
            inside |= ((y >= y0) & (y <= y1))[:, None] & ((x >= x0) & (x <= x1))[None]
        assert row["inside"] == pytest.approx(energy_inside(heatmap, torch.from_numpy(inside)), abs=1e-4)
        assert row["inside_area"] == pytest.approx(inside.mean(), abs=1e-5)
        assert other["inside"] == pytest.approx(row["inside"], abs=0.03)  # a mask's edges lie on its pixels
        assert other["inside_area"] == pytest.approx(row["inside_area"], abs=0.03)
    assert sum(row["inside"] is not None for row in masked) == 2


def test_broken_pictures_are_rows_with_their_error(pictures, tiny_folder, tmp_path):
    whole = survey(pictures, tmp_path / "whole", tiny_folder, "--precision", "float32")
    content = (pictures / "class 3" / "1.jpg").read_bytes()
    (pictures / "class 3" / "1.jpg").write_bytes(content[: len(content) // 3])
    (pictures / "class 7" / "0.png").write_bytes(b"<html>not found</html>")
    (pictures / "class 7" / "2.png").write_bytes(b"")
    (pictures / "notes.txt").write_text("no picture at all")
    broken = survey(pictures, tmp_path / "broken", tiny_folder, "--precision", "float32", "--workers", "2")
    faults = {row["path"]: row["error"] for row in broken if row["error"]}
    assert faults == {
        "class 3/1.jpg": "1.jpg is damaged and cannot be read",
        "class 7/0.png": "0.png is not a picture that can be read",
        "class 7/2.png": "2.png is not a picture that can be read",
    }
    assert len(broken) == len(whole)
    for one, other in zip(whole, broken, strict=True):
        if other["path"] in faults:
            assert other["true_class"] == one["true_class"]
            told = {name for name, value in other.items() if value is not None}
            assert told == {"path", "true_class", "error"}
        else:
            assert other["answer"] == one["answer"]
            assert other["map"] == pytest.approx(np.array(one["map"]), abs=1e-3)


def test_a_folder_of_nothing_but_broken_pictures_has_rows_and_a_report(tiny_folder, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"")
    (row,) = survey(tmp_path / "pictures", tmp_path / "out", tiny_folder)
    assert row["error"]
    assert (tmp_path / "out" / "report.html").is_file()


# Folders


def test_any_folder_of_pictures_has_no_true_class(pictures, tiny_folder, tmp_path):
    flat = survey(pictures / "class 3", tmp_path / "flat", tiny_folder)
    assert [(row["true_class"], row["right"]) for row in flat] == [(None, None)] * 6
    shutil.copyfile(pictures / "class 3" / "0.png", pictures / "beside.png")
    both = survey(pictures, tmp_path / "both", tiny_folder)
    assert [row["true_class"] for row in both if row["path"] == "beside.png"] == [None]
    assert len(both) == 19


def test_a_hub_folder_tells_splits_and_classes(pictures, tiny_folder, tmp_path):
    root = tmp_path / "hub"
    for split, name in (("train", "class 3"), ("validation", "class 7")):
        shutil.copytree(pictures / name, root / "data" / split / name)
    (root / "README.md").write_text("---\n---\n")
    rows = survey(root, tmp_path / "out", tiny_folder)
    assert {(row["split"], row["true_class"]) for row in rows} == {("train", "class 3"), ("val", "class 7")}
    assert rows[0]["path"] == "data/train/class 3/0.png"
    rows = survey(root, tmp_path / "val", tiny_folder, "--split", "val")
    assert {row["path"].split("/")[1] for row in rows} == {"validation"}
    assert len(rows) == 6


def test_a_table_of_labels_tells_the_classes(pictures, tiny_folder, tmp_path):
    root = tmp_path / "table"
    shutil.copytree(pictures / "class 3", root / "images")
    lines = ["file_name,label", "images/0.png,class 7", "images/1.jpg,class 3"]
    (root / "metadata.csv").write_text("\n".join(lines))
    rows = survey(root, tmp_path / "out", tiny_folder)
    assert [row["true_class"] for row in rows] == ["class 7", "class 3", None, None, None, None]


def test_folders_under_another_of_a_classs_names_count(bundled, tmp_path):
    for name in ("n03028079", "church building", "golf ball"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        made_up_picture().save(tmp_path / "pictures" / name / "0.png")
    rows = survey(tmp_path / "pictures", tmp_path / "out", bundled)
    assert [row["true_class"] for row in rows] == ["church", "golf ball", "church"]
    assert [row["right"] for row in rows] == [row["answer"] == row["true_class"] for row in rows]


# Networks


def test_a_vision_transformer_has_its_rollout_and_no_branch(pictures, tmp_path):
    vision_transformer().save_pretrained(tmp_path / "vit")
    explainer = Explainer.from_pretrained(tmp_path / "vit")
    rows = survey(pictures / "class 3", tmp_path / "out", tmp_path / "vit")
    for row in rows:
        e = explainer(pictures / "class 3" / row["path"], view="whole")
        assert row["answer"] == e.label
        assert np.abs(np.array(row["map"]) - e.grid).max() < 1e-3
        assert (row["attention_answer"], row["attention_confidence"], row["gradcam_agreement"]) == (None, None, None)


def test_a_network_of_grey_pictures_sees_them_grey(pictures, tmp_path):
    vision_transformer(channels=1, side=28, patch=7).save_pretrained(tmp_path / "digits")
    explainer = Explainer.from_pretrained(tmp_path / "digits")
    for row in survey(pictures / "class 3", tmp_path / "out", tmp_path / "digits"):
        e = explainer(pictures / "class 3" / row["path"], view="whole")
        assert row["confidence"] == pytest.approx(e.probabilities[e.label], abs=1e-4)


def test_a_network_of_tasks_is_refused(pictures, models_root, tmp_path, capsys):
    said = refused(capsys, pictures, "--checkpoint", models_root / "three-tasks", "--out", tmp_path / "out")
    assert "answers several tasks with yes or no" in said
    assert not (tmp_path / "out").exists()


# What is refused


def test_bad_input_is_one_line(pictures, tiny_folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    how = ("--checkpoint", tiny_folder, "--out", tmp_path / "out")
    assert "there is no folder" in refused(capsys, tmp_path / "nowhere", *how)
    assert "holds no picture" in refused(capsys, tmp_path / "empty", *how)
    assert "has no val split" in refused(capsys, pictures, *how, "--split", "val")
    assert "--masks: there is no folder" in refused(capsys, pictures, *how, "--masks", tmp_path / "nowhere")
    (tmp_path / "boxes.csv").write_text("path,x0,y0,x1,y1\nclass 3/9.png,0,0,1,1\n")
    assert "there is no picture" in refused(capsys, pictures, *how, "--boxes", tmp_path / "boxes.csv")
    assert "no checkpoint" in refused(capsys, pictures, "--checkpoint", tmp_path / "no.safetensors", *how[2:])
    (tmp_path / "empty" / "data.parquet").write_bytes(b"PAR1")
    assert "data.parquet, which is not read" in refused(capsys, tmp_path / "empty", *how)
    assert "holds other things" in refused(capsys, pictures, *how[:2], "--out", tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--view", "model"), 'view ("whole"; now "model")'),
        (("--faithfulness",), "faithfulness (false; now true)"),
        (("--shard", "5"), "shard (1024; now 5)"),
        (("--checkpoint", "OTHER"), "another network"),
    ],
)
def test_other_settings_do_not_go_on(pictures, tiny_folder, tmp_path, capsys, more, named):
    survey(pictures, tmp_path / "out", tiny_folder)
    tiny_model(1).save_pretrained(tmp_path / "other")
    AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(
        tmp_path / "other"
    )
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")}
    more = [tmp_path / "other" if word == "OTHER" else word for word in more]
    said = refused(capsys, pictures, "--checkpoint", tiny_folder, "--out", tmp_path / "out", *more)
    assert named in said
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")} == before


def test_another_picture_in_the_folder_does_not_go_on(pictures, tiny_folder, tmp_path, capsys):
    survey(pictures, tmp_path / "out", tiny_folder)
    made_up_picture().save(pictures / "class 3" / "more.png")
    said = refused(capsys, pictures, "--checkpoint", tiny_folder, "--out", tmp_path / "out")
    assert "number of pictures (18; now 19)" in said
    (pictures / "class 3" / "0.png").unlink()
    said = refused(capsys, pictures, "--checkpoint", tiny_folder, "--out", tmp_path / "out")
    assert "list of pictures" in said


def test_settings_say_what_was_asked(pictures, tiny_folder, tmp_path):
    survey(pictures, tmp_path / "out", tiny_folder, "--precision", "float32")
    told = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert (told["pictures"], told["number_of_pictures"]) == (str(pictures), 18)
    assert (told["view"], told["arithmetic"], told["faithfulness"]) == ("whole", "float32", False)
