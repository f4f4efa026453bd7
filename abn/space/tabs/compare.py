"""The Compare tab: several methods on the same picture. Answers come one by one, each a few kilobytes."""

import base64
from collections.abc import Iterator
from contextlib import closing

import numpy as np

from ...comparison import Compared, Comparison, Curves
from ...packing import place_of
from ..answer import methods_of
from ..context import Asked
from ..locale import say, say_or
from ..server.long_work import CURVES, MAP, Done, Step, is_long, long_work
from .explain import preview_of

TARGETS = 1000  # classes to choose from at most


def compare(asked: Asked) -> Iterator[dict]:
    """First what all methods share (`beginning`), then a map a method, the quick ones first, then their curves; a step
    that takes long is said before it begins (`doing`). Ends in `done`, with notes on what was cut short."""
    served, picture = asked.served, asked.picture
    comparison = Comparison(served.lasting, picture, asked.text("target") or None, asked.view)
    methods = chosen(asked, comparison)
    steps = [(MAP, name) for name in methods] + [(CURVES, name) for name in methods if asked.values.get("curves")]
    yield beginning(asked, comparison, methods)
    found, notes = {}, []
    long = [step for step in steps if is_long(comparison, step)]
    for _, name in (step for step in steps if step not in long):
        found[name] = comparison(name)
        yield map_answer(found[name])
    with closing(long_work(served, comparison, picture, long, found)) as works:
        said = doing(long, 0, comparison, asked.language)
        if long:
            yield said
        for place, done in enumerate(works, 1):
            told = noted(done, comparison, asked.language)
            notes += told
            unlent = {"unlent": told[0]} if done.unlent else {}
            why = {"why": told[-1] if told else ""}
            yield {**answer_of(done), **unlent, **why, **doing(long, place, comparison, asked.language)}
    yield {"done": True, "notes": list(dict.fromkeys(notes))}


def chosen(asked: Asked, comparison: Comparison) -> list[str]:
    """The methods that are asked for and that the model knows, quick ones first; its usual ones where none are."""
    names = asked.values.get("methods")
    known = methods_of(comparison.explainer)
    if not isinstance(names, list):
        return [one["name"] for one in known if one["usual"]]
    return [one["name"] for one in sorted(known, key=lambda one: one["slow"]) if one["name"] in names]


def beginning(asked: Asked, comparison: Comparison, methods: list[str]) -> dict:
    """What comes first. shared: milliseconds of the forward pass that all methods start from."""
    found = {
        "target": comparison.target,
        "methods": methods,
        "known": methods_of(comparison.explainer),
        "tasks": comparison.explainer.abilities.tasks,
        "shared": round(1000 * comparison.seconds_a_pass, 1),
        **place_of(comparison.geometry),
    }
    if asked.values.get("labels"):
        found["labels"] = comparison.explainer.labels[:TARGETS]
    if asked.values.get("preview"):
        found["preview"] = preview_of(asked.served, asked.picture)
    return found


def map_answer(compared: Compared) -> dict:
    """A method's map and the milliseconds that were its own. target: null where every class has the same."""
    return {
        "method": compared.method,
        "target": compared.target,
        "milliseconds": round(compared.milliseconds, 1),
        "map": packed(compared.grid),
    }


def packed(grid: np.ndarray) -> dict:
    """A map's float32 numbers as they are, row by row, in half the letters that their decimals take."""
    floats = np.ascontiguousarray(grid, dtype="<f4")
    return {"shape": list(floats.shape), "floats": base64.b64encode(floats).decode()}


def answer_of(done: Done) -> dict:
    """A step's map or curves; `left` where there is none."""
    what, method = done.step
    if done.result is None:
        return {"method": method, "left": what}
    return map_answer(done.result) if what == MAP else {"method": method, "curves": curves_answer(done.result)}


def curves_answer(curves: Curves) -> dict:
    return {
        "insertion": [round(value, 4) for value in curves.insertion],
        "deletion": [round(value, 4) for value in curves.deletion],
        "areas": [round(value, 5) for value in curves.areas],
    }


def doing(steps: list[Step], place: int, comparison: Comparison, language: str) -> dict:
    """What begins now, in words; nothing after the last step."""
    if place >= len(steps):
        return {}
    return {"doing": said(steps[place], "of", comparison, language), "place": place + 1, "count": len(steps)}


def said(step: Step, key: str, comparison: Comparison, language: str) -> str:
    """A step in words of `compare_{map or curves}_{key}`."""
    what, name = step
    label = say_or(f"method_{name}", comparison.explainer.methods[name].label, language)
    return say(f"compare_{what}_{key}", language, name=label)


def noted(done: Done, comparison: Comparison, language: str) -> list[str]:
    """What is to be said of a step that no GPU was lent for."""
    notes = [say(f"unlent_{done.unlent}", language)] if done.unlent else []
    if done.result is None and done.seconds:
        words = {"what": said(done.step, "named", comparison, language), "seconds": f"{done.seconds:.0f}"}
        notes.append(say("compare_too_long", language, **words))
    elif (made := getattr(done.result, "passes", None)) is not None:
        words = {"what": said(done.step, "named", comparison, language), "made": str(made)}
        notes.append(say("compare_fewer", language, all=str(comparison.passes(done.step[1])), **words))
    return notes


ASKS = {"compare": compare}
