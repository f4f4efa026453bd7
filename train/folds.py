"""Stratified K-fold cross-validation: the same recipe on each fold, then mean and spread.

K networks in OUT/fold-1 ... OUT/fold-K, each as a run leaves them, and OUT/folds.json. A fold that is done is not run
again on --resume.
"""

import json
import statistics
from pathlib import Path

from accelerate import PartialState

from abn.faithfulness.figures import ANSWERS, in_words
from train.recipes import Recipe
from train.report import write_json
from train.settings import Settings
from train.sources import Source

KEYS = tuple(figure.key for figure in ANSWERS)


def cross_validate(settings: Settings, recipe: Recipe, source: Source, fit, command: str) -> dict:
    """Run `fit` on each fold; return and write folds.json.

    Raises:
        FileExistsError: folds are there already, and it is not to be resumed.
        ValueError: the folds that are there are of another number of folds.
    """
    output, state = Path(settings.checkpoint), PartialState()
    if settings.resume is None and list(output.glob("fold-*")):
        raise FileExistsError(f"{output} holds an earlier run: go on with --resume, or choose another --checkpoint")
    state.wait_for_everyone()
    found = []
    for number in range(settings.folds):
        folder = output / f"fold-{number + 1}"
        done = folder / "metrics.json"
        if not done.is_file():
            state.print(f"fold {number + 1} of {settings.folds}", flush=True)
            fold = source.fold(number, settings.folds, settings.seed)
            more = {"fold": [number + 1, settings.folds]}
            fit(settings, recipe, fold, folder, command, resume_if_any=True, more=more)
            state.wait_for_everyone()
        found.append(json.loads(done.read_text()))
        which, count = found[-1]["fold"]
        if (which, count) != (number + 1, settings.folds):
            raise ValueError(f"{folder} is fold {which} of {count}, not of {settings.folds}")
    summary = {"folds": settings.folds, "mean": {}, "std": {}, "per_fold": []}
    for figure in KEYS:
        values = [metrics[figure] for metrics in found if figure in metrics]
        if values:
            summary["mean"][figure], summary["std"][figure] = statistics.fmean(values), statistics.stdev(values)
    summary["per_fold"] = [
        {key: metrics[key] for key in (*KEYS, "pictures", "confusion_matrix") if key in metrics} for metrics in found
    ]
    if not state.is_main_process:
        return summary
    write_json(output / "folds.json", summary)
    for number, metrics in enumerate(found, 1):
        print(f"fold {number}: {in_words(metrics, 'top1', 'loss')}")
    mean, std = summary["mean"], summary["std"]
    print(f"mean of {settings.folds} folds: top-1 {mean['top1']:.2f} ± {std['top1']:.2f} %  loss {mean['loss']:.4f}")
    return summary
