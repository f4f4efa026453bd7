"""The Share button: a link that brings back picture, model, alpha, view and colours.

An example goes by its id; an upload is kept (`shares`) when the button is pressed, not before.
"""

import html

import gradio as gr
from gradio.components import Component

from ...faults import or_say_why
from ...files import beside
from ...locale import LANGUAGES, both, label, language_of, say
from ...server.events import QUIET
from ...server.examples import Gallery
from ...server.models import Models
from ...server.shares import DAYS, Shares
from ...view import Linked, View

# The server knows its path, the browser the host by which it is reached.
SHOW_LINK = beside(__file__, "show_link.js").strip()


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

    def wire(self, chosen: dict[str, Component]) -> None:
        """chosen: the components whose values the link keeps, by `View`'s names."""
        shared = self.button.click(self.share, inputs_kwargs=chosen, outputs=[self.query, self.link], **QUIET)
        shared.success(fn=None, inputs=self.query, js=SHOW_LINK, api_visibility="private")
        chosen["picture"].change(fn=None, outputs=self.link, js="() => ''", api_visibility="private")

    def share(self, request: gr.Request, **chosen):
        """The link's query, and the place where the browser writes the whole link."""
        view = View(**chosen)
        if view.picture is None:
            raise gr.Error(say("share_nothing", request), title=say("share", request), print_exception=False)
        with or_say_why(request):
            example = self.gallery.id_of(view.picture)
            source = {"example": example} if example else {"share": self.shares.keep(view.picture)}
        words = both("share_link_example" if example else "share_link", life=life(self.shares))
        place = f'<p role="status">{words}<br><a href="#" target="_blank" rel="noopener"></a></p>'
        return view.query(source, view.model or self.models.serving.current.name), place

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
