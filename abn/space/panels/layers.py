"""Which layer's and head's attention of a Vision Transformer is shown, or a rollout."""

import gradio as gr

from ...families.vit import attention_name
from ..locale import label, say, with_names, worded
from ..server.serving import Served
from ..view import View

ROLLOUTS = ("rollout", "gradient-rollout")


class Layers:
    """A row of two drop-downs, hidden until a Vision Transformer answers. Call inside `gr.Blocks`."""

    def __init__(self):
        with gr.Row(visible=False) as self.row:
            self.layer = gr.Dropdown(
                layer_choices("en", 1), value="rollout", label=label("vit_layer"), elem_id="abn-vit-layer"
            )
            self.head = gr.Dropdown(head_choices("en", 1), value="all", label=label("vit_head"), elem_id="abn-vit-head")


def method(view: View) -> str:
    """The method that shows what is chosen here."""
    if view.layer in ROLLOUTS:
        return view.layer
    return attention_name(view.layer, None if view.head == "all" else view.head)


def updates(served: Served, language: str):
    """Updates of the row, of the layers and of the heads for a model."""
    shown = served.explainer.abilities
    if not shown.layers:
        return gr.update(visible=False), gr.skip(), gr.skip()
    layers = layer_choices(language, shown.layers)
    heads = head_choices(language, shown.heads)
    return gr.update(visible=True), gr.update(choices=layers, value="rollout"), gr.update(choices=heads, value="all")


def layer_choices(language: str, count: int) -> list[tuple[str, str]]:
    numbers = [(say("vit_layer_number", language, number=n), str(n)) for n in range(1, count + 1)]
    return [*worded("method", ROLLOUTS, language), *numbers]


def head_choices(language: str, count: int) -> list[tuple[str, str]]:
    return with_names("vit_all_heads", "all", map(str, range(1, count + 1)), language)
