"""Files in Gradio's cache, under their content's hash: many calls may write and read the same one at once.

Each is written aside and renamed, so that whoever opens it finds a whole one. Gradio's own components write in place.
"""

import hashlib
import os
import tempfile
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.components.base import Component

from ...data_urls import png


def kept(component: Component, content: bytes, name: str) -> str:
    """The path of a file of this content, which Gradio deletes on its schedule."""
    folder = Path(component.GRADIO_CACHE) / hashlib.sha256(content).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    number, aside = tempfile.mkstemp(dir=folder, prefix=".")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        os.replace(aside, folder / name)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    component.temp_files.add(str(folder / name))
    return str(folder / name)


class PngOutput(gr.Image):
    """`gr.Image` for pixels, (H, W, 3) uint8 RGB."""

    is_template = True  # the front end's gr.Image

    def __init__(self, **kwargs):
        super().__init__(format="png", **kwargs)

    def get_config(self):
        return super().get_config(gr.Image)

    def postprocess(self, value):
        return super().postprocess(kept(self, png(value), "image.png") if isinstance(value, np.ndarray) else value)


class PngGallery(gr.Gallery):
    """`gr.Gallery` for (pixels, caption)."""

    is_template = True  # the front end's gr.Gallery

    def __init__(self, **kwargs):
        super().__init__(format="png", **kwargs)

    def get_config(self):
        return super().get_config(gr.Gallery)

    def postprocess(self, value):
        return super().postprocess([(kept(self, png(pixels), "image.png"), caption) for pixels, caption in value or ()])
