"""Gradio's cache: what is old leaves, and the oldest of too much, whatever else goes on."""

import os
import threading
import time

from helpers import wait_for

from abn.space.server import cleaning, limits


def put(folder, name, age, size=10):
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(bytes(size))
    os.utime(file, (time.time() - age,) * 2)
    return file


def test_what_is_old_leaves(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "CACHE_SECONDS", -1.0)  # the change of a file's times is new
    kept, old = put(tmp_path, "aa/kept.png", 9e5), put(tmp_path, "bb/picture.png", 9e5)
    cut, under_way = put(tmp_path, "tmpabc", limits.UNFINISHED_SECONDS + 5), put(tmp_path, "tmpdef", 5)
    assert cleaning.clean(tmp_path, {str(kept)}) == 2
    assert kept.exists()
    assert under_way.exists()
    assert not cut.exists()
    assert not old.parent.exists()


def test_what_is_young_stays(tmp_path):
    young = put(tmp_path, "aa/picture.png", 5)
    assert cleaning.clean(tmp_path) == 0
    assert young.exists()
    assert cleaning.clean(tmp_path, now=time.time() + limits.CACHE_SECONDS + 5) == 1


def test_the_oldest_of_too_much_leave(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "CACHE_BYTES", 25)
    files = []
    for index in range(4):
        files.append(put(tmp_path, f"{index}/picture.png", 0))
        wait_for(lambda: time.time() - files[-1].stat().st_ctime > 0.02)
    cleaning.clean(tmp_path)
    assert [file.exists() for file in files] == [False, False, True, True]


def test_nothing_ends_the_thread(tmp_path, monkeypatch):
    """A set that changes while it is gone through, which ends Gradio's."""
    looked = threading.Event()
    calls = []

    def keep():
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("Set changed size during iteration")
        looked.set()
        return set()

    monkeypatch.setattr(cleaning, "EVERY", 0.01)
    cleaning.start(tmp_path, keep)
    assert looked.wait(20)
