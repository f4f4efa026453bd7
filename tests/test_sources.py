"""Where training pictures come from: folders of class folders, and folds of them."""

import json

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


def test_a_flat_folder_gives_a_share_of_each_class(tmp_path):
    root = tmp_path / "birds"
    make(root, ("jay",), 10)
    make(root, ("owl",), 5, seed=20)
    make(root, ("tit",), 2, seed=40)
    make(root, ("wren",), 1, seed=60)
    source = folder_source(root, seed=3)
    assert [label for _, label in source.val] == [0, 0, 1, 2]  # one at least, and never all
    assert sorted(source.train + source.val) == sorted(folder_source(root, folds=True).train)
    assert folder_source(root, seed=3).val == source.val
    assert folder_source(root, seed=4).val != source.val
    assert [label for _, label in folder_source(root, share=0.5).val].count(0) == 5
    assert source.summary() == (
        "birds: 4 classes (jay, owl, tit, wren), 14 training and 4 validation pictures (0.2 of each class)"
    )


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "Validation", "test", "Test", "evaluation"])
def test_names_of_the_validation_split(name, flowers):
    (flowers / "val").rename(flowers / name)
    source = folder_source(flowers)
    assert [path.rsplit("flowers/")[1] for path, _ in source.val[:2]] == [f"{name}/daisy/0.jpg", f"{name}/daisy/1.jpg"]
    assert f"6 validation pictures ({name}/)" in source.summary()
    with pytest.raises(ValueError, match=f"in {name}/: leave --val-share out"):
        folder_source(flowers, share=0.1)


def test_a_test_split_beside_it_is_read_when_it_is_asked_for(flowers):
    make(flowers / "testing", ("daisy", "rose", "tulip"), 1, seed=90)
    source = folder_source(flowers)
    assert len(source.val) == 6
    expected = [(str(flowers / "testing" / name / "0.jpg"), place) for place, name in enumerate(source.classes)]
    assert source.with_val("test").val == expected
    (flowers / "testing" / "rose").rename(flowers / "testing" / "rosa")
    assert folder_source(flowers).val == source.val
    with pytest.raises(ValueError, match="train/ lacks rosa; testing/ lacks rose"):
        source.with_val("test")


def test_two_names_of_one_split_are_an_error(flowers):
    make(flowers / "valid", ("daisy", "rose", "tulip"), 1)
    with pytest.raises(ValueError, match="holds both val/ and valid/: rename one of them"):
        folder_source(flowers)


def test_pictures_without_labels_are_no_split(flowers):
    """As competitions have them: train/CLASS/… beside test/*.jpg."""
    (flowers / "val").rename(flowers / "unseen")
    (flowers / "test").mkdir()
    made_up_picture(8, 8).save(flowers / "test" / "1.jpg")
    source = folder_source(flowers)
    assert (len(source.train), len(source.val)) == (15, 3)
    assert not any("unseen" in path or "/test/" in path for path, _ in source.train + source.val)


def test_a_class_may_be_called_as_a_split(tmp_path):
    make(tmp_path / "tubes", ("test", "train", "bus"), 5)
    assert folder_source(tmp_path / "tubes").classes == ("bus", "test", "train")
    make(tmp_path / "flat" / "train", (), 0)
    for split in ("train", "test"):
        make(tmp_path / "flat", (split,), 2)
    with pytest.raises(ValueError, match="flat/train must hold a folder a class, two or more; it holds 0"):
        folder_source(tmp_path / "flat")


@pytest.mark.parametrize("above", ["data", "flowers", "archive/flowers", "data/flowers"])
def test_a_data_set_of_the_hub_and_one_in_a_folder_of_its_own(above, flowers, tmp_path):
    """github:huggingface/datasets reads data/train/CLASS/… and train/CLASS/… alike; a Hub's repository has files of its
    own beside them."""
    root = tmp_path / "down"
    (root / above).parent.mkdir(parents=True)
    flowers.rename(root / above)
    (root / "README.md").touch()
    (root / ".gitattributes").touch()
    (root / ".git").mkdir()
    (root / "__MACOSX").mkdir()
    source = folder_source(root)
    assert (source.classes, len(source.train), len(source.val)) == (("daisy", "rose", "tulip"), 18, 6)
    assert source.name == "down"
    if above == "data":
        (root / "assets").mkdir()
        assert folder_source(root).train == source.train


def test_data_may_be_a_class(tmp_path):
    make(tmp_path / "words", ("data", "code"), 5)
    assert folder_source(tmp_path / "words").classes == ("code", "data")


def test_the_summary_says_what_is_left_out(flowers):
    (flowers / "val" / "rose" / "Thumbs.db").touch()
    (flowers / "train" / ".DS_Store").touch()
    made_up_picture(20, 16).save(flowers / "train" / "tulip" / "stray.GIF")
    source = folder_source(flowers)
    assert source.summary() == (
        "flowers: 3 classes (daisy, rose, tulip), 19 training and 6 validation pictures (val/); left out: "
        "2 hidden or a system's own (train/.DS_Store, val/rose/Thumbs.db); "
        "1 not a picture that can be read (train/rose/notes.txt)"
    )


# Tables of labels


