"""The whole page: its frame, the tabs, and the API."""

import copy
import html
from functools import partial
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from .answer import abilities_of, known_by
from .api import add_api
from .context import Context, answering
from .faults import in_words
from .files import beside
from .locale import LANGUAGES, language_of, say
from .server.corrections import correction_routes
from .server.events import IN_TURN, TOGETHER
from .server.examples import Gallery
from .server.fair_queue import FairBlocks
from .server.gate import Gate
from .server.in_browser import InBrowser, isolation
from .server.limits import SESSIONS_IN_ALL
from .server.models import Models
from .server.page_files import BASE, page_routes
from .server.serving import named
from .server.shares import Shares
from .settings import IN_BROWSER
from .tabs import TABS
from .tabs.explain import life, listed
from .tabs.live import frame_route
from .tools import Tools, serve
from .widgets.picture.widget import PictureInput

TITLE = "Attention Branch Network: see what a classifier looks at"
STYLES = ("page.css", *(f"widgets/{name}/style.css" for name in ("stage", "scores")))
STYLES += tuple(f"tabs/{name}.css" for name in TABS)
QUEUES = {
    "explain": TOGETHER,
    "compare": {"concurrency_id": "compare", "concurrency_limit": 1},
    "gallery": {"concurrency_id": "gallery", "concurrency_limit": 2},
    "use": {"concurrency_id": "model", "concurrency_limit": 2},
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


def build(
    models: Models,
    gallery: Gallery,
    shares: Shares,
    corrections: Path | None = None,
    title: str = "",
    in_browser: InBrowser | None = None,
) -> gr.Blocks:
    """The Space as Blocks. Launch with `launch_settings`.

    Args:
        corrections: the folder that they are written to, if any.
        title: the owner's, in place of the catalogues'.
        in_browser: the page that needs no server, if it lies beside this one.
    """
    context = Context(models, gallery, shares, corrections, in_browser)
    with Page(title=title or TITLE, fill_width=True, analytics_enabled=False) as demo:
        gr.HTML(
            frame(title),
            elem_id="abn-page",
            apply_default_css=False,
            js_on_load=beside(__file__, "loader.js").replace("BASE", BASE),
        )
        demo.tools = Tools(models, add_api(models))
        for tab in TABS.values():
            for name, function in tab.ASKS.items():
                gr.api(
                    answering(function, context),
                    api_name=f"page_{name}",
                    api_visibility="undocumented",
                    **QUEUES.get(name, IN_TURN),
                )
    demo.context = context
    return demo


def frame(title: str = "") -> str:
    """The page's HTML, without words but the owner's title: the scripts fill them in."""
    tabs = "".join(beside(__file__, f"tabs/{name}.html") for name in TABS)
    page = beside(__file__, "page.html").replace('"LANGUAGES"', f'"{" ".join(LANGUAGES)}"')
    if title:  # Gradio runs ${…} and {{…}} of a template as JavaScript
        plain = html.escape(title).replace("$", "&#36;").replace("{", "&#123;")
        page = page.replace('data-word="title"></span>', f">{plain}</span>")
    return page.replace("<main data-tabs>", f"<main data-tabs>{tabs}")


def state_of(context: Context, language: str) -> dict:
    """What the page says of the server in a language; `settled` where nothing of it will change by itself."""
    language = language if language in LANGUAGES else language_of(None)
    gallery, serving = context.gallery, context.models.serving
    settled = gallery.settled  # before what it settles
    status = serving.status()
    served = serving.current
    note, values = gallery.note
    return {
        "settled": settled and status.state != "loading",
        "model": {
            "name": status.model,
            "shown": named(status.model, language),
            "state": status.state,
            "share": status.share if status.state == "loading" else 0,
            "notice": notice_of(status, language),
            "known": known_by(served),
        },
        "abilities": abilities_of(served),
        "examples": listed(gallery.of_class(None)),
        "classes": list(gallery.classes),
        "groups": gallery.groups,
        "more": {name: len(gallery.of_class(name)) for name in gallery.classes},
        "opening": gallery.opening().id,
        "note": say(note, language, **values) if note else "",
        "corrections": context.corrections is not None,
        "in_browser": beside_page(context.in_browser, served.explainer.labels),
        "share_about": say("share_about", language, life=life(context.shares, language)),
    }


def beside_page(found: InBrowser | None, labels: list[str]) -> dict | None:
    """Where the page that needs no server lies below this one's routes; None where its classes are others."""
    if found is None or set(found.labels) != set(labels):
        return None
    return {"base": found.base, "page": f"{IN_BROWSER}/"}


def notice_of(status, language: str) -> str:
    """Why another model answers than the wanted one, in a sentence for visitors; "" where there is nothing to say."""
    model = named(status.model, language)
    if status.state == "loading":
        share = f" ({status.share:.0%})" if status.share else ""
        return say("fetching", language, wanted=status.wanted, share=share, model=model)
    if status.state == "refused":
        return say("refused", language, wanted=status.wanted, reason=in_words(status.reason, language), model=model)
    return ""


def launch_settings(demo: gr.Blocks) -> dict:
    """What Gradio takes at `launch`."""
    context = demo.context
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
    links = "".join(f'<link rel="stylesheet" href="{BASE}/{name}">' for name in STYLES)
    return {
        "theme": gr.themes.Base(primary_hue="indigo", font=fonts, font_mono=mono),
        "head": links,
        "css_paths": [Path(__file__).parent / "frame.css"],
        "max_file_size": "20mb",
        "enable_monitoring": False,
        "state_session_capacity": SESSIONS_IN_ALL,
        "mcp_server": True,
        "footer_links": ["api", "gradio", "settings"],
        "app_kwargs": {
            "middleware": [Middleware(Gate), *isolation(context.in_browser)],
            "routes": [
                *([context.in_browser.route()] if context.in_browser else ()),
                frame_route(context.models),
                *(correction_routes(context.corrections) if context.corrections else ()),
                *page_routes(context.gallery, context.shares, partial(state_of, context)),
            ],
        },
    }
