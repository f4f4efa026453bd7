"""The Live tab: the camera's frames, explained as they come.

A frame is one POST of a JPEG's bytes to a route of its own, and its answer is JSON: a question over Gradio's API would
be two requests, and one over its server functions a third more bytes. The browser sends a frame when the answer to the
last one is there, and never the ones between: what cannot be done in time is dropped, and nothing lags.
"""

import io
import threading
import time

from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ...model.picture_repair import is_baseline
from ...model.pictures import load_rgb
from ...packing import packed_map
from ..answer import classes_of
from ..faults import Fault, in_words
from ..locale import LANGUAGES, language_of, say
from ..server import visitors
from ..server.budgets import spending, waiting
from ..server.models import Models
from ..server.page_files import PREFIX
from ..server.serving import named

MOST_PIXELS = 4_000_000
SHOWN = 3  # classes
ROOM = 8  # frames that may wait
PATIENCE = 2.0  # seconds for a turn
ASKS = {}


class Frames:
    """Explains frames. Visitors take turns; who would wait too long, or behind too many, is told so at once: frames do
    not pass through the page's queue and must not hold its threads."""

    def __init__(self, models: Models):
        self.models = models
        self._turn, self._room = threading.Lock(), threading.Semaphore(ROOM)

    def __call__(self, content: bytes, model: str = "", language: str = "en") -> dict:
        """
        Args:
            content: a frame as a JPEG.
            model: the visitor's choice.

        Returns:
            classes, the most probable with their probabilities; map, see `packed_map`; milliseconds; model. Or error:
            what is wrong.
        """
        try:
            check_frame(content)
            served = self.models.held(model)
        except ValueError as error:
            return {"error": in_words(error, language)}
        if not self._room.acquire(blocking=False):
            return {"error": say("live_busy", language)}
        try:
            with waiting():
                mine = self._turn.acquire(timeout=PATIENCE)
            if not mine:
                return {"error": say("live_busy", language)}
            try:
                began = time.perf_counter()
                explanation = served.quick(read_frame(content), view="whole")
                took = 1000 * (time.perf_counter() - began)
            except ValueError as error:
                return {"error": in_words(error, language)}
            finally:
                self._turn.release()
        finally:
            self._room.release()
        return {
            "classes": classes_of(explanation.probabilities, SHOWN),
            "map": packed_map(explanation.grid, explanation.geometry),
            "milliseconds": round(took, 1),
            "model": named(served.name, language),
        }


def check_frame(content: bytes) -> None:
    """Raises: Fault: it is no JPEG, or one of several scans, of which each takes as long as the first."""
    if not content.startswith(b"\xff\xd8"):
        raise Fault("fault_frame")
    if not is_baseline(content):
        raise Fault("fault_frame_baseline")


def read_frame(content: bytes) -> Image.Image:
    """A JPEG as a picture.

    Raises:
        Fault: it is none, damaged, or too large.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise Fault("fault_frame_pixels", most=MOST_PIXELS)
            return load_rgb(opened)
    except (OSError, SyntaxError, Image.DecompressionBombError):  # damaged, or a lie
        raise Fault("fault_frame_damaged") from None


def frame_route(models: Models) -> Route:
    """POST a JPEG; `model` and `language` are the query's."""
    frames = Frames(models)

    def answered(content: bytes, model: str, language: str, visitor: str) -> dict:
        with spending(visitor):
            return frames(content, model, language)

    async def frame(request: Request) -> JSONResponse:
        query = request.query_params
        language = query.get("language", "")
        language = language if language in LANGUAGES else language_of(request)
        visitor = visitors.of_scope(request.scope)
        content = await request.body()
        return JSONResponse(await run_in_threadpool(answered, content, query.get("model", ""), language, visitor))

    return Route(f"{PREFIX}/frame", frame, methods=["POST"])
