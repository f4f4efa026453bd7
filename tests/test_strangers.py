"""Strangers' checkpoints: what they claim takes no memory and no time, and what is wrong with them is a sentence."""

import json
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import in_threads, tiny_model, vision_transformer, wait_for
from hub_stand_in import REPO, endpoint, hub
from safetensors.torch import load_file, save_file
from transformers import ViTConfig

from abn import AbnImageProcessor, Explainer, stopping
from abn.checkpoints.transformer import checked_config, load_vit
from abn.classes import shown_names
from abn.space.faults import Fault
from abn.space.server import limits, trial, trial_process, visitors
from abn.space.server import models as models_module
from abn.space.server.budgets import LOADS, Bucket
from abn.space.server.metrics_file import metrics_of
from abn.space.server.models import Models
from abn.space.server.serving import Serving, reason_of


@pytest.fixture(scope="module")
def serving():
    return Serving("compact")


@pytest.fixture
def transformer(tmp_path):
    folder = tmp_path / "vit"
    vision_transformer().save_pretrained(folder)
    return folder


def changed(file: Path, **fields) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


# A transformer's config


def test_a_transformers_shapes_are_compared_before_memory_is_taken(transformer):
    """2048 wide and 48 deep: 9 GB."""
    changed(transformer / "config.json", hidden_size=2048, num_hidden_layers=48, intermediate_size=8192)
    with pytest.raises(ValueError, match="tensors are missing or of the wrong shape"):
        load_vit(transformer)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image_size": 1024, "patch_size": 1}, "its attention takes"),
        ({"image_size": 512, "patch_size": 8, "num_hidden_layers": 40}, r"4,097 tokens"),
        ({"num_attention_heads": 65}, "num_attention_heads must be a whole number, 64 at most"),
        ({"num_attention_heads": 7}, "is not a multiple of 7 heads"),
        ({"patch_size": 0}, "patch_size must be a whole number"),
        ({"patch_size": 5}, "is not a multiple of patch_size"),
        ({"image_size": 30000.0}, "image_size must be a whole number"),
        ({"image_size": True}, "image_size must be a whole number"),
        ({"intermediate_size": 10**9}, "intermediate_size must be a whole number, 8,192 at most"),
        ({"num_channels": 1000}, "num_channels must be"),
        ({"hidden_act": "sleep"}, "hidden_act must be one of"),
        ({"layer_norm_eps": "x"}, "layer_norm_eps must be a number"),
        ({"qkv_bias": "x"}, "qkv_bias must be true or false"),
        ({"id2label": None, "num_labels": 10**9}, "num_labels must be a whole number"),
    ],
)
def test_a_transformers_config_is_bounded(transformer, fields, words):
    changed(transformer / "config.json", **fields)
    with pytest.raises(ValueError, match=words):
        load_vit(transformer)


def test_usual_transformers_fit():
    for shape in ((224, 16, 768, 12, 12), (384, 16, 1024, 24, 16), (224, 14, 1280, 32, 16)):
        names = ("image_size", "patch_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
        checked_config(dict(zip(names, shape, strict=True)))


def test_how_it_is_computed_is_not_a_configs_to_say(transformer, tiny_folder):
    said = {"_attn_implementation": "flex_attention", "quantization_config": {"quant_method": "bitsandbytes"}}
    said |= {"output_attentions": True, "torchscript": True}
    for folder in (transformer, tiny_folder):
        before = Explainer.from_pretrained(folder)(torch.zeros(3, 64, 64)).probabilities
        changed(folder / "config.json", **said)
        assert Explainer.from_pretrained(folder)(torch.zeros(3, 64, 64)).probabilities == before
    assert not hasattr(checked_config({**ViTConfig().to_dict(), **said}), "quantization_config")


# Processors


@pytest.mark.parametrize(
    "fields",
    [
        {"size": {"shortest_edge": 30000.0}},
        {"size": {"shortest_edge": -1}},
        {"size": {"height": 0, "width": 10}},
        {"crop_size": {"height": "x", "width": 3}},
        {"crop_size": {"height": True, "width": 3}},
        {"image_std": [0.0, 1.0, 1.0]},
        {"image_mean": [float("nan")] * 3},
        {"image_mean": ["x"]},
    ],
)
def test_a_processors_numbers_are_whole_and_positive(fields):
    with pytest.raises(ValueError, match=r"must be (a whole number of pixels|up to 4 finite numbers)"):
        AbnImageProcessor(**fields)


# The trial


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"do_resize": False, "do_center_crop": False}, "stranger_pixels"),
        ({"do_center_crop": False}, "stranger_pixels"),  # a strip of 100 x 60,000 pixels
        ({"crop_size": {"height": 2048, "width": 2048}}, "stranger_pixels"),
    ],
)
def test_a_picture_is_made_small(fields, key):
    with pytest.raises(trial_process.Wrong) as wrong:
        trial_process.checked(Explainer(tiny_model(), AbnImageProcessor(**fields), device="cpu"))
    assert wrong.value.key == key


