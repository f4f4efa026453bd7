"""The same rows from Ray Data's actors; and what does not need a cluster, without one."""

import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import pyarrow as pa
import pytest
from helpers import ROOT, made_up_picture, wait_for
from test_survey_resume import command, same, several, shards

from abn import Explainer
from abn.survey.__main__ import main, parse

pq = pytest.importorskip("pyarrow.parquet", reason="no pyarrow")

from abn.survey import cluster  # noqa: E402
from abn.survey.here import groups_of  # noqa: E402
from abn.survey.jobs import Job  # noqa: E402

NEEDS_RAY = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="no ray")


@pytest.fixture
def ray_here(monkeypatch):
    """What an actor asks of Ray, in this process: references are the objects themselves."""
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(get=lambda held: held))


@pytest.fixture
def job(tmp_path, tiny_folder):
    data = several(tmp_path / "pictures", 70)
    (data / "00003.jpg").unlink()
    (data / "00003.jpg").write_bytes(b"broken")
    args = parse([str(data), "--checkpoint", str(tiny_folder), "--out", str(tmp_path / "out"), "--workers", "0"])
    return args, Job.of(args, Explainer.from_pretrained(tiny_folder))


def batch_of(groups) -> dict:
    return {"shard": [5] * len(groups), "start": [g.start for g in groups], "stop": [g.stop for g in groups]}


def test_an_actors_rows_are_those_of_this_machine(ray_here, job):
    """Also where the pictures were decoded by tasks of their own, as they are for GPUs."""
    args, here = job
    groups = groups_of(range(70))
    expected = [row | {"shard": 5} for group in groups for row in here.rows.rows(here.decode(group)).to_pylist()]
    held = (here.listing, here.decode)
    actor = cluster.Explain(args, held, here.settings["network"])
    same(actor(batch_of(groups)).to_pylist(), expected)
    same(actor(cluster.decoded(batch_of(groups), held)).to_pylist(), expected)
    assert [row["path"] for row in expected if row["error"]] == ["00003.jpg"]


def test_another_network_on_a_machine_is_refused(ray_here, job):
    args, here = job
    with pytest.raises(ValueError, match="another network"):
        cluster.Explain(args, (here.listing, here.decode), "0123456789abcdef")


def test_rows_are_gathered_into_shards_in_whatever_order_they_come():
    def rows(shard, *places):
        return pa.table({"place": list(places), "shard": [shard] * len(places)})

    parts = [rows(2, 4), rows(1, 2), pa.concat_tables([rows(1, 3), rows(0, 0)]), rows(0, 1)]
    data = types.SimpleNamespace(iter_batches=lambda **how: iter(parts))
    table = types.SimpleNamespace(places={0: range(2), 1: range(2, 4), 2: range(4, 5)}.__getitem__)
    told = []
    found = {shard: part["place"].to_pylist() for shard, part in cluster._whole_shards(data, table, told.append)}
    assert found == {2: [4], 1: [2, 3], 0: [0, 1]}
    assert sum(told) == 5


# With a cluster


@pytest.fixture
def place():
    """Where a cluster of this machine keeps its sockets: their paths may have 107 letters."""
    folder = Path(tempfile.gettempdir()) / "r"
    yield {**os.environ, "RAY_TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    shutil.rmtree(folder, ignore_errors=True)


def ran(*arguments, env) -> str:
    done = subprocess.run(
        command(*arguments), cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@NEEDS_RAY
@pytest.mark.slow
def test_both_ways_give_the_same_rows(tmp_path, bundled, place):
    data = tmp_path / "pictures"
    for number in range(150):
        file = data / f"class {number // 50}" / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        made_up_picture(*((224, 224), (300, 200), (200, 300))[number % 3], seed=number).save(file)
    (data / "class 1" / "broken.jpg").write_bytes(b"broken")
    assert main(command(data, bundled, tmp_path / "here", "--shard", "60")[3:]) == 0
    ran(data, bundled, tmp_path / "there", "--shard", "60", "--ray", "auto", env=place)
    here, there = (pq.read_table(tmp_path / name / "rows") for name in ("here", "there"))
    assert here.schema == there.schema
    same(here.to_pylist(), there.to_pylist())


@NEEDS_RAY
@pytest.mark.slow
def test_a_killed_run_on_ray_goes_on(tmp_path, tiny_folder, place):
    data, out = several(tmp_path / "pictures", 200), tmp_path / "out"
    how = ("--shard", "20")
    assert main(command(data, tiny_folder, tmp_path / "whole", *how)[3:]) == 0
    process = subprocess.Popen(command(data, tiny_folder, out, *how, "--ray", "auto"), cwd=ROOT, env=place)
    until = random.Random().randint(1, 5)
    wait_for(lambda: process.poll() is not None or len(shards(out)) >= until, 600, 0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = shards(out)
    assert before
    said = ran(data, tiny_folder, out, *how, env=place)  # the other way goes on with it
    assert f"{20 * len(before)} of 200 pictures are there" in said
    assert {name: at for name, at in shards(out).items() if name in before} == before
    same(pq.read_table(tmp_path / "whole" / "rows").to_pylist(), pq.read_table(out / "rows").to_pylist())


@NEEDS_RAY
@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_one_line(tmp_path, tiny_folder, place):
    data = several(tmp_path / "pictures", 3)
    arguments = command(data, tiny_folder, tmp_path / "out", "--ray", "127.0.0.1:1")
    done = subprocess.run(arguments, cwd=ROOT, env=place, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: --ray 127.0.0.1:1: no Ray cluster can be reached")


def test_without_ray_it_says_what_to_install(tmp_path, tiny_folder, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == "ray" else find(name, *more))
    data = several(tmp_path / "pictures", 1)
    assert main(command(data, tiny_folder, tmp_path / "out", "--ray", "auto")[3:]) == 2
    assert "pip install 'ray[data]'" in capsys.readouterr().err
