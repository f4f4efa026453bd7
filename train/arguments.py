"""A recipe in the words of transformers' Trainer, which has its own ways for most of it."""

from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import EarlyStoppingCallback, TrainingArguments

from abn.tuning import has_bfloat16
from train.processes import PATIENCE
from train.recipes import Recipe
from train.schedule import total_epochs
from train.settings import Settings


def training_arguments(settings: Settings, recipe: Recipe, output: Path) -> TrainingArguments:
    training, precision = recipe.training, settings.precision
    if precision is None:
        quick = has_bfloat16(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        precision = "bf16" if quick else "float32"
    arguments = TrainingArguments(
        output_dir=str(output),
        num_train_epochs=total_epochs(recipe),
        max_steps=settings.max_steps,
        per_device_train_batch_size=training.train_batch,
        per_device_eval_batch_size=training.test_batch,
        max_grad_norm=0.0,
        gradient_accumulation_steps=training.accumulate,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=not torch.cuda.is_available(),
        torch_compile=settings.compile,
        dataloader_drop_last=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        label_names=["labels"],
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        disable_tqdm=False,
        report_to=settings.report_to or ("tensorboard" if find_spec("tensorboard") else "none"),
        metric_for_best_model=("accuracy" if recipe.network.multitask else "top1") if training.patience else None,
        greater_is_better=True if training.patience else None,
        restore_callback_states_from_checkpoint=training.patience > 0,  # how long it has been patient
        seed=settings.seed,
        ddp_find_unused_parameters=recipe.rounds.freeze_features and bool(recipe.rounds.tune_epochs),
        ddp_timeout=int(PATIENCE.total_seconds()),
    )
    devices = arguments.world_size
    if training.train_batch % devices:
        raise ValueError(f"--train-batch {training.train_batch} cannot be shared evenly by {devices} processes")
    arguments.per_device_train_batch_size = training.train_batch // devices
    return arguments


class Patience(EarlyStoppingCallback):
    """Without its demand to load the best at the end, which `save_result` does."""

    def on_train_begin(self, args, state, control, **kwargs):
        pass