@pytest.mark.parametrize("folder", ["bundled", pytest.param("tiny_folder", marks=pytest.mark.slow)])
def test_a_trial_ends_well(folder, request):
    trial.tried(request.getfixturevalue(folder))


def test_a_transformers_trial_ends_well(transformer):
    assert trial_process.main(str(transformer))["seconds"] < 5


def test_what_does_not_answer_with_numbers_is_refused(tiny_folder):
    weights = load_file(tiny_folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("perception_branch.fc.weight"))
    weights[name] = torch.full_like(weights[name], 1e38)
    save_file(weights, tiny_folder / "model.safetensors", metadata={"format": "pt"})
    assert trial_process.main(str(tiny_folder)) == {"key": "stranger_not_finite", "values": {}}


def test_many_classes_are_refused(monkeypatch, tiny_folder):
    monkeypatch.setattr(limits, "CLASSES", 9)
    assert trial_process.main(str(tiny_folder))["key"] == "stranger_classes"


def test_a_slow_one_is_refused(monkeypatch, tiny_folder):
    monkeypatch.setattr(limits, "PASS_SECONDS", 0.0)
    assert trial_process.main(str(tiny_folder))["key"] == "stranger_slow"


def program(monkeypatch, text: str) -> None:
    """A Python program in the trial's place."""
    popen = trial.subprocess.Popen
    monkeypatch.setattr(trial.subprocess, "Popen", lambda _, **how: popen([sys.executable, "-c", text], **how))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import time; x = bytearray(300_000_000); time.sleep(60)", "needs more than 0.2 GB of memory"),
        ("import time; time.sleep(60)", "a picture takes it 1 s or more"),
        ("import os; os.abort()", "do not make a network that answers"),
        ("print('nonsense')", "do not make a network that answers"),
        ("""print('{"words": "its tensors are not its own"}')""", "its tensors are not its own"),
    ],
)
def test_a_trial_is_killed_or_believed(monkeypatch, text, words, tmp_path):
    monkeypatch.setattr(limits, "TRIAL_BYTES", 200_000_000)
    monkeypatch.setattr(limits, "TRIAL_SECONDS", 1.0 if "bytearray" not in text else 30.0)
    program(monkeypatch, text)
    began = time.monotonic()
    with pytest.raises(ValueError, match=words):
        trial.tried(tmp_path)
    assert time.monotonic() - began < 20


def test_a_trial_ends_when_its_visitor_leaves(monkeypatch, tmp_path):
    program(monkeypatch, "import time; time.sleep(60)")
    began = time.monotonic()
    with stopping.when(lambda: time.monotonic() - began > 0.3), pytest.raises(stopping.Stopped):
        trial.tried(tmp_path)
    assert time.monotonic() - began < 5


# Loading


@pytest.fixture
def tries(monkeypatch):
    """The folders that were tried, without a process."""
    folders = []
    monkeypatch.setattr(models_module, "tried", folders.append)
    LOADS._held.clear()
    return folders


def test_only_strangers_are_tried(serving, tries, tiny_folder, cache, monkeypatch, tmp_path):
    models = Models(serving, tiny_folder.parent)
    models.of("tiny")
    assert tries == []
    with hub(tiny_folder, REPO) as url:
        endpoint(monkeypatch, url)
        models.of(REPO)
    assert len(tries) == 1


def test_a_refusal_is_remembered_for_ten_minutes(serving, tries, tiny_folder, cache, monkeypatch):
    models, fetched = Models(serving), []
    fetch = models_module.hub.fetch
    monkeypatch.setattr(models_module.hub, "fetch", lambda name, **how: fetched.append(name) or fetch(name, **how))
    (tiny_folder / "config.json").write_text("{")
    with hub(tiny_folder, REPO) as url:
        endpoint(monkeypatch, url)
        for _ in range(3):
            with pytest.raises(Fault, match="not JSON"):
                models.of(REPO)
        assert len(fetched) == 1
        monkeypatch.setattr(limits, "REFUSAL_SECONDS", 0.0)
        with pytest.raises(Fault, match="not JSON"):
            models.of(REPO)
    assert len(fetched) == 2


