"""Which of a checkpoint's classes is which of the data's."""

import json
import re
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import TINY, tiny_model
from PIL import Image

from abn import AbnConfig, AbnImageProcessor, imagenette
from abn.classes import IMAGENET
from train.naming import check_same_order, class_order
from train.run import main
from train.sources import Source

REFERENCE = ("Tinca tinca", "English springer spaniel", "cassette player", "chainsaw", "church building", "horn")
REFERENCE += ("dustcart", "island dispenser", "golf ball", "chute")  # what the reference's training left in id2label


class Model:
    def __init__(self, labels, label2id=None):
        self.config = AbnConfig(id2label=dict(enumerate(labels)), label2id=label2id)


def source(classes, name="data") -> Source:
    return Source(name, tuple(classes), [], [], Path("."))


NFC, NFD = (unicodedata.normalize(form, "がぎ") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("labels", "classes", "order"),
    [
        (("dark", "light"), ("dark", "light"), [0, 1]),
        (("light", "dark"), ("dark", "light"), [1, 0]),
        (("b", "c", "a"), ("a", "b", "c"), [2, 0, 1]),
        (("sea lion", "Ice-Bear"), ("ice_bear", "sea_lion"), [1, 0]),
        (("b", "B"), ("B", "b"), [1, 0]),  # exactly first, loosely then
        (("C++", "C#", "C"), ("C", "C#", "C++"), [2, 1, 0]),
        ((NFD, "x"), ("x", NFC), [1, 0]),
        ((NFC, "x"), ("x", NFD), [1, 0]),
        (("x", "a", "y", "b"), ("a", "b"), [1, 3]),  # knows more
        (("5 o'clock shadow", "bald"), ("Bald", "5_o_Clock_Shadow"), [1, 0]),
        (("LABEL_0", "LABEL_1"), ("dark", "light"), [0, 1]),
        (imagenette.CLASSES, imagenette.WNIDS, list(range(10))),
        (imagenette.CLASSES[::-1], imagenette.WNIDS, list(range(9, -1, -1))),
        (imagenette.WNIDS[::-1], imagenette.CLASSES, list(range(9, -1, -1))),
        (REFERENCE, imagenette.CLASSES, list(range(10))),
        (REFERENCE[::-1], imagenette.WNIDS, list(range(9, -1, -1))),
        (imagenette.CLASSES, REFERENCE[::-1], list(range(9, -1, -1))),
        (("English springer, English springer spaniel", "tench, Tinca tinca"), ("tench", "English springer"), [1, 0]),
        (IMAGENET, imagenette.WNIDS, [0, 217, 482, 491, 497, 566, 569, 571, 574, 701]),
    ],
)
def test_classes_go_by_name(labels, classes, order):
    assert class_order("checkpoint", Model(labels), source(classes)) == order


