"""The folder of the page without a server beside the page of one: Live on the visitor's device, and a way out where the
server has no room."""

import json
import re
import shutil

import numpy as np
import pytest
from helpers import ROOT
from page import CAMERA, NEEDS_CHROMIUM, chromium, explained, opened, says, visited, watched
from server import started
from starlette.applications import Starlette
from starlette.testclient import TestClient

from abn.space import deploy
from abn.space.page import beside_page
from abn.space.server.in_browser import ISOLATED, InBrowser, in_browser_of

BELOW = "/gradio_api/abn/in-browser"


# --- The folder


@pytest.fixture(scope="module")
def client(bundled_site):
    return TestClient(Starlette(routes=[InBrowser(bundled_site).route()]))


def test_its_files_are_served_as_they_are(client, bundled_site):
    found = InBrowser(bundled_site)
    page = client.get(f"{BELOW}/")
    assert page.content == (bundled_site / "index.html").read_bytes()
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-cache"
    assert client.get(f"{BELOW}/sw.js").headers["content-type"].startswith("text/javascript")
    graph = client.get(f"{BELOW}/{found.version}/network/see.gz")
    assert graph.content == (bundled_site / found.version / "network" / "see.gz").read_bytes()
    assert "content-encoding" not in graph.headers
    assert "immutable" in graph.headers["cache-control"]
    for answer in (page, graph):
        assert {name: answer.headers[name] for name in ISOLATED} == ISOLATED


@pytest.mark.parametrize("name", ["no.js", "%2e%2e/%2e%2e/app.py", "..%2f..%2fapp.py", "/etc/passwd"])
def test_nothing_else_is_served(client, name):
    assert client.get(f"{BELOW}/{name}").status_code == 404


def test_another_folder_is_said_and_the_server_answers(tmp_path, capsys):
    assert in_browser_of(tmp_path / "none") is None
    assert capsys.readouterr().out == ""
    (tmp_path / "index.html").write_text("another")
    assert in_browser_of(tmp_path) is None
    assert "is not what python -m abn.browser writes" in capsys.readouterr().out


def test_a_network_of_other_classes_is_not_offered(bundled_site):
    found = InBrowser(bundled_site)
    assert beside_page(found, list(reversed(found.labels))) == {"base": found.base, "page": "in-browser/"}
    assert beside_page(found, ["cat", "dog"]) is None
    assert beside_page(None, found.labels) is None


# --- The page


def needs_chromium(test):
    for mark in NEEDS_CHROMIUM:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def beside(bundled_site, tmp_path_factory):
    """(url, log file) of a Space as it is pushed, with the folder."""
    tmp = tmp_path_factory.mktemp("space")
    for name in deploy.pushed():
        if name.startswith(("app.py", "abn/")):
            (tmp / "space" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp / "space" / name)
    shutil.copytree(bundled_site, tmp / "space" / "in-browser")
    with started(tmp, "--checkpoint", "compact", "--imagenette-root", str(tmp / "none"), root=tmp / "space") as found:
        yield found[1:]


@pytest.fixture(scope="module")
def url(beside):
    return beside[0]


@pytest.fixture(scope="module")
def browser():
    with chromium(*CAMERA) as opened_browser:
        yield opened_browser


def frames(page, more: int) -> None:
    page.wait_for_function(
        "(more) => Number(document.querySelector('#abn-live [data-rate]').dataset.frames) >= more",
        arg=more,
        timeout=60000,
    )


def chip(page) -> str:
    return page.inner_text("[data-chip]").replace("\n", " ").strip()


@needs_chromium
@pytest.mark.slow
def test_live_runs_on_the_visitors_device(browser, url):
    with visited(browser, url) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.click("[data-tab=edit]")
        page.wait_for_selector("#abn-edit [data-tools]:not([disabled])")
        assert not [one for one in asked if "/in-browser/" in one]  # nothing of it before Live
        assert chip(page) == "bundled compact network"
        page.click("[data-tab=live]")
        says(page, "[data-chip]", "on this device")
        assert chip(page) == "bundled compact network on this device"
        says(page, "#abn-live [data-live-about]", "No frame leaves it.")
        assert [one for one in asked if "/network/see.gz" in one]
        assert page.evaluate("self.crossOriginIsolated")
        page.posts.clear()
        asked.clear()
        page.click("#abn-live [data-start]")
        frames(page, 5)
        rate = page.inner_text("#abn-live [data-rate]")
        assert re.fullmatch(r"\d+ frames/s · \d+ ms · bundled compact network, on this device", rate)
        assert page.locator("#abn-live [data-live-answer] li").count() == 3
        assert page.posts == []
        assert [one for one in asked if "/frame" in one] == []
        page.click("[data-tab=explain]")
        assert chip(page) == "bundled compact network"


