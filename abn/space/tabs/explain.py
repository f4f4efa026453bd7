"""The Explain tab: one picture, what the network says, and where it looks."""

import time

from PIL import Image

from ...data_urls import jpeg_url
from ...families.vit import attention_name
from ..answer import abilities_of, answer_of
from ..context import Asked
from ..locale import say
from ..server.examples import Example
from ..server.serving import Served, answer
from ..server.shares import DAYS, Shares

PARTS = {"positive": "attention", "negative": "attention-negative", "both": "attention-both"}  # of a task's signed map
ROLLOUTS = ("rollout", "gradient-rollout")  # of a Vision Transformer, beside a single layer's attention


def explain(asked: Asked) -> dict:
    """A picture's answer and map; `task` and `part` choose a multi-task network's, `layer` and `head` a transformer's.
    With `preview`, the picture itself as well, for a browser that cannot decode it."""
    served, picture, language = asked.served, asked.picture, asked.language
    method, target = method_of(asked, served)
    unlent = ""
    if method == "attention" and target is None:
        answered = answer(served, picture, asked.view, quick=True)
        explanation, seconds, unlent = answered.explanation, answered.seconds, answered.unlent
    else:
        began = time.perf_counter()
        explanation = served.lasting(picture, view=asked.view, method=method, target=target)
        seconds = time.perf_counter() - began
    found = answer_of(explanation, served, language, 1000 * seconds, served.lasting if unlent else None)
    found["abilities"] = abilities_of(served)
    if unlent:
        found["unlent"] = say(f"unlent_{unlent}", language)
    if served.lasting.abilities.tasks:
        found["tasks"] = [[task, round(explanation.probabilities[task], 6)] for task in served.explainer.labels]
    if asked.values.get("preview"):
        found["preview"] = preview_of(served, picture)
    return found


def method_of(asked: Asked, served: Served) -> tuple[str, str | None]:
    """(method, target) of what is asked for."""
    can = served.lasting.abilities
    if can.tasks:
        return PARTS.get(asked.text("part"), "attention"), asked.text("task") or None
    layer, head = asked.text("layer"), asked.text("head")
    if can.layers and layer in ROLLOUTS:
        return layer, None
    if can.layers and layer:
        return attention_name(layer, None if head in ("", "all") else head), None
    return "attention", None


def preview_of(served: Served, picture: str) -> dict:
    """The upright picture, at most 1024 pixels a side, as a JPEG data URL."""
    seen = served.lasting.seen(served.lasting.read(picture, "whole"), "whole")
    return {"url": jpeg_url(Image.fromarray(seen), quality=88)}


def share(asked: Asked) -> dict:
    """What a link names: an example, or a picture that is kept from now on."""
    picture, source, shares = asked.picture, asked.values["picture"], asked.context.shares
    if "example" in source:
        return {"source": {"example": source["example"]}, "words": say("share_link_example", asked.language)}
    kept = source["share"] if "share" in source else shares.keep(picture)
    return {"source": {"share": kept}, "words": say("share_link", asked.language, life=life(shares, asked.language))}


def life(shares: Shares, language: str) -> str:
    """How long a kept picture lives."""
    return say("share_restart" if shares.until_restart else "share_days", language, days=DAYS)


def examples(asked: Asked) -> dict:
    """The examples of one class."""
    return {"examples": listed(asked.context.gallery.of_class(asked.text("label")))}


def listed(found: list[Example]) -> list[dict]:
    return [{"id": one.id, "label": one.label, "drawn": one.drawn} for one in found]


ASKS = {"explain": explain, "examples": examples, "share": share}
