"""Where training pictures come from: folders of class folders, and folds of them."""

import pytest
from helpers import made_up_picture

from abn import imagenette
from train.sources import folder_source, imagenette_source


def make(folder, classes, count, seed=0):
    for place, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            made_up_picture(20, 16, seed + 10 * place + number).save(folder / name / f"{number}.jpg")


@pytest.fixture
def flowers(tmp_path):
    root = tmp_path / "flowers"
    make(root / "train", ("daisy", "rose", "tulip"), 6)
    make(root / "val", ("daisy", "rose", "tulip"), 2, seed=50)
    (root / "train" / "rose" / "notes.txt").write_text("no picture")
    return root


def test_a_folder_of_class_folders(flowers):
    source = folder_source(flowers)
    assert (source.name, source.classes) == ("flowers", ("daisy", "rose", "tulip"))
    assert [label for _, label in source.train] == [0] * 6 + [1] * 6 + [2] * 6
    assert len(source.val) == 6
    assert source.train[7] == (str(flowers / "train" / "rose" / "1.jpg"), 1)


def test_imagenette(tiny_imagenette):
    source = imagenette_source(tiny_imagenette, None, download=False)
    assert (source.classes, len(source.train), len(source.val)) == (imagenette.CLASSES, 40, 20)
    assert source.root == tiny_imagenette / "imagenette2-160"
    for path in (source.root / "val" / imagenette.WNIDS[3]).iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=rf"the class folder .*val/{imagenette.WNIDS[3]} holds no picture"):
        imagenette_source(tiny_imagenette, None, download=False)


def test_holding_out_takes_its_share_of_each_class(flowers):
    kept, held_out = folder_source(flowers).split(1 / 3, seed=0)
    assert [label for _, label in held_out] == [0, 0, 1, 1, 2, 2]
    assert sorted(kept + held_out) == sorted(folder_source(flowers).train)


def test_folds_share_the_pictures_out(flowers):
    source = folder_source(flowers)
    folds = [source.fold(number, 3, seed=0) for number in range(3)]
    assert sorted(sample for fold in folds for sample in fold.val) == sorted(source.train)
    for fold in folds:
        assert [label for _, label in fold.val] == [0, 0, 1, 1, 2, 2]
        assert sorted(fold.train + fold.val) == sorted(source.train)
    assert folds[0].val != source.fold(0, 3, seed=1).val
    with pytest.raises(ValueError, match="--folds 7 needs 7 pictures a class; 'daisy' has 6"):
        source.fold(0, 7, seed=0)


def test_folds_need_no_validation_split(flowers, tmp_path):
    assert len(folder_source(flowers, folds=True).train) == 18
    make(tmp_path / "bare", ("a", "b"), 3)
    assert folder_source(tmp_path / "bare", folds=True).classes == ("a", "b")


def test_faults_name_the_folder(flowers, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        folder_source(tmp_path / "nowhere")
    (flowers / "val" / "rose").rename(flowers / "val" / "rosa")
    with pytest.raises(ValueError, match="only one has rosa, rose"):
        folder_source(flowers)
    (flowers / "train" / "lily").mkdir()
    with pytest.raises(ValueError, match=r"class folder .*lily holds no picture"):
        folder_source(flowers)
    make(tmp_path / "single" / "train", ("only",), 2)
    with pytest.raises(ValueError, match="two or more; it holds 1"):
        folder_source(tmp_path / "single")
    make(tmp_path / "half" / "train", ("a", "b"), 2)
    with pytest.raises(FileNotFoundError, match="half/val"):
        folder_source(tmp_path / "half")
