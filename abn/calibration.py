"""How far to trust the scores: temperature scaling, and the energy below which a picture is probably of no known class.

Both are fitted on pictures of the training split that were held out of training, and kept beside the weights.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

CALIBRATION_NAME = "calibration.json"


@dataclass(frozen=True)
class Calibration:
    """Temperatures of both branches' softmax, and the energy score below which a picture looks like no known class.

    The default changes nothing: plain softmax, nothing called unfamiliar.
    """

    temperature: float = 1.0
    attention_temperature: float = 1.0
    energy_threshold: float | None = None
    percentile: float | None = None
    pictures: int | None = None

    @classmethod
    def load(cls, folder: str | Path) -> "Calibration":
        """The calibration kept in `folder`; the default where there is none.

        Raises:
            ValueError: the file is not a calibration.
        """
        file = Path(folder) / CALIBRATION_NAME
        if not file.is_file():
            return cls()
        try:
            found = cls(**json.loads(file.read_text()))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{CALIBRATION_NAME} is not a calibration: {error}") from None
        if not (found.temperature > 0 and found.attention_temperature > 0):
            raise ValueError(f"{CALIBRATION_NAME}: temperatures must be above 0")
        return found

    def save(self, folder: str | Path) -> None:
        (Path(folder) / CALIBRATION_NAME).write_text(json.dumps(asdict(self), indent=2) + "\n")

    def is_unfamiliar(self, score: float) -> bool:
        """Whether an `energy_score` lies below the threshold."""
        return self.energy_threshold is not None and score < self.energy_threshold

    @classmethod
    def fit(cls, logits: Tensor, attention_logits: Tensor, labels: Tensor, percentile: float = 5.0) -> "Calibration":
        """Fit on held-out pictures: (N, K) logits of both branches and (N,) class indices."""
        scores = energy_score(logits)
        return cls(
            temperature=fit_temperature(logits, labels),
            attention_temperature=fit_temperature(attention_logits, labels),
            energy_threshold=torch.quantile(scores, percentile / 100).item(),
            percentile=percentile,
            pictures=len(labels),
        )


def energy_score(logits: Tensor) -> Tensor:
    """(N, K) logits -> (N,) log sum exp: the negative energy of Liu et al. 2020 (arXiv:2010.03759), at temperature 1.

    Low where the network has seen nothing alike.
    """
    return torch.logsumexp(logits.double(), dim=-1)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The T that minimises the cross-entropy of softmax(logits / T) (Guo et al. 2017, arXiv:1706.04599).

    Convex in 1 / T; found by golden-section search between T = 1/20 and 20.
    """
    logits = logits.double()

    def loss(log_inverse: float) -> float:
        return F.cross_entropy(logits * torch.tensor(log_inverse).double().exp(), labels).item()

    low, high = -3.0, 3.0
    golden = (5**0.5 - 1) / 2
    for _ in range(60):
        third = golden * (high - low)
        left, right = high - third, low + third
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(torch.tensor(-(low + high) / 2).double().exp())
