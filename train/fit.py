"""A run from start to end: data -> network -> Trainer -> calibration -> evaluation -> output folder."""

import argparse
import sys
import time
from pathlib import Path

import torch
from huggingface_hub import HfApi
from transformers import TrainerCallback, TrainingArguments, set_seed

from abn import AbnConfig, AbnForImageClassification, AbnImageProcessor, imagenette
from abn.backbone_resnet import zero_last_norms
from abn.calibration import CALIBRATION_NAME, Calibration
from abn.checkpoints import load_checkpoint
from train.data import collate, preprocessed, split_off, squashed
from train.recipes import Recipe
from train.remedy import teacher_maps
from train.report import circumstances, predict, save_weights, scores, write_metrics
from train.trainer import AbnTrainer, checkpoints

MARGIN = 1.25  # pictures are kept this much larger than the largest training crop


def fit(args: argparse.Namespace, recipe: Recipe, command: str) -> dict:
    """Train by `recipe` and write weights, config, processor, calibration and metrics.json to `args.checkpoint`."""
    started = time.time()
    set_seed(args.seed)
    output = Path(args.checkpoint)
    resume = _resume_from(args.resume, output)
    if resume is None and checkpoints(output):
        raise FileExistsError(f"{output} holds an earlier run: go on with --resume, or choose another --checkpoint")
    if recipe.attention_weight and args.initial is None:
        raise ValueError("the attention remedy needs --initial: the trained network whose maps it learns from")
    model = build_model(recipe) if args.initial is None else load_checkpoint(args.initial)[0]
    processor = build_processor(recipe)
    download = resume is None
    train = imagenette.load(args.imagenette_root, "train", args.imagenette_size, download=download)
    val = imagenette.load(args.imagenette_root, "val", args.imagenette_size, download=download)
    pictures = squashed(train._samples, round(MARGIN * max(recipe.sizes)), args.workers)
    rest, held_out = split_off(pictures.labels, recipe.holdout, args.seed)
    validation = preprocessed(val._samples, processor, args.workers)
    learned = pictures.subset(rest)
    if recipe.attention_weight:
        learned.maps = teacher_maps(
            model,
            learned,
            processor,
            sizes=recipe.teacher_sizes,
            power=recipe.teacher_power,
            device=_device(),
        )

    trainer = AbnTrainer(
        model=model.to(memory_format=torch.channels_last),
        args=training_arguments(args, recipe, output),
        recipe=recipe,
        image_mean=processor.image_mean,
        image_std=processor.image_std,
        train_dataset=learned,
        eval_dataset=validation,
        data_collator=collate,
        compute_metrics=_metrics,
    )
    trainer.add_callback(_AfterStep(trainer, recipe.eval_every))
    result = trainer.train(
        resume_from_checkpoint=str(resume) if resume else None, ignore_keys_for_eval=["attention_map"]
    )
    with trainer.averaged() as averaged:
        save_weights(averaged, output, half=recipe.half_precision)
    processor.save_pretrained(output)
    training = {
        "epochs": round(trainer.state.epoch or 0, 3),
        "training_seconds": round(result.metrics["train_runtime"]),
        "seconds": round(time.time() - started),
    }
    samples = [train._samples[i] for i in held_out.tolist()]
    return _finish(args, recipe, command, samples, validation, training)


def average(args: argparse.Namespace, recipe: Recipe, command: str) -> dict:
    """The mean of several checkpoints' weights (Wortsman et al. 2022, arXiv:2203.05482), finished as a run is.

    They must come from one another by fine-tuning; `recipe` and `args.seed` say what was held out of their training.
    """
    output = Path(args.checkpoint)
    loaded = [load_checkpoint(source) for source in args.average]
    model, processor = loaded[0]
    states = [other.state_dict() for other, _ in loaded]
    mean = {
        name: torch.stack([state[name] for state in states]).mean(0) if tensor.is_floating_point() else tensor
        for name, tensor in states[0].items()
    }
    model.load_state_dict(mean)
    save_weights(model, output, half=recipe.half_precision)
    processor.save_pretrained(output)
    train = imagenette.load(args.imagenette_root, "train", args.imagenette_size, download=True)
    val = imagenette.load(args.imagenette_root, "val", args.imagenette_size, download=True)
    _, held_out = split_off(torch.tensor([label for _, label in train._samples]), recipe.holdout, args.seed)
    samples = [train._samples[i] for i in held_out.tolist()]
    validation = preprocessed(val._samples, processor, args.workers)
    return _finish(args, recipe, command, samples, validation, {"averaged": list(args.average)})


