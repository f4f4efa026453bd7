"""The endpoints for programs, which are MCP tools as well. README documents them.

MCP clients are shown the docstrings: a line an argument.
"""

import gradio as gr
import numpy as np

from ..comparison import Comparison
from ..editing import Editing
from ..image_processing_abn import VIEWS
from ..methods import listed, method_named
from ..overlay import overlay
from .events import IN_TURN, TOGETHER
from .faults import or_say_why
from .models import Models
from .picture_input import PictureInput
from .serving import explain as explain_picture

QUICK_METHODS = "attention, attention-cam, grad-cam"


class MapRows(gr.JSON):
    """`gr.JSON` that says what it takes: gr.JSON's own schema is not one that every MCP client reads."""

    is_template = True  # the front end's gr.JSON

    def get_config(self):
        return super().get_config(gr.JSON)

    def api_info(self):
        return {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}


def add_api(answering: Models) -> None:
    """Add the endpoints to the Blocks under way. New parameters are appended, with defaults."""

    def explain(picture: str, alpha: float = 1.0, view: str = "whole", model: str = ""):
        """Classify a picture and show what the network looked at.

        Args:
            picture: the picture's file.
            alpha: how strongly the attention's colours are added to the picture, 0 to 1.
            view: "whole" (the whole picture) or "model" (the centre crop the network was evaluated on).
            model: which one answers, a name of `/models` or a Hub id; empty for the default.

        Returns:
            The classes with their confidences; the picture with its attention laid over; the attention map, row by row.
        """
        check_picture(picture)
        check_alpha(alpha)
        if view not in VIEWS:
            raise gr.Error(f"view must be one of {', '.join(VIEWS)}; got {view}", print_exception=False)
        with or_say_why():
            explanation, _ = explain_picture(answering.of(model), picture, view)
        return explanation.probabilities, explanation.overlay(alpha), rows(explanation.attention_map)

    def edit(picture: str, attention_map: list | None = None, model: str = ""):
        """Ask again under an edited attention map: the perception branch alone, on the whole picture. A place's value
        from 0 to 1 is how much it is stressed; below 0, to -1, its features are taken away.

        Args:
            picture: the picture's file.
            attention_map: rows of numbers, in the shape of the model's own map; that map itself where left out.
            model: which one answers, a name of `/models` or a Hub id; empty for the default.

        Returns:
            The classes with their confidences under the model's own map; the same under the edited one; the own map.
        """
        check_picture(picture)
        with or_say_why():
            editing = Editing(answering.of(model).lasting, picture, "whole")
            own = editing.explanation.attention_map
            edited = editing(own if attention_map is None else attention_map)
        return editing.explanation.probabilities, edited.probabilities, rows(own)

    def compare(picture: str, methods: str = QUICK_METHODS, target: str = "", alpha: float = 1.0, model: str = ""):
        """Explain one picture by several methods, on the whole picture.

        Args:
            picture: the picture's file.
            methods: their names, with commas between; `/models` lists them.
            target: the class to explain; empty for the predicted one. Some methods are the same for every class.
            alpha: how strongly the colours are added to the picture, 0 to 1.
            model: which one answers, a name of `/models` or a Hub id; empty for the default.

        Returns:
            An overlay a method, captioned with its name; and a record a method, in the same order: its name, the class
            it explains (null where that makes no difference), milliseconds, the map on its own grid, row by row.
        """
        check_picture(picture)
        check_alpha(alpha)
        names = list(dict.fromkeys(name.strip() for name in methods.split(",") if name.strip()))
        with or_say_why():
            explainer = answering.of(model).lasting
            known = explainer.methods
            if methods == QUICK_METHODS:  # of a network that knows others, those it knows
                names = [name for name in names if name in known]
            asked = [method_named(name, known) for name in names]
            if not asked:
                raise ValueError(f"methods must name one or more of {', '.join(known)}")
            comparison = Comparison(explainer, picture, target or None)
        found = [comparison(method.name) for method in asked]
        overlays = [(overlay(comparison.view, one.heatmap, alpha), known[one.method].label) for one in found]
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

    def models(model: str = "") -> dict:
        """A model, its classes, the methods that explain it, and the names of the models that can be asked for.

        Args:
            model: which one answers, a name of `/models` or a Hub id; empty for the default.
        """
        with or_say_why():
            served = answering.of(model)
        return {
            "model": served.name,
            "description": served.description,
            "wanted": answering.serving.shown_name,
            "classes": served.explainer.labels,
            "methods": [
                {"name": method.name, "label": method.label, "uses_target": method.uses_target}
                for method in listed(served.explainer.methods)
            ],
            "models": answering.listed(),
        }

    def model() -> dict:
        """Which model answers by default, and why it is not the wanted one."""
        status = answering.serving.status()
        return {
            "model": status.model,
            "description": status.description,
            "state": status.state,
            "wanted": status.wanted,
            "reason": status.reason,
            "classes": answering.of("").explainer.labels,
        }

    hidden = {"visible": False}
    picture = PictureInput(label="picture", **hidden)
    alpha = gr.Number(1.0, label="alpha", **hidden)
    view = gr.Textbox("whole", label="view", **hidden)
    label, after = gr.Label(label="classes", **hidden), gr.Label(label="classes under the edited map", **hidden)
    image = gr.Image(label="overlay", format="png", **hidden)
    attention_map = gr.JSON(label="attention map", **hidden)
    edited_map = MapRows(None, label="attention_map", **hidden)
    which = gr.Textbox("", label="model", **hidden)
    methods = gr.Textbox(QUICK_METHODS, label="methods", **hidden)
    target = gr.Textbox("", label="target", **hidden)
    overlays = gr.Gallery(label="overlays", format="png", **hidden)
    records = gr.JSON(label="methods", **hidden)
    for function, inputs, outputs, queue in (
        (explain, [picture, alpha, view, which], [label, image, attention_map], TOGETHER),
        (edit, [picture, edited_map, which], [label, after, attention_map], IN_TURN),
        (compare, [picture, methods, target, alpha, which], [overlays, records], IN_TURN),
    ):
        gr.Button(visible=False).click(function, inputs, outputs, api_name=function.__name__, **queue)
    gr.api(model, api_name="model")
    gr.api(models, api_name="models")


def check_picture(picture: str | None) -> None:
    if picture is None:
        raise gr.Error("No picture was given. Pass one as the first argument.", print_exception=False)


def check_alpha(alpha: float) -> None:
    if not isinstance(alpha, (int, float)) or not 0 <= alpha <= 1:
        raise gr.Error(f"alpha must be a number from 0 to 1; got {alpha}", print_exception=False)


def rows(values: np.ndarray) -> list[list[float]]:
    return np.round(values.astype(float), 6).tolist()
