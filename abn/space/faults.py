"""What went wrong, in the visitor's language.

The page's own errors (`Fault`) and those of pictures have a key and values, and their words in the catalogues. The
library's others are English sentences; what a visitor can meet of them stands here in Japanese, too, found by its
words. A sentence that is not here is shown as it is.
"""

import contextlib
import re

import gradio as gr

from ..model.picture_errors import PictureError
from .locale import DEFAULT, language_of, say
from .server.lending import Left

JAPANESE = tuple(
    (re.compile(english), japanese)
    for english, japanese in (
        # Maps
        (
            r"the map must be (\d+) x (\d+), as the model's own; got .*",
            "マップはモデルと同じ {0} × {1} でなければなりません",
        ),
        (r"a map must be (\d+) rows of (\d+) numbers", "マップは {0} 行 {1} 列の数値でなければなりません"),
        (
            r"the map's values must be finite and lie between -1 and 1",
            "マップの値は -1 から 1 の有限の数でなければなりません",
        ),
        (
            r"this network has an attention map for every task; only a single one can be edited",
            "タスクごとにマップがあるネットワークは編集できません",
        ),
        (
            r"this network's attention map has no upper bound; only one between 0 and 1 can be edited",
            "注意マップに上限のないネットワークは編集できません",
        ),
        # Models
        (r"its weights have ([\d.]+) GB; at most (\S+) GB are allowed", "重みが {0} GB あります。上限は {1} GB です"),
        (r"one of its files is larger than the (\S+) GB that are allowed", "上限の {0} GB を超えるファイルがあります"),
        (r"its config.json is not JSON", "config.json が JSON ではありません"),
        (
            r"(\S+) holds a model of type (\S+); expected model_type 'abn'(?: or 'vit')?",
            "{0} は種類 {1} のモデルです。model_type は 'abn' でなければなりません",
        ),
        (r"the Hub did not answer within (\S+) s", "Hub が {0} 秒以内に応答しませんでした"),
        (r"the Hub did not answer in time", "Hub が時間内に応答しませんでした"),
        (r"the Hub cannot be reached", "Hub に接続できません"),
        (r"the Hub answered (\d+) \(not found\)", "Hub の応答は {0}(見つかりません)"),
        (r"the Hub answered (\d+) \(not found, or private\)", "Hub の応答は {0}(見つからないか非公開です)"),
        (
            r"the Hub answered (\d+) \(not found, or private; the token in use is not valid\)",
            "Hub の応答は {0}(見つからないか非公開です。使用中のトークンは無効です)",
        ),
        (r"the Hub answered (\d+) \(access denied\)", "Hub の応答は {0}(アクセスできません)"),
        (r"the Hub answered (\d+) \(an error\)", "Hub の応答は {0}(エラー)"),
        (r"the download stood still for (\S+) s at (\S+)", "ダウンロードが {1} のまま {0} 秒止まりました"),
        (r"the download failed \(.*\)", "ダウンロードに失敗しました"),
        (r"it is not in the local cache and the Hub is not asked", "手元になく、Hub への接続は無効です"),
        (r"(\S+) is not a whole safetensors file.*", "{0} は完全な safetensors ファイルではありません"),
        (r"label2id contradicts id2label: .*", "config.json の label2id と id2label が矛盾しています"),
        (r"(\S+) is not a whole PyTorch file.*", "{0} は完全な PyTorch ファイルではありません"),
        (r"(\S+) is not a PyTorch file of tensors", "{0} はテンソルの PyTorch ファイルではありません"),
        (r"(\S+) asks for code \((.+)\) to be read; it is not opened", "{0} はコード({1})の実行を求めるため開きません"),
        (r"(\S+) holds a tensor that is .*\((\S+)\); expected .*", "{0} のテンソル {1} は通常の数値ではありません"),
        (r"(\S+) holds tensors that share their memory.*", "{0} のテンソルはメモリを共有しています"),
        (
            r"(\S+) unpacks to (\S+) GB, more than (\d+) times its size.*",
            "{0} は展開すると {1} GB になるため開きません",
        ),
        # Classes
        (
            r"target (.+) may be any of (\d+) classes; say which: (.+)",
            "{0} に当たるクラスは {1} 個あります。{2} から選んでください",
        ),
    )
)


class Fault(ValueError):
    """An error by its key in the catalogues, and the values of its fields, which may be errors themselves. As a string
    it is the English sentence."""

    def __init__(self, key: str, /, **values):
        super().__init__(key, values)
        self.key, self.values = key, values

    def __str__(self) -> str:
        return say(self.key, DEFAULT, **self.values)


def told(error: Exception | str, language: str) -> str:
    """An error, or its English words, in a language: without a full stop."""
    return _told(error, language).strip().rstrip(".")


def _told(error: Exception | str, language: str) -> str:
    if isinstance(error, PictureError):
        return say(error.key, language, **error.values)
    if isinstance(error, Fault):
        return say(error.key, language, **{name: _told(value, language) for name, value in error.values.items()})
    words = str(error)
    if language == "ja":
        for english, japanese in JAPANESE:
            if found := english.fullmatch(words.strip().rstrip(".")):
                return japanese.format(*(_told(part, language) for part in found.groups()))
    return words


@contextlib.contextmanager
def or_say_why(request: gr.Request | None = None):
    """What is wrong with a picture, or with what is asked about it, in words for the page.

    Raises:
        gr.Error: in place of ValueError, TypeError and FileNotFoundError; the page keeps what it shows.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        hint = say("allowed", request) if isinstance(error, PictureError) else ""
        stop = "。" if language_of(request) == "ja" else ". " if hint else ""
        words = f"{told(error, language_of(request))}{stop}{hint}"
        raise gr.Error(words, title=say("cannot_explain", request), print_exception=False) from None
    except Left:  # nobody reads it
        raise gr.Error(say("left", request), print_exception=False) from None
    except FileNotFoundError:
        raise gr.Error(say("picture_gone", request), print_exception=False) from None
