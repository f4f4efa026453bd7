"""What the page says: every word in every language, with the same fields, each of them used, and none missing."""

import ast
import json
import re
import string
from types import SimpleNamespace

import pytest
from helpers import ROOT

from abn.errors import ENGLISH as ERRORS
from abn.families.multitask import TASK_METHODS
from abn.families.vit import vit_methods
from abn.methods import METHODS
from abn.model.errors import ENGLISH as MODEL_ERRORS
from abn.model.errors import KeyedError
from abn.space.faults import Fault
from abn.space.locale import CATALOGUES, DEFAULT, FOLDER, LANGUAGES, language_of, say, say_or
from abn.space.page import frame
from abn.space.server.page_files import FILES

SPACE = ROOT / "abn" / "space"
ENGLISH = CATALOGUES[DEFAULT]

JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
ASKING = ("say", "Fault", "Refused")  # functions of which a string that is first or second is a key


def fields(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}


def nodes(kind, below="abn/space"):
    """The nodes of a kind in all of the page's code, or the library's."""
    for file in sorted((ROOT / below).glob("**/*.py")):
        if file.name == "errors.py":  # the library's own catalogues
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, kind):
                yield node


def scripts() -> str:
    return "\n".join(file.read_text() for file in sorted(SPACE.glob("**/*.js")))


@pytest.mark.parametrize("key", ENGLISH)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_is_there_in_every_language(key, language):
    words = CATALOGUES[language][key]
    assert words
    assert fields(words) == fields(ENGLISH[key])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_the_same_keys_in_the_same_order_and_none_twice(language):
    """The library's errors are in English in the library, and not said again."""
    pairs = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"), object_pairs_hook=list)
    said = [key for key in ENGLISH if key not in ERRORS] if language == DEFAULT else list(ENGLISH)
    assert [key for key, _ in pairs] == said


def test_the_frame_names_every_language():
    assert f'data-languages="{" ".join(LANGUAGES)}"' in frame()


@pytest.mark.parametrize("key", ENGLISH)
def test_japanese_is_japanese_and_english_is_not(key):
    english, japanese = ENGLISH[key], CATALOGUES["ja"][key]
    assert not JAPANESE.search(english)
    assert JAPANESE.search(japanese) or not re.search("[a-z]+ [a-z]+", english)  # a name may stay as it is


def test_every_key_that_python_asks_for_is_there_with_its_fields():
    asked = 0
    for call in nodes(ast.Call):
        name = getattr(call.func, "id", None)
        keys = [each.value for each in call.args[:2] if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if name in ASKING and keys:
            assert keys[0] in ENGLISH
            if name in ("say", "Fault") and all(keyword.arg for keyword in call.keywords):
                assert {keyword.arg for keyword in call.keywords} == fields(ENGLISH[keys[0]]), keys[0]
            asked += 1
    assert asked > 20


def test_every_key_that_the_frame_and_the_scripts_ask_for_is_there():
    framed = re.findall(r'data-word(?:-\w+)?="([^"]*)"', frame())
    scripted = re.findall(r"""words\.say\('(\w+)'""", scripts()) + re.findall(r"""new Refused\('(\w+)'""", scripts())
    assert len(framed) > 60
    assert len(scripted) > 30
    for language in LANGUAGES:
        served = json.loads(FILES[f"locale/{language}.json"])
        assert [key for key in framed + scripted if key not in served] == []


def kinds(base=KeyedError) -> dict[str, type[KeyedError]]:
    return {kind.__name__: kind for one in base.__subclasses__() for kind in (one, *kinds(one).values())}


def raised() -> list[tuple[type[KeyedError], ast.Call]]:
    """Where errors that have keys are made."""
    known = kinds()
    calls = [(getattr(call.func, "id", None), call) for call in nodes(ast.Call, "abn")]
    return [(known[name], call) for name, call in calls if name in known]


def test_every_error_that_is_raised_has_words_with_its_fields():
    asked = set()
    for kind, call in raised():
        key, words = call.args[0], ENGLISH if kind.__module__.startswith("abn.space.") else kind.english
        assert not isinstance(key, ast.Constant) or key.value in words
        for named in {node.value for node in ast.walk(key) if isinstance(node, ast.Constant)} & set(words):
            assert {keyword.arg for keyword in call.keywords} == fields(words[named]), named
            asked.add(named)
    assert len(asked) > 80


def test_the_librarys_words_are_those_of_what_travels_with_weights_and_its_own():
    assert {key: ERRORS[key] for key in MODEL_ERRORS} == MODEL_ERRORS
    assert KeyedError.english is MODEL_ERRORS
    assert {key: ENGLISH[key] for key in ERRORS} == ERRORS


def test_every_word_is_used():
    """By its key, or by the beginning that a name follows."""
    text = scripts() + frame()
    named = {node.value for node in nodes(ast.Constant, "abn") if isinstance(node.value, str)}
    named |= set(re.findall(r"""['"`]([\w-]+)['"`]""", text))
    joined = [*nodes(ast.JoinedStr), *(call.args[0] for _, call in raised() if isinstance(call.args[0], ast.JoinedStr))]
    begun = {parts.values[0].value for parts in joined if isinstance(parts.values[0], ast.Constant)}
    begun |= set(re.findall(r"`(\w+_)\$\{", text)) | {"method_"}
    begun = {each for each in begun if each.endswith("_")}
    assert [key for key in ENGLISH if key not in named and not key.startswith(tuple(begun))] == []


def test_every_methods_name_in_a_catalogue_is_some_familys():
    known = {*METHODS, *TASK_METHODS, *vit_methods(1, 1)}
    assert {key for key in ENGLISH if key.startswith("method_")} <= {f"method_{name}" for name in known}


def test_a_method_has_its_catalogues_name_or_else_its_label():
    words = [say_or("method_uniform", "flat", language) for language in ("en", "ja")]
    assert words == [CATALOGUES[language]["method_uniform"] for language in ("en", "ja")]
    assert say_or("method_unheard-of", "Unheard of", "ja") == "Unheard of"


def asking(languages: str):
    return SimpleNamespace(headers={"accept-language": languages})


def test_the_browsers_first_language_decides():
    assert language_of(asking("ja,en-US;q=0.9")) == "ja"
    assert language_of(asking("ja-JP")) == "ja"
    assert language_of(asking("en-GB,ja;q=0.5")) == "en"
    assert language_of(asking("tlh")) == "en"
    assert language_of(asking("")) == "en"
    assert language_of(None) == "en"


def test_an_errors_words_are_those_of_its_key():
    fault = Fault("fault_weights", limit="1")
    assert str(fault) == say("fault_weights", "en", limit="1") == "its weights are larger than 1 GB"
    assert "1 GB" in say("fault_weights", "ja", limit="1")
