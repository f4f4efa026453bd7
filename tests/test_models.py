"""Each visitor's model: by name, within limits, and the least recently used leaves."""

import shutil
import threading

import pytest
from helpers import in_threads, made_up_picture, tiny_model
from hub_stand_in import REPO, endpoint, hub

from abn.space.server import models as models_module
from abn.space.server.models import KEPT, Models
from abn.space.server.serving import Serving


@pytest.fixture
def root(tmp_path, tiny_folder):
    """A models' root with four folders, a lone file, and things that are no models."""
    root = tmp_path / "models"
    for index in range(4):
        folder = root / f"tiny-{index}"
        shutil.copytree(tiny_folder, folder)
        tiny_model(index).save_pretrained(folder)
    shutil.copyfile(tiny_folder / "model.safetensors", root / "lone.safetensors")
    (root / "empty").mkdir()
    (root / "notes.txt").write_text("no model")
    return root


@pytest.fixture
def serving():
    return Serving("compact")


def test_the_default_and_the_bundled_one_are_always_there(serving):
    models = Models(serving)
    assert models.of("") is models.of("compact") is models.of("bundled compact network") is serving.current
    assert models.listed() == ["bundled compact network"]


def test_local_folders_under_the_root_alone(serving, root):
    models = Models(serving, root)
    assert models.listed()[1:] == ["lone.safetensors", "tiny-0", "tiny-1", "tiny-2", "tiny-3"]
    served = models.of("tiny-1")
    found, expected = served.explainer.model.state_dict(), tiny_model(1).state_dict()
    assert all(found[name].equal(tensor) for name, tensor in expected.items())
    assert models.of("lone.safetensors").explainer(made_up_picture()).label
    beside = models.fetched.parent / "abn-models-beside"
    beside.mkdir(exist_ok=True)
    for name in ("../models/tiny-0", str(root / "tiny-0"), "empty", "notes.txt", "..", "tiny-9"):
        with pytest.raises(ValueError, match="cannot be used"):
            models.of(name)
    assert models.fetched.is_dir()
    assert beside.is_dir()  # a refused name deletes nothing but its own folder
    beside.rmdir()
    with pytest.raises(ValueError, match="neither in the list nor a Hub id"):
        Models(serving).of("tiny-0")


def test_two_are_kept_and_the_least_recently_used_leaves(serving, root):
    models = Models(serving, root)
    first, second = models.of("tiny-0"), models.of("tiny-1")
    assert models.of("tiny-0") is first
    models.of("tiny-2")
    assert KEPT == 2
    assert models.of("tiny-0") is first
    assert models.of("tiny-1") is not second  # it left, and is loaded again


def test_a_damaged_model_is_refused_in_words(serving, root):
    weights = root / "tiny-0" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    (root / "tiny-1" / "config.json").write_text('{"model_type": "resnet"}')
    models = Models(serving, root)
    with pytest.raises(ValueError, match=r"tiny-0 cannot be used: .*not a whole safetensors file") as raised:
        models.of("tiny-0")
    assert str(root) not in str(raised.value)
    with pytest.raises(ValueError, match="expected model_type 'abn'"):
        models.of("tiny-1")


def test_a_local_model_above_the_limit(serving, root, monkeypatch):
    monkeypatch.setattr(models_module, "LIMIT", 1000)
    with pytest.raises(ValueError, match="its weights are larger than 1e-06 GB"):
        Models(serving, root).of("tiny-0")


