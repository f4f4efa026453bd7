"""Load and fuzz in a small size; tests/load.py and tests/fuzz.py run them in full."""

import fuzz
import load
import pytest


@pytest.mark.slow
def test_many_clients_at_once_lose_and_mix_up_nothing():
    found = load.run(clients=16, requests=6)
    assert (found["lost"], found["wrong"], found["traces"], found["bystander_wrong"]) == (0, 0, 0, []), found
    assert found["requests"] == 96


@pytest.mark.slow
def test_random_files_are_explained_or_refused_in_words():
    found = fuzz.run(count=250, seed=1)
    assert sum(found.values()) == 250
    assert found["explained"] > 30
    assert found["refused"] > 30
