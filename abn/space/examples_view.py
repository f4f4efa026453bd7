"""The examples as a grid of buttons, a picture and its class each."""

import html
from functools import lru_cache

import gradio as gr
from PIL import Image, ImageOps

from .data_urls import jpeg_url
from .gallery import Example
from .words import both

THUMBNAIL = (160, 120)

CSS = """
#abn-examples .abn-grid { display: grid; grid-template-columns: repeat(10, minmax(0, 1fr)); gap: 8px; }
#abn-examples button { display: flex; flex-direction: column; gap: 4px; padding: 4px; cursor: pointer;
  text-align: center;
  border: 1px solid var(--border-color-primary); border-radius: var(--radius-md);
  background: var(--background-fill-primary); color: var(--body-text-color); font-size: .78rem; font-weight: 400;
  line-height: 1.2; overflow-wrap: anywhere; }
#abn-examples button:hover, #abn-examples button:focus-visible { border-color: var(--color-accent); }
#abn-examples button:focus-visible { outline: 2px solid var(--color-accent); outline-offset: 1px; }
#abn-examples button, #abn-examples button:last-child { margin: 0; }
#abn-examples button span span { white-space: nowrap; }
#abn-examples img { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: cover; margin: 0;
  border-radius: var(--radius-sm); }
@media (max-width: 900px) {
  #abn-examples .abn-grid { grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 5px; }
  #abn-examples button { padding: 3px; font-size: .66rem; overflow-wrap: normal; }
}
"""

REPORT_CLICK = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-index]');
  if (button) trigger('click', { index: Number(button.dataset.index) });
});
"""


class ExamplesView(gr.HTML):
    """Shows `Example`s; a click tells its handler the place in the list as `event.index` (`gr.EventData`)."""

    def __init__(self, value: list[Example] | None = None, **kwargs):
        super().__init__(value, elem_id="abn-examples", js_on_load=REPORT_CLICK, **kwargs)

    def postprocess(self, value: list[Example] | None) -> str:
        buttons = "".join(
            f'<button type="button" data-index="{index}"><img alt="" width="{THUMBNAIL[0]}" height="{THUMBNAIL[1]}" '
            f'src="{thumbnail(example.path)}"><span>{caption(example)}</span></button>'
            for index, example in enumerate(value or [])
        )
        name = f'<p class="abn-sr" id="abn-examples-name">{both("example_pictures")}</p>'
        return f'{name}<div class="abn-grid" role="group" aria-labelledby="abn-examples-name">{buttons}</div>'


def caption(example: Example) -> str:
    return html.escape(example.label) + (f" {both('drawn')}" if example.drawn else "")


@lru_cache(maxsize=256)
def thumbnail(path: str) -> str:
    """A picture file as a small JPEG data URL."""
    with Image.open(path) as picture:
        small = ImageOps.fit(picture.convert("RGB"), THUMBNAIL, Image.Resampling.LANCZOS)
    return jpeg_url(small, quality=82)
