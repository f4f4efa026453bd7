"""A few of `abuse`'s attacks, for seconds; the command has them all."""

import pytest
from abuse import run
from abuse_attacks import ATTACKS

FEW = ["json_of_empty_lists", "closed_run", "jpeg_of_1000_scans", "url_in_another_argument", "model_bare"]


@pytest.mark.slow
def test_a_bystander_notices_nothing():
    outcomes = run(FEW, 2, say=lambda row: None)
    assert [outcome.name for outcome in outcomes] == FEW
    assert [f"{outcome.name}: {outcome.why}" for outcome in outcomes if not outcome.held] == []


def test_there_are_many_and_each_says_what_it_is():
    assert len(ATTACKS) >= 45
    assert all(function.__doc__ for function in ATTACKS.values())
