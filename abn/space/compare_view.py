"""Heatmaps of several methods side by side, and any two of them under a before/after slider.

The picture is sent once; the colours lie over it as in the Explain tab, at the opacity `--alpha`, and the slider
between two maps moves in the browser alone.
"""

import html
from dataclasses import dataclass

import gradio as gr
import numpy as np

from ..comparison import Compared, Curves
from ..overlay import jet
from .data_urls import png_url
from .overlay_view import set_alpha
from .words import LANGUAGES, WORDS, both

VIEW_ID = "abn-compare"

CSS = f"""
#{VIEW_ID} {{ --alpha: 0.5; --split: 50%; }}
#{VIEW_ID} .abn-cards {{ display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); }}
#{VIEW_ID} figure {{ margin: 0; }}
#{VIEW_ID} figcaption {{ font-size: .85rem; line-height: 1.45; margin-top: 4px; }}
#{VIEW_ID} figcaption small {{ font-size: .8rem; font-variant-numeric: tabular-nums; }}
#{VIEW_ID} .abn-laid {{ position: relative; isolation: isolate; line-height: 0;
  background: var(--picture) 0 0 / 100% 100%; border-radius: var(--radius-md); overflow: hidden; }}
#{VIEW_ID} .abn-laid img {{ display: block; width: 100%; height: auto; margin: 0; mix-blend-mode: plus-lighter;
  opacity: var(--alpha); }}
#{VIEW_ID} .abn-laid img.abn-second {{ position: absolute; inset: 0; height: 100%; }}
#{VIEW_ID} .abn-two .abn-laid img:not(.abn-second) {{ clip-path: inset(0 calc(100% - var(--split)) 0 0); }}
#{VIEW_ID} .abn-two .abn-laid img.abn-second {{ clip-path: inset(0 0 0 var(--split)); }}
#{VIEW_ID} .abn-two .abn-laid::after {{ content: ''; position: absolute; top: 0; bottom: 0; left: var(--split);
  width: 2px; margin-left: -1px; background: white; box-shadow: 0 0 3px black; }}
#{VIEW_ID} .abn-two {{ max-width: 640px; margin: 22px auto 0; }}
#{VIEW_ID} .abn-two input {{ width: 100%; margin: 8px 0 0; }}
#{VIEW_ID} .abn-two .abn-pair {{ display: flex; justify-content: space-between; gap: 12px; margin-bottom: 6px; }}
#{VIEW_ID} .abn-two select {{ flex: 0 1 230px; width: 0; min-width: 0; font-size: .875rem; padding: 4px 26px 4px 8px;
  border-radius: var(--radius-md); border: 1px solid var(--border-color-primary); color: var(--body-text-color);
  background-color: var(--background-fill-primary); }}
#{VIEW_ID} svg {{ display: block; width: 100%; height: 74px; margin: 6px 0 2px; overflow: visible; }}
#{VIEW_ID} svg path {{ fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }}
#{VIEW_ID} svg .abn-axis {{ stroke: var(--border-color-primary); stroke-width: 1; }}
#{VIEW_ID} .abn-ins {{ stroke: #16a34a; color: #15803d; }}
#{VIEW_ID} .abn-del {{ stroke: #dc2626; color: #b91c1c; }}
.dark #{VIEW_ID} .abn-ins {{ color: #4ade80; }}
.dark #{VIEW_ID} .abn-del {{ color: #f87171; }}
#{VIEW_ID} .abn-empty {{ opacity: .75; text-align: center; padding: 60px 12px; }}
#{VIEW_ID} h3 {{ font-size: 1rem; margin: 0 0 8px; }}
"""

SET_ALPHA = set_alpha(VIEW_ID)

