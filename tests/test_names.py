"""Names of any script, bytes and length: in tables, model cards, on terminals, as targets; before and after a run."""

import csv
import io
import json
import os
import re
import sys
import unicodedata

import numpy as np
import pytest
import yaml
from helpers import METRICS, TINY, made_up_picture, tiny_model
from huggingface_hub import ModelCard

from abn import AbnImageProcessor, Explainer
from abn.checkpoints.convert import convert
from abn.classes import shown_names
from abn.names import as_code, cell, file_name, in_markdown, nfc, same, short, shown
from abn.visualize import main as visualize
from train.card import write_card
from train.run import main as train

FORMULAS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1+cmd|x",
    "-1+1",
    "-2*3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "＝1",
    "-a",
)
NUMBERS = ("-0.5", "+1", "-1e-05", "0", "1.", ".5", "-7")
WORDS = ("tench", "gas pump", "a-b", "a=b", "1+1", "'", "", "金魚", "né@x")
ODD = {
    "lines": "two\nlines\r\nand three",
    "quotes": 'the "big" \'one\' `x` """',
    "table": "a|b|c",
    "markup": "<b>bold</b> &amp; *x* _y_ [z](u) # ~~s~~",
    "backslash": "a\\b\\",
    "yaml": "- a: {b} # c\n--- ",
    "long": "x" * 250,
    "emoji": "🐟👩‍👩‍👧",
    "RTL": "سمكة \u202eabc",
    "Japanese": "金魚（赤）",
    "math": "$x^2$",
    "formula": "=1+1",
    "braces": "{name} %s {0}",
    "separator": "a\u2028b\x85c",
    "bytes": os.fsdecode(b"caf\xe9"),
}


# Tables


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_text(text):
    assert cell(text) == "'" + text


@pytest.mark.parametrize("value", [*NUMBERS, *WORDS, -1, -0.5, 3, None, True])
def test_other_cells_stay(value):
    assert cell(value) == value
    assert type(cell(value)) is type(value)


@pytest.fixture
def network(tmp_path):
    folder = tmp_path / "network"
    tiny_model(id2label={0: "=1+1", 1: "-0.5", 2: "@x\ny"}).save_pretrained(folder)
    AbnImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_the_scores_of_ones_own_pictures(network, tmp_path, capsys):
    mine, out = tmp_path / "mine", tmp_path / "out"
    mine.mkdir()
    names = ["=1+1.png", "+a.png", "-a.png", "@a.png", "\ta.png", "two\nlines.png", 'a"b,c.png', "z" * 251 + ".png"]
    for name in (*names, os.fsdecode(b"\xe9.png")):
        made_up_picture(32, 32).save(mine / name)
    assert visualize(["--checkpoint", str(network), "--pictures", str(mine), "--out-dir", str(out), "--cpu"]) == 0
    with (out / "abn_scores.csv").open(newline="", encoding="utf-8") as lines:
        header, *rows = csv.reader(lines)
    assert header == ["picture", "predicted", "confidence", "unfamiliar", "'=1+1", "-0.5", "'@x\ny"]
    assert all(len(row) == 7 for row in rows)
    harmless = [("'" if name[0] in "=+-@\t" else "") + name for name in names]
    assert sorted(row[0] for row in rows) == sorted([*harmless, "\\xe9.png"])
    assert all(re.fullmatch(r"\d\.\d{4}", value) for row in rows for value in (row[2], *row[4:]))
    assert len(list((out / "abn_overlays").iterdir())) == 9


@pytest.mark.parametrize("name", ["a.png", "x" * 251, "x" * 255, "金" * 85, "🐟" * 63, os.fsdecode(b"\xe9") * 255])
def test_a_file_name_with_an_ending_fits(name):
    made = file_name(name, ".png")
    assert len(os.fsencode(made)) <= 255
    assert made.endswith(".png")
    assert (made == name + ".png") == (len(os.fsencode(name)) <= 251)
    assert len({file_name("x" * 254 + end, ".png") for end in "abc"}) == 3


# Model cards


@pytest.mark.parametrize("kind", ODD)
def test_the_card_stays_well_formed(kind, tmp_path):
    name = ODD[kind]
    metrics = {**METRICS, "dataset": name, "per_class": {name: 50.0, "church": 91.0}, "command": f"python x {name}"}
    write_card(tmp_path, metrics, name=name)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    _, front, body = re.split(r"^---\n", text, maxsplit=2, flags=re.M)
    said = yaml.safe_load(front)["model-index"][0]
    assert said["results"][0]["dataset"]["name"] == shown(name)
    assert ModelCard.load(tmp_path / "README.md").data.eval_results[0].metric_value == 0.9251
    headings = [line for line in body.splitlines() if re.match("#+ ", line)]
    assert len(headings) == 3
    table = body[body.index("| class |") :].split("\n\n")[0].splitlines()
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in table] == [3, 3, 3, 3]
    code = body.split("```python\n")[1].split("\n```")[0]
    compile(code, "card", "exec")
    assert json.dumps(shown(name), ensure_ascii=False) in code
    assert sum(line.startswith("- ") for line in body[body.index("## How") :].splitlines()) == 4


