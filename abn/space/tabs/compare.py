"""The Compare tab: several methods on the same picture."""

import html
from contextlib import closing

import gradio as gr

from ...comparison import Comparison
from ...methods import METHODS, Method, in_menus
from ..faults import or_say_why
from ..locale import both, label, language_of, say, say_or, with_names
from ..server.events import QUIET
from ..server.long_work import CURVES, MAP, Done, Step, is_long, long_work
from ..server.models import Models
from ..widgets.compare.widget import SET_ALPHA, CompareView, Shown

CHOSEN = ["attention", "attention-negative", "attention-both", "attention-cam", "grad-cam", "grad-cam++", "centre"]
CHOSEN += ["rollout", "last-layer", "gradient-rollout"]  # of those that a network knows, before a visitor chooses


class ComparePage:
    """The components of the tab and their handlers. Call inside `gr.Blocks`."""

    def __init__(self, models: Models):
        self.models = models
        gr.HTML(f"<p>{both('compare_about')}</p>", elem_id="abn-compare-about", js_on_load=None)
        self.methods = gr.CheckboxGroup(
            method_choices("en"),
            value=[name for name in CHOSEN if name in METHODS],
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
                choices=method_choices(language, known), value=[m.name for m in in_menus(known) if m.name in CHOSEN]
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
            served = self.models.of(choice)
            comparison = Comparison(served.lasting, picture, target or None)
        known = in_menus(served.lasting.methods)  # curves are measured first for the quick ones
        methods = [m.name for m in sorted(known, key=lambda m: not m.quick) if m.name in methods]
        found, measured, notes = {}, {}, []
        steps = [(MAP, name) for name in methods] + [(CURVES, name) for name in methods if curves]
        long = [step for step in steps if is_long(comparison, step)]
        quick = steps[: len(steps) - len(long)]
        for place, (_, name) in enumerate(quick):
            found[name] = comparison(name)
            if place == len(quick) - 1:
                yield shown(comparison, methods, found, measured), gr.skip(), gr.skip()
        with or_say_why(request), closing(long_work(served, comparison, picture, long, found)) as works:
            for place, step in enumerate(long, len(quick) + 1):
                words = said(step, "of", comparison, request)
                yield gr.skip(), f"<p>{words} ({place}/{len(steps)})</p>", gr.update(visible=True)
                done = next(works)
                notes += noted(done, comparison, request)
                if done.result is not None:
                    (found if step[0] == MAP else measured)[step[1]] = done.result
                yield shown(comparison, methods, found, measured), gr.skip(), gr.skip()
        notes = [say("compare_done", request, name=comparison.target), *dict.fromkeys(notes)]
        yield gr.skip(), f"<p>{' · '.join(map(html.escape, notes))}</p>", gr.update(visible=False)

    def stopped(self, request: gr.Request):
        return f"<p>{say('compare_stopped', request)}</p>", gr.update(visible=False)


def shown(comparison: Comparison, methods: list[str], found: dict, measured: dict) -> Shown:
    """What there is so far."""
    return Shown(comparison.view, tuple((found[name], measured.get(name)) for name in methods if name in found))


def said(step: Step, key: str, comparison: Comparison, request: gr.Request | None) -> str:
    """A step in words of `compare_{map or curves}_{key}`."""
    what, name = step
    return say(f"compare_{what}_{key}", request, name=called(comparison.explainer.methods[name], request))


def noted(done: Done, comparison: Comparison, request: gr.Request | None) -> list[str]:
    """What is to be said of a step that no GPU was lent for."""
    notes = [say(f"unlent_{done.unlent}", request)] if done.unlent else []
    if done.result is None and done.seconds:
        words = {"what": said(done.step, "named", comparison, request), "seconds": f"{done.seconds:.0f}"}
        notes.append(say("compare_too_long", request, **words))
    elif (made := getattr(done.result, "passes", None)) is not None:
        words = {"what": said(done.step, "named", comparison, request), "made": str(made)}
        notes.append(say("compare_fewer", request, all=str(comparison.passes(done.step[1])), **words))
    return notes


def method_choices(language: str, known: dict[str, Method] = METHODS) -> list[tuple[str, str]]:
    """Not every head of a transformer."""
    return [(called(method, language), method.name) for method in in_menus(known)]


def called(method: Method, to: str | gr.Request | None) -> str:
    """A method's name in a language; its label where the catalogues have none."""
    return say_or(f"method_{method.name}", method.label, to)


def target_choices(language: str, labels: list[str]) -> list[tuple[str, str]]:
    return with_names("compare_predicted", "", labels, language)
