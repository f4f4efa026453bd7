"""A run from start to end: data -> network -> Trainer -> calibration -> figures -> output folder."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import (
    PreTrainedModel,
    TrainerCallback,
    set_seed,
)

from abn.checkpoints import load_checkpoint
from train import attention_pictures, measure
from train.arguments import Patience, training_arguments
from train.card import ATTENTIONS, CURVES, MATRIX, write_card
from train.checks import check_compile, check_maps, check_recipe, check_unused, note_run, resume_from
from train.data import preprocessed
from train.dataset import PictureDataset, collate
from train.ema import mean_of
from train.figures import confusion_matrix_png, curves_png
from train.initial import of_same_classes, sides_of, start_of
from train.metrics import of_prediction
from train.naming import check_same_order
from train.plain import network_shape
from train.processes import synchronised
from train.publish import push
from train.reading import pictures_of, reading_of
from train.recipes import Recipe
from train.recipes.finetune import fitted, in_words
from train.report import circumstances, commit, save_weights, write_json, write_lines
from train.settings import Asked, Settings
from train.sources import Source
from train.trainer import EMA_NAME, AbnTrainer, checkpoints


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
    teacher = of_same_classes(settings.teacher, source, "--teacher") if settings.teacher else None
    if recipe.rounds.distil and teacher is None:
        raise ValueError("--distil needs a --teacher to learn from")
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
    if settings.teacher_maps:
        check_maps(settings.teacher_maps, len(learned))
    arguments = training_arguments(settings, recipe, output)
    fixed = {"seed": settings.seed, "max_steps": settings.max_steps, "processes": arguments.world_size}
    fixed |= {"teacher": settings.teacher, "teacher_maps": settings.teacher_maps, "precision": settings.precision}
    noted = note_run(output, recipe, learned.samples, fixed, command, resume is not None)
    if settings.sync_batch_norm:
        model = synchronised(model, arguments.world_size)
    trainer = AbnTrainer(
        model=model.to(memory_format=torch.channels_last),
        args=arguments,
        recipe=recipe,
        teacher=teacher,
        maps_file=Path(settings.teacher_maps) if settings.teacher_maps else None,
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


def average(settings: Settings, recipe: Recipe, source: Source, output: Path, command: str) -> dict:
    """The mean of several checkpoints' weights (Wortsman et al. 2022, arXiv:2203.05482), finished as a run is.

    Of a run's checkpoint-N folder its averaged weights. They must come from one another by fine-tuning; `recipe` and
    `settings.seed` say what was held out of their training.
    """
    check_unused(output)
    loaded = [load_checkpoint(checkpoint) for checkpoint in settings.average]
    model, processor = loaded[0]
    check_same_order(settings.average[0], model, source)
    states = [
        averaged_weights(Path(checkpoint), other)
        for checkpoint, (other, _) in zip(settings.average, loaded, strict=True)
    ]
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("--average needs checkpoints of one network")
    model.load_state_dict(mean_of(states))
    save_weights(model, output, half=recipe.training.half_precision)
    processor.save_pretrained(output)
    _, held_out = source.split(recipe.training.holdout, settings.seed)
    reading = reading_of(settings)
    watched = preprocessed(held_out, processor, reading) if held_out else None
    validation = preprocessed(source.val, processor, reading)
    noted = {"command": command, "commit": commit()}
    run = {"averaged": list(settings.average), "weights": f"the mean of {len(loaded)} checkpoints"}
    return finish(settings, recipe, source, output, noted, watched, validation, run)


def averaged_weights(folder: Path, model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The weights loaded from `folder`, or the averaged ones beside them: a checkpoint-N of a run holds both."""
    if not (folder / EMA_NAME).is_file():
        return model.state_dict()
    found = load_file(folder / EMA_NAME)
    return {name: found[name] for name in model.state_dict()}


def finish(
    settings: Settings, recipe: Recipe, source: Source, output: Path, noted: dict, held_out, validation, run: dict
) -> dict:
    """Calibrate and measure what was saved; write metrics.json, the confusion matrix and the card; push if asked."""
    loaded = measure.load(output)
    measure.calibrate(output, loaded, held_out, recipe.training.test_batch)
    found = figures_of(settings, recipe, source, output, loaded, validation)
    about = circumstances(noted["command"], settings.seed, noted["commit"])
    metrics = {**found, "recipe": settings.recipe, **run, **about}
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
