"""The examples as a grid of buttons, a picture and its class each."""

import html
from functools import lru_cache

import gradio as gr
from PIL import Image, ImageOps

from ....data_urls import jpeg_url
from ...files import beside
from ...locale import both
from ...server.examples import Example

THUMBNAIL = (160, 120)

REPORT_CLICK = beside(__file__, "script.js")


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
