"""The Share button: a link that brings back picture, model, alpha, view and colours.

An example goes by its id; an upload is kept (`shares`) when the button is pressed, not before.
"""

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import gradio as gr

from ....overlay import COLOURMAPS
from ...faults import or_say_why
from ...files import beside
from ...locale import LANGUAGES, both, label, language_of, say
from ...server.events import QUIET
from ...server.examples import Gallery
from ...server.models import Models
from ...server.shares import DAYS, Shares

# The server knows its path, the browser the host by which it is reached.
SHOW_LINK = beside(__file__, "show_link.js").strip()


@dataclass(frozen=True)
class Linked:
    """What a link asks for; None where it says nothing, or nothing that is allowed."""

    example: str | None = None
    share: str | None = None
    model: str | None = None
    view: str | None = None
    colours: str | None = None
    stretch: bool | None = None
    alpha: float | None = None


def read(query: Mapping[str, str], views: tuple[str, ...]) -> Linked:
    """A page's query. Whoever writes a link may write nonsense: that is left out."""
    alpha = query.get("alpha")
    try:
        value = None if alpha is None else float(alpha)
    except ValueError:
        value = None
    if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
        value = None
    view, colours = query.get("view"), query.get("colours")
    return Linked(
        example=query.get("example"),
        share=query.get("share"),
        model=query.get("model"),
        view=view if view in views else None,
        colours=colours if colours in COLOURMAPS else None,
        stretch={"1": True, "0": False}.get(query.get("stretch", "")),
        alpha=value,
    )


def life(shares: Shares) -> dict[str, str]:
    """How long a kept picture lives, in each language."""
    key = "share_restart" if shares.until_restart else "share_days"
    return {language: say(key, language, days=DAYS) for language in LANGUAGES}


class ShareLink:
    """The button, its small print and its link. Call inside `gr.Blocks`."""

    def __init__(self, gallery: Gallery, shares: Shares, models: Models):
        self.gallery, self.shares, self.models = gallery, shares, models
        with gr.Row(elem_id="abn-share-row"):
            self.button = gr.Button(label("share"), size="sm", elem_id="abn-share", min_width=110)
            gr.HTML(f"<p>{both('share_about', life=life(shares))}</p>", elem_id="abn-share-about", js_on_load=None)
        self.query = gr.Textbox(visible=False)
        self.link = gr.HTML(elem_id="abn-share-link", js_on_load=None)

    def wire(
        self,
        picture: gr.Image,
        choice: gr.State,
        alpha: gr.Slider,
        view: gr.Radio,
        colours: gr.Dropdown,
        stretch: gr.Checkbox,
    ) -> None:
        inputs = [picture, choice, alpha, view, colours, stretch]
        shared = self.button.click(self.share, inputs, [self.query, self.link], **QUIET)
        shared.success(fn=None, inputs=self.query, js=SHOW_LINK, api_visibility="private")
        picture.change(fn=None, outputs=self.link, js="() => ''", api_visibility="private")

    def share(
        self,
        picture: str | None,
        choice: str,
        alpha: float,
        view: str,
        colours: str,
        stretch: bool,
        request: gr.Request,
    ):
        """The link's query, and the place where the browser writes the whole link."""
        if picture is None:
            raise gr.Error(say("share_nothing", request), title=say("share", request), print_exception=False)
        with or_say_why(request):
            example = self.gallery.id_of(picture)
            asked = {"example": example} if example else {"share": self.shares.keep(picture)}
        asked |= {"alpha": f"{alpha:g}", "view": view, "colours": colours, "stretch": int(stretch)}
        asked["model"] = choice or self.models.serving.current.name
        words = both("share_link_example" if example else "share_link", life=life(self.shares))
        return "?" + urlencode(
            asked
        ), f'<p role="status">{words}<br><a href="#" target="_blank" rel="noopener"></a></p>'

    def picture(self, linked: Linked, request: gr.Request) -> str | None:
        """The file that a link names; None, with a notice, where it is gone."""
        if linked.example:
            example = self.gallery.by_id(linked.example)
            found = example and example.path
        elif linked.share:
            found = self.shares.find(linked.share)
        else:
            return None
        if found is None:
            kept = life(self.shares)[language_of(request)]
            gr.Warning(say("share_gone", request, life=kept), title=html.escape(say("share", request)))
            return None
        return str(found)
