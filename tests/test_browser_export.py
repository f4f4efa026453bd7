"""The page without a server, as files: the graphs against PyTorch, what the page is told, and what is refused."""

import io
import json
import math
import re
from functools import lru_cache

import numpy as np
import pytest
import torch
from helpers import made_up_picture, tiny_model, vision_transformer
from PIL import Image

from abn import AbnConfig, AbnForMultiTaskClassification, AbnImageProcessor, Explainer
from abn.browser import export as exporting
from abn.browser import runtime as fetching
from abn.browser.__main__ import main
from abn.browser.export import index, page_files
from abn.browser.facts import facts_of, waves
from abn.browser.graphs import FEWEST, PERCEIVE, SEE, export
from abn.browser.pictures import MOST, examples, opening
from abn.calibration import Calibration
from abn.folding import folded
from abn.methods import METHODS, forward_parts
from abn.space.locale import CATALOGUES, LANGUAGES

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
SIZES = [(64, 64), (96, 32), (208, 288), (80, 208)]


class Graphs:
    """Both graphs, as the page runs them."""

    def __init__(self, folder):
        self.see, self.perceive = (onnxruntime.InferenceSession(str(folder / name)) for name in (SEE, PERCEIVE))

    def look(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        features, attention_map, attention_cams = self.see.run(None, {"pixel_values": pixels})
        return {
            "features": features,
            "map": attention_map,
            "attention_cams": attention_cams,
            **self.under(features, attention_map),
        }

    def under(self, features, attention_map) -> dict[str, np.ndarray]:
        logits, cams = self.perceive.run(None, {"features": features, "attention_map": attention_map})
        return {"logits": logits, "cams": cams}


@lru_cache
def halved(model):
    """The network that the graphs hold: batch norms folded, larger weights rounded to half precision."""
    model = folded(model)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.numel() >= FEWEST:
                weight.copy_(weight.half().float())
    return model


def exported(model, folder) -> Graphs:
    export(model, folder)
    return Graphs(folder)


def network(seed: int = 0, **changes):
    """A tiny network whose map is not the same at every place: not saturated."""
    model = tiny_model(seed, **changes)
    with torch.no_grad():
        model.model.attention_branch.map_conv.weight.mul_(0.02)
    return model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    model = network(padding="replicate", stem="3x3x3", shortcut="avgpool")
    return model, exported(model, tmp_path_factory.mktemp("tiny"))


def near(found: np.ndarray, wanted: torch.Tensor) -> None:
    assert np.allclose(found, wanted.numpy(), rtol=1e-5, atol=5e-5)


def pixels_of(size) -> torch.Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", SIZES)
def test_the_graphs_are_the_network_at_any_size(tiny, size):
    model, graphs = tiny
    pixels = pixels_of(size)
    found = graphs.look(pixels.numpy())
    with torch.no_grad():
        expected = halved(model)(pixel_values=pixels)
    assert found["map"].shape == (1, 1, math.ceil(size[0] / 16), math.ceil(size[1] / 16))
    assert np.ptp(found["map"]) > 0.01
    near(found["map"], expected.attention_map)
    near(found["attention_cams"].mean((2, 3)), expected.attention_logits)
    near(found["logits"], expected.logits)


def test_an_edited_map_reaches_the_perception_branch(tiny):
    model, graphs = tiny
    found = graphs.look(pixels_of((96, 128)).numpy())
    edited = np.random.default_rng(2).uniform(-1, 1, found["map"].shape).astype(np.float32)
    with torch.no_grad():
        expected = halved(model).model.perception_branch(*map(torch.from_numpy, (found["features"], edited)))
    after = graphs.under(found["features"], edited)["logits"]
    near(after, expected)
    assert np.abs(after - found["logits"]).max() > 1e-3


OTHERS = [
    pytest.param({"attention_head": "A"}, marks=pytest.mark.slow),
    {"attention_head": "B", "residual_attention": False},
]


@pytest.mark.parametrize("changes", OTHERS)
def test_other_heads_and_a_map_alone(tmp_path, changes):
    model = network(1, **changes)
    graphs, pixels = exported(model, tmp_path), pixels_of((64, 96))
    found = graphs.look(pixels.numpy())
    with torch.no_grad():
        expected = halved(model)(pixel_values=pixels)
    near(found["map"], expected.attention_map)
    near(found["logits"], expected.logits)
    near(found["attention_cams"].mean((2, 3)), expected.attention_logits)


@pytest.mark.parametrize(("method", "cams"), [("grad-cam", "cams"), ("attention-cam", "attention_cams")])
def test_cams_in_the_graphs_are_the_methods(tiny, method, cams):
    model, graphs = tiny
    model, pixels = halved(model), pixels_of((96, 160))
    found = graphs.look(pixels.numpy())[cams][0]
    with torch.no_grad():
        parts = forward_parts(model, pixels)
    for target in range(3):
        wanted = METHODS[method].compute(model, pixels, parts, torch.tensor([target]))[0].numpy()
        own = np.maximum(found[target], 0)
        assert np.abs(own / max(own.max(), 1e-30) - wanted).max() < 1e-4


@pytest.mark.slow
def test_the_bundled_network_in_half_precision(tmp_path, bundled):
    """Its files, and what half precision does to its answers: measured on drawings, 0.003 of a probability at most."""
    from abn.space.drawings import DRAWINGS

    explainer = Explainer.from_pretrained(bundled, device="cpu")
    graphs = exported(explainer.model, tmp_path)
    assert sum((tmp_path / name).stat().st_size for name in (SEE, PERCEIVE)) < 9.9e6
    for file in list(DRAWINGS.values())[::3]:
        pixels = explainer.pixel_values([explainer.read(str(file), "whole")], "whole")
        found, expected = graphs.look(pixels.numpy()), explainer.model(pixel_values=pixels)
        temperature = explainer.calibration.temperature
        own = torch.softmax(torch.from_numpy(found["logits"]) / temperature, 1)
        wanted = torch.softmax(expected.logits.detach() / temperature, 1)
        assert (own - wanted).abs().max() < 5e-3
        assert own.argmax() == wanted.argmax()
        assert np.abs(found["map"] - expected.attention_map.detach().numpy()).max() < 5e-3


@pytest.mark.slow
def test_a_graph_names_nothing_of_the_machine_that_made_it(tiny, tmp_path):
    exported(tiny[0], tmp_path)
    for name in (SEE, PERCEIVE):
        assert b".py" not in (tmp_path / name).read_bytes()
        graph = onnx.load(tmp_path / name).graph
        large = [tensor for tensor in graph.initializer if math.prod(tensor.dims) >= FEWEST]
        assert large
        assert {tensor.data_type for tensor in large} == {onnx.TensorProto.FLOAT16}


# --- What the page is told


def explainer_of(model, calibration=None, **how) -> Explainer:
    how = {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}, **how}
    return Explainer(model, AbnImageProcessor(**how), calibration=calibration, device="cpu")


