"""Where the pictures come from, one file a source."""

from train.settings import Settings
from train.sources.celeba import celeba_source
from train.sources.cifar import cifar_source
from train.sources.folder import folder_source
from train.sources.imagenette import imagenette_source
from train.sources.mnist import mnist_source
from train.sources.source import Samples, Source, TaskSource
from train.sources.table import table_source

__all__ = [
    "Samples",
    "Source",
    "TaskSource",
    "celeba_source",
    "cifar_source",
    "folder_source",
    "imagenette_source",
    "mnist_source",
    "source_of",
    "table_source",
]


def source_of(settings: Settings, dataset: str, tasks: bool) -> Source:
    """What a command is to read: `settings.data`, else the data set of that name. Raises as the sources do.

    Args:
        tasks: whether it is for a multi-task network.
    """
    root, download = settings.imagenette_root, settings.resume is None
    if tasks:
        return table_source(settings.data) if settings.data else celeba_source(root, download)
    if settings.data:
        return folder_source(settings.data, share=settings.val_share, seed=settings.seed, folds=bool(settings.folds))
    if dataset == "mnist":
        return mnist_source(root, download)
    if dataset in ("cifar10", "cifar100"):
        return cifar_source(root, dataset, download)
    return imagenette_source(root, settings.imagenette_size, download)
