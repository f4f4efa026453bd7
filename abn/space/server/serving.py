"""Which model answers: the bundled one at once, the wanted one as soon as it is there."""

import contextlib
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ... import hub
from ...checkpoints import BUNDLED as BUNDLED_FOLDER
from ...explanation import Explainer, Explanation, Picture, Upright
from ...model.errors import KeyedError
from ...model.pictures import Reduced
from ...tuning import tuned
from ..drawings import DRAWINGS
from ..faults import Fault, in_words
from ..locale import LANGUAGES, say
from .batching import Batcher
from .lending import ZERO_GPU, Unlent, borrow, is_on_loan, offer
from .metrics_file import metrics_of
from .turns import Turns
from .zero_gpu import PICTURE

DEFAULT = "yukiharada1228/abn-resnet152-imagenette"
BUNDLED = "compact"
BUNDLED_NAME = "bundled compact network"
CLOSE = 0.05  # of a probability
LONGEST = 200  # characters of a value in the reason why a model is refused
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")

LARGE = 8_000_000  # pixels from which on a picture keeps its place there until it is explained
_DECODING = Turns(2)  # a large picture takes hundreds of megabytes on its way to RGB


@dataclass(frozen=True)
class Served:
    """A model that answers: what the page calls it, and the explainer.

    metrics: its metrics.json, as its author wrote it; None without one.
    quick: for the page: the tuned network where `tune` found that it agrees, else `lasting`. Programs get the network's
    own numbers.
    batched, quick_batched: explain single pictures; those that come together share a forward pass.
    on_cpu: the same model on the CPU, where `explainer` has a borrowed GPU (ZeroGPU), which nothing may outlive.
    """

    name: str
    explainer: Explainer
    on_cpu: Explainer | None = None
    metrics: dict | None = None

    def __post_init__(self):
        object.__setattr__(self, "batched", Batcher(self.lasting))
        object.__setattr__(self, "quick", self.lasting)
        object.__setattr__(self, "quick_batched", self.batched)

    def tune(self) -> bool:
        """Let `quick` be the tuned network where it agrees with this one on the drawings; whether it does."""
        explainer = self.lasting
        if not explainer.abilities.tunable:
            return False
        other, pictures = tuned(explainer), [str(file) for file in DRAWINGS.values()]
        ours, theirs = explainer(pictures, view="whole"), other(pictures, view="whole")
        if not all(agree(one, another) for one, another in zip(ours, theirs, strict=True)):
            return False
        object.__setattr__(self, "quick", other)
        object.__setattr__(self, "quick_batched", Batcher(other))
        return True

    @property
    def lasting(self) -> Explainer:
        """The explainer for what lives longer than one call: comparisons, edits, the gallery."""
        return self.on_cpu or self.explainer

    @property
    def description(self) -> str:
        """What it is, in English."""
        return described(self, "en")


def agree(one: Explanation, other: Explanation) -> bool:
    """Whether two answers to the same picture name the same class, and no probability differs by more than CLOSE."""
    away = max(abs(share - other.probabilities[name]) for name, share in one.probabilities.items())
    return one.label == other.label and away <= CLOSE


@dataclass(frozen=True)
class Status:
    """What the page says about the model. state: "ready", "loading" or "refused"."""

    model: str
    description: str
    state: str
    wanted: str
    share: float = 0.0
    reason: KeyedError | None = None


class Serving:
    """Holds the model in use. Reading `current` is safe from any thread; it changes at most once, as a whole."""

    def __init__(self, wanted: str = DEFAULT):
        """Load the bundled model; `start` brings the wanted one.

        Args:
            wanted: a Hub id, a folder, a .safetensors file, or "compact".

        Raises:
            ValueError: `wanted` is none of these.
        """
        self.local = bool(wanted) and Path(wanted).exists()
        if wanted != BUNDLED and not self.local and not HUB_ID.match(wanted):
            raise ValueError(
                f"--checkpoint {wanted!r} is neither a folder, a file, a Hub id (owner/name) nor 'compact'"
            )
        self.wanted = wanted
        device = "cpu" if ZERO_GPU else None  # quick enough there not to spend a visitor's GPU seconds
        self.bundled = Served(
            BUNDLED_NAME,
            Explainer.from_pretrained(BUNDLED, device=device),
            metrics=metrics_of(BUNDLED_FOLDER),
        )
        self.current = self.bundled
        self.state = "ready" if wanted == BUNDLED else "loading"
        self.share = 0.0
        self.reason: KeyedError | None = None

    def start(self, at_once: bool = False) -> None:
        """Bring the wanted model: in the background, or at once where ZeroGPU wants models at start, or where that is
        asked for and it lies on this machine."""
        if not ZERO_GPU:
            threading.Thread(target=self.bundled.tune, name="tuning", daemon=True).start()
        if self.wanted == BUNDLED:
            return
        if ZERO_GPU or (at_once and self.local):
            self._bring()
        else:
            threading.Thread(target=self._bring, name="model", daemon=True).start()

    def status(self) -> Status:
        state = self.state  # before `current`: who reads "ready" must see the model that is
        served = self.current
        return Status(served.name, served.description, state, self.shown_name, self.share, self.reason)

    @property
    def shown_name(self) -> str:
        """What the page calls the wanted model: no path of this machine."""
        return Path(self.wanted).resolve().name if self.local else self.wanted

    def _bring(self) -> None:
        source = Path(self.wanted)
        try:
            if not self.local:
                print(f"Fetching {self.wanted} from the Hub; the bundled network answers meanwhile.", flush=True)
                source = hub.fetch(self.wanted, report=self._report)
            explainer = Explainer.from_pretrained(source)
            on_cpu = Explainer.from_pretrained(source, device="cpu") if ZERO_GPU else None
            if not ZERO_GPU:
                explainer(np.zeros((64, 64, 3), np.uint8))  # the first forward is slow: not a visitor's
        except Exception as error:  # whatever is wrong with it, the bundled model goes on
            self._refuse(error, source)
            return
        if ZERO_GPU:
            offer(explainer)
        served = Served(self.shown_name, explainer, on_cpu, metrics_of(source))
        self.current = served
        self.state = "ready"
        if not ZERO_GPU:
            served.tune()
        print(f"Serving {self.wanted} ({self.current.description}).", flush=True)

    def _report(self, share: float) -> None:
        self.share = share

    def _refuse(self, error: Exception, source: Path) -> None:
        self.reason = reason_of(error, source, self.shown_name)
        self.state = "refused"
        print(f"{self.wanted} is not in use: {in_words(self.reason, 'en')}. The bundled network stays.", flush=True)


