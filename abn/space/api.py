"""The endpoints for programs, which are MCP tools as well (`tools`). docs/api.md documents them.

MCP clients are shown the docstrings: a line an argument.
"""

import gradio as gr
import numpy as np

from ..overlay import overlay
from .answers import QUICK_METHODS, Answers, first
from .server.cached_files import PngGallery, PngOutput
from .server.events import IN_TURN, TOGETHER
from .server.limits import ANSWERED_CLASSES
from .server.models import Models
from .widgets.picture.widget import PictureInput


class MapRows(gr.JSON):
    """`gr.JSON` that says what it takes: gr.JSON's own schema is not one that every MCP client reads."""

    is_template = True  # the front end's gr.JSON

    def get_config(self):
        return super().get_config(gr.JSON)

    def api_info(self):
        return {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}


def add_api(answering: Models) -> PictureInput:
    """Add the endpoints to the Blocks under way; gives the component that takes their pictures. New parameters are
    appended, with defaults."""
    answers = Answers(answering)

    def explain(
        picture: str, alpha: float = 1.0, view: str = "whole", model: str = "", classes: int = ANSWERED_CLASSES
    ):
        """Classify a picture and show what the network looked at.

        Args:
            picture: the picture's file.
            alpha: how strongly the attention's colours are added to the picture, 0 to 1.
            view: "whole" (the whole picture) or "model" (the centre crop the network was evaluated on).
            model: which one answers, a name of `/models` or a Hub id; empty for the default.
            classes: how many are answered, the most probable first.

        Returns:
            The classes with their confidences; the picture with its attention laid over; the attention map, row by row.
        """
        explanation = answers.explained(picture, alpha, view, model)
        return first(explanation.probabilities, classes), explanation.overlay(alpha), rows(explanation.attention_map)

    def edit(picture: str, attention_map: list | None = None, model: str = "", classes: int = ANSWERED_CLASSES):
        """Ask again under an edited attention map: the perception branch alone, on the whole picture. A place's value
        from 0 to 1 is how much it is stressed; below 0, to -1, its features are taken away.

        Args:
            picture: the picture's file.
            attention_map: rows of numbers, in the shape of the model's own map; that map itself where left out.
            model: which one answers, a name of `/models` or a Hub id; empty for the default.
            classes: how many are answered, the most probable first.

        Returns:
            The classes with their confidences under the model's own map; the same under the edited one; the own map.
        """
        editing, edited = answers.edited(picture, attention_map, model)
        own = editing.explanation
        return first(own.probabilities, classes), first(edited.probabilities, classes), rows(own.attention_map)

    def compare(picture: str, methods: str = QUICK_METHODS, target: str = "", alpha: float = 1.0, model: str = ""):
        """Explain one picture by several methods, on the whole picture.

        Args:
            picture: the picture's file.
            methods: their names, with commas between; `/models` lists them.
            target: the class to explain, its name or index; empty for the predicted one. Some methods are the same for
                every class.
            alpha: how strongly the colours are added to the picture, 0 to 1.
            model: which one answers, a name of `/models` or a Hub id; empty for the default.

        Returns:
            An overlay a method, captioned with its name; and a record a method, in the same order: its name, the class
            it explains (null where that makes no difference), milliseconds, the map on its own grid, row by row; masks,
            where it made do with fewer than its own number, for want of a GPU.
        """
        several = answers.compared(picture, methods, target, alpha, model)
        view, found = several.comparison.view, several.found
        overlays = [
            (overlay(view, one.heatmap, alpha), label) for one, label in zip(found, several.labels, strict=True)
        ]
        return overlays, [{**record_of(one), "map": rows(one.grid)} for one in found]

    def models(model: str = "", classes: int = ANSWERED_CLASSES) -> dict:
        """A model, its classes, the methods that explain it, and the names of the models that can be asked for.

        Args:
            model: which one answers, a name of `/models` or a Hub id; empty for the default.
            classes: how many of its classes are named; `count` says how many there are.
        """
        return answers.described(model, classes)

    def model() -> dict:
        """Which model answers by default, and why it is not the wanted one."""
        return answers.status()

    hidden = {"visible": False}
    picture = PictureInput(label="picture", **hidden)
    alpha = gr.Number(1.0, label="alpha", **hidden)
    view = gr.Textbox("whole", label="view", **hidden)
    label, after = gr.Label(label="classes", **hidden), gr.Label(label="classes under the edited map", **hidden)
    image = PngOutput(label="overlay", **hidden)
    attention_map = gr.JSON(label="attention map", **hidden)
    edited_map = MapRows(None, label="attention_map", **hidden)
    which = gr.Textbox("", label="model", **hidden)
    count = gr.Number(ANSWERED_CLASSES, label="classes", precision=0, **hidden)
    methods = gr.Textbox(QUICK_METHODS, label="methods", **hidden)
    target = gr.Textbox("", label="target", **hidden)
    overlays = PngGallery(label="overlays", **hidden)
    records = gr.JSON(label="methods", **hidden)
    for function, inputs, outputs, queue in (
        (explain, [picture, alpha, view, which, count], [label, image, attention_map], TOGETHER),
        (edit, [picture, edited_map, which, count], [label, after, attention_map], IN_TURN),
        (compare, [picture, methods, target, alpha, which], [overlays, records], IN_TURN),
    ):
        gr.Button(visible=False).click(function, inputs, outputs, api_name=function.__name__, **queue)
    gr.api(model, api_name="model")
    gr.api(models, api_name="models")
    return picture


def record_of(compared) -> dict:
    """A method's name, the class it explains, milliseconds; masks, where it made do with fewer than its own number."""
    record = {
        "method": compared.method,
        "target": compared.target,
        "milliseconds": round(compared.milliseconds, 2),
    }
    return record if compared.passes is None else {**record, "masks": compared.passes}


def rows(values: np.ndarray) -> list[list[float]]:
    return np.round(values.astype(float), 6).tolist()
