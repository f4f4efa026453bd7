"""Arrays and tensors of every layout and kind of number: what their 8-bit twins give, or a refusal in one sentence."""

import numpy as np
import pytest
import torch
from helpers import made_up_picture, tiny_model

from abn import AbnImageProcessor, Explainer
from abn.model.image_processing_vit import VitImageProcessor

SIZE = {"size": {"height": 24, "width": 24}, "crop_size": {"height": 24, "width": 24}}
PROCESSORS = {"abn": AbnImageProcessor, "vit": VitImageProcessor}
TWIN = np.array(made_up_picture(40, 30, seed=3))

KINDS = {
    "float16": lambda a: (a / 255).astype(np.float16),
    "float32": lambda a: (a / 255).astype(np.float32),
    "float64": lambda a: a / 255,
    "uint16": lambda a: a.astype(np.uint16) * 257,
    "int64": lambda a: a.astype(np.int64),
    "int32": lambda a: a.astype(np.int32),
    "uint8": lambda a: a,
    "float16 tensor": lambda a: torch.from_numpy(a).half() / 255,
    "bfloat16 tensor": lambda a: torch.from_numpy(a).float().div(255).bfloat16(),
    "float32 tensor": lambda a: torch.from_numpy(a).float() / 255,
    "float32 tensor with a gradient": lambda a: (torch.from_numpy(a).float() / 255).requires_grad_(),
    "float64 tensor": lambda a: torch.from_numpy(a).double() / 255,
    "uint16 tensor": lambda a: torch.from_numpy(a.astype(np.uint16) * 257),
    "int64 tensor": lambda a: torch.from_numpy(a).long(),
    "uint8 tensor": torch.from_numpy,
}
LAYOUTS = {
    "H W C": lambda a: a,
    "C H W": lambda a: a.transpose(2, 0, 1),
    "H W": lambda a: a[..., 0],
    "H W 1": lambda a: a[..., :1],
    "1 H W": lambda a: a[..., :1].transpose(2, 0, 1),
    "C H W with opacity": lambda a: np.concatenate([a, a[..., :1]], 2).transpose(2, 0, 1),
    "B H W C": lambda a: np.stack([a, 255 - a]),
    "B C H W": lambda a: np.stack([a, 255 - a]).transpose(0, 3, 1, 2),
    "B H W 1": lambda a: np.stack([a, 255 - a])[..., :1],
}


def expected_of(processor, layout):
    """From PIL pictures: the way that files take."""
    from PIL import Image

    pictures = {
        "H W": [TWIN[..., 0]],
        "H W 1": [TWIN[..., 0]],
        "1 H W": [TWIN[..., 0]],
        "C H W with opacity": [np.concatenate([TWIN, TWIN[..., :1]], 2)],
        "B H W C": [TWIN, 255 - TWIN],
        "B C H W": [TWIN, 255 - TWIN],
        "B H W 1": [TWIN[..., 0], 255 - TWIN[..., 0]],
    }.get(layout, [TWIN])
    return processor([Image.fromarray(p) for p in pictures], return_tensors="pt")["pixel_values"]


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_number_gives_its_8_bit_twins_pixels(kind, layout, processor):
    processor = PROCESSORS[processor](**SIZE)
    given = KINDS[kind](np.ascontiguousarray(LAYOUTS[layout](TWIN)))
    expected = expected_of(processor, layout)
    for images in (given, [given], ([given],)):
        found = processor(images, return_tensors="pt")["pixel_values"]
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)


def test_lists_may_mix_them():
    processor = AbnImageProcessor(**SIZE)
    given = [made_up_picture(40, 30, seed=3), TWIN / 255, torch.from_numpy(TWIN).permute(2, 0, 1).float() / 255]
    found = processor(given, return_tensors="pt")["pixel_values"]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


