"""The fine-tuning rounds of a run: what each begins with, the teacher's maps, and the mean that they end in."""

from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn

from abn.files import save_tensors
from abn.model.image_processing_abn import AbnImageProcessor
from train.dataset import PictureDataset
from train.ema import ExponentialAverage
from train.parameters import freeze_features
from train.recipes import Recipe
from train.remedy import steeper, teacher_maps
from train.schedule import Place, tuning_rounds


class Tuning:
    """The rounds of a run in `folder`: 0, the class training, and the fine-tuning rounds 1, 2, ....

    current: the round that the run is in. maps: (N, 1, GRID, GRID), the attention remedy's targets, a map a training
    picture, made by the network that the round starts from; None where there are none.
    """

    def __init__(self, recipe: Recipe, folder: Path, data: PictureDataset, processor: AbnImageProcessor):
        self.recipe, self.folder, self.data, self.processor = recipe, folder, data, processor
        self.current: int | None = None
        self.maps: Tensor | None = None

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

        A fine-tuning round begins from the averaged weights, with nothing of the optimiser's; they are its teacher.

        Raises:
            FileNotFoundError: the maps of a round that is gone on with are missing.
        """
        self.current = now.round
        if not now.round:
            return
        if self.recipe.rounds.freeze_features:
            freeze_features(model)
        first = accelerator.is_main_process
        maps_file = self.folder / f"teacher-maps-{now.round}.safetensors"
        if now.first:
            before = max([0, *(other for other in tuning_rounds(self.recipe, steps) if other < now.round)])
            if average is not None:
                if first and (before or self.recipe.rounds.before_share):
                    save_tensors(average.average, self._file(before))
                model.load_state_dict(average.average)
                average.steps = 0
            optimizer.state.clear()
            if self.recipe.remedy.attention_weight and first:
                maps = teacher_maps(model, self.data, self.processor, self.recipe.remedy, accelerator.device)
                save_tensors({"maps": maps}, maps_file)
                model.train()
            accelerator.wait_for_everyone()
        if self.recipe.remedy.attention_weight:
            self.maps = self._kept(maps_file)["maps"]

    @staticmethod
    def _kept(file: Path) -> dict[str, Tensor]:
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: without it this run cannot be resumed")
        return load_file(file)

    def mean(self, average: ExponentialAverage, steps: int) -> str | None:
        """Make of the last round's averaged weights what the run ends in: the mean of all fine-tuning rounds' (Wortsman
        et al. 2022, arXiv:2203.05482), with `before_share` of the weights before them, and a map as steep as the recipe
        says.

        Returns:
            What they are then, in words; None if the run has no rounds, or does not end in their mean.

        Raises:
            FileNotFoundError: a round's weights are missing.
        """
        rounds = tuning_rounds(self.recipe, steps)
        if not rounds or not self.recipe.rounds.average_rounds:
            return None
        average.mix([self._kept(self._file(number)) for number in rounds[:-1]])
        words = f"the mean of {len(rounds)} fine-tuning rounds" if len(rounds) > 1 else "the fine-tuning round's"
        if share := self.recipe.rounds.before_share:
            average.lean(self._kept(self._file(0)), share)
            words += f", with {share:.0%} of the weights before"
        if self.recipe.remedy.attention_weight:
            average.average = steeper(average.average, self.recipe.remedy.steepness)
        return words

    def _file(self, number: int) -> Path:
        return self.folder / f"round-{number}.safetensors"
