"""What the page without a server gives its network, against the processor, number for number."""

import base64

import numpy as np
import pytest
from helpers import made_up_picture
from page import NEEDS_CHROMIUM, chromium
from PIL import Image
from plain_server import Plain

from abn import AbnImageProcessor
from abn.browser.export import SITE
from abn.browser.facts import processor_of
from abn.packing import place_of

pytestmark = NEEDS_CHROMIUM
SIZES = [
    (96, 72),
    (72, 96),
    (208, 208),
    (333, 500),
    (500, 333),
    (1024, 131),
    (131, 1024),
    (1024, 768),
    (17, 23),
    (301, 5),
]
PROCESSORS = [
    {"size": {"shortest_edge": 208}, "crop_size": {"height": 208, "width": 208}},
    {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}},
    {"size": {"height": 90, "width": 70}, "crop_size": {"height": 65, "width": 81}},  # a crop that is larger: padded
    {"size": {"shortest_edge": 100}, "do_center_crop": False},
]
PREPARED = """async ([pixels, [height, width], view, facts]) => {
  const { pixelValues, placeOf, planOf } = await import('/preprocess.js');
  const bytes = Uint8ClampedArray.from(atob(pixels), (letter) => letter.charCodeAt(0));
  const plan = planOf([height, width], view, facts);
  const values = new Uint8Array(pixelValues(bytes, plan, facts).buffer);
  let text = '';
  for (let i = 0; i < values.length; i += 8192) text += String.fromCharCode(...values.subarray(i, i + 8192));
  return [plan.crop, placeOf(plan), btoa(text)];
}"""


def as_text(rgba: np.ndarray) -> str:
    return base64.b64encode(rgba.tobytes()).decode()


@pytest.fixture(scope="module")
def module_page():
    server = Plain(SITE)
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"{server.url}/preprocess.js")
        yield page
    server.close()


@pytest.mark.parametrize("how", PROCESSORS, ids=["compact", "imagenet", "squashed", "uncropped"])
def test_the_networks_input_is_the_processors(module_page, how):
    processor = AbnImageProcessor(**how)
    facts = processor_of(processor)
    for place, size in enumerate(SIZES):
        noise = np.random.default_rng(place).integers(0, 256, (size[1], size[0], 3), np.uint8)
        picture = Image.blend(made_up_picture(*size, seed=place), Image.fromarray(noise), 0.4)
        rgba = np.array(picture.convert("RGBA"))
        for view in ("whole", "model"):
            wanted = processor(picture, view=view, return_tensors="np")["pixel_values"][0]
            crop, where, text = module_page.evaluate(PREPARED, [as_text(rgba), [size[1], size[0]], view, facts])
            assert tuple(crop) == wanted.shape[1:]
            found = np.frombuffer(base64.b64decode(text), np.float32).reshape(wanted.shape)
            assert np.array_equal(found, wanted), (size, view, np.abs(found - wanted).max())
            geometry = place_of(processor.geometry((size[1], size[0]), view))
            assert where["box"] == geometry["box"]
            assert where["size"] == geometry["size"]
            assert np.array_equal(where["span"], geometry["span"])


SIDES = """async (milliseconds) => {
  const { Frames } = await import('/frames.js');
  const sides = [];
  const passed = { logits: [1, 0], map: { values: new Float32Array(1), shape: [1, 1, 1, 1] }, place: {} };
  const network = { pass: async (canvas, view, { side }) => {
    sides.push(side ?? 'own');
    return { ...passed, milliseconds: milliseconds[sides.length - 1] };
  } };
  const processor = { crop: { height: 208, width: 208 } };
  const facts = { labels: ['a', 'b'], calibration: { temperature: 1 }, processor };
  const frames = new Frames(network, facts);
  for (const _ of milliseconds) await frames.explain(null);
  return sides;
}"""


@pytest.mark.parametrize(
    ("milliseconds", "wanted"),
    [
        ([400] * 5 + [40] * 30, ["own"] * 35),  # the first ones do not count
        ([60] * 5 + [60] * 7 + [30] * 20, ["own"] * 12 + [160] * 20),
        ([90] * 40, ["own"] * 12 + [160] * 7 + [128] * 21),
        ([60] * 12 + [40, 40, 40, 900, 40, 40, 900] * 3, ["own"] * 12 + [160] * 21),  # a pause now and then
        ([60] * 12 + [10] * 14, ["own"] * 12 + [160] * 7 + ["own"] * 7),
    ],
    ids=["fast", "slow", "slower", "pauses", "recovered"],
)
def test_frames_are_as_large_as_the_device_explains_in_time(module_page, milliseconds, wanted):
    assert module_page.evaluate(SIDES, milliseconds) == wanted
