"""What visitors send, through the server's API: explained the right way up, or refused in a short sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from helpers import made_up_picture
from PIL import Image

from abn import Explainer


@pytest.fixture(scope="module")
def served(running_app):
    url, log = running_app
    return Client(url, verbose=False), url, log


@pytest.fixture(scope="module")
def explainer(bundled):
    return Explainer.from_pretrained(bundled, device="cpu")


def encoded(picture, kind, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def turned(orientation: int) -> bytes:
    """A JPEG that is to be turned upright to be `upright`."""
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)  # FLIP_LEFT_RIGHT, ROTATE_180, ...
    picture = upright() if back is None else upright().transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(picture, "PNG", exif=exif)


def upright() -> Image.Image:
    return made_up_picture(120, 90, seed=5)


def many_frames(kind):
    frames = [made_up_picture(64, 48, seed=seed) for seed in range(3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


def see_through() -> Image.Image:
    picture = made_up_picture(64, 48).convert("P")
    picture.info["transparency"] = 0
    return picture


GOOD = {
    "animation.gif": lambda: many_frames("GIF"),
    "pages.tiff": lambda: many_frames("TIFF"),
    "cmyk.jpg": lambda: encoded(made_up_picture(64, 48).convert("CMYK"), "JPEG"),
    "deep.png": lambda: encoded(Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 20), "PNG"),
    "palette.png": lambda: encoded(see_through(), "PNG", transparency=0),
    "grey.webp": lambda: encoded(made_up_picture(64, 48).convert("L"), "WEBP"),
    "bilevel.bmp": lambda: encoded(made_up_picture(64, 48).convert("1"), "BMP"),
    "one-pixel.png": lambda: encoded(Image.new("RGB", (1, 1), (200, 30, 30)), "PNG"),
    "hair.png": lambda: encoded(Image.new("RGB", (1, 5000), (30, 200, 30)), "PNG"),
    "ribbon.png": lambda: encoded(Image.new("RGB", (5000, 1), (30, 30, 200)), "PNG"),
    "large.jpg": lambda: encoded(Image.new("RGB", (8000, 5000), (90, 120, 60)), "JPEG"),
}


@pytest.mark.parametrize("name", GOOD)
def test_odd_pictures_are_explained(name, served, explainer, tmp_path):
    client, _, _ = served
    (tmp_path / name).write_bytes(GOOD[name]())
    label, overlay, attention_map = client.predict(handle_file(tmp_path / name), api_name="/explain")
    expected = explainer(tmp_path / name, view="whole")
    assert label["label"] == expected.label
    assert np.array(attention_map).shape == expected.attention_map.shape
    assert np.asarray(Image.open(overlay)).shape == expected.view.shape


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_shown_the_right_way_up(orientation, served, tmp_path):
    client, _, _ = served
    (tmp_path / "turned.png").write_bytes(turned(orientation))
    overlay = client.predict(handle_file(tmp_path / "turned.png"), 0, api_name="/explain")[1]
    assert np.array_equal(np.asarray(Image.open(overlay).convert("RGB")), np.asarray(upright()))


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few bytes: refused before it is decoded."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


NO_PICTURE = "is not a picture that can be read"
BAD = {
    "empty.png": (lambda: b"", NO_PICTURE),
    "text.png": (lambda: b"I am a text", NO_PICTURE),
    "page.html": (lambda: b"<!doctype html><img src=x>", NO_PICTURE),
    "drawing.svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><rect/></svg>", NO_PICTURE),
    "script.eps": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NO_PICTURE),
    "half.png": (lambda: encoded(made_up_picture(300, 200), "PNG")[:3000], "is damaged and cannot be read"),
    "half.jpg": (lambda: encoded(made_up_picture(300, 200), "JPEG")[:2000], "is damaged and cannot be read"),
    "bomb.png": (bomb, "pixels; at most 52,000,000 are allowed"),
    "huge.png": (lambda: encoded(Image.new("1", (8000, 8000)), "PNG"), "8000 x 8000 pixels; at most 52,000,000"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named(name, served, tmp_path):
    client, _, log = served
    make, words = BAD[name]
    so_far = len(log.read_text())
    (tmp_path / name).write_bytes(make())
    with pytest.raises(AppError, match=words) as caught:
        client.predict(handle_file(tmp_path / name), api_name="/explain")
    assert name in str(caught.value)
    assert "/" not in str(caught.value)  # no path
    assert len(str(caught.value)) < 250
    assert "Traceback" not in log.read_text()[so_far:]
    assert client.predict(api_name="/model")["state"] == "ready"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../../etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:1/x.png",
        "http://localhost:1/x.png",
    ],
)
def test_files_of_the_server_and_its_neighbours_are_not_read(path, served):
    client, _, _ = served
    with pytest.raises((AppError, ValueError, OSError)) as caught:
        client.predict({"path": path, "meta": {"_type": "gradio.FileData"}}, api_name="/explain")
    assert "root:" not in str(caught.value)
    assert client.predict(api_name="/model")["state"] == "ready"


@pytest.mark.parametrize(
    ("endpoint", "arguments", "words"),
    [
        ("/explain", {"alpha": 2}, "alpha must be a number from 0 to 1; got 2"),
        ("/explain", {"view": "up"}, "view must be one of model, whole; got up"),
        ("/explain", {"model": "../../etc"}, r"\.\./\.\./etc cannot be used: it is neither in the list nor a Hub id"),
        ("/explain", {"model": "a/.."}, "cannot be used"),
        ("/compare", {"methods": "magic"}, "method must be one of"),
        ("/compare", {"target": "unicorn"}, "target must be a class"),
        ("/edit", {"attention_map": [[1, 2]]}, r"the map must be \d+ x \d+"),
        ("/edit", {"attention_map": [["x"]]}, "a map must be"),
    ],
)
def test_bad_arguments_are_named(endpoint, arguments, words, served, tmp_path):
    client, _, log = served
    so_far = len(log.read_text())
    made_up_picture().save(tmp_path / "picture.png")
    with pytest.raises(AppError, match=words):
        client.predict(handle_file(tmp_path / "picture.png"), api_name=endpoint, **arguments)
    assert "Traceback" not in log.read_text()[so_far:]
