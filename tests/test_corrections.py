"""Corrections: what is written is read again, and what is not as docs/corrections.md says is named."""

import io
import json
import zipfile

import numpy as np
import pytest
from helpers import made_up_picture
from PIL import Image

from abn import corrections
from abn.corrections import LIST, LONGEST, Correction, read, remove, write

LINE = {"file": "a.png", "mask": "a.mask.png", "class": "church"}


def a_mask(height=48, width=64) -> np.ndarray:
    """Should look at the top left, should not at the bottom, a ramp on the right; else nothing is said."""
    mask = np.full((height, width), np.nan, np.float32)
    mask[:10, :20], mask[-5:] = 1, 0
    mask[10:20, -10:] = np.linspace(0, 1, 10)
    return mask


def one_of(seed=0, label="church", **more) -> Correction:
    return Correction.of(made_up_picture(64, 48, seed), a_mask(), label, **more)


def packed(files: dict[str, bytes | str]) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in files.items():
            written.writestr(name, content)
    return out


def files_of(folder, within="") -> dict[str, bytes]:
    return {within + file.name: file.read_bytes() for file in folder.iterdir()}


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


GOOD = {  # a picture and its mask, as another program may write them
    "a.png": png(made_up_picture(8, 6)),
    "a.mask.png": png(Image.fromarray(np.full((6, 8), 255, np.uint8)).convert("RGBA")),
    LIST: json.dumps(LINE),
}


def test_what_is_written_is_read_again_from_the_folder_and_its_zip(tmp_path):
    given = [one_of(0, said=("gas pump", 0.61), model="me/mine", time="2026-11-26T08:00:00Z", name="日本"), one_of(1)]
    given[1] = Correction.of(made_up_picture(64, 48, 1), 1 - a_mask(), "tench")
    names = write(given, tmp_path)
    assert len(set(names)) == 2
    for source in (tmp_path, str(tmp_path), packed(files_of(tmp_path)), packed(files_of(tmp_path, "my corrections/"))):
        first, second = read(source)
        for one, seed, mask in ((first, 0, a_mask()), (second, 1, 1 - a_mask())):
            assert (np.asarray(one.picture) == np.asarray(made_up_picture(64, 48, seed))).all()
            assert one.mask.dtype == np.float32
            assert (np.isnan(one.mask) == np.isnan(mask)).all()
            assert np.nanmax(np.abs(one.mask - mask)) <= 0.6 / 255
        assert (first.label, first.said, first.model) == ("church", ("gas pump", 0.61), "me/mine")
        assert (first.time, first.name) == ("2026-11-26T08:00:00Z", "日本")
        assert (second.label, second.said, second.model) == ("tench", None, "")


def test_a_mask_holds_255_0_and_128(tmp_path):
    (name,) = write([one_of()], tmp_path)
    with Image.open(tmp_path / f"{name}.mask.png") as stored:
        assert stored.mode == "L"
        values = np.asarray(stored)
    assert (values[:10, :20] == 255).all()
    assert (values[-5:] == 0).all()
    assert (values[25:40] == 128).all()
    half = np.full((48, 64), 128 / 255, np.float32)  # a value that is said is not taken for one that is not
    assert not np.isnan(Correction.of(made_up_picture(64, 48), half, "tench").mask).any()


def test_a_folder_grows_and_shrinks_and_holds_each_correction_once(tmp_path):
    folder = tmp_path / "new" / "folder"
    (first,) = write([one_of(0)], folder)
    assert write([one_of(1), one_of(0, model="later")], folder)[0] != first
    assert [one.model for one in read(folder)] == ["", "later"]
    assert len(list(folder.iterdir())) == 5
    write([one_of(0, label="tench"), one_of(0, label="tench")], folder)
    assert [one.label for one in read(folder)] == ["church", "church", "tench"]
    assert remove(first, folder)
    assert not remove(first, folder)
    assert not remove("../corrections", folder)
    assert [one.label for one in read(folder)] == ["church", "tench"]
    assert len(list(folder.iterdir())) == 5
    assert not remove(first, tmp_path / "none")


