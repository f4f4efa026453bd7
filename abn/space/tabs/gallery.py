"""The Gallery tab: validation pictures with their attention, right and wrong."""

import html
import threading
from collections import OrderedDict
from dataclasses import dataclass

import gradio as gr
from PIL import Image

from ... import imagenette
from ...data_urls import jpeg_url
from ...explanation import BATCH, Explanation
from ..faults import or_say_why
from ..locale import both, label, language_of, say, with_names, worded
from ..server.events import QUIET
from ..server.examples import Example, Gallery
from ..server.models import Models
from ..server.serving import Served
from ..widgets.examples.widget import REPORT_CLICK

ORDERS = ("as_is", "wrong", "most", "least")
SHOWN = 60  # pictures at most
WIDTH = 220  # pixels, of a card's picture
ALPHA = 0.5
KEPT = 2  # models


@dataclass(frozen=True)
class Entry:
    """One picture of the gallery and what the model made of it. thumbnail: a JPEG data URL, overlaid.
    known: whether its class is one of the model's; others are neither right nor wrong."""

    example: Example
    label: str
    confidence: float
    thumbnail: str
    known: bool = True

    @property
    def right(self) -> bool:
        return self.label == self.example.label

    @property
    def wrong(self) -> bool:
        return self.known and not self.right


class Explained:
    """The gallery under a model, computed once in batches and kept; the newest two of them."""

    def __init__(self):
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple, list[Entry]] = OrderedDict()

    def entries(self, served: Served, examples: list[Example]):
        """Yields what is explained so far, growing; the last is the whole. Visitors share the work."""
        key = (served.name, examples[0].path, len(examples))
        with self._lock:
            found = self._kept.setdefault(key, [])
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        while True:
            with self._lock:
                batch = examples[len(found) : len(found) + BATCH]
                if batch:
                    made = served.lasting([example.path for example in batch], view="whole")
                    found += [entry(*pair) for pair in zip(batch, made, strict=True)]
                so_far = list(found)
            yield so_far
            if len(so_far) == len(examples):
                return


def entry(example: Example, explanation: Explanation) -> Entry:
    picture = Image.fromarray(explanation.overlay(ALPHA))
    picture.thumbnail((WIDTH, WIDTH))
    confidence = explanation.probabilities[explanation.label]
    known = example.label in explanation.probabilities
    return Entry(example, explanation.label, confidence, jpeg_url(picture, quality=80), known)


def chosen(entries: list[Entry], name: str, order: str) -> list[Entry]:
    """Those of a class ("" for all), all or the wrong ones, in the order asked for."""
    kept = [one for one in entries if not name or one.example.label == name]
    if order == "wrong":
        kept = [one for one in kept if one.wrong]
    if order in ("most", "least"):
        kept = sorted(kept, key=lambda one: one.confidence, reverse=order == "most")
    return kept


class GalleryView(gr.HTML):
    """Shows entries as cards; a click tells its handler the place in the list as `event.index`."""

    def __init__(self, **kwargs):
        super().__init__(elem_id="abn-gallery", js_on_load=REPORT_CLICK, **kwargs)

    def postprocess(self, value: list[Entry] | None) -> str:
        cards = "".join(
            f'<button type="button" data-index="{place}"><img alt="" loading="lazy" src="{one.thumbnail}">'
            f"<span>{html.escape(one.example.label)}</span>"
            f"{answer(one)}</button>"
            for place, one in enumerate((value or [])[:SHOWN])
        )
        return f'<div class="abn-gallery-grid">{cards}</div>'


def answer(one: Entry) -> str:
    kind, mark = ("abn-right", "✓ ") if one.right else ("abn-wrong", "✗ ") if one.wrong else ("", "")
    return f'<span class="{kind}">{mark}{html.escape(one.label)} {one.confidence:.0%}</span>'


class GalleryPage:
    """The components of the tab and their handlers. Call inside `gr.Blocks`."""

    def __init__(self, models: Models, gallery: Gallery):
        self.models, self.gallery, self.explained = models, gallery, Explained()
        gr.HTML(f"<p>{both('gallery_about')}</p>", js_on_load=None)
        with gr.Row(equal_height=True):
            self.name = gr.Dropdown(class_choices("en"), value="", label=label("gallery_class"), min_width=200)
            self.order = gr.Radio(
                order_choices("en"), value="as_is", label=label("gallery_order"), elem_id="abn-gallery-order", scale=2
            )
        self.status = gr.HTML(elem_id="abn-gallery-status", js_on_load=None)
        self.view = GalleryView()

    def wire(self, demo: gr.Blocks, tab: gr.Tab, tabs: gr.Tabs, picture: gr.Image, choice: gr.State) -> None:
        """Explain the gallery when the tab is opened; a click opens a picture in the Explain tab."""
        gr.on(
            [tab.select, self.name.input, self.order.input],
            self.show,
            [choice, self.name, self.order],
            [self.view, self.status],
            trigger_mode="always_last",
            concurrency_id="gallery",
            concurrency_limit=2,
            **QUIET,
        )
        self.view.click(self.open, [choice, self.name, self.order], [picture, tabs], **QUIET)
        demo.load(self.translate, None, [self.name, self.order], **QUIET)

    def translate(self, request: gr.Request):
        """Choices in the visitor's language."""
        language = language_of(request)
        return gr.update(choices=class_choices(language)), gr.update(choices=order_choices(language))

    def show(self, choice: str, name: str, order: str, request: gr.Request):
        """Yields the cards; while the gallery is under way, how far it is."""
        examples = self.gallery.examples
        with or_say_why(request):
            served = self.models.of(choice)
        for entries in self.explained.entries(served, examples):
            if len(entries) < len(examples):
                words = say("gallery_progress", request, done=len(entries), count=len(examples))
                yield gr.skip(), f"<p>{words}</p>"
        kept = chosen(entries, name, order)
        right = sum(one.right for one in entries)
        counts = {"shown": min(len(kept), SHOWN), "kept": len(kept)}
        if any(one.known for one in entries):
            words = say("gallery_done", request, right=right, count=len(entries), **counts)
        else:
            words = say("gallery_other", request, **counts)
        yield kept, f"<p>{words}</p>"

    def open(self, choice: str, name: str, order: str, event: gr.EventData, request: gr.Request):
        """A click: the picture goes into the Explain tab, and that tab to the front."""
        with or_say_why(request):
            served = self.models.of(choice)
        *_, entries = self.explained.entries(served, self.gallery.examples)
        return chosen(entries, name, order)[event.index].example.path, gr.Tabs(selected="explain")


def class_choices(language: str) -> list[tuple[str, str]]:
    return with_names("gallery_all", "", imagenette.CLASSES, language)


def order_choices(language: str) -> list[tuple[str, str]]:
    return worded("gallery", ORDERS, language)
