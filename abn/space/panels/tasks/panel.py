"""A multi-task network's answers as a list of buttons: a click shows that task's map."""

import html
from dataclasses import dataclass

import gradio as gr

from ...locale import both
from ...widgets.examples.widget import REPORT_CLICK

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
