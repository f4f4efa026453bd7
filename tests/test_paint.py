"""paint.js, run in Chromium as the page runs it, against the library and against the formulas in NumPy."""

import base64
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
import torch
from helpers import ROOT, made_up_picture, tiny_model
from page import NEEDS_CHROMIUM, chromium, playwright

from abn import AbnImageProcessor, Explainer
from abn.colours import colour_tables
from abn.model.image_processing_vit import VitImageProcessor
from abn.overlay import COLOURMAPS, coloured, overlay

pytestmark = NEEDS_CHROMIUM

LAY = """(asked) => import('/paint.js').then(({ lay, peakOf }) => JSON.stringify(JSON.parse(asked).map(
    ([map, width, height]) => { const heat = lay(map, width, height); return [Array.from(heat), peakOf(heat)]; })))"""
PAINT = """(asked) => import('/paint.js').then(({ paint, coloursOf }) => JSON.stringify(JSON.parse(asked).map(
    ([picture, heat, width, height, how]) => {
        const out = new Uint8ClampedArray(picture.length).fill(77);
        how.colours = coloursOf(how.colours);
        paint(out, Uint8ClampedArray.from(picture), Float32Array.from(heat), width, height, how);
        return Array.from(out); })))"""


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def page():
    """A page from which /paint.js can be imported."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Files, directory=ROOT / "abn" / "space" / "widgets" / "stage")
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/paint.js")
        yield page
    server.shutdown()
    server.server_close()


# Laying


def answer_of(grid, geometry, digits):
    """A map as the page is told it; `digits`: in as few as tell float32 numbers apart, in place of all."""
    rows = [[float(str(value)) for value in row] for row in grid] if digits else grid.tolist()
    return {"rows": rows, "box": geometry.box, "span": geometry.span}


def laid(page, cases):
    found = json.loads(page.evaluate(LAY, json.dumps(cases)))
    return [
        (np.array(heat, np.float32).reshape(height, width), peak)
        for (heat, peak), (_, width, height) in zip(found, cases, strict=True)
    ]


PROCESSORS = [
    AbnImageProcessor(size={"shortest_edge": 73}, crop_size={"height": 64, "width": 64}),
    AbnImageProcessor(),
    AbnImageProcessor(size={"height": 64, "width": 80}, do_center_crop=False),  # squashes
    AbnImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 48, "width": 50}),  # pads
    VitImageProcessor(size={"height": 64, "width": 64}, do_center_crop=False),
]
MAPS = {
    "sigmoid": lambda rng, shape: rng.random(shape),
    "without an upper bound": lambda rng, shape: np.log1p(np.exp(3 * rng.standard_normal(shape))),  # SE-ResNet's
    "signed": lambda rng, shape: rng.standard_normal(shape),  # of tasks
    "of half precision": lambda rng, shape: rng.random(shape).astype(np.float16),
    "zero": lambda rng, shape: np.zeros(shape),
}


@pytest.mark.parametrize("view", ["model", "whole"])
@pytest.mark.parametrize("kind", MAPS)
def test_a_map_is_laid_float_for_float_as_the_library_lays_it(kind, view, page):
    rng = np.random.default_rng([len(kind), len(view)])
    cases, expected = [], []
    for number in range(60):
        processor = PROCESSORS[number % len(PROCESSORS)]
        size = tuple(map(int, rng.integers(1, (40, 400, 4000)[number % 3], 2)))
        grid = np.float32(MAPS[kind](rng, tuple(rng.integers(1, 20, 2))))
        geometry = processor.geometry(size, view)
        left, top, right, bottom = geometry.box
        shape = (bottom - top, right - left) if max(size) < 90 else tuple(map(int, rng.integers(1, 90, 2)))
        heat = processor.post_process_attention(torch.from_numpy(grid)[None, None], [size], view, [shape])[0]
        expected.append(heat.clamp(0, 1).numpy())
        cases.append((answer_of(grid, geometry, number % 2), shape[1], shape[0]))
    for (heat, peak), right in zip(laid(page, cases), expected, strict=True):
        assert np.array_equal(heat, right)
        assert peak == right.max()


def test_values_are_cut_after_they_are_laid(page):
    """Cut before, the pixels in the middle would be 0.75 and 0.25."""
    case = {"rows": [[3, -1]], "box": [0, 0, 4, 1], "span": [[0, 1], [0, 4]]}
    (heat, _) = laid(page, [(case, 4, 1)])[0]
    assert heat.tolist() == [[1, 1, 0, 0]]
    case["rows"] = [[2.5, -0.5]]
    assert laid(page, [(case, 4, 1)])[0][0].tolist() == [[1, 1, 0.25, 0]]


@pytest.mark.parametrize("view", ["model", "whole"])
@pytest.mark.parametrize("size", [(301, 200), (1500, 1100)])
def test_the_explanations_heatmap_is_laid_from_its_map(size, view, page):
    """From the picture to the heatmap; the larger picture is shown at 1024 pixels."""
    explainer = Explainer(tiny_model(), AbnImageProcessor(), device="cpu")
    explanation = explainer(made_up_picture(*size), view=view)
    geometry = explainer.processor.geometry(size[::-1], view)
    height, width = explanation.view.shape[:2]
    ((heat, _),) = laid(page, [(answer_of(explanation.attention_map, geometry, True), width, height)])
    assert np.array_equal(heat, explanation.heatmap)


# Painting


def painted(page, *cases):
    """cases: (picture (H, W, 3), heat (H, W), how) -> what is painted, (H, W, 3) each; the picture's alpha stays."""
    asked = []
    for picture, heat, how in cases:
        height, width = heat.shape
        rgba = np.dstack([picture, np.full((height, width), 255, np.uint8)])
        how = {"colours": colour_tables()["jet"], **how}
        asked.append((rgba.ravel().tolist(), heat.ravel().tolist(), width, height, how))
    found = []
    for out, (picture, _, _) in zip(json.loads(page.evaluate(PAINT, json.dumps(asked))), cases, strict=True):
        out = np.array(out, np.uint8).reshape(*picture.shape[:2], 4)
        assert (out[..., 3] == 255).all()
        found.append(out[..., :3])
    return found


