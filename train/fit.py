"""A run from start to end: data -> network -> Trainer -> calibration -> figures -> output folder."""

import hashlib
from pathlib import Path

import torch
from transformers import (
    TrainerCallback,
    set_seed,
)

from train import attention_pictures, measure
from train.arguments import Patience, training_arguments
from train.card import ATTENTIONS, CURVES, MATRIX, write_card
from train.checks import check_compile, check_recipe, check_unused, note_run, resume_from
from train.dataset import PictureDataset, collate
from train.figures import confusion_matrix_png, curves_png
from train.initial import sides_of, start_of
from train.metrics import of_prediction
from train.plain import network_shape
from train.processes import synchronised
from train.publish import push
from train.reading import pictures_of, reading_of
from train.recipes import Recipe
from train.recipes.finetune import fitted, in_words
from train.report import circumstances, write_json, write_lines
from train.settings import Asked, Settings
from train.sources import Source
from train.trainer import AbnTrainer, checkpoints


def fit(
    settings: Asked,
    recipe: Recipe,
    source: Source,
    output: Path,
    command: str,
    resume_if_any: bool = False,
    more: dict | None = None,
) -> dict:
    """Train by `recipe` and write weights, config, processor, calibration, metrics.json, pictures and model card.

    The weights are the mean of the fine-tuning rounds or, without any, the best (see `AbnTrainer.save_result`).

    Args:
        resume_if_any: go on from the newest checkpoint where there is one, start anew where there is none.
        more: goes into metrics.json.

    Raises:
        FileExistsError: `output` holds weights or checkpoints and the run is not to be resumed.
        ValueError: the recipe contradicts itself; pictures cannot be read.
    """
    set_seed(settings.seed)
    newest = "newest" if resume_if_any and checkpoints(output) else None
    resume = resume_from(newest if resume_if_any else settings.resume, output)
    if resume is None:
        check_unused(output)
    check_recipe(recipe, settings.initial)
    start = start_of(settings, recipe, source)
    model = start.model
    check_compile(settings.compile, network_shape(model.config).padding)
    processor = start.processor_for(recipe)
    if recipe.fitted:
        recipe = fitted(recipe, *sides_of(processor), len(source.train))
        check_recipe(recipe, settings.initial)
        print(f"{len(source.train)} training pictures: {in_words(recipe)}", flush=True)
    kept, held_out = source.split(recipe.training.holdout, settings.seed)
    if recipe.training.holdout and not held_out:
        print("too few pictures a class to hold any out: no calibration; the validation split is watched instead")
    training = recipe.training
    learned, held, validation = pictures_of(settings, recipe, kept, held_out, source.val, processor)
    watched = validation if held is None else held
    if len(learned) < training.train_batch:
        raise ValueError(f"--train-batch {training.train_batch} is more than the {len(learned)} training pictures")
    arguments = training_arguments(settings, recipe, output)
    fixed = {"seed": settings.seed, "max_steps": settings.max_steps, "processes": arguments.world_size}
    fixed |= {"precision": settings.precision}
    noted = note_run(output, recipe, learned.samples, fixed, command, resume is not None)
    if settings.sync_batch_norm:
        model = synchronised(model, arguments.world_size)
    trainer = AbnTrainer(
        model=model.to(memory_format=torch.channels_last),
        args=arguments,
        recipe=recipe,
        pretrained=frozenset(name for name, _ in model.named_parameters()) - start.new,
        processing_class=processor,
        train_dataset=learned,
        eval_dataset=watched,
        data_collator=collate,
        compute_metrics=of_prediction,
    )
    trainer.add_callback(AfterStep(trainer, training.eval_every, training.save_every))
    if training.patience:
        trainer.add_callback(Patience(training.patience))
    trainer.go(resume)
    metrics = {}
    if trainer.is_world_process_zero():
        of = "what is held out" if held_out else "the validation split"
        kept = trainer.save_result(output, of)
        processor.save_pretrained(output)
        print(f"weights: {kept['weights']}")
        write_lines(output / "log.jsonl", trainer.state.log_history)
        curves_png(trainer.state.log_history, output / CURVES)
        run = {
            "epochs": round(trainer.state.epoch or 0, 3),
            "training_pictures": len(learned),
            "training_seconds": round(trainer.seconds),
            "pictures_per_second": round(
                trainer.state.global_step * training.accumulate * training.train_batch / trainer.seconds, 1
            ),
            "processes": arguments.world_size,
            **kept,
            **(more or {}),
        }
        metrics = finish(settings, recipe, source, output, noted, held, validation, run)
    trainer.accelerator.wait_for_everyone()
    return metrics


def finish(
    settings: Settings, recipe: Recipe, source: Source, output: Path, noted: dict, held_out, validation, run: dict
) -> dict:
    """Calibrate and measure what was saved; write metrics.json, the confusion matrix and the card; push if asked."""
    loaded = measure.load(output)
    measure.calibrate(output, loaded, held_out)
    found = figures_of(settings, recipe, source, output, loaded, validation)
    about = circumstances(noted["command"], settings.seed, noted["commit"])
    if "resumed_by" in noted:
        about["resumed_by"] = noted["resumed_by"]
    digest = hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest()
    metrics = {**found, "recipe": settings.recipe, **run, **about, "sha256": digest}
    write_json(output / "metrics.json", metrics)
    if "confusion_matrix" in found:
        title = f"top-1 {found['top1']:.2f} % of {found['pictures']} pictures"
        confusion_matrix_png(found["confusion_matrix"], source.classes, output / MATRIX, title)
    if settings.explain:
        measure.attention_grid(loaded, validation.samples, source.classes, output / ATTENTIONS)
    write_card(output, metrics)
    print(measure.summary(found))
    if settings.push_to_hub:
        push(output, settings.push_to_hub, metrics)
    return metrics


def evaluate(settings: Settings, recipe: Recipe, source: Source, loaded: measure.Loaded) -> dict:
    """Print the figures of `settings.checkpoint` on whole splits, the validation split if none is named, as its own
    processor sees them, and save the attention pictures if asked. Returns the figures of the last."""
    for split in settings.split or ("val",):
        part = source.with_val(split)
        found = figures_of(settings, recipe, part, settings.checkpoint, loaded)
        if settings.split:
            print(f"{split} split:")
        print(measure.summary(found))
        if settings.save_attention is not None:
            folder = attention_pictures.folder_for(settings.checkpoint, settings.save_attention, split)
            attention_pictures.save(loaded, part, folder, settings.attention_type, settings.workers)
    return found


def figures_of(
    settings: Settings,
    recipe: Recipe,
    source: Source,
    checkpoint,
    loaded: measure.Loaded,
    data: PictureDataset | None = None,
) -> dict:
    return measure.figures(
        checkpoint,
        loaded,
        source,
        reading_of(settings),
        batch=recipe.training.test_batch,
        explain=settings.explain,
        boxes=settings.boxes,
        data=data,
    )


class AfterStep(TrainerCallback):
    """Averages the weights after every step, evaluates and saves only every so many epochs and at the end, keeps the
    best."""

    def __init__(self, trainer: AbnTrainer, eval_every: int, save_every: int = 1):
        self.trainer, self.eval_every, self.save_every = trainer, eval_every, save_every

    def on_step_end(self, args, state, control, **kwargs):
        self.trainer.optimizer_stepped()

    def on_epoch_end(self, args, state, control, **kwargs):
        epoch, last = round(state.epoch), state.global_step >= state.max_steps
        control.should_evaluate = epoch % self.eval_every == 0 or last
        control.should_save = epoch % self.save_every == 0 or last

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        self.trainer.keep_best(metrics)
