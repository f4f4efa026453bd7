"""The endpoints for programs. README documents them."""

import gradio as gr
import numpy as np

from ..image_processing_abn import VIEWS
from .explain import ONE_QUEUE
from .picture_input import PictureInput, explain_or_say_why
from .serving import Serving


def add_api(serving: Serving) -> None:
    """Add `/explain` and `/model` to the Blocks under way. New parameters are appended, with defaults."""

    def explain(picture: str, alpha: float = 1.0, view: str = "whole"):
        """Classify a picture and show what the network looked at.

        Args:
            picture: the picture's file.
            alpha: how strongly the attention's colours are added to the picture, 0 to 1.
            view: "whole" (the whole picture) or "model" (the centre crop the network was evaluated on).

        Returns:
            The classes with their confidences; the picture with its attention laid over; the attention map, row by row.
        """
        if picture is None:
            raise gr.Error("No picture was given. Pass one as the first argument.", print_exception=False)
        if not isinstance(alpha, (int, float)) or not 0 <= alpha <= 1:
            raise gr.Error(f"alpha must be a number from 0 to 1; got {alpha}", print_exception=False)
        if view not in VIEWS:
            raise gr.Error(f"view must be one of {', '.join(VIEWS)}; got {view}", print_exception=False)
        explanation, _, _ = explain_or_say_why(serving, picture, view)
        attention_map = np.round(explanation.attention_map.astype(float), 6).tolist()
        return explanation.probabilities, explanation.overlay(alpha), attention_map

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

    picture = PictureInput(label="picture", visible=False)
    alpha = gr.Number(1.0, label="alpha", visible=False)
    view = gr.Textbox("whole", label="view", visible=False)
    label = gr.Label(label="classes", visible=False)
    overlay = gr.Image(label="overlay", format="png", visible=False)
    attention_map = gr.JSON(label="attention map", visible=False)
    gr.Button(visible=False).click(
        explain, [picture, alpha, view], [label, overlay, attention_map], api_name="explain", **ONE_QUEUE
    )
    gr.api(model, api_name="model")
