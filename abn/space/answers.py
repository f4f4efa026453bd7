"""What programs ask, answered: the endpoints and the tools say it each in its own form.

Every fault is a `gr.Error` of one sentence.
"""

import re
from dataclasses import dataclass

import gradio as gr

from ..comparison import Compared, Comparison
from ..editing import Edited, Editing
from ..explanation import Explainer, Explanation
from ..methods import listed, method_named
from ..model.image_processing_abn import VIEWS
from .faults import Fault, saying_why
from .server.limits import ANSWERED_CLASSES
from .server.long_work import MAP, is_long, long_work
from .server.models import Models
from .server.serving import answer

QUICK_METHODS = "attention, attention-cam, grad-cam"


@dataclass(frozen=True, eq=False)
class Several:
    """One picture under several methods. labels: what each method is called."""

    comparison: Comparison
    found: tuple[Compared, ...]
    labels: tuple[str, ...]


class Answers:
    def __init__(self, models: Models):
        self.models = models

    def explained(self, picture: str | None, alpha: float, view: str, model: str) -> Explanation:
        check_picture(picture)
        check_alpha(alpha)
        if view not in VIEWS:
            raise gr.Error(f"view must be one of {', '.join(VIEWS)}; got {str(view)[:50]}", print_exception=False)
        with saying_why():
            return answer(self.models.of(model), picture, view).explanation

    def edited(self, picture: str | None, attention_map: list | None, model: str) -> tuple[Editing, Edited]:
        check_picture(picture)
        with saying_why():
            editing = Editing(self.models.of(model).lasting, picture, "whole")
            return editing, editing(editing.explanation.attention_map if attention_map is None else attention_map)

    def compared(self, picture: str | None, methods: str, target: str | int, alpha: float, model: str) -> Several:
        check_picture(picture)
        check_alpha(alpha)
        names = list(dict.fromkeys(name.strip() for name in methods.split(",") if name.strip()))
        with saying_why():
            served = self.models.of(model)
            explainer = served.lasting
            known = explainer.methods
            if methods == QUICK_METHODS:  # of a network that knows others, those it knows
                names = [name for name in names if name in known]
            asked = [method_named(name, known) for name in names]
            if not asked:
                raise Fault("fault_methods", known=", ".join(known))
            comparison = Comparison(explainer, picture, asked_target(explainer, target))
            steps = [(MAP, method.name) for method in asked]
            long = [step for step in steps if is_long(comparison, step)]
            made = {step[1]: comparison(step[1]) for step in steps if step not in long}
            for done in long_work(served, comparison, picture, long, {}):
                if done.result is None:
                    raise Fault("fault_cpu_time", method=done.step[1], seconds=f"{done.seconds:.0f}")
                made[done.step[1]] = done.result
        found = tuple(made[method.name] for method in asked)
        return Several(comparison, found, tuple(known[one.method].label for one in found))

    def described(self, model: str, classes: int) -> dict:
        with saying_why():
            served = self.models.of(model)
        return {
            "model": served.name,
            "description": served.description,
            "wanted": self.models.serving.shown_name,
            "classes": first(served.explainer.labels, classes),
            "count": len(served.explainer.labels),
            "methods": [
                {"name": method.name, "label": method.label, "uses_target": method.uses_target, "quick": method.quick}
                for method in listed(served.explainer.methods)
            ],
            "models": self.models.listed(),
        }

    def status(self) -> dict:
        status = self.models.serving.status()
        return {
            "model": status.model,
            "description": status.description,
            "state": status.state,
            "wanted": status.wanted,
            "reason": str(status.reason or ""),
            "classes": first(self.models.of("").explainer.labels, ANSWERED_CLASSES),
        }


def asked_target(explainer: Explainer, target: str | int) -> str | int | None:
    """A class's name; else its index, also where it comes as text; None for the predicted class."""
    if target == "":
        return None
    number = isinstance(target, str) and target not in explainer.indices and re.fullmatch(r"\s*([0-9]+)\s*", target)
    return int(number[1]) if number else target


def first(values: dict | list, classes: int):
    """The first so many of a model's classes: there may be many thousands.

    Raises:
        gr.Error: `classes` is no whole number above 0.
    """
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
        raise gr.Error(f"classes must be a whole number, 1 or more; got {str(classes)[:50]}", print_exception=False)
    return dict(list(values.items())[:classes]) if isinstance(values, dict) else values[:classes]


def check_picture(picture: str | None) -> None:
    if picture is None:
        raise gr.Error("No picture was given. Pass one as the first argument.", print_exception=False)


def check_alpha(alpha: float) -> None:
    if not isinstance(alpha, (int, float)) or not 0 <= alpha <= 1:
        raise gr.Error(f"alpha must be a number from 0 to 1; got {str(alpha)[:50]}", print_exception=False)
