"""Explain in Firefox and WebKit: the first screen, nothing jumps, each picture with its own answer, Paper's pixels."""

import base64

import numpy as np
import pytest
import torch
from browsers import Firefox, WebKit, session
from helpers import made_up_picture, wait_for
from PIL import Image

from abn import Explainer
from abn.overlay import overlay

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZES = [(1440, 900), (1280, 800), (820, 1180), (390, 844)]
EXPLAINED = """const find = (selector) => document.querySelector(selector);
    const [answer, stage] = [find('.abn-answer'), find('#abn-explain .abn-stage')];
    return Boolean(find('[data-abn][data-ready]') && stage.dataset.state === ''
        && !answer.classList.contains('abn-waiting'))"""
CANVAS = """const canvas = document.querySelector('#abn-explain .abn-stage-box > canvas');
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    await frame();
    await frame();
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let text = '';
    for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
    return [canvas.width, canvas.height, btoa(text)]"""
# Files as a visitor chooses them one after the other, at once; the last answer is kept, and how often the answer of one
# picture was seen beside another
CHOOSE = """window.mixed = 0;
    const [answer, stage] = ['.abn-answer', '#abn-explain .abn-stage'].map((each) => document.querySelector(each));
    new MutationObserver(() => {
        if (answer.classList.contains('abn-waiting') !== (stage.dataset.state !== '')) window.mixed += 1;
    }).observe(stage, { attributes: true, attributeFilter: ['data-state'] });
    const Source = window.EventSource;
    window.EventSource = class extends Source {
        constructor(url) {
            super(url);
            this.addEventListener('complete', (event) => { [window.said] = JSON.parse(event.data); });
        }
    };
    const input = document.querySelector('#abn-explain [data-file]');
    for (const [name, text] of values[0]) {
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        const chosen = new DataTransfer();
        chosen.items.add(new File([bytes], name, { type: 'image/png' }));
        input.files = chosen.files;
        input.dispatchEvent(new Event('change', { bubbles: true }));
    }"""
BOXES = """const all = ['.abn-stage-box', '.abn-answer [data-scores]', '[data-examples]', '.abn-how'];
    return [...all.map((each) => `#abn-explain ${each}`), '.abn-head'].map((each) => {
        const { x, y, width, height } = document.querySelector(each).getBoundingClientRect();
        return [x, y, width, height].map(Math.round); })"""


@pytest.fixture(scope="module", params=[Firefox, WebKit], ids=["firefox", "webkit"])
def browser(request, tmp_path_factory):
    yield from session(request.param, tmp_path_factory.mktemp("browser"))


@pytest.fixture
def opened(browser, url):
    def opened(query: str = "", size=(1280, 800)):
        reached = browser.size(*size)
        browser.go(f"{url}/{query}")
        explained(browser)
        return reached

    return opened


def explained(browser) -> None:
    wait_for(lambda: browser.run(EXPLAINED), 90, every=0.1)


def choose(browser, *files) -> None:
    browser.run(CHOOSE, [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files])


def canvas(browser) -> np.ndarray:
    """(H, W, 3) uint8 RGB: what the stage has drawn."""
    width, height, data = browser.run(CANVAS)
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]


def made_up(folder, number: int, size):
    file = folder / f"{number}.png"
    made_up_picture(*size, seed=number).save(file)
    return file


def wide(browser, width: int) -> None:
    pixels = "return document.querySelector('#abn-explain .abn-stage-box > canvas').width"
    wait_for(lambda: browser.run(pixels) == width, 60, every=0.1)


@pytest.mark.parametrize("size", SIZES)
def test_picture_and_answer_are_in_the_first_screen_and_nothing_jumps(browser, opened, size, tmp_path):
    width, height = opened(size=size)
    before = browser.run(BOXES)
    for x, y, across, down in before[:2]:
        assert x >= 0
        assert y >= 0
        assert x + across <= width
        assert y + down <= height
    assert before[-1][3] <= 64
    for number, shape in enumerate([(600, 150), (200, 450)]):
        choose(browser, made_up(tmp_path, number, shape))
        wide(browser, shape[0])
        assert browser.run(BOXES) == before
        explained(browser)
        assert browser.run(BOXES) == before
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_ten_pictures_in_a_second_end_in_the_last_with_its_own_answer(browser, opened, tmp_path, bundled):
    opened()
    files = [made_up(tmp_path, number, (200 + 10 * number, 160)) for number in range(10)]
    choose(browser, *files)
    wide(browser, 290)
    explained(browser)
    expected = Explainer.from_pretrained(bundled)(files[-1], view="whole")
    assert browser.run("return document.querySelector('[data-label]').textContent") == expected.label
    assert canvas(browser).shape == expected.view.shape
    assert browser.run("return window.mixed") == 0


def test_what_is_no_picture_is_named_and_picture_and_answer_stay_together(browser, opened, tmp_path):
    opened()
    said = "return document.querySelector('.abn-answer').innerText"
    before, pixels = browser.run(said), canvas(browser)
    bad = tmp_path / "notes.png"
    bad.write_text("no picture")
    browser.choose("#abn-explain [data-file]", bad)
    toast = "return document.querySelector('[data-toast]:not([hidden])')?.innerText || ''"
    wait_for(lambda: "notes.png is not a picture that can be read" in browser.run(toast), 60, every=0.1)
    explained(browser)
    assert browser.run(said) == before
    assert np.array_equal(canvas(browser), pixels)


@pytest.mark.parametrize("view", ["whole", "model"])
def test_papers_pixels_are_the_librarys_overlay(browser, opened, view, tmp_path, bundled):
    opened(f"?view={view}&blend=paper&alpha=0")
    choose(browser, made_up(tmp_path, 0, (420, 311)))
    wait_for(lambda: browser.run("return Boolean(window.said?.map)"), 60, every=0.1)
    explained(browser)
    bare = canvas(browser)
    answer = browser.run("return window.said.map")
    grid = torch.tensor(answer["rows"], dtype=torch.float32)[None, None]
    width, height = answer["size"]
    processor = Explainer.from_pretrained(bundled).processor
    (heatmap,) = processor.post_process_attention(grid, [(height, width)], view, [bare.shape[:2]])
    for alpha in (0.37, 1):
        browser.run(
            """const slider = document.querySelector('#abn-explain [data-alpha]');
               slider.value = values[0];
               slider.dispatchEvent(new Event('input', { bubbles: true }));""",
            alpha,
        )
        expected = overlay(bare, heatmap.clamp(0, 1).numpy(), alpha).astype(int)
        assert np.abs(canvas(browser) - expected).max() <= 1
    assert not np.array_equal(canvas(browser), bare)


def test_a_large_picture_is_reduced_with_all_its_pixels(browser, opened, tmp_path):
    """A browser that skips pixels turns noise of 0 or 255 into noise; the mean of 4 x 4 deviates by 32 from 128."""
    opened("?alpha=0")
    file = tmp_path / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 2, (1200, 4096)).astype(np.uint8) * 255
    Image.fromarray(pixels).convert("RGB").save(file)
    choose(browser, file)
    wide(browser, 1024)
    explained(browser)
    seen = canvas(browser).astype(float)
    assert seen.shape == (300, 1024, 3)
    assert abs(seen.mean() - 127.5) < 2
    assert seen.std() < 40