def pictures(seed=0, shape=(41, 53)):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def steep(low=0.0, high=1.0):
    """(41, 53) float32 from low to high, among them each colour's first value and its neighbours."""
    edges = np.float32(np.arange(256) / 255)
    edges = np.concatenate([edges, np.nextafter(edges, np.float32(0)), np.nextafter(edges, np.float32(1))])
    rest = np.random.default_rng(3).random(41 * 53 - len(edges), dtype=np.float32)
    values = np.float32(low) + np.float32(high - low) * np.concatenate([edges, rest])
    return np.clip(values, 0, 1).reshape(41, 53)


def smooth(peak=1.0, shape=(41, 53)):
    """A map as a network gives it: a few places, laid."""
    grid = np.random.default_rng(5).random((4, 4), dtype=np.float32)
    grid = peak * (grid - grid.min()) / (grid.max() - grid.min())
    return np.clip(cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_LINEAR), 0, 1)


@pytest.mark.parametrize("stretch", [False, True])
@pytest.mark.parametrize("name", COLOURMAPS)
def test_paper_is_the_librarys_overlay(name, stretch, page):
    cases, expected = [], []
    for seed, heat in enumerate([steep(), steep(0.21, 0.47), smooth(0.45), np.full((41, 53), 0.4, np.float32)]):
        for alpha in (0, 0.37, 0.5, 1):
            picture = pictures(seed)
            colours = colour_tables()[name]
            how = {"blend": "paper", "alpha": alpha, "stretch": stretch, "colours": colours, "peak": 0.3}  # no matter
            cases.append((picture, heat, how))
            expected.append(overlay(picture, heat, alpha, stretch, name))
    for out, right in zip(painted(page, *cases), expected, strict=True):
        difference = np.abs(out.astype(int) - right)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.001


def scaled(heat, peak=None, stretch=False):
    """What runs from 0 to 1, float32: over the map's own peak, `peak`, or from its least to its greatest value."""
    low, high = (heat.min(), heat.max()) if stretch and heat.max() > heat.min() else (0, peak or heat.max())
    return np.minimum((heat - np.float32(low)) / (np.float32(high) - np.float32(low)), 1)


SCALES = [{}, {"peak": 1}, {"peak": 0.3}, {"stretch": True}, {"stretch": True, "peak": 0.3}]


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_heat_is_as_opaque_as_the_map_is_strong(scale, page):
    cases = [
        (pictures(seed), heat, {"blend": "heat", "alpha": alpha, "colours": colour_tables()["viridis"], **scale})
        for seed, heat in enumerate([steep(), steep(0.2, 0.45), smooth(0.6), np.full((41, 53), 0.4, np.float32)])
        for alpha in (0, 0.37, 1)
    ]
    for out, (picture, heat, how) in zip(painted(page, *cases), cases, strict=True):
        s = scaled(heat, **scale)
        colours = cv2.applyColorMap((255 * s).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1].astype(float)
        opacity = how["alpha"] * s.astype(float)[..., None]
        assert np.abs(out - (picture * (1 - opacity) + colours * opacity)).max() < 0.51  # a rounded byte


