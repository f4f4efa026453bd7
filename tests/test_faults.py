"""Every error that a visitor can meet, provoked in the code that raises it, in words and in the visitor's language."""

import copy
import json
import pickle
import re
import shutil
import urllib.error
from email.message import Message
from types import SimpleNamespace

import gradio as gr
import pytest
from helpers import made_up_picture
from hub_stand_in import REPO, endpoint, hub
from provoked import (
    CONFIGS,
    FOLDERS,
    KINDS,
    LONE_FILES,
    MISFITS,
    PICTURES,
    TWO,
    pickled,
    tensors,
    without_memory,
    written,
)

from abn import Explainer
from abn.comparison import Comparison
from abn.editing import checked_map
from abn.errors import ENGLISH, AbnError, AbnFileError
from abn.hub import HubError, fetch
from abn.model.errors import KeyedError, ModelError, NumberError, PictureError
from abn.model.pictures import load_rgb
from abn.space.answers import Answers
from abn.space.faults import Fault, in_words, saying_why
from abn.space.locale import CATALOGUES
from abn.space.server import lending, trial_process
from abn.space.server.models import Models
from abn.space.server.serving import Served, Serving
from abn.space.server.trial import fault_of

KANA = re.compile("[ぁ-ヿ]")


@pytest.fixture(scope="module")
def serving():
    return Serving("compact")


def spoken(error: KeyedError) -> None:
    """Both languages have it, and it stays what it is when it crosses processes."""
    japanese = in_words(error, "ja")
    assert KANA.search(japanese), japanese
    assert "{" not in japanese.replace(str(error.values.get("size")), "") or error.key == "processor_size"
    assert in_words(error, "en") == str(error).rstrip(".")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), error.changed(lambda value: value)):
        assert (type(other), str(other), in_words(other, "ja")) == (type(error), str(error), japanese)


@pytest.mark.parametrize("key", PICTURES)
def test_pictures_and_what_is_asked_about_them(key, tmp_path, monkeypatch):
    with pytest.raises(KeyedError) as raised:
        PICTURES[key](tmp_path, monkeypatch)
    assert raised.value.key == key
    assert isinstance(raised.value, FileNotFoundError if key == "checkpoint_missing" else ValueError)
    spoken(raised.value)


def of_a_stranger(serving, root, name) -> KeyedError:
    with pytest.raises(Fault) as raised:
        Models(serving, root).of(name)
    error = raised.value
    assert (error.key, error.values["name"]) == ("fault_model", name)
    assert str(root) not in str(error)
    assert in_words(error, "ja").startswith(f"{name} は使えません: ")
    spoken(error)
    spoken(error.values["reason"])
    return error.values["reason"]


@pytest.mark.parametrize("key", [*CONFIGS, *FOLDERS, *MISFITS])
def test_a_strangers_folder(key, serving, tiny_folder):
    if key in CONFIGS:
        found = json.loads((tiny_folder / "config.json").read_text())
        found = {name: value for name, value in found.items() if name not in ("id2label", "label2id")} | CONFIGS[key]
        if key == "config_contradiction":
            found["id2label"] = TWO
        (tiny_folder / "config.json").write_text(json.dumps(found))
    else:
        (FOLDERS.get(key) or tensors(MISFITS[key]))(tiny_folder)
    error = of_a_stranger(serving, tiny_folder.parent, "tiny")
    if key in MISFITS:
        assert error.key == "tensors_misfit"
        error = error.values["faults"]
    assert error.key == key


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("key", [*LONE_FILES, *KINDS])
def test_a_strangers_file(key, serving, tmp_path):
    (LONE_FILES.get(key) or pickled(lambda: {"x": KINDS[key]()}))(tmp_path)
    (file,) = tmp_path.iterdir()
    error = of_a_stranger(serving, tmp_path, file.name)
    assert (error.values["kind"] if key in KINDS else error).key == key


# The Hub


def fetched(monkeypatch, url, **how):
    endpoint(monkeypatch, url)
    with pytest.raises(HubError) as raised:
        fetch(REPO, **{"deadline": 5, "idle": 5} | how)
    assert isinstance(raised.value, OSError)
    spoken(raised.value)
    return raised.value.key


@pytest.mark.parametrize(
    ("mode", "keys"),
    [
        ("missing", {"hub_missing"}),
        ("error", {"hub_error"}),
        ("hang", {"hub_no_answer", "hub_late"}),  # whichever deadline is seen first
        ("stall", {"hub_stalled"}),
        ("cut", {"hub_download", "hub_stalled"}),
    ],
)
def test_the_hub_answers_badly(mode, keys, tiny_folder, cache, monkeypatch):
    with hub(tiny_folder, REPO, mode) as url:
        assert fetched(monkeypatch, url, deadline=1, idle=2) in keys


@pytest.mark.parametrize(("token", "key"), [(None, "hub_private"), ("hf_expired", "hub_token")])
def test_the_hub_keeps_it_private(token, key, tiny_folder, cache, monkeypatch):
    monkeypatch.setattr("abn.hub.get_token", lambda: token)
    with hub(tiny_folder, REPO, token="hf_valid", private=True) as url:
        assert fetched(monkeypatch, url) == key


