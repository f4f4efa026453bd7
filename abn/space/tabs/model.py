"""The Model tab: which model answers, and how good it was measured to be, from its metrics.json.

Everything in that file is another's text: numbers are taken as numbers, words are cut, and what is of another form is
left out.
"""

import contextvars
import math
import threading
from collections.abc import Iterator, Mapping

from ...faithfulness.figures import ANSWERS, MAPS, Figure
from ...families import FAMILIES
from ..context import Asked
from ..server.serving import Served, described, named

BESIDE = [family.beside for family in FAMILIES if family.beside]  # measured beside the network's own map
FIGURES = {figure.key: figure for figure in (*ANSWERS, *MAPS)}
ACCURACY = ("top1", "accuracy")
POINTING = ("pointing", "strokes")  # the second where there are no boxes
LARGEST = 1e9  # of a number that is shown
LETTERS = 300  # of a text
ROWS = 100  # classes listed
MATRIX_AT_MOST = 20  # classes
PROVENANCE = ("recipe", "command", "commit", "date", "hardware", "test_size")


def use(asked: Asked) -> Iterator[dict]:
    """Bring the model `name`: yields {share} while it is fetched, and at last {name, shown}. Nothing of the visitor's
    choice is kept here: he sends it with each question.

    Raises:
        ValueError: it cannot be had; says why.
    """
    name, outcome, share = asked.text("name").strip(), {}, [0.0]

    def work() -> None:
        try:
            outcome["served"] = asked.context.models.of(name, report=lambda value: share.__setitem__(0, value))
        except Exception as error:
            outcome["error"] = error

    context = contextvars.copy_context()  # whose request it is
    thread = threading.Thread(target=context.run, args=(work,), name=f"bring {name}", daemon=True)
    thread.start()
    thread.join(0.1)  # what is in memory is there by then
    while thread.is_alive():
        yield {"share": round(share[0], 2)}
        thread.join(0.3)
    if "error" in outcome:
        raise outcome["error"]
    served = outcome["served"]
    yield {"name": name, "shown": named(served.name, asked.language)}


def about(asked: Asked) -> dict:
    """What the tab says of the model that answers, and the names that can be chosen."""
    served, language = asked.served, asked.language
    return {
        "name": named(served.name, language),
        "description": described(served, language),
        "models": [[name, named(name, language)] for name in asked.context.models.listed()],
        **measured(served),
    }


def measured(served: Served) -> dict:
    """Of metrics.json: `large`, the three figures that tell most, and all others; empty where it holds none."""
    metrics = served.metrics or {}
    maps = metrics.get("explanation")
    maps = maps if isinstance(maps, Mapping) else {}
    chosen = [(_first(ACCURACY, metrics), metrics), (calibration_key(served), metrics), (_first(POINTING, maps), maps)]
    return {
        "large": [
            {"key": key, "value": value, **_on(key, source, metrics)}
            for key, source in chosen
            if key and (value := _shown(FIGURES[key], source))
        ],
        "answers": [[figure.key, value] for figure in ANSWERS if (value := _shown(figure, metrics))],
        "maps": _maps(maps),
        "classes": _per_class(metrics.get("per_class")),
        "matrix": _matrix(metrics.get("confusion_matrix"), served.explainer.labels),
        "made": [[name, words] for name in PROVENANCE if (words := _text(metrics.get(name)))],
    }


def calibration_key(served: Served) -> str:
    """The calibration error of the confidences that the page shows: scaled by a temperature where the checkpoint brings
    one, plain softmax else."""
    return "ece" if served.explainer.calibration.temperature == 1 else "ece_calibrated"


def _on(key: str, source: Mapping, metrics: Mapping) -> dict:
    """On how many pictures of which data; null where it is not said. `boxed`: on those with boxes, of another number
    than those of the other figures."""
    boxed = key == "pointing"
    count = None if boxed else _number(source.get("pictures"))
    dataset = _text(metrics.get("dataset"))
    return {"pictures": None if count is None else round(count), "dataset": dataset, "boxed": boxed}


def _first(keys: tuple[str, ...], values: Mapping) -> str | None:
    return next((key for key in keys if _number(values.get(key)) is not None), None)


def _number(value) -> float | None:
    """A finite number of no absurd size, else None."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST
    return float(value) if good and math.isfinite(value) else None


def _text(value) -> str | None:
    """A text, or a number as one, at most LETTERS long."""
    if isinstance(value, str):
        return value[:LETTERS] or None
    number = _number(value)
    return None if number is None else f"{number:g}"


def _shown(figure: Figure, values: Mapping) -> str | None:
    value = _number(values.get(figure.key))
    return None if value is None else figure.shown(value)


def _maps(values: Mapping) -> dict | None:
    """The network's own map's figures, and another method's beside them where they are there."""
    other = next((name for name in BESIDE if isinstance(values.get(name), Mapping)), None)
    rows = [
        [figure.key, own, _shown(figure, values[other]) if other else None]
        for figure in MAPS
        if (own := _shown(figure, values))
    ]
    if not rows:
        return None
    own = "rollout" if values.get("method") == "rollout" else "attention"
    return {"methods": [own, other] if other else [own], "rows": rows}


def _per_class(values) -> list[list[str]]:
    if not isinstance(values, Mapping):
        return []
    numbers = ((str(name)[:LETTERS], _number(value)) for name, value in list(values.items())[:ROWS])
    return [[name, f"{value:.1f} %"] for name, value in numbers if value is not None]


def _matrix(values, labels: list[str]) -> dict | None:
    """Rows true, columns predicted."""
    count = len(labels)
    square = isinstance(values, list) and len(values) == count <= MATRIX_AT_MOST
    if not square or not all(isinstance(row, list) and len(row) == count for row in values):
        return None
    numbers = [[_number(value) for value in row] for row in values]
    if any(value is None or value < 0 for row in numbers for value in row):
        return None
    return {"labels": [name[:LETTERS] for name in labels], "rows": [[round(value) for value in row] for row in numbers]}


ASKS = {"use": use, "about": about}
