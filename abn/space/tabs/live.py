"""The Live tab: the webcam explained as it comes, one frame at a time.

The browser sends a frame when the answer to the last one is there, and never the ones between: what cannot be done in
time is dropped, and nothing lags. Picture and map are drawn together, so that a map lies on the frame it belongs to.
"""

import base64
import binascii
import io
import threading
import time

import gradio as gr
from PIL import Image

from ...data_urls import png_url
from ...model.picture_repair import is_baseline
from ...model.pictures import load_rgb
from ..faults import told
from ..files import beside
from ..locale import both, label, language_of, say
from ..server.budgets import spending
from ..server.models import Models
from ..server.serving import named
from ..widgets.overlay.widget import set_alpha

VIEW_ID = "abn-live"
LONGEST = 2_000_000  # characters of a frame's data URL
MOST_PIXELS = 4_000_000
SHOWN = 3  # classes
ROOM = 8  # frames that may wait
PATIENCE = 2.0  # seconds for a turn


class LivePage:
    """The tab's components. Call inside `gr.Blocks`."""

    def __init__(self, models: Models):
        explained = Frames(models)

        def explain_frame(asked: dict, request: gr.Request) -> dict:
            return explained(asked, language_of(request))

        gr.HTML(f"<p>{both('live_about')}</p>", elem_id="abn-live-about", js_on_load=None)
        self.view = gr.HTML(
            SKELETON, elem_id=VIEW_ID, js_on_load=beside(__file__, "live.js"), server_functions=[explain_frame]
        )
        self.alpha = gr.Slider(0, 1, 0.5, step=0.01, label=label("alpha"), elem_id="abn-live-alpha")

    def wire(self) -> None:
        self.alpha.change(fn=None, inputs=self.alpha, js=set_alpha(VIEW_ID), api_visibility="private")


class Frames:
    """Explains frames. Visitors take turns; who would wait too long, or behind too many, is told so at once: frames do
    not pass through the page's queue and must not hold its threads."""

    def __init__(self, models: Models):
        self.models = models
        self._turn, self._room = threading.Lock(), threading.Semaphore(ROOM)

    def __call__(self, asked: dict, language: str = "en") -> dict:
        """
        Args:
            asked: frame, a JPEG as a data URL; model, the visitor's choice.

        Returns:
            classes, the most probable with their probabilities; colours, the map's as a PNG data URL of the frame's
            size; milliseconds; model. Or error: what is wrong.
        """
        try:
            content = frame_bytes(asked.get("frame") if isinstance(asked, dict) else None)
            served = self.models.held(str(asked.get("model") or ""))
        except ValueError as error:
            return {"error": told(error, language)}
        if not self._room.acquire(blocking=False):
            return {"error": say("live_busy", language)}
        try:
            if not self._turn.acquire(timeout=PATIENCE):
                return {"error": say("live_busy", language)}
            try:
                began = time.perf_counter()
                with spending():
                    explanation = served.lasting(read_frame(content), view="whole")
                took = 1000 * (time.perf_counter() - began)
            except ValueError as error:
                return {"error": told(error, language)}
            finally:
                self._turn.release()
        finally:
            self._room.release()
        return {
            "classes": list(explanation.probabilities.items())[:SHOWN],
            "colours": png_url(explanation.colours()),
            "milliseconds": took,
            "model": named(served.name, language),
        }


def frame_bytes(url: str) -> bytes:
    """A JPEG data URL's bytes, not decoded.

    Raises:
        ValueError: it is none, too large, or of several scans, of which each takes as long as the first.
    """
    if not isinstance(url, str) or not url.startswith("data:image/jpeg;base64,") or len(url) > LONGEST:
        raise ValueError(f"a frame must be a JPEG data URL of at most {LONGEST:,} characters")
    try:
        content = base64.b64decode(url.partition(",")[2])
    except binascii.Error:
        raise ValueError("the frame is damaged") from None
    if content[:2] == b"\xff\xd8" and not is_baseline(content):
        raise ValueError("a frame must be a baseline JPEG")
    return content


def read_frame(content: bytes) -> Image.Image:
    """A JPEG as a picture.

    Raises:
        ValueError: it is none, or too large.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise ValueError(f"a frame may have {MOST_PIXELS:,} pixels at most")
            return load_rgb(opened)
    except (OSError, SyntaxError, Image.DecompressionBombError):  # damaged, or a lie
        raise ValueError("the frame is damaged") from None


def _skeleton() -> str:
    words = "".join(
        f'<p class="abn-live-words" data-say="{what}"{hidden}>{both(f"live_{what}")}</p>'
        for what, hidden in (("stopped", ""), ("asking", " hidden"), ("refused", " hidden"), ("missing", " hidden"))
    )
    return (
        f'<div class="abn-live-stage"><canvas></canvas><img alt="">{words}</div>'
        f'<button type="button" hidden>{both("live_again")}</button>'
        f'<ul></ul><p class="abn-live-rate"></p><span class="abn-sr abn-live-unit">{both("live_rate")}</span>'
    )


SKELETON = _skeleton()