REFUSED = {
    "above 1": (lambda: TWIN.astype(np.float32), r"a float array must hold finite values in \[0, 1\]"),
    "above 1, tensor": (lambda: torch.from_numpy(TWIN).float().permute(2, 0, 1), r"\[0, 1\]"),
    "one batch member above 1": (lambda: np.stack([TWIN / 255, TWIN / 250]), r"\[0, 1\]"),
    "below 0": (lambda: TWIN / 255 - 0.5, r"\[0, 1\]"),
    "normalised to -1 to 1": (lambda: torch.from_numpy(TWIN).permute(2, 0, 1) / 127.5 - 1, r"\[0, 1\]"),
    "NaN": (lambda: np.where(TWIN > 200, np.nan, TWIN / 255), "finite"),
    "infinite": (lambda: np.where(TWIN > 200, np.inf, TWIN / 255), "finite"),
    "bool": (lambda: TWIN > 100, "got bool"),
    "bool tensor": (lambda: torch.from_numpy(TWIN > 100), "got bool"),
    "complex": (lambda: TWIN.astype(np.complex64), "got complex64"),
    "words": (lambda: np.full((8, 8, 3), "a"), "got <U1"),
    "whole numbers above 255": (lambda: TWIN.astype(np.int64) * 2, "between 0 and 255; got 0 to 510"),
    "whole numbers below 0": (lambda: TWIN.astype(np.int8), "between 0 and 255"),
    "3 3 N, 3": (lambda: np.zeros((3, 3, 3)), r"\(3, 3, 3\) does not tell whether the channels come first or last"),
    "3 3 N, 4": (lambda: np.zeros((3, 3, 4), np.uint8), r"\(3, 3, 4\) does not tell"),
    "3 3 N, 1": (lambda: torch.zeros(3, 3, 1), r"\(3, 3, 1\) does not tell"),
    "two channels": (lambda: np.zeros((8, 8, 2), np.uint8), r"C of 1, 3 or 4.*got \(8, 8, 2\)"),
    "five dimensions": (lambda: torch.zeros(1, 1, 3, 8, 8), r"got \(1, 1, 3, 8, 8\)"),
    "nothing": (lambda: np.zeros((0, 8, 3), np.uint8), r"got \(0, 8, 3\)"),
    "sparse": (lambda: torch.zeros(3, 8, 8).to_sparse(), "must be dense and hold its values; got sparse_coo"),
    "meta": (lambda: torch.zeros(3, 8, 8, device="meta"), "hold its values"),
    "numbers in lists": (lambda: TWIN.tolist(), "a picture must be .*; got int"),
    "a layout that it has not": (lambda: np.zeros((8, 9, 3)), r"got \(8, 9, 3\) as channels_first"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_twin_is_refused(name):
    make, words = REFUSED[name]
    more = {"input_data_format": "channels_first"} if name.startswith("a layout") else {}
    with pytest.raises(ValueError, match=words) as caught:
        AbnImageProcessor(**SIZE)(make(), return_tensors="pt", **more)
    assert "\n" not in str(caught.value)


def test_a_shape_that_does_not_tell_is_read_as_said():
    processor = AbnImageProcessor(**SIZE)
    small = TWIN[:3, :3]
    last = processor(small, input_data_format="channels_last", return_tensors="pt")["pixel_values"]
    first = processor(small.transpose(2, 0, 1) / 255, input_data_format="channels_first", return_tensors="pt")
    assert torch.equal(first["pixel_values"], last)
    with pytest.raises(ValueError, match="input_data_format must be 'channels_first' or 'channels_last'; got 'rows'"):
        processor(small, input_data_format="rows")


def test_without_rescaling_floats_are_taken_as_they_are():
    """What transformers documents for pictures in [0, 1]."""
    processor = AbnImageProcessor(**SIZE)
    expected = processor(TWIN, return_tensors="pt")["pixel_values"]
    for given in (TWIN / 255, torch.from_numpy(TWIN).permute(2, 0, 1) / 255):
        found = processor(given, do_rescale=False, return_tensors="pt")["pixel_values"]
        assert (found - expected).abs().max() < 0.02  # the resized 8-bit picture is rounded
    clear = np.concatenate([TWIN, TWIN[..., :1]], 2)  # as opaque as it is red; laid on white
    expected = processor(clear, return_tensors="pt")["pixel_values"]
    found = processor(clear / 255, do_rescale=False, return_tensors="pt")["pixel_values"]
    assert (found - expected).abs().max() < 0.04
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        processor(TWIN.astype(np.float32), do_rescale=False)
    bare = processor(TWIN.astype(np.float32), do_rescale=False, do_normalize=False, return_tensors="pt")
    assert bare["pixel_values"].max() > 100
    with pytest.raises(ValueError, match="finite"):
        processor(TWIN * np.nan, do_rescale=False, do_normalize=False)


def test_channels_stay_where_nothing_is_converted():
    processor = AbnImageProcessor(do_convert_rgb=False, do_normalize=False, **SIZE)
    grey = processor(TWIN[..., :1] / 255, return_tensors="pt")["pixel_values"]
    assert grey.shape == (1, 1, 24, 24)
    assert torch.equal(grey[:, 0], processor(TWIN, return_tensors="pt")["pixel_values"][:, 0])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("int")])
def test_an_explainer_gives_twins_the_same_answer(kind):
    explainer = Explainer(tiny_model(), AbnImageProcessor(**SIZE), device="cpu")
    expected = explainer(TWIN, view="whole")
    found = explainer(KINDS[kind](TWIN.copy()), view="whole")
    assert found.probabilities == expected.probabilities
    assert np.array_equal(found.view, TWIN)
    if kind.endswith("tensor"):
        first = explainer(KINDS[kind](TWIN.copy()).permute(2, 0, 1), view="whole")
        assert first.probabilities == expected.probabilities


@pytest.mark.parametrize("name", [name for name in REFUSED if not name.startswith(("a layout", "3 3 N", "numbers"))])
def test_an_explainer_refuses_what_has_no_twin(name):
    explainer = Explainer(tiny_model(), AbnImageProcessor(**SIZE), device="cpu")
    with pytest.raises(ValueError, match=r"must|shape"):
        explainer(REFUSED[name][0]())
