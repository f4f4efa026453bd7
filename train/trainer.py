"""What ABN adds to transformers.Trainer: the loss, augmentation in the step, averaged weights, whole checkpoints."""

import contextlib
import json
import math
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer, TrainerState

from abn.files import by_umask, replace_folder, sync
from train.augment import draw_crops, draw_cutmix, resize_crops, shift
from train.best import Best
from train.ema import ExponentialAverage
from train.finite import are_finite, diverged
from train.losses import Aims, answer_loss, shares, training_loss
from train.outliers import outliers
from train.parameters import frozen_norms, parameter_groups
from train.recipes import Recipe
from train.remedy import STRIDE
from train.report import save_weights
from train.rounds import Tuning
from train.schedule import cutmix_share, outlier_share, picture_size, place, rate_factor

EMA_NAME = "ema.safetensors"
CLOCK_NAME = "clock.json"
KEEP = 2  # checkpoints on disk


class AbnTrainer(Trainer):
    """Trains an `AbnForImageClassification` on `PictureDataset`s by a `Recipe`. `processing_class`: its processor.

    Augmentation is drawn in the step, after the loader, from a generator that only the seed, the step, the batch in it
    and the process determine, so that a run resumes in mid-epoch as if never stopped.
    `pretrained`: the names of the parameters that were trained before.
    """

    def __init__(self, *args, recipe: Recipe, pretrained: frozenset[str] = frozenset(), **kwargs):
        super().__init__(*args, **kwargs)
        self.recipe, folder = recipe, Path(self.args.output_dir)
        self.pretrained = pretrained
        self.frozen_norms = frozen_norms(self.model, pretrained) if recipe.training.freeze_norms else []
        self.tuning = Tuning(recipe, folder, self.train_dataset, self.processing_class)
        self.best = Best(folder)
        self.mean, self.std = (
            torch.tensor(values, device=self.args.device).view(3, 1, 1) * 255
            for values in (self.processing_class.image_mean, self.processing_class.image_std)
        )
        self.model_accepts_loss_kwargs = False
        self.ema = ExponentialAverage(self.model, recipe.training.ema_decay) if recipe.training.ema_decay else None
        self.shares = shares(self.train_dataset.labels).to(self.args.device) if recipe.training.focal else None
        self.seconds = 0.0  # of training, also before a resumption
        self._aside: str | None = None
        self._begun = (-1, 0)  # the step that is under way, and its batches so far

    def go(self, resume: Path | None) -> None:
        """Train from the start or from a checkpoint folder. Later checkpoints than that one are given up; a run that
        was done already is only brought back."""
        folder = Path(self.args.output_dir)
        if self.is_world_process_zero():
            if resume is None:
                self.best.forget()
            else:
                there = checkpoints(folder)
                for later in there[there.index(folder / resume.name) + 1 :]:
                    shutil.rmtree(later)
        self.accelerator.wait_for_everyone()
        if resume is not None:
            state = TrainerState.load_from_json(str(resume / "trainer_state.json"))
            stopped = state.stateful_callbacks.get("TrainerControl", {}).get("args", {}).get("should_training_stop")
            if state.global_step >= state.max_steps or stopped:  # at the end, or by its patience
                self.state = state
                self._load_from_checkpoint(str(resume))
                return
        self.train(resume_from_checkpoint=str(resume) if resume else None, ignore_keys_for_eval=["attention_map"])

    def train(self, *args, **kwargs):
        self._started = time.monotonic()
        try:
            return super().train(*args, **kwargs)
        finally:
            self._tick()

    def _tick(self) -> None:
        now = time.monotonic()
        self.seconds, self._started = self.seconds + now - self._started, now

    # The step

    def training_step(self, model, inputs, num_items_in_batch=None) -> Tensor:
        now = place(self.recipe, self.state.global_step, self.state.max_steps)
        if now.round != self.tuning.current:
            if now.round and now.first:
                self._demand_finite_weights()
            plain = self.accelerator.unwrap_model(self.model)
            self.tuning.enter(now, self.state.max_steps, plain, self.ema, self.optimizer, self.accelerator)
        inputs = self._prepare_inputs(inputs)
        self._begun = (self.state.global_step, self._begun[1] + 1 if self._begun[0] == self.state.global_step else 0)
        size, generator, training = picture_size(self.recipe, now), self._generator(), self.recipe.training
        aspects, index = inputs.pop("aspects"), inputs.pop("index").to("cpu")
        pictures = inputs["pixel_values"]
        if training.pad:
            inputs["pixel_values"] = shift(pictures, training.pad, generator, training.mirror)
        else:
            area = self.recipe.rounds.tune_crop_area if now.round else training.crop_area
            how = {"area": area, "aspect": training.crop_aspect, "mirror": training.mirror}
            crops = draw_crops(aspects, **how, generator=generator)
            dtype = torch.bfloat16 if self.args.bf16 else torch.float32
            inputs["pixel_values"] = resize_crops(pictures, crops, size, dtype)
        if self.tuning.maps is not None:  # cropped and mirrored with their pictures: the map is to move along
            maps = self.tuning.maps[index].to(self.args.device)
            inputs["maps"] = resize_crops(maps, crops, -(-size // STRIDE))
        if torch.rand((), generator=generator) < cutmix_share(self.recipe, now):
            mix = draw_cutmix(len(index), size, generator)
            inputs["pixel_values"] = mix.pictures(inputs["pixel_values"])
            inputs["mix"] = mix
        if count := round(outlier_share(self.recipe, now) * len(index)):
            others = outliers(count, size, generator)
            inputs["pixel_values"] = torch.cat([inputs["pixel_values"], others.to(inputs["pixel_values"])])
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._demand(bool(loss.isfinite()), f"the loss is not finite at step {self.state.global_step + 1}")
        return loss

    def _demand(self, fine: bool, otherwise: str) -> None:
        """Raises: DivergedError: not `fine`, in any of the processes; in all of them then."""
        if self.accelerator.num_processes > 1:
            bad = torch.tensor(float(not fine), device=self.args.device)
            fine = self.accelerator.reduce(bad, "sum").item() == 0
        if not fine:
            raise diverged(otherwise, self.state.max_steps, self.recipe, self.tuning.current or 0)

    def _demand_finite_weights(self) -> None:
        """Before anything is kept. Raises: DivergedError."""
        fine = are_finite(self.model.state_dict())
        if self.ema is not None:
            fine = fine and are_finite(self.ema.average, half=self.recipe.training.half_precision)
        self._demand(fine, f"the weights are not finite after step {self.state.global_step}")

    def _generator(self, *more: int) -> torch.Generator:
        batch = self._begun[1] % self.args.gradient_accumulation_steps  # of those whose gradients a step adds up
        more = (*more, batch) if batch else more
        entropy = [self.args.seed, self.state.global_step, self.args.process_index, *more]
        return torch.Generator().manual_seed(int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1))

    def normalised(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in 0 to 255, as the network takes them."""
        return (pictures.float() - self.mean) / self.std

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        pixels = self.normalised(inputs["pixel_values"])
        if self.recipe.network.channels == 1:
            pixels = pixels[:, :1]  # grey pictures: three times the same
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        for norm in self.frozen_norms:
            norm.eval()
        outputs = model(pixel_values=pixels)
        loss = self._loss(outputs, inputs, pixels, model.training) if "labels" in inputs else None
        return (loss, {"loss": loss, **outputs}) if return_outputs else loss

    def _loss(self, outputs, inputs, pixels: Tensor, training: bool) -> Tensor:
        labels = inputs["labels"]
        if not training:
            return answer_loss(outputs, labels, bool(self.recipe.network.multitask), self.shares)
        aims = Aims(labels, inputs.get("mix"), inputs.get("maps"), self.shares)
        return training_loss(outputs, aims, self.recipe, tuning=bool(self.tuning.current))

    def optimizer_stepped(self) -> None:
        if self.ema is not None:
            self.ema.update(self.accelerator.unwrap_model(self.model))

    # Optimiser and schedule

    def create_optimizer(self, model=None):
        if self.optimizer is None:
            how = self.recipe.training
            groups = parameter_groups(self.model if model is None else model, how, self.pretrained)
            if how.optimizer == "adam":
                self.optimizer = torch.optim.AdamW(groups, lr=how.lr)
            else:
                self.optimizer = torch.optim.SGD(groups, lr=how.lr, momentum=how.momentum, nesterov=how.nesterov)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        if self.lr_scheduler is None:
            factor = rate_factor(self.recipe, num_training_steps)
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
        return self.lr_scheduler

    # Evaluation and checkpoints

    def get_train_dataloader(self):
        self.args.dataloader_num_workers = self.train_dataset.workers(self.args.train_batch_size)
        return super().get_train_dataloader()

    def get_eval_dataloader(self, eval_dataset=None):
        """Every picture counts: only training drops the last, smaller batch."""
        data = self.eval_dataset if eval_dataset is None else eval_dataset
        self.args.dataloader_num_workers = data.workers(self.args.eval_batch_size)
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
        self._demand_finite_weights()
        self.state.best_global_step = None  # the best are kept by `Best`, not among the checkpoints
        first = self.is_world_process_zero()
        if first:
            shutil.rmtree(aside, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self._aside = str(aside)
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self._aside = None
        self.accelerator.wait_for_everyone()  # each process writes the state of its random numbers
        if first:
            self._finish_checkpoint(aside / f"checkpoint-{self.state.global_step}", final)
        self.accelerator.wait_for_everyone()

    def _finish_checkpoint(self, written: Path, final: Path) -> None:
        if self.ema is not None:
            self.ema.save(written / EMA_NAME)
        self._tick()
        (written / CLOCK_NAME).write_text(json.dumps({"seconds": self.seconds}))
        for file in written.iterdir():
            by_umask(file)
            sync(file)
        replace_folder(written, final / written.name)
        sync(final)
        shutil.rmtree(written.parent, ignore_errors=True)
        for old in checkpoints(final)[:-KEEP]:
            shutil.rmtree(old, ignore_errors=True)

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        folder = Path(resume_from_checkpoint)
        if self.ema is not None:
            self.ema.load(folder / EMA_NAME)
        if (folder / CLOCK_NAME).is_file():
            self.seconds = json.loads((folder / CLOCK_NAME).read_text())["seconds"]

    def keep_best(self, metrics: dict) -> None:
        """Keep the averaged weights in OUT/best if their top-1 on what is held out is the highest so far; where the run
        ends in the best, and not in the mean of its rounds, the highest of the latest round."""
        seen = math.isfinite(metrics.get("eval_loss", 0.0))
        self._demand(seen, f"the loss on what is held out is not finite after step {self.state.global_step}")
        self._demand_finite_weights()
        top1 = metrics.get("eval_top1", metrics.get("eval_accuracy"))
        number = 0 if self.recipe.rounds.average_rounds else self.tuning.current
        if top1 is None or not self.is_world_process_zero() or not self.best.is_beaten_by(number, top1):
            return
        note = {"top1": top1, "epoch": self.state.epoch, "round": number}
        with self.averaged() as averaged:
            model = self.accelerator.unwrap_model(averaged)
            self.best.keep(model, self.processing_class, self.recipe.training.half_precision, note)

    def save_result(self, folder: Path, of: str) -> dict:
        """Write what the run ends in: the mean of its fine-tuning rounds' weights where the recipe says so, else the
        best.

        Args:
            of: what the best was chosen on, in words.

        Returns:
            For metrics.json: "weights", in words; of the best, its epoch and top-1 as well.
        """
        words, best = self.tuning.mean(self.ema, self.state.max_steps), self.best.note()
        if words is None and best is not None:
            self.best.copy_to(folder)
            words = f"the best on {of}, {best['top1']:.2f} % after epoch {best['epoch']:g}"
            return {"weights": words, "best": {key: best[key] for key in ("top1", "epoch")}}
        with self.averaged() as averaged:
            save_weights(averaged, folder, half=self.recipe.training.half_precision)
        return {"weights": words or "the last"}  # nothing was measured on the way


def checkpoints(folder: str | Path) -> list[Path]:
    """The checkpoint-N folders in `folder`, oldest first."""
    found = [path for path in Path(folder).glob("checkpoint-*") if path.name.split("-")[-1].isdigit()]
    return sorted(found, key=lambda path: int(path.name.split("-")[-1]))
