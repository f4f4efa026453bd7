"""What the page says: every word in both languages, with the same fields, and the visitor's language chosen."""

import re
import string
from types import SimpleNamespace

import pytest

from abn.methods import METHODS
from abn.space.words import I18N, LANGUAGES, PREFIX, WORDS, both, language_of, say


def fields(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}


@pytest.mark.parametrize("key", WORDS)
def test_every_word_is_there_in_both_languages(key):
    assert set(WORDS[key]) == set(LANGUAGES)
    assert fields(WORDS[key]["en"]) == fields(WORDS[key]["ja"])
    assert all(WORDS[key].values())
    assert I18N.translations["ja"][PREFIX + key] == WORDS[key]["ja"]


def test_every_method_has_a_name():
    assert {f"method_{name}" for name in METHODS} <= set(WORDS)


def asking(languages: str):
    return SimpleNamespace(headers={"accept-language": languages})


def test_the_browsers_first_language_decides():
    assert language_of(asking("ja-JP,ja;q=0.9,en;q=0.8")) == "ja"
    assert language_of(asking("en-GB,ja;q=0.9")) == "en"
    assert language_of(asking("de")) == language_of(asking("")) == language_of(None) == "en"
    assert say("edit_undo", asking("ja")) == "元に戻す"
    assert say("compare_done", None, name="church") == "Explained class: church"


def test_what_a_visitor_wrote_is_escaped():
    words = both("compare_for_class", name="<script>")
    assert "<script>" not in words
    assert len(re.findall("&lt;script&gt;", words)) == 2
    assert 'lang="ja"' in words
