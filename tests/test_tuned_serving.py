"""Live pictures are answered by the tuned network, where it was seen to agree."""

from dataclasses import replace

import pytest

from abn import Explainer
from abn.space.server import serving
from abn.space.server.serving import Served, agree
from abn.tuning import tuned


@pytest.fixture(scope="module")
def explainer(bundled):
    return Explainer.from_pretrained(bundled, device="cpu")


def test_the_tuned_network_is_taken_where_it_agrees(explainer):
    served = Served("compact", explainer)
    assert served.quick is explainer
    assert served.tune()
    assert served.quick is not explainer
    assert served.lasting is explainer


def test_it_is_not_where_it_does_not(explainer, monkeypatch):
    def spoilt(explainer):
        other = tuned(explainer, half=False)
        other.model.model.perception_branch.fc.bias.data[3] += 2
        return other

    monkeypatch.setattr(serving, "tuned", spoilt)
    served = Served("compact", explainer)
    assert not served.tune()
    assert served.quick is explainer


def test_what_agrees(explainer):
    one = explainer(serving.DRAWINGS["church"], view="whole")
    assert agree(one, one)
    shares = dict(one.probabilities)
    shares[one.label] -= 0.06
    assert not agree(one, replace(one, probabilities=shares))
    assert not agree(one, replace(one, label="tench"))
