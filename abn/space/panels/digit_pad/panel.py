"""A pad to draw a digit on, for networks that know digits: white on black, as MNIST's are."""

import gradio as gr

from ...files import beside
from ...locale import both

PAD_ID = "abn-pad"


class DigitPad(gr.HTML):
    """Tells its handler of `release` what is drawn, a PNG as a data URL, as `event.picture`."""

    def __init__(self, **kwargs):
        content = (
            f'<p>{both("pad_about")}</p><div class="abn-pad-stage">'
            f'<canvas width="280" height="280" tabindex="0" role="img" aria-labelledby="abn-pad-name"></canvas>'
            f'<span class="abn-sr" id="abn-pad-name">{both("pad_name")}</span>'
            f'<button type="button">{both("pad_clear")}</button></div>'
        )
        super().__init__(content, elem_id=PAD_ID, js_on_load=beside(__file__, "script.js"), **kwargs)
