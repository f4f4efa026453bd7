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

from ..model.pictures import load_rgb
from .data_urls import png_url
from .faults import told
from .models import Models
from .overlay_view import set_alpha
from .serving import named
from .words import WORDS, both, label, language_of

VIEW_ID = "abn-live"
LONGEST = 2_000_000  # characters of a frame's data URL
MOST_PIXELS = 4_000_000
SHOWN = 3  # classes
ROOM = 8  # frames that may wait
PATIENCE = 2.0  # seconds for a turn

CSS = f"""
#{VIEW_ID} {{ --alpha: 0.5; }}
#{VIEW_ID} .abn-live-stage {{ position: relative; isolation: isolate; margin: 0 auto; max-width: 720px;
  aspect-ratio: 4 / 3; overflow: hidden; background: var(--background-fill-secondary);
  border: 1px solid var(--border-color-primary); border-radius: var(--radius-lg); }}
#{VIEW_ID} .abn-live-stage canvas, #{VIEW_ID} .abn-live-stage img {{ position: absolute; inset: 0; width: 100%;
  height: 100%; margin: 0; display: block; }}
#{VIEW_ID} .abn-live-stage img {{ mix-blend-mode: plus-lighter; opacity: var(--alpha); }}
#{VIEW_ID} .abn-live-stage video {{ display: none; }}
#{VIEW_ID} .abn-live-words {{ position: absolute; inset: 0; display: flex; align-items: center; padding: 24px;
  justify-content: center; text-align: center; margin: 0; }}
#{VIEW_ID} [hidden] {{ display: none !important; }}
#{VIEW_ID} ul {{ list-style: none; margin: 12px auto 0; padding: 0; max-width: 720px; min-height: 6em; }}
#{VIEW_ID} li {{ display: grid; grid-template-columns: minmax(8em, 12em) 1fr 3.2em; gap: 10px; align-items: center;
  margin: 0 0 6px; font-variant-numeric: tabular-nums; }}
#{VIEW_ID} li i {{ display: block; height: 10px; border-radius: 5px; background: var(--color-accent); }}
#{VIEW_ID} li:first-child strong {{ font-weight: 700; }}
#{VIEW_ID} li strong {{ font-weight: 400; }}
#{VIEW_ID} .abn-live-rate {{ max-width: 720px; margin: 0 auto; font-size: .85rem; opacity: .8; min-height: 1.5em;
  font-variant-numeric: tabular-nums; }}
#{VIEW_ID} button {{ margin: 12px auto 0; padding: 6px 16px; font-size: .9rem; cursor: pointer; display: block;
  border: 1px solid var(--border-color-primary); border-radius: var(--radius-md); color: var(--body-text-color);
  background: var(--background-fill-primary); }}
#abn-live-about p {{ margin: 0; }}
"""

