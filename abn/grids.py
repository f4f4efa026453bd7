"""Pictures and their overlays on a matplotlib figure: a pair an explanation, or a row of tasks a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .explained import Explanation
from .lettering import for_plot, style
from .names import same

if TYPE_CHECKING:  # matplotlib is imported where a figure is made
    from matplotlib.figure import Figure


def layout(pairs: int) -> tuple[int, int]:
    """(rows, pairs a row): near a square and, where that can be, without a gap. 10 pairs: 2 rows of 5."""
    rows = int(pairs**0.5)
    rows = next((r for r in range(rows, 1, -1) if pairs % r == 0), max(1, rows))
    return rows, -(-pairs // rows)


def grid(explanations: Sequence[Explanation], truth: Sequence[str], alpha: float, show: bool = False) -> "Figure":
    """A matplotlib figure of picture and overlay side by side, a pair an explanation."""
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    look = style([*truth, *(explanation.label for explanation in explanations)])
    rows, columns = layout(len(explanations))
    size = (2.4 * 2 * columns, 2.85 * rows)
    figure = pyplot.figure(figsize=size, layout="constrained") if show else Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, 2 * columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for place, (explanation, name) in enumerate(zip(explanations, truth, strict=True)):
        row, column = divmod(place, columns)
        left, right = axes[row, 2 * column], axes[row, 2 * column + 1]
        left.imshow(explanation.view)
        left.set_title(f"true: {for_plot(name)}", fontsize=8, **look)
        right.imshow(explanation.overlay(alpha))
        confidence = explanation.probabilities[explanation.label]
        colour = "green" if same(explanation.label, name) else "red"
        title = f"predicted: {for_plot(explanation.label)}\n{confidence:.1%}"
        right.set_title(title, fontsize=8, color=colour, **look)
    return figure


def task_rows(rows: Sequence[dict[str, Explanation]], alpha: float, show: bool = False) -> "Figure":
    """A matplotlib figure: a row a picture, itself and then its overlay for every task, titled with how likely yes."""
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    columns = 1 + len(rows[0])
    size = (2.4 * columns, 2.7 * len(rows))
    figure = pyplot.figure(figsize=size) if show else Figure(figsize=size)
    figure.subplots_adjust(0, 0, 1, 0.92, 0.05, 0.25)
    look = style(rows[0])
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, explanations in zip(axes, rows, strict=True):
        line[0].imshow(next(iter(explanations.values())).view)
        for axis, (task, explanation) in zip(line[1:], explanations.items(), strict=True):
            axis.imshow(explanation.overlay(alpha))
            axis.set_title(f"{for_plot(task)}\n{explanation.probabilities[task]:.1%}", fontsize=8, **look)
        for axis in line:
            axis.set_axis_off()
    return figure
