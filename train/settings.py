"""What a run is asked for beside its recipe: what to do, with which data, on what."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass
from pathlib import Path

from train.options import check_together, option, optional
from train.recipes.recipe import PARTS

IN_MEMORY = 1 / 3  # of the free memory, for decoded pictures


@dataclass(kw_only=True)
class Task:
    recipe: str | None = option(
        None,
        help="named recipe; the arguments below override it (default: compact; with --initial and no fine-tuning "
        "rounds finetune; with --arch and no --width the standard network's: paper, CIFAR's cifar-…, or multitask)",
    )
    checkpoint: str = option("checkpoint", "-c", path=True, help="output folder; with --evaluate: what to evaluate")
    resume: str | None = option(
        None,
        path=True,
        bare="newest",
        help="go on from this checkpoint-N folder; without a value from the newest in --checkpoint; with --evaluate: "
        "what to evaluate",
    )
    evaluate: bool = option(
        False,
        "-e",
        help="only evaluate --checkpoint on the validation split",
        against=("resume", "folds", "push_to_hub", "plain", "initial"),
    )
    split: Sequence[str] | None = option(
        None,
        choices=("val", "test", "train"),
        help="with --evaluate: on these splits, as far as there are",
        needs="evaluate",
    )
    save_attention: str | None = option(
        None,
        "-s",
        path=True,
        bare="",
        metavar="DIR",
        help="with --evaluate: write every picture with its attention; default: attention-SPLIT in --checkpoint",
        needs="evaluate",
    )
    attention_type: str = option("pos", choices=("pos", "neg", "both"), help="of signed maps, with -s")
    folds: int | None = option(
        None,
        least=2,
        metavar="K",
        help="K-fold cross-validation over the training pictures",
        against=("initial", "push_to_hub"),
    )
    push_to_hub: str | None = option(
        None,
        bare="",
        metavar="REPO_ID",
        help="upload the result to this Hub repository; without a value to one of yours, named as the output folder",
    )


@dataclass(kw_only=True)
class Data:
    imagenette_root: str = option("data", "--root", path=True, help="folder that holds, or is to hold, the data set")
    imagenette_size: str | None = option(
        None, choices=("full", "320px", "160px"), help="default: any there is, else full"
    )
    data: str | None = option(
        None,
        path=True,
        metavar="DIR",
        help="class folders, or train/ beside val/ (valid/, validation/, test/) of class folders, or a metadata.csv or "
        ".jsonl of file_name and label; for tasks: attributes.csv",
        against=("imagenette_size", "dataset", "boxes"),
    )
    val_share: float | None = option(
        None,
        metavar="SHARE",
        help="of each class of --data for validation, where there is no split for it: the same for the same --seed "
        "(default: 0.2)",
        against=("folds",),
        needs="data",
    )
    workers: int = option(os.cpu_count() or 1, "-j", least=1, help="decoding threads, or processes where it streams")
    corrupt: str | None = option(
        None,
        choices=("refuse", "skip"),
        help="pictures that cannot be read: an error, or left out and counted (default: of --data left out, as long as "
        "they are less than a tenth)",
    )
    cache: str | None = option(None, path=True, metavar="DIR", help="keep decoded pictures here, memory-mapped")
    in_memory: float = option(
        IN_MEMORY,
        metavar="SHARE",
        help="of the free memory that decoded pictures may take (default: a third): a larger set is decoded anew in "
        "every epoch, in --workers processes; 0: every set",
    )


@dataclass(kw_only=True)
class Figures:
    explain: int = option(
        100, least=0, help="pictures for insertion and deletion, and twice as many for what aspect costs; 0: none"
    )
    boxes: str | None = option(None, path=True, metavar="CSV", help="path,x0,y0,x1,y1: boxes for pointing and energy")


@dataclass(kw_only=True)
class Start:
    initial: str | None = option(
        None,
        path=True,
        metavar="CHECKPOINT",
        help="start from these weights: an ABN's, or of a ResNet by torchvision, timm (timm/resnet50.a1_in1k) or "
        "transformers (microsoft/resnet-50); a Hub id, a folder or a file. Where they know other classes than the data "
        "the heads begin anew",
        against=(
            *("arch", "width", "stem", "shortcut", "attention_head", "residual_attention", "dropout"),
            *("zero_last_norms", "channels"),
        ),
    )
    max_steps: int = option(-1, least=1, help="squeeze the run into so many steps")
    seed: int = option(0, "--manualSeed")
    gpu_id: str | None = option(None, help="the CUDA device to use (default: 0), several as 0,1, or 'cpu'")
    sync_batch_norm: bool = option(
        False, help="with several devices: batch norm sees the pictures of all, and not those of its own device alone"
    )
    precision: str | None = option(
        None, choices=("float32", "bf16", "fp16"), help="of the training's arithmetic (default: bf16 where it is quick)"
    )
    report_to: Sequence[str] | None = option(
        None,
        metavar="NAME",
        help="tensorboard, wandb, mlflow, … as transformers knows them, or none (default: tensorboard if installed)",
    )
    compile: bool = option(False, help="torch.compile the network")


@dataclass(kw_only=True)
class Correct:
    """See `train.correcting`."""

    corrections: str | None = option(
        None,
        path=True,
        metavar="DIR|ZIP",
        help="teach --initial where to look (docs/corrections.md); in --max-steps steps, 200 if it is not said",
        needs="initial",
        against=(
            *("evaluate", "folds", "plain", "multitask", "epochs", "tune_epochs", "cutmix", "pad"),
            *("attention_weight", "test_size", "resize", "compile", "accumulate"),
            *("patience", "sync_batch_norm"),
        ),
    )
    corrections_share: float = option(0.5, least=0.01, most=0.9, help="of a batch are corrected pictures")
    corrections_holdout: float = option(0.2, least=0, most=0.9, help="share of the corrections that is only measured")
    map_weight: float = option(1.0, least=0, most=1000, help="of the loss that places the map as the masks say")
    forbidden_weight: float = option(
        1.0, least=0, most=1000, help="of the class losses where forbidden parts hold something else; 0: none are made"
    )
    keep: float = option(
        0.5, least=0, most=1, help="share of the labels of training pictures that is what --initial says, where right"
    )


@dataclass(kw_only=True)
class Settings(Correct, Start, Figures, Data, Task):
    """All of it."""

    def __post_init__(self):
        """
        Raises:
            ValueError: they contradict each other.
        """
        if self.push_to_hub == "":
            self.push_to_hub = Path(self.checkpoint).resolve().name
        if self.folds is not None and self.resume not in (None, "newest"):
            raise ValueError("--folds goes on with --resume alone; it takes no checkpoint-N folder")
        check_together(self)
        if self.val_share is not None and not 0 < self.val_share < 1:
            raise ValueError(f"--val-share must be between 0 and 1; got {self.val_share:g}")
        if not self.in_memory >= 0:
            raise ValueError(f"--in-memory must be 0 or more; got {self.in_memory:g}")


# What a command asked for: the settings, and each field of the recipe that it named; None for those it did not.
NAMED = [field for part in PARTS.values() for field in optional(part)]
Asked = make_dataclass("Asked", NAMED, bases=(Settings,), kw_only=True)
