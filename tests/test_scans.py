"""JPEGs of many scans: each takes as long as the first, so that a small file can take a server's minute."""

import io

import pytest
from helpers import made_up_picture
from PIL import Image

from abn.model import pictures
from abn.model.picture_repair import is_baseline, scans
from abn.model.pictures import PictureError, load_rgb

DCT = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00"  # a scan of one component's frequencies 1 to 63


def jpeg(**how) -> bytes:
    out = io.BytesIO()
    made_up_picture(120, 90).save(out, "JPEG", **how)
    return out.getvalue()


def of_many_scans(count: int) -> bytes:
    """A progressive JPEG, with empty scans before its end."""
    return jpeg(progressive=True)[:-2] + DCT * count + b"\xff\xd9"


def test_scans_are_counted():
    assert scans(jpeg(), 50) == 1
    assert scans(jpeg(exif=b"Exif\0\0" + DCT * 99), 50) == 1  # bytes of metadata are none
    usual = scans(jpeg(progressive=True), 50)
    assert 6 <= usual <= 12
    assert scans(of_many_scans(7), 50) == usual + 7
    assert scans(of_many_scans(1000), 50) == 51
    assert scans(b"\xff\xd8", 50) == scans(b"", 50) == 0


@pytest.mark.parametrize("way", ["path", "opened"])
def test_a_jpeg_of_many_scans_is_refused(tmp_path, way):
    file = tmp_path / "many.jpg"
    file.write_bytes(of_many_scans(60))
    with pytest.raises(PictureError, match=r"many.jpg is a JPEG of many scans; at most 50 are allowed"):
        load_rgb(file if way == "path" else Image.open(file))


def test_usual_ones_are_read(tmp_path):
    for content in (jpeg(), jpeg(progressive=True)):
        (tmp_path / "usual.jpg").write_bytes(content)
        assert load_rgb(tmp_path / "usual.jpg").size == (120, 90)
    assert pictures.MOST_SCANS == 50


def test_what_is_baseline():
    assert is_baseline(jpeg())
    assert not is_baseline(jpeg(progressive=True))
    assert not is_baseline(b"nothing")
