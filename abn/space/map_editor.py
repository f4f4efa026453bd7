"""A brush on the attention map, on the model's own grid.

Painting happens in the browser; after each stroke the map goes to the server as `event.map`, rows of numbers. A place
holds 0 to 1, or -1 where its features are taken away.
"""

import json
from dataclasses import dataclass

import gradio as gr
import numpy as np

from ..overlay import jet
from .data_urls import png_url
from .words import both

EDITOR_ID = "abn-editor"

CSS = f"""
#{EDITOR_ID} .abn-edit-stage {{ display: flex; justify-content: center; align-items: center; padding: 12px;
  min-height: 300px; background: var(--background-fill-secondary); border: 1px solid var(--border-color-primary);
  border-radius: var(--radius-lg); }}
#{EDITOR_ID} .abn-edit-layers {{ position: relative; isolation: isolate; width: 100%; line-height: 0; }}
#{EDITOR_ID} .abn-edit-layers img {{ display: block; width: 100%; height: auto; margin: 0; }}
#{EDITOR_ID} canvas {{ position: absolute; inset: 0; width: 100%; height: 100%; image-rendering: pixelated;
  touch-action: none; cursor: crosshair; }}
#{EDITOR_ID} canvas.abn-colours {{ mix-blend-mode: plus-lighter; opacity: .6; pointer-events: none; }}
#{EDITOR_ID} canvas.abn-marks:focus-visible {{ outline: 3px solid var(--color-accent); }}
#{EDITOR_ID} .abn-tools {{ display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 0 0 10px; }}
#{EDITOR_ID} .abn-tools fieldset {{ display: flex; gap: 0; border: 0; margin: 0; padding: 0; }}
#{EDITOR_ID} .abn-tools label, #{EDITOR_ID} .abn-tools button {{ font-size: .875rem; padding: 5px 12px; margin: 0;
  border: 1px solid var(--border-color-primary); background: var(--background-fill-primary);
  color: var(--body-text-color); cursor: pointer; border-radius: var(--radius-md); }}
#{EDITOR_ID} .abn-tools fieldset label {{ border-radius: 0; margin-left: -1px; }}
#{EDITOR_ID} .abn-tools fieldset label:first-of-type {{ border-radius: var(--radius-md) 0 0 var(--radius-md); }}
#{EDITOR_ID} .abn-tools fieldset label:last-of-type {{ border-radius: 0 var(--radius-md) var(--radius-md) 0; }}
#{EDITOR_ID} .abn-tools label:has(input:checked) {{ background: var(--button-primary-background-fill);
  color: var(--button-primary-text-color); }}
#{EDITOR_ID} .abn-tools :is(label, button) span {{ color: inherit; }}
#{EDITOR_ID} .abn-tools label:focus-within, #{EDITOR_ID} .abn-tools button:focus-visible {{
  outline: 2px solid var(--color-accent); outline-offset: 1px; z-index: 1; }}
#{EDITOR_ID} .abn-tools label input[type=radio] {{ position: absolute; opacity: 0; width: 1px; height: 1px; }}
#{EDITOR_ID} .abn-tools label.abn-size {{ display: flex; gap: 8px; align-items: center; border: 0; padding: 0;
  background: none; }}
#{EDITOR_ID} .abn-tools label.abn-size input {{ width: 90px; }}
#{EDITOR_ID} .abn-tools button:disabled {{ opacity: .45; cursor: default; }}
#{EDITOR_ID} .abn-empty {{ opacity: .75; text-align: center; line-height: 1.5; align-self: center; }}
"""

JET = json.dumps(jet(np.linspace(0, 1, 256, dtype=np.float32)[None])[0].tolist(), separators=(",", ":"))

