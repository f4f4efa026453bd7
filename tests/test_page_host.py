"""The page inside a host's page of another origin, as huggingface.co holds it: iframe-resizer 4 there, a sandbox, and a
header of 112 pixels."""

import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from helpers import made_up_picture
from page import CAMERA, CHROMIUM, JUMPS, READY, TABS, canvas, choose, chromium, explained, open_tab, tab

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]

SIZES = [(1280, 800), (390, 844)]
SIZES += [pytest.param(1440, 900, marks=pytest.mark.slow), pytest.param(820, 1180, marks=pytest.mark.slow)]
HEADER = 112
DENIED = """for (const name of ['sessionStorage', 'localStorage'])
    Object.defineProperty(window, name, {get() { throw new DOMException('denied', 'SecurityError'); }});"""


@pytest.fixture(scope="module")
def resizer(tmp_path_factory) -> Path:
    """The host's side of iframe-resizer, as npm gives it."""
    if not (npm := shutil.which("npm")):
        pytest.skip("no npm for iframe-resizer")
    folder = tmp_path_factory.mktemp("npm")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--cache", str(folder / "cache")]
    try:
        subprocess.run([*command, "iframe-resizer@4"], cwd=folder, capture_output=True, check=True, timeout=180)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npm cannot fetch iframe-resizer here")
    return folder / "node_modules" / "iframe-resizer" / "js" / "iframeResizer.min.js"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def host(resizer, url, tmp_path_factory):
    """The host's address: on `localhost`, where the page is on 127.0.0.1."""
    folder = tmp_path_factory.mktemp("host")
    shutil.copy(resizer, folder)
    page = Path(__file__).with_name("host.html").read_text()
    (folder / "index.html").write_text(page.replace("SPACE", url))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    with chromium(*CAMERA) as browser:
        yield browser


@pytest.fixture
def framed(browser, host):
    """Open the host's page: gives (host's page, the Space's frame), ready."""
    pages = []

    def open_host(width=1280, height=800, script=JUMPS, screen=None, ready=True):
        page = tab(browser, host, {"width": width, "height": height}, **({"screen": screen} if screen else {}))
        pages.append(page)
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.add_init_script(script)
        page.goto(host)
        frame = page.wait_for_selector("#space").content_frame()
        frame.wait_for_selector(READY, timeout=90000)
        if ready:
            explained(frame)
        return page, frame

    yield open_host
    for page in pages:
        assert page.faults == []
        page.close()


def box(frame, selector: str) -> dict:
    """Of an element in the frame, in the host's own pixels."""
    return frame.locator(selector).bounding_box()


def inside(inner: dict, top: float, bottom: float) -> bool:
    return inner["y"] >= top and inner["y"] + inner["height"] <= bottom


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_picture_and_answer_are_in_the_hosts_first_screen_and_nothing_jumps(width, height, framed, tmp_path):
    page, frame = framed(width, height)
    stage = box(frame, "#abn-explain .abn-stage-box")
    assert inside(stage, HEADER, height)
    assert inside(box(frame, "#abn-explain [data-scores]"), HEADER, height)
    for number, size in enumerate([(600, 150), (200, 450)]):
        file = tmp_path / f"{number}.png"
        made_up_picture(*size, seed=number).save(file)
        choose(frame, file)
        assert box(frame, "#abn-explain .abn-stage-box") == stage
    assert frame.evaluate("window.jumped") < 0.05
    assert page.evaluate("window.jumped") < 0.05
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width < 768:  # the upload button stands in the flow
        bar = frame.locator(".abn-upload-bar")
        assert bar.evaluate("(bar) => getComputedStyle(bar).position") == "static"
        assert bar.locator("button").is_visible()


@pytest.mark.slow
def test_a_window_smaller_than_the_screen_moves_nothing(framed):
    """The first screen is the window's, not the screen's, before anything is painted."""
    page, frame = framed(1280, 700, screen={"width": 1920, "height": 1080})
    assert inside(box(frame, "#abn-explain [data-scores]"), HEADER, 700)
    assert frame.evaluate("window.jumped") < 0.05
    page.set_viewport_size({"width": 1280, "height": 800})
    frame.wait_for_function("document.querySelector('[data-abn]').style.getPropertyValue('--tall') === '688px'")
    assert inside(box(frame, "#abn-explain [data-scores]"), HEADER, 800)


SETTLED = """(still) => { const last = window.heights.at(-1); return performance.now() - last[0] >= still; }"""