def test_what_another_program_wrote_is_read_and_added_to(tmp_path):
    (one,) = read(packed(GOOD))
    assert (one.mask == 1).all()
    for name, content in GOOD.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    write([one_of()], tmp_path)
    assert [one.mask.shape for one in read(tmp_path)] == [(6, 8), (48, 64)]


def test_a_photo_that_lies_on_its_side_is_upright(tmp_path):
    picture = made_up_picture(30, 20)
    turned = picture.getexif()
    turned[0x0112] = 6
    out = io.BytesIO()
    picture.save(out, "JPEG", exif=turned)
    mask = png(Image.fromarray(np.zeros((30, 20), np.uint8)))
    (one,) = read(packed({"b.jpg": out.getvalue(), "b.png": mask, LIST: '{"file":"b.jpg","mask":"b.png","class":"x"}'}))
    assert one.picture.size == (20, 30)


def changed(**fields) -> dict:
    return {LIST: json.dumps({**LINE, **fields})}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({LIST: ""}, "holds no correction"),
        ({LIST: "\n\n{"}, f"line 3 of {LIST} is not JSON"),
        ({LIST: "[" * 100_000}, "is not JSON"),
        ({LIST: "[1]"}, "must be a JSON object"),
        (changed(file=3), "must have 'file', a text; got 3"),
        (changed(**{"class": ""}), "must have 'class'"),
        (changed(file="../a.png"), "plain name"),
        (changed(mask="x\\a.png"), "plain name"),
        (changed(mask=".a.png"), "plain name"),
        (changed(model=3), "'model' must be a text"),
        (changed(said="church"), "'said' must be"),
        (changed(said={"label": "church", "confidence": 1.5}), "'said' must be"),
        (changed(said={"label": "church", "confidence": True}), "'said' must be"),
        (changed(file="b.png"), "holds no b.png"),
        ({LIST: f"{json.dumps(LINE)}\n{json.dumps(LINE)}"}, "line 2 of corrections.jsonl: a.png has a line already"),
        ({"a.png": b"GIF89a"}, "a.png is not a JPEG or PNG that can be read"),
        ({"a.png": GOOD["a.png"][:-40]}, "a.png is not a JPEG or PNG that can be read"),
        ({"a.mask.png": GOOD["a.mask.png"][:45]}, "a.mask.png is not a PNG that can be read as grey"),
        ({"a.mask.png": png(Image.fromarray(np.zeros((6, 8), np.uint16)))}, "can be read as grey"),
        ({"a.mask.png": png(Image.fromarray(np.full((6, 8), 128, np.uint8)))}, "says nothing"),
        ({"a.mask.png": png(Image.fromarray(np.zeros((8, 6), np.uint8)))}, "has 6 x 8 pixels; its picture has 8 x 6"),
        ({"a.png": png(Image.new("RGB", (LONGEST + 1, 4)))}, f"has {LONGEST + 1} x 4 pixels; at most {LONGEST} a side"),
    ],
)
def test_what_is_wrong_is_named(files, words):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        read(packed({**GOOD, **files}))
    assert words in str(error.value)


def test_a_source_that_is_none_is_named(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no folder or zip of corrections at"):
        read(tmp_path / "none")
    with pytest.raises(ValueError, match=f"holds no {LIST}"):
        read(tmp_path)
    (tmp_path / "cut.zip").write_bytes(packed(GOOD).getvalue()[:-50])
    with pytest.raises(ValueError, match=r"cut\.zip is not a zip that can be read"):
        read(tmp_path / "cut.zip")
    with pytest.raises(ValueError, match="holds no"):
        read(packed({"other": "x"}))
    monkeypatch.setattr(corrections, "FILE_BYTES", 100)
    with pytest.raises(ValueError, match=r"a\.png is larger than"):
        read(packed(GOOD))


def test_a_folder_holds_so_many_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(corrections, "MOST", 1)
    write([one_of(0)], tmp_path)
    write([one_of(0)], tmp_path)
    before = files_of(tmp_path)
    with pytest.raises(ValueError, match="holds 1 corrections, which is the most"):
        write([one_of(1)], tmp_path)
    assert files_of(tmp_path) == before


def test_a_correction_that_is_none_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="the picture is not a JPEG or PNG"):
        write([Correction(b"no picture", GOOD["a.mask.png"], "church")], tmp_path)
    assert list(tmp_path.iterdir()) == []
