"""The Live tab in Chromium, with its camera that shows a moving test picture."""

import base64
import io
import re

import numpy as np
import pytest
from page import CAMERA, NEEDS_CHROMIUM, canvas, chromium, says, visited
from PIL import Image

from abn import Explainer
from abn.tuning import tuned

pytestmark = NEEDS_CHROMIUM
STAGE = "#abn-live .abn-stage-box > canvas"
ASKING = """const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.asked = 0;
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        window.asked += 1;
        return window.filmed = await ask(wanted);
    };"""
# The second frame gets no answer: what is shown belongs to the first
ONE_FRAME = """const send = window.fetch;
    window.sent = [];
    window.fetch = async (url, how) => {
        if (!String(url).includes('/abn/frame')) return send(url, how);
        window.sent.push([url, how.body]);
        if (window.sent.length > 1) return new Promise(() => {});
        return send(url, how);
    };"""
FIRST = """async () => { const bytes = new Uint8Array(await window.sent[0][1].arrayBuffer());
    return [window.sent[0][0], btoa(String.fromCharCode(...bytes))]; }"""
ENDED = "() => window.filmed.getTracks().every((track) => track.readyState === 'ended')"
# What getUserMedia rejects with: Media Capture and Streams, 10.3.1
FAILING = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NAME'); };"


@pytest.fixture(scope="module")
def filmed():
    with chromium(*CAMERA) as browser:
        yield browser


def frames(page, more: int = 0) -> int:
    """How many there were, once there are so many."""
    count = "() => Number(document.querySelector('#abn-live [data-rate]').dataset.frames)"
    page.wait_for_function(f"(more) => ({count})() >= more", arg=more, timeout=60000)
    return page.evaluate(count)


def test_the_camera_starts_at_a_press_and_stops_when_the_tab_is_left(filmed, url):
    with visited(filmed, url, before=ASKING) as page:
        page.get_by_role("tab", name="Live").click()
        says(page, "#abn-live [data-live-words]", "The camera is off until you start it.")
        assert page.evaluate("window.asked") == 0
        page.get_by_role("button", name="Start the camera").click()
        frames(page, 5)
        assert re.search(r"\d+ frames/s · \d+ ms · bundled compact network", page.inner_text("#abn-live [data-rate]"))
        assert page.locator("#abn-live [data-live-answer] li").count() == 3
        assert canvas(page, STAGE).shape == (256, 341, 3)
        page.get_by_role("tab", name="Explain").click()
        page.wait_for_function(ENDED)
        stopped = frames(page)
        page.locator("#abn-explain [data-id=golf-ball-drawn]").click()  # an answer later none has come
        says(page, "#abn-explain [data-label]", "golf ball")
        page.get_by_role("tab", name="Live").click()
        says(page, "#abn-live [data-live-words]", "The camera is off.")
        assert frames(page) == stopped
        assert page.evaluate("window.asked") == 1
        assert page.locator("#abn-live [data-live-answer]").is_hidden()
        page.get_by_role("button", name="Start the camera").click()
        frames(page, stopped + 2)
        page.get_by_role("button", name="Stop").click()
        page.wait_for_function(ENDED)
        assert page.evaluate("document.activeElement.matches('[data-start]')")
        page.get_by_role("button", name="Start the camera").click()
        frames(page, stopped + 4)
        page.evaluate(  # as when another tab of the browser comes to the front
            "Object.defineProperty(document, 'hidden', {value: true});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        page.wait_for_function(ENDED)


def test_a_frame_its_map_and_its_answer_are_shown_together(filmed, url, bundled):
    with visited(filmed, url, "?tab=live&alpha=0&blend=heat", before=ONE_FRAME) as page:
        page.get_by_role("button", name="Start the camera").click()
        frames(page, 1)
        address, content = page.evaluate(FIRST)
        content = base64.b64decode(content)
        assert address.endswith("/gradio_api/abn/frame?language=en&model=")
        with Image.open(io.BytesIO(content)) as opened:
            assert (opened.format, opened.size) == ("JPEG", (341, 256))
            picture = opened.convert("RGB")
        assert np.abs(canvas(page, STAGE).astype(int) - np.asarray(picture)).mean() < 4  # JPEG's own loss
        explainer = Explainer.from_pretrained(bundled)
        explanation, quick = (each(picture, view="whole") for each in (explainer, tuned(explainer)))
        shown = [row.split("\n") for row in page.locator("#abn-live [data-live-answer] li").all_inner_texts()]
        expected = list(explanation.probabilities.items())[:3]
        assert [name for name, _ in shown] == [name for name, _ in expected]
        share = float(shown[0][1].rstrip(" %"))  # of the server's network, or of the tuned one once that is ready
        assert min(abs(share - 100 * each.probabilities[expected[0][0]]) for each in (explanation, quick)) <= 0.6
        bare = canvas(page, STAGE).astype(int)
        sent = len(page.evaluate("window.sent"))
        page.locator("#abn-live [data-alpha]").fill("1")
        page.locator("#abn-live input[value=spotlight]").check(force=True)
        lit = (canvas(page, STAGE).astype(int) + 1).sum(2) / (bare + 1).sum(2)
        at = np.unravel_index(explanation.heatmap.argmax(), explanation.heatmap.shape)
        assert lit[at] > 0.9  # what is attended most stays
        least = explanation.heatmap <= np.quantile(explanation.heatmap, 0.1)
        assert lit[least].mean() < 0.2 + (explanation.heatmap[least] / explanation.heatmap.max()).mean()
        assert page.evaluate("window.sent.length") == sent == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotAllowedError", "Allow it in the address bar"),
        ("NotFoundError", "No camera was found. Connect one"),
        ("NotReadableError", "another program may be using it. Close that program"),
    ],
)
def test_a_camera_that_cannot_be_had_says_what_to_do(filmed, url, name, words):
    with visited(filmed, url, "?tab=live", before=FAILING.replace("NAME", name)) as page:
        page.get_by_role("button", name="Start the camera").click()
        says(page, "#abn-live [data-live-words]", words)
        assert page.get_by_role("button", name="Start the camera").is_enabled()


def test_without_https_and_in_japanese(filmed, url):
    missing = "Object.defineProperty(Navigator.prototype, 'mediaDevices', {get: () => undefined});"
    with visited(filmed, url, "?tab=live", before=missing, locale="ja-JP") as page:
        page.get_by_role("button", name="カメラを開始").click()
        says(page, "#abn-live [data-live-words]", "https")
        text = page.inner_text("#abn-live")
        assert "ブラウザがカメラを許可するのは" in text
        assert "camera" not in text.lower()


@pytest.mark.slow
def test_a_refused_frame_is_said_and_the_next_one_is_sent(filmed, url):
    refusal = """const send = window.fetch;
        window.sent = 0;
        window.fetch = async (url, how) => {
            if (!String(url).includes('/abn/frame') || ++window.sent > 1) return send(url, how);
            return new Response(JSON.stringify({error: 'Many cameras are on; trying again …'}));
        };
        window.seen = [];
        new MutationObserver(() => window.seen.push(document.querySelector('#abn-live [data-rate]')?.textContent))
            .observe(document, {childList: true, subtree: true});"""
    with visited(filmed, url, "?tab=live", before=refusal) as page:
        page.get_by_role("button", name="Start the camera").click()
        frames(page, 2)
        assert "Many cameras are on; trying again …" in page.evaluate("window.seen")