def test_the_hub_has_what_is_not_allowed(tiny_folder, cache, monkeypatch):
    with hub(tiny_folder, REPO) as url:
        assert fetched(monkeypatch, url, limit=1000) == "hub_weights"
        with monkeypatch.context() as untold:
            untold.setattr("abn.hub._probe", lambda *_: None)
            assert fetched(monkeypatch, url, limit=100_000) == "hub_file"
        for content, key in (("{", "hub_config"), ('{"model_type": "resnet"}', "hub_kind")):
            shutil.rmtree(cache)
            (tiny_folder / "config.json").write_text(content)
            assert fetched(monkeypatch, url) == key


def test_the_hub_is_not_there(cache, monkeypatch):
    assert fetched(monkeypatch, "http://127.0.0.1:9") == "hub_unreachable"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetched(monkeypatch, "http://127.0.0.1:9") == "hub_offline"


HUB = ["missing", "error", "no_answer", "stalled", "download", "private", "token", "weights", "file", "config", "kind"]
HUB += ["unreachable", "offline", "late", "denied"]


def test_the_hub_denies_or_takes_too_long(cache, monkeypatch):
    """Its answer 403, and a socket that times out, are urllib's errors."""
    for error, key in (
        (urllib.error.HTTPError("", 403, "", Message(), None), "hub_denied"),
        (urllib.error.URLError(TimeoutError()), "hub_late"),
        (TimeoutError(), "hub_late"),
    ):

        def open_(*_, error=error, **__):
            raise error

        monkeypatch.setattr("abn.hub._STAY.open", open_)
        assert fetched(monkeypatch, "http://127.0.0.1:9") == key


# The page's own


def test_models_that_cannot_be_chosen(serving, tiny_folder, monkeypatch):
    models = Models(serving, tiny_folder.parent)
    for raises, key in (
        (lambda: models.of("nonsense"), "fault_no_model"),
        (lambda: models.held("some.one/else"), "fault_not_in_memory"),
    ):
        with pytest.raises(Fault) as raised:
            raises()
        assert raised.value.values["reason"].key == key
        spoken(raised.value)
    with monkeypatch.context() as offline:
        offline.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(Fault) as raised:
            models.of("someone/nowhere")
    assert raised.value.values["reason"].key == "fault_hub_not_asked"
    spoken(raised.value)
    with monkeypatch.context() as small:
        small.setattr("abn.space.server.models.LIMIT", 1000)
        assert of_a_stranger(serving, tiny_folder.parent, "tiny").key == "fault_weights"
    without_memory(monkeypatch, "abn.explanation.load_checkpoint")
    assert of_a_stranger(serving, tiny_folder.parent, "tiny").key == "fault_gpu_memory"


def test_methods_that_are_none(serving, tmp_path):
    file = written(tmp_path / "a.png", made_up_picture())
    with pytest.raises(gr.Error, match="methods must name one or more of attention, "):
        Answers(Models(serving)).compared(str(file), " , ", "", 1.0, "")


def test_a_method_that_takes_the_cpu_too_long(tmp_path, monkeypatch):
    """ZeroGPU lends nothing, and one forward pass takes a minute."""
    serving = Serving("compact")
    serving.current = Served("lent", serving.bundled.explainer, Serving("compact").bundled.explainer)
    monkeypatch.setattr(lending, "_lent", serving.current.explainer)

    def refuse(*_, **__):
        raise gr.Error("Space app has reached its GPU limit.", title="ZeroGPU quota exceeded")

    monkeypatch.setattr(lending, "_each_on_gpu", refuse)
    monkeypatch.setattr("abn.space.answers.Comparison", SlowComparison)
    file = written(tmp_path / "a.png", made_up_picture(64, 64))
    with pytest.raises(gr.Error, match=r"occlusion would take about"):
        Answers(Models(serving)).compared(str(file), "occlusion", "", 1.0, "")


class SlowComparison(Comparison):
    seconds_a_pass = property(lambda self: 60.0, lambda self, measured: None)


def test_every_key_is_provoked_here():
    here = {*PICTURES, *CONFIGS, *FOLDERS, *MISFITS, "tensors_misfit", *LONE_FILES, *KINDS, *(f"hub_{n}" for n in HUB)}
    page = {"fault_model", "fault_no_model", "fault_not_in_memory", "fault_weights", "fault_gpu_memory"}
    page |= {"fault_hub_not_asked", "fault_methods", "fault_cpu_time"}
    faults = {key for key in CATALOGUES["en"] if key.startswith("fault_")}
    assert here | page == set(ENGLISH) | faults


# As a visitor reads it


