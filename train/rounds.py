"""The fine-tuning rounds of a run: what each begins with, the teacher's maps, and the mean that they end in."""

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
from train.remedy import teacher_maps
from train.schedule import Place, tuning_rounds


class Tuning:
    """The rounds of a run in `folder`: 0, the class training, and the fine-tuning rounds 1, 2, ...

    current: the round that the run is in. maps: (N, 1, GRID, GRID), the attention remedy's targets, a map a training
    picture; None where there are none. adviser: the teacher as `rounds.distil` asks it, a quick copy.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        data: PictureDataset,
        processor: AbnImageProcessor,
        teacher: nn.Module | None = None,
        maps_file: Path | None = None,
    ):
        """
        Args:
            teacher: makes the maps, once; without one the network that a round starts from makes them anew.
            maps_file: holds them already.
        """
        self.recipe, self.folder, self.data, self.processor = recipe, folder, data, processor
        self.teacher, self.maps_file = teacher, maps_file
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

        A fine-tuning round begins from the averaged weights, with nothing of the optimiser's; they are its teacher.

        Raises:
            FileNotFoundError: the maps of a round that is gone on with are missing.
        """
        self.current = now.round
        if not now.round:
            return
        rounds = tuning_rounds(self.recipe, steps)
        file = self.maps_file or self.folder / f"teacher-maps-{rounds[0] if self.teacher else now.round}.safetensors"
        if now.first:
            if now.round > rounds[0] and average is not None and accelerator.is_main_process:
                before = max(other for other in rounds if other < now.round)
                save_tensors(average.average, self._file(before))
            if average is not None:
                model.load_state_dict(average.average)
                average.steps = 0
            optimizer.state.clear()
            anew = not self.maps_file and (now.round == rounds[0] or not self.teacher)
            if self.recipe.remedy.attention_weight and anew and accelerator.is_main_process:
                teacher = self.teacher or model
                maps = teacher_maps(teacher, self.data, self.processor, self.recipe.remedy, accelerator.device)
                save_tensors({"maps": maps}, file)
                model.train()
            accelerator.wait_for_everyone()
        if self.recipe.rounds.distil and self.adviser is None:
            self.adviser = tuned(Explainer(self.teacher, self.processor, device=accelerator.device)).model
        if self.recipe.remedy.attention_weight:
            if not file.is_file():
                raise FileNotFoundError(f"{file} is missing: without it this run cannot be resumed")
            self.maps = load_file(file)["maps"]

    @torch.no_grad()
    def advice(self, pixels: Tensor) -> Tensor | None:
        """(B, 3, H, W) normalised pictures -> (B, K), the adviser's probabilities; None without one."""
        return None if self.adviser is None else self.adviser(pixel_values=pixels).logits.float().softmax(1)

    def mean(self, average: ExponentialAverage, steps: int) -> str | None:
        """Make of the last round's averaged weights the mean of all rounds' (Wortsman et al. 2022, arXiv:2203.05482).

        Returns:
            What they are then, in words; None if the run has no rounds, or does not end in their mean.
        """
        rounds = tuning_rounds(self.recipe, steps)
        if not rounds or not self.recipe.rounds.average_rounds:
            return None
        average.mix([load_file(self._file(number)) for number in rounds[:-1]])
        return f"the mean of {len(rounds)} fine-tuning rounds" if len(rounds) > 1 else "the fine-tuning round's"

    def _file(self, number: int) -> Path:
        return self.folder / f"round-{number}.safetensors"
