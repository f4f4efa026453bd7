"""The endpoints for programs. README documents them."""

import contextlib

import gradio as gr
import numpy as np

from ..comparison import Comparison
from ..editing import Editing
from ..image_processing_abn import VIEWS
from ..methods import METHODS, method_named
from ..overlay import overlay
from .events import ONE_QUEUE
from .picture_input import PictureInput, explain_or_say_why, or_say_why
from .serving import Serving

QUICK_METHODS = "attention, attention-cam, grad-cam"


def add_api(serving: Serving) -> None:
    """Add the endpoints to the Blocks under way. New parameters are appended, with defaults."""

    def explain(picture: str, alpha: float = 1.0, view: str = "whole"):
        """Classify a picture and show what the network looked at.

        Args:
            picture: the picture's file.
            alpha: how strongly the attention's colours are added to the picture, 0 to 1.
            view: "whole" (the whole picture) or "model" (the centre crop the network was evaluated on).

        Returns:
            The classes with their confidences; the picture with its attention laid over; the attention map, row by row.
        """
        check_picture(picture)
        check_alpha(alpha)
        if view not in VIEWS:
            raise gr.Error(f"view must be one of {', '.join(VIEWS)}; got {view}", print_exception=False)
        explanation, _, _ = explain_or_say_why(serving, picture, view)
        return explanation.probabilities, explanation.overlay(alpha), rows(explanation.attention_map)

    def edit(picture: str, attention_map: list | None = None):
        """Ask again under an edited attention map: the perception branch alone, on the whole picture.

        Args:
            picture: the picture's file.
            attention_map: rows of numbers, the shape of the model's own map as `/explain` gives it: 0 to 1 for how much
                a place is stressed; below 0, to -1, its features are taken away. The model's own map where left out.

        Returns:
            The classes with their confidences under the model's own map; the same under the edited one; the own map.
        """
        check_picture(picture)
        with or_say_why():
            editing = Editing(serving.current.lasting, picture, "whole")
        own = editing.explanation.attention_map
        with or_name_the_fault():
            edited = editing(own if attention_map is None else attention_map)
        return editing.explanation.probabilities, edited.probabilities, rows(own)

    def compare(picture: str, methods: str = QUICK_METHODS, target: str = "", alpha: float = 1.0):
        """Explain one picture by several methods, on the whole picture.

        Args:
            picture: the picture's file.
            methods: their names, with commas between; `/models` lists them.
            target: the class to explain; empty for the predicted one. Some methods are the same for every class.
            alpha: how strongly the colours are added to the picture, 0 to 1.

        Returns:
            An overlay a method, captioned with its name; and a record a method, in the same order: its name, the class
            it explains (null where that makes no difference), milliseconds, the map on its own grid, row by row.
        """
        check_picture(picture)
        check_alpha(alpha)
        names = [name.strip() for name in methods.split(",") if name.strip()]
        with or_name_the_fault():
            asked = [method_named(name).name for name in names]
            if not asked:
                raise ValueError(f"methods must name one or more of {', '.join(METHODS)}")
            serving.current.explainer.target_index(target or None)
        with or_say_why():
            comparison = Comparison(serving.current.lasting, picture, target or None)
        found = [comparison(name) for name in asked]
        overlays = [(overlay(comparison.view, one.heatmap, alpha), METHODS[one.method].label) for one in found]
        records = [
            {
                "method": one.method,
                "target": one.target,
                "milliseconds": round(one.milliseconds, 2),
                "map": rows(one.grid),
            }
            for one in found
        ]
        return overlays, records

    def models() -> dict:
        """The model that answers, its classes, and the methods that explain it."""
        status = serving.status()
        methods = [{"name": m.name, "label": m.label, "uses_target": m.uses_target} for m in METHODS.values()]
        return {
            "model": status.model,
            "description": status.description,
            "wanted": status.wanted,
            "classes": serving.current.explainer.labels,
            "methods": methods,
        }

    def model() -> dict:
        """Which model answers, and why it is not the wanted one."""
        status = serving.status()
        return {
            "model": status.model,
            "description": status.description,
            "state": status.state,
            "wanted": status.wanted,
            "reason": status.reason,
            "classes": serving.current.explainer.labels,
        }

    hidden = {"visible": False}
    picture = PictureInput(label="picture", **hidden)
    alpha = gr.Number(1.0, label="alpha", **hidden)
    view = gr.Textbox("whole", label="view", **hidden)
    label, after = gr.Label(label="classes", **hidden), gr.Label(label="classes under the edited map", **hidden)
    image = gr.Image(label="overlay", format="png", **hidden)
    attention_map = gr.JSON(label="attention map", **hidden)
    edited_map = gr.JSON(None, label="attention_map", **hidden)
    methods = gr.Textbox(QUICK_METHODS, label="methods", **hidden)
    target = gr.Textbox("", label="target", **hidden)
    overlays = gr.Gallery(label="overlays", format="png", **hidden)
    records = gr.JSON(label="methods", **hidden)
    for function, inputs, outputs in (
        (explain, [picture, alpha, view], [label, image, attention_map]),
        (edit, [picture, edited_map], [label, after, attention_map]),
        (compare, [picture, methods, target, alpha], [overlays, records]),
    ):
        gr.Button(visible=False).click(function, inputs, outputs, api_name=function.__name__, **ONE_QUEUE)
    gr.api(model, api_name="model")
    gr.api(models, api_name="models")


@contextlib.contextmanager
def or_name_the_fault():
    """A ValueError about an argument, as the caller reads it."""
    try:
        yield
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from None


def check_picture(picture: str | None) -> None:
    if picture is None:
        raise gr.Error("No picture was given. Pass one as the first argument.", print_exception=False)


def check_alpha(alpha: float) -> None:
    if not isinstance(alpha, (int, float)) or not 0 <= alpha <= 1:
        raise gr.Error(f"alpha must be a number from 0 to 1; got {alpha}", print_exception=False)


def rows(values: np.ndarray) -> list[list[float]]:
    return np.round(values.astype(float), 6).tolist()
