"""A multi-task network's answers as a list of buttons: a click shows that task's map."""

import html
from dataclasses import dataclass

import gradio as gr

from .examples_view import REPORT_CLICK
from .words import both

CSS = """
#abn-tasks .abn-task-grid { display: grid; gap: 6px; grid-template-columns: repeat(auto-fill, minmax(170px, 1fr)); }
#abn-tasks button { position: relative; display: flex; justify-content: space-between; gap: 8px; margin: 0;
  padding: 4px 8px; font-size: .8rem; font-weight: 400; text-align: left; cursor: pointer; overflow: hidden;
  border: 1px solid var(--border-color-primary); border-radius: var(--radius-md); color: var(--body-text-color);
  background: linear-gradient(to right, color-mix(in srgb, var(--color-accent) 22%, transparent) var(--share),
    transparent var(--share)), var(--background-fill-primary); }
#abn-tasks button:last-child { margin: 0; }
#abn-tasks button[aria-pressed=true] { border-color: var(--color-accent); box-shadow: 0 0 0 1px var(--color-accent); }
#abn-tasks button:focus-visible { outline: 2px solid var(--color-accent); outline-offset: 1px; }
#abn-tasks span { font-variant-numeric: tabular-nums; }
#abn-tasks h3 { font-size: 1rem; margin: 0 0 8px; }
"""

SIGNS = {"positive": "attention", "negative": "attention-negative", "both": "attention-both"}


@dataclass(frozen=True)
class Tasks:
    """What is listed: each task with its probability of yes, in the network's order, and the one whose map is shown."""

    answers: dict[str, float]
    shown: str


class TasksView(gr.HTML):
    """Shows `Tasks`; a click tells its handler the place in the list as `event.index`. Nothing for None."""

    def __init__(self, **kwargs):
        super().__init__(elem_id="abn-tasks", js_on_load=REPORT_CLICK, **kwargs)

    def postprocess(self, value: Tasks | None) -> str:
        if value is None:
            return ""
        buttons = "".join(
            f'<button type="button" data-index="{place}" aria-pressed="{str(task == value.shown).lower()}" '
            f'style="--share: {share:.1%}"><span>{html.escape(task)}</span><span>{share:.0%}</span></button>'
            for place, (task, share) in enumerate(value.answers.items())
        )
        return f'<h3>{both("tasks")}</h3><div class="abn-task-grid">{buttons}</div>'
