"""The picture with its attention laid over, repainted in the browser: no request while the slider moves.

Two layers: the picture, and the JET colours of the map added to it (`mix-blend-mode: plus-lighter`) at the opacity
`--alpha`. What the browser shows equals `abn.overlay` within 1/255.
"""

import base64

import cv2
import gradio as gr
import numpy as np

from ..explanation import Explanation
from .words import both

VIEW_ID = "abn-overlay"

CSS = f"""
#{VIEW_ID} {{ --alpha: 0.5; }}
#{VIEW_ID} .abn-stage {{ display: flex; justify-content: center; align-items: center; min-height: 300px;
  background: var(--background-fill-secondary); border: 1px solid var(--border-color-primary);
  border-radius: var(--radius-lg); padding: 12px; overflow: hidden; }}
#{VIEW_ID} .abn-layers {{ position: relative; isolation: isolate; max-width: 100%; line-height: 0; }}
#{VIEW_ID} .abn-layers img {{ display: block; max-width: 100%; height: auto; margin: 0; }}
#{VIEW_ID} .abn-layers .abn-jet {{ position: absolute; inset: 0; width: 100%; height: 100%;
  mix-blend-mode: plus-lighter; opacity: var(--alpha); }}
#{VIEW_ID}.abn-enlarged .abn-layers, #{VIEW_ID}.abn-enlarged .abn-layers img {{ width: 100%; }}
#{VIEW_ID} .abn-empty {{ opacity: .75; text-align: center; line-height: 1.5; }}
"""

# The variable sits on the wrapper: a new value rewrites only what is inside.
SET_ALPHA = f"(alpha) => {{ document.getElementById('{VIEW_ID}').style.setProperty('--alpha', alpha); }}"
SET_ENLARGED = f"(on) => {{ document.getElementById('{VIEW_ID}').classList.toggle('abn-enlarged', on); }}"

EMPTY = f'<div class="abn-stage"><p class="abn-empty">{both("stage_empty")}</p></div>'


class OverlayView(gr.HTML):
    """Shows an `Explanation`; an empty stage for None."""

    def __init__(self, **kwargs):
        super().__init__(elem_id=VIEW_ID, js_on_load=None, **kwargs)

    def postprocess(self, value: Explanation | None) -> str:
        return EMPTY if value is None else layers(value)


def layers(explanation: Explanation) -> str:
    """The two layers as HTML. Nothing of a visitor's text goes in."""
    height, width = explanation.view.shape[:2]
    size = f'width="{width}" height="{height}" decoding="sync"'
    return (
        '<div class="abn-stage"><div class="abn-layers" role="img" aria-labelledby="abn-seen-name">'
        f'<img class="abn-picture" alt="" {size} src="{data_url(explanation.view)}">'
        f'<img class="abn-jet" alt="" aria-hidden="true" {size} src="{data_url(explanation.colours())}">'
        f'</div><p class="abn-sr" id="abn-seen-name">{both("seen_picture")}</p></div>'
    )


def data_url(pixels: np.ndarray) -> str:
    """(H, W, 3) uint8 RGB as a PNG data URL."""
    _, png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 4])
    return "data:image/png;base64," + base64.b64encode(png).decode()
