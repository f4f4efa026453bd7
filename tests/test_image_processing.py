"""Preprocessing and its undoing: values, geometry, and maps that lie on the pixels the model saw."""

import cv2
import numpy as np
import pytest
import torch
from helpers import made_up_picture
from PIL import Image
from transformers.image_processing_backends import TorchvisionBackend

from abn import AbnImageProcessor

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def processor(edge=64, crop=48, **changes):
    fields = {"size": {"shortest_edge": edge}, "crop_size": {"height": crop, "width": crop}}
    return AbnImageProcessor(**{**fields, **changes})


def test_values_are_pillows_resize_and_imagenets_statistics():
    picture = made_up_picture(90, 60)
    pixels = processor(60, 40)(picture, return_tensors="pt")["pixel_values"][0].numpy()
    expected = np.asarray(picture.resize((90, 60))).astype(float)[10:50, 25:65] / 255
    assert np.abs(pixels - ((expected - MEAN) / STD).transpose(2, 0, 1)).max() < 1e-5
    pixels = processor(32, 32)(picture, return_tensors="pt")["pixel_values"][0].numpy()
    expected = np.asarray(picture.resize((48, 32), Image.Resampling.BILINEAR)).astype(float)[:, 8:40] / 255
    assert np.abs(pixels * STD[:, None, None] + MEAN[:, None, None] - expected.transpose(2, 0, 1)).max() < 1.5 / 255


def test_pictures_of_several_sizes_keep_their_order():
    pictures = [made_up_picture(90, 60, 1), made_up_picture(60, 90, 2), made_up_picture(90, 60, 3)]
    together = processor()(pictures, return_tensors="pt")["pixel_values"]
    for index, picture in enumerate(pictures):
        assert torch.equal(together[index], processor()(picture, return_tensors="pt")["pixel_values"][0])


def test_every_mode_gives_the_same_pixels():
    picture = made_up_picture()
    expected = processor()(picture, return_tensors="pt")["pixel_values"]
    opaque = picture.copy()
    opaque.putalpha(255)
    assert torch.equal(processor()(opaque, return_tensors="pt")["pixel_values"], expected)
    assert torch.equal(processor()(np.asarray(picture), return_tensors="pt")["pixel_values"], expected)


@pytest.mark.parametrize("view", ["model", "whole"])
def test_the_quicker_way_of_rgb_pictures_gives_the_librarys_pixels(view):
    class Plain(AbnImageProcessor):
        process_image = TorchvisionBackend.process_image

    pictures = [made_up_picture(500, 375), made_up_picture(97, 301, seed=1), made_up_picture(224, 224, seed=2)]
    for picture in pictures:
        expected, found = (each(picture, view=view, return_tensors="pt") for each in (Plain(), AbnImageProcessor()))
        assert torch.equal(found["pixel_values"], expected["pixel_values"])
        assert found["pixel_values"].is_contiguous()


def test_paths_and_deep_arrays_are_read_as_pictures_are(tmp_path):
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    expected = processor()(clear, return_tensors="pt")["pixel_values"]
    assert expected.min() > 2  # white
    assert torch.equal(processor()(str(tmp_path / "clear.png"), return_tensors="pt")["pixel_values"], expected)
    deep = np.full((64, 64), 40000, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    expected = processor()(Image.new("L", (64, 64), 156), return_tensors="pt")["pixel_values"]
    for picture in (deep, tmp_path / "deep.png", [np.full((64, 64), 156, np.uint8)]):
        assert torch.equal(processor()(picture, return_tensors="pt")["pixel_values"], expected)


def test_saved_and_loaded(tmp_path):
    processor(50, 40).save_pretrained(tmp_path)
    again = AbnImageProcessor.from_pretrained(tmp_path)
    picture = made_up_picture()
    for view in ("model", "whole"):
        one = processor(50, 40)(picture, view=view, return_tensors="pt")["pixel_values"]
        assert torch.equal(again(picture, view=view, return_tensors="pt")["pixel_values"], one)


def test_without_a_configuration_it_is_imagenets():
    plan = AbnImageProcessor().geometry((512, 1024))
    assert (plan.resized, plan.crop, plan.offset) == ((256, 512), (224, 224), (16, 144))
    assert plan.box == (288, 32, 736, 480)


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((160, 160), (160, 160)),
        ((300, 200), (256, 160)),
        ((480, 640), (160, 224)),
        ((100, 5000), (160, 480)),
        ((1, 5000), (160, 480)),
        ((1, 1), (160, 160)),
    ],
)
def test_whole_keeps_the_aspect_and_crops_nothing(size, resized):
    plan = processor(160, 160).geometry(size, "whole")
    assert plan.resized == plan.crop == resized
    assert plan.box == (0, 0, size[1], size[0])
    picture = Image.new("RGB", (size[1], size[0]))
    assert processor(160, 160)(picture, view="whole", return_tensors="pt")["pixel_values"].shape[2:] == resized


def test_whole_rounds_to_what_the_network_can_halve():
    assert processor(100, 100).geometry((50, 90), "whole").resized == (96, 160)
    assert processor(8, 8).geometry((50, 90), "whole").resized == (32, 64)