SCRIPT = """
const find = (selector) => element.querySelector(selector);
const video = document.createElement('video');
video.muted = true; video.playsInline = true;
const sent = document.createElement('canvas');
let stream = null, running = 0, times = [];

function say(what) {
  for (const words of element.querySelectorAll('.abn-live-words')) words.hidden = words.dataset.say !== what;
  find('button').hidden = what !== 'refused' && what !== 'missing';
}
const visible = () => element.offsetParent !== null && !document.hidden;

async function start() {
  const mine = ++running;
  say('asking');
  try {
    const wanted = { video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: 'environment' } };
    if (!navigator.mediaDevices) throw new DOMException('', 'NotFoundError');
    const got = await navigator.mediaDevices.getUserMedia(wanted);
    if (mine !== running) { got.getTracks().forEach((track) => track.stop()); return; }
    stream = got; video.srcObject = got;
    await video.play();
  } catch (error) {
    if (mine === running) say(error.name === 'NotAllowedError' ? 'refused' : 'missing');
    return;
  }
  times = [];
  while (mine === running) await frame(mine);
}
function stop() {
  running++;
  if (stream) { stream.getTracks().forEach((track) => track.stop()); stream = null; video.srcObject = null; }
  times = []; say('stopped');
  find('.abn-live-rate').textContent = '';
}
async function frame(mine) {
  const scale = 256 / Math.min(video.videoWidth, video.videoHeight);
  sent.width = Math.round(video.videoWidth * scale); sent.height = Math.round(video.videoHeight * scale);
  sent.getContext('2d').drawImage(video, 0, 0, sent.width, sent.height);
  const model = document.querySelector('#abn-known [data-model]')?.dataset.model || '';
  let answer;
  try { answer = await server.explain_frame({ frame: sent.toDataURL('image/jpeg', 0.85), model }); }
  catch (error) { answer = { error: String(error.message || error) }; }
  if (mine !== running) return;
  if (answer.error) {
    find('.abn-live-rate').textContent = answer.error;
    await new Promise((wait) => setTimeout(wait, 1000));
    return;
  }
  const colours = new Image();
  colours.src = answer.colours;
  await colours.decode();
  if (mine !== running) return;
  const canvas = find('canvas');
  if (canvas.width !== sent.width || canvas.height !== sent.height) {
    canvas.width = sent.width; canvas.height = sent.height;
    find('.abn-live-stage').style.aspectRatio = sent.width + ' / ' + sent.height;
  }
  canvas.getContext('2d').drawImage(sent, 0, 0);
  find('img').src = colours.src;
  say('');
  find('ul').replaceChildren(...answer.classes.map(([name, share]) => {
    const row = document.createElement('li'), words = document.createElement('strong');
    const bar = document.createElement('i'), number = document.createElement('span');
    words.textContent = name; bar.style.width = 100 * share + '%'; number.textContent = (100 * share).toFixed(0) + ' %';
    const holder = document.createElement('span'); holder.append(bar);
    row.append(words, holder, number);
    return row;
  }));
  const now = performance.now();
  times = [...times.filter((time) => now - time < 2000), now];
  const rate = times.length > 1 ? 1000 * (times.length - 1) / (now - times[0]) : 0;
  const place = find('.abn-live-rate');
  place.dataset.frames = Number(place.dataset.frames || 0) + 1;
  place.textContent = rate.toFixed(0) + ' ' + find('.abn-live-unit').innerText.trim() + ' · '
    + answer.milliseconds.toFixed(0) + ' ms · ' + answer.model;
}
function follow() { if (visible() === Boolean(element.dataset.on)) return;
  if (visible()) { element.dataset.on = '1'; start(); } else { delete element.dataset.on; stop(); } }
find('button').addEventListener('click', start);
new ResizeObserver(follow).observe(element);
document.addEventListener('visibilitychange', follow);
follow();
"""


class LivePage:
    """The tab's components. Call inside `gr.Blocks`."""

    def __init__(self, models: Models):
        explained = Frames(models)

        def explain_frame(asked: dict, request: gr.Request) -> dict:
            return explained(asked, language_of(request))

        gr.HTML(f"<p>{both('live_about')}</p>", elem_id="abn-live-about", js_on_load=None)
        self.view = gr.HTML(SKELETON, elem_id=VIEW_ID, js_on_load=SCRIPT, server_functions=[explain_frame])
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
            picture = read_frame(asked.get("frame"))
            served = self.models.held(str(asked.get("model") or ""))
        except ValueError as error:
            return {"error": told(str(error), language)}
        if not self._room.acquire(blocking=False):
            return {"error": WORDS["live_busy"][language]}
        try:
            if not self._turn.acquire(timeout=PATIENCE):
                return {"error": WORDS["live_busy"][language]}
            try:
                began = time.perf_counter()
                explanation = served.lasting(picture, view="whole")
                took = 1000 * (time.perf_counter() - began)
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


def read_frame(url: str) -> Image.Image:
    """A JPEG data URL as a picture.

    Raises:
        ValueError: it is none, or too large.
    """
    if not isinstance(url, str) or not url.startswith("data:image/jpeg;base64,") or len(url) > LONGEST:
        raise ValueError(f"a frame must be a JPEG data URL of at most {LONGEST:,} characters")
    try:
        with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])), formats=("JPEG",)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise ValueError(f"a frame may have {MOST_PIXELS:,} pixels at most")
            return load_rgb(opened)
    except (binascii.Error, OSError, SyntaxError, Image.DecompressionBombError):  # damaged, or a lie
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
