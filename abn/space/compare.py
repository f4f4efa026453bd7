"""The Compare tab: several methods on the same picture."""

import html

import gradio as gr

from ..comparison import Comparison
from ..methods import METHODS, Method, listed
from .compare_view import SET_ALPHA, CompareView, Shown
from .events import QUIET
from .faults import or_say_why
from .models import Models
from .words import WORDS, both, label, language_of, say, with_names, worded

QUICK = ["attention", "attention-negative", "attention-both", "attention-cam", "grad-cam", "grad-cam++", "centre"]
QUICK += ["rollout", "last-layer", "gradient-rollout"]
SLOW = ("score-cam", "occlusion")  # many forwards: curves are measured first for the quick ones

CSS = """
#abn-compare-about p { margin: 0; }
#abn-compare-status p { margin: 0; font-size: .875rem; min-height: 1.4em; }
"""


class ComparePage:
    """The components of the tab and their handlers. Call inside `gr.Blocks`."""

    def __init__(self, models: Models):
        self.models = models
        gr.HTML(f"<p>{both('compare_about')}</p>", elem_id="abn-compare-about", js_on_load=None)
        self.methods = gr.CheckboxGroup(
            method_choices("en"),
            value=[name for name in QUICK if name in METHODS],
            label=label("compare_methods"),
            elem_id="abn-compare-methods",
        )
        with gr.Row(equal_height=True):
            self.target = gr.Dropdown(
                target_choices("en", models.of("").explainer.labels),
                value="",
                label=label("compare_target"),
                elem_id="abn-compare-target",
                min_width=220,
            )
            self.alpha = gr.Slider(
                0, 1, 0.5, step=0.01, label=label("alpha"), elem_id="abn-compare-alpha", min_width=220
            )
            self.curves = gr.Checkbox(True, label=label("compare_curves"), elem_id="abn-compare-curves", min_width=220)
        with gr.Row(equal_height=True):
            self.status = gr.HTML(elem_id="abn-compare-status", js_on_load=None)
            self.stop = gr.Button(label("compare_stop"), size="sm", visible=False, elem_id="abn-compare-stop", scale=0)
        self.view = CompareView()

    def wire(self, tab: gr.Tab, picture: gr.Image, choice: gr.State, model: gr.State) -> None:
        """Compare the page's picture when the tab is opened, and again when something is chosen. `model` changes when
        the page is loaded, too: from none."""
        runs = gr.on(
            [tab.select, self.methods.input, self.target.input, self.curves.input],
            self.compare,
            [picture, choice, self.methods, self.target, self.curves],
            [self.view, self.status, self.stop],
            trigger_mode="always_last",
            concurrency_id="compare",
            concurrency_limit=1,
            **QUIET,
        )
        self.stop.click(self.stopped, None, [self.status, self.stop], cancels=[runs], **QUIET)
        self.alpha.change(fn=None, inputs=self.alpha, js=SET_ALPHA, api_visibility="private")
        model.change(self.translate, choice, [self.methods, self.target], **QUIET)

    def translate(self, choice: str, request: gr.Request):
        """Choices in the visitor's language, and the classes of the model in use."""
        language = language_of(request)
        with or_say_why(request):
            explainer = self.models.of(choice).explainer
        known = explainer.methods
        return (
            gr.update(
                choices=method_choices(language, known), value=[m.name for m in listed(known) if m.name in QUICK]
            ),
            gr.update(choices=target_choices(language, explainer.labels), value=""),
        )

    def compare(
        self, picture: str | None, choice: str, methods: list[str], target: str, curves: bool, request: gr.Request
    ):
        """Yields the view as it grows: first the maps, quick ones first, then their curves."""
        if picture is None or not methods:
            yield None, "", gr.update(visible=False)
            return
        with or_say_why(request):
            explainer = self.models.of(choice).lasting
            comparison = Comparison(explainer, picture, target or None)
        known = list(explainer.methods)
        methods = sorted((m for m in methods if m in known), key=lambda name: (name in SLOW, known.index(name)))
        found, measured = {}, {}
        steps = [("map", name) for name in methods] + [("curves", name) for name in methods if curves]
        for place, (what, name) in enumerate(steps):
            words = say(f"compare_{what}_of", request, name=WORDS[f"method_{name}"][language_of(request)])
            if what == "curves" or name in SLOW:
                yield gr.skip(), f"<p>{words} ({place + 1}/{len(steps)})</p>", gr.update(visible=True)
            if what == "map":
                found[name] = comparison(name)
                if place < len(methods) - 1 and methods[place + 1] not in SLOW:
                    continue
            else:
                measured[name] = comparison.curves(found[name])
            shown = Shown(comparison.view, tuple((found[n], measured.get(n)) for n in methods if n in found))
            yield shown, gr.skip(), gr.skip()
        done = html.escape(say("compare_done", request, name=comparison.target))
        yield gr.skip(), f"<p>{done}</p>", gr.update(visible=False)

    def stopped(self, request: gr.Request):
        return f"<p>{say('compare_stopped', request)}</p>", gr.update(visible=False)


def method_choices(language: str, known: dict[str, Method] = METHODS) -> list[tuple[str, str]]:
    """Those with words of their own: not every head of a transformer."""
    names = [method.name for method in listed(known) if f"method_{method.name}" in WORDS]
    return worded("method", names, language)


def target_choices(language: str, labels: list[str]) -> list[tuple[str, str]]:
    return with_names("compare_predicted", "", labels, language)
