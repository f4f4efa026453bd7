"""An explanation as the page's scripts take it: a few kilobytes of JSON."""

from ..explanation import Explainer, Explanation
from ..methods import in_menus
from ..packing import map_of
from .server.serving import Served, described, named

SHOWN = 5  # classes of an answer
KNOWN = 20  # classes named as those that a model knows
USUAL = ("attention", "attention-negative", "attention-both", "attention-cam", "grad-cam", "grad-cam++", "centre")
USUAL += ("rollout", "last-layer", "gradient-rollout")


def classes_of(probabilities: dict[str, float], count: int = SHOWN) -> list[list]:
    """[name, probability], the surest first."""
    return [[name, round(share, 6)] for name, share in list(probabilities.items())[:count]]


def answer_of(
    explanation: Explanation, served: Served, language: str, milliseconds: float, by: Explainer | None = None
) -> dict:
    """What Explain shows of a picture. by: which of the model's explainers answered, see `serving.described`."""
    own = explanation.attention_probabilities
    shown = classes_of(explanation.probabilities)
    return {
        "label": explanation.label,
        "target": explanation.target,
        "classes": shown,
        "attention": {name: round(own[name], 6) for name, _ in shown if name in own},
        "attention_label": next(iter(own), None),
        "unfamiliar": explanation.unfamiliar,
        "familiarity": explanation.familiarity,
        "map": map_of(explanation.grid, explanation.geometry),
        "milliseconds": round(milliseconds, 1),
        "model": {"name": named(served.name, language), "description": described(served, language, by)},
        "known": known_by(served),
    }


def known_by(served: Served) -> dict:
    """What a model knows: the first of its classes, and how many there are."""
    labels = served.explainer.labels
    return {"labels": labels[:KNOWN], "count": len(labels), "tasks": served.lasting.abilities.tasks}


def abilities_of(served: Served) -> dict:
    """What the page shows for a model beyond an answer and a map."""
    can = served.lasting.abilities
    return {
        "tasks": can.tasks,
        "layers": can.layers,
        "heads": can.heads,
        "pad": can.pad,
        "uneditable": can.uneditable,
        "methods": methods_of(served.lasting),
    }


def methods_of(explainer: Explainer) -> list[dict]:
    """Those that are offered. label: in English, for what the catalogues have no word; usual: compared where no others
    are chosen; slow: they need many forward passes."""
    return [
        {"name": one.name, "label": one.label, "usual": one.name in USUAL, "slow": not one.quick}
        for one in in_menus(explainer.methods)
    ]