def contour(within, reach):
    """Pixels that have one of the other side `reach` beside, above or below them."""
    on = np.zeros(within.shape, bool)
    across, down = within[:, reach:] != within[:, :-reach], within[reach:] != within[:-reach]
    on[:, reach:] |= across
    on[:, :-reach] |= across
    on[reach:] |= down
    on[:-reach] |= down
    return on


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_spotlight_darkens_what_is_weak_and_draws_the_contour_of_half(scale, page):
    wide = (30, 1100)
    cases = [
        (pictures(1, heat.shape), heat, {"blend": "spotlight", "alpha": alpha, **scale})
        for heat in [smooth(), smooth(0.6), smooth(0.5, wide), steep(0.2, 0.45), np.full((41, 53), 0.4, np.float32)]
        for alpha in (0, 0.37, 1)
    ]
    for out, (picture, heat, how) in zip(painted(page, *cases), cases, strict=True):
        s, alpha = scaled(heat, **scale).astype(float), how["alpha"]
        stretched = scale.get("stretch") and heat.max() > heat.min()
        low = float(heat.min()) if stretched else 0.0
        end = float(heat.max()) if stretched else float(np.float32(scale.get("peak", heat.max())))
        within = heat >= low + 0.5 * float(np.float32(end - low))
        on = contour(within, 2 if heat.shape == wide else 1)[..., None]
        dark = picture * (1 - alpha * (1 - s[..., None]))
        line = np.where(within[..., None], 255 * alpha, 0) + dark * (1 - alpha)
        error = np.abs(out - np.where(on, line, dark))
        assert error.max() < 1.01  # the line is drawn on rounded bytes
        assert error[~on[..., 0]].max() < 0.51
        assert on.any() == (within.any() and not within.all())


def test_the_contour_is_seen_on_light_and_on_dark(page):
    """On white and on black: across the contour, dark lies beside white."""
    heat = np.tile(np.linspace(0, 1, 60, dtype=np.float32), (9, 1))  # half lies between the pixels 29 and 30
    for grey in (0, 255):
        (out,) = painted(page, (np.full((9, 60, 3), grey, np.uint8), heat, {"blend": "spotlight", "alpha": 1}))
        assert (out[:, 29] == 0).all()
        assert (out[:, 30] == 255).all()
        assert (np.abs(out[:, 31].astype(float) - grey * 31 / 59) < 0.51).all()


@pytest.mark.parametrize("blend", ["heat", "spotlight", "paper"])
def test_at_alpha_zero_every_blend_is_the_picture(blend, page):
    (out,) = painted(page, (pictures(), smooth(0.5), {"blend": blend, "alpha": 0}))
    assert np.array_equal(out, pictures())


@pytest.mark.parametrize("scale", [{}, {"stretch": True}, {"peak": 1}, {"peak": 0}], ids=str)
def test_a_zero_map_shows_no_heat_and_no_contour(scale, page):
    heat = np.zeros((41, 53), np.float32)
    shown, dark = painted(
        page,
        (pictures(), heat, {"blend": "heat", "alpha": 1, **scale}),
        (pictures(), heat, {"blend": "spotlight", "alpha": 0.4, **scale}),
    )
    assert np.array_equal(shown, pictures())
    assert np.abs(dark - 0.6 * pictures()).max() < 0.51


def test_an_unknown_blend_is_refused(page):
    with pytest.raises(playwright.Error, match="blend must be one of heat, spotlight, paper; got add"):
        painted(page, (pictures(), smooth(), {"blend": "add", "alpha": 1}))


# Colours


def test_the_colour_tables_are_opencvs(page):
    assert list(colour_tables()) == list(COLOURMAPS)
    assert len(json.dumps(colour_tables())) < 6000
    for name, number in COLOURMAPS.items():
        entries = np.frombuffer(base64.b64decode(colour_tables()[name]), np.uint8).reshape(256, 3)
        assert np.array_equal(entries, cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], number)[0, :, ::-1])
        heat = steep()
        assert np.array_equal(entries[(255 * heat).astype(np.uint8)], coloured(heat, name))
        read = page.evaluate(
            "(text) => import('/paint.js').then(({ coloursOf }) => [...coloursOf(text)])", colour_tables()[name]
        )
        assert read == entries.ravel().tolist()
