"""The whole page: heading, notices, the tabs, and the API."""

import copy
import html
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from .. import imagenette
from .api import add_api
from .faults import or_say_why, told
from .files import beside
from .locale import I18N, LANGUAGES, both, label
from .server.events import QUIET
from .server.examples import Gallery
from .server.fair_queue import FairBlocks
from .server.gate import Gate
from .server.limits import SESSIONS_IN_ALL
from .server.models import Models
from .server.serving import Served, Status, named
from .server.shares import Shares
from .tabs.compare import ComparePage
from .tabs.edit import EditPage
from .tabs.explain import ExplainPage, multitask
from .tabs.gallery import GalleryPage
from .tabs.live import LivePage
from .tabs.model import ModelPage
from .tools import Tools, serve
from .widgets.picture.widget import PictureInput

TITLE = "Attention Branch Network: see what a classifier looks at"
LISTED = 20  # class names shown at most

# In the order in which the browser is given them
STYLES = (
    "widgets/overlay/style.css",
    "widgets/examples/style.css",
    "tabs/compare.css",
    "widgets/compare/style.css",
    "widgets/editor/style.css",
    "tabs/edit.css",
    "tabs/gallery.css",
    "tabs/model.css",
    "tabs/live.css",
    "widgets/share/style.css",
    "panels/tasks/style.css",
    "panels/digit_pad/style.css",
    "locale/style.css",
    "page.css",
)

# The theme's own colours fall short of 4.5 : 1 here and there (WCAG 2.2, 1.4.3).
CONTRAST = {
    "block_label_text_color": "*primary_700",
    "block_title_text_color": "*primary_700",
    "body_text_color_subdued": "*neutral_600",
    "block_info_text_color": "*neutral_600",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
    "checkbox_background_color_selected": "*primary_600",
    "checkbox_label_background_fill_selected": "*primary_600",
}


class Page(FairBlocks):
    """Blocks whose endpoints fill in what a call leaves out, with the parameters' defaults: at its end, since programs
    were written for fewer parameters, or as null, which the JavaScript client sends for it. Pictures may come in more
    ways than Gradio takes them, see `PictureInput.received`."""

    tools: Tools | None = None

    @property
    def mcp_server_obj(self):
        """Gradio's MCP server, which answers as `tools` does."""
        return self._mcp_server

    @mcp_server_obj.setter
    def mcp_server_obj(self, server) -> None:
        if server is not None and self.tools is not None:
            serve(server, self.tools)
        self._mcp_server = server

    def validate_inputs(self, block_fn, inputs: list) -> None:
        if block_fn.api_visibility == "public":
            inputs.extend([None] * (len(block_fn.inputs) - len(inputs)))
            for place, component in enumerate(block_fn.inputs):
                if inputs[place] is None:
                    inputs[place] = copy.deepcopy(component.value)
        for place, (component, value) in enumerate(zip(block_fn.inputs, inputs, strict=False)):
            if isinstance(component, PictureInput):
                inputs[place] = component.received(value)
        super().validate_inputs(block_fn, inputs)


