"""What a run starts from: a fresh network, or --initial's: an ABN's weights, or those of a pretrained ResNet."""

from dataclasses import dataclass

from transformers import PreTrainedModel

from abn import AbnImageProcessor
from abn.checkpoints import load_checkpoint, load_pretrained
from abn.checkpoints.heads import can_have_new_heads, with_new_heads
from abn.families import answers_tasks
from abn.model.backbones import set_padding
from train.naming import check_same_order, class_order
from train.networks import build_model, build_processor
from train.plain import is_plain
from train.recipes import Recipe
from train.settings import Settings
from train.sources import Source

STATISTICS = ("image_mean", "image_std", "resample")


@dataclass(frozen=True)
class Start:
    """model: what is trained. processor: as --initial preprocesses pictures; None of a fresh network. new: the names of
    the parameters that nothing was trained of yet."""

    model: PreTrainedModel
    processor: AbnImageProcessor | None
    new: frozenset[str]

    def processor_for(self, recipe: Recipe) -> AbnImageProcessor:
        """The recipe's, with mean, deviation and interpolation of --initial; that one's own where the recipe leaves the
        sizes to it."""
        if self.processor is None:
            return build_processor(recipe)
        if {"test_size", "resize"} <= recipe.fitted:
            return self.processor
        processor = build_processor(recipe)
        for name in STATISTICS:
            setattr(processor, name, getattr(self.processor, name))
        return processor


def sides_of(processor: AbnImageProcessor) -> tuple[int, int]:
    """Pixels of the crop, and of the short side that it is cut from."""
    crop, size = dict(processor.crop_size), dict(processor.size)
    return crop["height"], size.get("shortest_edge") or size["height"]


def start_of(settings: Settings, recipe: Recipe, source: Source) -> Start:
    """
    Raises:
        ValueError, OSError: --initial cannot be read, or is no network to start from with this data.
    """
    if settings.initial is None:
        model = build_model(recipe, source.classes)
        return Start(model, None, frozenset(name for name, _ in model.named_parameters()))
    start = _initial(settings.initial, recipe, source)
    if settings.padding:
        start.model.config.padding = settings.padding
        set_padding(start.model, settings.padding)
    return start


def _initial(checkpoint: str, recipe: Recipe, source: Source) -> Start:
    if not recipe.network.multitask and (pretrained := load_pretrained(checkpoint)) is not None:
        model, new = with_new_heads(pretrained, source.classes)
        words = f"{pretrained.layout}, {pretrained.fields['arch']}"
        print(f"{checkpoint}: {words}; the attention branch begins as a copy of its last stage, the heads anew")
        return Start(model, pretrained.processor, new)
    model, processor = _abn(checkpoint, "--initial")
    if recipe.network.multitask or not can_have_new_heads(model.config) or _knows(checkpoint, model, source):
        check_same_order(checkpoint, model, source)
        return Start(model, processor, frozenset())
    count = f"{model.config.num_labels} {'tasks' if answers_tasks(model) else 'classes'}"
    model, new = with_new_heads(model, source.classes)
    print(f"{checkpoint} knows {count}, other than the {len(source.classes)} of {source.name}: its heads begin anew")
    return Start(model, processor, new)


def _abn(checkpoint: str, option: str) -> tuple[PreTrainedModel, AbnImageProcessor]:
    if is_plain(checkpoint):
        raise ValueError(f"{option} {checkpoint} was trained with --plain: it has no attention branch")
    return load_checkpoint(checkpoint)


def _knows(checkpoint: str, model: PreTrainedModel, source: Source) -> bool:
    """Whether a classifier's classes are the data's, in whatever order."""
    try:
        return not answers_tasks(model) and len(class_order(checkpoint, model, source)) == model.config.num_labels
    except ValueError:
        return False


def of_same_classes(checkpoint: str, source: Source, option: str) -> PreTrainedModel:
    """The network of a checkpoint that knows the data's classes: `option` says in errors what it is for.

    Raises:
        ValueError: it has no attention branch, or knows other classes than the data, or in another order.
    """
    model = _abn(checkpoint, option)[0]
    check_same_order(checkpoint, model, source)
    return model
