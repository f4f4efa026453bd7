"""What ABN adds to transformers.Trainer: the loss, augmentation in the step, averaged weights, whole checkpoints."""

import contextlib
import json
import math
import os
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer, TrainerState

from abn import Explainer
from abn.files import by_umask, sync, whole
from abn.model.modeling_multitask import multitask_loss
from abn.tuning import tuned
from train.augment import draw_crops, draw_cutmix, resize_crops, shift
from train.ema import ExponentialAverage
from train.finite import are_finite, diverged
from train.recipes import Recipe
from train.remedy import STRIDE, map_loss, mixed_maps, teacher_maps
from train.report import save_weights, write_json
from train.schedule import cutmix_share, picture_size, place, rate_factor, tuning_rounds
from train.tasks import shares

EMA_NAME = "ema.safetensors"
CLOCK_NAME = "clock.json"
BEST_NAME = "top1.json"
KEEP = 2  # checkpoints on disk


class AbnTrainer(Trainer):
    """Trains an `AbnForImageClassification` on `PictureDataset`s by a `Recipe`. `processing_class`: its processor.

    Augmentation is drawn in the step, after the loader, from a generator that only the seed, the step and the process
    determine, so that a run resumes in mid-epoch as if never stopped. `teacher`: makes the remedy's maps, once; without
    one the network that a fine-tuning round starts from makes them anew. `maps_file`: holds them already.
    """

    def __init__(
        self, *args, recipe: Recipe, teacher: nn.Module | None = None, maps_file: Path | None = None, **kwargs
    ):
        super().__init__(*args, **kwargs)
        self.recipe = recipe
        self.teacher, self.maps_file = teacher, maps_file
        self.adviser: nn.Module | None = None  # the teacher as `recipe.distil` asks it: a quick copy
        self.mean, self.std = (
            torch.tensor(values, device=self.args.device).view(3, 1, 1) * 255
            for values in (self.processing_class.image_mean, self.processing_class.image_std)
        )
        self.model_accepts_loss_kwargs = False
        self.ema = ExponentialAverage(self.model, recipe.ema_decay) if recipe.ema_decay else None
        self.task_weight = shares(self.train_dataset.labels).to(self.args.device) if recipe.focal else None
        self.maps: Tensor | None = None  # the attention remedy's targets, a map a training picture
        self._round: int | None = None
        self.seconds = 0.0  # of training, also before a resumption
        self._aside: str | None = None

    def go(self, resume: Path | None) -> None:
        """Train from the start or from a checkpoint folder. Later checkpoints than that one are given up; a run that
        was done already is only brought back."""
        folder = Path(self.args.output_dir)
        if self.is_world_process_zero():
            if resume is None:
                shutil.rmtree(folder / "best", ignore_errors=True)
            else:
                there = checkpoints(folder)
                for later in there[there.index(folder / resume.name) + 1 :]:
                    shutil.rmtree(later)
        self.accelerator.wait_for_everyone()
        if resume is not None:
            state = TrainerState.load_from_json(str(resume / "trainer_state.json"))
            if state.global_step >= state.max_steps:
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
        if now.round != self._round:
            self._enter(now.round, new=now.first)
        inputs = self._prepare_inputs(inputs)
        size, generator = picture_size(self.recipe, now), self._generator()
        aspects, index = inputs.pop("aspects"), inputs.pop("index").to("cpu")
        if self.recipe.pad:
            inputs["pixel_values"] = shift(inputs["pixel_values"], self.recipe.pad, generator, self.recipe.mirror)
        else:
            area = self.recipe.tune_crop_area if now.round else self.recipe.crop_area
            crops = draw_crops(aspects, area=area, aspect=self.recipe.crop_aspect, generator=generator)
            dtype = torch.bfloat16 if self.args.bf16 else torch.float32
            inputs["pixel_values"] = resize_crops(inputs["pixel_values"], crops, size, dtype)
        if self.maps is not None:  # cropped and mirrored with their pictures: the attention map is to move along
            inputs["maps"] = resize_crops(self.maps[index].to(self.args.device), crops, -(-size // STRIDE))
        if torch.rand((), generator=generator) < cutmix_share(self.recipe, now):
            mix = draw_cutmix(len(index), size, generator)
            inputs["pixel_values"] = mix.pictures(inputs["pixel_values"])
            inputs["mix"] = mix
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._demand(bool(loss.isfinite()), f"the loss is not finite at step {self.state.global_step + 1}")
        return loss

    def _demand(self, fine: bool, otherwise: str) -> None:
        """Raises: DivergedError: not `fine`, in any of the processes; in all of them then."""
        if self.accelerator.num_processes > 1:
            bad = torch.tensor(float(not fine), device=self.args.device)
            fine = self.accelerator.reduce(bad, "sum").item() == 0
        if not fine:
            raise diverged(otherwise, self.state.max_steps, self.recipe, tuning=bool(self._round))

    def _demand_finite_weights(self) -> None:
        """Before anything is kept. Raises: DivergedError."""
        fine = are_finite(self.model.state_dict())
        if self.ema is not None:
            fine = fine and are_finite(self.ema.average, half=self.recipe.half_precision)
        self._demand(fine, f"the weights are not finite after step {self.state.global_step}")

    def _generator(self) -> torch.Generator:
        entropy = [self.args.seed, self.state.global_step, self.args.process_index]
        return torch.Generator().manual_seed(int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1))

    def _enter(self, number: int, new: bool) -> None:
        """Begin or resume a round. A fine-tuning round begins from the averaged weights; they are its teacher."""
        self._round = number
        rounds = tuning_rounds(self.recipe, self.state.max_steps)
        first = rounds[0] if rounds else 0
        made = Path(self.args.output_dir) / f"teacher-maps-{first if self.teacher else number}.safetensors"
        file = self.maps_file or made
        if number and new:
            model = self.accelerator.unwrap_model(self.model)
            self._demand_finite_weights()
            if number > first and self.ema is not None and self.is_world_process_zero():
                before = max(other for other in rounds if other < number)
                save_whole({name: t.contiguous() for name, t in self.ema.average.items()}, self._round_file(before))
            if self.ema is not None:
                model.load_state_dict(self.ema.average)
                self.ema.steps = 0
            self.optimizer.state.clear()
            needed = self.recipe.attention_weight and not self.maps_file and (number == first or not self.teacher)
            if needed and self.is_world_process_zero():
                save_whole({"maps": self._teacher_maps(self.teacher or model)}, file)
            self.accelerator.wait_for_everyone()
        if number and self.recipe.distil and self.adviser is None:
            self.adviser = tuned(Explainer(self.teacher, self.processing_class, device=self.args.device)).model
        if number and self.recipe.attention_weight:
            if not file.is_file():
                raise FileNotFoundError(f"{file} is missing: without it this run cannot be resumed")
            self.maps = load_file(file)["maps"]

    def _round_file(self, number: int) -> Path:
        return Path(self.args.output_dir) / f"round-{number}.safetensors"

    def save_result(self, folder: Path, of: str) -> dict:
        """Write what the run ends in: the mean of all fine-tuning rounds' averaged weights (Wortsman et al. 2022,
        arXiv:2203.05482) where the recipe says so, else the weights of `best`.

        Args:
            of: what the best was chosen on, in words.

        Returns:
            For metrics.json: "weights", in words; of the best, its epoch and top-1 as well.
        """
        rounds, best = tuning_rounds(self.recipe, self.state.max_steps), self._best()
        if best is not None and not (self.recipe.average_rounds and rounds):
            for file in (file for file in (folder / "best").iterdir() if file.name != BEST_NAME):
                with whole(folder / file.name) as aside:
                    shutil.copyfile(file, aside)
            words = f"the best on {of}, {best['top1']:.2f} % after epoch {best['epoch']:g}"
            return {"weights": words, "best": {key: best[key] for key in ("top1", "epoch")}}
        words = "the last"  # nothing was measured on the way
        if self.recipe.average_rounds and rounds:
            self.ema.mix([load_file(self._round_file(number)) for number in rounds[:-1]])
            words = f"the mean of {len(rounds)} fine-tuning rounds" if len(rounds) > 1 else "the fine-tuning round's"
        with self.averaged() as averaged:
            save_weights(averaged, folder, half=self.recipe.half_precision)
        return {"weights": words}

    def _teacher_maps(self, model: nn.Module) -> Tensor:
        recipe = self.recipe
        maps = teacher_maps(
            model,
            self.train_dataset,
            self.processing_class,
            crop=recipe.teacher_crop,
            crops=recipe.teacher_crops,
            size=recipe.teacher_size,
            power=recipe.teacher_power,
            levels=recipe.teacher_levels,
            gradient_size=recipe.teacher_gradient_size,
            device=self.args.device,
        )
        model.train()
        return maps

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        pixels = (inputs["pixel_values"].float() - self.mean) / self.std
        if self.recipe.channels == 1:
            pixels = pixels[:, :1]  # grey pictures: three times the same
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        outputs = model(pixel_values=pixels)
        loss = self._loss(outputs, inputs, pixels, model.training) if "labels" in inputs else None
        return (loss, {"loss": loss, **outputs}) if return_outputs else loss

    def _loss(self, outputs, inputs, pixels: Tensor, training: bool) -> Tensor:
        labels, mix, maps = inputs["labels"], inputs.get("mix"), inputs.get("maps")
        loss, advice = self._class_loss(outputs, labels, training), None
        if mix is not None:
            other = self._class_loss(outputs, labels[mix.partners], training)
            loss = mix.share * loss + (1 - mix.share) * other
        if self.adviser is not None and training:
            with torch.no_grad():
                advice = self.adviser(pixel_values=pixels).logits.float().softmax(1)
            loss = torch.lerp(loss, self._class_loss(outputs, advice, True), self.recipe.distil)
        if maps is not None:
            if mix is not None:
                maps = mixed_maps(maps, mix, pixels.shape[-1], labels, advice)
            loss = loss + self.recipe.attention_weight * map_loss(outputs.attention_map, maps, self.recipe.peak_weight)
        return loss

    def _class_loss(self, outputs, labels: Tensor, training: bool) -> Tensor:
        if self.recipe.multitask:
            return multitask_loss(outputs.logits, outputs.attention_logits, labels, self.task_weight)
        smoothing = self.recipe.label_smoothing if training and labels.ndim == 1 else 0.0  # a teacher's are soft
        loss = F.cross_entropy(outputs.logits.float(), labels, label_smoothing=smoothing)
        if "attention_logits" not in outputs:
            return loss
        weight = self.recipe.attention_class_weight if training and self._round else 1.0
        other = F.cross_entropy(outputs.attention_logits.float(), labels, label_smoothing=smoothing)
        return loss + weight * other

    def optimizer_stepped(self) -> None:
        if self.ema is not None:
            self.ema.update(self.accelerator.unwrap_model(self.model))

    # Optimiser and schedule

    def create_optimizer(self, model=None):
        if self.optimizer is None:
            decayed, free = [], []
            for parameter in (self.model if model is None else model).parameters():
                (decayed if parameter.ndim > 1 else free).append(parameter)
            groups = [{"params": decayed, "weight_decay": self.recipe.weight_decay}]
            groups.append({"params": free, "weight_decay": 0.0})
            if self.recipe.optimizer == "adam":
                self.optimizer = torch.optim.AdamW(groups, lr=self.recipe.lr)
            else:
                momentum = {"momentum": self.recipe.momentum, "nesterov": self.recipe.nesterov}
                self.optimizer = torch.optim.SGD(groups, lr=self.recipe.lr, **momentum)
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
        self._demand_finite_weights()
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

    def _best(self) -> dict | None:
        """What was noted of OUT/best; None where it is not there."""
        about = Path(self.args.output_dir) / "best" / BEST_NAME
        return json.loads(about.read_text()) if about.is_file() else None

    def keep_best(self, metrics: dict) -> None:
        """Keep the averaged weights in OUT/best if their top-1 on what is held out is the highest so far; where the run
        ends in the best, and not in the mean of its rounds, the highest of the latest round."""
        folder = Path(self.args.output_dir) / "best"
        seen = math.isfinite(metrics.get("eval_loss", 0.0))
        self._demand(seen, f"the loss on what is held out is not finite after step {self.state.global_step}")
        self._demand_finite_weights()
        top1 = metrics.get("eval_top1", metrics.get("eval_accuracy"))
        if top1 is None or not self.is_world_process_zero():
            return
        best, number = self._best(), 0 if self.recipe.average_rounds else self._round
        if best is not None and (best.get("round", 0), best["top1"]) >= (number, top1):
            return
        aside = folder.with_name(".best")
        shutil.rmtree(aside, ignore_errors=True)
        with self.averaged() as averaged:
            save_weights(self.accelerator.unwrap_model(averaged), aside, half=self.recipe.half_precision)
        self.processing_class.save_pretrained(aside)
        write_json(aside / BEST_NAME, {"top1": top1, "epoch": self.state.epoch, "round": number})
        replace_folder(aside, folder)


def checkpoints(folder: str | Path) -> list[Path]:
    """The checkpoint-N folders in `folder`, oldest first."""
    found = [path for path in Path(folder).glob("checkpoint-*") if path.name.split("-")[-1].isdigit()]
    return sorted(found, key=lambda path: int(path.name.split("-")[-1]))


def replace_folder(new: Path, target: Path) -> None:
    """Rename `new` to `target`. What was there goes aside first: under its name a folder is whole or missing."""
    old = target.with_name(f".old-{target.name}")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def save_whole(tensors: dict[str, Tensor], file: Path) -> None:
    """Write a safetensors file aside and rename it: under its name it is always whole."""
    with whole(file) as aside:
        save_file(tensors, aside)
