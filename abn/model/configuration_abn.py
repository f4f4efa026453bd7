"""Configuration of an Attention Branch Network (ABN; Fukui et al., CVPR 2019, arXiv:1812.10025)."""

from .versions import TRANSFORMERS  # noqa: F401 - first: it says so where transformers is too old

# isort: split
import re
from typing import TYPE_CHECKING

from transformers import PreTrainedConfig

from .errors import ModelError

ARCHITECTURES = tuple(f"{kind}resnet{depth}" for kind in ("", "se-") for depth in (18, 34, 50, 101, 152))
# For 32 x 32 pictures: the name's form, and the depths there are (first, step).
CIFAR_FAMILIES = {
    "resnet": (r"resnet(\d+)-cifar", "resnetD-cifar", (8, 6)),
    "densenet": (r"densenet(\d+)-(\d+)-cifar", "densenetD-GROWTH-cifar", (10, 6)),
    "wrn": (r"wrn(\d+)-(\d+)-cifar", "wrnD-FACTOR-cifar", (10, 6)),
    "resnext": (r"resnext(\d+)-(\d+)x64-cifar", "resnextD-GROUPSx64-cifar", (11, 9)),
}
STEMS = ("7x7", "3x3x3")
SHORTCUTS = ("conv", "avgpool")
PADDINGS = ("zeros", "replicate")
MOST_LABELS, MOST_WIDTH, MOST_DEPTH, MOST_NUMBER = 100_000, 1024, 1300, 128  # a file may claim anything
MULTITASK = ("v0.1", "v1", "v1.0", "v2")
ATTENTION_HEADS = ("A", "B", "C", "D", "E")


def _one_of(name: str, value, allowed: tuple) -> None:
    if value not in allowed:
        raise ModelError("config_one_of", name=name, allowed=", ".join(map(repr, allowed)), value=value)


def cifar_family(arch: str) -> tuple[str, tuple[int, ...]] | None:
    """ "wrn28-10-cifar" -> ("wrn", (28, 10)); None for a network of `ARCHITECTURES`."""
    for family, (pattern, _, (first, step)) in CIFAR_FAMILIES.items():
        if found := re.fullmatch(pattern, arch):
            numbers = tuple(map(int, found.groups()))
            known = first <= numbers[0] <= MOST_DEPTH and (numbers[0] - first) % step == 0
            if known and all(0 < number <= MOST_NUMBER for number in numbers[1:]):
                return family, numbers
    return None


def _check_arch(arch: str) -> None:
    if arch in ARCHITECTURES or cifar_family(arch):
        return
    forms = "; ".join(
        f"{form} with D = {first}, {first + step}, …" for _, form, (first, step) in CIFAR_FAMILIES.values()
    )
    raise ModelError("config_arch", known=", ".join(ARCHITECTURES), forms=forms, arch=arch)


