"""A large JPEG is decoded at a part of its size: the answer, the view and the map's place are those of the whole."""

import io
import warnings

import numpy as np
import pytest
import torch
from helpers import made_up_picture, tiny_model
from PIL import Image

from abn import AbnImageProcessor, Explainer
from abn.comparison import Comparison
from abn.model.pictures import MAX_PIXELS, PictureError, Reduced, fitted, load_rgb, resized

ORIENTATIONS = range(1, 9)
SIDE = 64  # of the network's input


@pytest.fixture(scope="module")
def explainer():
    return Explainer(tiny_model(), processor(), device="cpu")


def processor(**changes) -> AbnImageProcessor:
    return AbnImageProcessor(**{"size": {"shortest_edge": 72}, "crop_size": {"height": SIDE, "width": SIDE}} | changes)


def saved(file, picture: Image.Image, **options):
    picture.save(file, "JPEG", quality=95, **options)
    return file


def stored(picture: Image.Image, orientation: int) -> Image.Image:
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)  # FLIP_LEFT_RIGHT, ROTATE_180, ...
    return picture if back is None else picture.transpose(Image.Transpose(back))


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


@pytest.mark.parametrize("size", [(400, 300), (401, 303), (407, 309), (300, 400), (1, 1), (2000, 9), (16, 16)])
@pytest.mark.parametrize("least", [1, 30, 75, 76, 150, 151, 299])
def test_it_is_reduced_no_further_than_is_enough(size, least, tmp_path):
    file = saved(tmp_path / "picture.jpg", made_up_picture(*size))
    enough = tuple(min(side, least) for side in reversed(size))
    read = load_rgb(file, lambda picture: enough if picture == size[::-1] else None)
    assert (read.width, read.height) == size
    scale = min(8, min(size[0] // enough[1], size[1] // enough[0]))
    if scale < 2:
        assert read.size == size
        return
    divisor = max(power for power in (2, 4, 8) if power <= scale)
    assert read.pixels.size == tuple(-(-side // divisor) for side in size)  # rounded up
    assert read.box == (0, 0, size[0] / divisor, size[1] / divisor)


@pytest.mark.parametrize("size", [(403, 301), (407, 309)])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_parts_are_those_of_the_whole(orientation, size, tmp_path):
    """Odd sizes in every orientation: the row and the column that are only partly filled lie where they belong. A shift
    by one pixel would give differences of up to 8 here."""
    upright = steep(*size)
    file = saved(tmp_path / "picture.jpg", stored(upright, orientation), exif=exif(orientation), subsampling=0)
    whole = load_rgb(file)
    reduced = load_rgb(file, lambda picture: (50, 50))
    assert isinstance(reduced, Reduced)
    assert (reduced.width, reduced.height) == whole.size == size
    for box in ((0, 0, *size), (41, 33, 401, 299), (size[0] - 200, size[1] - 200, *size), (0, 0, 199, 203)):
        part = reduced.part(box, (40, 30), Image.Resampling.BILINEAR)
        expected = whole.resize((40, 30), Image.Resampling.BILINEAR, box)
        assert np.abs(np.asarray(part).astype(int) - np.asarray(expected)).mean() < 0.8
    assert np.array_equal(
        np.asarray(resized(reduced, (40, 30), Image.Resampling.BILINEAR)),
        np.asarray(reduced.part((0, 0, *size), (40, 30), Image.Resampling.BILINEAR)),
    )


def steep(width: int, height: int) -> Image.Image:
    """Brightness runs up and down, 4 a pixel across and 3 down: what is shifted differs."""
    down, across = np.mgrid[:height, :width]
    wave = np.abs((4 * across) % 510 - 255), np.abs((3 * down) % 510 - 255), np.abs((2 * (across + down)) % 510 - 255)
    return Image.fromarray(np.stack(wave, -1).astype(np.uint8))


@pytest.mark.parametrize("view", ["model", "whole"])
@pytest.mark.parametrize("size", [(3200, 2400), (2403, 3207), (2311, 2309), (4500, 700)])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_explanation_is_that_of_the_whole(size, view, orientation, explainer, tmp_path):
    picture = stored(made_up_picture(*size), orientation)
    file = saved(tmp_path / "picture.jpg", picture, exif=exif(orientation))
    whole, read = load_rgb(file), explainer.read(file, view)
    assert isinstance(read, Reduced) or (size, view) == ((4500, 700), "model")  # 630 pixels wide: shown as they are
    expected = explainer(whole, view=view)
    with Image.open(file) as opened:
        ways = [explainer(file, view=view), explainer([str(file)], view=view)[0], explainer(opened, view=view)]
        assert opened.size == picture.size  # the caller's own picture is not reduced
    for found in ways:
        assert found.view.shape == expected.view.shape
        assert found.heatmap.shape == found.view.shape[:2]
        assert np.abs(found.view.astype(int) - expected.view).max() <= 6
        (laid,) = explainer.processor.post_process_attention(
            torch.from_numpy(found.attention_map)[None, None], [size[::-1]], view, [found.view.shape[:2]]
        )
        assert np.array_equal(found.heatmap, laid.clamp(0, 1).numpy())  # by the whole picture's size
        assert np.abs(found.attention_map - expected.attention_map).mean() < 0.01  # of sigmoids that are steep here
        assert max(abs(found.probabilities[name] - expected.probabilities[name]) for name in explainer.labels) < 0.005
        assert found.overlay().shape == found.view.shape
    compared = Comparison(explainer, file, view=view)
    assert np.array_equal(compared.view, ways[0].view)
    assert np.array_equal(compared("attention").heatmap, ways[0].heatmap)


def test_the_centre_crop_shows_the_same_pixels(explainer, tmp_path):
    """A grating of 12 pixels: a view that lay beside by a pixel of the picture would be far off."""
    width, height = 3205, 2403
    wave = 127.5 + 127.5 * np.sin(2 * np.pi * (np.arange(width)[None] + np.arange(height)[:, None]) / 12)
    file = saved(tmp_path / "picture.jpg", Image.fromarray(np.rint(wave).astype(np.uint8)))
    left, top, right, bottom = explainer.processor.geometry((height, width), "model").box
    expected = load_rgb(file).crop((left, top, right, bottom))
    expected.thumbnail((1024, 1024), Image.Resampling.LANCZOS)
    view = explainer(file).view
    assert view.shape == (1024, 1024, 3) == np.asarray(expected).shape
    assert np.abs(view.astype(int) - np.asarray(expected)).mean() < 7  # a little paler
    beside = load_rgb(file).crop((left + 1, top, right + 1, bottom))
    beside.thumbnail((1024, 1024), Image.Resampling.LANCZOS)
    assert np.abs(view.astype(int) - np.asarray(beside)).mean() > 20


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"size": {"height": 96, "width": 96}, "do_center_crop": False},
        {"size": {"height": 64, "width": 96}, "crop_size": {"height": 64, "width": 64}, "resample": 3},
        {"crop_size": {"height": 80, "width": 80}},
        {"resample": Image.Resampling.LANCZOS},
    ],
)
@pytest.mark.parametrize("view", ["model", "whole"])
def test_the_processor_gives_what_it_gives_for_the_whole(settings, view, tmp_path):
    made = processor(**settings)
    file = saved(tmp_path / "picture.jpg", made_up_picture(3203, 2401))
    expected = made(load_rgb(file), view=view, return_tensors="pt")["pixel_values"]
    found = made(file, view=view, return_tensors="pt")["pixel_values"]
    assert isinstance(load_rgb(file, lambda size: made.enough(size, view)), Reduced)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 2.5 / 255 / 0.224
    by_call = processor()(file, view=view, return_tensors="pt", **settings)["pixel_values"]
    assert torch.equal(by_call, found)


def test_without_resizing_the_whole_is_decoded(tmp_path):
    file = saved(tmp_path / "picture.jpg", made_up_picture(2403, 1801))
    found = processor(do_resize=False)(file, return_tensors="pt")["pixel_values"]
    expected = processor(do_resize=False)(load_rgb(file), return_tensors="pt")["pixel_values"]
    assert torch.equal(found, expected)


def test_small_pictures_are_decoded_whole(explainer, tmp_path):
    """Nothing is lost of what the view shows pixel by pixel, or of less than twice what the network is given."""
    for size in ((1024, 700), (2047, 1500), (120, 90)):
        file = saved(tmp_path / "picture.jpg", made_up_picture(*size))
        for view in ("model", "whole"):
            assert np.array_equal(explainer(file, view=view).view, explainer(load_rgb(file), view=view).view)
        assert explainer(file, view="whole").probabilities == explainer(load_rgb(file), view="whole").probabilities


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("more", [{}, {"progressive": True}])
def test_other_jpegs_are_reduced_alike(mode, more, tmp_path):
    file = saved(tmp_path / "picture.jpg", made_up_picture(403, 301).convert(mode), **more)
    reduced = load_rgb(file, lambda size: (100, 100))
    found = np.asarray(resized(reduced, (50, 40), Image.Resampling.BILINEAR)).astype(int)
    assert reduced.pixels.size == (202, 151)
    assert np.abs(found - np.asarray(load_rgb(file).resize((50, 40), Image.Resampling.BILINEAR))).max() <= 4


def test_a_phone_picture_of_several_frames_is_reduced(tmp_path):
    frames = [made_up_picture(403, 301, seed) for seed in range(2)]
    frames[0].save(tmp_path / "picture.jpg", "MPO", save_all=True, append_images=frames[1:], quality=95)
    reduced = load_rgb(tmp_path / "picture.jpg", lambda size: (90, 90))
    assert isinstance(reduced, Reduced)
    found = np.asarray(resized(reduced, (50, 40), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(found - np.asarray(frames[0].resize((50, 40), Image.Resampling.BILINEAR))).max() <= 6
    with Image.open(tmp_path / "picture.jpg") as opened:
        opened.seek(1)
        second = np.asarray(load_rgb(opened, lambda size: (90, 90)).resize((50, 40), Image.Resampling.BILINEAR))
    assert np.abs(second.astype(int) - np.asarray(frames[1].resize((50, 40), Image.Resampling.BILINEAR))).max() <= 6


def test_a_large_jpeg_without_its_end_is_reduced_too(tmp_path):
    file = saved(tmp_path / "picture.jpg", made_up_picture(403, 301))
    whole = load_rgb(file, lambda size: (90, 90))
    file.write_bytes(file.read_bytes()[:-2])
    repaired = load_rgb(file, lambda size: (90, 90))
    assert repaired.box == whole.box
    assert np.array_equal(np.asarray(repaired.pixels), np.asarray(whole.pixels))
    file.write_bytes(file.read_bytes()[:-900])
    with pytest.raises(PictureError, match=r"^picture\.jpg is damaged"):
        load_rgb(file, lambda size: (90, 90))


def test_a_picture_in_memory_stays_as_it_is(tmp_path, explainer):
    file = saved(tmp_path / "picture.jpg", made_up_picture(2403, 1801))
    with Image.open(file) as opened:
        opened.load()
        pixels = np.asarray(opened).copy()
        whole = explainer(opened, view="whole")
        assert np.array_equal(np.asarray(opened), pixels)
        assert opened.format == "JPEG"
    assert np.array_equal(whole.view, explainer(Image.fromarray(pixels), view="whole").view)


def test_fifty_megapixels_are_within_the_limit(tmp_path, explainer):
    """As a phone takes them, without a warning of Pillow's."""
    assert MAX_PIXELS >= 8192 * 6144
    file = saved(tmp_path / "phone.jpg", Image.new("L", (8160, 6144), 77))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explanation = explainer(file, view="whole")
        assert explanation.view.shape == (771, 1024, 3)
        assert explainer.read(file, "whole").pixels.size == (2040, 1536)
        assert np.abs(explanation.view.astype(int) - 77).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("opened", [False, True])
def test_what_is_beyond_the_limit_is_refused_before_it_is_decoded(kind, opened, tmp_path, monkeypatch):
    file = tmp_path / "large.file"
    made_up_picture(90, 70).save(file, kind)
    monkeypatch.setattr("abn.model.pictures.MAX_PIXELS", 6299)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(PictureError, match=r"^large\.file has 90 x 70 pixels; at most 6,299 are allowed$"):
        load_rgb(Image.open(file) if opened else file)


@pytest.mark.parametrize("limit", [100, 3000, 1])
def test_pillows_own_limit_ends_in_a_sentence(limit, tmp_path, monkeypatch):
    made_up_picture(90, 70).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(PictureError, match=r"^large\.png has too many pixels; at most [\d,]+ are allowed$"):
        load_rgb(tmp_path / "large.png")


def test_fitted_is_what_pillow_makes_of_it():
    rng = np.random.default_rng(0)
    sizes = [tuple(map(int, size)) for size in rng.integers(1, 400, (300, 2))]
    for size in [*sizes, (1, 3000), (3000, 1), (2, 2049), (1387, 2), (10, 10)]:
        for longest in (10, 64):
            picture = Image.new("1", size)
            picture.thumbnail((longest, longest))
            assert fitted(size, longest) == picture.size


def test_bytes_in_memory_are_reduced_as_files_are(explainer):
    out = io.BytesIO()
    made_up_picture(2403, 1801).save(out, "JPEG", quality=95)
    with Image.open(out) as opened:
        assert explainer.read(opened, "whole").pixels.size == (1202, 901)
        assert np.array_equal(np.asarray(opened), np.asarray(load_rgb(opened)))  # it can still be read
