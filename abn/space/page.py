"""The whole page: heading, notices, the tabs, and the API."""

import copy
import html

import gradio as gr

from .. import imagenette
from .api import add_api
from .compare import CSS as COMPARE_CSS
from .compare import ComparePage
from .compare_view import CSS as COMPARE_VIEW_CSS
from .digit_pad import CSS as PAD_CSS
from .edit import CSS as EDIT_CSS
from .edit import EditPage
from .events import QUIET
from .examples_view import CSS as EXAMPLES_CSS
from .explain import ExplainPage, multitask
from .faults import or_say_why, told
from .gallery import Gallery
from .gallery_page import CSS as GALLERY_CSS
from .gallery_page import GalleryPage
from .live import CSS as LIVE_CSS
from .live import LivePage
from .model_page import CSS as MODEL_CSS
from .model_page import ModelPage
from .models import Models
from .overlay_view import CSS as OVERLAY_CSS
from .picture_input import PictureInput
from .serving import Served, Status, named
from .share_link import CSS as SHARE_CSS
from .shares import Shares
from .tasks_view import CSS as TASKS_CSS
from .tools import Tools, serve
from .words import I18N, LANGUAGE_CSS, LANGUAGE_HEAD, LANGUAGES, both, label

TITLE = "Attention Branch Network: see what a classifier looks at"
LISTED = 20  # class names shown at most
SESSIONS = 200  # whose state is kept; a call over plain HTTP is one, and each takes 0.2 MB

CSS = (
    OVERLAY_CSS
    + EXAMPLES_CSS
    + COMPARE_CSS
    + COMPARE_VIEW_CSS
    + EDIT_CSS
    + GALLERY_CSS
    + MODEL_CSS
    + LIVE_CSS
    + SHARE_CSS
    + TASKS_CSS
    + PAD_CSS
    + LANGUAGE_CSS
    + """
.gradio-container { max-width: 1240px !important; width: 100% !important; margin: 0 auto !important; }
.gradio-container > main, .gradio-container > main > .wrap { width: 100%; }
#abn-head h1 { margin: 0 0 4px; font-size: 1.6rem; line-height: 1.25; }
#abn-head p { margin: 0; opacity: .75; }
#abn-known p { margin: 0; }
#abn-known ul { display: flex; flex-wrap: wrap; gap: 6px; list-style: none; margin: 6px 0 0; padding: 0; }
#abn-known li { margin: 0; padding: 2px 10px; border-radius: 999px; font-size: .875rem;
  background: var(--background-fill-secondary); border: 1px solid var(--border-color-primary); }
#abn-notice p { margin: 0; padding: 8px 12px; border-radius: var(--radius-md); font-size: .9rem;
  background: var(--background-fill-secondary); border-left: 3px solid var(--color-accent); }
#abn-notice p.refused { border-left-color: #d97706; }
#abn-verdict { min-height: 84px; }
#abn-verdict p { margin: 0 0 4px; }
#abn-verdict .abn-answer { font-size: 1.25rem; }
#abn-verdict .abn-answer span { font-variant-numeric: tabular-nums; margin: 0 .5em; }
#abn-verdict .abn-answer small, #abn-verdict .abn-small { opacity: .75; font-size: .85rem; }
#abn-verdict .abn-answer small { display: inline-block; font-size: .95rem; }
#abn-verdict .abn-warning { padding: 8px 12px; border-radius: var(--radius-md); border-left: 3px solid #d97706;
  background: var(--background-fill-secondary); }
#abn-verdict .abn-unlent { display: inline-block; margin-left: .4em; padding: 0 10px; border-radius: 999px;
  border: 1px solid var(--border-color-primary); background: var(--background-fill-secondary); }
#abn-examples-note, #abn-about { font-size: .875rem; }
.gradio-container :is(#abn-head, #abn-known, #abn-notice, #abn-examples, #abn-overlay, #abn-verdict, #abn-live-about,
  #abn-live, #abn-share-about, #abn-share-link, #abn-model-status, #abn-model),
.gradio-container :is(#abn-head, #abn-known, #abn-notice, #abn-examples, #abn-overlay, #abn-verdict, #abn-live-about,
  #abn-live, #abn-share-about, #abn-share-link, #abn-model-status, #abn-model) .html-container { padding: 0; }
#abn-classes .wrap { gap: 6px; }
#abn-classes label { padding: 3px 11px; border-radius: 999px; font-size: .875rem; box-shadow: none;
  border: 1px solid var(--border-color-primary); }
#abn-classes label input { position: absolute; opacity: 0; width: 1px; height: 1px; }
#abn-classes label:focus-within { outline: 2px solid var(--color-accent); outline-offset: 1px; }
#abn-classes label span { margin: 0; }
.abn-scores * { font-family: var(--font) !important; }
#abn-examples-note:not(:has(p)) { display: none; }
#abn-tabs .tab-container button.selected { color: #4338ca; }
.dark #abn-tabs .tab-container button.selected { color: #a5b4fc; }
@media (max-width: 480px) { #abn-tabs .tab-container button { padding: 0 5px; font-size: .8rem; } }
"""
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


class Page(gr.Blocks):
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
    with Page(title=TITLE, analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as demo:
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
        "css": CSS,
        "head": LANGUAGE_HEAD,
        "i18n": I18N,
        "allowed_paths": [str(shares.folder)],
        "max_file_size": "20mb",
        "enable_monitoring": False,
        "state_session_capacity": SESSIONS,
        "mcp_server": True,
        "footer_links": ["api", "gradio", "settings"],
    }
