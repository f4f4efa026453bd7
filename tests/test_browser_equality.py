"""The page without a server against `Explainer` on Imagenette's validation pictures, each decoded once for both.

    python -m pytest -m slow tests/test_browser_equality.py -s      # 300 pictures; prints the largest differences

A quick form, of ten, is in the usual suite.
"""

import base64
import io

import numpy as np
import pytest
from page import NEEDS_CHROMIUM, chromium
from PIL import Image
from plain_server import ISOLATED, Plain

from abn import Explainer, imagenette

pytestmark = NEEDS_CHROMIUM
BROUGHT = """async (base) => {
  const { Network } = await import(`${base}/network.js`);
  window.network = new Network(base);
  await window.network.start(await (await fetch(`${base}/facts.json`)).json());
}"""
LOOKED = """async ([url, view]) => {
  const bitmap = await createImageBitmap(await (await fetch(url)).blob());
  const pixels = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height });
  pixels.getContext('2d', { willReadFrequently: true }).drawImage(bitmap, 0, 0);
  const { logits, attentionLogits, map } = await window.network.look({ pixels }, view);
  return [logits, attentionLogits, [...map.values], map.shape.slice(-2)];
}"""


@pytest.fixture(scope="module")
def explainer(bundled):
    return Explainer.from_pretrained(bundled, device="cpu")


@pytest.fixture(scope="module")
def looked(bundled_site):
    """A function of a picture and a view: (logits, attention branch's logits, map) in the browser."""
    server = Plain(bundled_site)
    server.headers = ISOLATED
    (facts,) = bundled_site.glob("*/facts.json")

    def look(picture: Image.Image, view: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        out = io.BytesIO()
        picture.save(out, "PNG", compress_level=1)
        url = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
        logits, attention, values, shape = page.evaluate(LOOKED, [url, view])
        return np.array(logits), np.array(attention), np.float32(values).reshape(shape)

    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"{server.url}/README.md")
        page.evaluate(BROUGHT, f"{server.url}/{facts.parent.name}")
        yield look
    server.close()


def shares(logits: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.exp(logits / temperature - (logits / temperature).max())
    return powers / powers.sum()


def compared(looked, explainer, files, view) -> tuple[int, float, float]:
    """(how many labels are the same, the largest differences of maps and of probabilities)."""
    same, map_apart, share_apart = 0, 0.0, 0.0
    calibration, labels = explainer.calibration, explainer.labels
    for file in files:
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
        wanted = explainer(picture, view=view)
        logits, attention, found = looked(picture, view)
        same += labels[int(logits.argmax())] == wanted.label
        assert found.shape == wanted.attention_map.shape
        map_apart = max(map_apart, np.abs(found - wanted.attention_map).max())
        for own, given, temperature in (
            (logits, wanted.probabilities, calibration.temperature),
            (attention, wanted.attention_probabilities, calibration.attention_temperature),
        ):
            apart = np.abs(shares(own, temperature) - [given[name] for name in labels]).max()
            share_apart = max(share_apart, apart)
    print(f"\n{view}: {same} of {len(files)} labels the same; map {map_apart:.5f}, probabilities {share_apart:.5f}")
    return same, map_apart, share_apart


def chosen(request, each: int) -> list:
    """So many validation pictures a class, evenly over the sorted files; for one of each not all are unpacked."""
    if each == 1:
        return [file for file, _ in request.getfixturevalue("validation_pictures")[::10]]
    files = []
    for wnid in imagenette.WNIDS:
        folder = sorted((request.getfixturevalue("imagenette_root") / "imagenette2" / "val" / wnid).iterdir())
        files += folder[:: len(folder) // each][:each]
    return files


@pytest.mark.parametrize("view", ["whole", "model"])
@pytest.mark.parametrize("each", [1, pytest.param(30, marks=pytest.mark.slow)], ids=["10", "300"])
def test_validation_pictures(looked, explainer, request, view, each):
    files = chosen(request, each)
    assert len(files) == 10 * each
    same, map_apart, share_apart = compared(looked, explainer, files, view)
    assert same >= 0.995 * len(files)
    assert map_apart <= 0.02
    assert share_apart <= 0.03
