"""What a visitor has chosen: it goes with each request, and into and out of a link."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from ..model.image_processing_abn import VIEWS
from ..overlay import COLOURMAPS


@dataclass(frozen=True)
class View:
    """A visitor's choices, each with what stands there before he chooses.

    picture: the file. model: its name, "" for the default one. view: what the network is shown. colours, stretch and
    alpha: how its map is laid over. sign: which part of a task's map. layer, head: whose attention of a transformer.
    """

    picture: str | None = None
    model: str = ""
    view: str = "whole"
    colours: str = "jet"
    stretch: bool = False
    alpha: float = 0.5
    sign: str = "positive"
    layer: str = "rollout"
    head: str = "all"

    def query(self, source: Mapping[str, str], model: str) -> str:
        """A link's query. source: where the picture is had from, an example or a kept picture; model: what answers."""
        asked = {"alpha": f"{self.alpha:g}", "view": self.view, "colours": self.colours, "stretch": int(self.stretch)}
        return "?" + urlencode({**source, **asked, "model": model})


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


def read(query: Mapping[str, str]) -> Linked:
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
        view=view if view in VIEWS else None,
        colours=colours if colours in COLOURMAPS else None,
        stretch={"1": True, "0": False}.get(query.get("stretch", "")),
        alpha=value,
    )
