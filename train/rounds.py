"""The fine-tuning rounds of a run: what each begins with, the teacher's maps, and the mean that they end in."""

import copy
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn

from abn import Explainer
from abn.files import save_tensors
from abn.model.image_processing_abn import AbnImageProcessor
from abn.tuning import tuned
from train.dataset import PictureDataset
from train.ema import ExponentialAverage
from train.recipes import Recipe
from train.remedy import steeper, teacher_maps
from train.schedule import Place, place, tuning_rounds


class Tuning:
    """The rounds of a run in `folder`: 0, the class training, the fine-tuning rounds 1, 2, ..., and the final one.

    current: the round that the run is in. maps: (N, 1, GRID, GRID), the attention remedy's targets, a map a training
    picture, made by the network that the round starts from; None where there are none. adviser: the network that the
    first of the rounds started from, as `rounds.distil` asks it, a quick copy; in the final round there is none.
    """

    def __init__(self, recipe: Recipe, folder: Path, data: PictureDataset, processor: AbnImageProcessor):
        self.recipe, self.folder, self.data, self.processor = recipe, folder, data, processor
        self.current: int | None = None
        self.maps: Tensor | None = None
        self.adviser: nn.Module | None = None

    def enter(
        self,
        now: Place,
        steps: int,
        model: nn.Module,
        average: ExponentialAverage | None,
        optimizer: torch.optim.Optimizer,
        accelerator: Accelerator,
    ) -> None:
        """Begin a round, or go on with one after a resumption.

        A fine-tuning round begins from the averaged weights, with nothing of the optimiser's; they are its teacher. The
        final round begins from what the run would have ended in without it, as it would have been saved.

        Raises:
            FileNotFoundError: the maps, or the adviser, of a round that is gone on with are missing.
        """
        self.current = now.round
        if not now.round:
            return
        first = accelerator.is_main_process
        maps_file = self.folder / f"teacher-maps-{now.round}.safetensors"
        if now.first:
            before = max([0, *(other for other in tuning_rounds(self.recipe, steps) if other < now.round)])
            start = model.state_dict() if average is None else average.average
            rounds = self.recipe.rounds
            if first and (rounds.distil or rounds.before_share if before == 0 else average is not None):
                save_tensors(start, self._file(before))
            if average is not None:
                if now.final:
                    self._finish(average, steps)
                    if self.recipe.training.half_precision:
                        average.round_to_half()
                model.load_state_dict(average.average)
                average.steps = 0
            optimizer.state.clear()
            if self.recipe.remedy.attention_weight and first:
                maps = teacher_maps(model, self.data, self.processor, self.recipe.remedy, accelerator.device)
                save_tensors({"maps": maps}, maps_file)
                model.train()
            accelerator.wait_for_everyone()
        if now.final:
            self.adviser = None
        elif self.recipe.rounds.distil and self.adviser is None:
            adviser = copy.deepcopy(model)
            adviser.load_state_dict(self._kept(self._file(0)))
            self.adviser = tuned(Explainer(adviser, self.processor, device=accelerator.device)).model
        if self.recipe.remedy.attention_weight:
            self.maps = self._kept(maps_file)["maps"]

    @staticmethod
    def _kept(file: Path) -> dict[str, Tensor]:
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: without it this run cannot be resumed")
        return load_file(file)

    @torch.no_grad()
    def advice(self, pixels: Tensor) -> Tensor | None:
        """(B, 3, H, W) normalised pictures -> (B, K), the adviser's probabilities; None without one."""
        return None if self.adviser is None else self.adviser(pixel_values=pixels).logits.float().softmax(1)

    def mean(self, average: ExponentialAverage, steps: int) -> str | None:
        """Make of the last round's averaged weights what the run ends in: the mean of all fine-tuning rounds' (Wortsman
        et al. 2022, arXiv:2203.05482), with `before_share` of the weights before them, or, after it, the final round's,
        with a map as steep as the recipe says.

        Returns:
            What they are then, in words; None if the run has no rounds, or does not end in their mean.
        """
        if place(self.recipe, steps - 1, steps).final and self.recipe.rounds.average_rounds:
            self._make_steeper(average)
            return "the final round's"
        return self._finish(average, steps)

    def _finish(self, average: ExponentialAverage, steps: int) -> str | None:
        """As `mean`, of the rounds before the final one."""
        rounds = tuning_rounds(self.recipe, steps)
        if not rounds or not self.recipe.rounds.average_rounds:
            return None
        average.mix([load_file(self._file(number)) for number in rounds[:-1]])
        words = f"the mean of {len(rounds)} fine-tuning rounds" if len(rounds) > 1 else "the fine-tuning round's"
        if share := self.recipe.rounds.before_share:
            average.lean(self._kept(self._file(0)), share)
            words += f", with {share:.0%} of the weights before"
        self._make_steeper(average)
        return words

    def _make_steeper(self, average: ExponentialAverage) -> None:
        if self.recipe.remedy.attention_weight:
            average.average = steeper(average.average, self.recipe.remedy.steepness)

    def _file(self, number: int) -> Path:
        return self.folder / f"round-{number}.safetensors"
