"""How far to trust the scores: temperature scaling, and the energy below which a picture is probably of no known class.

The energy is that of both branches' logits and, weighed alike, the strength of the attention map: where a network sees
none of its classes it attends faintly. docs/bundled-weights.md says what each is worth.

Both are fitted on pictures that were held out of training, and kept beside the weights. `python -m abn.calibration`
fits them for any checkpoint; see `run`.
"""

import bisect
import json
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import AbnError
from ..files import whole

CALIBRATION_NAME = "calibration.json"


PERCENTILE = 5.0  # of the pictures that calibrate, this share is called unfamiliar
BRANCHES = ("perception", "both")
LEAST_SPREAD = 0.02  # of the maps' strengths: 2 %; below it they are all alike, and tell nothing but rounding
FAINTEST = 1e-4  # root mean square of a map
PERCENTS = torch.arange(101, dtype=torch.float64) / 100


@dataclass(frozen=True)
class Calibration:
    """Temperatures of both branches' softmax, and the energy score below which a picture looks like no known class.

    The default changes nothing: plain softmax, nothing called unfamiliar.

    Args:
        branches: whose energy the score is: the perception branch's, or the sum of both branches'.
        map_weight: of the attention map's strength, which is added to that; see `map_strength`.
        energies: the score at the 0th, 1st, ... 100th percentile of the pictures that calibrated.
        pictures: how many those were.
    """

    temperature: float = 1.0
    attention_temperature: float = 1.0
    energy_threshold: float | None = None
    percentile: float | None = None
    pictures: int | None = None
    branches: str = "perception"
    energies: tuple[float, ...] | None = None
    map_weight: float = 0.0

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
            said = json.loads(file.read_text())
            if said.get("energies") is not None:
                said["energies"] = tuple(map(float, said["energies"]))
            found = cls(**said)
        except (ValueError, TypeError, AttributeError) as error:
            raise AbnError("calibration_unreadable", file=CALIBRATION_NAME, reason=str(error)) from None
        if not all(_is_number(value) and value > 0 for value in (found.temperature, found.attention_temperature)):
            raise AbnError("calibration_temperatures", file=CALIBRATION_NAME)
        for name in ("energy_threshold", "percentile", "pictures", "map_weight"):
            if (value := getattr(found, name)) is not None and not _is_number(value):
                raise AbnError("calibration_number", file=CALIBRATION_NAME, name=name, value=value)
        if found.branches not in BRANCHES:
            known = " or ".join(BRANCHES)
            raise AbnError("calibration_branches", file=CALIBRATION_NAME, known=known, branches=found.branches)
        if found.energies is not None and (len(found.energies) < 2 or list(found.energies) != sorted(found.energies)):
            raise AbnError("calibration_energies", file=CALIBRATION_NAME)
        return found

    def save(self, folder: str | Path) -> None:
        text = json.dumps(asdict(self), indent=2)
        text = re.sub(r"\[[^\]]+\]", lambda found: re.sub(r"\s+", " ", found[0]), text)  # a list in one line
        with whole(Path(folder) / CALIBRATION_NAME) as aside:
            aside.write_text(text + "\n")

    def score(self, logits: Tensor, attention_logits: Tensor | None, attention_map: Tensor | None = None) -> Tensor:
        """(N, K) logits of both branches and (N, 1, h, w) attention maps -> (N,) energy scores, of what `branches` and
        `map_weight` say; of the perception branch alone where there is no other.

        Raises:
            ValueError: the maps have a weight, and are not given.
        """
        if attention_logits is None:
            return energy_score(logits)
        score = energy_score(logits)
        if self.branches == "both":
            score = score + energy_score(attention_logits)
        if self.map_weight:
            if attention_map is None:
                raise ValueError("the score needs the attention maps")
            score = score + self.map_weight * map_strength(attention_map).to(score)
        return score

    def is_unfamiliar(self, score: float) -> bool:
        """Whether a `score` lies below the threshold."""
        return self.energy_threshold is not None and score < self.energy_threshold

    def familiarity(self, score: float) -> float | None:
        """The share of the pictures that calibrated which score lower, 0 to 1; None where the file does not say."""
        if self.energies is None:
            return None
        place = bisect.bisect_left(self.energies, score)
        if place in (0, len(self.energies)):
            return float(place > 0)
        low, high = self.energies[place - 1 : place + 1]
        return (place - 1 + (score - low) / (high - low)) / (len(self.energies) - 1)

    @classmethod
    def fit(
        cls,
        logits: Tensor,
        attention_logits: Tensor | None,
        labels: Tensor,
        percentile: float = PERCENTILE,
        strengths: Tensor | None = None,
    ) -> "Calibration":
        """Fit on held-out pictures: (N, K) logits of both branches, where there are two, (N,) class indices and (N,)
        strengths of the attention maps, which then weigh as much as the energies: each by its standard deviation."""
        branches = BRANCHES[0] if attention_logits is None else "both"
        scores, weight = cls(branches=branches).score(logits, attention_logits), 0.0
        if attention_logits is not None and strengths is not None:
            spreads = [values.double().std(correction=0).item() for values in (scores, strengths)]
            weight = spreads[0] / spreads[1] if spreads[1] > LEAST_SPREAD else 0.0
            scores = scores + weight * strengths.to(scores)
        own = logits if attention_logits is None else attention_logits
        return cls(
            temperature=fit_temperature(logits, labels),
            attention_temperature=fit_temperature(own, labels),
            energy_threshold=torch.quantile(scores, percentile / 100).item(),
            percentile=percentile,
            pictures=len(labels),
            branches=branches,
            energies=tuple(round(value, 4) for value in torch.quantile(scores, PERCENTS).tolist()),
            map_weight=weight,
        )


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def energy_score(logits: Tensor) -> Tensor:
    """(N, K) logits -> (N,) log sum exp: the negative energy of Liu et al. 2020 (arXiv:2010.03759), at temperature 1.

    Low where the network has seen nothing alike.
    """
    return torch.logsumexp(logits.double(), dim=-1)


def map_strength(attention_map: Tensor) -> Tensor:
    """(N, 1, h, w) -> (N,): the logarithm of the map's root mean square, which a few strong places raise most.

    It is natural beside an energy, which is a logarithm as well, and does not depend on the grid's size.
    """
    return attention_map.double().square().mean((1, 2, 3)).sqrt().clamp(min=FAINTEST).log()


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
