"""How good answers are: accuracy, cross-entropy, calibration; of classes and of yes-or-no tasks."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import EvalPrediction

from abn.model.modeling_multitask import scores as yes


def of_prediction(prediction: EvalPrediction) -> dict[str, float]:
    """The scores of what transformers' Trainer predicted, rounded; `loss` under the name of "both_loss", since Trainer
    has a loss of its own."""
    predictions = prediction.predictions
    logits, attention_logits = predictions[:2] if isinstance(predictions, tuple) else (predictions, None)
    labels = torch.from_numpy(prediction.label_ids)
    score = task_scores if labels.ndim == 2 else scores
    attention_logits = None if attention_logits is None else torch.from_numpy(attention_logits)
    found = score(torch.from_numpy(logits), attention_logits, labels)
    return {("both_loss" if name == "loss" else name): round(value, 4) for name, value in found.items()}


def scores(logits: Tensor, attention_logits: Tensor | None, labels: Tensor) -> dict[str, float]:
    """Top-1 and top-5 of the perception branch, top-1 of the attention branch (per cent), and both cross-entropies.

    `loss` is their sum, as in training and in the reference. Without an attention branch its entries are missing.
    """
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    perception = F.cross_entropy(logits, labels).item()
    found = {
        "top1": 100 * best[:, 0].float().mean().item(),
        "top5": 100 * best.any(1).float().mean().item(),
        "loss": perception,
        "perception_loss": perception,
    }
    if attention_logits is not None:
        attention = F.cross_entropy(attention_logits, labels).item()
        found |= {
            "attention_top1": 100 * (attention_logits.argmax(1) == labels).float().mean().item(),
            "loss": perception + attention,
            "attention_loss": attention,
        }
    return found


def expected_calibration_error(logits: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Guo et al. 2017 (arXiv:1706.04599): sum over equal bins of confidence of |accuracy - mean confidence|, weighted
    by the bin's share of the pictures."""
    confidence, predicted = logits.double().softmax(1).max(1)
    place = (confidence * bins).long().clamp(max=bins - 1)
    right = (predicted == labels).double()
    total = sum((right - confidence)[place == i].sum().abs() for i in range(bins))
    return (total / len(labels)).item()


def confusion_matrix(logits: Tensor, labels: Tensor) -> list[list[int]]:
    """(K, K) counts: rows true, columns predicted."""
    count = logits.shape[1]
    return (labels * count + logits.argmax(1)).bincount(minlength=count**2).view(count, count).tolist()


def details(logits: Tensor, labels: Tensor, classes: Sequence[str], temperature: float = 1.0) -> dict:
    """Per-class accuracy (per cent), the expected calibration error as it is and with `temperature`, the confusion
    matrix."""
    matrix = confusion_matrix(logits, labels)
    return {
        "ece": expected_calibration_error(logits, labels),
        "ece_calibrated": expected_calibration_error(logits / temperature, labels),
        "per_class": {
            name: 100 * row[i] / sum(row) for i, (name, row) in enumerate(zip(classes, matrix, strict=True)) if sum(row)
        },
        "confusion_matrix": matrix,
    }


def task_scores(logits: Tensor, attention_logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Mean accuracy over pictures and tasks of both branches (per cent), and both binary cross-entropies.

    Args:
        logits: (N, T) or (N, 2, T). attention_logits: (N, T). labels: (N, T) of 0 and 1.
    """
    labels = labels.float()
    answers, others = yes(logits), attention_logits.sigmoid()
    perception, attention = (F.binary_cross_entropy(p, labels).item() for p in (answers, others))
    return {
        "accuracy": 100 * ((answers > 0.5) == (labels > 0.5)).float().mean().item(),
        "loss": perception + attention,
        "perception_loss": perception,
        "attention_accuracy": 100 * ((others > 0.5) == (labels > 0.5)).float().mean().item(),
        "attention_loss": attention,
    }


def task_details(logits: Tensor, labels: Tensor, tasks: tuple[str, ...]) -> dict:
    """Each task's accuracy, balanced accuracy (the mean over yes and no) and share of yes, per cent."""
    right = (yes(logits) > 0.5) == (labels > 0.5)
    per_class, balanced, positives = {}, {}, {}
    for place, task in enumerate(tasks):
        one, truth = right[:, place].float(), labels[:, place] > 0.5
        per_class[task] = 100 * one.mean().item()
        halves = [one[part].mean().item() for part in (truth, ~truth) if part.any()]
        balanced[task] = 100 * sum(halves) / len(halves)
        positives[task] = 100 * truth.float().mean().item()
    return {"per_class": per_class, "balanced": balanced, "positives": positives}
