"""The pictures of a run: how they are read, at which size, and whether they are held in memory."""

from dataclasses import replace
from pathlib import Path

from accelerate import PartialState

from abn import AbnImageProcessor
from train.data import preprocessed, shape_of, squashed
from train.dataset import PictureDataset, Reading
from train.processes import agreed, one_copy
from train.recipes import Recipe
from train.room import to_stream
from train.settings import Settings
from train.sources import Samples

MARGIN = 1.25  # pictures are kept this much larger than the largest training crop


def reading_of(settings: Settings) -> Reading:
    corrupt = settings.corrupt or ("few" if settings.data else "refuse")
    return Reading(settings.workers, corrupt, Path(settings.cache) if settings.cache else None, settings.in_memory)


def pictures_of(
    settings: Settings,
    recipe: Recipe,
    kept: Samples,
    held_out: Samples,
    validation: Samples,
    processor: AbnImageProcessor,
) -> tuple[PictureDataset, PictureDataset | None, PictureDataset]:
    """What is learned, what is held out (None where that is nothing), and what is measured at the end.

    Raises:
        ValueError: pictures cannot be read.
    """
    training, rounds, reading = recipe.training, recipe.rounds, reading_of(settings)
    sizes = [*(training.sizes if training.epochs else ())]
    if rounds.tune_epochs:
        sizes.append(rounds.tune_size)
    side = max(sizes) if training.pad else round(MARGIN * max(sizes))
    shapes = [(len(kept), side, side), *((len(part), *shape_of(processor)) for part in (held_out, validation))]
    streams = [False] * 3 if reading.cache else agreed(to_stream(shapes, reading.in_memory))
    if streams[0]:
        words = f"{len(kept):,} pictures of {side} px are more than memory is to hold: they are decoded in every epoch"
        PartialState().print(words, flush=True)
    with one_copy(reading.cache) as cache:
        ways = [replace(reading, cache=None if stream else cache, stream=stream) for stream in streams]
        learned = squashed(kept, side, ways[0])
        held = preprocessed(held_out, processor, ways[1]) if held_out else None
        return learned, held, preprocessed(validation, processor, ways[2])
