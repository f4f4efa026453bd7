"""The page in a browser, as a visitor has it."""

import base64
import json
import shutil
import urllib.request
from collections import Counter
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import numpy as np
import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--force-color-profile=srgb"]
ARGUMENTS += ["--process-per-site"]  # tabs of one visitor share what is compiled: they open in half the time
READY = "[data-abn][data-ready]"
WIDE = {"width": 1280, "height": 800}
TABS = {  # what says that a tab has all it shows
    "explain": "() => document.querySelector('#abn-explain .abn-stage').dataset.state === ''",
    "compare": """() => { const cards = [...document.querySelectorAll('#abn-compare .abn-card')];
        return cards.length && !cards.some((card) => card.matches('.abn-waiting'))
            && document.querySelector('#abn-compare [data-stop]').disabled; }""",
    "edit": "() => document.querySelector('#abn-edit [data-tools]:not([disabled])')",
    "gallery": """() => document.querySelector('#abn-gallery .abn-tile[data-painted]')
        && !document.querySelector('#abn-gallery .abn-tile:disabled')""",
    "live": "() => document.querySelector('#abn-live [data-start]')",
    "model": "() => document.querySelector('#abn-model .abn-large-value')",
}
JUMPS = """window.jumped = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.jumped += entry.value;
}).observe({type: 'layout-shift', buffered: true});"""  # an init script: `jumped` is the layout shift so far
STORED = "cookies,local_storage,indexeddb,service_workers,cache_storage"
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
VISITORS = WeakKeyDictionary()  # of each browser: its contexts by what they were made with
NEEDS_CHROMIUM = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]


@contextmanager
def chromium(*more: str):
    """A browser; without one the test is skipped. more: arguments beside the usual ones."""
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with playwright.sync_playwright() as driver, launched(driver, *more) as browser:
        yield browser


@contextmanager
def launched(driver, *more: str):
    """One of several browsers of a driver of Playwright's, of which a thread has one at a time."""
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *more])
    yield browser
    browser.close()


def says(page, selector: str, words: str) -> None:
    """Wait until an element's text holds the words."""
    page.wait_for_function(
        "([selector, words]) => document.querySelector(selector)?.innerText.includes(words)",
        arg=[selector, words],
        timeout=60000,
    )


def opened(page, url: str, query: str = "") -> None:
    """Go to the page and wait until its picture is explained."""
    page.goto(f"{url}/{query}")
    page.wait_for_selector(READY, timeout=60000)
    explained(page)


def explained(page, name: str = "") -> None:
    """Wait until Explain shows an answer, of a class where one is named."""
    page.wait_for_function(
        """(name) => { const find = (selector) => document.querySelector(selector);
             const [answer, stage] = [find('.abn-answer'), find('#abn-explain .abn-stage')];
             return answer && stage && !answer.classList.contains('abn-waiting') && stage.dataset.state === ''
                 && answer.querySelector('[data-label]').textContent.includes(name); }""",
        arg=name,
        timeout=60000,
    )


def open_tab(page, name: str) -> None:
    """Open a tab and wait until it has all it shows."""
    page.click(f"[data-tab={name}]")
    page.wait_for_function(TABS[name], timeout=90000)


def choose(page, file) -> None:
    """Choose a file, as a visitor does, and wait for its answer, however soon it comes."""
    page.evaluate(
        """() => { const answer = document.querySelector('.abn-answer');
             window.asked = new Promise((done, fail) => {
               setTimeout(fail, 60000, new Error('nothing was asked'));
               new MutationObserver(() => answer.classList.contains('abn-waiting') && done())
                 .observe(answer, { attributes: true, attributeFilter: ['class'] }); });
             window.asked.catch(() => {}); }"""
    )
    page.set_input_files("#abn-explain [data-file]", str(file))
    page.evaluate("() => window.asked")
    explained(page)


