"""A brush on the attention map, on the model's own grid.

Painting happens in the browser; after each stroke the map goes to the server as `event.map`, rows of numbers. A place
holds 0 to 1, or -1 where its features are taken away.
"""

import json
from dataclasses import dataclass

import gradio as gr
import numpy as np

from ....data_urls import png_url
from ....overlay import jet
from ...files import beside
from ...locale import both

EDITOR_ID = "abn-editor"

JET = json.dumps(jet(np.linspace(0, 1, 256, dtype=np.float32)[None])[0].tolist(), separators=(",", ":"))

SCRIPT = f"const JET = {JET};\n" + beside(__file__, "script.js")


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