def test_facts_are_the_checkpoints():
    calibration = Calibration(
        temperature=0.5, attention_temperature=0.75, energy_threshold=3.0, branches="both", map_weight=1.5
    )
    explainer = explainer_of(tiny_model(id2label={0: "cat", 1: "dog", 2: "猫"}), calibration)
    facts = json.loads(json.dumps(facts_of(explainer, "pets")))
    assert facts["labels"] == ["cat", "dog", "猫"]
    assert facts["name"] == "pets"
    assert facts["calibration"]["temperature"] == 0.5
    assert facts["calibration"]["attention_temperature"] == 0.75
    assert facts["calibration"]["energy_threshold"] == 3.0
    assert (facts["calibration"]["branches"], facts["calibration"]["map_weight"]) == ("both", 1.5)
    assert facts["processor"]["size"] == {"shortest_edge": 72}
    assert facts["processor"]["crop"] == {"height": 64, "width": 64}
    bytes_ = np.arange(256, dtype=np.float32)[:, None]
    mean, std = (np.float32(facts["processor"][name]) for name in ("mean", "std"))
    stack = np.repeat(bytes_[:, None], 3, 2).astype(np.uint8)
    wanted = explainer.processor(stack, do_resize=False, do_center_crop=False, return_tensors="np")["pixel_values"]
    assert np.array_equal((bytes_ - mean) / std, wanted[0, :, :, 0].T)
    with torch.no_grad():
        logits = explainer.model(pixel_values=torch.from_numpy(waves(facts["proof"]["side"]))).logits[0]
    assert facts["proof"]["logits"] == pytest.approx(logits.tolist())


