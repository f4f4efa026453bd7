"""A few of `abuse`'s attacks, for seconds; the command has them all, and looks at the times as well."""

import math

import pytest
from abuse import run
from abuse_attacks import ATTACKS

FEW = ["json_of_empty_lists", "jpeg_of_1000_scans"]
MORE = [
    "url_in_another_argument",
    "closed_run",
    "model_bare",
    "shares_without_end",
    "texts_of_no_language",
    "frames_of_nonsense",
]


@pytest.mark.parametrize("names", [FEW, pytest.param(MORE, marks=pytest.mark.slow)], ids=["few", "more"])
def test_a_bystander_is_answered_and_the_server_lives(names):
    outcomes = run(names, 1, say=lambda row: None, patience=math.inf)
    assert [outcome.name for outcome in outcomes] == names
    assert [f"{outcome.name}: {outcome.why}" for outcome in outcomes if not outcome.held] == []


def test_there_are_many_and_each_says_what_it_is():
    assert len(ATTACKS) >= 95
    assert all(function.__doc__ for function in ATTACKS.values())
