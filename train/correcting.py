"""A run that teaches corrections to a trained network: its parts, its step, and what it tells before and after.

A batch is made of training pictures and of corrected ones, `--corrections-share` of it. The class losses are taken on
all of them; on the training pictures a share `--keep` of the labels is what the network said before, where it was
right (Hinton et al. 2015, arXiv:1503.02531): what it knew is to stay. On the corrected pictures come the map loss and,
for copies whose forbidden parts hold something else, the class losses and the distance of the logits from those of the
picture as it is. What is forbidden in corrected pictures is laid on training pictures as well. See `train.corrections`.

The weights are the averaged ones at the end. They are not chosen on held-out training pictures: these share the bias
that is to be unlearnt.
"""

import copy
from dataclasses import fields
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import set_seed

from abn import Explainer, corrections
from abn.checkpoints import load_checkpoint
from abn.tuning import tuned
from train import fit, measure
from train.arguments import training_arguments
from train.card import CURVES
from train.checks import check_recipe, check_unused, note_run, resume_from
from train.corrections import (
    COLOURS,
    changed,
    held_apart,
    labels_of,
    laid,
    masked_map_loss,
    pairing,
    seen_corrections,
    squashed_corrections,
)
from train.data import preprocessed, squashed
from train.dataset import PictureDataset, collate
from train.figures import curves_png
from train.initial import of_same_classes
from train.losses import answer_loss
from train.metrics import of_prediction
from train.options import check_values
from train.plain import abilities_of
from train.reading import MARGIN, reading_of
from train.recipes import Recipe
from train.reliance import measured, table
from train.report import predict, write_lines
from train.settings import Asked, Correct
from train.sources import Source
from train.trainer import AbnTrainer

STEPS = 200
SAVED = 5  # checkpoints at most: epochs of few pictures take less time than writing one


class CorrectingTrainer(AbnTrainer):
    """An `AbnTrainer` whose batches end in corrected pictures.

    Args:
        corrected: what `train.corrections.squashed_corrections` gives.
        count: how many of them are in a batch.
        adviser: normalised pictures -> logits, as the network was.
    """

    def __init__(self, *args, corrected: PictureDataset, count: int, how: Correct, adviser: nn.Module | None, **kwargs):
        super().__init__(*args, **kwargs)
        self.corrected, self.count, self.how, self.adviser = corrected, count, how, adviser

    def training_step(self, model, inputs, num_items_in_batch=None) -> Tensor:
        """Adds corrected pictures, masks as channels: whatever is done to a picture is done to its mask."""
        inputs = self._prepare_inputs(inputs)
        chosen = torch.randint(len(self.corrected), (self.count,), generator=self._generator(1))
        pictures, added = inputs["pixel_values"], self._prepare_inputs(self.corrected[chosen])
        nothing = torch.zeros_like(pictures[:, :1]).expand(-1, added["pixel_values"].shape[1] - COLOURS, -1, -1)
        inputs["pixel_values"] = torch.cat([pictures, nothing], 1)
        inputs = {name: torch.cat([value, added[name]]) for name, value in inputs.items()}
        return super().training_step(model, inputs, num_items_in_batch)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        if inputs["pixel_values"].shape[1] == COLOURS:  # evaluation
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        pictures, look, avoid = inputs["pixel_values"].float().split([COLOURS, 1, 1], 1)
        labels, own = inputs["labels"], len(pictures) - self.count  # then come the corrected ones
        taught, look, avoid = pictures[own:], look[own:] / 255, avoid[own:] / 255
        aims = self._aims(labels, pictures[:own])
        if self.how.forbidden_weight:
            generator = self._generator(2)
            others, there = changed(taught, look, avoid, generator)
            which = torch.randint(self.count, (own,), generator=generator).to(pictures.device)
            pictures = torch.cat([laid(pictures[:own], taught[which], avoid[which], generator)[0], taught, others])
            look, avoid = torch.cat([look, look]), torch.cat([avoid, there])
        for norm in self.frozen_norms:
            norm.eval()
        outputs = model(pixel_values=self.normalised(pictures).contiguous(memory_format=torch.channels_last))
        parts = [own, self.count, len(pictures) - own - self.count]  # the last: changed ones
        answers = {name: outputs[name].split(parts) for name in ("logits", "attention_logits")}
        loss = answer_loss({name: torch.cat(three[:2]) for name, three in answers.items()}, aims, tasks=False)
        if self.how.forbidden_weight:
            as_they_are, as_changed = ({name: three[n] for name, three in answers.items()} for n in (1, 2))
            forbidden = answer_loss(as_changed, labels[own:], tasks=False) + pairing(as_they_are, as_changed)
            loss = loss + self.how.forbidden_weight * forbidden
        if self.how.map_weight:
            loss = loss + self.how.map_weight * masked_map_loss(outputs["attention_map"][own:], look, avoid)
        return (loss, {"loss": loss, **outputs}) if return_outputs else loss

    @torch.no_grad()
    def _aims(self, labels: Tensor, pictures: Tensor) -> Tensor:
        """(B, K) probabilities: the labels and, of the training pictures, which come first, a share of what the network
        said before where it was right."""
        aims = F.one_hot(labels, self.model.config.num_labels).float()
        smoothing = self.recipe.training.label_smoothing
        aims = (1 - smoothing) * aims + smoothing / aims.shape[1]
        if self.how.keep and self.adviser is not None:
            pixels = self.normalised(pictures).contiguous(memory_format=torch.channels_last)
            said = self.adviser(pixel_values=pixels).logits.float().softmax(1)
            right = (said.argmax(1) == labels[: len(said)])[:, None]
            kept = torch.where(right, said, aims[: len(said)])
            aims[: len(said)] = torch.lerp(aims[: len(said)], kept, self.how.keep)
        return aims

    def keep_best(self, metrics: dict) -> None:
        self._demand_finite_weights()


