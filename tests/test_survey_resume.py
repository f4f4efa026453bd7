"""A survey that is killed goes on where it was, and ends in the same table; its memory does not grow."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, made_up_picture, wait_for

from abn import Explainer
from abn.survey.__main__ import main
from abn.survey.here import GROUP, groups_of

pq = pytest.importorskip("pyarrow.parquet", reason="no pyarrow")

SHARD = 24


def several(folder: Path, count: int, sizes=((96, 72), (60, 60), (72, 96))) -> Path:
    """So many pictures of ten, the files linked."""
    folder.mkdir()
    for number in range(count):
        file = folder / f"{number:05d}.jpg"
        if number < 10:
            made_up_picture(*sizes[number % len(sizes)], seed=number).save(file)
        else:
            os.link(folder / f"{number % 10:05d}.jpg", file)
    return folder


def command(data, checkpoint, out, *more: str) -> list[str]:
    arguments = [str(data), "--checkpoint", str(checkpoint), "--out", str(out), *more]
    return [sys.executable, "-m", "abn.survey", *arguments]


def begun(*arguments, **how) -> subprocess.Popen:
    return subprocess.Popen(command(*arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **how)


def shards(out: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in sorted((out / "rows").glob("[0-9]*.parquet"))}


def same(one: list[dict], other: list[dict], most: float = 1e-3) -> None:
    """Two tables: the same words, numbers within `most`."""
    assert len(one) == len(other)
    for row, twin in zip(one, other, strict=True):
        assert row.keys() == twin.keys()
        for name, value in row.items():
            if isinstance(value, float):
                assert value == pytest.approx(twin[name], abs=most), (row["path"], name)
            elif name in ("map", "top5_confidences") and value is not None:
                assert np.abs(np.array(value, float) - np.array(twin[name], float)).max() <= most, (row["path"], name)
            else:
                assert value == twin[name], (row["path"], name)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, 3])
def test_kills_at_random_moments_end_in_the_same_table(tmp_path, tiny_folder, kills):
    data, moments = several(tmp_path / "pictures", 400), random.Random()
    how = ("--shard", str(SHARD), "--workers", "2")
    assert main(command(data, tiny_folder, tmp_path / "whole", *how)[3:]) == 0
    out, finished = tmp_path / "killed", 0
    for _ in range(kills):
        process = begun(data, tiny_folder, out, *how)
        until = finished + moments.randint(1, 4)
        wait_for(
            lambda process=process, until=until: len(shards(out)) >= until or process.poll() is not None, 120, 0.001
        )
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        before, finished = shards(out), len(shards(out))
        assert list(before) == [f"{shard:05d}.parquet" for shard in range(finished)]  # in order: none is lost between
    process = begun(data, tiny_folder, out, *how)
    said, _ = process.communicate()
    assert process.returncode == 0, said.decode()
    assert f"{SHARD * finished} of 400 pictures are there" in said.decode()
    assert {name: at for name, at in shards(out).items() if name in before} == before  # written once
    assert not list((out / "rows").glob(".*"))  # what the kills left is gone
    same(pq.read_table(tmp_path / "whole" / "rows").to_pylist(), pq.read_table(out / "rows").to_pylist())


def test_a_shard_that_is_cut_short_is_written_again(tmp_path, tiny_folder):
    data, out = several(tmp_path / "pictures", 60), tmp_path / "out"
    arguments = command(data, tiny_folder, out, "--shard", "25", "--workers", "0")[3:]
    assert main(arguments) == 0
    whole, before = pq.read_table(out / "rows").to_pylist(), shards(out)
    (out / "rows" / "00001.parquet").write_bytes((out / "rows" / "00001.parquet").read_bytes()[:1000])
    pq.write_table(pq.read_table(out / "rows" / "00002.parquet").slice(0, 9), out / "rows" / "00002.parquet")
    assert main(arguments) == 0
    assert shards(out)["00000.parquet"] == before["00000.parquet"]
    same(whole, pq.read_table(out / "rows").to_pylist(), 0)


def test_a_whole_survey_is_not_worked_out_again(tmp_path, tiny_folder, monkeypatch, capsys):
    data, out = several(tmp_path / "pictures", 12), tmp_path / "out"
    arguments = command(data, tiny_folder, out, "--workers", "0")[3:]
    assert main(arguments) == 0
    (out / "report.html").unlink()
    monkeypatch.setattr(Explainer, "parts", None)
    assert main(arguments) == 0
    assert "12 of 12 pictures are there" in capsys.readouterr().out
    assert (out / "report.html").is_file()


def test_the_same_rows_with_any_number_of_workers_and_shards_files(tmp_path, tiny_folder):
    data = several(tmp_path / "pictures", 90)
    for workers in ("0", "1", "3"):
        assert main(command(data, tiny_folder, tmp_path / workers, "--shard", "50", "--workers", workers)[3:]) == 0
    tables = [pq.read_table(tmp_path / workers / "rows").to_pylist() for workers in ("0", "1", "3")]
    same(tables[0], tables[1], 0)
    same(tables[0], tables[2], 0)


def test_groups_begin_with_their_shard():
    assert groups_of(range(100, 110)) == [range(100, 110)]
    assert [len(group) for group in groups_of(range(1000, 1000 + 2 * GROUP + 1))] == [GROUP, GROUP, 1]


def memory_of(process: int) -> float:
    """MB that a process and its children hold, what they share counted once (PSS)."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    found = 0
    for each in (str(process), *children):
        lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        found += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return found


