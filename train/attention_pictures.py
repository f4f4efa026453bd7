"""The attention laid over every picture of a split, as `--evaluate -s` leaves it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from abn import Explainer, families
from abn.explanation import BATCH
from abn.model.pictures import load_rgb
from abn.visualize import save_png, task_file
from train import measure
from train.sources import Source

METHODS = {"pos": "attention", "neg": "attention-negative", "both": "attention-both"}  # eval_celeba.py's names


def folder_for(checkpoint: str, asked: str, split: str) -> Path:
    """Where they go: `asked`, else attention-SPLIT in the checkpoint's folder (the working folder of a Hub id's)."""
    if asked:
        return Path(asked).expanduser() / split
    path = Path(checkpoint)
    return (path if path.is_dir() else path.parent if path.is_file() else Path()) / f"attention-{split}"


def save(loaded: measure.Loaded, source: Source, folder: Path, sign: str, workers: int) -> None:
    """For each validation picture of `source`, in order: 000000_input.png, what the network saw, and with the map's
    colours added 000000_attention.png, or 000000_TASK.png for every task of a multi-task network.

    Args:
        sign: "pos", "neg" or "both": which part of a signed map.

    Raises:
        ValueError: the network has no attention map, or none with a sign.
        OSError: a picture cannot be read, or the folder cannot be written.
    """
    model, processor = loaded
    if families.find(model.config) is None:
        raise ValueError("a network trained with --plain has no attention to save")
    explainer = Explainer(model, processor, device=measure.device())
    tasks = explainer.abilities.tasks
    if sign != "pos" and not tasks:
        raise ValueError(f"--attention-type {sign}: only a multi-task network's maps have a sign")
    paths = [path for path, _ in source.val]
    with ThreadPoolExecutor(workers) as pool, tqdm(total=len(paths), desc="attention", mininterval=1) as bar:
        for start in range(0, len(paths), BATCH):
            pictures = list(pool.map(load_rgb, paths[start : start + BATCH]))
            if tasks:
                found = explainer.every_task(pictures, method=METHODS[sign])
            else:
                found = [{"attention": explanation} for explanation in explainer(pictures)]
            for place, explanations in enumerate(found, start):
                save_png(next(iter(explanations.values())).view, folder / f"{place:06d}_input.png")
                for name, explanation in explanations.items():
                    save_png(explanation.overlay(), folder / f"{place:06d}_{task_file(name)}")
            bar.update(len(pictures))
    print(f"wrote the attention of {len(paths)} pictures to {folder}")
