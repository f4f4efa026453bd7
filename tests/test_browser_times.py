"""How long the page without a server lets a visitor wait, as one table:

    python -m pytest -m slow tests/test_browser_times.py -s

Times are this machine's: the table marks those that miss their limit; only far beyond it, or where nothing else runs
(ABN_QUIET=1), do they fail.
"""

import itertools
import statistics

import pytest
from page import CAMERA, NEEDS_CHROMIUM, READY, Traffic, chromium, explained, open_tab, opened
from plain_server import ISOLATED, Plain
from times import PATIENCE, rows_printed

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
KILOBITS, MILLISECONDS = 10_000, 40  # of the line
PROGRESS = """window.told = [];
new MutationObserver(() => {
  const line = document.querySelector('[data-loading]');
  const words = line?.hidden ? '' : line?.querySelector('p').textContent;
  if (words && words !== window.told.at(-1)?.[1]) window.told.push([performance.now(), words]);
}).observe(document, {subtree: true, childList: true, characterData: true, attributes: true});"""
STROKES = """async () => {
  const canvas = document.querySelector('.abn-marks'), box = canvas.getBoundingClientRect();
  const change = document.querySelector('[data-change]');
  const at = (x, y) => ({ clientX: box.left + box.width * x, clientY: box.top + box.height * y, pointerId: 1,
    button: 0, bubbles: true, pointerType: 'mouse' });
  canvas.setPointerCapture = () => {};
  const took = [];
  for (let i = 0; i < 15; i++) {
    canvas.dispatchEvent(new PointerEvent('pointerdown', at(0.2 + 0.04 * i, 0.4)));
    await new Promise((done) => setTimeout(done, 150));
    const began = performance.now();
    const answered = new Promise((done) => {
      const seen = new MutationObserver(() => { seen.disconnect(); done(performance.now() - began); });
      seen.observe(change, { childList: true, subtree: true, characterData: true });
    });
    canvas.dispatchEvent(new PointerEvent('pointermove', at(0.2 + 0.04 * i, 0.7)));
    took.push(await answered);
    canvas.dispatchEvent(new PointerEvent('pointerup', at(0.2 + 0.04 * i, 0.7)));
    await new Promise((done) => setTimeout(done, 150));
  }
  return took;
}"""
KEPT = "navigator.serviceWorker.ready.then(() => true)"  # once all is kept


@pytest.fixture(scope="module")
def browser():
    with chromium(*CAMERA) as opened_browser:
        yield opened_browser


@pytest.fixture(scope="module")
def table():
    yield from rows_printed()


@pytest.fixture
def served(bundled_site):
    server = Plain(bundled_site)
    server.headers = ISOLATED
    yield server
    server.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    context.grant_permissions(["camera"])
    yield context.new_page()
    context.close()


def test_the_first_visit_on_a_line_of_10_megabits_and_the_second_without_one(page, served, table):
    served.rate = KILOBITS * 1000 / 8  # the worker's requests as well, which the browser's own limit leaves out
    Traffic(page).slow(KILOBITS, MILLISECONDS)
    page.add_init_script(PROGRESS)
    opened(page, served.url)
    first = page.evaluate("performance.now()") / 1000
    told = page.evaluate("window.told")
    times = [0, *(time / 1000 for time, _ in told), first]
    silence = max(after - before for before, after in itertools.pairwise(times))
    shares = [float(words.split(": ")[1].split(" of ")[0]) for _, words in told if " of " in words]
    assert shares == sorted(shares)
    assert len(shares) > 20
    label = page.inner_text("#abn-explain [data-label]")
    served.rate = None
    assert page.evaluate(KEPT)
    served.close()
    other = page.context.new_page()
    page.close()
    other.goto(served.url)
    other.wait_for_selector(READY)
    explained(other, label)
    second = other.evaluate("performance.now()") / 1000
    rows = [
        ("10 Mbit/s: the first answer after", first, 16, "s", True),
        ("10 Mbit/s: progress stands still for", silence, 3, "s", True),
        ("the second visit, offline: the answer after", second, 2, "s", True),
    ]
    table += rows
    for what, value, limit, *_ in rows:
        assert value <= limit * PATIENCE, what


def test_a_stroke_and_its_answer(page, served, table):
    opened(page, served.url)
    open_tab(page, "edit")
    took = page.evaluate(STROKES)
    middle = statistics.median(took)
    table.append(("Edit: from stroke to answer, of 15 the middle", middle, 60, "ms", True))
    assert middle <= 60 * PATIENCE


def test_live_frames(page, served, table):
    opened(page, served.url)
    open_tab(page, "live")
    page.click("#abn-live [data-start]")
    frames = "() => Number(document.querySelector('#abn-live [data-rate]').dataset.frames)"
    page.wait_for_function(f"() => ({frames})() >= 15", timeout=60000)
    rate = page.evaluate(
        f"""async () => {{ const began = performance.now(), before = ({frames})();
            await new Promise((done) => setTimeout(done, 5000));
            return 1000 * (({frames})() - before) / (performance.now() - began); }}"""
    )
    table.append(("Live: frames a second", rate, 15, "/s", False))
    assert rate >= 15 / PATIENCE
