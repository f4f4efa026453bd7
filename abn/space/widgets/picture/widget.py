"""The upload box: hands the file over as it came, so that one place decides what is a picture."""

from urllib.parse import unquote, urlsplit

import gradio as gr
from gradio.data_classes import ImageData
from gradio.utils import is_in_or_equal
from gradio_client.utils import is_http_url_like

from ....data_urls import decoded, is_data_url
from ...faults import Fault
from ...server import visitors
from ...server.cached_files import kept
from ...server.fetching import fetch

LONGEST = 28_000_000  # characters of a data URL: 20 MB of file
SERVED = "/gradio_api/file="  # what stands before a file's path where this server gives it away
META = {"_type": "gradio.FileData"}


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

    def received(self, value) -> dict | None:
        """What a call sent, as Gradio wants it: an uploaded file's path, a URL or a data URL, as a bare string or as
        FileData's `path` or `url`, with `meta` or without.

        Raises:
            gr.Error: it is nothing of that, or a path to another file: without `meta`, Gradio would not look at it.
        """
        if isinstance(value, dict):
            found = next((value[key] for key in ("path", "url") if value.get(key)), None)
        else:
            found = value
        if found is None or found == "":
            return None
        if not isinstance(found, str):
            raise refused(
                "The picture must be an uploaded file's path or a data URL (data:image/png;base64,…); "
                f"got {type(found).__name__}."
            )
        found = found.strip()
        if is_data_url(found):
            return {"url": found, "meta": META}
        if is_http_url_like(found) and SERVED in found:
            found = unquote(urlsplit(found.partition(SERVED)[2]).path)
        if not is_http_url_like(found) and not self._is_uploaded(found):
            raise refused(
                "The picture's path is not an uploaded file's: upload it first, or send it as a data URL "
                "(data:image/png;base64,…)."
            )
        return {"path": found, "meta": META}

    def _is_uploaded(self, path: str) -> bool:
        try:
            return is_in_or_equal(path, self.GRADIO_CACHE)
        except (ValueError, OSError):  # no path at all, such as one with a null character
            return False

    async def async_move_resource_to_block_cache(self, url_or_file_path):
        """As Gradio's, but a URL is fetched by our own code; a failure is named."""
        if is_http_url_like(str(url_or_file_path)):
            return await self.fetched(url_or_file_path)
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    async def fetched(self, url: str) -> str:
        """A URL's content as a file, not decoded. Raises: gr.Error: it cannot be had; says why."""
        asking = visitors.ASKING.get()
        try:
            return kept(self, await fetch(url, visitors.current() if asking == visitors.NOBODY else asking), "picture")
        except Fault as fault:
            words = str(fault)
        raise refused(words)

    def preprocess(self, payload: ImageData | None) -> str | None:
        if payload is None:
            return None
        if payload.url and is_data_url(payload.url):
            return self.written(payload.url)
        if payload.path is not None and not self._is_uploaded(payload.path):
            raise refused("The picture's path is not an uploaded file's.")
        return payload.path

    def written(self, url: str) -> str:
        """A data URL's bytes as a file, not decoded: `load_rgb` judges them."""
        if len(url) > LONGEST:
            raise refused("The picture's data URL is longer than 28 MB.")
        try:
            return kept(self, decoded(url), "picture")
        except ValueError as error:
            raise refused(str(error)) from None


def refused(words: str) -> gr.Error:
    return gr.Error(words, print_exception=False)
