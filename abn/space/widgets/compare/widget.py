"""Heatmaps of several methods side by side, and any two of them under a before/after slider.

The picture is sent once; the colours lie over it as in the Explain tab, at the opacity `--alpha`, and the slider
between two maps moves in the browser alone.
"""

import html
from dataclasses import dataclass

import gradio as gr
import numpy as np

from ....comparison import Compared, Curves
from ....data_urls import png_url
from ....overlay import jet
from ...files import beside
from ...locale import LANGUAGES, both, say_or
from ..overlay.widget import set_alpha

VIEW_ID = "abn-compare"

SET_ALPHA = set_alpha(VIEW_ID)


@dataclass(frozen=True)
class Shown:
    """What the tab shows: (H, W, 3) uint8 RGB and, method by method, the map and perhaps its curves."""

    view: np.ndarray
    found: tuple[tuple[Compared, Curves | None], ...]


class CompareView(gr.HTML):
    """Shows a `Shown`; an empty stage for None."""

    def __init__(self, **kwargs):
        super().__init__(elem_id=VIEW_ID, js_on_load=beside(__file__, "script.js"), **kwargs)

    def postprocess(self, value: Shown | None) -> str:
        if value is None:
            return f'<p class="abn-empty">{both("compare_empty")}</p>'
        height, width = value.view.shape[:2]
        cards = "".join(card(compared, curves, width, height) for compared, curves in value.found)
        two = pair([compared for compared, _ in value.found], width, height) if len(value.found) > 1 else ""
        picture = png_url(value.view)
        return f'<div style="--picture: url({picture})"><div class="abn-cards">{cards}</div>{two}</div>'


def card(compared: Compared, curves: Curves | None, width: int, height: int) -> str:
    about = both("compare_every_class") if compared.target is None else both("compare_for_class", name=compared.target)
    small = f"{about} · {compared.milliseconds:.1f} ms"
    return (
        f'<figure><div class="abn-laid"><img alt="" data-method="{compared.method}" width="{width}" height="{height}" '
        f'src="{png_url(jet(compared.heatmap))}"></div>'
        f"<figcaption><strong>{both('compare_map_named', name=names(compared))}</strong><br><small>{small}</small>"
        f"{'' if curves is None else curves_html(curves)}</figcaption></figure>"
    )


def curves_html(curves: Curves) -> str:
    inserted, deleted = curves.areas
    lines = "".join(
        f'<path class="{kind}" d="{_path(values)}"/>'
        for kind, values in (("abn-ins", curves.insertion), ("abn-del", curves.deletion))
    )
    axis = '<path class="abn-axis" d="M0 0V100H100"/>'
    return (
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{axis}{lines}</svg>'
        f'<small><span class="abn-ins">{both("compare_insertion")} {inserted:.2f}</span> − '
        f'<span class="abn-del">{both("compare_deletion")} {deleted:.2f}</span> = '
        f"<strong>{inserted - deleted:.2f}</strong></small>"
    )


def _path(values: tuple[float, ...]) -> str:
    points = [f"{100 * i / (len(values) - 1):.1f} {100 - 100 * value:.1f}" for i, value in enumerate(values)]
    return "M" + "L".join(points)


def pair(found: list[Compared], width: int, height: int) -> str:
    """Any two of the maps, one on each side of a line that moves."""
    selects = "".join(
        f'<span class="abn-sr" id="abn-compare-{side}">{both(f"compare_{side}")}</span>'
        f'<select aria-labelledby="abn-compare-{side}">'
        + "".join(option(compared, place == start) for place, compared in enumerate(found))
        + "</select>"
        for start, side in ((0, "left"), (len(found) - 1, "right"))
    )
    images = "".join(f'<img alt="" width="{width}" height="{height}"{kind}>' for kind in ("", ' class="abn-second"'))
    return (
        f'<div class="abn-two"><h3>{both("compare_two")}</h3><div class="abn-pair">{selects}</div>'
        f'<div class="abn-laid">{images}</div>'
        f'<span class="abn-sr" id="abn-compare-line">{both("compare_line")}</span>'
        '<input type="range" min="0" max="100" value="50" aria-labelledby="abn-compare-line"></div>'
    )


def option(compared: Compared, selected: bool) -> str:
    """A method in a menu; its name in every language, of which the script shows one."""
    said = {language: html.escape(name) for language, name in names(compared).items()}
    data = " ".join(f'data-{language}="{name}"' for language, name in said.items())
    return f'<option value="{compared.method}" {data}{" selected" if selected else ""}>{said["en"]}</option>'


def names(compared: Compared) -> dict[str, str]:
    """Language -> what the method is called."""
    return {language: say_or(f"method_{compared.method}", compared.label, language) for language in LANGUAGES}
