"""The picture with its attention laid over, repainted in the browser: no request while the slider moves.

Two layers: the picture, and the JET colours of the map added to it (`mix-blend-mode: plus-lighter`) at the opacity
`--alpha`. What the browser shows equals `abn.overlay` within 1/255.
"""

from dataclasses import dataclass

import gradio as gr

from ....data_urls import png_url
from ....explanation import Explanation
from ...files import beside
from ...locale import both

VIEW_ID = "abn-overlay"


def set_alpha(view_id: str) -> str:
    """JavaScript that sets `--alpha` on a view's wrapper: a new value rewrites only what is inside."""
    return beside(__file__, "set_alpha.js").strip().replace("VIEW", view_id)


SET_ALPHA = set_alpha(VIEW_ID)
SET_ENLARGED = beside(__file__, "set_enlarged.js").strip()

EMPTY = f'<div class="abn-stage"><p class="abn-empty">{both("stage_empty")}</p></div>'


@dataclass(frozen=True)
class Shown:
    """An explanation and how it is coloured."""

    explanation: Explanation
    colourmap: str = "jet"
    stretch: bool = False


class OverlayView(gr.HTML):
    """Shows a `Shown`; an empty stage for None."""

    def __init__(self, **kwargs):
        super().__init__(elem_id=VIEW_ID, js_on_load=beside(__file__, "script.js"), **kwargs)

    def postprocess(self, value: Shown | None) -> str:
        return EMPTY if value is None else layers(value.explanation, value.colourmap, value.stretch)


def layers(explanation: Explanation, colourmap: str = "jet", stretch: bool = False) -> str:
    """The two layers as HTML. Nothing of a visitor's text goes in."""
    height, width = explanation.view.shape[:2]
    colours = explanation.colours(stretch, colourmap)
    size = f'width="{width}" height="{height}" decoding="sync"'
    return (
        '<div class="abn-stage"><div class="abn-layers" role="img" aria-labelledby="abn-seen-name">'
        f'<img class="abn-picture" alt="" {size} src="{png_url(explanation.view)}">'
        f'<img class="abn-jet" alt="" aria-hidden="true" {size} src="{png_url(colours)}">'
        f'</div><p class="abn-sr" id="abn-seen-name">{both("seen_picture")}</p></div>'
        f'<button type="button" class="abn-save" data-do="save">{both("save")}</button>'
    )