@pytest.mark.parametrize(
    ("key", "english", "japanese"),
    [
        ("picture_damaged", "half.png is damaged and cannot be read", "half.png は壊れていて読み込めません"),
        (
            "picture_pixels",
            "large.png has 8000 x 8000 pixels; at most 52,000,000 are allowed",
            "large.png は 8000 × 8000 画素です。上限は 52,000,000 画素です",
        ),
        (
            "map_shape",
            "the map must be 3 x 4, as the model's own; got 1 x 1",
            "マップはモデルと同じ 3 × 4 でなければなりません。渡されたのは 1 x 1 です",
        ),
        ("map_rows", "a map must be 3 rows of 4 numbers", "マップは 3 行 4 列の数値でなければなりません"),
        (
            "target_ambiguous",
            "target 'crane' may be any of 2 classes; say which: 'crane (0)', 'crane (1)'",
            "'crane' に当たるクラスは 2 個あります。'crane (0)', 'crane (1)' から選んでください",
        ),
    ],
)
def test_sentences(key, english, japanese, tmp_path, monkeypatch):
    with pytest.raises(KeyedError) as raised:
        PICTURES[key](tmp_path, monkeypatch)
    assert (str(raised.value), in_words(raised.value, "ja")) == (english, japanese)


def test_faults_within_faults(serving, tiny_folder):
    tensors(MISFITS["tensors_and"])(tiny_folder)
    reason = of_a_stranger(serving, tiny_folder.parent, "tiny")
    english = "The tensors of tiny do not fit its config: 1 missing (model.features.conv1.weight); 1 unexpected (more)"
    assert str(reason) == english
    japanese = "tiny のテンソルが config.json に合いません: 1 個が不足 (model.features.conv1.weight)、1 個が余分 (more)"
    assert in_words(reason, "ja") == japanese
    fault = Fault("fault_model", name="a.b.", reason=reason)
    assert (str(fault), in_words(fault, "ja")) == (f"a.b. cannot be used: {english}", f"a.b. は使えません: {japanese}")


@pytest.mark.parametrize("key", ["tensors_and", "config_dropout", "processor_size", "id2label_type"])
def test_faults_cross_from_the_trials_process(key, tiny_folder):
    if key in CONFIGS:
        found = json.loads((tiny_folder / "config.json").read_text())
        (tiny_folder / "config.json").write_text(json.dumps(found | CONFIGS[key]))
    elif key in MISFITS:
        tensors(MISFITS[key])(tiny_folder)
    else:
        (tiny_folder / "preprocessor_config.json").write_text('{"size": {"longest_edge": 9}}')
    with pytest.raises(KeyedError) as raised:
        trial_process.checked(Explainer.from_pretrained(tiny_folder, device="cpu"))
    crossed = fault_of(json.loads(json.dumps(trial_process.main(str(tiny_folder)))))
    assert str(crossed) == str(raised.value)
    assert in_words(crossed, "ja") == in_words(raised.value, "ja")


@pytest.mark.parametrize(
    "found",
    [
        {"key": "nonsense", "values": {}},
        {"key": ["stranger_slow"], "values": {}},
        {"key": "stranger_slow", "values": {"seconds": "9"}},  # a field is missing
        {"key": "vit_limit", "values": {"name": "x", "most": "many", "value": "y"}},  # no number
        {"key": "stranger_not_finite"},
        {"key": "fault_other", "values": {"reason": {"key": "nonsense", "values": {}}}},
    ],
)
def test_what_the_trials_process_cannot_have_meant_is_the_general_error(found):
    assert fault_of(found).key == "stranger_broken"


def test_a_strangers_values_are_cut(serving, tiny_folder):
    found = json.loads((tiny_folder / "config.json").read_text())
    (tiny_folder / "config.json").write_text(json.dumps(found | {"num_labels": [1] * 10_000}))
    error = of_a_stranger(serving, tiny_folder.parent, "tiny")
    assert error.key == "config_num_labels"
    assert str(error).startswith("num_labels must be 1 to 100,000; got")
    assert "…" in str(error)
    assert len(str(error)) < 300


def test_errors_are_of_their_documented_kinds():
    assert issubclass(AbnError, ValueError)
    assert issubclass(ModelError, ValueError)
    assert issubclass(AbnFileError, FileNotFoundError)
    assert issubclass(NumberError, (PictureError, TypeError))
    assert HubError("hub_config").errno is None


def test_what_has_no_key_stays_in_its_own_words():
    assert in_words(ValueError("something else went wrong."), "ja") == "something else went wrong"


def test_the_page_says_what_is_allowed_where_it_is_the_pictures_fault(tmp_path):
    japanese = SimpleNamespace(headers={"accept-language": "ja"})
    english = r"notes\.png is not a picture that can be read\. Allowed are .*JPEG, PNG"
    with pytest.raises(gr.Error, match=english), saying_why():
        load_rgb(written(tmp_path / "notes.png", b"no picture"))
    with (
        pytest.raises(gr.Error, match=r"notes\.png は読み込める画像ではありません。使えるのは JPEG"),
        saying_why(japanese),
    ):
        load_rgb(written(tmp_path / "notes.png", b"no picture"))
    with pytest.raises(gr.Error, match=r'between -1 and 1"?$'), saying_why():
        checked_map([[2]], (1, 1))
    with pytest.raises(gr.Error, match="gone"), saying_why():
        load_rgb(tmp_path / "none.png")
