"""The Explain page: a picture in, and what the network sees in it."""

import html
import time

import gradio as gr

from ... import imagenette
from ...explanation import Explanation
from ...overlay import COLOURMAPS
from ..faults import or_say_why
from ..locale import both, label, language_of, with_names, worded
from ..panels import layers
from ..panels.digit_pad.panel import DigitPad
from ..panels.tasks.panel import SIGNS, Tasks, TasksView
from ..server.events import IN_TURN, QUIET, TOGETHER
from ..server.examples import Example, Gallery
from ..server.models import Models
from ..server.serving import Served, answer, in_both
from ..server.shares import Shares
from ..view import View, read
from ..widgets.examples.widget import ExamplesView
from ..widgets.overlay.widget import SET_ALPHA, SET_ENLARGED, OverlayView, Shown
from ..widgets.picture.widget import PictureInput
from ..widgets.share.widget import ShareLink

VIEWS = ("whole", "model")  # in the order of the buttons
ALL = "one of each"
HELD = 3600  # seconds a visitor's explanation is kept, to colour it anew
TOP = 5  # classes listed with their confidence
START_ALPHA = 0.5


class ExplainPage:
    """The components of the page and their handlers. Call inside `gr.Blocks`."""

    def __init__(self, models: Models, gallery: Gallery, shares: Shares):
        self.models, self.gallery, self.shares = models, gallery, shares
        self.built_with = gallery.opening().path
        self._build()

    def _build(self) -> None:
        self.classes = gr.Radio(
            class_choices("en"), value=ALL, label=label("examples"), container=False, elem_id="abn-classes"
        )
        self.explained = gr.State(None, time_to_live=HELD)
        self.task = gr.State("")  # whose map a multi-task network shows; the surest one's for ""
        self.examples = ExamplesView(self.chosen(ALL))
        self.examples_note = gr.Markdown(self.gallery.note, elem_id="abn-examples-note")
        with gr.Column(visible=False) as self.pad_column:
            self.pad = DigitPad()
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                self.picture = PictureInput(
                    value=self.built_with,
                    label=label("your_picture"),
                    sources=["upload", "webcam", "clipboard"],
                    height=360,
                    elem_id="abn-picture",
                )
                self.view = gr.Radio(view_choices("en"), value="whole", label=label("view"), elem_id="abn-view")
                self.colours = gr.Dropdown(
                    colour_choices("en"), value="jet", label=label("colours"), elem_id="abn-colours"
                )
                self.stretch = gr.Checkbox(False, label=label("stretch"), container=False, elem_id="abn-stretch")
                self.enlarge = gr.Checkbox(False, label=label("enlarge"), container=False, elem_id="abn-enlarge")
            with gr.Column(scale=7, min_width=320):
                self.overlay = OverlayView()
                self.alpha = gr.Slider(0, 1, START_ALPHA, step=0.01, label=label("alpha"), elem_id="abn-alpha")
                self.verdict = gr.HTML(elem_id="abn-verdict", js_on_load=None)
                self.link = ShareLink(self.gallery, self.shares, self.models)
        self.sign = gr.Radio(
            sign_choices("en"), value="positive", label=label("sign"), visible=False, elem_id="abn-sign"
        )
        self.tasks = TasksView(visible=False)
        self.layers = layers.Layers()
        with gr.Row(equal_height=True):
            scores = {"num_top_classes": TOP, "show_heading": False, "elem_classes": "abn-scores", "min_width": 300}
            self.perception = gr.Label(label=label("perception"), elem_id="abn-perception", **scores)
            self.attention = gr.Label(label=label("attention"), elem_id="abn-attention", **scores)
        gr.HTML(f"<p>{both('about_map')}</p>", elem_id="abn-about", js_on_load=None)

    def wire(self, demo: gr.Blocks, choice: gr.State, model: gr.State) -> None:
        """Connect the components. `model` is the name of the model in use: what it says is new when it changes."""
        chosen = {
            "picture": self.picture,
            "model": choice,
            "view": self.view,
            "colours": self.colours,
            "stretch": self.stretch,
        }
        signed = chosen | {"sign": self.sign}
        gr.on(
            [self.picture.change, self.view.change, model.change],
            self.explain,
            inputs_kwargs=chosen,
            outputs=[
                self.explained,
                self.overlay,
                self.perception,
                self.attention,
                self.verdict,
                self.tasks,
                self.sign,
                self.task,
                self.layers.row,
                self.layers.layer,
                self.layers.head,
                self.pad_column,
            ],
            trigger_mode="always_last",
            **QUIET,
            **TOGETHER,
        )
        shown = [self.explained, self.overlay, self.tasks, self.task, self.verdict]
        self.tasks.click(self.show_task, inputs_kwargs=signed, outputs=shown, **QUIET, **IN_TURN)
        self.sign.input(self.show_sign, self.task, inputs_kwargs=signed, outputs=shown, **QUIET, **IN_TURN)
        gr.on(
            [self.layers.layer.input, self.layers.head.input],
            self.show_attention,
            inputs_kwargs=chosen | {"layer": self.layers.layer, "head": self.layers.head},
            outputs=[self.explained, self.overlay, self.verdict],
            **QUIET,
            **IN_TURN,
        )
        gr.on(
            [self.colours.input, self.stretch.input],
            self.recolour,
            self.explained,
            inputs_kwargs={"colours": self.colours, "stretch": self.stretch},
            outputs=self.overlay,
            trigger_mode="always_last",
            **QUIET,
        )
        self.alpha.change(fn=None, inputs=self.alpha, js=SET_ALPHA, api_visibility="private")
        self.alpha.release(fn=None, api_visibility="private")
        self.enlarge.change(fn=None, inputs=self.enlarge, js=SET_ENLARGED, api_visibility="private")
        self.classes.change(self.chosen, self.classes, self.examples, **QUIET)
        self.pad.release(self.drawn, None, self.picture, **QUIET)
        self.examples.click(self.choose, self.classes, self.picture, **QUIET)
        self.link.wire(chosen | {"alpha": self.alpha})
        demo.load(self.translate, None, [self.classes, self.view, self.colours, self.sign], **QUIET)
        demo.load(self.restore, None, [self.picture, self.alpha, self.view, self.colours, self.stretch], **QUIET)

    def translate(self, request: gr.Request):
        """Choices in the visitor's language."""
        language = language_of(request)
        choices = class_choices(language), view_choices(language), colour_choices(language), sign_choices(language)
        return [gr.update(choices=each) for each in choices]

    def restore(self, request: gr.Request):
        """What a share link asks for; without one, the example that opens the page if it is another by now."""
        linked = read(request.query_params)
        asked = (linked.alpha, linked.view, linked.colours, linked.stretch)
        picture = self.link.picture(linked, request)
        if picture is None and (opening := self.gallery.opening().path) != self.built_with:
            picture = opening
        return [gr.skip() if value is None else value for value in (picture, *asked)]

    def explain(self, request: gr.Request, **chosen):
        """Picture and view -> the explanation, its overlay, both branches' confidences, and a sentence."""
        view = View(**chosen)
        if view.picture is None:
            nothing = [None] * 4 + ["", gr.update(value=None, visible=False), gr.update(visible=False), ""]
            return [*nothing, *[gr.skip()] * 4]
        with or_say_why(request):
            served = self.models.of(view.model)
            answered = answer(served, view.picture, view.view)
        explanation = answered.explanation
        return (
            explanation,
            Shown(explanation, view.colours, view.stretch),
            explanation.probabilities,
            explanation.attention_probabilities or None,
            verdict(explanation, served, answered.seconds, answered.unlent),
            gr.update(value=listed(explanation, served), visible=multitask(served)),
            gr.update(visible=multitask(served), value="positive"),
            "",
            *layers.updates(served, language_of(request)),
            gr.update(visible=served.explainer.abilities.pad),
        )

    def show_attention(self, request: gr.Request, **chosen):
        """Another layer's or head's attention of a Vision Transformer, or a rollout."""
        view = View(**chosen)
        if view.picture is None:
            return [gr.skip()] * 3
        _, explanation, words = self._explain_by(layers.method(view), None, view, request)
        return explanation, Shown(explanation, view.colours, view.stretch), words

    def show_task(self, event: gr.EventData, request: gr.Request, **chosen):
        """A click on a task: its map."""
        with or_say_why(request):
            task = self.models.of(chosen["model"]).explainer.labels[event.index]
        return self.show_sign(task, request, **chosen)

    def show_sign(self, task: str, request: gr.Request, **chosen):
        """The positive or negative part of a task's map, or both."""
        view = View(**chosen)
        if view.picture is None:
            return [gr.skip()] * 5
        served, explanation, words = self._explain_by(SIGNS[view.sign], task or None, view, request)
        shown = Shown(explanation, view.colours, view.stretch)
        return explanation, shown, listed(explanation, served), task, words

    def _explain_by(
        self, method: str, target: str | None, view: View, request: gr.Request
    ) -> tuple[Served, Explanation, str]:
        """The model, what it explains by another method than its first, and the verdict on that."""
        with or_say_why(request):
            served = self.models.of(view.model)
            began = time.perf_counter()
            explanation = served.lasting(view.picture, view=view.view, target=target, method=method)
            return served, explanation, verdict(explanation, served, time.perf_counter() - began)

    def recolour(self, explained: Explanation | None, **chosen) -> Shown | None:
        """Other colours for what is explained already."""
        view = View(**chosen)
        return None if explained is None else Shown(explained, view.colours, view.stretch)

    def drawn(self, event: gr.EventData) -> str:
        """A digit on the pad goes into the upload box, which explains it."""
        return self.picture.written(str(event.picture))

    def choose(self, chosen: str, event: gr.EventData) -> str:
        """A click on an example puts it into the upload box, which explains it."""
        return self.chosen(chosen)[event.index].path

    def chosen(self, chosen: str) -> list[Example]:
        """The examples that the drop-down asks for."""
        return self.gallery.of_class(None if chosen == ALL else chosen)


