"""The picture with its attention laid over, repainted in the browser: no request while the slider moves.

Two layers: the picture, and the JET colours of the map added to it (`mix-blend-mode: plus-lighter`) at the opacity
`--alpha`. What the browser shows equals `abn.overlay` within 1/255.
"""

from dataclasses import dataclass

import gradio as gr

from ..explanation import Explanation
from .data_urls import png_url
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
/* As high as with the opening picture: nothing jumps when it comes. */
#{VIEW_ID} {{ min-height: 424px; }}
#{VIEW_ID}:has(.abn-empty) .abn-stage {{ min-height: 386px; }}
@media (max-width: 480px) {{
  #{VIEW_ID} {{ min-height: 340px; }}
  #{VIEW_ID}:has(.abn-empty) .abn-stage {{ min-height: 300px; }}
}}
#{VIEW_ID} .abn-empty {{ opacity: .75; text-align: center; line-height: 1.5; }}
#{VIEW_ID} button.abn-save {{ margin: 8px 0 0; padding: 4px 12px; font-size: .8rem; font-weight: 400; cursor: pointer;
  border: 1px solid var(--border-color-primary); border-radius: var(--radius-md); color: var(--body-text-color);
  background: var(--background-fill-primary); }}
#{VIEW_ID} button.abn-save:focus-visible {{ outline: 2px solid var(--color-accent); outline-offset: 1px; }}
"""


def set_alpha(view_id: str) -> str:
    """JavaScript that sets `--alpha` on a view's wrapper: a new value rewrites only what is inside."""
    return f"(alpha) => {{ document.getElementById('{view_id}').style.setProperty('--alpha', alpha); }}"


SET_ALPHA = set_alpha(VIEW_ID)
SET_ENLARGED = f"(on) => {{ document.getElementById('{VIEW_ID}').classList.toggle('abn-enlarged', on); }}"

EMPTY = f'<div class="abn-stage"><p class="abn-empty">{both("stage_empty")}</p></div>'


# What is shown, at the picture's own size: the same sum, made by the browser.
SAVE = """
element.addEventListener('click', (event) => {
  if (!event.target.closest('button[data-do=save]')) return;
  const [picture, colours] = ['.abn-picture', '.abn-jet'].map((name) => element.querySelector(name));
  const canvas = document.createElement('canvas');
  canvas.width = picture.naturalWidth; canvas.height = picture.naturalHeight;
  const context = canvas.getContext('2d');
  context.drawImage(picture, 0, 0);
  context.globalCompositeOperation = 'lighter';
  context.globalAlpha = Number(getComputedStyle(colours).opacity);
  context.drawImage(colours, 0, 0);
  canvas.toBlob((blob) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob); link.download = 'attention.png'; link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
});
"""


@dataclass(frozen=True)
class Shown:
    """An explanation and how it is coloured."""

    explanation: Explanation
    colourmap: str = "jet"
    stretch: bool = False


class OverlayView(gr.HTML):
    """Shows a `Shown`; an empty stage for None."""

    def __init__(self, **kwargs):
        super().__init__(elem_id=VIEW_ID, js_on_load=SAVE, **kwargs)

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
