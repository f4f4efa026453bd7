"""Nothing is left in the temporary folder: not at exit, not by a signal, and not for long by a kill."""

import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest
from helpers import ROOT
from server import started

from abn.scratch import clear_leftovers, scratch

OWNER = (
    "import signal, sys, time; sys.path.insert(0, 'abn'); from scratch import end_tidily, scratch\n"  # quick: no torch
)
OWNER += "signal.signal(signal.SIGTERM, end_tidily); print(scratch('models'), flush=True)\n"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def owner(code: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER + code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs in the background ignores it
    )
    assert "abn-models-" in process.stdout.readline()
    return process


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_leaves_with_its_owner(temporary):
    class Owner:
        pass

    one = Owner()
    folder = scratch("examples", one)
    (folder / "picture.png").write_bytes(b"1")
    assert folder.parent == temporary
    assert folder.name.startswith(f"abn-examples-{os.getpid()}-")
    del one
    assert names(temporary) == []


@pytest.mark.parametrize(
    ("code", "number", "status"),
    [
        ("", None, 0),
        ("raise SystemExit(3)", None, 3),
        ("time.sleep(60)", signal.SIGTERM, -signal.SIGTERM),
        ("time.sleep(60)", signal.SIGINT, -signal.SIGINT),
    ],
)
def test_a_process_that_ends_leaves_nothing(code, number, status, temporary):
    process = owner(code)
    if number is not None:
        process.send_signal(number)
    assert process.wait(30) == status
    process.stdout.close()
    assert names(temporary) == []


def test_leftovers_of_the_dead_go_and_the_livings_stay(temporary):
    dead, living = owner("time.sleep(60)"), owner("time.sleep(60)")
    dead.kill()
    dead.wait(30)
    dead.stdout.close()
    try:
        assert len(names(temporary)) == 2
        elsewhere = temporary.parent / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "kept").write_text("")
        others = {
            "abn-models-12345-abcdefgh": lambda path: path.symlink_to(elsewhere),
            "abn-examples-12345-abcdefgh": lambda path: path.write_text("a file"),
            "abn-notes-12345-abcdefgh": lambda path: path.mkdir(),
            "abn-models-abcdefgh": lambda path: path.mkdir(),  # an earlier version's, perhaps of a living process
        }
        for name, make in others.items():
            make(temporary / name)
        old = temporary / "abn-examples-hgfedcba"
        old.mkdir()
        os.utime(old, (time.time() - 90_000,) * 2)
        clear_leftovers()
        stays = [name for name in names(temporary) if f"-{living.pid}-" in name]
        assert len(stays) == 1
        assert names(temporary) == sorted([*others, *stays])
        assert (elsewhere / "kept").exists()
    finally:
        living.kill()
        living.wait(30)
        living.stdout.close()


def test_another_users_folders_stay(temporary, monkeypatch):
    (temporary / "abn-models-12345-abcdefgh").mkdir()
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    clear_leftovers()
    assert names(temporary) == ["abn-models-12345-abcdefgh"]
    monkeypatch.undo()


def test_a_forked_child_leaves_its_parents_folders(temporary):
    code = "import os\nif os.fork() == 0: sys.exit()\nos.wait(); print(len(os.listdir(sys.argv[1])), flush=True)"
    run = subprocess.run(
        [sys.executable, "-c", OWNER + code, str(temporary)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == "1"
    assert names(temporary) == []


@pytest.mark.slow
def test_a_killed_servers_leftovers_are_gone_after_the_next_start(temporary, tmp_path):
    arguments = ["--checkpoint", "compact", "--imagenette-root", str(tmp_path / "none")]
    surroundings = {"TMPDIR": str(temporary), "GRADIO_TEMP_DIR": ""}
    with started(tmp_path, *arguments, **surroundings) as (process, _, _):
        before = names(temporary)
        assert {name.split("-")[1] for name in before} == {"examples", "models", "uploads"}
        process.kill()
        process.wait(30)
    assert names(temporary) == before
    with started(tmp_path, *arguments, **surroundings) as (process, _, _):
        assert not set(before) & set(names(temporary))
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) in (0, -signal.SIGTERM)  # the latter if told before it listens
    assert names(temporary) == []
