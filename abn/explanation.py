"""From a picture to its explanation: the one pipeline, used by Python, the Space and its API alike."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel

from . import stopping
from .calibration import Calibration
from .checkpoints import load_calibration, load_checkpoint
from .classes import indices_by_name, names_of, shown_names
from .errors import AbnError
from .explained import Explanation
from .families import Abilities, Family, family_of
from .methods import Method, Parts, method_named
from .model.image_processing_abn import LONGEST_VIEW, AbnImageProcessor
from .model.pictures import Given, Reduced, fitted, load_rgb
from .names import nfc

BATCH = 32  # pictures a forward
BATCH_PIXELS = 4_000_000  # of all of them, as the network is given them
BATCH_BYTES = 1_000_000_000  # of what a network keeps beside its features

Picture = Given | Reduced
OnePicture = TypeVar("OnePicture", bound=Picture)
Upright = Image.Image | Reduced  # RGB
Target = str | int | np.integer | np.ndarray | Tensor  # the last two of no dimensions


@dataclass(frozen=True)
class Passed:
    """A forward pass of B pictures. pixels: (B, 3, H, W), on the network's device; targets: (B,) class indices."""

    pixels: Tensor
    parts: Parts
    targets: Tensor


def grey(picture: Upright) -> Upright:
    if isinstance(picture, Reduced):
        return replace(picture, pixels=_grey(picture.pixels))
    return _grey(picture)


def _grey(picture: Image.Image) -> Image.Image:
    return picture.convert("L").convert("RGB")