def correct(settings: Asked, recipe: Recipe, source: Source, output: Path, command: str) -> dict:
    """Teach `settings.corrections` to `settings.initial`; writes what `train.fit.fit` does, and before and after under
    "corrections" in metrics.json.

    Raises:
        FileExistsError: `output` holds an earlier run, and it is not to be resumed.
        ValueError: the corrections cannot be read, or the network does not know their classes or the data's.
    """
    set_seed(settings.seed)
    check_values(Correct(**{field.name: getattr(settings, field.name) for field in fields(Correct)}))
    resume = resume_from(settings.resume, output)
    if resume is None:
        check_unused(output)
    model = of_same_classes(settings.initial, source, "--initial")
    if not abilities_of(model.config).editable:
        raise ValueError(f"--corrections needs a network with one attention map; {settings.initial} has none")
    processor = load_checkpoint(settings.initial)[1]
    crop = processor.crop_size
    if settings.sizes is None:
        recipe = recipe.but(sizes=(max(crop["height"], crop["width"]),))
    check_recipe(recipe, settings.initial)
    every = corrections.read(settings.corrections)
    labels = labels_of(every, settings.initial, model)
    taught, held_out = held_apart(labels, settings.corrections_holdout, settings.seed)
    print(f"{len(taught)} corrections to learn, {len(held_out)} held out", flush=True)
    training = recipe.training
    count = max(1, round(settings.corrections_share * training.train_batch))
    arguments = training_arguments(settings, recipe, output)
    arguments.max_steps = settings.max_steps if settings.max_steps > 0 else STEPS
    count = max(1, count // arguments.world_size)
    arguments.per_device_train_batch_size -= count

    reading, side = reading_of(settings), round(MARGIN * max(training.sizes))
    kept, watched = source.split(training.holdout, settings.seed)
    learned = squashed(kept, side, reading)
    if settings.train_batch is None:  # a folder may hold fewer
        fewest = max(1, len(learned) // arguments.world_size)
        arguments.per_device_train_batch_size = min(arguments.per_device_train_batch_size, fewest)
    if len(learned) < arguments.per_device_train_batch_size:
        raise ValueError(f"--train-batch {training.train_batch} is too large for {len(learned)} training pictures")
    validation = preprocessed(source.val, processor, reading)
    watched = preprocessed(watched, processor, reading) if watched else None
    corrected = squashed_corrections([every[i] for i in taught], labels[taught], side)
    seen = {
        name: seen_corrections([every[i] for i in part], labels[part], processor)
        for name, part in (("corrected", taught), ("held_out", held_out))
        if len(part)
    }

    def look_at(model) -> dict:
        found = {
            name: measured(model, data, said, processor, training.test_batch, measure.device())
            for name, (data, said) in seen.items()
        }
        logits, _ = predict(model, validation, processor, training.test_batch, measure.device())
        right = (logits.argmax(1) == validation.labels).float()
        return {**found, "validation": {"pictures": len(right), "top1": 100 * right.mean().item()}}

    before = look_at(copy.deepcopy(model))
    fixed = {"seed": settings.seed, "max_steps": arguments.max_steps, "initial": settings.initial}
    fixed |= {"corrections": len(every), "map_weight": settings.map_weight, "keep": settings.keep}
    fixed |= {"forbidden_weight": settings.forbidden_weight, "corrections_share": settings.corrections_share}
    noted = note_run(output, recipe, learned.samples, fixed, command, resume is not None)
    adviser = (
        tuned(Explainer(copy.deepcopy(model), processor, device=arguments.device)).model if settings.keep else None
    )
    trainer = CorrectingTrainer(
        model=model.to(memory_format=torch.channels_last),
        args=arguments,
        recipe=recipe,
        corrected=corrected,
        count=count,
        how=settings,
        adviser=adviser,
        pretrained=frozenset(name for name, _ in model.named_parameters()),
        processing_class=processor,
        train_dataset=learned,
        eval_dataset=watched or validation,
        data_collator=collate,
        compute_metrics=of_prediction,
    )
    per_epoch = max(1, len(learned) // (arguments.per_device_train_batch_size * arguments.world_size))
    often = -(-arguments.max_steps // (SAVED * per_epoch))
    trainer.add_callback(fit.AfterStep(trainer, settings.eval_every or often, settings.save_every or often))
    trainer.go(resume)
    metrics = {}
    if trainer.is_world_process_zero():
        weights = trainer.save_result(output, "nothing")
        processor.save_pretrained(output)
        write_lines(output / "log.jsonl", trainer.state.log_history)
        curves_png(trainer.state.log_history, output / CURVES)
        found = {"before": before, "after": look_at(measure.load(output)[0])}
        run = {
            "epochs": round(trainer.state.epoch or 0, 3),
            "steps": trainer.state.global_step,
            "training_pictures": len(learned),
            "training_seconds": round(trainer.seconds),
            "processes": arguments.world_size,
            **weights,
            "corrections": found,
        }
        metrics = fit.finish(settings, recipe, source, output, noted, watched, validation, run)
        print(table(found))
    trainer.accelerator.wait_for_everyone()
    return metrics