def memory_over(process: subprocess.Popen, out: Path) -> list[tuple[int, float]]:
    """(shards written, MB) each time another one is there."""
    found = []

    def another() -> bool:
        count = len(list((out / "rows").glob("[0-9]*.parquet"))) if out.is_dir() else 0
        if count and (not found or count > found[-1][0]):
            try:
                found.append((count, memory_of(process.pid)))
            except OSError:  # a worker has ended
                return process.poll() is not None
        return process.poll() is not None

    wait_for(another, 3600, 0.05)
    return found


def flat(found: list[tuple[int, float]]) -> tuple[float, float]:
    """The least MB over the second quarter of the shards, and over the last: what is held whatever is just in work. The
    last three shards are left out, at which workers have ended and the report is written."""
    quarter = len(found) // 4
    return tuple(min(mb for _, mb in part) for part in (found[quarter : 2 * quarter], found[-quarter - 3 : -3]))


@pytest.mark.slow
def test_memory_is_flat(tmp_path, tiny_folder):
    data, out = several(tmp_path / "pictures", 1600), tmp_path / "out"
    process = begun(data, tiny_folder, out, "--shard", "64", "--workers", "1")
    early, late = flat(memory_over(process, out))
    said, _ = process.communicate()
    assert process.returncode == 0, said.decode()
    print(f"{early:.0f} MB, {late:.0f} MB in the end")
    assert late < early + 12


@pytest.mark.slow
def test_memory_is_flat_over_20_000_rows(tmp_path, bundled):
    """Of the bundled network, pictures of 224 px repeated."""
    data, out = several(tmp_path / "pictures", 20_000, ((224, 224), (300, 224))), tmp_path / "out"
    process = begun(data, bundled, out, "--shard", "256")
    found = memory_over(process, out)
    said, _ = process.communicate()
    assert process.returncode == 0, said.decode()
    early, late = flat(found)
    print(f"memory: {early:.0f} MB over rows 5,000 to 10,000, {late:.0f} MB over the last 5,000; ", end="")
    written = sum(file.stat().st_size for file in out.rglob("*")) / 1e6
    print(f"{max(mb for _, mb in found):.0f} MB at most; {written:.1f} MB written")
    assert late < 1.02 * early
