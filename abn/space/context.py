"""What a tab's answers need: the models, the example pictures, the kept pictures, and the visitor's words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import isgeneratorfunction
from pathlib import Path

import gradio as gr

from ..model.errors import PictureError
from ..model.image_processing_abn import VIEWS
from .faults import Fault, in_words
from .locale import LANGUAGES, language_of, say
from .server.examples import Example, Gallery
from .server.explained import Explained
from .server.in_browser import InBrowser
from .server.lending import Left
from .server.models import Models
from .server.shares import Shares
from .server.uploads import uploaded

FAULTS = (ValueError, TypeError, OSError, Left)  # what a visitor can be the cause of


@dataclass(frozen=True)
class Context:
    models: Models
    gallery: Gallery
    shares: Shares
    corrections: Path | None = None  # where they are written to
    in_browser: InBrowser | None = None
    explained: Explained = field(default_factory=Explained)


@dataclass(frozen=True)
class Asked:
    """A request of the page. values: what it holds, any JSON; language: the visitor's."""

    values: Mapping
    language: str
    context: Context

    def text(self, name: str, default: str = "") -> str:
        """A short text; the default where it is missing or something else."""
        value = self.values.get(name)
        return value if isinstance(value, str) and len(value) <= 500 else default

    @property
    def served(self):
        """The model that this visitor chose."""
        return self.context.models.of(self.text("model"))

    @property
    def view(self) -> str:
        return self.text("view") if self.text("view") in VIEWS else "whole"

    @property
    def source(self) -> Mapping:
        """Which picture is asked about: {"example": id}, {"share": id} or {"upload": path}."""
        source = self.values.get("picture")
        return source if isinstance(source, Mapping) else {}

    @property
    def example(self) -> Example | None:
        """The example that is asked about; None where it is another picture."""
        name = self.source.get("example")
        return self.context.gallery.by_id(name) if isinstance(name, str) else None

    @property
    def picture(self) -> str:
        """The picture's file: an example by its id, a kept picture by its, or an uploaded file.

        Raises:
            Fault: there is no such picture, or no longer.
        """
        source = self.source
        found: Path | str | None = None
        if isinstance(source.get("example"), str):
            found = self.example and self.example.path
        elif isinstance(name := source.get("share"), str):
            found = self.context.shares.find(name)
        elif isinstance(name := source.get("upload"), str):
            found = uploaded(name)
        if found is None or not Path(found).is_file():
            raise Fault("picture_gone")
        return str(found)


def answering(function: Callable, context: Context) -> Callable:
    """An ask of the page as Gradio calls it: what goes wrong is part of the answer, `error` in the visitor's language,
    so that no answer is ever missing."""

    def asked(values, request: gr.Request | None) -> Asked:
        values = values if isinstance(values, Mapping) else {}
        language = values.get("language")
        return Asked(values, language if language in LANGUAGES else language_of(request), context)

    if isgeneratorfunction(function):

        def several(values: dict, request: gr.Request) -> dict:
            one = asked(values, request)
            try:
                yield from function(one)
            except FAULTS as error:
                yield failed(error, one.language)

        return several

    def single(values: dict, request: gr.Request) -> dict:
        one = asked(values, request)
        try:
            return function(one)
        except FAULTS as error:
            return failed(error, one.language)

    return single


def failed(error: Exception, language: str) -> dict:
    """An error as an answer. gone: the picture is no longer here; the page has it and sends it again."""
    if isinstance(error, Left):
        return {"error": say("left", language)}
    if isinstance(error, FileNotFoundError) or (isinstance(error, Fault) and error.key == "picture_gone"):
        return {"error": say("picture_gone", language), "gone": True}
    if isinstance(error, OSError):
        print(f"An answer failed: {type(error).__name__}: {error}", flush=True)
        return {"error": say("failed", language)}
    hint = say("allowed", language) if isinstance(error, PictureError) else ""
    return {"error": in_words(error, language), "hint": hint, "picture": isinstance(error, PictureError)}
