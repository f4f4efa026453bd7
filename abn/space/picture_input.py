"""The upload box: hands the file over as it came, so that one place decides what is a picture."""

import base64
import hashlib
from pathlib import Path

import gradio as gr
from gradio.data_classes import ImageData

LONGEST = 28_000_000  # characters of a data URL: 20 MB of file


class PictureInput(gr.Image):
    """`gr.Image` that gives the handler the uploaded file's path, not opened, not converted.

    gr.Image itself opens the file before the handler runs, so that what is no picture ends in an unnamed error, and
    drops transparency and 16 bits on the way.
    """

    is_template = True  # the front end's gr.Image

    def __init__(self, **kwargs):
        super().__init__(type="filepath", image_mode=None, **kwargs)

    def get_config(self):
        return super().get_config(gr.Image)

    def preprocess(self, payload: ImageData | None) -> str | None:
        if payload is None:
            return None
        if payload.url and payload.url.startswith("data:"):
            return self.written(payload.url)
        return payload.path

    def written(self, url: str) -> str:
        """A data URL's bytes as a file, not decoded: `load_rgb` judges them."""
        if len(url) > LONGEST:
            raise gr.Error("The picture's data URL is longer than 28 MB.", print_exception=False)
        try:
            content = base64.b64decode(url.partition(",")[2], validate=True)
        except ValueError:
            raise gr.Error("The picture's data URL is not base64.", print_exception=False) from None
        folder = Path(self.GRADIO_CACHE) / hashlib.sha256(content).hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "picture").write_bytes(content)
        self.temp_files.add(str(folder / "picture"))  # what Gradio deletes on its schedule
        return str(folder / "picture")