def canvas(page, selector: str = "#abn-explain .abn-stage-box > canvas") -> np.ndarray:
    """(H, W, 3) uint8 RGB: what the stage has drawn, at the picture's own size."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = page.evaluate(
        """(selector) => { const canvas = document.querySelector(selector);
             const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
             let text = '';
             for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
             return [canvas.width, canvas.height, btoa(text)]; }""",
        selector,
    )
    width, height, data = found
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]


def set_alpha(page, value: float, selector: str = "#abn-explain") -> None:
    page.locator(f"{selector} [data-alpha]").fill(str(value))


def blend(page, name: str, selector: str = "#abn-explain") -> None:
    page.locator(f"{selector} [data-blend] input[value={name}]").check(force=True)


class Traffic:
    """What goes over the line, by CDP. requests: (method, url); up, down: bytes; answers: what `page_NAME` said."""

    def __init__(self, page):
        self.requests, self.up, self.down, self.answers, self._parts = [], 0, 0, [], Counter()
        self.session = page.context.new_cdp_session(page)
        self.session.send("Network.enable")
        self.session.on("Network.requestWillBeSent", self._asked)
        self.session.on("Network.dataReceived", self._received)
        self.session.on("Network.loadingFinished", self._finished)
        self.session.on("Network.requestWillBeSentExtraInfo", self._sent)
        self.session.on("Network.eventSourceMessageReceived", self._said)

    def clear(self) -> None:
        self.requests.clear()
        self.answers.clear()
        self.up = self.down = 0

    def slow(self, kilobits: float, milliseconds: float) -> None:
        speed = kilobits * 1000 / 8
        values = {"offline": False, "latency": milliseconds, "downloadThroughput": speed, "uploadThroughput": speed}
        self.session.send("Network.emulateNetworkConditions", values)

    def _asked(self, event: dict) -> None:
        url = event["request"]["url"]
        if url.startswith(("data:", "blob:")):
            return
        self.requests.append((event["request"]["method"], url))

    def _sent(self, event: dict) -> None:
        headers = {name.lower(): value for name, value in event["headers"].items()}
        self.up += int(headers.get("content-length", 0))

    def _received(self, event: dict) -> None:  # a stream that the page leaves never ends in "finished"
        part = event["encodedDataLength"] or event["dataLength"]
        self._parts[event["requestId"]] += part
        self.down += part

    def _finished(self, event: dict) -> None:
        self.down += event["encodedDataLength"] - self._parts.pop(event["requestId"], 0)

    def _said(self, event: dict) -> None:
        if event["eventName"] in ("complete", "generating"):
            found = json.loads(event["data"])
            if found:
                self.answers.append(found[0])

    def posts(self, part: str) -> list[str]:
        return [url for method, url in self.requests if method == "POST" and part in url]


def said(message) -> str:
    """A message of the browser's console, and where it comes from."""
    return f"{message.text} {message.location.get('url', '')}".strip()


def tab(browser, url: str, viewport: dict, **how):
    """A tab of one who was here before: the files are in the browser's cache, but nothing that the page keeps."""
    contexts = VISITORS.setdefault(browser, {})
    if (key := repr(sorted(how.items()))) not in contexts:
        contexts[key] = browser.new_context(**how)
        contexts[key].new_page()  # stays open, and so does what draws the pages
    page = contexts[key].new_page()
    page.set_viewport_size(viewport)
    session = page.context.new_cdp_session(page)
    session.send("Storage.clearDataForOrigin", {"origin": url.rstrip("/"), "storageTypes": STORED})
    session.detach()
    return page


@contextmanager
def watched(browser, url: str, fresh: bool = False, viewport: dict = WIDE, **how):
    """A page whose faults, and whatever it asks of other hosts, fail the test.

    Args:
        fresh: a visitor's first page, of whom nothing is in the browser's cache.
    """
    page = browser.new_page(viewport=viewport, **how) if fresh else tab(browser, url, viewport, **how)
    page.set_default_timeout(60000)  # other tests may run beside
    faults, elsewhere = [], []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(said(message)) if message.type == "error" else None)
    page.on("request", lambda request: elsewhere.append(request.url))
    page.faults = faults
    try:
        yield page
        assert faults == [], faults
        assert [asked for asked in elsewhere if not asked.startswith((url, "data:", "blob:"))] == []
    finally:
        page.close()


@contextmanager
def visited(browser, url: str, query: str = "", before: str = "", **how):
    """A watched page that is opened. posts: what it sent, "upload" or the name of an ask, in order.

    Args:
        before: a script that runs before the page's own.
        how: the page's, such as locale and viewport.
    """
    with watched(browser, url, **{"viewport": {"width": 1440, "height": 900}, "locale": "en-GB", **how}) as page:
        page.posts = []

        def note(request) -> None:
            if request.method == "POST":
                page.posts.append(request.url.rpartition("/")[2].removeprefix("page_"))

        page.on("request", note)
        if before:
            page.add_init_script(before)
        opened(page, url, query)
        yield page


def example(url: str, label: str, folder):
    """The file of the example of a class, as the server explains it."""
    with urllib.request.urlopen(f"{url}/gradio_api/abn/state?language=en") as answer:
        name = next(one["id"] for one in json.load(answer)["examples"] if one["label"] == label)
    file = folder / f"{name}.jpg"
    with urllib.request.urlopen(f"{url}/gradio_api/abn/example/{name}") as answer:
        file.write_bytes(answer.read())
    return file


def photo(path, width=4000, height=3000, seed=0):
    """A 12-megapixel JPEG with the detail of a photograph: noise of several scales over smooth colours."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3), np.float32)
    for scale, strength in ((400, 90), (80, 50), (16, 30), (4, 18), (1, 8)):
        small = rng.normal(0, strength, (height // scale + 2, width // scale + 2, 3)).astype(np.float32)
        layers = [
            np.asarray(Image.fromarray(small[..., c]).resize((width, height), Image.Resampling.BICUBIC))
            for c in range(3)
        ]
        pixels += np.stack(layers, -1)
    Image.fromarray(np.clip(pixels + 128, 0, 255).astype(np.uint8)).save(path, quality=88)
    return path
