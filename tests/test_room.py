"""Pictures that do not fit into memory are told of before the first is decoded."""

import pytest
from helpers import TINY, train

from train import room
from train.room import available_memory, check_room


def test_what_is_needed_and_what_is_there(monkeypatch):
    monkeypatch.setattr(room, "available_memory", lambda: 10_000_000_000)
    check_room([(10_000, 300, 300), (2_000, 224, 224)])
    check_room([(30_000, 300, 300)] * 1 + [(18_000, 100, 100)])
    with pytest.raises(ValueError, match=r"need 9\.1 GB of memory, and 10\.0 GB are free: --cache DIR keeps them"):
        check_room([(33_000, 300, 300), (5_000, 110, 110)])
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # each process decodes its own
    with pytest.raises(ValueError, match=r"need 10\.8 GB"):
        check_room([(10_000, 300, 300)])
    monkeypatch.setattr(room, "available_memory", lambda: None)
    check_room([(10**9, 300, 300)])


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


def test_a_run_too_large_names_the_cache(tiny_imagenette, tmp_path, monkeypatch, capsys):
    """30 training pictures at 1.25 x 48, 10 held out and 20 for validation at 48: together, before any is decoded."""
    monkeypatch.setattr(room, "available_memory", lambda: 500_000)
    monkeypatch.setattr("train.data.load_rgb", lambda path: pytest.fail("decoded"))
    out = tmp_path / "out"
    arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(out), *TINY, "--epochs", "1"]
    arguments += ["--holdout", "0.25"]
    assert train(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    needed = 3 * (30 * 60 * 60 + 30 * 48 * 48) / 1e6
    assert error == (
        f"error: the decoded pictures need {needed:.1f} MB of memory, and 0.5 MB are free: "
        "--cache DIR keeps them on the disk"
    )
    monkeypatch.undo()
    monkeypatch.setattr(room, "available_memory", lambda: 500_000)
    assert train([*arguments, "--cache", str(tmp_path / "cache"), "--explain", "0"]) == 0


def test_an_evaluation_too_large_names_the_cache(tiny_imagenette, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(room, "available_memory", lambda: 1_000_000)
    monkeypatch.setattr("train.data.load_rgb", lambda path: pytest.fail("decoded"))
    arguments = ["--evaluate", "--checkpoint", "compact", "--imagenette-root", str(tiny_imagenette)]
    assert train(arguments) == 2
    words = f"need {3 * 20 * 208**2 / 1e6:.1f} MB of memory, and 1.0 MB are free: --cache DIR"
    assert words in capsys.readouterr().err
