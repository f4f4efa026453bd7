"""The one table of figures: what metrics.json and faithfulness.json hold, and how the benchmark, a run's summary, model
cards, folds and the page print it.

A new figure is a line here. The page says it in other languages by the key `figure_` + its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A number that is measured.

    key: its name in metrics.json or in a method's row of faithfulness.json. form: as for `format`. words: what it is,
    in English. unit: "%" or none. column: its head in a table of many columns. metric: its name in a model-index.
    of_map: it tells of a map, and not of the pictures alone.
    """

    key: str
    form: str
    words: str
    unit: str = ""
    column: str = ""
    metric: str = ""
    of_map: bool = True

    def shown(self, value: float) -> str:
        """ "92.51 %" """
        return format(value, self.form) + (f" {self.unit}" if self.unit else "")


ANSWERS = (
    Figure("top1", ".2f", "top-1", unit="%", metric="top-1 accuracy"),
    Figure("top5", ".2f", "top-5", unit="%", metric="top-5 accuracy"),
    Figure("accuracy", ".2f", "mean accuracy over tasks", unit="%", metric="mean accuracy"),
    Figure("attention_top1", ".2f", "attention branch alone, top-1", unit="%"),
    Figure("attention_accuracy", ".2f", "attention branch alone, mean accuracy", unit="%"),
    Figure("loss", ".4f", "loss"),
    Figure("ece", ".4f", "expected calibration error"),
    Figure("ece_calibrated", ".4f", "expected calibration error after temperature scaling"),
    Figure("aspect_cost", ".2f", "top-1 lost where pictures are stretched to 4:3 or 3:4, centre crop", unit="%"),
    Figure("aspect_cost_whole", ".2f", "top-1 lost where pictures are stretched to 4:3 or 3:4, whole", unit="%"),
)
MAPS = (
    Figure("insertion", ".3f", "insertion", column="insertion"),
    Figure("deletion", ".3f", "deletion", column="deletion"),
    Figure("difference", ".3f", "insertion - deletion", column="ins - del"),
    Figure("pointing", ".3f", "pointing game", column="pointing"),
    Figure("energy", ".3f", "energy in the box", column="energy"),
    Figure("strokes", ".3f", "share on the strokes", column="on strokes"),
    Figure("strokes_area", ".3f", "the strokes' share of the picture", column="strokes' area", of_map=False),
)
BENCHMARK = (  # what it measures beside
    Figure("similarity_to_shuffled", ".2f", "similarity to maps of shuffled weights", column="shuffled"),
    Figure("milliseconds", ".1f", "milliseconds", column="ms"),
)


def measured(figures: tuple[Figure, ...], values: Mapping[str, float | None]) -> list[tuple[Figure, float]]:
    """Those of the figures that have a value, with it."""
    return [(figure, value) for figure in figures if (value := values.get(figure.key)) is not None]


def in_words(values: Mapping[str, float | None], *keys: str) -> str:
    """Answers' figures in a line, those that have a value: "top-1 92.51 %  loss 0.6500"."""
    chosen = tuple(figure for key in keys for figure in ANSWERS if figure.key == key)
    return "  ".join(f"{figure.words} {figure.shown(value)}" for figure, value in measured(chosen, values))
