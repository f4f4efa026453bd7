"""HEIC is read, upright, where pillow-heif is installed; elsewhere the message says what to do."""

import os
import struct
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from helpers import ROOT, made_up_picture
from PIL import Image

from abn.model import heic
from abn.model.pictures import MAX_PIXELS, PictureError, load_rgb
from abn.space.faults import in_words

HEAD = struct.pack(">I", 24) + b"ftyp"
NEEDED = "phone.heic is a HEIC picture; install pillow-heif (pip install pillow-heif) or save it as JPEG"
needs_heif = pytest.mark.skipif(not heic.READ, reason="pillow-heif is not installed")


def written(file, picture: Image.Image, **options):
    """As pillow-heif's own plugin writes it (pillow_heif/as_plugin.py, `_save_heif`), at full quality."""
    picture.save(file, "HEIF", quality=-1, chroma=444, matrix_coefficients=0, **options)
    return file


def stored(orientation: int) -> Image.Image:
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)  # FLIP_LEFT_RIGHT, ROTATE_180, ...
    return made_up_picture() if back is None else made_up_picture().transpose(Image.Transpose(back))


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


@needs_heif
@pytest.mark.parametrize("ending", ["heic", "HEIC", "heif", "jpg"])
def test_it_is_read(ending, tmp_path):
    file = written(tmp_path / f"phone.{ending}", made_up_picture())
    assert np.array_equal(np.asarray(load_rgb(file)), np.asarray(made_up_picture()))
    with Image.open(file) as opened:
        assert np.array_equal(np.asarray(load_rgb(opened)), np.asarray(made_up_picture()))


@needs_heif
@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_once(orientation, tmp_path):
    """pillow-heif writes an orientation twice, as phones do: as the boxes irot and imir, and in EXIF."""
    file = written(tmp_path / "phone.heic", stored(orientation), exif=exif(orientation))
    content = file.read_bytes()
    assert (b"irot" in content or b"imir" in content) == (orientation > 1)
    assert exif(orientation)[6:] in content
    assert np.array_equal(np.asarray(load_rgb(file)), np.asarray(made_up_picture()))
    with Image.open(file) as opened:
        assert np.array_equal(np.asarray(load_rgb(opened)), np.asarray(made_up_picture()))


@needs_heif
def test_exif_alone_does_not_turn_it(tmp_path):
    """Without such boxes a HEIC lies as it is shown; EXIF's orientation is for information (ISO/IEC 23008-12)."""
    file = written(tmp_path / "phone.heic", made_up_picture(), exif=exif(1))
    file.write_bytes(file.read_bytes().replace(exif(1)[6:], exif(6)[6:]))
    assert exif(6)[6:] in file.read_bytes()
    assert np.array_equal(np.asarray(load_rgb(file)), np.asarray(made_up_picture()))


@needs_heif
def test_transparency_and_grey_and_broken_exif(tmp_path):
    see_through = made_up_picture().convert("RGBA")
    see_through.putalpha(Image.new("L", see_through.size, 0))
    assert np.asarray(load_rgb(written(tmp_path / "clear.heic", see_through))).min() == 255
    grey = np.asarray(load_rgb(written(tmp_path / "grey.heic", Image.new("L", (64, 48), 77))))
    assert grey.shape == (48, 64, 3)
    assert np.abs(grey.astype(int) - 77).max() <= 2
    file = written(tmp_path / "noise.heic", made_up_picture(), exif=exif(1))
    file.write_bytes(file.read_bytes().replace(exif(1)[6:14], b"noise..!"))
    assert np.array_equal(np.asarray(load_rgb(file)), np.asarray(made_up_picture()))


@needs_heif
def test_what_is_cut_or_too_large_is_refused(tmp_path, monkeypatch):
    file = written(tmp_path / "phone.heic", made_up_picture(200, 150))
    whole = file.read_bytes()
    monkeypatch.setattr("abn.model.pictures.MAX_PIXELS", 29_999)
    with pytest.raises(PictureError, match=r"^phone\.heic has 200 x 150 pixels; at most 29,999 are allowed$"):
        load_rgb(file)
    monkeypatch.setattr("abn.model.pictures.MAX_PIXELS", MAX_PIXELS)
    for place in (len(whole) // 2, 200, 40):
        file.write_bytes(whole[:place])
        with pytest.raises(PictureError, match=r"^phone\.heic is damaged and cannot be read$"):
            load_rgb(file)


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0mif1heic", b"heix\0\0\0\0mif1miaf"])
def test_without_pillow_heif_the_message_names_the_remedy(brands, tmp_path, monkeypatch):
    monkeypatch.setattr("abn.model.heic.READ", False)
    monkeypatch.setattr(
        "abn.model.pictures.FORMATS", tuple(name for name in Image.OPEN if name in ("JPEG", "PNG", "AVIF"))
    )
    (tmp_path / "phone.heic").write_bytes(HEAD + brands + bytes(99))
    with pytest.raises(PictureError) as raised:
        load_rgb(tmp_path / "phone.heic")
    assert str(raised.value) == NEEDED
    assert in_words(raised.value, "ja").startswith("phone.heic は HEIC 画像です。pillow-heif をインストールする")


def test_avif_is_no_heic(tmp_path):
    made_up_picture().save(tmp_path / "picture.avif")
    head = (tmp_path / "picture.avif").read_bytes()[:64]
    assert not heic.is_heic(head)
    assert not heic.is_heic(HEAD + b"mif1\0\0\0\0mif1avif")
    assert not heic.is_heic(b"\xff\xd8\xff\xe0")


@pytest.mark.slow
def test_nothing_asks_for_pillow_heif(tmp_path):
    """Neither the library nor what a saved checkpoint brings along: both are imported where it is missing."""
    from transformers.dynamic_module_utils import get_imports

    assert "pillow_heif" not in get_imports(ROOT / "abn" / "model" / "heic.py")
    (tmp_path / "phone.heic").write_bytes(HEAD + b"heic\0\0\0\0mif1heic" + bytes(99))
    script = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from abn.model.pictures import load_rgb\n"
        "try:\n    load_rgb(sys.argv[1])\nexcept ValueError as error:\n    print(error)"
    )
    run = [sys.executable, "-c", script, str(tmp_path / "phone.heic")]
    told_so = subprocess.run(run, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120, check=True)
    assert told_so.stdout.strip() == NEEDED


def test_it_is_an_extra_of_its_own():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(line.startswith("pillow-heif") for line in extras["heic"])
