"""What went wrong, in words and in the visitor's language: every message here comes from the code that raises it."""

import os
import re
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch
from helpers import made_up_picture, tiny_model
from hub_stand_in import REPO, endpoint
from PIL import Image

from abn import AbnConfig, AbnImageProcessor, Explainer
from abn import hub as hub_module
from abn.checkpoints.originals import read_pickled
from abn.editing import checked_map
from abn.model.pictures import load_rgb, to_rgb
from abn.space.faults import or_say_why, told
from abn.space.server.models import Models
from abn.space.server.serving import Serving

KANA = re.compile("[ぁ-ヿ]")


def damaged(folder):
    file = folder / "half.png"
    made_up_picture(300, 200).save(file)
    file.write_bytes(file.read_bytes()[:4000])
    return file


def no_picture(folder):
    (folder / "notes.png").write_text("no picture")
    return folder / "notes.png"


def two_cranes():
    return Explainer(tiny_model(id2label={0: "crane", 1: "crane"}), AbnImageProcessor(), device="cpu")


def pickled(folder, held):
    """Read a PyTorch file of what is given, or of these bytes."""
    if isinstance(held, bytes):
        (folder / "a.pth").write_bytes(held)
    else:
        torch.save(held, folder / "a.pth")
    read_pickled(folder / "a.pth")


def too_large(folder):
    Image.new("1", (8000, 8000)).save(folder / "large.png")
    return folder / "large.png"


def of_a_folder(folder, name, config):
    """Ask for a model of a folder under the models' root."""
    (folder / name).mkdir()
    (folder / name / "config.json").write_bytes(config)
    Models(Serving("compact"), folder).of(name)


@pytest.mark.parametrize(
    ("provoke", "japanese"),
    [
        (lambda folder: load_rgb(no_picture(folder)), "notes.png は読み込める画像ではありません"),
        (lambda folder: load_rgb(damaged(folder)), "half.png は壊れていて読み込めません"),
        (
            lambda folder: load_rgb(too_large(folder)),
            "large.png は 8000 × 8000 画素です。上限は 52,000,000 画素です",
        ),
        (
            lambda folder: to_rgb(Image.fromarray(np.full((2, 2), np.nan, np.float32))),
            "画像に有限でない値が含まれています",
        ),
        (lambda folder: checked_map([[1]], (3, 4)), "マップはモデルと同じ 3 × 4 でなければなりません"),
        (lambda folder: checked_map([["x"]], (3, 4)), "マップは 3 行 4 列の数値でなければなりません"),
        (lambda folder: checked_map([[2]], (1, 1)), "マップの値は -1 から 1 の有限の数でなければなりません"),
        (
            lambda folder: AbnConfig(id2label={0: "a", 1: "b"}, label2id={"a": 1, "b": 0}),
            "config.json の label2id と id2label が矛盾しています",
        ),
        (
            lambda folder: two_cranes().target_index("crane"),
            "'crane' に当たるクラスは 2 個あります。'crane (0)', 'crane (1)' から選んでください",
        ),
        (lambda folder: pickled(folder, b"PK\x03\x04"), "a.pth は完全な PyTorch ファイルではありません"),
        (
            lambda folder: pickled(folder, {"x": torch.ones(1).expand(9)}),
            "a.pth のテンソル x は通常の数値ではありません",
        ),
        (
            lambda folder: pickled(folder, {"x": os.system}),
            "a.pth はコード(posix.system)の実行を求めるため開きません",
        ),
        (
            lambda folder: Models(Serving("compact")).of("nonsense"),
            "nonsense は使えません: 一覧にも Hub の ID(owner/name)にも当てはまりません",
        ),
        (
            lambda folder: Models(Serving("compact")).held("some.one/else"),
            "some.one/else は使えません: メモリにありません。先に「モデル」で選んでください",
        ),
        (
            lambda folder: of_a_folder(folder, "half.", b'{"model_type": "resnet"}'),
            "half. は使えません: half. は種類 'resnet' のモデルです。model_type は 'abn' でなければなりません",
        ),
    ],
)
def test_faults_in_japanese(provoke, japanese, tmp_path):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        provoke(tmp_path)
    assert told(raised.value, "ja") == japanese
    assert told(raised.value, "en") == str(raised.value).rstrip(".")


@pytest.mark.parametrize("mode", ["missing", "error", "hang", "stall", "cut"])
def test_the_hubs_faults_in_japanese(mode, tiny_folder, cache, monkeypatch):
    with hub_module_serving(tiny_folder, mode) as url:
        endpoint(monkeypatch, url)
        with pytest.raises(hub_module.HubError) as raised:
            hub_module.fetch(REPO, deadline=1, idle=1)
    assert KANA.search(told(str(raised.value), "ja"))


def hub_module_serving(folder, mode):
    from hub_stand_in import hub

    return hub(folder, REPO, mode)


def test_the_other_faults_of_fetching_in_japanese(tiny_folder, cache, monkeypatch):
    found = []

    def fetched(**arguments):
        with pytest.raises(hub_module.HubError) as raised:
            hub_module.fetch(REPO, deadline=5, **arguments)
        found.append(told(str(raised.value), "ja"))

    with hub_module_serving(tiny_folder, "ok") as url:
        endpoint(monkeypatch, url)
        fetched(limit=1000)
        (tiny_folder / "config.json").write_text('{"model_type": "resnet"}')
        fetched()
    endpoint(monkeypatch, "http://127.0.0.1:9")
    fetched()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(hub_module.HubError) as raised:
        hub_module.fetch("someone/else")
    found.append(told(str(raised.value), "ja"))
    assert all(KANA.search(words) for words in found), found
    assert "上限は" in found[0]
    assert "'resnet'" in found[1]
    assert found[2] == "Hub に接続できません"


def test_unknown_words_stay_as_they_are():
    assert told("something else went wrong.", "ja") == "something else went wrong"


def test_the_page_says_what_is_allowed_where_it_is_the_pictures_fault(tmp_path):
    japanese = SimpleNamespace(headers={"accept-language": "ja"})
    english = r"notes\.png is not a picture that can be read\. Allowed are .*JPEG, PNG"
    with pytest.raises(gr.Error, match=english), or_say_why():
        load_rgb(no_picture(tmp_path))
    with (
        pytest.raises(gr.Error, match=r"notes\.png は読み込める画像ではありません。使えるのは JPEG"),
        or_say_why(japanese),
    ):
        load_rgb(no_picture(tmp_path))
    with pytest.raises(gr.Error, match=r'between -1 and 1"?$'), or_say_why():
        checked_map([[2]], (1, 1))
    with pytest.raises(gr.Error, match="gone"), or_say_why():
        load_rgb(tmp_path / "none.png")