def _whole_number(value) -> int | None:
    """A whole number of Python, NumPy or PyTorch, or an array or tensor of one without dimensions; True is none."""
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    elif isinstance(value, (np.ndarray, np.generic)) and value.ndim == 0:
        value = value[()].item()
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class Explainer:
    """Explains pictures with one model of any of `abn.families`. Safe to call from several threads.

    family: its kind. abilities: what it allows beyond an answer and a map. methods: those it knows, by name. labels:
    what its classes are called in all that it gives; see `classes.shown_names`. indices: every name that `target` may
    be -> the classes it stands for.

    A model in half precision (float16, bfloat16) computes in it; what comes out is float32.

    Of a multi-task network `label` is the task most surely answered with yes, `probabilities` are every task's of yes
    (they do not sum to one), `target` names the task whose signed map is `attention_map`. A Vision Transformer sees the
    whole picture in both views (with a `VitImageProcessor`); it has no attention branch, and its map is the rollout's.

    Example:
        >>> explainer = Explainer.from_pretrained("compact")
        >>> explanation = explainer("golf.jpg")
        >>> explanation.label, explanation.overlay().shape
        ('golf ball', (480, 480, 3))
    """

    family: Family
    abilities: Abilities
    methods: dict[str, Method]

    def __init__(
        self,
        model: PreTrainedModel,
        processor: AbnImageProcessor,
        *,
        calibration: Calibration | None = None,
        device: str | torch.device | None = None,
    ):
        config = model.config
        self.family = family_of(config)
        self.abilities, self.methods = self.family.abilities(config), self.family.methods(config)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(f"device {str(self.device)!r} was asked for, but there is no CUDA device here")
        self.model = model.to(self.device, memory_format=torch.channels_last).eval()
        self.family.prepare(self.model)
        self.processor = processor
        self.calibration = calibration or Calibration()
        id2label = names_of(config)
        self.labels = shown_names(id2label)
        self.indices = indices_by_name(id2label, config.label2id)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        device: str | torch.device | None = None,
        residual_attention: bool | None = None,
        **where,
    ) -> "Explainer":
        """Load a Hub id, a folder, a .safetensors file, a .pth.tar of ABN's authors, or "compact", the bundled network.

        Args:
            device: CUDA where there is one, else the CPU, if None.
            residual_attention: in place of what the checkpoint says; a lone file does not tell and counts as residual.
            where: `revision`, `cache_dir`, `token`, `local_files_only`, as everywhere in transformers.

        Raises:
            ValueError: it is not an ABN checkpoint; says what was found and what was expected.
            OSError: it cannot be found or fetched.
        """
        model, processor = load_checkpoint(source, residual_attention=residual_attention, **where)
        return cls(model, processor, calibration=load_calibration(source, **where), device=device)

    @overload
    def __call__(
        self, pictures: Picture, *, method: str = "attention", target: Target | None = None, view: str = "model"
    ) -> Explanation: ...
    @overload
    def __call__(
        self,
        pictures: list[OnePicture] | tuple[OnePicture, ...],
        *,
        method: str = "attention",
        target: Target | None = None,
        view: str = "model",
    ) -> list[Explanation]: ...

    def __call__(
        self,
        pictures: Picture | list | tuple,
        *,
        method: str = "attention",
        target: Target | None = None,
        view: str = "model",
    ) -> Explanation | list[Explanation]:
        """Explain one picture, or a list of them in one batch (a list gives a list, in the same order).

        Args:
            pictures: PIL pictures, arrays (`pictures.from_array`), tensors of one picture or paths.
            method: "attention", the attention map, or another of `abn.methods.METHODS`.
            target: the class to explain, by any of its names or its index; each picture's predicted class if None. The
                attention map, EigenCAM and the baselines are the same for every class (`METHODS[name].uses_target` is
                False).
            view: "model" (the processor's own resize and crop) or "whole" (aspect kept, nothing cropped).

        Raises:
            ValueError: what is no picture; an unknown method, class or view; names the allowed ones.
            TypeError: a picture of another type.
            FileNotFoundError: a path that does not exist.
        """
        how, index = method_named(method, self.methods), self.target_index(target)
        if not isinstance(pictures, (list, tuple)):
            return self._explain([self.read(pictures, view)], how, index, view)[0]
        return self._explain([self.read(picture, view) for picture in pictures], how, index, view)

    def read(self, picture: Picture, view: str = "model") -> Upright:
        """A picture as this explainer's other methods take it: upright RGB, a large JPEG at no more of its size than
        the view needs. Errors as `__call__`'s."""
        return load_rgb(picture, lambda size: self.processor.enough(size, view))

    @torch.no_grad()
    def explain_with_features(self, picture: Picture, view: str = "model") -> tuple[Explanation, Tensor]:
        """Explain one picture by its attention map, and give the (1, C, h, w) features that `perceive` takes.

        Raises:
            ValueError: as `__call__`'s; or the network has no map that can be edited, see `Abilities`.
        """
        self._editable()
        pictures = [self.read(picture, view)]
        passed = self.forward(pictures, view)
        features = passed.parts.features
        assert features is not None  # an editable network has them
        return self._made(pictures, self.methods["attention"], view, passed)[0], features

    @torch.no_grad()
    def forward(self, pictures: list[Upright], view: str, target: int | None = None) -> Passed:
        """The forward pass that every method starts from; upright RGB pictures of equal input shape."""
        pixels = self.pixel_values(pictures, view)
        pixels = pixels.to(self.device, memory_format=torch.channels_last)
        parts = self.parts(pixels)
        predicted = parts.logits.argmax(1)
        return Passed(pixels, parts, predicted if target is None else torch.full_like(predicted, target))

    @torch.no_grad()
    def perceive(self, features: Tensor, attention_map: Tensor) -> dict[str, float]:
        """The perception branch alone: (1, C, h, w) features and a (1, 1, h, w) map -> class -> probability.

        Raises:
            ValueError: as `explain_with_features`'s.
        """
        logits = self._editable()(self.model, features, attention_map)
        return self._probabilities(logits[0].float().cpu() / self.calibration.temperature)

    def _editable(self) -> Callable[[PreTrainedModel, Tensor, Tensor], Tensor]:
        """`Family.perceive`. Raises: ValueError: the network has no map that can be edited."""
        if not self.abilities.editable or self.family.perceive is None:
            raise AbnError(f"uneditable_{self.abilities.uneditable}")
        return self.family.perceive

    @torch.no_grad()
    def every_task(
        self,
        pictures: Sequence[Picture],
        *,
        method: str = "attention",
        view: str = "model",
        tasks: Sequence[Target] | None = None,
    ) -> list[dict[str, Explanation]]:
        """For each picture, a multi-task network's explanation for every task, or for `tasks`, from one forward pass:
        name -> explanation.

        Raises:
            As `__call__`; and ValueError: the network answers no tasks.
        """
        if not self.abilities.tasks:
            raise AbnError("no_tasks")
        how, opened = method_named(method, self.methods), [self.read(picture, view) for picture in pictures]
        indices = [self.target_index(task) for task in (range(len(self.labels)) if tasks is None else tasks)]
        found: list[dict[str, Explanation]] = [{} for _ in opened]
        for members in self.batches(opened, view):
            batch = [opened[i] for i in members]
            passed = self.forward(batch, view)
            for index in indices:
                targets = torch.full_like(passed.targets, index)
                made = self._made(batch, how, view, Passed(passed.pixels, passed.parts, targets))
                for place, explanation in zip(members, made, strict=True):
                    found[place][self.labels[index]] = explanation
        return found

    @overload
    def target_index(self, target: None) -> None: ...
    @overload
    def target_index(self, target: Target) -> int: ...

    def target_index(self, target: Target | None) -> int | None:
        """A class's name or index as its index; None stays None.

        Args:
            target: any of the class's names, or its index: Python's, NumPy's or PyTorch's, also as an array or tensor
                of no dimensions.

        Raises:
            ValueError: there is no such class, or several bear the name.
        """
        if target is None:
            return None
        if isinstance(target, str) and (found := self.indices.get(target) or self.indices.get(nfc(target))):
            if len(found) > 1:
                named = ", ".join(repr(self.labels[index]) for index in found)
                raise AbnError("target_ambiguous", target=target, count=len(found), named=named)
            return found[0]
        index = _whole_number(target)
        if index is not None and 0 <= index < len(self.labels):
            return index
        raise AbnError("target_unknown", target=target, classes=self.labels)

    def _explain(self, pictures: list[Upright], method: Method, target: int | None, view: str) -> list[Explanation]:
        explanations: dict[int, Explanation] = {}
        for chosen in self.batches(pictures, view):
            made = self._one_batch([pictures[i] for i in chosen], method, view, target)
            explanations.update(zip(chosen, made, strict=True))
        return [explanations[index] for index in range(len(pictures))]

    def batches(self, pictures: Sequence[Upright], view: str) -> Iterator[list[int]]:
        """The pictures' places, in batches: those of equal input shape share a forward."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, picture in enumerate(pictures):
            groups[self.processor.geometry((picture.height, picture.width), view).crop].append(index)
        for shape, members in groups.items():
            most = self.most(shape)
            for start in range(0, len(members), most):
                stopping.check()
                yield members[start : start + most]

    def most(self, shape: tuple[int, int]) -> int:
        """How many pictures of (height, width) for the network a forward pass takes: their pixels are bounded."""
        bytes_a_picture = self.family.picture_bytes(self.model.config)
        by_memory = BATCH_BYTES // bytes_a_picture if bytes_a_picture else BATCH
        return max(1, min(BATCH, BATCH_PIXELS // (shape[0] * shape[1]), by_memory))

    def _one_batch(self, batch: list[Upright], method: Method, view: str, target: int | None) -> list[Explanation]:
        """In halves where the GPU's memory does not hold the whole."""
        try:
            return self._made(batch, method, view, self.forward(batch, view, target))
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise AbnError("gpu_picture") from None
        torch.cuda.empty_cache()
        half = len(batch) // 2
        return [one for part in (batch[:half], batch[half:]) for one in self._one_batch(part, method, view, target)]

    @torch.no_grad()
    def _made(self, pictures: list[Upright], method: Method, view: str, passed: Passed) -> list[Explanation]:
        """What a method makes of a forward pass."""
        parts, targets = passed.parts, passed.targets
        maps = method.compute(self.model, passed.pixels, parts, targets)[:, None].cpu()
        logits, own = parts.logits.float().cpu(), parts.attention_logits
        own = None if own is None else own.float().cpu()
        energies = self.calibration.score(logits, own, parts.attention_map.float().cpu()).tolist()
        own = None if own is None else own / self.calibration.attention_temperature
        attention_maps = self.family.shown_maps(parts, targets).float().cpu()
        sizes = [(picture.height, picture.width) for picture in pictures]
        views = [self.seen(picture, view) for picture in pictures]
        heatmaps = self.processor.post_process_attention(maps, sizes, view, [seen.shape[:2] for seen in views])
        explanations = []
        for i in range(len(pictures)):
            probabilities = self._probabilities(logits[i] / self.calibration.temperature)
            explanations.append(
                Explanation(
                    label=next(iter(probabilities)),
                    probabilities=probabilities,
                    attention_probabilities={} if own is None else self._probabilities(own[i]),
                    attention_map=attention_maps[i].numpy().copy(),  # no memory that anything else holds
                    view=views[i],
                    heatmap=heatmaps[i].clamp(0, 1).numpy(),
                    grid=maps[i, 0].float().numpy().copy(),
                    geometry=self.processor.geometry(sizes[i], view),
                    energy=energies[i],
                    unfamiliar=self.calibration.is_unfamiliar(energies[i]),
                    method=method.name,
                    target=self.labels[targets[i]] if method.uses_target else None,
                    familiarity=self.calibration.familiarity(energies[i]),
                )
            )
        return explanations

    def pixel_values(self, pictures: list[Upright], view: str) -> Tensor:
        """(B, C, H, W), normalised: what the network is given for upright RGB pictures of equal input shape."""
        if self.abilities.channels == 1:
            pictures = [grey(picture) for picture in pictures]
        return self.processor(pictures, view=view, return_tensors="pt")["pixel_values"][:, : self.abilities.channels]

    def parts(self, pixels: Tensor) -> Parts:
        """The network's forward pass, as the methods need it."""
        return self.family.forward(self.model, pixels)

    def seen(self, picture: Upright, view: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB: the part of an upright RGB picture that the view shows, at most 1024 pixels a side."""
        box = self.processor.geometry((picture.height, picture.width), view).box
        sides = (box[2] - box[0], box[3] - box[1])
        size = fitted(sides, LONGEST_VIEW)
        if isinstance(picture, Reduced):
            return np.array(picture.part(box, size, Image.Resampling.LANCZOS))  # writable, which `asarray` is not
        seen = picture if sides == picture.size else picture.crop(box)
        return np.array(seen if size == sides else seen.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))

    def _probabilities(self, logits: Tensor) -> dict[str, float]:
        values, order = self.family.answers(logits)
        return {self.labels[i]: values[i].item() for i in order.tolist()}
