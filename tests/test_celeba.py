"""CelebA: its files wherever their users have them, its three splits, and how it is fetched."""

import sys
import types
import zipfile
from pathlib import Path

import pytest
from celeba_stand_in import LAYOUTS, label, write_celeba
from torchvision.datasets import CelebA
from torchvision.datasets import celeba as torchvisions

from abn.classes import CELEBA
from train.run import main
from train.sources import celeba_source


@pytest.mark.parametrize("layout", LAYOUTS)
def test_its_files_are_found(layout, tmp_path):
    pictures = write_celeba(tmp_path, layout)
    source = celeba_source(tmp_path, download=False)
    assert (source.name, source.classes) == ("CelebA", CELEBA)
    expected = [(str(picture), label(place)) for place, picture in enumerate(pictures)]
    assert (source.train, source.val, source.test) == (expected[:4], expected[4:6], expected[6:])


def test_each_split_in_the_place_of_validation(tmp_path):
    write_celeba(tmp_path)
    source = celeba_source(tmp_path, download=False)
    for split in ("train", "val", "test"):
        assert source.with_val(split).val == getattr(source, split)
        assert source.with_val(split).train == source.train


@pytest.mark.parametrize(
    ("file", "spoil", "words"),
    [
        ("list_attr_celeba.txt", lambda text: text.replace("Young", "Old"), "does not name the 40 attributes"),
        ("list_attr_celeba.txt", lambda text: "", "does not name the 40 attributes"),
        ("list_attr_celeba.txt", lambda text: text[:-10], r"line 11: expected a picture and 1 or -1 for each of 40"),
        ("list_eval_partition.txt", lambda text: text.replace("jpg 2", "jpg 3"), r"line 7: expected a picture that"),
        ("list_eval_partition.txt", lambda text: f"{text}999999.jpg 1\n", r"line 10: expected a picture that"),
    ],
)
def test_damaged_lists_are_named(file, spoil, words, tmp_path):
    write_celeba(tmp_path)
    damaged = tmp_path / "celeba" / file
    damaged.write_text(spoil(damaged.read_text()))
    with pytest.raises(ValueError, match=rf"{file}.*{words}"):
        celeba_source(tmp_path, download=False)


def test_without_gdown_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gdown", None)  # as if it were not installed
    arguments = ["--recipe", "multitask", "--imagenette-root", str(tmp_path), "--checkpoint", str(tmp_path / "out")]
    assert main([*arguments, "--gpu-id", "cpu"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"error: CelebA is not at {tmp_path}")
    assert error.endswith("gdown, which is not installed: pip install gdown")


def gdown(monkeypatch, download):
    """gdown as torchvision calls it (download_file_from_google_drive in torchvision/datasets/utils.py)."""
    module = types.ModuleType("gdown")
    module.download = download
    monkeypatch.setitem(sys.modules, "gdown", module)


def test_what_google_drive_answers_is_told(tmp_path, monkeypatch):
    class FileURLRetrievalError(Exception):  # gdown/exceptions.py, github.com/wkentaro/gdown
        pass

    def download(id, output, quiet, user_agent):
        raise FileURLRetrievalError("Cannot retrieve the public link of the file.\nYou may need to change …")

    gdown(monkeypatch, download)
    with pytest.raises(
        FileNotFoundError, match=r"cannot be downloaded: Cannot retrieve the public link of the file\.$"
    ):
        celeba_source(tmp_path, download=True)
    with pytest.raises(FileNotFoundError, match=r"CelebA is not at .*: expected list_attr_celeba.txt"):
        celeba_source(tmp_path, download=False)


def test_it_is_downloaded_once(tmp_path, monkeypatch):
    write_celeba(tmp_path / "there")
    there, asked = tmp_path / "there" / "celeba", []

    def download(id, output, quiet, user_agent):
        asked.append(Path(output).name)
        if asked[-1].endswith(".zip"):
            with zipfile.ZipFile(output, "w") as archive:
                for picture in (there / "img_align_celeba").iterdir():
                    archive.write(picture, f"img_align_celeba/{picture.name}")
        else:
            made = there / asked[-1]
            Path(output).write_text(made.read_text() if made.is_file() else "4\na b\n")

    gdown(monkeypatch, download)
    monkeypatch.setattr("torchvision.datasets.utils.check_integrity", lambda path, md5=None: Path(path).is_file())
    monkeypatch.setattr(torchvisions, "check_integrity", lambda path, md5=None: Path(path).is_file())
    monkeypatch.setattr(CelebA, "_load_csv", lambda self, name, header=None: torchvisions.CSV([], [], torch_empty()))
    for _ in range(2):
        source = celeba_source(tmp_path / "here", download=True)
        assert [len(part) for part in (source.train, source.val, source.test)] == [4, 2, 3]
        assert Path(source.test[0][0]).is_file()
        assert len(asked) == len(CelebA.file_list)


def torch_empty():
    import torch

    return torch.empty(0, 1, dtype=torch.int)
