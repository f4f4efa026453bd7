"""Training Vision Transformers: digits as their files lie, the reference's rules, and a run from start to end."""

import gzip
import json
import struct

import numpy as np
import pytest
from PIL import Image

from abn import Explainer
from abn.families import VIT
from train.recipes import RECIPES
from train.run import main
from train.sources import mnist_source


def digit(number, rng) -> np.ndarray:
    """Not a digit, but told apart: a bright square at a place that is the digit's."""
    pixels = rng.integers(0, 60, (28, 28), dtype=np.uint8)
    row, column = divmod(number, 4)
    pixels[7 * row + 3 : 7 * row + 9, 7 * column + 1 : 7 * column + 7] = 230
    return pixels


@pytest.fixture
def digits(tmp_path):
    """MNIST's test files, with 12 made-up digits of each kind."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10, dtype=np.uint8), 12)
    images = np.stack([digit(int(label), rng) for label in labels])
    root = tmp_path / "mnist"
    root.mkdir()
    for name, values in (("images-idx3", images), ("labels-idx1", labels)):
        header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
        (root / f"t10k-{name}-ubyte.gz").write_bytes(gzip.compress(header + values.tobytes()))
    return root, images


def test_the_test_digits_alone_are_split_in_four_parts_and_one(digits, capsys):
    root, images = digits
    source = mnist_source(root, download=False)
    assert source.name == "MNIST (10,000 test digits)"
    assert source.classes == tuple("0123456789")
    assert (len(source.train), len(source.val)) == (100, 20)
    assert "8,000 of them are for training" in capsys.readouterr().out
    path, label = source.val[6]
    assert label == 3
    with Image.open(path) as picture:
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture), images[12 * 3 + 10])
    assert mnist_source(root, download=False).train == source.train  # made once


def test_digits_that_are_cut_short(digits):
    root, _ = digits
    file = root / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-3]))
    with pytest.raises(ValueError, match="is not a whole IDX file"):
        mnist_source(root, download=False)
    with pytest.raises(FileNotFoundError, match="MNIST is not at"):
        mnist_source(root / "none", download=False)


TINY = ["--width", "32", "--mlp", "48", "--heads", "4", "--layers", "2", "--train-batch", "10", "--lr", "0.003"]


@pytest.mark.slow
def test_a_run_from_start_to_end(digits, tmp_path):
    root, _ = digits
    out = tmp_path / "out"
    arguments = ["--recipe", "vit-mnist", "--root", str(root), "--checkpoint", str(out), "--workers", "1"]
    assert main([*arguments, *TINY, "--epochs", "60", "--holdout", "0.1"]) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["top1"] >= 80
    assert metrics["network"] == "Vision Transformer of 2 layers, width 32"
    assert {"attentions.png", "curves.png", "confusion_matrix.png", "README.md", "best"} <= {
        file.name for file in out.iterdir()
    }
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    watched = [entry["eval_top1"] for entry in log if "eval_top1" in entry]
    assert len(watched) == 60
    assert max(watched) == json.loads((out / "best" / "top1.json").read_text())["top1"]
    assert sum("loss" in entry for entry in log) == 60
    card = (out / "README.md").read_text()
    assert "A Vision Transformer of 2 layers" in card
    assert "![attentions.png](attentions.png)" in card
    figures = metrics["explanation"]
    assert figures["method"] == "rollout"
    assert figures["strokes_area"] == pytest.approx(36 / 784, abs=5e-5)  # the square; the noise stays below middle grey
    assert 0 < figures["strokes"] < 1
    assert set(figures["gradient-rollout"]) == set(figures) - {"method", "pictures", "gradient-rollout"}
    with Image.open(out / "attentions.png") as grid:
        assert grid.size == (round(2.4 * 10 * 80), round(2.85 * 2 * 80))
    explainer = Explainer.from_pretrained(out, device="cpu")
    assert explainer.family is VIT
    assert explainer.model.config.num_channels == 1
    picture = Image.fromarray(digit(4, np.random.default_rng(9)))
    assert explainer(picture).attention_map.shape == (4, 4)
    assert main(["--recipe", "vit-mnist", "--evaluate", "--checkpoint", str(out), "--root", str(root)]) == 0


def test_the_references_numbers():
    recipe = RECIPES["vit-mnist"]
    values = recipe.values()
    network = [
        values[name] for name in ("test_size", "channels", "patch", "width", "mlp", "heads", "layers", "dropout")
    ]
    assert network == [28, 1, 7, 256, 768, 8, 6, 0.2]
    assert [values[name] for name in ("optimizer", "lr", "epochs", "train_batch")] == ["adam", 3e-4, 20, 32]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--heads", "7"], "--width 256 cannot be shared evenly by 7 --heads"),
        (["--patch", "6"], "a picture of 28 pixels cannot be cut into --patch 6 x 6"),
        (["--patch", "28"], "gives 1 patches of 28; 4 are the least"),
        (["--plain"], "knows no --plain"),
    ],
)
def test_the_references_rules(arguments, words, digits, capsys):
    root, _ = digits
    assert main(["--recipe", "vit-mnist", "--root", str(root), *arguments]) == 2
    assert words in capsys.readouterr().err
