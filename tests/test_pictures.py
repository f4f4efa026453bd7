"""Every kind of picture becomes right RGB; what is no picture is named."""

import io
import pickle

import numpy as np
import pytest
from helpers import made_up_picture
from PIL import Image

from abn.model.errors import NumberError, PictureError
from abn.model.pictures import from_array, load_rgb, to_rgb

RED, GREEN = (255, 0, 0), (0, 255, 0)


def reopened(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return Image.open(io.BytesIO(out.getvalue()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    """A picture stored in any of the eight orientations comes out upright."""
    upright = np.asarray(made_up_picture(8, 5))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    picture = reopened(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    assert np.array_equal(np.asarray(to_rgb(picture)), upright)


def test_transparency_lies_on_white():
    picture = Image.new("RGBA", (3, 1), (*RED, 255))
    picture.putpixel((1, 0), (*RED, 0))
    picture.putpixel((2, 0), (*RED, 128))
    assert [to_rgb(picture).getpixel((x, 0)) for x in range(3)] == [RED, (255, 255, 255), (255, 127, 127)]


def test_a_palette_with_transparency():
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *GREEN])
    picture.putpixel((1, 0), 1)
    picture = reopened(picture, "PNG", transparency=1)
    assert [to_rgb(picture).getpixel((x, 0)) for x in range(2)] == [RED, (255, 255, 255)]


def test_grey_and_bilevel_and_palette():
    assert to_rgb(Image.new("L", (1, 1), 77)).getpixel((0, 0)) == (77, 77, 77)
    assert to_rgb(Image.new("1", (1, 1), 1)).getpixel((0, 0)) == (255, 255, 255)
    assert to_rgb(Image.new("LA", (1, 1), (77, 255))).getpixel((0, 0)) == (77, 77, 77)
    assert to_rgb(Image.new("RGB", (1, 1), GREEN).convert("P")).getpixel((0, 0)) == GREEN


def test_cmyk():
    picture = reopened(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    assert picture.mode == "CMYK"
    assert np.abs(np.array(to_rgb(picture).getpixel((8, 8))) - np.array(RED)).max() <= 3


def test_sixteen_bits():
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    picture = reopened(Image.fromarray(values), "PNG")
    assert picture.mode.startswith("I")
    assert np.asarray(to_rgb(picture))[0, :, 0].tolist() == [0, 1, 128, 255]
    dark = reopened(Image.fromarray(np.full((1, 1), 200, np.uint16)), "PNG")
    assert to_rgb(dark).getpixel((0, 0)) == (1, 1, 1)  # dark stays dark


def test_floats_and_32_bits():
    assert to_rgb(Image.fromarray(np.float32([[0.5]]))).getpixel((0, 0)) == (128, 128, 128)
    assert to_rgb(Image.fromarray(np.float32([[128.0]]))).getpixel((0, 0)) == (128, 128, 128)
    assert to_rgb(Image.fromarray(np.int32([[128]]))).getpixel((0, 0)) == (128, 128, 128)
    with pytest.raises(ValueError, match="not finite"):
        to_rgb(Image.fromarray(np.float32([[np.nan]])))


def test_arrays():
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.array_equal(np.asarray(load_rgb(grey)), np.stack([grey] * 3, -1))
    assert np.array_equal(np.asarray(load_rgb(grey[..., None])), np.stack([grey] * 3, -1))
    assert load_rgb(np.full((2, 2, 3), 0.5)).getpixel((0, 0)) == (128, 128, 128)
    assert load_rgb(np.full((2, 2, 3), 65535, np.uint16)).getpixel((0, 0)) == (255, 255, 255)
    assert load_rgb(np.zeros((2, 2, 4), np.uint8)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros((3, 8, 8, 3), np.uint8), ValueError, r"\(3, 8, 8, 3\)"),
        (np.zeros((8, 8, 2), np.uint8), ValueError, r"\(8, 8, 2\)"),
        (np.zeros((0, 8, 3), np.uint8), ValueError, r"\(0, 8, 3\)"),
        (np.full((8, 8, 3), np.nan), ValueError, "finite"),
        (np.full((8, 8, 3), 2.0), ValueError, r"\[0, 1\]"),
        (np.zeros((8, 8, 3), np.int64), TypeError, "int64"),
        (np.zeros((8, 8), bool), TypeError, "bool"),
    ],
)
def test_arrays_that_are_no_pictures(array, error, words):
    with pytest.raises(error, match=words):
        from_array(array)


def test_files(tmp_path):
    made_up_picture(9, 7).save(tmp_path / "good.png")
    assert np.array_equal(np.asarray(load_rgb(tmp_path / "good.png")), np.asarray(made_up_picture(9, 7)))
    (tmp_path / "text.png").write_text("this is no picture")
    with pytest.raises(ValueError, match=r"^text\.png is not a picture"):
        load_rgb(tmp_path / "text.png")
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"^empty\.jpg is not a picture"):
        load_rgb(str(tmp_path / "empty.jpg"))
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"^cut\.png is damaged"):
        load_rgb(tmp_path / "cut.png")
    with pytest.raises(ValueError, match=r"is damaged and cannot be read$") as caught:
        load_rgb(tmp_path)  # a folder
    assert str(tmp_path.parent) not in str(caught.value)
    (tmp_path / "program.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(ValueError, match=r"^program\.eps is not a picture"):
        load_rgb(tmp_path / "program.eps")
    with pytest.raises(FileNotFoundError):
        load_rgb(tmp_path / "none.png")
    with pytest.raises(TypeError, match="got int"):
        load_rgb(3)


def test_too_many_pixels(tmp_path, monkeypatch):
    made_up_picture(9, 7).save(tmp_path / "large.png")
    monkeypatch.setattr("abn.model.pictures.MAX_PIXELS", 62)
    with pytest.raises(ValueError, match=r"large\.png has 9 x 7 pixels; at most 62"):
        load_rgb(tmp_path / "large.png")


def test_an_error_has_a_key_and_values_and_survives_pickling(tmp_path):
    (tmp_path / "{x}.png").write_text("no picture")
    with pytest.raises(PictureError) as raised:
        load_rgb(tmp_path / "{x}.png")
    again = pickle.loads(pickle.dumps(raised.value))
    for error in (raised.value, again):
        assert (error.key, error.values) == ("picture_unreadable", {"name": "{x}.png"})
        assert str(error) == "{x}.png is not a picture that can be read"
    number = pickle.loads(pickle.dumps(NumberError("array_kind", kind="bool")))
    assert isinstance(number, NumberError)
    assert str(number) == "an array must be uint8, uint16 or float; got bool"