def test_aliases_of_label2id_count():
    model = Model(("hound", "puss"), {"hound": 0, "dog": 0, "puss": 1, "cat": 1})
    assert class_order("checkpoint", model, source(("cat", "dog"))) == [1, 0]


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        (("dark", "light"), ("black", "light"), "knows other classes than data: 'dark' in place of 'black'"),
        (("dark", "light"), ("light", "white"), "knows other classes than data: 'dark' in place of 'white'"),
        (("dark", "light"), ("dark", "light", "grey"), "knows 2 classes; data has 3, among them 'grey'"),
        (("a", "b", "c"), ("a", "d"), "knows 3 classes; data has 2, among them 'd'"),
        (("crane", "crane", "bird"), ("bird", "crane"), "knows 2 classes that 'crane' of data could be"),
        (("French horn", "hoof"), ("horn", "hoof"), "'French horn' in place of 'horn'"),  # an animal's
        (("A-b", "c"), ("a b", "a_b"), "knows one class, 'A-b', for both 'a b' and 'a_b' of data"),
    ],
)
def test_other_classes_are_refused_by_name(labels, classes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        class_order("checkpoint", Model(labels), source(classes))


def test_training_wants_the_order_too():
    check_same_order("checkpoint", Model(REFERENCE), source(imagenette.CLASSES, "Imagenette"))
    with pytest.raises(ValueError, match="in another order: 'light' in place of 'dark'; it can be evaluated"):
        check_same_order("checkpoint", Model(("light", "dark")), source(("dark", "light")))
    with pytest.raises(ValueError, match="checkpoint knows 3 classes; data has 2"):
        check_same_order("checkpoint", Model(("dark", "light", "grey")), source(("dark", "light")))


@pytest.fixture
def shades(tmp_path):
    """Three classes of grey, four pictures each."""
    root = tmp_path / "shades"
    for split in ("train", "val"):
        for place, name in enumerate(("dark", "grey", "light")):
            (root / split / name).mkdir(parents=True)
            for number in range(4):
                pixels = np.random.default_rng([place, number]).integers(80 * place, 80 * place + 80, (48, 48, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{number}.png")
    return root


def saved(model, folder):
    model.save_pretrained(folder)
    AbnImageProcessor(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}).save_pretrained(folder)
    return folder


def figures_of(folder, data, capsys) -> tuple[dict, str]:
    from train import fit

    found = {}
    plain = fit.evaluate

    def keep(*given):
        found.update(plain(*given))

    fit.evaluate = keep
    try:
        assert main(["--evaluate", "--checkpoint", str(folder), "--data", str(data), "--explain", "0"]) == 0
    finally:
        fit.evaluate = plain
    return found, capsys.readouterr().out


def test_another_order_gives_the_same_figures(shades, tmp_path, capsys):
    """The same network with its classes in another order."""
    names = ("dark", "grey", "light")
    model = tiny_model(seed=3, id2label=dict(enumerate(names)))
    with torch.no_grad():  # so that it is right on some pictures, and not on all
        model.model.perception_branch.fc.weight.normal_(0, 2)
    expected, _ = figures_of(saved(model, tmp_path / "one"), shades, capsys)
    assert 0 < expected["top1"] < 100
    order = [2, 0, 1]
    other = tiny_model(seed=3, id2label={place: names[index] for place, index in enumerate(order)})
    reordered = model.state_dict()
    for name, tensor in reordered.items():
        if "branch" in name and ".stage." not in name and tensor.ndim:
            tensor = tensor[order] if tensor.shape[0] == 3 else tensor
            tensor = tensor[:, order] if tensor.ndim == 4 and tensor.shape[1] == 3 else tensor
        reordered[name] = tensor
    other.load_state_dict(reordered)
    found, _ = figures_of(saved(other, tmp_path / "other"), shades, capsys)
    for key in ("top1", "attention_top1", "per_class", "confusion_matrix"):
        assert found[key] == expected[key], key
    assert found["loss"] == pytest.approx(expected["loss"], abs=1e-5)
    assert list(found["per_class"]) == list(names)


def test_a_checkpoint_of_more_classes_answers_among_the_datas(shades, tmp_path, capsys):
    labels = ("light", "lamp", "dark", "grey")
    model = tiny_model(seed=1, id2label=dict(enumerate(labels)))
    folder = saved(model, tmp_path / "more")
    found, told = figures_of(folder, shades, capsys)
    assert f"{folder} knows 1 more classes: it answers among the 3 of shades alone" in told
    assert np.shape(found["confusion_matrix"]) == (3, 3)
    assert found["pictures"] == 12
    (tmp_path / "fewer").mkdir()
    shutil.copytree(folder, tmp_path / "fewer", dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"]["0"], config["label2id"] = "lit", None
    (tmp_path / "fewer" / "config.json").write_text(json.dumps(config))
    assert main(["--evaluate", "--checkpoint", str(tmp_path / "fewer"), "--data", str(shades)]) == 2
    assert "knows 4 classes; shades has 3, among them 'light'" in capsys.readouterr().err


def test_a_run_cannot_start_from_another_order(shades, tmp_path, capsys):
    folder = saved(tiny_model(id2label=dict(enumerate(("light", "grey", "dark")))), tmp_path / "start")
    arguments = ["--data", str(shades), "--checkpoint", str(tmp_path / "out"), *TINY[2:], "--initial", str(folder)]
    assert main([*arguments, "--epochs", "1"]) == 2
    assert "has the classes of shades in another order: 'light' in place of 'dark'" in capsys.readouterr().err