@needs_chromium
def test_the_devices_answer_is_the_servers(browser, url):
    """To the same frame: what the device says of it, and what the server does."""
    with visited(browser, url) as page:
        found = page.evaluate(
            """async () => {
              const state = await (await fetch('gradio_api/abn/state?language=en')).json();
              const { bring } = await import(`/gradio_api/abn/${state.in_browser.base}/frames.js`);
              const engine = await bring(`${location.origin}/gradio_api/abn/${state.in_browser.base}`);
              const id = state.examples.find(({ label }) => label === 'church').id;
              const blob = await (await fetch(`gradio_api/abn/example/${id}`)).blob();
              const bitmap = await createImageBitmap(blob);
              const canvas = Object.assign(document.createElement('canvas'), { width: 384, height: 288 });
              canvas.getContext('2d').drawImage(bitmap, 0, 0, 384, 288);
              const jpeg = await new Promise((done) => canvas.toBlob(done, 'image/jpeg', 1));
              const answer = await fetch('gradio_api/abn/frame?language=en&model=', { method: 'POST', body: jpeg });
              return [await engine.frame(canvas), await answer.json()];
            }"""
        )
        ours, theirs = found
        assert [name for name, _ in ours["classes"]] == [name for name, _ in theirs["classes"]]
        assert ours["classes"][0][1] == pytest.approx(theirs["classes"][0][1], abs=0.03)
        assert np.shape(ours["map"]["rows"]) == tuple(theirs["map"]["shape"])
        assert ours["map"]["box"] == theirs["map"]["box"]


@needs_chromium
@pytest.mark.parametrize("missing", ["**/network/see.gz", pytest.param("**/frames.js", marks=pytest.mark.slow)])
def test_where_the_start_fails_the_server_answers(browser, url, missing):
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    context.route(missing, lambda route: route.abort())
    opened(page, url)
    posts = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    page.click("[data-tab=live]")
    says(page, "[data-chip]", "on the server")
    says(page, "#abn-live [data-live-about]", "Frames are not kept.")
    page.click("#abn-live [data-start]")
    frames(page, 3)
    assert [one for one in posts if "/abn/frame" in one]
    assert "on the server" in page.inner_text("#abn-live [data-rate]")
    context.close()


@needs_chromium
@pytest.mark.slow
def test_where_the_device_fails_later_the_server_goes_on(browser, url):
    with visited(browser, url) as page:
        page.click("[data-tab=live]")
        says(page, "[data-chip]", "on this device")
        page.evaluate("""() => { const post = Worker.prototype.postMessage;
            Worker.prototype.postMessage = function (...given) {
              if (given[0]?.name === 'look') throw new Error('the worker is gone');
              return post.apply(this, given); }; }""")
        page.click("#abn-live [data-start]")
        frames(page, 3)
        assert "frame" in {one.partition("?")[0] for one in page.posts}
        assert chip(page).endswith("on the server")


@needs_chromium
@pytest.mark.slow
def test_another_model_that_was_chosen_answers_on_the_server(browser, url):
    with visited(browser, url, "?tab=live") as page:
        says(page, "[data-chip]", "on this device")
        page.evaluate("history.pushState(null, '', '?tab=live&model=bundled compact network')")
        page.evaluate("dispatchEvent(new Event('popstate'))")
        says(page, "[data-chip]", "on the server")
        says(page, "#abn-live [data-live-about]", "Frames are not kept.")


def offered(page) -> str:
    page.wait_for_selector("[data-run-here]:not([hidden])", timeout=60000)
    return page.get_attribute("[data-run-here]", "href")


@needs_chromium
@pytest.mark.parametrize("status", [429, pytest.param(503, marks=pytest.mark.slow)])
def test_a_full_queue_offers_the_page_that_needs_no_server(browser, url, status):
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    opened(page, url)
    busy = {"detail": "many visitors", "error": "many visitors are asking"}
    page.route("**/call/page_explain", lambda route: route.fulfill(status=status, json=busy))
    page.locator("#abn-explain [data-id]").nth(3).click()
    assert offered(page) == f"{url}{BELOW}/"
    says(page, "[data-toast]", "many visitors are asking")
    with context.expect_page() as other:
        page.click("[data-run-here]")
    own = other.value
    own.wait_for_selector("[data-abn][data-ready]", timeout=60000)
    explained(own)
    own.click("[data-tab=model]")
    says(own, "[data-model-description]", "in this browser (WebAssembly, threads: ")
    page.click("[data-toast] button")
    assert page.locator("[data-run-here]").is_hidden()
    context.close()


@needs_chromium
def test_where_no_gpu_is_lent_it_is_offered_once(browser, url):
    def unlent(route):
        answer = route.fetch()
        lines = answer.text().split("\n")
        for place, line in enumerate(lines):
            if line.startswith("data: [{"):
                (found,) = json.loads(line.removeprefix("data: "))
                lines[place] = "data: " + json.dumps([{**found, "unlent": "answered on the CPU: no GPU is free"}])
        route.fulfill(response=answer, body="\n".join(lines))

    with watched(browser, url, locale="en-GB") as page:
        page.route("**/call/page_explain/*", unlent)
        opened(page, url)
        assert offered(page) == f"{url}{BELOW}/"
        says(page, "[data-toast]", "no GPU is free")
        page.click("[data-toast] button")
        page.locator("#abn-explain [data-id]").nth(2).click()
        page.wait_for_function("() => document.querySelector('.abn-answer').classList.contains('abn-waiting')")
        explained(page)
        assert page.locator("[data-toast]").is_hidden()


@needs_chromium
@pytest.mark.slow
def test_the_page_works_under_the_headers_that_threads_want(browser, url, beside):
    """Those of the card: every tab, with nothing in the console."""
    with visited(browser, url) as page:
        for name, what in {
            "compare": "#abn-compare .abn-card:not(.abn-waiting)",
            "gallery": "#abn-gallery",
            "model": "#abn-model .abn-large-value",
        }.items():
            page.click(f"[data-tab={name}]")
            page.wait_for_selector(what, timeout=90000)
        assert page.evaluate("self.crossOriginIsolated")
    assert "Traceback" not in beside[1].read_text()