@pytest.mark.slow
def test_a_hub_id_is_fetched_aside_and_leaves_memory_and_later_the_disk(serving, root, tiny_folder, cache, monkeypatch):
    models, shares = Models(serving, root), []
    with hub(tiny_folder, REPO) as url:
        endpoint(monkeypatch, url)
        assert models.of(REPO, shares.append).name == REPO
    assert shares[-1] == 1
    assert not cache.exists()
    assert len(list(models.fetched.iterdir())) == 1
    assert REPO in models.listed()
    for name in ("tiny-0", "tiny-1"):
        models.of(name)
    assert REPO not in models.listed()
    with pytest.raises(ValueError, match="it is not in memory; choose it under Model first"):
        models.held(REPO)
    with hub(tiny_folder, REPO) as url:
        endpoint(monkeypatch, url)
        assert models.held("tiny-1") is models.of("tiny-1")
        models.of(REPO, shares.append)
    assert len(list(models.fetched.iterdir())) == 1
    monkeypatch.setattr(models_module, "ON_DISK", 0)
    with hub(tiny_folder, "someone/other") as url:
        endpoint(monkeypatch, url)
        models.of("someone/other")
    assert list(models.fetched.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "config.json").write_text('{"model_type": "resnet"}'), "one of 'abn', 'vit'"),
        (lambda folder: (folder / "config.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "model.safetensors").unlink(), "404"),
    ],
)
def test_what_is_no_abn_on_the_hub(change, words, serving, tiny_folder, cache, monkeypatch):
    change(tiny_folder)
    models = Models(serving)
    with hub(tiny_folder, REPO) as url:
        endpoint(monkeypatch, url)
        with pytest.raises(ValueError, match=f"{REPO} cannot be used: .*{words}"):
            models.of(REPO)
    assert list(models.fetched.iterdir()) == []
    assert models.of("") is serving.current


def test_weights_above_the_limit_are_not_downloaded(serving, tiny_folder, cache, monkeypatch):
    monkeypatch.setattr(models_module, "LIMIT", 1_000_000)
    size = (tiny_folder / "model.safetensors").stat().st_size
    assert size > 1_000_000
    models, shares = Models(serving), []
    with hub(tiny_folder, REPO) as url:
        endpoint(monkeypatch, url)
        with pytest.raises(ValueError, match=rf"its weights have {size / 1e9:.1f} GB; at most 0\.001 GB are allowed"):
            models.of(REPO, shares.append)
    assert shares == []


def test_visitors_who_want_the_same_model_load_it_once(serving, root, monkeypatch):
    loaded, found = [], []
    load = models_module.Explainer.from_pretrained

    def counted(source, **where):
        loaded.append(threading.get_ident())
        return load(source, **where)

    monkeypatch.setattr(models_module.Explainer, "from_pretrained", counted)
    models = Models(serving, root)
    in_threads(lambda index: found.append(models.of("tiny-3")), 4)
    assert len(loaded) == 1
    assert len(set(map(id, found))) == 1


def test_what_a_visitor_asks_for_is_fetched_without_the_owners_token(serving, monkeypatch):
    asked = {}

    def fetch(repo_id, **how):
        asked.update(how)
        raise models_module.hub.HubError("hub_unreachable")

    monkeypatch.setattr(models_module.hub, "fetch", fetch)
    with pytest.raises(ValueError, match="the Hub cannot be reached"):
        Models(serving).of("someone/private")
    assert asked["token"] is False
    assert asked["limit"] == 1_000_000_000


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.json", '{"model_type": "abn", "num_labels": 1000000000}', "num_labels must be 1 to 100,000"),
        ("config.json", '{"model_type": "abn", "arch": "resnet152", "width": 4096}', "2 to 1024; got 4096"),
        ("config.json", '{"model_type": "abn", "arch": "resnet6000002-cifar"}', "arch must be one of"),
        ("config.json", '{"model_type": "abn", "arch": "resnet152", "width": 512}', "do not fit its config"),
        (
            "preprocessor_config.json",
            '{"image_processor_type": "AbnImageProcessor", "crop_size": {"height": 20000, "width": 20000}}',
            "must be 2048 pixels at most; got 20000",
        ),
    ],
)
def test_what_a_file_claims_takes_no_memory(file, content, words, serving, root):
    (root / "tiny-0" / file).write_text(content)
    with pytest.raises(ValueError, match=words):
        Models(serving, root).of("tiny-0")
