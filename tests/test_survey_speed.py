"""How fast a survey is, as ratios in one run, on a machine that does nothing else:

    python -m pytest -m slow tests/test_survey_speed.py -s

On real pictures: Imagenette's validation split as it is at hand, squashed to 224 x 224.
"""

import importlib.util
import re
import statistics
import subprocess
import sys
import time

import pytest
import torch
from helpers import ROOT
from test_survey_ray import place  # noqa: F401 - a fixture
from test_survey_resume import same

from abn import Explainer
from abn.survey.here import GROUP
from abn.tuning import tuned

pq = pytest.importorskip("pyarrow.parquet", reason="no pyarrow")
pytestmark = pytest.mark.slow

SIDE = 192  # what "whole" makes of 224 px with the bundled network
PICTURES = 3925


def bare(explainer: Explainer, seconds: float = 8) -> float:
    """Pictures a second of the tuned network alone, of the better batch size, on all cores."""
    rates = []
    with torch.inference_mode():
        for batch in (32, GROUP):
            pixels = torch.randn(batch, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
            spans, end = [], time.perf_counter() + seconds
            while time.perf_counter() < end or len(spans) < 5:
                began = time.perf_counter()
                explainer.model(pixel_values=pixels)
                spans.append(time.perf_counter() - began)
            rates.append(batch / statistics.median(spans[2:]))
    return max(rates)


def rate_of(data, out, *more, env=None) -> tuple[float, str]:
    """Pictures a second from the first to the last, by the clock of the command's own line; and that line."""
    command = [sys.executable, "-m", "abn.survey", str(data), "--checkpoint", "compact", "--out", str(out), *more]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return float(re.search(r"pictures, ([\d.]+) a second", done.stdout)[1]), done.stdout


@pytest.fixture(scope="module")
def runs(imagenette_root, tmp_path_factory):
    """Both ways over the validation split, between two measurements of the network alone: (rates, tables' folders)."""
    out, data = tmp_path_factory.mktemp("speed"), imagenette_root / "imagenette2" / "val"
    explainer = tuned(Explainer.from_pretrained("compact", device="cpu"))
    rates = {"network before": bare(explainer)}
    rates["survey"], _ = rate_of(data, out / "here")
    rates["network after"] = bare(explainer)
    return rates, data, out


def test_end_to_end_is_three_quarters_of_the_bare_network(runs):
    rates, _, out = runs
    network = (rates["network before"] + rates["network after"]) / 2
    written = sum(file.stat().st_size for file in (out / "here" / "rows").iterdir())
    print(f"\nnetwork alone {network:.0f} pictures/s, survey {rates['survey']:.0f}: {rates['survey'] / network:.2f}")
    print(f"a million pictures: {1e6 / rates['survey'] / 3600:.1f} h here, {written / PICTURES / 1e3:.2f} GB written")
    assert pq.read_table(out / "here" / "rows").num_rows == PICTURES
    assert rates["survey"] >= 0.75 * network


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="no ray")
def test_ray_gives_the_same_rows_at_four_fifths_of_the_speed(runs, place):  # noqa: F811
    rates, data, out = runs
    found, _ = rate_of(data, out / "there", "--ray", "auto", env=place)
    print(f"\nsurvey {rates['survey']:.0f} pictures/s, on Ray {found:.0f}: {found / rates['survey']:.2f}")
    same(*(pq.read_table(out / name / "rows").to_pylist() for name in ("here", "there")))
    assert found >= 0.8 * rates["survey"]