def described(served: Served, language: str, explainer: Explainer | None = None) -> str:
    """Architecture, size and device in words. explainer: which of the model's two answered; `explainer` if None."""
    explainer = explainer or served.explainer
    shape = explainer.family.shape(explainer.model.config)
    millions = f"{explainer.model.num_parameters() / 1e6:.1f}"
    device = {"cuda": "GPU", "cpu": "CPU"}.get(explainer.device.type, explainer.device.type)
    if shape.layers:
        size = {"layers": shape.layers, "width": shape.width}
        return say("described_vit", language, **size, parameters=millions, device=device)
    width = "" if shape.width == 64 else say("described_width", language, width=shape.width)
    return say(
        "described",
        language,
        arch=shape.arch.replace("resnet", "ResNet-"),
        width=width,
        parameters=millions,
        device=device,
    )


def in_both(served: Served, explainer: Explainer | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """(name, description), each in both languages."""
    names = {language: named(served.name, language) for language in LANGUAGES}
    return names, {language: described(served, language, explainer) for language in LANGUAGES}


def named(name: str, language: str) -> str:
    """A model's name as the page says it."""
    return say("bundled_name", language) if name == BUNDLED_NAME else name


@dataclass(frozen=True)
class Answer:
    """An explanation, the seconds it took, and why the CPU gave it where a GPU was asked for ("quota", "none_free" or
    "failed"; "" where none was)."""

    explanation: Explanation
    seconds: float
    unlent: str = ""


def answer(served: Served, picture: Picture, view: str, quick: bool = False) -> Answer:
    """Explain a picture, on a borrowed GPU where there is one for that model. quick: by `quick_batched`.

    Raises:
        Left: the visitor left while waiting for a GPU.
        Others as `Explainer`'s.
    """
    with contextlib.ExitStack() as held:
        held.enter_context(_DECODING.turn())
        # Here: an error raised on ZeroGPU would lose its words, and cost a loan
        picture = served.lasting.read(picture, view)
        if isinstance(picture, Reduced) or picture.width * picture.height < LARGE:
            held.close()
        return _answered(served, picture, view, quick)


def _answered(served: Served, picture: Upright, view: str, quick: bool) -> Answer:
    started, unlent = time.perf_counter(), ""
    if is_on_loan(served.explainer):
        try:
            explanation = borrow(_explained, picture, view, seconds=PICTURE)
            return Answer(explanation, time.perf_counter() - started)
        except Unlent as refused:
            started, unlent = time.perf_counter(), refused.why
    explain = served.quick_batched if quick else served.batched
    return Answer(explain(picture, view), time.perf_counter() - started, unlent)


def _explained(explainer: Explainer, picture: Picture, view: str) -> Explanation:
    return explainer(picture, view=view)


def reason_of(error: Exception, source: Path, shown_name: str) -> KeyedError:
    """Why a model cannot be had, in one line without paths of this machine, and no longer than a person reads."""

    def shown(value):
        if isinstance(value, (str, Path)):
            words = str(value).replace(str(source), shown_name)
            words = words.replace(f"{source.parent}/", "") if source.exists() else words
        elif len(words := repr(value)) <= LONGEST:
            return value
        return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"

    if isinstance(error, torch.cuda.OutOfMemoryError):
        return Fault("fault_gpu_memory")
    if isinstance(error, KeyedError):
        return error.changed(shown)
    if isinstance(error, (ValueError, OSError)):
        return Fault("fault_other", reason=str(error).strip().split("\n")[0]).changed(shown)
    print(f"{shown_name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
    return Fault("stranger_broken")
