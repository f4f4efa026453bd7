"""Broken metadata and missing ends refuse no pixels; missing pixels are refused. OpenCV says what the pixels are."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from helpers import made_up_picture
from PIL import Image

from abn.model.picture_orientation import in_exif
from abn.model.pictures import PictureError, load_rgb

PNG_HEAD, PNG_END = 33, 12  # bytes of signature and IHDR; of IEND


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def exif(orientation: int = 1) -> bytes:
    block = Image.Exif()
    block[0x0112], block[0x010F] = orientation, "a maker"
    return block.tobytes()


def chunk(kind: bytes, data: bytes, fault: int = 0) -> bytes:
    checksum = zlib.crc32(kind + data) ^ fault
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(extra: bytes, last: bool = False) -> bytes:
    whole = encoded(made_up_picture(), "PNG")
    place = len(whole) - PNG_END if last else PNG_HEAD
    return whole[:place] + extra + whole[place:]


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg(extra: bytes = b"", **options) -> bytes:
    whole = encoded(made_up_picture(), "JPEG", quality=90, **options)
    return whole[:2] + extra + whole[2:]


LONG = zlib.compress(b"a" * 3_000_000)
CHUNKS = {
    "zTXt": chunk(b"zTXt", b"key\0\0" + LONG),
    "iTXt": chunk(b"iTXt", b"key\0\1\0\0\0" + LONG),
    "iCCP": chunk(b"iCCP", b"name\0\0" + LONG),
    "iCCP of noise": chunk(b"iCCP", b"name\0\0noise"),
    "tEXt": chunk(b"tEXt", b"key\0" + b"a" * 70_000_000),
    "many tEXt": chunk(b"zTXt", b"key\0\0" + zlib.compress(b"a" * 1_000_000)) * 70,
    "eXIf without its header": chunk(b"eXIf", exif()[14:]),
    "eXIf of noise": chunk(b"eXIf", b"noise and more noise"),
    "empty eXIf": chunk(b"eXIf", b""),
    "profile as text": chunk(b"tEXt", b"Raw profile type exif\0\nexif\n  8\nno hexadecimals"),
    "wrong checksum": chunk(b"tEXt", b"key\0value", fault=1),
    "wrong checksum of gAMA": chunk(b"gAMA", struct.pack(">I", 45455), fault=1),
    "short gAMA": chunk(b"gAMA", b"\0"),
    "short pHYs": chunk(b"pHYs", b"\0"),
    "short cHRM": chunk(b"cHRM", b"\0"),
    "empty sRGB": chunk(b"sRGB", b""),
    "text that is not UTF-8": chunk(b"iTXt", b"key\0\0\0\xff\0\xff\0\xff\xfe"),
    "XMP cut short": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta tiff:Orientation="),
}
SEGMENTS = {
    "EXIF of noise": segment(0xE1, b"Exif\0\0noise and more noise"),
    "empty EXIF": segment(0xE1, b"Exif\0\0"),
    "EXIF cut short": segment(0xE1, exif()[:12]),
    "EXIF that counts 65535 entries": segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x0f\x01\x02\0" * 9),
    "EXIF with offsets beyond it": segment(
        0xE1, b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 282, 5, 1, 1 << 30) + bytes(4)
    ),
    "JFIF cut short": segment(0xE0, b"JFIF\0"),
    "Adobe cut short": segment(0xEE, b"Adobe"),
    "MPF of noise": segment(0xE2, b"MPF\0noise"),
    "empty MPF": segment(0xE2, b"MPF\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
    "ICC, part 9 of 1": segment(0xE2, b"ICC_PROFILE\0\x09\x01noise"),
    "Photoshop cut short": segment(0xED, b"Photoshop 3.0\0008BIM"),
    "XMP cut short": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta"),
}


def by_opencv(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def read_both_ways(content: bytes, file) -> list[np.ndarray]:
    """By its path, and as a PIL picture that is not decoded yet, where Pillow opens it."""
    file.write_bytes(content)
    found = [np.asarray(load_rgb(file))]
    try:
        opened = Image.open(file)
    except Exception:  # Pillow's own refusal, before there is a PIL picture to give
        return found
    with opened:
        return [*found, np.asarray(load_rgb(opened))]


@pytest.mark.parametrize("last", [False, True], ids=["before the pixels", "behind them"])
@pytest.mark.parametrize("name", CHUNKS)
def test_png_chunks(name, last, tmp_path):
    content = png(CHUNKS[name], last)
    for pixels in read_both_ways(content, tmp_path / "picture.png"):
        assert np.array_equal(pixels, by_opencv(content))


@pytest.mark.parametrize("name", SEGMENTS)
def test_jpeg_segments(name, tmp_path):
    content = jpeg(SEGMENTS[name])
    for pixels in read_both_ways(content, tmp_path / "picture.jpg"):
        assert np.array_equal(pixels, by_opencv(content))


@pytest.mark.parametrize("block", [b"noise and more", b"II*", exif()[:20], exif()[6:]])
@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 90}], ids=["lossless", "lossy"])
def test_webp_exif(block, options, tmp_path):
    content = encoded(made_up_picture(), "WEBP", exif=block, **options)
    for pixels in read_both_ways(content, tmp_path / "picture.webp"):
        assert np.array_equal(pixels, by_opencv(content))


def test_webp_that_ends_within_its_metadata(tmp_path):
    whole = encoded(made_up_picture(), "WEBP", lossless=True, icc_profile=b"x" * 99, exif=exif(), xmp=b"<x:xmpmeta>")
    for content in (whole[:-5], whole[:-30]):
        (tmp_path / "picture.webp").write_bytes(content)
        assert np.array_equal(np.asarray(load_rgb(tmp_path / "picture.webp")), np.asarray(made_up_picture()))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "jpeg"])
@pytest.mark.parametrize("tag", [270, 305, 34675, "next page"])
@pytest.mark.parametrize("fault", ["offset", "type"])
def test_tiff_tags(compression, tag, fault, tmp_path):
    """A tag of metadata that points behind the file's end, or is of a type that there is not."""
    page = {"compression": compression, "icc_profile": b"x" * 50, "description": "text" * 9, "software": "a name"}
    content = bytearray(encoded(made_up_picture(), "TIFF", **page))
    start = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, start)[0]
    places = {struct.unpack_from("<H", content, at)[0]: at for at in range(start + 2, start + 2 + 12 * count, 12)}
    if tag == "next page":
        struct.pack_into("<I", content, start + 2 + 12 * count, 1 << 30)
    elif fault == "offset":
        struct.pack_into("<I", content, places[tag] + 8, 1 << 30)
    else:
        struct.pack_into("<H", content, places[tag] + 2, 99)
    for pixels in read_both_ways(bytes(content), tmp_path / "picture.tif"):
        assert np.array_equal(pixels, by_opencv(bytes(content)))