def heatmap_of(proc, size, grid, view="model", **kwargs):
    return proc.post_process_attention(torch.from_numpy(grid)[None, None], [size], view, **kwargs)[0].numpy()


def test_a_crop_that_is_no_multiple_keeps_the_proportions():
    whole = processor(208, 208)
    assert whole.geometry((375, 500), "whole").crop == (192, 256)
    assert whole.geometry((640, 160), "whole").crop == (576, 192)
    assert processor(20, 20).geometry((10, 10), "whole").crop == (32, 32)


def test_whole_maps_are_cv2s_resize():
    grid = np.random.default_rng(0).random((5, 7), dtype=np.float32)
    heat = heatmap_of(processor(160, 160), (123, 171), grid, "whole")
    assert heat.shape == (123, 171)
    assert np.abs(heat - cv2.resize(grid, (171, 123), interpolation=cv2.INTER_LINEAR)).max() < 1e-5
    heat = heatmap_of(processor(160, 160), (123, 171), grid, "whole", output_sizes=[(50, 60)])
    assert np.abs(heat - cv2.resize(grid, (60, 50), interpolation=cv2.INTER_LINEAR)).max() < 1e-5


def test_maps_are_laid_by_these_operations_to_the_last_bit():
    """In Python's floats, one operation after the other: what any language with float64 repeats."""
    proc, size, grid = processor(48, 48), (83, 120), np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    plan = proc.geometry(size)
    left, top, right, bottom = plan.box

    def place(pixel, start, stop, count, span, places):
        centre = start + (pixel + 0.5) * ((stop - start) / count)
        at = min(max((centre - span[0]) / (span[1] - span[0]) * places - 0.5, 0), places - 1)
        before = min(int(at), places - 2)
        return before, at - before

    heat, values = heatmap_of(proc, size, grid, output_sizes=[(70, 50)]), grid.tolist()
    for y in range(70):
        row, down = place(y, top, bottom, 70, plan.span[0], 3)
        for x in range(50):
            column, across = place(x, left, right, 50, plan.span[1], 5)
            above, below = (g[column] * (1 - across) + g[column + 1] * across for g in values[row : row + 2])
            assert heat[y, x] == np.float32(above * (1 - down) + below * down)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"size": {"height": 64, "width": 64}, "crop_size": {"height": 48, "width": 48}},  # squashes
        {"size": {"shortest_edge": 32}, "crop_size": {"height": 48, "width": 48}},  # pads
        {"do_center_crop": False},
        {"do_resize": False, "crop_size": {"height": 64, "width": 96}},
    ],
)
@pytest.mark.parametrize("size", [(120, 200), (301, 173), (97, 97)])
@pytest.mark.parametrize("view", ["model", "whole"])
def test_a_map_lies_on_what_the_model_saw(changes, size, view):
    """Preprocess a picture that is its own coordinates; its pixels as a map come back as those coordinates."""
    proc = processor(**changes)
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    for axis, coordinate in ((0, rows), (1, columns)):
        scaled = (coordinate + 0.5) / size[axis]
        seen = proc(
            torch.from_numpy(scaled)[None].expand(3, -1, -1), view=view, do_rescale=False, do_normalize=False,
            do_convert_rgb=False, input_data_format="channels_first", return_tensors="pt",
        )["pixel_values"][0, 0].numpy()  # fmt: skip
        heat = heatmap_of(proc, size, seen, view)
        left, top, right, bottom = proc.geometry(size, view).box
        assert heat.shape == (bottom - top, right - left)
        error = np.abs(heat - scaled[top:bottom, left:right]) * size[axis]
        inside = error[4:-4, 4:-4]  # the filter's reach at the borders
        pixel = size[axis] / proc.geometry(size, view).resized[axis]  # one of the network's pixels
        assert inside.max() < 0.35 * max(1.0, pixel)


def test_the_crops_map_covers_the_crop_alone():
    """A map that is hot at its left end only: the hot pixels are those at the crop's left end, not the picture's."""
    grid = np.zeros((4, 4), np.float32)
    grid[:, 0] = 1
    proc = processor(48, 48)
    plan = proc.geometry((100, 300))
    assert plan.box == (100, 0, 200, 100)
    heat = heatmap_of(proc, (100, 300), grid)
    assert heat.shape == (100, 100)
    assert heat[50, 0] == 1
    assert heat[50, 60] == 0


def test_a_constant_map_stays_constant():
    heat = heatmap_of(processor(), (77, 131), np.full((3, 3), 0.25, np.float32))
    assert np.allclose(heat, 0.25, atol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: processor()(made_up_picture(), view="half"),
        lambda: processor().geometry((8, 8), "half"),
        lambda: processor(view="half"),
    ],
)
def test_unknown_views(call):
    with pytest.raises(ValueError, match="'model', 'whole'; got 'half'"):
        call()


def test_other_faults():
    with pytest.raises(ValueError, match="1 maps for 2 picture sizes"):
        processor().post_process_attention(torch.zeros(1, 1, 3, 3), [(8, 8), (8, 8)])
    with pytest.raises(ValueError, match="one pixel"):
        processor().geometry((0, 8))
    with pytest.raises(ValueError, match="shortest_edge"):
        processor(size={"max_height": 8, "max_width": 8}).geometry((8, 8))