# The inside is rewritten with each new picture, so listeners sit on the element and look things up.
SCRIPT = (
    "const JET = "
    + JET
    + """;
const find = (selector) => element.querySelector(selector);
let stage = null, map = [], own = [], past = [], cursor = [0, 0], stroke = null, keys = false;
const copy = (rows) => rows.map((row) => row.slice());
const value = () => ({ add: 1, erase: 0, hide: -1 })[find('input[name=abn-tool]:checked').value];
const reach = () => (Number(find('input[type=range]').value) - 1) / 2;

function current() {
  const found = find('.abn-edit-layers');
  if (found && found !== stage) {
    stage = found; own = JSON.parse(found.dataset.map); map = copy(own); past = [];
    cursor = [Math.floor(own.length / 2), Math.floor(own[0].length / 2)];
    draw();
  }
  return found;
}
function draw() {
  const colours = find('canvas.abn-colours'), marks = find('canvas.abn-marks');
  const rows = map.length, columns = map[0].length;
  colours.width = columns; colours.height = rows;
  const pixels = new ImageData(columns, rows);
  map.forEach((row, y) => row.forEach((v, x) => {
    const colour = JET[Math.floor(255 * Math.max(0, v))];
    pixels.data.set(v < 0 ? [0, 0, 0, 0] : [...colour, 255], 4 * (y * columns + x));
  }));
  colours.getContext('2d').putImageData(pixels, 0, 0);
  marks.width = stage.clientWidth; marks.height = stage.clientHeight;
  const context = marks.getContext('2d'), w = marks.width / columns, h = marks.height / rows;
  map.forEach((row, y) => row.forEach((v, x) => {
    if (v >= 0) return;
    context.fillStyle = 'rgba(20, 20, 24, ' + 0.92 * -v + ')';
    context.fillRect(x * w, y * h, w + 0.5, h + 0.5);
  }));
  if (keys && document.activeElement === marks) {
    const r = reach();
    context.strokeStyle = 'white'; context.lineWidth = 3;
    context.strokeRect((cursor[1] - r) * w, (cursor[0] - r) * h, (2 * r + 1) * w, (2 * r + 1) * h);
  }
  find('button[data-do=undo]').disabled = past.length === 0;
}
function paint(row, column) {
  const r = reach(), v = value();
  for (let y = 0; y < map.length; y++) for (let x = 0; x < map[0].length; x++)
    if (Math.hypot(y - row, x - column) <= r + 0.25) map[y][x] = v;
}
function tell() { draw(); trigger('release', { map: map }); }
function remember() { past.push(copy(map)); if (past.length > 100) past.shift(); }
function place(event) {
  const box = stage.getBoundingClientRect();
  return [(event.clientY - box.top) / box.height * map.length - 0.5,
          (event.clientX - box.left) / box.width * map[0].length - 0.5];
}
element.addEventListener('pointerdown', (event) => {
  if (!event.target.matches('canvas.abn-marks') || !current()) return;
  event.target.setPointerCapture(event.pointerId);
  keys = false;
  remember(); stroke = place(event).map(Math.round); paint(...stroke); draw();
});
element.addEventListener('pointermove', (event) => {
  if (!stroke || !current()) return;
  const to = place(event).map(Math.round), from = stroke;
  const [down, right] = [to[0] - from[0], to[1] - from[1]], steps = Math.max(1, Math.abs(down), Math.abs(right));
  for (let i = 1; i <= steps; i++) paint(from[0] + down * i / steps, from[1] + right * i / steps);
  stroke = to; draw();
});
const stop = () => { if (stroke) { stroke = null; tell(); } };
element.addEventListener('pointerup', stop);
element.addEventListener('pointercancel', stop);
element.addEventListener('keydown', (event) => {
  if (!event.target.matches('canvas.abn-marks') || !current()) return;
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  keys = true;
  if (step) {
    cursor = [Math.min(map.length - 1, Math.max(0, cursor[0] + step[0])),
              Math.min(map[0].length - 1, Math.max(0, cursor[1] + step[1]))];
    draw();
  } else if (event.key === ' ' || event.key === 'Enter') { remember(); paint(...cursor); tell(); } else return;
  event.preventDefault();
});
element.addEventListener('keyup', () => { keys = true; if (current()) draw(); });
element.addEventListener('focusout', () => { if (current()) draw(); });
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-do]');
  if (!button || !current()) return;
  if (button.dataset.do === 'undo') { if (past.length) map = past.pop(); } else {
    remember();
    if (button.dataset.do === 'invert') map = map.map((row) => row.map((v) => (v < 0 ? v : 1 - v)));
    if (button.dataset.do === 'clear') map = map.map((row) => row.map(() => 0));
    if (button.dataset.do === 'reset') map = copy(own);
  }
  tell();
});
new MutationObserver(() => current()).observe(element, { childList: true, subtree: true });
new ResizeObserver(() => { if (current()) draw(); }).observe(element);
current();
"""
)


@dataclass(frozen=True)
class Editable:
    """What can be painted on: (H, W, 3) uint8 RGB and the (h, w) map that lies on the whole of it."""

    view: np.ndarray
    attention_map: np.ndarray


class MapEditor(gr.HTML):
    """Shows an `Editable`; tells its handler of `release` the map after each stroke as `event.map`."""

    def __init__(self, **kwargs):
        super().__init__(elem_id=EDITOR_ID, js_on_load=SCRIPT, **kwargs)

    def postprocess(self, value: Editable | None) -> str:
        if value is None:
            return f'<div class="abn-edit-stage"><p class="abn-empty">{both("edit_empty")}</p></div>'
        height, width = value.view.shape[:2]
        rows = json.dumps([[round(float(v), 4) for v in row] for row in value.attention_map])
        return (
            f'{TOOLS}<div class="abn-edit-stage">'
            f'<div class="abn-edit-layers" data-map="{rows}" style="max-width: calc(62vh * {width / height:.4f})">'
            f'<img alt="" width="{width}" height="{height}" src="{png_url(value.view)}">'
            '<canvas class="abn-colours" aria-hidden="true"></canvas>'
            '<canvas class="abn-marks" tabindex="0" role="application" aria-labelledby="abn-canvas-name"></canvas>'
            f'</div></div><p class="abn-sr" id="abn-canvas-name">{both("edit_canvas")}</p>'
        )


def _tools() -> str:
    kinds = "".join(
        f'<label><input type="radio" name="abn-tool" value="{kind}"{" checked" if kind == "erase" else ""}>'
        f"{both(f'edit_{kind}')}</label>"
        for kind in ("add", "erase", "hide")
    )
    buttons = "".join(
        f'<button type="button" data-do="{what}">{both(f"edit_{what}")}</button>'
        for what in ("undo", "invert", "clear", "reset")
    )
    size = (
        f'<label class="abn-size">{both("edit_brush")}<input type="range" min="1" max="7" step="2" value="3"></label>'
    )
    return f'<div class="abn-tools"><fieldset>{kinds}</fieldset>{size}{buttons}</div>'


TOOLS = _tools()
