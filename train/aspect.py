"""What it costs in accuracy that visitors' pictures are wide or tall, and a data set's are squashed to squares."""

from collections.abc import Sequence

import torch
from PIL import Image
from tqdm import tqdm

from abn import Explainer
from abn.model.image_processing_abn import VIEWS
from abn.model.pictures import load_rgb

ASPECTS = {"1:1": (1, 1), "4:3": (4, 3), "3:4": (3, 4)}  # width to height
BATCH = 32  # pictures read at once


def stretched(picture: Image.Image, aspect: tuple[int, int]) -> Image.Image:
    """A picture with sides as `aspect` says, the shorter one as long as its own shorter side: nothing is cut off."""
    short = min(picture.size) / min(aspect)
    return picture.resize((round(short * aspect[0]), round(short * aspect[1])), Image.Resampling.BICUBIC)


@torch.no_grad()
def cost_of_aspect(explainer: Explainer, samples: Sequence[tuple[str, int]], order: Sequence[int]) -> dict:
    """Top-1 on the same pictures squashed to squares and stretched to 4:3 and 3:4, at each view.

    Args:
        samples: (path, label) pairs.
        order: the network's index of each label; it answers among these.

    Returns:
        Of metrics.json: "aspect_cost" and "aspect_cost_whole", what is lost of the square's top-1 in the mean of both
        others (percentage points; centre crop and whole picture), and "aspect", each top-1 (per cent).
    """
    right = {view: dict.fromkeys(ASPECTS, 0) for view in VIEWS}
    for start in tqdm(range(0, len(samples), BATCH), "stretched", mininterval=1):
        chosen = samples[start : start + BATCH]
        pictures = [load_rgb(path) for path, _ in chosen]
        labels = torch.tensor([label for _, label in chosen])
        for name, aspect in ASPECTS.items():
            shapes = [stretched(picture, aspect) for picture in pictures]
            for view in VIEWS:
                read = [explainer.read(shape, view) for shape in shapes]
                for members in explainer.batches(read, view):
                    logits = explainer.forward([read[i] for i in members], view).parts.logits.float().cpu()
                    right[view][name] += int((logits[:, order].argmax(1) == labels[members]).sum())
    top1 = {
        view: {name: 100 * count / len(samples) for name, count in counts.items()} for view, counts in right.items()
    }
    lost = {view: of["1:1"] - (of["4:3"] + of["3:4"]) / 2 for view, of in top1.items()}
    return {
        "aspect_cost": lost["model"],
        "aspect_cost_whole": lost["whole"],
        "aspect": {"pictures": len(samples), **top1},
    }