def multitask(served: Served) -> bool:
    return served.explainer.abilities.tasks


def listed(explanation: Explanation, served: Served) -> Tasks | None:
    """The tasks in the network's own order; None for a classifier."""
    if not multitask(served):
        return None
    return Tasks({task: explanation.probabilities[task] for task in served.explainer.labels}, explanation.target)


def sign_choices(language: str) -> list[tuple[str, str]]:
    return worded("sign", SIGNS, language)


def class_choices(language: str) -> list[tuple[str, str]]:
    return with_names("one_of_each", ALL, imagenette.CLASSES, language)


def view_choices(language: str) -> list[tuple[str, str]]:
    return worded("view", VIEWS, language)


def colour_choices(language: str) -> list[tuple[str, str]]:
    return worded("colours", COLOURMAPS, language)


def verdict(explanation: Explanation, served: Served, seconds: float, unlent: str = "") -> str:
    """The answer as a sentence, a warning where the picture is like none of the classes, and the small print.

    unlent: why the CPU answered in place of a borrowed GPU, see `serving.Answer`.
    """
    winner, confidence = html.escape(explanation.label), explanation.probabilities[explanation.label]
    other = next(iter(explanation.attention_probabilities), None)
    agrees = both("agrees") if other == explanation.label else "" if other is None else both("disagrees", label=other)
    warning = ""
    if explanation.unfamiliar:
        warning = f'<p class="abn-warning"><strong>{both("unfamiliar")}</strong> {both("unfamiliar_why")}</p>'
    rows, columns = explanation.attention_map.shape
    name, description = in_both(served, served.lasting if unlent else None)
    if multitask(served):
        yes = sum(share > 0.5 for share in explanation.probabilities.values())
        agrees = both("tasks_answer", yes=yes, count=len(explanation.probabilities), name=explanation.target)
    small = both(
        "small_print", ms=f"{seconds * 1000:.0f}", name=name, description=description, rows=rows, columns=columns
    )
    if unlent:
        small += f' <span class="abn-unlent">{both(f"unlent_{unlent}")}</span>'
    return (
        f'<p class="abn-answer"><strong>{winner}</strong> <span>{confidence:.0%}</span> '
        f"<small>{agrees}</small></p>{warning}"
        f'<p class="abn-small">{small}</p>'
    )
