"""Kept pictures: the same pixels, no metadata, random ids, and gone in time."""

import os
import re
import time

import numpy as np
import pytest
from helpers import in_threads, made_up_picture, wait_for
from PIL import Image

from abn.model.pictures import PictureError
from abn.space.faults import Fault
from abn.space.server import budgets, limits
from abn.space.server import shares as shares_module
from abn.space.server.shares import DAYS, LIFETIME, Shares


@pytest.fixture
def shares(tmp_path):
    return Shares(tmp_path / "shares", settle=0)


@pytest.fixture(autouse=True)
def full_budgets():
    budgets.SHARES._held.clear()


def test_a_picture_comes_back_upright_and_bare(shares, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"  # turned by a quarter; the maker's name
    made_up_picture(90, 60).save(tmp_path / "photo.jpg", exif=exif, comment=b"my garden", quality=95)
    with Image.open(tmp_path / "photo.jpg") as turned:
        expected = np.asarray(turned.transpose(Image.Transpose.ROTATE_270).convert("RGB"))
    name = shares.keep(tmp_path / "photo.jpg")
    file = shares.find(name)
    with Image.open(file) as kept:
        assert np.array_equal(np.asarray(kept), expected)
        assert not kept.getexif()
        assert kept.info == {}
    assert b"camera" not in file.read_bytes()
    assert b"garden" not in file.read_bytes()


def test_ids_are_random_and_nothing_else_is_found(shares, tmp_path):
    names = {shares.keep(made_up_picture()) for _ in range(20)}
    assert len(names) == 20
    assert all(re.fullmatch(r"[\w-]{22}", name) for name in names)
    (tmp_path / "secret.png").write_bytes(b"x")
    for name in ("../secret", "", "x" * 22, "../shares/" + next(iter(names)), "é" * 22):
        assert shares.find(name) is None


def test_they_leave_after_seven_days(shares):
    assert (DAYS, LIFETIME) == (7, 604800)
    old, young = shares.keep(made_up_picture()), shares.keep(made_up_picture())
    past = time.time() - LIFETIME
    os.utime(shares.find(old), (past - 5, past - 5))
    os.utime(shares.find(young), (past + 60, past + 60))
    assert shares.find(old) is None
    assert shares.find(young) is not None
    shares._clear()
    assert len(list(shares.folder.iterdir())) == 1


def test_nothing_but_its_own_is_deleted(shares):
    shares.keep(made_up_picture())
    mine = shares.folder / "holiday.png"
    mine.write_bytes(b"mine")
    os.utime(mine, (0, 0))
    shares.find("x" * 22)
    assert mine.read_bytes() == b"mine"


def test_what_is_too_old_leaves_by_itself(shares):
    name = shares.keep(made_up_picture())
    file = shares.find(name)
    os.utime(file, (0, 0))
    shares.start()
    wait_for(lambda: not file.exists())


def test_at_the_limit_a_visitors_own_oldest_leave(tmp_path):
    shares = Shares(tmp_path / "few", at_most=4)
    hers = shares.keep(made_up_picture(), "hers")
    his = [shares.keep(made_up_picture(seed=index), "his") for index in range(6)]
    assert [shares.find(name) is not None for name in his] == [False, False, False, True, True, True]
    assert shares.find(hers) is not None
    with pytest.raises(Fault, match="there is no room"):  # nothing of his own could leave
        shares.keep(made_up_picture(), "another")
    assert len(list(shares.folder.iterdir())) == 4


def test_nobody_has_more_than_so_many(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SHARES_A_VISITOR", 2)
    shares = Shares(tmp_path / "few")
    names = [shares.keep(made_up_picture(seed=index), "his") for index in range(4)]
    assert [shares.find(name) is not None for name in names] == [False, False, True, True]


def test_bytes_are_bounded(tmp_path):
    shares = Shares(tmp_path / "few")
    size = shares.find(shares.keep(made_up_picture(), "his")).stat().st_size
    shares.most_bytes = 3 * size + size // 2
    names = [shares.keep(made_up_picture(), "his") for _ in range(3)]
    assert len(list(shares.folder.iterdir())) == 3
    assert all(shares.find(name) for name in names)
    with pytest.raises(Fault, match="there is no room"):
        shares.keep(made_up_picture(), "another")


def test_presses_are_counted(shares, monkeypatch):
    monkeypatch.setattr(shares_module, "SHARES", budgets.Bucket(2, 3600))
    shares.keep(made_up_picture(), "his")
    shares.keep(made_up_picture(), "his")
    with pytest.raises(Fault, match="shared many pictures"):
        shares.keep(made_up_picture(), "his")
    assert shares.keep(made_up_picture(), "hers")


def test_a_clock_that_leaps_ahead_loses_nothing(shares, monkeypatch):
    name, real = shares.keep(made_up_picture()), time.time
    monkeypatch.setattr(time, "time", lambda: real() + 8 * 24 * 3600)
    shares._clear()
    assert shares.find(name) is not None


def test_a_clock_that_was_ahead_at_the_start_loses_nothing(shares, monkeypatch):
    name, real = shares.keep(made_up_picture()), time.time
    monkeypatch.setattr(time, "time", lambda: real() + 8 * 24 * 3600)
    again = Shares(shares.folder, settle=3600)
    again._clear()
    monkeypatch.setattr(time, "time", real)  # set right within the hour
    assert again.find(name) is not None
    again.settle = 0
    again._clear()
    assert again.find(name) is not None


def test_two_servers_on_one_folder(shares):
    """A file that the other took away while this one looked is no error."""
    other = Shares(shares.folder, settle=0)
    names = [shares.keep(made_up_picture()) for _ in range(20)]
    for name in names:
        os.utime(shares.find(name), (0, 0))
    errors = []

    def clear(index):
        try:
            (shares, other)[index % 2]._clear()
            (shares, other)[index % 2].keep(made_up_picture(seed=index))
        except Exception as error:
            errors.append(error)

    in_threads(clear, 8)
    assert errors == []
    assert len(list(shares.folder.iterdir())) == 8


def test_a_vanished_file_is_no_error(shares, monkeypatch):
    name = shares.keep(made_up_picture())
    listed = type(shares.folder).iterdir
    gone = shares.folder / ("x" * 22 + ".png")
    monkeypatch.setattr(type(shares.folder), "iterdir", lambda folder: [*listed(folder), gone])
    assert shares.keep(made_up_picture())
    assert shares.find(name)
    assert shares.find("x" * 22) is None


@pytest.mark.parametrize(
    ("number", "words"), [(28, "there is no room"), (30, "disk cannot be written"), (5, "disk cannot be written")]
)
def test_a_disk_that_cannot_be_written_loses_nothing(shares, monkeypatch, number, words):
    names = [shares.keep(made_up_picture(seed=index), "his") for index in range(3)]
    shares.at_most = 3

    def fail(file, content):
        with open(file, "wb") as part:
            part.write(content[:10])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(type(shares.folder), "write_bytes", fail)
    with pytest.raises(Fault, match=words):
        shares.keep(made_up_picture(), "his")
    assert all(shares.find(name) for name in names)
    assert len(list(shares.folder.iterdir())) == 3  # no part of a file


def test_what_a_kill_left_is_removed(shares):
    shares.keep(made_up_picture())
    left, young = shares.folder / ("." + "x" * 22), shares.folder / ("." + "y" * 22)
    for part in (left, young):
        part.write_bytes(b"part")
    os.utime(left, (time.time() - 3700,) * 2)
    shares._clear()
    assert not left.exists()
    assert young.exists()  # another server may be writing it


def test_large_pictures_are_made_smaller(shares):
    name = shares.keep(Image.new("RGB", (4096, 1000), (10, 20, 30)))
    with Image.open(shares.find(name)) as kept:
        assert kept.size == (2048, 500)
        assert kept.getpixel((1000, 250)) == (10, 20, 30)


def test_what_is_no_picture_is_not_kept(shares, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(PictureError, match="notes"):
        shares.keep(tmp_path / "notes.png")
    assert not shares.folder.exists()


def test_many_at_once(shares):
    names = []
    in_threads(lambda index: names.append((index, shares.keep(made_up_picture(seed=index)))), 8)
    for index, name in names:
        with Image.open(shares.find(name)) as kept:
            assert np.array_equal(np.asarray(kept), np.asarray(made_up_picture(seed=index)))
