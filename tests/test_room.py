"""Pictures that do not fit into memory are known before the first is decoded."""

import pytest
from helpers import TINY, train

from train import room
from train.room import available_memory, to_stream
from train.stream import StreamedPictures


def test_what_does_not_fit_is_streamed_the_smallest_last(monkeypatch):
    """Of 9 GB a third: 3 GB. 30,000 pictures of 100 x 100 are 0.9 GB."""
    monkeypatch.setattr(room, "available_memory", lambda: 9_000_000_000)
    small = (30_000, 100, 100)
    assert to_stream([small, small, small], 1 / 3) == [False, False, False]
    assert to_stream([small] * 4, 1 / 3) == [False, False, False, True]
    assert to_stream([(30_000, 200, 200), small, (0, 100, 100)], 1 / 3) == [True, False, False]
    assert to_stream([(30_000, 200, 200), small], 0.51) == [False, False]
    assert to_stream([small, (1, 1, 1)], 0) == [True, True]
    monkeypatch.setattr(room, "available_memory", lambda: None)
    assert to_stream([(10**9, 300, 300)], 1 / 3) == [False]
    assert to_stream([(1, 1, 1)], 0) == [True]


def container(folder, limit, used, cached, names=("memory.max", "memory.current", "inactive_file")):
    for name, number in zip(names, (limit, used), strict=False):
        (folder / name).write_text(f"{number}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cached}\nfile 7\n")
    return (str(folder), *names)


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    """Of what it uses, the files that it has read can be given back."""
    monkeypatch.setattr(room, "CGROUPS", ())
    free = available_memory()
    assert free > 1e8
    monkeypatch.setattr(room, "CGROUPS", (container(tmp_path, 50_000_000, 30_000_000, 4_000_000),))
    assert available_memory() == 24_000_000
    monkeypatch.setattr(room, "CGROUPS", (container(tmp_path, "max", 30_000_000, 4_000_000),))
    assert available_memory() == pytest.approx(free, rel=0.3)
    first = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    monkeypatch.setattr(room, "CGROUPS", (container(tmp_path, 20_000_000, 30_000_000, 0, first),))
    assert available_memory() == 0


def test_a_run_too_large_for_memory_streams_what_does_not_fit(tiny_imagenette, tmp_path, monkeypatch, capsys):
    """30 training pictures at 1.25 x 48, 10 held out and 20 for validation at 48: the latter fit into 0.3 MB."""
    monkeypatch.setattr(room, "available_memory", lambda: 900_000)
    streamed, plain = [], StreamedPictures.__init__

    def noted(self, samples, *more):
        streamed.append(len(samples))
        plain(self, samples, *more)

    monkeypatch.setattr(StreamedPictures, "__init__", noted)
    out = tmp_path / "out"
    arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(out), *TINY, "--epochs", "1"]
    arguments += ["--holdout", "0.25", "--explain", "0"]
    assert train(arguments) == 0
    assert streamed == [30]
    assert "30 pictures of 60 px are more than memory is to hold" in capsys.readouterr().out
    out = tmp_path / "cached"
    assert train([*arguments, "--checkpoint", str(out), "--cache", str(tmp_path / "cache")]) == 0
    assert streamed == [30]


def test_an_evaluation_too_large_for_memory_streams(tiny_imagenette, tmp_path, monkeypatch, capsys):
    arguments = ["--evaluate", "--checkpoint", "compact", "--imagenette-root", str(tiny_imagenette), "--explain", "0"]
    arguments += ["--workers", "2"]
    assert train(arguments) == 0
    held = capsys.readouterr().out
    monkeypatch.setattr(room, "available_memory", lambda: 1_000_000)
    assert train(arguments) == 0
    assert capsys.readouterr().out == held
    assert "20 pictures" in held
