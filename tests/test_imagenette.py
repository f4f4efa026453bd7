"""Finding, loading and fetching Imagenette."""

import os
import shutil

import pytest

from abn import imagenette


def test_classes():
    assert len(imagenette.CLASSES) == 10
    assert dict(zip(imagenette.WNIDS, imagenette.CLASSES, strict=True))["n03445777"] == "golf ball"
    assert imagenette.CLASSES[0] == "tench"


def test_found_by_its_parent_or_by_itself(tiny_imagenette):
    assert imagenette.find(tiny_imagenette) == (tiny_imagenette, "160px")
    assert imagenette.find(tiny_imagenette / "imagenette2-160") == (tiny_imagenette, "160px")
    assert imagenette.find(tiny_imagenette, "full") is None
    assert imagenette.find(tiny_imagenette / "nowhere") is None


def test_a_missing_class_is_no_data_set(tiny_imagenette):
    """torchvision would number the remaining nine from 0 and call every picture something else."""
    shutil.rmtree(tiny_imagenette / "imagenette2-160" / "val" / "n01440764")
    assert imagenette.find(tiny_imagenette) is None


def test_loaded(tiny_imagenette):
    data = imagenette.load(tiny_imagenette, "val")
    assert len(data) == 20
    picture, label = data[-1]
    assert picture.size == (60, 48)
    assert imagenette.CLASSES[label] == "parachute"


def test_a_missing_or_half_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a folder imagenette2 or imagenette2-320 or imagenette2-160"):
        imagenette.load(tmp_path, "val")
    (tmp_path / "imagenette2-160" / "train").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"imagenette2-160 with train/ and val/"):
        imagenette.load(tmp_path, "val", "160px")
    with pytest.raises(ValueError, match="full, 320px, 160px; got '80px'"):
        imagenette.load(tmp_path, "val", "80px")


def test_fetched_whole(mirror, tmp_path):
    shares = []
    imagenette.fetch(tmp_path / "data", "160px", report=shares.append)
    assert shares[-1] == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["imagenette2-160"]
    assert len(imagenette.load(tmp_path / "data", "train")) == 40


def test_a_damaged_archive_leaves_nothing(mirror, tmp_path):
    mirror.write_bytes(mirror.read_bytes()[:-100])
    with pytest.raises(OSError, match="checksum is wrong"):
        imagenette.fetch(tmp_path / "data", "160px")
    assert list((tmp_path / "data").iterdir()) == []


def test_fetching_again_replaces_what_is_there_at_once(mirror, tmp_path, monkeypatch):
    """While the new folder takes its place, the old one is whole: beside it, or under its name."""
    folder, seen = tmp_path / "data" / "imagenette2-160", []
    (folder / "half").mkdir(parents=True)
    rename = os.replace

    def watched(source, target):
        seen.append(sorted(path.parent.name for path in folder.parent.glob("*/half")))
        rename(source, target)

    monkeypatch.setattr("os.replace", watched)
    imagenette.fetch(tmp_path / "data", "160px")
    assert seen == [["imagenette2-160"], [".old-imagenette2-160"]]
    assert sorted(path.name for path in folder.iterdir()) == ["train", "val"]
    assert [path.name for path in folder.parent.iterdir()] == ["imagenette2-160"]


def test_load_downloads_when_asked(mirror, tmp_path):
    assert len(imagenette.load(tmp_path / "data", "val", "160px", download=True)) == 20
