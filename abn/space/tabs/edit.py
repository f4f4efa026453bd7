"""The Edit tab: paint on the attention map, and see what the perception branch makes of it."""

import html
from dataclasses import dataclass

import gradio as gr
from torch import Tensor

from ...editing import Edited, change, under
from ...explanation import Explanation
from ..faults import or_say_why
from ..locale import both, say
from ..server.events import IN_TURN, QUIET
from ..server.models import Models
from ..widgets.editor.widget import Editable, MapEditor

SHOWN = 5  # classes
REFUSALS = {"tasks": "edit_only_one", "layers": "edit_only_abn"}  # why a map cannot be edited -> what the page says
HELD = 3600  # seconds a visitor's features are kept

HINTS = (
    "<p>"
    + "<br>".join(f"<strong>{both(f'edit_{k}')}</strong>: {both(f'edit_{k}_hint')}" for k in ("add", "erase", "hide"))
    + "</p>"
)


@dataclass(frozen=True, eq=False)
class Held:
    """What a visitor edits: the picture's file, the model by its name (it may leave memory), what it saw, and its
    features, (1, C, h, w)."""

    picture: str
    model: str
    explanation: Explanation
    features: Tensor


class EditPage:
    """The components of the tab and their handlers. Call inside `gr.Blocks`."""

    def __init__(self, models: Models):
        self.models = models
        gr.HTML(f"<p>{both('edit_about')}</p>", elem_id="abn-edit-about", js_on_load=None)
        self.held = gr.State(None, time_to_live=HELD)
        with gr.Row(equal_height=False):
            with gr.Column(scale=7, min_width=320):
                self.editor = MapEditor()
            with gr.Column(scale=5, min_width=300):
                self.result = gr.HTML(elem_id="abn-edit-result", js_on_load=None)
                gr.HTML(HINTS, elem_id="abn-edit-hints", js_on_load=None)

    def wire(self, tab: gr.Tab, picture: gr.Image, choice: gr.State) -> None:
        """Take up the page's picture when the tab is opened."""
        tab.select(
            self.take_up, [picture, choice, self.held], [self.held, self.editor, self.result], **QUIET, **IN_TURN
        )
        self.editor.release(self.edit, self.held, self.result, trigger_mode="always_last", **QUIET, concurrency_limit=2)

    def take_up(self, picture: str | None, choice: str, held: Held | None, request: gr.Request):
        """The picture's map as the model gave it; what is on the tab already stays, with its edits."""
        if picture is None:
            return None, None, ""
        with or_say_why(request):
            served = self.models.of(choice)
            if held is not None and (held.picture, held.model) == (picture, served.name):
                return gr.skip(), gr.skip(), gr.skip()
            if why := REFUSALS.get(served.lasting.abilities.uneditable):
                return None, None, f"<p>{both(why)}</p>"
            explanation, features = served.lasting.explain_with_features(picture, "whole")
        held = Held(picture, served.name, explanation, features)
        return held, Editable(explanation.view, explanation.attention_map), unchanged(explanation)

    def edit(self, held: Held | None, event: gr.EventData, request: gr.Request) -> str:
        """A stroke is done: the perception branch under the new map."""
        if held is None:
            raise gr.Error(say("edit_gone", request), print_exception=False)
        with or_say_why(request):
            explainer = self.models.of(held.model).lasting
            edited = under(explainer, held.features, event.map, held.explanation.attention_map.shape)
        return result(held.explanation, edited)


def unchanged(explanation: Explanation) -> str:
    label = html.escape(explanation.label)
    sentence = f"<strong>{label}</strong> {explanation.probabilities[explanation.label]:.0%} "
    return f'<p class="abn-change">{sentence}<small>{both("edit_unchanged")}</small></p>' + bars(
        explanation.probabilities, explanation.probabilities
    )


def result(before: Explanation, after: Edited) -> str:
    """The change in words, and the classes' bars before and after."""
    label, was, now = change(before, after)
    sentence = f"<strong>{html.escape(label)}</strong> {was:.0%} → {now:.0%}"
    if after.label != label:
        sentence += f" · <strong>{html.escape(after.label)}</strong> {after.probabilities[after.label]:.0%}"
    return f'<p class="abn-change" aria-live="polite">{sentence}</p>' + bars(before.probabilities, after.probabilities)


def bars(before: dict[str, float], after: dict[str, float]) -> str:
    order = sorted(before, key=lambda label: -max(before[label], after[label]))[:SHOWN]
    rows = "".join(
        f"<li><strong>{html.escape(label)}</strong>"
        + _bar("edit_before", before[label], "abn-bar abn-was")
        + _bar("edit_after", after[label], "abn-bar")
        + "</li>"
        for label in order
    )
    return f'<ul class="abn-bars">{rows}</ul>'


def _bar(words: str, share: float, kind: str) -> str:
    return f'{both(words)}<span class="{kind}"><i style="width: {share:.1%}"></i></span><b>{share:.1%}</b>'
