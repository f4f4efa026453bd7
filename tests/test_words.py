"""What the page says: every word in every language, with the same fields, and the visitor's language chosen."""

import ast
import json
import re
import string
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import ROOT

from abn.comparison import Compared
from abn.families.multitask import TASK_METHODS
from abn.families.vit import vit_methods
from abn.methods import METHODS, Method
from abn.model.picture_errors import ENGLISH as PICTURES
from abn.space.faults import Fault
from abn.space.locale import CATALOGUES, DEFAULT, FOLDER, I18N, LANGUAGES, both, label, language_of, say
from abn.space.tabs.compare import called
from abn.space.widgets.compare.widget import card, option

ENGLISH = CATALOGUES[DEFAULT]

JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
PREFIXES = ("method", "sign", "view", "colours", "gallery")  # of choices, see `worded`
ASKING = ("both", "say", "label", "with_names", "Fault")  # functions whose first argument is a key


def fields(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}


def nodes(kind):
    """The nodes of a kind in all of the page's code."""
    for file in sorted((ROOT / "abn" / "space").glob("**/*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, kind):
                yield node


@pytest.mark.parametrize("key", ENGLISH)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_is_there_in_every_language(key, language):
    words = CATALOGUES[language][key]
    assert words
    assert fields(words) == fields(ENGLISH[key])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_the_same_keys_in_the_same_order_and_none_twice(language):
    pairs = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"), object_pairs_hook=list)
    assert [key for key, _ in pairs] == list(ENGLISH)


def test_the_browser_can_show_every_language():
    rules = (FOLDER / "style.css").read_text()
    assert "en" in LANGUAGES
    assert "ja" in LANGUAGES
    for language in LANGUAGES:
        if language != DEFAULT:
            assert f":root:not(:lang({language})) .abn-{language}, :root:lang({language}) .abn-{DEFAULT} {{" in rules


@pytest.mark.parametrize("key", ENGLISH)
def test_japanese_is_japanese_and_english_is_not(key):
    english, japanese = ENGLISH[key], CATALOGUES["ja"][key]
    assert not JAPANESE.search(english)
    assert JAPANESE.search(japanese) or not re.search("[a-z]+ [a-z]+", english)  # a name may stay as it is


def test_every_key_that_is_asked_for_is_there_with_its_fields():
    asked = 0
    for call in nodes(ast.Call):
        name = getattr(call.func, "id", None)
        if name in ASKING and call.args and isinstance(key := call.args[0], ast.Constant):
            assert key.value in ENGLISH
            if name in ("both", "say", "Fault") and all(keyword.arg for keyword in call.keywords):
                assert {keyword.arg for keyword in call.keywords} == fields(ENGLISH[key.value]), key.value
            asked += 1
    assert asked > 50


def test_every_word_is_used():
    """By its key, or by the beginning that a name follows."""
    named = {node.value for node in nodes(ast.Constant)} | set(PICTURES)
    begun = {parts.values[0].value for parts in nodes(ast.JoinedStr) if isinstance(parts.values[0], ast.Constant)}
    begun |= {f"{name}_" for name in named if isinstance(name, str)} & {f"{name}_" for name in PREFIXES}
    assert [key for key in ENGLISH if key not in named and not key.startswith(tuple(begun))] == []


def test_the_librarys_own_words_are_the_english_catalogues():
    """A saved checkpoint brings the library's along, without any catalogue."""
    assert {key: ENGLISH[key] for key in PICTURES} == PICTURES


def test_a_method_has_its_catalogues_name_or_else_its_label():
    names = [CATALOGUES[language]["method_uniform"] for language in ("en", "ja")]
    assert [called(METHODS["uniform"], to) for to in ("en", asking("ja"))] == names
    assert names[0] != names[1]
    unheard = Method("unheard-of", "Unheard of", True, None)
    assert [called(unheard, to) for to in ("en", asking("ja"))] == ["Unheard of"] * 2
    shown = Compared("unheard-of", "Un<heard> of", None, 1.0, np.zeros((2, 2)), np.zeros((4, 4), np.float32))
    assert card(shown, None, 4, 4).count("Un&lt;heard&gt; of</span>") == len(LANGUAGES)
    assert ">Un&lt;heard&gt; of</option>" in option(shown, selected=False)


def test_every_methods_name_in_a_catalogue_is_some_familys():
    known = {*METHODS, *TASK_METHODS, *vit_methods(1, 1)}
    assert {key for key in ENGLISH if key.startswith("method_")} <= {f"method_{name}" for name in known}


def asking(languages: str):
    return SimpleNamespace(headers={"accept-language": languages})


def test_the_browsers_first_language_decides():
    assert language_of(asking("ja-JP,ja;q=0.9,en;q=0.8")) == "ja"
    assert language_of(asking("en-GB,ja;q=0.9")) == "en"
    assert language_of(asking("tlh")) == language_of(asking("")) == language_of(None) == "en"
    assert say("edit_undo", asking("ja")) == "元に戻す"
    assert say("compare_done", None, name="church") == "Explained class: church"


def test_labels_of_components_are_translated_by_gradio():
    assert label("edit_undo").key == "abn_edit_undo"
    assert I18N.translations["ja"]["abn_edit_undo"] == "元に戻す"
    assert I18N.translations["en"]["abn_edit_undo"] == "Undo"


def test_what_a_visitor_wrote_is_escaped():
    words = both("compare_for_class", name="<script>")
    assert "<script>" not in words
    assert len(re.findall("&lt;script&gt;", words)) == len(LANGUAGES)
    assert 'lang="ja"' in words


def test_an_errors_words_are_those_of_its_key():
    fault = Fault("fault_model", name="a.b.", reason=Fault("fault_weights", limit="1"))
    assert str(fault) == "a.b. cannot be used: its weights are larger than 1 GB"
    assert isinstance(fault, ValueError)
