"""Pictures of a run: the confusion matrix, and the curves of loss, accuracy and rate."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from abn.lettering import for_plot, style


def confusion_matrix_png(matrix: Sequence[Sequence[int]], classes: Sequence[str], file: Path, title: str = "") -> None:
    """(K, K) counts, rows true and columns predicted, as a PNG; coloured by the share of the row, each cell its count.

    Counts are left out above 20 classes, names above 40.
    """
    from matplotlib.figure import Figure

    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    count = len(classes)
    side = min(max(5.5, 0.62 * count + 2), 14)
    figure = Figure(figsize=(side, side), layout="constrained")
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if count <= 40:
        names, look = list(map(for_plot, classes)), style(classes)
        axis.set_xticks(range(count), names, rotation=45, ha="right", fontsize=8, **look)
        axis.set_yticks(range(count), names, fontsize=8, **look)
    axis.set(xlabel="predicted", ylabel="true", title=title)
    if count <= 20:
        for (row, column), value in np.ndenumerate(counts):
            if value:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axis.text(column, row, str(value), ha="center", va="center", fontsize=8, color=colour)
    figure.savefig(file, dpi=120)


def curves_png(history: list[dict], file: Path) -> None:
    """Loss, accuracy and learning rate over the epochs, from a Trainer's log history."""
    from matplotlib.figure import Figure

    panels = {
        "loss": {"loss": "training", "eval_both_loss": "held out"},
        "top-1 (%)": {"eval_top1": "perception branch", "eval_attention_top1": "attention branch"},
        "learning rate": {"learning_rate": "learning rate"},
    }
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    for axis, (title, lines) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for key, label in lines.items():
            points = [(entry["epoch"], float(entry[key])) for entry in history if entry.get(key) is not None]
            if points:
                axis.plot(
                    *zip(*points, strict=True), label=label, linewidth=1.6, marker="." if len(points) < 30 else ""
                )
        axis.set(title=title, xlabel="epoch")
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
    figure.savefig(file, dpi=120)