def _finish(args, recipe: Recipe, command: str, held_out: list, validation, more: dict) -> dict:
    """Calibrate and measure what was saved, write metrics.json, and push if asked."""
    output = Path(args.checkpoint)
    device = _device()
    model, processor = load_checkpoint(output)
    (output / CALIBRATION_NAME).unlink(missing_ok=True)
    if held_out:
        kept_out = preprocessed(held_out, processor, args.workers)
        Calibration.fit(*predict(model, kept_out, processor, recipe.test_batch, device), kept_out.labels).save(output)
    measured = scores(*predict(model, validation, processor, recipe.test_batch, device), validation.labels)
    metrics = {
        **measured,
        "pictures": len(validation),
        "parameters": model.num_parameters(),
        "recipe": args.recipe,
        **more,
        **circumstances(command, args.seed),
    }
    write_metrics(output, metrics)
    _print(measured, len(validation))
    if args.push_to_hub:
        push(output, args.push_to_hub)
    return metrics


def evaluate(args: argparse.Namespace, recipe: Recipe) -> dict[str, float]:
    """Print top-1, top-5 and loss of `args.checkpoint` on the whole validation split, as its own processor sees it."""
    model, processor = load_checkpoint(args.checkpoint)
    val = imagenette.load(args.imagenette_root, "val", args.imagenette_size, download=True)
    if model.config.num_labels != len(imagenette.CLASSES):
        raise ValueError(f"{args.checkpoint} knows {model.config.num_labels} classes; Imagenette has 10")
    data = preprocessed(val._samples, processor, args.workers)
    device = _device()
    measured = scores(*predict(model, data, processor, recipe.test_batch, device), data.labels)
    _print(measured, len(data))
    return measured


def build_model(recipe: Recipe) -> AbnForImageClassification:
    """A fresh network for Imagenette's classes."""
    config = AbnConfig(
        arch=recipe.arch,
        width=recipe.width,
        stem=recipe.stem,
        shortcut=recipe.shortcut,
        attention_head=recipe.attention_head,
        id2label=dict(enumerate(imagenette.CLASSES)),
    )
    model = AbnForImageClassification(config)
    if recipe.zero_last_norms:
        zero_last_norms(model)
    return model


def build_processor(recipe: Recipe) -> AbnImageProcessor:
    crop = {"height": recipe.test_size, "width": recipe.test_size}
    return AbnImageProcessor(size={"shortest_edge": max(recipe.resize, recipe.test_size)}, crop_size=crop)


def training_arguments(args: argparse.Namespace, recipe: Recipe, output: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(output),
        num_train_epochs=recipe.epochs,
        max_steps=args.max_steps,
        per_device_train_batch_size=recipe.train_batch,
        per_device_eval_batch_size=recipe.test_batch,
        max_grad_norm=0.0,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        dataloader_drop_last=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        label_names=["labels"],
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        disable_tqdm=not sys.stderr.isatty(),
        report_to="none",
        seed=args.seed,
    )


class _AfterStep(TrainerCallback):
    """Averages the weights after every step, and evaluates only every so many epochs and at the end."""

    def __init__(self, trainer: AbnTrainer, eval_every: int):
        self.trainer, self.eval_every = trainer, eval_every

    def on_step_end(self, args, state, control, **kwargs):
        self.trainer.optimizer_stepped()

    def on_epoch_end(self, args, state, control, **kwargs):
        epoch = round(state.epoch)
        control.should_evaluate = epoch % self.eval_every == 0 or state.global_step >= state.max_steps


def _metrics(prediction) -> dict[str, float]:
    logits, attention_logits = (torch.from_numpy(p) for p in prediction.predictions[:2])
    measured = scores(logits, attention_logits, torch.from_numpy(prediction.label_ids))
    return {name: round(value, 4) for name, value in measured.items()}


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _resume_from(resume: str | None, output: Path) -> Path | None:
    if resume is None:
        return None
    if resume == "newest":
        found = checkpoints(output)
        if not found:
            raise FileNotFoundError(f"nothing to resume: {output} holds no checkpoint-N folder")
        return found[-1]
    if not (Path(resume) / "trainer_state.json").is_file():
        raise FileNotFoundError(f"{resume} is not a checkpoint-N folder: it holds no trainer_state.json")
    return Path(resume)


def push(folder: Path, repo_id: str) -> str:
    """Upload the output folder, with the code that loads it, to the Hub. Returns the commit's URL."""
    api = HfApi()
    api.create_repo(repo_id, exist_ok=True)
    commit = api.upload_folder(
        repo_id=repo_id, folder_path=folder, ignore_patterns=["checkpoint-*", ".*"], commit_message="Upload ABN"
    )
    print(f"pushed to {commit}")
    return str(commit)


def _print(measured: dict[str, float], pictures: int) -> None:
    print(f"top-1 {measured['top1']:.2f} %  top-5 {measured['top5']:.2f} %  loss {measured['loss']:.4f}", end="  ")
    print(f"({pictures} pictures; attention branch alone: top-1 {measured['attention_top1']:.2f} %)")
