"""A pad to draw a digit on, for networks that know digits: white on black, as MNIST's are."""

import gradio as gr

from .words import both

PAD_ID = "abn-pad"

CSS = f"""
#{PAD_ID} .abn-pad-stage {{ display: flex; gap: 12px; align-items: flex-start; flex-wrap: wrap; }}
#{PAD_ID} canvas {{ width: 224px; height: 224px; background: black; cursor: crosshair; touch-action: none;
  border: 1px solid var(--border-color-primary); border-radius: var(--radius-md); }}
#{PAD_ID} canvas:focus-visible {{ outline: 3px solid var(--color-accent); }}
#{PAD_ID} button {{ padding: 4px 12px; font-size: .8rem; cursor: pointer; color: var(--body-text-color);
  border: 1px solid var(--border-color-primary); border-radius: var(--radius-md);
  background: var(--background-fill-primary); }}
#{PAD_ID} p {{ margin: 0 0 8px; font-size: .9rem; }}
"""

# 280 x 280 pixels, ten times a digit's; a stroke told after it is done.
SCRIPT = """
const canvas = element.querySelector('canvas'), context = canvas.getContext('2d');
let last = null;
function clear() { context.fillStyle = 'black'; context.fillRect(0, 0, canvas.width, canvas.height); }
function place(event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}
function stroke(to) {
  context.strokeStyle = 'white'; context.lineWidth = 24; context.lineCap = context.lineJoin = 'round';
  context.beginPath(); context.moveTo(...last); context.lineTo(...to); context.stroke();
  last = to;
}
canvas.addEventListener('pointerdown', (event) => {
  canvas.setPointerCapture(event.pointerId); last = place(event); stroke(last);
});
canvas.addEventListener('pointermove', (event) => { if (last) stroke(place(event)); });
const stop = () => { if (last) { last = null; trigger('release', { picture: canvas.toDataURL('image/png') }); } };
canvas.addEventListener('pointerup', stop);
canvas.addEventListener('pointercancel', stop);
element.querySelector('button').addEventListener('click', clear);
clear();
"""


class DigitPad(gr.HTML):
    """Tells its handler of `release` what is drawn, a PNG as a data URL, as `event.picture`."""

    def __init__(self, **kwargs):
        content = (
            f'<p>{both("pad_about")}</p><div class="abn-pad-stage">'
            f'<canvas width="280" height="280" tabindex="0" role="img" aria-labelledby="abn-pad-name"></canvas>'
            f'<span class="abn-sr" id="abn-pad-name">{both("pad_name")}</span>'
            f'<button type="button">{both("pad_clear")}</button></div>'
        )
        super().__init__(content, elem_id=PAD_ID, js_on_load=SCRIPT, **kwargs)