class AbnConfig(PreTrainedConfig):
    """What an ABN is made of.

    Args:
        arch: the backbone, one of `ARCHITECTURES`, or for 32 x 32 pictures one of `CIFAR_FAMILIES`' forms, such as
            "resnet110-cifar", "densenet100-12-cifar", "wrn28-10-cifar", "resnext29-8x64-cifar".
        width: channels of the first stage; 64 is the standard network. Each later stage doubles them.
        stem: "7x7" (one convolution, He et al. 2016) or "3x3x3" (three 3x3 convolutions, He et al. 2019).
        shortcut: how a block's shortcut halves the picture: "conv" (strided 1x1 convolution) or
            "avgpool" (2x2 mean, then a 1x1 convolution; "ResNet-D" of He et al. 2019).
        padding: what convolutions see beyond the border: "zeros", as published, or "replicate": the border's values.
            Zeros tell a network where the border is, with any weights.
        attention_head: what follows the attention branch's stage: "A" to "E", the published forms (see
            `modeling_abn.HEADS`). None: read off the checkpoint's tensors; "C" for a new network.
        dropout: share of activations that a Wide ResNet's or a DenseNet's blocks drop in training.
        residual_attention: the perception branch sees `features * map + features`; False drops the second term.
        multitask: None for a classifier; "v1", "v2" or an older form for one yes-or-no answer a label, each with a map
            of its own (see `modeling_multitask.FORMS`).
        id2label, label2id, num_labels: the classes, or the tasks, as everywhere in transformers. label2id may hold
            several names of a class, and is kept as it is.

    Raises:
        ValueError: a value is unknown, or two of them contradict each other.
    """

    model_type = "abn"

    arch: str = "resnet152"
    width: int = 64
    stem: str = "7x7"
    shortcut: str = "conv"
    padding: str = "zeros"
    attention_head: str | None = None
    residual_attention: bool = True
    dropout: float = 0.0
    multitask: str | None = None
    if TYPE_CHECKING:
        num_labels: int  # never None: `__post_init__` sees to it

    def __post_init__(self, **kwargs):
        self.arch = str(self.arch).lower()
        _check_arch(self.arch)
        _one_of("stem", self.stem, STEMS)
        _one_of("shortcut", self.shortcut, SHORTCUTS)
        _one_of("padding", self.padding, PADDINGS)
        if self.attention_head is not None:
            self.attention_head = str(self.attention_head).upper()
            _one_of("attention_head", self.attention_head, ATTENTION_HEADS)
        if not isinstance(self.residual_attention, bool):
            raise ModelError("config_residual", value=self.residual_attention)
        whole = isinstance(self.width, int) and not isinstance(self.width, bool)
        if not whole or not 2 <= self.width <= MOST_WIDTH or self.width % 2:
            raise ModelError("config_width", most=MOST_WIDTH, value=self.width)
        if cifar_family(self.arch) and (self.width, self.stem, self.shortcut) != (64, "7x7", "conv"):
            raise ModelError("config_follows", arch=self.arch)
        if self.multitask is not None:
            _one_of("multitask", self.multitask, MULTITASK)
        if not 0 <= self.dropout < 1:
            raise ModelError("config_dropout", value=self.dropout)
        self._check_labels(kwargs.get("num_labels"))
        super().__post_init__(**kwargs)
        self.num_labels = len(self.id2label or ())  # brings label2id into line where it was left out

    def _check_labels(self, num_labels: int | None) -> None:
        """Complete id2label and label2id from each other; refuse what disagrees."""
        if num_labels is not None and not (isinstance(num_labels, int) and 1 <= num_labels <= MOST_LABELS):
            raise ModelError("config_num_labels", most=MOST_LABELS, value=num_labels)
        if self.label2id is not None:
            self.label2id = checked_label2id(self.label2id)
        if self.id2label is None and self.label2id:
            self.id2label = {index: label for label, index in self.label2id.items()}
        if self.id2label is None:
            return
        self.id2label = checked_id2label(self.id2label)
        count = len(self.id2label)
        if num_labels is not None and num_labels != count:
            raise ModelError("config_contradiction", num_labels=num_labels, count=count)
        if self.label2id is None:
            self.label2id = {label: index for index, label in self.id2label.items()}
        check_agreement(self.id2label, self.label2id)


def checked_id2label(id2label: dict) -> dict[int, str]:
    """Raises: ValueError: it does not number its labels from 0 on."""
    if not isinstance(id2label, dict):
        raise ModelError("id2label_type", kind=type(id2label).__name__)
    found = {_index("id2label", index): str(label) for index, label in id2label.items()}
    missing = next(index for index in range(len(found) + 1) if index not in found)
    if missing < len(found) or len(found) != len(id2label):
        raise ModelError("id2label_numbers", last=len(id2label) - 1, missing=missing)
    if not 1 <= len(found) <= MOST_LABELS:
        raise ModelError("id2label_count", most=MOST_LABELS, count=len(found))
    return dict(sorted(found.items()))


def checked_label2id(label2id: dict) -> dict[str, int]:
    """Raises: ValueError: it does not map names to whole numbers."""
    if not isinstance(label2id, dict):
        raise ModelError("label2id_type", kind=type(label2id).__name__)
    return {str(label): _index("label2id", index) for label, index in label2id.items()}


def check_agreement(id2label: dict[int, str], label2id: dict[str, int]) -> None:
    """A class may have many names in label2id, and several classes may share one; but every name leads back.

    Raises:
        ValueError: label2id takes a name of id2label to no class of that name, or a name to no class at all.
    """
    for label, index in label2id.items():
        if index not in id2label:
            raise ModelError("label2id_no_class", label=label, index=index, count=len(id2label))
    for index, label in id2label.items():
        back = label2id.get(label)
        if back is None:
            raise ModelError("label2id_no_index", label=label, index=index)
        if id2label[back] != label:
            raise ModelError("label2id_other", label=label, index=index, other=back)


def _index(where: str, value) -> int:
    try:
        if isinstance(value, bool) or int(value) != float(value):
            raise ValueError
        return int(value)
    except (ValueError, TypeError, OverflowError):
        raise ModelError("labels_whole", where=where, value=value) from None