def test_avif_exif(tmp_path):
    whole = encoded(made_up_picture(), "AVIF", exif=exif(6), quality=100)
    broken = whole.replace(exif(6)[6:14], b"noise..!")
    assert broken != whole
    (tmp_path / "whole.avif").write_bytes(whole)
    (tmp_path / "broken.avif").write_bytes(broken)
    upright = np.asarray(load_rgb(tmp_path / "whole.avif"))
    assert upright.shape == (96, 72, 3)  # 96 x 72, on its side: an AVIF's own boxes say so, too
    assert np.array_equal(np.asarray(load_rgb(tmp_path / "broken.avif")), upright)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_what_follows_the_end(kind, tmp_path):
    content = encoded(made_up_picture(), kind)
    (tmp_path / "picture").write_bytes(content + b"and more" * 99)
    with Image.open(io.BytesIO(content)) as picture:
        assert np.array_equal(np.asarray(load_rgb(tmp_path / "picture")), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("missing", [12, 5, 16], ids=["IEND", "half of IEND", "IEND and a checksum"])
def test_png_without_its_end(missing, tmp_path):
    for pixels in read_both_ways(encoded(made_up_picture(), "PNG")[:-missing], tmp_path / "picture.png"):
        assert np.array_equal(pixels, np.asarray(made_up_picture()))


JPEGS = {
    "plain": {},
    "progressive": {"progressive": True},
    "4:4:4": {"subsampling": 0},
    "restart markers": {"restart_marker_blocks": 1},
    "optimised": {"optimize": True},
    "grey": {"mode": "L"},
    "CMYK": {"mode": "CMYK"},
    "odd size": {"size": (97, 71)},
    "flat": {"size": None},
}


def jpeg_of(kind: str) -> bytes:
    options = {"mode": "RGB", "size": (96, 72)} | JPEGS[kind]
    mode, size = options.pop("mode"), options.pop("size")
    picture = made_up_picture(*size) if size else Image.new("RGB", (96, 72), (128, 128, 128))
    return encoded(picture.convert(mode), "JPEG", quality=90, **options)


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_without_its_end_marker(kind, missing, tmp_path):
    whole = jpeg_of(kind)
    with Image.open(io.BytesIO(whole)) as opened:
        expected = np.asarray(opened.convert("RGB"))
    for pixels in read_both_ways(whole[:-missing], tmp_path / "picture.jpg"):
        assert np.array_equal(pixels, expected)
    opencv = cv2.imread(str(tmp_path / "picture.jpg"))[..., ::-1]
    assert np.abs(opencv.astype(int) - expected).max() <= (1 if kind == "CMYK" else 0)  # it rounds CMYK otherwise


def test_room_that_was_never_written_is_no_pixel(tmp_path):
    """Zeros in place of the end marker change nothing; zeros in place of pixels are missing pixels."""
    whole = jpeg()
    (tmp_path / "end.jpg").write_bytes(whole[:-2] + bytes(500))
    assert np.array_equal(np.asarray(load_rgb(tmp_path / "end.jpg")), by_opencv(whole))
    (tmp_path / "cut.jpg").write_bytes(whole[:-200] + bytes(500))
    with pytest.raises(PictureError, match=r"^cut\.jpg is damaged and cannot be read$"):
        load_rgb(tmp_path / "cut.jpg")


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_that_lacks_pixels_is_refused(kind, tmp_path):
    """Cut at any place, between two scans and between two restart markers as well."""
    whole, file = jpeg_of(kind), tmp_path / "cut.jpg"
    body = whole.index(b"\xff\xda") + 14
    places = {*range(len(whole) - 40, len(whole) - 2), *range(body, len(whole) - 2, 41)}
    places |= {at for at in range(body, len(whole) - 2) if whole[at] == 0xFF and whole[at + 1]}
    for place in places:
        for end in (b"", b"\xff"):
            file.write_bytes(whole[:place] + end)
            with pytest.raises(PictureError, match=r"^cut\.jpg is "):
                load_rgb(file)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_other_pictures_that_lack_pixels_are_refused(kind, tmp_path):
    whole, file = encoded(made_up_picture(200, 150), kind), tmp_path / "cut.file"
    for place in (len(whole) // 3, len(whole) // 2, len(whole) - 200):
        file.write_bytes(whole[:place])
        with pytest.raises(PictureError, match=r"^cut\.file is "):
            load_rgb(file)


def test_a_cut_png_is_not_made_whole_by_its_metadata(tmp_path):
    content = png(CHUNKS["wrong checksum"])
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(PictureError, match=r"^cut\.png is "):
        load_rgb(tmp_path / "cut.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "MPO"])
def test_pil_pictures_of_damaged_files_are_named(kind, tmp_path, explainer):
    """Opened by the caller and decoded here: a ValueError that names the file, whatever Pillow raises."""
    file = tmp_path / "half.file"
    more = {"save_all": True, "append_images": [made_up_picture(200, 150, 1)]} if kind == "MPO" else {}
    whole = encoded(made_up_picture(200, 150), kind, **more)
    refused = 0
    for part in (0.3, 0.45, 0.6, 0.8):
        file.write_bytes(whole[: int(part * len(whole))])
        for source in (file, io.BytesIO(file.read_bytes())):
            try:
                opened = Image.open(source)
            except Exception:  # not identified: nothing to give
                continue
            with opened:
                try:
                    explainer(opened)
                except PictureError as error:
                    name = "half.file" if source is file else "the picture"
                    assert str(error) == f"{name} is damaged and cannot be read"  # noqa: PT017
                    refused += 1
    assert refused or kind in ("AVIF", "WEBP", "MPO")  # Pillow reads those whole to open them, or all but the first


def test_a_closed_pil_picture_is_named(tmp_path):
    made_up_picture().save(tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as opened:
        pass
    with pytest.raises(PictureError, match=r"^picture\.png is damaged and cannot be read"):
        load_rgb(opened)


def stored(orientation: int) -> Image.Image:
    """`made_up_picture`, lying so that this orientation brings it upright."""
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)  # FLIP_LEFT_RIGHT, ROTATE_180, ...
    return made_up_picture() if back is None else made_up_picture().transpose(Image.Transpose(back))


def tiff_block(orientation: int, order: str, kind: int, count: int = 1) -> bytes:
    value = struct.pack(order + {1: "B", 3: "H", 4: "I"}[kind], orientation) * count
    head = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHI", 0x0112, kind, count) + value.ljust(4, b"\0")
    return head + struct.pack(order + "IH", 8, 1) + entry + bytes(4)


def xmp(orientation: int) -> bytes:
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def as_text(block: bytes) -> bytes:
    """As ImageMagick writes it: png.c, Magick_png_write_raw_profile."""
    return b"Raw profile type exif\0\nexif\n%8d\n" % len(block) + block.hex().encode() + b"\n"


FORMS = {
    "PNG, little endian": lambda n: ("PNG", {"exif": tiff_block(n, "<", 3)}),
    "PNG, big endian": lambda n: ("PNG", {"exif": tiff_block(n, ">", 3)}),
    "PNG, with its name": lambda n: ("PNG", {"exif": b"Exif\0\0" + tiff_block(n, "<", 3)}),
    "PNG, 32 bits": lambda n: ("PNG", {"exif": tiff_block(n, ">", 4)}),
    "PNG, a byte": lambda n: ("PNG", {"exif": tiff_block(n, "<", 1)}),
    "PNG, twice": lambda n: ("PNG", {"exif": tiff_block(n, "<", 3, count=2)}),
    "WebP": lambda n: ("WEBP", {"lossless": True, "exif": tiff_block(n, ">", 3)}),
    "WebP, XMP": lambda n: ("WEBP", {"lossless": True, "xmp": xmp(n)}),
    "TIFF": lambda n: ("TIFF", {"exif": b"Exif\0\0" + tiff_block(n, "<", 3)}),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", FORMS)
def test_orientation_in_every_form(form, orientation, tmp_path):
    kind, options = FORMS[form](orientation)
    content = encoded(stored(orientation), kind, **options)
    for pixels in read_both_ways(content, tmp_path / "picture"):
        assert np.array_equal(pixels, np.asarray(made_up_picture()))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fault", ["none", "text", "no end"])
def test_orientation_stays_where_the_rest_is_repaired(fault, orientation, tmp_path):
    upright = np.asarray(made_up_picture())
    if fault == "no end":
        whole = encoded(stored(orientation), "JPEG", exif=exif(orientation), quality=100, subsampling=0)
        content, near = whole[:-2], 12
    else:
        extra = b"" if fault == "none" else CHUNKS["wrong checksum"]
        whole = encoded(stored(orientation), "PNG")
        text = chunk(b"tEXt", as_text(exif(orientation))) if fault == "none" else chunk(b"eXIf", exif(orientation)[6:])
        content, near = whole[:PNG_HEAD] + extra + text + whole[PNG_HEAD:], 0
    for pixels in read_both_ways(content, tmp_path / "picture"):
        assert pixels.shape == upright.shape
        assert np.abs(pixels.astype(int) - upright).max() <= near


def test_orientation_of_a_broken_block():
    block = tiff_block(6, "<", 3)
    assert in_exif(block) == in_exif(b"Exif\0\0" * 2 + block) == 6
    assert in_exif(block[:-4]) == 6  # without the end of its directory
    assert in_exif(tiff_block(9, "<", 3)) == in_exif(tiff_block(0, ">", 4)) == 1
    assert in_exif(block[:12]) == in_exif(block[8:]) == in_exif(b"") == in_exif(None) == 1


@pytest.fixture(scope="module")
def explainer():
    from helpers import tiny_model

    from abn import AbnImageProcessor, Explainer

    return Explainer(tiny_model(), AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}))