def watch(page, frame, name: str, milliseconds: int) -> None:
    """The frame's height settles within 3 s after the tab has all it shows, and does not grow for so long."""
    open_tab(frame, name)
    began = page.evaluate("performance.now()")
    page.wait_for_function(SETTLED, arg=1000, timeout=30000)
    settled, height = page.evaluate("window.heights.at(-1)")
    assert settled - began < 3000, name
    seen = frame.evaluate("document.querySelector('[data-abn]').getBoundingClientRect().bottom")
    assert height >= seen - 1, name  # nothing is cut off
    page.wait_for_function("(until) => performance.now() >= until", arg=settled + milliseconds, timeout=60000)
    later = page.evaluate("(since) => window.heights.filter(([at]) => at > since)", settled)
    assert [tall for _, tall in later if tall > height] == [], name


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_frames_height_settles_on_every_tab(width, height, framed):
    page, frame = framed(width, height)
    for name in TABS:
        watch(page, frame, name, 2000)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_frame_does_not_grow_in_20_seconds_on_any_tab(width, height, framed):
    page, frame = framed(width, height)
    for name in TABS:
        watch(page, frame, name, 20000)


def test_it_works_where_storage_is_denied(framed, tmp_path):
    """A browser may keep what a page stores inside another origin's apart, or deny it."""
    _, frame = framed(script=DENIED)
    file = tmp_path / "mine.png"
    made_up_picture(320, 200).save(file)
    choose(frame, file)
    assert canvas(frame).shape == (200, 320, 3)
    frame.locator("[data-examples] [data-open]", has_text="church").click()
    explained(frame, "church")


def test_share_copies_its_link_in_the_sandbox(framed):
    _, frame = framed()
    frame.click("[data-share]")
    frame.wait_for_selector("[data-shared] >> text=Copied")
    assert frame.input_value("[data-link]").startswith(frame.url.partition("/?")[0])


def test_saving_works_in_the_sandbox(framed):
    page, frame = framed()
    with page.expect_download() as saved:
        frame.click("#abn-explain [data-do=save]")
    assert saved.value.suggested_filename == "attention.png"


def scrolled(page, pixels: int) -> None:
    page.evaluate("(to) => window.scrollTo(0, to)", pixels)
    page.wait_for_function("(to) => Math.abs(window.scrollY - to) < 2", arg=pixels)


@pytest.mark.slow
def test_what_is_said_and_asked_is_where_the_visitor_looks(framed, tmp_path):
    """In a frame of 3,000 pixels its middle is out of sight; the host says what is seen."""
    page, frame = framed(390, 844)
    frame.evaluate("document.querySelector('#abn-explain').style.paddingBottom = '2400px'")
    page.wait_for_function("window.heights.at(-1)[1] > 2500")
    bad = tmp_path / "notes.png"
    bad.write_text("no picture")
    for scroll in (0, 900):
        scrolled(page, scroll)
        top = max(0, scroll - HEADER)
        frame.wait_for_function(
            "(top) => document.querySelector('[data-abn]').style.getPropertyValue('--seen-top') === `${top}px`", arg=top
        )
        frame.evaluate("document.querySelector('#abn-explain [data-do=camera]').click()")
        frame.wait_for_selector("[data-take]:not([disabled])")
        dialog = box(frame, "[data-camera]")
        assert inside(dialog, max(0, HEADER - scroll), 844), scroll
        seen = (max(0, HEADER - scroll) + 844) / 2
        assert abs(dialog["y"] + dialog["height"] / 2 - seen) < 20
        frame.evaluate("document.querySelector('[data-camera] [data-cancel]').click()")
        frame.set_input_files("#abn-explain [data-file]", str(bad))
        frame.wait_for_selector("[data-toast]:not([hidden])")
        assert inside(box(frame, "[data-toast]"), 0, 844), scroll
        frame.evaluate("document.querySelector('[data-toast] button').click()")
        frame.wait_for_selector("[data-toast]", state="hidden")


@pytest.mark.slow
def test_paper_in_the_frame_is_what_it_is_alone(framed, browser, url):
    _, frame = framed()
    frame.locator("#abn-explain [data-blend] input[value=paper]").check(force=True)
    alone = browser.new_page()
    alone.goto(f"{url}/?blend=paper")
    alone.wait_for_selector(READY)
    explained(alone)
    assert np.array_equal(canvas(frame), canvas(alone))
    alone.close()