def test_nobody_has_models_loaded_without_end(serving, tries, monkeypatch):
    def none(*args, **how):
        raise models_module.hub.HubError("hub_unreachable")

    monkeypatch.setattr(models_module.hub, "fetch", none)
    monkeypatch.setattr(models_module, "LOADS", Bucket(3, 3600))
    models, words = Models(serving), []
    for index in range(4):
        with pytest.raises(Fault) as fault:
            models.of(f"someone/model-{index}")
        words.append(str(fault.value))
    assert "the Hub cannot be reached" in words[2]
    assert "many models loaded" in words[3]
    models._often = Bucket(2, 3600)
    monkeypatch.setattr(models_module, "LOADS", Bucket(30, 3600))
    monkeypatch.setattr(limits, "REFUSAL_SECONDS", 0.0)
    for words in ("cannot be reached", "cannot be reached", "loaded many times"):
        with pytest.raises(Fault, match=words):
            models.of("someone/again")


def test_a_model_that_loads_is_nobody_elses_wait(serving, tries, tiny_folder, monkeypatch):
    """One visitor's slow Hub; another's folder, the default, and who wants too much at a time."""
    import threading

    go_on, waits = threading.Event(), []

    def slow(name, **how):
        waits.append(name)
        go_on.wait(20)
        raise models_module.hub.HubError("hub_late")

    monkeypatch.setattr(models_module.hub, "fetch", slow)
    monkeypatch.setattr(visitors, "current", lambda: "192.0.2.1")
    models = Models(serving, tiny_folder.parent)
    ended = []

    def ask(index):
        try:
            models.of(f"slow/{index}")
        except Fault as fault:
            ended.append(str(fault))

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(limits.LOADING_A_VISITOR)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(waits) == limits.LOADING_A_VISITOR)
    ask(9)
    assert "too many models are being loaded" in ended[0]
    assert models.of("") is serving.current
    monkeypatch.setattr(visitors, "current", lambda: "192.0.2.2")
    assert models.of("tiny").name == "tiny"
    go_on.set()
    for thread in threads:
        thread.join()


def test_who_leaves_stops_waiting_for_the_hub(serving, tries, tiny_folder, cache, monkeypatch):
    with hub(tiny_folder, REPO, mode="hang") as url:
        endpoint(monkeypatch, url)
        began = time.monotonic()
        with stopping.when(lambda: time.monotonic() - began > 0.3), pytest.raises(stopping.Stopped):
            Models(serving).of(REPO)
        assert time.monotonic() - began < 3


def test_offline_the_owners_cache_is_nobody_elses(serving, tries, cache, monkeypatch):
    monkeypatch.setattr(models_module.constants, "HF_HUB_OFFLINE", True)
    asked = []
    monkeypatch.setattr(models_module.hub, "fetch", lambda *args, **how: asked.append(args))
    with pytest.raises(
        Fault, match="owner/private cannot be used: it is not in the list, and the Hub is not asked here"
    ):
        Models(serving).of("owner/private")
    assert asked == []


def test_weights_in_memory_are_bounded(serving, tries, tiny_folder, monkeypatch):
    monkeypatch.setattr(limits, "HELD_BYTES", 1)
    root = tiny_folder.parent
    tiny_model(1).save_pretrained(root / "other")
    models = Models(serving, root)
    models.of("tiny")
    models.of("other")
    assert list(models._held) == ["other"]


def test_a_library_error_is_a_sentence():
    assert str(reason_of(KeyError("x"), Path("a"), "a")) == "its files do not make a network that answers"


# metrics.json and labels


def test_metrics_are_typed_and_bounded(tmp_path):
    text = '{"top1": 1%s, "loss": NaN, "top5": 99.5, "dataset": "%s", "list": [%s], "flag": true'
    text += ', "deep": [[[[[[1]]]]]]}'
    (tmp_path / "metrics.json").write_text(text % ("0" * 400, "x" * 1000, "1," * 5000 + "1"))
    found = metrics_of(tmp_path)
    assert (found["top1"], found["loss"], found["top5"], found["flag"]) == (None, None, 99.5, True)
    assert len(found["dataset"]) == 300
    assert len(found["list"]) == 2000
    assert found["deep"] == [[[None]]]
    for text in ("[" * 100_000, "7", "{", '{"a": "' + "x" * 1_000_000 + '"}'):
        (tmp_path / "metrics.json").write_text(text)
        assert metrics_of(tmp_path) is None


def test_labels_are_cut():
    names = shown_names({0: "a" * 1000, 1: "a" * 2000, 2: "b"})
    assert names[0].startswith("a" * 199 + "…")
    assert len(set(names)) == 3
    assert max(map(len, names)) < 210


def test_many_ask_for_the_same_stranger_at_once(serving, tries, tiny_folder, cache, monkeypatch):
    models, found = Models(serving), []
    with hub(tiny_folder, REPO) as url:
        endpoint(monkeypatch, url)
        in_threads(lambda index: found.append(models.of(REPO)), 4)
    assert len(tries) == 1
    assert len(set(map(id, found))) == 1
