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
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from helpers import ROOT
from test_survey_ray import place  # noqa: F401 - a fixture
from test_survey_resume import same

from abn import Explainer
from abn.survey.here import GROUP, _threads
from abn.tuning import tuned

pq = pytest.importorskip("pyarrow.parquet", reason="no pyarrow")
pytestmark = pytest.mark.slow

SIDE = 192  # what "whole" makes of 224 px with the bundled network
PICTURES = 3925
SHARD = 128  # small ones: the clock begins with the first


def bare(explainer: Explainer, seconds: float = 6) -> float:
    """Pictures a second of the tuned network alone on all cores: of batches and ways to share the cores the best."""
    cores = torch.get_num_threads()

    def run(batch: int) -> float:
        with torch.inference_mode():
            pixels = torch.randn(batch, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
            spans, end = [], time.perf_counter() + seconds
            while time.perf_counter() < end or len(spans) < 5:
                began = time.perf_counter()
                explainer.model(pixel_values=pixels)
                spans.append(time.perf_counter() - began)
        return batch / statistics.median(spans[2:])

    rates = [run(batch) for batch in (32, GROUP)]
    with _threads(1), ThreadPoolExecutor(cores) as pool:  # a batch a core
        rates += [sum(pool.map(run, [batch] * cores)) for batch in (32, GROUP)]
    return max(rates)


def rate_of(data, out, *more, env=None) -> tuple[float, float]:
    """Pictures a second: from when the first are written to the last, and with the start of all processes."""
    command = [sys.executable, "-m", "abn.survey", str(data), "--checkpoint", "compact", "--out", str(out), *more]
    done = subprocess.run(
        [*command, "--shard", str(SHARD)], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    files = sorted((out / "rows").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    seconds = (files[-1].stat().st_mtime_ns - files[0].stat().st_mtime_ns) / 1e9
    later = sum(pq.read_metadata(file).num_rows for file in files[1:])
    return later / seconds, float(re.search(r"pictures, ([\d.]+) a second", done.stdout)[1])


@pytest.fixture(scope="module")
def runs(imagenette_root, tmp_path_factory):
    """Both ways over the validation split, between two measurements of the network alone: (rates, tables' folders)."""
    out, data = tmp_path_factory.mktemp("speed"), imagenette_root / "imagenette2" / "val"
    explainer = tuned(Explainer.from_pretrained("compact", device="cpu"))
    rates = {"network before": bare(explainer)}
    rates["survey"], rates["with its start"] = rate_of(data, out / "here")
    rates["network after"] = bare(explainer)
    return rates, data, out


def test_end_to_end_is_three_quarters_of_the_bare_network(runs):
    rates, _, out = runs
    network = (rates["network before"] + rates["network after"]) / 2
    written = sum(file.stat().st_size for file in (out / "here" / "rows").iterdir())
    print("", {name: round(rate) for name, rate in rates.items()})
    print(f"network alone {network:.0f} pictures/s, survey {rates['survey']:.0f}: {rates['survey'] / network:.2f}")
    print(f"a million pictures: {1e6 / rates['survey'] / 3600:.1f} h here, {written / PICTURES / 1e3:.2f} GB written")
    assert pq.read_table(out / "here" / "rows").num_rows == PICTURES
    assert rates["survey"] >= 0.75 * network


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="no ray")
def test_ray_gives_the_same_rows_at_four_fifths_of_the_speed(runs, place):  # noqa: F811
    rates, data, out = runs
    found, started = rate_of(data, out / "there", "--ray", "auto", env=place)
    print(f"\nsurvey {rates['survey']:.0f} pictures/s, on Ray {found:.0f}: {found / rates['survey']:.2f}; ", end="")
    print(f"with their start {rates['with its start']:.0f} and {started:.0f}")
    same(*(pq.read_table(out / name / "rows").to_pylist() for name in ("here", "there")))
    assert found >= 0.8 * rates["survey"]
