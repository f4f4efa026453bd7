"""What ABN adds to transformers.Trainer: the loss, augmentation in the step, averaged weights, whole checkpoints."""

import contextlib
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer

from train.augment import draw_crops, resize_crops
from train.recipes import Recipe
from train.remedy import STRIDE, map_loss

EMA_NAME = "ema.safetensors"
KEEP = 2  # checkpoints on disk


class ExponentialAverage:
    """Exponential moving average of a model's weights and batch-norm statistics.

    The decay grows with the steps, min(decay, (1 + n) / (10 + n)), so that early weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.steps = 0
        self.average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - decay)
            else:
                self.average[name].copy_(tensor)

    @contextlib.contextmanager
    def applied_to(self, model: nn.Module):
        """The model carries the averaged weights inside the block and its own again after it."""
        own = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(self.average)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def save(self, file: Path) -> None:
        tensors = {name: tensor.contiguous() for name, tensor in self.average.items()}
        save_file({**tensors, "steps": torch.tensor(self.steps)}, file)

    def load(self, file: Path) -> None:
        tensors = load_file(file)
        self.steps = int(tensors.pop("steps"))
        for name, tensor in tensors.items():
            self.average[name].copy_(tensor)


class AbnTrainer(Trainer):
    """Trains an `AbnForImageClassification` on `PictureDataset`s by a `Recipe`.

    Augmentation is drawn in the step, after the loader, so that a run resumes in mid-epoch as if never stopped.
    """

    def __init__(self, *args, recipe: Recipe, image_mean: list[float], image_std: list[float], **kwargs):
        super().__init__(*args, **kwargs)
        self.recipe = recipe
        self.mean = torch.tensor(image_mean).view(3, 1, 1) * 255
        self.std = torch.tensor(image_std).view(3, 1, 1) * 255
        self.model_accepts_loss_kwargs = False
        self.ema = ExponentialAverage(self.model, recipe.ema_decay) if recipe.ema_decay else None
        self._aside: str | None = None

    # The step

    def training_step(self, model, inputs, num_items_in_batch=None) -> Tensor:
        inputs = self._prepare_inputs(inputs)
        size = self.current_size()
        crops = draw_crops(inputs.pop("aspects"), area=self.recipe.crop_area, aspect=self.recipe.crop_aspect)
        dtype = torch.bfloat16 if self.args.bf16 else torch.float32
        inputs["pixel_values"] = resize_crops(inputs["pixel_values"], crops, size, dtype)
        if "maps" in inputs:  # cropped and mirrored with their pictures: the attention map is to move along
            inputs["maps"] = resize_crops(inputs["maps"], crops, -(-size // STRIDE))
        return super().training_step(model, inputs, num_items_in_batch)

    def current_size(self) -> int:
        """Side of the training pictures at this step: `recipe.sizes`, each for an equal share of the run."""
        sizes = self.recipe.sizes
        share = self.state.global_step / max(1, self.state.max_steps)
        return sizes[min(int(share * len(sizes)), len(sizes) - 1)]

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        pixels = (inputs["pixel_values"].float() - self.mean.to(self.args.device)) / self.std.to(self.args.device)
        outputs = model(pixel_values=pixels.contiguous(memory_format=torch.channels_last))
        labels = inputs.get("labels")
        loss = None
        if labels is not None:
            smoothing = self.recipe.label_smoothing if model.training else 0.0
            loss = sum(
                F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
                for logits in (outputs.logits, outputs.attention_logits)
            )
            if "maps" in inputs:
                loss = loss + self.recipe.attention_weight * map_loss(outputs.attention_map, inputs["maps"])
        return (loss, {"loss": loss, **outputs}) if return_outputs else loss

    def optimizer_stepped(self) -> None:
        if self.ema is not None:
            self.ema.update(self.accelerator.unwrap_model(self.model))

    # Optimiser and schedule

    def create_optimizer(self, model=None):
        if self.optimizer is None:
            decayed, free = [], []
            for parameter in (self.model if model is None else model).parameters():
                (decayed if parameter.ndim > 1 else free).append(parameter)
            self.optimizer = torch.optim.SGD(
                [{"params": decayed, "weight_decay": self.recipe.weight_decay}, {"params": free, "weight_decay": 0.0}],
                lr=self.recipe.lr,
                momentum=self.recipe.momentum,
                nesterov=self.recipe.nesterov,
            )
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        if self.lr_scheduler is None:
            factor = rate_factor(self.recipe, num_training_steps)
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
        return self.lr_scheduler

    # Evaluation and checkpoints

    def get_eval_dataloader(self, eval_dataset=None):
        """Every picture counts: only training drops the last, smaller batch."""
        self.args.dataloader_drop_last = False
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.args.dataloader_drop_last = True

    def evaluation_loop(self, *args, **kwargs):
        with self.averaged():
            return super().evaluation_loop(*args, **kwargs)

    @contextlib.contextmanager
    def averaged(self):
        """The model with its averaged weights, if the recipe averages."""
        if self.ema is None:
            yield self.model
        else:
            with self.ema.applied_to(self.model):
                yield self.model

    def _get_output_dir(self, trial) -> str:
        return self._aside or super()._get_output_dir(trial)

    def _save_checkpoint(self, model, trial) -> None:
        """Write a checkpoint aside and rename it: a folder named checkpoint-N is always whole."""
        final = Path(super()._get_output_dir(trial))
        aside = final / ".writing"
        shutil.rmtree(aside, ignore_errors=True)
        self._aside = str(aside)
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self._aside = None
        written = aside / f"checkpoint-{self.state.global_step}"
        if self.ema is not None:
            self.ema.save(written / EMA_NAME)
        for file in written.iterdir():
            _sync(file)
        target = final / written.name
        shutil.rmtree(target, ignore_errors=True)
        os.replace(written, target)
        _sync(final)
        shutil.rmtree(aside, ignore_errors=True)
        for old in checkpoints(final)[:-KEEP]:
            shutil.rmtree(old, ignore_errors=True)

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self.ema is not None:
            self.ema.load(Path(resume_from_checkpoint) / EMA_NAME)


def rate_factor(recipe: Recipe, steps: int):
    """step -> share of `recipe.lr`: the schedule's steps (the reference's way), or warm-up and a cosine to zero."""
    per_epoch = steps / recipe.epochs
    warmup = recipe.warmup_epochs * per_epoch

    def factor(step: int) -> float:
        if recipe.schedule:
            return recipe.gamma ** sum(step >= epoch * per_epoch for epoch in recipe.schedule)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        share = (step - warmup) / max(1, steps - warmup)
        return 0.5 * (1 + torch.cos(torch.tensor(torch.pi * share)).item())

    return factor


def checkpoints(folder: str | Path) -> list[Path]:
    """The checkpoint-N folders in `folder`, oldest first."""
    found = [path for path in Path(folder).glob("checkpoint-*") if path.name.split("-")[-1].isdigit()]
    return sorted(found, key=lambda path: int(path.name.split("-")[-1]))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
