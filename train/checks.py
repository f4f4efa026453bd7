"""What is refused before anything is trained, each with one clear sentence."""

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers.integrations import integration_utils

from train.options import check_values, flag
from train.recipes import Recipe
from train.report import commit, write_json
from train.trainer import checkpoints

RUN_NAME = "run.json"
REPORTS = {"azure_ml": "azureml", "comet_ml": "comet", "flyte": "flytekit"}  # whose checks have names of their own


def check_recipe(recipe: Recipe, initial: str | None) -> None:
    """Raises: ValueError: a field is out of range, or fields contradict each other."""
    network, training, rounds, remedy = recipe.network, recipe.training, recipe.rounds, recipe.remedy
    for part in (network, training, rounds, remedy):
        check_values(part)
    for name, (low, high) in {"crop_area": training.crop_area, "tune_crop_area": rounds.tune_crop_area}.items():
        if not 0 < low <= high <= 1:
            raise ValueError(f"{flag(name)} must rise, above 0 and to 1 at most; got {low:g} {high:g}")
    low, high = training.crop_aspect
    if not 0 < low <= high < math.inf:
        raise ValueError(f"--crop-aspect must rise, above 0; got {low:g} {high:g}")
    if recipe.fitted and initial is None:
        raise ValueError("the recipe finetune needs --initial: the network to start from")
    if not training.epochs and initial is None:
        raise ValueError("a recipe without class training needs --initial: the trained network to go on from")
    if not training.epochs and not rounds.tune_epochs:
        raise ValueError("nothing to train: --epochs is 0 and there is no --tune-epochs")
    if network.plain and initial is not None:
        raise ValueError("--plain trains from scratch: it cannot start from --initial")
    if training.schedule and max(training.schedule) >= training.epochs:
        last = max(training.schedule)
        raise ValueError(f"--schedule {last} lies behind the last of {training.epochs} epochs; give another --schedule")
    if training.test_size > training.resize:
        raise ValueError(f"--test-size {training.test_size} cannot be cropped from a short side of {training.resize}")
    if network.multitask and (network.plain or remedy.attention_weight or training.label_smoothing):
        raise ValueError("a multi-task recipe knows no --plain, no --attention-weight and no label smoothing")
    if network.arch == "vit" and (network.plain or rounds.tune_epochs or network.multitask):
        raise ValueError("a Vision Transformer knows no --plain, no --tune-epochs and no tasks")
    if rounds.outliers and (network.plain or network.multitask):
        raise ValueError(
            "--outliers are told by both branches' answers to classes: not with --plain, not with --multitask"
        )
    if rounds.average_rounds and not training.ema_decay:
        raise ValueError("--average-rounds needs averaged weights: an --ema-decay above 0")
    if rounds.before_share and not rounds.average_rounds:
        raise ValueError("--before-share needs --average-rounds")
    if network.channels != 3 and network.arch != "vit":
        raise ValueError(f"--channels {network.channels} is for a Vision Transformer; {network.arch} sees colours")
    if training.focal and not network.multitask:
        raise ValueError("--focal weighs the losses of tasks; this recipe has classes")
    if training.patience and rounds.tune_epochs:
        raise ValueError("--patience stops a class training; with fine-tuning rounds, --tune-epochs, it has no meaning")
    if training.pad and (len(training.sizes) > 1 or rounds.tune_epochs):
        raise ValueError("--pad, which shifts pictures, goes with one of --sizes and no fine-tuning rounds")


def check_compile(compiled: bool, padding: str | None) -> None:
    """Raises: ValueError: PyTorch's compiler does not train this padding (2.14.1 fails in the first step: the
    gradient of replication_pad2d comes in another memory format than the compiler was told)."""
    if compiled and padding == "replicate":
        raise ValueError(
            "--compile does not go with --padding replicate, whose gradient PyTorch's compiler gets wrong; "
            "use --padding zeros, or leave --compile out"
        )


def check_precision(precision: str | None) -> None:
    """Raises: ValueError: the device does not know it."""
    if precision == "fp16" and not torch.cuda.is_available():
        raise ValueError("--precision fp16 needs a CUDA device; float32 and bf16 do not")


def check_report(names: Sequence[str] | None) -> None:
    """Raises: ValueError: transformers knows no such place to report to, or lacks a package for it."""
    known = integration_utils.INTEGRATION_TO_CALLBACK
    for name in names or ():
        if name not in (*known, "none", "all"):
            raise ValueError(f"--report-to must be none, all, or some of {', '.join(known)}; got {name!r}")
        package = REPORTS.get(name, name)
        if name in known and not getattr(integration_utils, f"is_{package}_available")():
            raise ValueError(f"--report-to {name} needs a package that is not installed (pip install {name})")


def resume_from(resume: str | None, output: Path) -> Path | None:
    """The checkpoint folder that `--resume` means: "newest" in `output`, or a folder in it.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is another run's.
    """
    if resume is None:
        return None
    if resume == "newest":
        found = checkpoints(output)
        if not found:
            raise FileNotFoundError(f"nothing to resume: {output} holds no checkpoint-N folder")
        return found[-1]
    if not (Path(resume) / "trainer_state.json").is_file():
        raise FileNotFoundError(f"{resume} is not a checkpoint-N folder: it holds no trainer_state.json")
    if Path(resume).resolve().parent != output.resolve():
        raise ValueError(f"--resume must be a checkpoint-N folder in --checkpoint ({output}); got {resume}")
    return Path(resume)


def check_unused(output: Path) -> None:
    """Raises: FileExistsError: `output` holds a run, or a README.md that a model card would replace."""
    if checkpoints(output) or (output / "model.safetensors").exists():
        raise FileExistsError(f"{output} holds an earlier run: go on with --resume, or choose another --checkpoint")
    if (output / "README.md").exists():
        raise FileExistsError(f"{output} holds a README.md, which the model card would replace: choose another folder")


def note_run(output: Path, recipe: Recipe, samples: list, more: dict, command: str, resumed: bool) -> dict:
    """Write run.json at the start of a run; on resuming, hold it against the run under way.

    Args:
        samples: (path, label) of the training pictures.
        more: what else must not change, such as seed and steps.

    Returns:
        What was noted at the start: among it "command" and "commit"; and in "resumed_by" the commits of other code that
        went on with the run.

    Raises:
        ValueError: the run to be resumed was another one; names the first difference.
    """
    lines = "\n".join(f"{Path(path).name} {label}" for path, label in samples)
    digest = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    fixed = json.loads(json.dumps({**recipe.values(), **more, "training pictures": digest[:16]}))
    file = output / RUN_NAME
    if resumed and file.is_file():
        noted = json.loads(file.read_text())
        for name, value in noted["fixed"].items():
            if fixed.get(name, value) != value:
                raise ValueError(f"--resume: this run's {name} was {value!r}; now it is {fixed[name]!r}")
        now, others = commit(), noted.get("resumed_by", [])
        if now not in (noted["commit"], *others):
            noted["resumed_by"] = [*others, now]
            write_json(file, noted)
        return noted
    noted = {"command": command, "commit": commit(), "fixed": fixed}
    write_json(file, noted)
    return noted