def build(models: Models, gallery: Gallery, shares: Shares) -> gr.Blocks:
    """The Space as Blocks. Launch with `launch_settings(shares)`."""
    serving = models.serving
    with Page(title=TITLE, analytics_enabled=False) as demo:
        gr.HTML(
            f"<h1>{both('title')}</h1><p>{both('subtitle')}</p>",
            elem_id="abn-head",
            js_on_load=None,
        )
        known = gr.HTML(known_classes(models.of(""), ""), elem_id="abn-known", js_on_load=None)
        words = notice_html(serving.status())
        notice = gr.HTML(words, visible=bool(words), elem_id="abn-notice", js_on_load=None)
        # before the page: the first function called "explain" gets that name
        demo.tools = Tools(models, add_api(models))
        with gr.Tabs(elem_id="abn-tabs") as tabs:
            with gr.Tab(label("tab_explain"), id="explain"):
                page = ExplainPage(models, gallery, shares)
            with gr.Tab(label("tab_compare"), id="compare") as compare_tab:
                compare = ComparePage(models)
            with gr.Tab(label("tab_edit"), id="edit") as edit_tab:
                edit = EditPage(models)
            with gr.Tab(label("tab_gallery"), id="gallery") as gallery_tab:
                pictures = GalleryPage(models, gallery)
            with gr.Tab(label("tab_live"), id="live"):
                live = LivePage(models)
            with gr.Tab(label("tab_model"), id="model") as model_tab:
                about = ModelPage(models)

        choice = gr.State("")  # this visitor's model; see Models
        model = gr.State(None)  # the name of what answers this visitor
        examples = gr.State(gallery.real)
        timer = gr.Timer(1.0, active=True)

        def refresh(choice: str, shown_model: str, shown_real: bool, chosen: str):
            """What has changed behind the page since it was last told; the timer stops when nothing more can."""
            settled = gallery.settled  # before what it settles
            status, real = serving.status(), gallery.real
            settled = settled and status.state != "loading"
            words = notice_html(status)
            return (
                gr.update(value=words, visible=bool(words)),
                gr.skip() if choice or status.model == shown_model else status.model,
                real if real != shown_real else gr.skip(),
                page.chosen(chosen) if real != shown_real else gr.skip(),
                gallery.note,
                gr.Timer(active=not settled),
            )

        outputs = [notice, model, examples, page.examples, page.examples_note, timer]
        gr.on([demo.load, timer.tick], refresh, [choice, model, examples, page.classes], outputs, **QUIET)

        def knows(choice: str, request: gr.Request) -> str:
            with or_say_why(request):
                return known_classes(models.of(choice), choice)

        model.change(knows, choice, known, **QUIET)
        page.wire(demo, choice, model)
        compare.wire(compare_tab, page.picture, choice, model)
        edit.wire(edit_tab, page.picture, choice)
        pictures.wire(demo, gallery_tab, tabs, page.picture, choice)
        live.wire()
        about.wire(demo, model_tab, choice, model)
    return demo


def notice_html(status: Status) -> str:
    """One line on which model answers, and why it is not the wanted one. Empty when there is nothing to say."""
    model = {language: named(status.model, language) for language in LANGUAGES}
    if status.state == "loading":
        share = f" ({status.share:.0%})" if status.share else ""
        return f"<p>{both('fetching', wanted=status.wanted, share=share, model=model)}</p>"
    if status.state == "refused":
        reason = {language: told(status.reason, language) for language in LANGUAGES}
        return f'<p class="refused">{both("refused", wanted=status.wanted, reason=reason, model=model)}</p>'
    return ""


def known_classes(served: Served, choice: str) -> str:
    """What the model knows: most uploads are none of it. Imagenette's ten are named by the examples' buttons below.
    The choice stands beside it for the Live tab, whose frames do not pass through the page's state."""
    labels, held = served.explainer.labels, f'data-model="{html.escape(choice)}"'
    if tuple(labels) == imagenette.CLASSES:
        return f"<p {held}>{both('knows_ten')}</p>"
    names = "".join(f"<li>{html.escape(label)}</li>" for label in labels[:LISTED])
    more = f"<li>{both('knows_more', count=len(labels) - LISTED)}</li>" if len(labels) > LISTED else ""
    words = "knows_tasks" if multitask(served) else "knows_some"
    return f"<p {held}>{both(words, count=len(labels))}</p><ul>{names}{more}</ul>"


def launch_settings(shares: Shares) -> dict:
    """What Gradio takes at `launch`."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
    theme = gr.themes.Soft(primary_hue="indigo", font=fonts, font_mono=mono).set(**CONTRAST)
    return {
        "theme": theme,
        "css_paths": [Path(__file__).parent / name for name in STYLES],
        "head": f"<script>{beside(__file__, 'locale/script.js').strip()}</script>",
        "i18n": I18N,
        "allowed_paths": [str(shares.folder)],
        "max_file_size": "20mb",
        "enable_monitoring": False,
        "state_session_capacity": SESSIONS_IN_ALL,
        "app_kwargs": {"middleware": [Middleware(Gate)]},
        "mcp_server": True,
        "footer_links": ["api", "gradio", "settings"],
    }