@pytest.mark.parametrize("kind", sorted(set(ODD) - {"bytes"}))
def test_a_converted_folders_card(kind, tmp_path):
    source, name = tmp_path / "a `b` |c|", ODD[kind]
    tiny_model(id2label={0: name, 1: "other"}).save_pretrained(source)
    text = (convert(source, tmp_path / "out") / "README.md").read_text(encoding="utf-8")
    (as_shown, _) = shown_names({0: name, 1: "other"})
    assert len(as_shown) <= 200
    assert f"Classes: {in_markdown(as_shown)}, other." in text
    assert "# a \\`b\\` \\|c\\|\n" in text
    assert "Converted from ``a `b` |c|``;" in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gas pump", "gas pump"),
        ("class_1_x", "class_1_x"),
        ("_x_", r"\_x\_"),
        ("a|b", r"a\|b"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("a\n\tb", "a b"),
        ("$x$", r"\$x\$"),
    ],
)
def test_markdown(name, expected):
    assert in_markdown(name) == expected


def test_code_of_any_backticks():
    assert [as_code(text) for text in ("a", "a`b", "``", "a\nb")] == ["`a`", "``a`b``", "``` `` ```", "`a b`"]


# Terminals


@pytest.mark.parametrize(
    ("name", "expected"),
    [("金魚", "金魚"), (os.fsdecode(b"caf\xe9"), r"caf\xe9"), ("a\nb\x1b[31m", r"a\nb\x1b[31m"), ("\ud800", r"\ud800")],
)
def test_shown(name, expected):
    assert shown(name) == expected
    shown(name).encode("utf-8")


def test_short():
    assert short("a\n b") == "a b"
    assert short("x" * 41) == "x" * 39 + "…"
    assert short("x" * 40) == "x" * 40


@pytest.mark.parametrize(
    "encoding", ["ascii", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cp1252", "shift_jis"))]
)
def test_a_run_ends_on_any_terminal_with_any_names(encoding, tmp_path, monkeypatch):
    """From odd names of folders and files to metrics, card and plots; then its evaluation."""
    data, out = tmp_path / os.fsdecode(b"data \xe9"), tmp_path / "out 金魚 `x` |"
    names = ["金魚🐟", "=a|b\n\"c'", "café" * 30]
    for split, count in (("train", 8), ("val", 2)):
        for place, name in enumerate(names):
            (data / split / name).mkdir(parents=True)
            for number in range(count):
                file = data / split / name / os.fsdecode(b"\xff %d\n.png" % number)
                made_up_picture(48, 48, 20 * place + number).save(file)
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    arguments = ["--data", str(data), "--checkpoint", str(out), *TINY]
    arguments += ["--epochs", "1", "--holdout", "0", "--cache", str(tmp_path / "cache")]
    assert train(arguments) == 0
    assert (
        train(["--evaluate", "--data", str(data), "--checkpoint", str(out), "--explain", "0", "--gpu-id", "cpu"]) == 0
    )
    sys.stdout.flush()
    said = written.getvalue().decode(encoding)
    for name in names:
        expected = shown(name).encode(encoding, "backslashreplace").decode(encoding)
        assert said.count(f"{expected} ") >= 2
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics["per_class"]) == {nfc(name) for name in names}
    assert metrics["dataset"] == r"data \xe9"
    assert set(json.loads((out / "config.json").read_text())["id2label"].values()) == {nfc(name) for name in names}
    for file in ("confusion_matrix.png", "attentions.png", "curves.png", "README.md"):
        assert (out / file).stat().st_size > 1000


def test_an_output_folder_that_is_not_utf8_is_named_at_once(tiny_imagenette, tmp_path, capsys):
    """TensorBoard's log could not hold it, and would say so after the pictures are decoded."""
    out = tmp_path / os.fsdecode(b"out \xe9")
    assert train(["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(out), *TINY]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert error == [rf"error: --checkpoint must have a name in UTF-8; got {tmp_path}/out \xe9"]
    assert not out.exists()


# Normal forms


@pytest.mark.parametrize("name", ["ガラス", "Café", "Ångström", "한글", "Việt"])
@pytest.mark.parametrize("own", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_a_target_in_either_form(name, own, asked):
    model = tiny_model(id2label={0: "other", 1: unicodedata.normalize(own, name), 2: "more"})
    processor = AbnImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    explainer, asked = Explainer(model, processor, device="cpu"), unicodedata.normalize(asked, name)
    picture = made_up_picture(32, 32)
    found = explainer(picture, method="grad-cam", target=asked)
    assert same(found.target, name)
    assert np.array_equal(found.heatmap, explainer(picture, method="grad-cam", target=1).heatmap)
    with pytest.raises(ValueError, match="must be a class"):
        explainer.target_index("others")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_checkpoint_with_names_in_the_other_form_is_evaluated(form, tmp_path, capsys):
    names = ["ガラス", "バラ"]
    tiny_model(id2label={i: unicodedata.normalize(form, name) for i, name in enumerate(names)}).save_pretrained(
        tmp_path / "network"
    )
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    for split in ("train", "val"):
        for name in names:
            (tmp_path / "data" / split / unicodedata.normalize(other, name)).mkdir(parents=True)
            made_up_picture(40, 40).save(tmp_path / "data" / split / unicodedata.normalize(other, name) / "a.png")
    arguments = ["--evaluate", "--data", str(tmp_path / "data"), "--checkpoint", str(tmp_path / "network")]
    assert train([*arguments, "--explain", "0", "--gpu-id", "cpu"]) == 0
    assert "top-1 50.00 %" in capsys.readouterr().out