def table(folder, rows, kind="csv"):
    """As `datasets` documents them for ImageFolder; more columns are allowed."""
    if kind == "csv":
        lines = ["file_name,caption,label", *(f'{name},"a, b",{label}' for name, label in rows)]
    else:
        lines = [json.dumps({"file_name": name, "label": label, "objects": {"bbox": []}}) for name, label in rows]
    (folder / f"metadata.{kind}").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("above", ["", "data"])
def test_a_table_in_each_split(kind, above, tmp_path):
    root = tmp_path / "owls"
    for split, count in (("train", 4), ("validation", 2)):
        folder = root / above / split
        (folder / "in").mkdir(parents=True)
        for number in range(count):
            made_up_picture(8, 8, number).save(folder / "in" / f"{number}.png")
        made_up_picture(8, 8).save(folder / "more.png")
        table(folder, [(f"in/{number}.png", "snowy" if number % 2 else "barn") for number in range(count)], kind)
    source = folder_source(root)
    inside = root / above / "train" / "in"
    assert source.classes == ("barn", "snowy")
    assert source.train == [
        (str(inside / f"{number}.png"), label) for number, label in ((0, 0), (2, 0), (1, 1), (3, 1))
    ]
    assert [label for _, label in source.val] == [0, 1]
    assert "2 not in the table" in source.summary()


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_one_table_for_all(kind, tmp_path):
    """Its labels are numbers, in their order; where its paths begin with a split's name, that is the split."""
    for split in ("train", "test", "all"):
        (tmp_path / split).mkdir()
        for number in range(24):
            made_up_picture(8, 8, number).save(tmp_path / split / f"{number}.png")
    table(tmp_path, [(f"{split}/{n}.png", n // 2) for split in ("train", "test") for n in range(24)], kind)
    source = folder_source(tmp_path)
    assert source.classes == tuple(map(str, range(12)))
    assert (len(source.train), len(source.val)) == (24, 24)
    assert source.train[5] == (str(tmp_path / "train" / "5.png"), 2)
    assert "24 not in the table" in source.summary()
    table(tmp_path, [(f"all/{n}.png", n % 3) for n in range(24)], kind)
    source = folder_source(tmp_path, share=0.25)
    assert ([label for _, label in source.val], len(source.train)) == ([0, 0, 1, 1, 2, 2], 18)


def test_faults_of_a_table_name_the_line(tmp_path):
    for number in range(3):
        made_up_picture(8, 8).save(tmp_path / f"{number}.png")
    rows = [("0.png", "a"), ("1.png", "b")]
    for more, words in (
        ([("9.png", "a")], r"metadata.csv, line 4: there is no .*/9.png"),
        ([("", "a")], "line 4: expected a file_name and a label"),
        ([("1.png", "a")], "line 4: 1.png was there before"),
    ):
        table(tmp_path, rows + more)
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            folder_source(tmp_path)
    table(tmp_path, [*rows, ("2.png", "")])
    assert "1 without a label (2.png)" in folder_source(tmp_path).summary()
    table(tmp_path, rows[:1])
    with pytest.raises(ValueError, match=r"metadata.csv must name two or more classes; it names 1"):
        folder_source(tmp_path)
    (tmp_path / "metadata.csv").write_text("file_name,caption\n0.png,an owl\n")
    with pytest.raises(ValueError, match=r"metadata.csv has no label, and there are no class folders beside it"):
        folder_source(tmp_path)
    (tmp_path / "metadata.csv").rename(tmp_path / "train-00000-of-00001.parquet")
    with pytest.raises(ValueError, match=r"holds train-00000-of-00001.parquet and no class folders; it is not read"):
        folder_source(tmp_path)
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "0.png", "label": "a"}\n{"file_name"\n')
    with pytest.raises(ValueError, match=r"metadata.jsonl, line 2 is not JSON"):
        folder_source(tmp_path)


def test_captions_beside_class_folders_are_no_labels(flowers):
    (flowers / "train" / "metadata.csv").write_text("file_name,text\nrose/0.jpg,a rose\n")
    source = folder_source(flowers)
    assert (source.classes, len(source.train)) == (("daisy", "rose", "tulip"), 18)
    assert "1 beside the class folders (train/metadata.csv)" in source.summary()


def test_faults_name_the_folder(flowers, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        folder_source(tmp_path / "nowhere")
    (flowers / "val" / "rose").rename(flowers / "val" / "rosa")
    with pytest.raises(ValueError, match="have the same classes; train/ lacks rosa; val/ lacks rose"):
        folder_source(flowers)
    (flowers / "train" / "lily").mkdir()
    with pytest.raises(ValueError, match=r"class folder .*lily holds no picture"):
        folder_source(flowers)
    make(tmp_path / "single" / "train", ("only",), 2)
    with pytest.raises(ValueError, match="two or more; it holds 1"):
        folder_source(tmp_path / "single")
    make(tmp_path / "flat", ("only",), 2)
    with pytest.raises(ValueError, match="flat must hold a folder a class, two or more; it holds 1"):
        folder_source(tmp_path / "flat")
    make(tmp_path / "half" / "val", ("a", "b"), 2)
    (tmp_path / "half" / "other").mkdir()
    with pytest.raises(ValueError, match=r"class folder .*/half/other holds no picture"):
        folder_source(tmp_path / "half")
    (tmp_path / "half" / "other").rmdir()
    with pytest.raises(FileNotFoundError, match="half holds val/ and no train/"):
        folder_source(tmp_path / "half")