def test_examples_are_spread_over_the_classes_and_reduced(tmp_path):
    for name, count in {"n01440764": 31, "dog": 3}.items():
        (tmp_path / name).mkdir()
        for place in range(count):
            made_up_picture(600, 400, seed=place).save(tmp_path / name / f"{place:03d}.bmp")
    listed, files = examples(tmp_path, ["tench", "dog"])
    assert [one["label"] for one in listed] == ["dog"] * 3 + ["tench"] * (MOST // 2)
    assert not any(one["drawn"] for one in listed)
    assert set(files) == {f"{one['id']}{end}" for one in listed for end in (".jpg", ".small.jpg")}
    assert Image.open(io.BytesIO(files["01.jpg"])).size == (512, 341)
    assert Image.open(io.BytesIO(files["01.small.jpg"])).size == (144, 96)


def test_the_page_opens_with_an_example_that_is_answered_rightly(bundled):
    explainer = Explainer.from_pretrained(bundled, device="cpu")
    listed, files = examples(None, explainer.labels)
    first = opening(listed, files, explainer)
    answers = {
        one["id"]: explainer(Image.open(io.BytesIO(files[f"{one['id']}.jpg"])), view="whole").label for one in listed
    }
    right = [one["id"] for one in listed if answers[one["id"]] == one["label"]]
    assert first == right[0] != listed[0]["id"]


def test_the_page_is_made_of_the_spaces_own_modules():
    files = page_files()
    for name in ("page.js", "pictures.js", "widgets/stage/stage.js", "widgets/stage/paint.js", "tabs/edit.js"):
        assert files[name] == (exporting.SPACE / name).read_bytes()
    assert files["ask.js"] == (exporting.SITE / "ask.js").read_bytes() != (exporting.SPACE / "ask.js").read_bytes()
    page = index("0123")
    assert 'data-tab="gallery"' not in page
    for tab in exporting.TABS:
        assert f'id="abn-{tab}"' in page


def test_modules_of_the_first_answer_are_named_in_the_page():
    page = index("0123")
    named = re.findall('<link rel="modulepreload" href="0123/([^"]+)">', page)
    assert {"start.js", "page.js", "ask.js", "network.js", "widgets/stage/stage.js", "widgets/stage/paint.js"} <= set(
        named
    )
    assert len(named) == len(set(named)) > 15
    assert set(named) <= set(page_files())
    assert "worker.js" not in named  # another world than the page's
    assert "tabs/edit.js" not in named


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_are_the_spaces_and_the_pages_own(language):
    own = json.loads((exporting.SITE / "locale" / f"{language}.json").read_text(encoding="utf-8"))
    other = json.loads((exporting.SITE / "locale" / "en.json").read_text(encoding="utf-8"))
    assert list(own) == list(other)
    words = json.loads(page_files()[f"locale/{language}.json"])
    assert words == CATALOGUES[language] | own
    scripts = b"".join(file.read_bytes() for file in exporting.SITE.rglob("*") if file.suffix in (".js", ".html"))
    for key in own:
        assert key in CATALOGUES[language] or f"'{key}'".encode() in scripts or f'"{key}"'.encode() in scripts


# --- What is refused, in one line


def refused(capsys, *arguments) -> str:
    assert main([str(each) for each in arguments]) == 2
    words = capsys.readouterr().err.strip().splitlines()[-1]
    assert words.startswith("error: ")
    return words


def saved(model, folder, **how):
    model.save_pretrained(folder)
    AbnImageProcessor(**how).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: vision_transformer().save_pretrained(folder) or folder, "only an Attention Branch Network"),
        (
            lambda folder: (
                AbnForMultiTaskClassification(
                    AbnConfig(arch="resnet18", width=8, multitask="v1", id2label={0: "round", 1: "red"})
                ).save_pretrained(folder)
                or folder
            ),
            "only an Attention Branch Network",
        ),
        (lambda folder: saved(tiny_model(attention_head="E"), folder), "not bounded"),
        (lambda folder: saved(tiny_model(), folder, resample=3), "bilinear"),
    ],
    ids=["transformer", "tasks", "unbounded", "bicubic"],
)
def test_networks_that_the_page_cannot_show(tmp_path, capsys, make, words):
    folder = make(tmp_path / "network")
    assert words in refused(capsys, "--checkpoint", folder, "--out", tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_networks_that_are_too_large(tmp_path, tiny_folder, capsys):
    words = refused(capsys, "--checkpoint", tiny_folder, "--largest", "0.1", "--out", tmp_path / "site")
    assert "0.1 MB (--largest)" in words


def test_classes_without_drawings_want_examples(tmp_path, tiny_folder, capsys):
    assert "--examples" in refused(capsys, "--checkpoint", tiny_folder, "--out", tmp_path / "site")


def test_a_runtime_of_another_version_is_refused(tmp_path, capsys):
    (tmp_path / "dist").mkdir()
    arguments = ("--checkpoint", "compact", "--runtime", tmp_path, "--out", tmp_path / "site")
    assert "lacks ort.wasm.min.mjs" in refused(capsys, *arguments)
    for name in fetching.FILES:
        (tmp_path / "dist" / name).write_bytes(b"another")
    assert "is not that of onnxruntime-web" in refused(capsys, *arguments)


def test_without_npm_it_says_how_to_bring_the_runtime(monkeypatch):
    monkeypatch.setattr(fetching.shutil, "which", lambda name: None)
    with pytest.raises(OSError, match="--runtime"):
        fetching.runtime()


def test_a_folder_of_other_things_is_not_written_over(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr("abn.browser.runtime.runtime", lambda folder: dict.fromkeys(fetching.FILES, b""))
    assert "holds other things" in refused(capsys, "--checkpoint", "compact", "--out", tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
