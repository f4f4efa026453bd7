"""The page's tabs: each has its files, its button and its word, and questions that no other tab asks."""

import re
from collections import Counter

import pytest
from helpers import ROOT

from abn.space.locale import CATALOGUES
from abn.space.tabs import TABS

SPACE = ROOT / "abn" / "space"


@pytest.mark.parametrize("name", TABS)
def test_a_tab_is_whole(name):
    assert [ending for ending in ("html", "css", "js") if not (SPACE / "tabs" / f"{name}.{ending}").is_file()] == []
    assert f'id="abn-{name}" role="tabpanel" aria-labelledby="abn-tab-{name}"' in (
        SPACE / "tabs" / f"{name}.html"
    ).read_text(encoding="utf-8")
    assert [language for language, words in CATALOGUES.items() if f"tab_{name}" not in words] == []


def test_buttons_and_addresses_name_the_tabs_in_their_order():
    page, view = ((SPACE / name).read_text(encoding="utf-8") for name in ("page.html", "view.js"))
    assert re.findall(r'data-tab="(\w+)"', page) == list(TABS)
    assert re.findall(r"'(\w+)'", re.search(r"tab: \[(.*)\]", view)[1]) == list(TABS)


def test_no_two_tabs_ask_by_one_name():
    """The server would answer with the other's."""
    asked = Counter(name for tab in TABS.values() for name in tab.ASKS)
    assert [name for name, count in asked.items() if count > 1] == []
    assert asked


def test_the_browsers_tests_know_every_tab():
    page = pytest.importorskip("page")
    assert set(page.TABS) == set(TABS)