SCRIPT = """
const chosen = [null, null];
function fill() {
  const two = element.querySelector('.abn-two');
  if (!two) return;
  const cards = [...element.querySelectorAll('.abn-cards .abn-laid img')];
  two.querySelectorAll('select').forEach((select, side) => {
    const names = [...select.options].map((option) => option.value);
    if (select.dataset.filled !== '1') {
      const language = document.documentElement.lang.startsWith('ja') ? 'ja' : 'en';
      for (const option of select.options) option.textContent = option.dataset[language];
      if (names.includes(chosen[side])) select.value = chosen[side];
      select.dataset.filled = '1';
    }
    const source = cards.find((card) => card.dataset.method === select.value);
    const image = two.querySelectorAll('.abn-laid img')[side];
    if (source && image.src !== source.src) image.src = source.src;
  });
}
element.addEventListener('change', (event) => {
  const selects = [...element.querySelectorAll('.abn-two select')];
  if (selects.includes(event.target)) { chosen[selects.indexOf(event.target)] = event.target.value; fill(); }
});
element.addEventListener('input', (event) => {
  if (event.target.matches('.abn-two input')) element.style.setProperty('--split', event.target.value + '%');
});
new MutationObserver(fill).observe(element, { childList: true, subtree: true });
fill();
"""


@dataclass(frozen=True)
class Shown:
    """What the tab shows: (H, W, 3) uint8 RGB and, method by method, the map and perhaps its curves."""

    view: np.ndarray
    found: tuple[tuple[Compared, Curves | None], ...]


class CompareView(gr.HTML):
    """Shows a `Shown`; an empty stage for None."""

    def __init__(self, **kwargs):
        super().__init__(elem_id=VIEW_ID, js_on_load=SCRIPT, **kwargs)

    def postprocess(self, value: Shown | None) -> str:
        if value is None:
            return f'<p class="abn-empty">{both("compare_empty")}</p>'
        height, width = value.view.shape[:2]
        cards = "".join(card(compared, curves, width, height) for compared, curves in value.found)
        two = pair([compared.method for compared, _ in value.found], width, height) if len(value.found) > 1 else ""
        picture = png_url(value.view)
        return f'<div style="--picture: url({picture})"><div class="abn-cards">{cards}</div>{two}</div>'


def card(compared: Compared, curves: Curves | None, width: int, height: int) -> str:
    about = both("compare_every_class") if compared.target is None else both("compare_for_class", name=compared.target)
    small = f"{about} · {compared.milliseconds:.1f} ms"
    return (
        f'<figure><div class="abn-laid"><img alt="" data-method="{compared.method}" width="{width}" height="{height}" '
        f'src="{png_url(jet(compared.heatmap))}"></div>'
        f"<figcaption><strong>{both(f'method_{compared.method}')}</strong><br><small>{small}</small>"
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


def pair(methods: list[str], width: int, height: int) -> str:
    """Any two of the maps, one on each side of a line that moves."""
    selects = "".join(
        f'<span class="abn-sr" id="abn-compare-{side}">{both(f"compare_{side}")}</span>'
        f'<select aria-labelledby="abn-compare-{side}">'
        + "".join(option(name, place == start) for place, name in enumerate(methods))
        + "</select>"
        for start, side in ((0, "left"), (len(methods) - 1, "right"))
    )
    images = "".join(f'<img alt="" width="{width}" height="{height}"{kind}>' for kind in ("", ' class="abn-second"'))
    return (
        f'<div class="abn-two"><h3>{both("compare_two")}</h3><div class="abn-pair">{selects}</div>'
        f'<div class="abn-laid">{images}</div>'
        f'<span class="abn-sr" id="abn-compare-line">{both("compare_line")}</span>'
        '<input type="range" min="0" max="100" value="50" aria-labelledby="abn-compare-line"></div>'
    )


def option(method: str, selected: bool) -> str:
    """A method in a menu; its name in both languages, of which SCRIPT shows one."""
    names = {language: html.escape(WORDS[f"method_{method}"][language]) for language in LANGUAGES}
    said = " ".join(f'data-{language}="{name}"' for language, name in names.items())
    return f'<option value="{method}" {said}{" selected" if selected else ""}>{names["en"]}</option>'
