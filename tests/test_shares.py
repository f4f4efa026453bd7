"""Kept pictures: the same pixels, no metadata, random ids, and gone in time."""

import os
import re
import time

import numpy as np
import pytest
from helpers import in_threads, made_up_picture, wait_for
from PIL import Image

from abn.model.pictures import PictureError
from abn.space.server.shares import DAYS, LIFETIME, Shares


@pytest.fixture
def shares(tmp_path):
    return Shares(tmp_path / "shares")


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


def test_the_oldest_leave_when_there_are_too_many(tmp_path):
    shares = Shares(tmp_path / "few", at_most=3)
    names = []
    for index in range(5):
        names.append(shares.keep(made_up_picture(seed=index)))
        os.utime(shares.find(names[-1]), (time.time() - 100 + index,) * 2)
    assert [shares.find(name) is not None for name in names] == [False, False, True, True, True]


def test_there_are_never_more_than_so_many(tmp_path):
    """Not one, also before anyone looks; and a folder that was filled under a higher limit is cleared by a look."""
    few = Shares(tmp_path / "few", at_most=3)
    counts = []
    for index in range(5):
        file = few.folder / f"{few.keep(made_up_picture(seed=index))}.png"
        os.utime(file, (time.time() - 100 + index,) * 2)
        counts.append(len(list(few.folder.iterdir())))
    assert counts == [1, 2, 3, 3, 3]
    fewer = Shares(few.folder, at_most=2)
    assert fewer.find(file.stem) == file
    assert len(list(few.folder.iterdir())) == 2


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
