"""Configuration of an Attention Branch Network (ABN; Fukui et al., CVPR 2019, arXiv:1812.10025)."""

from transformers import PreTrainedConfig

ARCHITECTURES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
STEMS = ("7x7", "3x3x3")
SHORTCUTS = ("conv", "avgpool")
ATTENTION_HEADS = ("A", "B", "C")


def _one_of(name: str, value, allowed: tuple) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")


class AbnConfig(PreTrainedConfig):
    """What an ABN is made of.

    Args:
        arch: the backbone, one of `ARCHITECTURES`.
        width: channels of the first stage; 64 is the standard network. Each later stage doubles them.
        stem: "7x7" (one convolution, He et al. 2016) or "3x3x3" (three 3x3 convolutions, He et al. 2019).
        shortcut: how a block's shortcut halves the picture: "conv" (strided 1x1 convolution) or
            "avgpool" (2x2 mean, then a 1x1 convolution; "ResNet-D" of He et al. 2019).
        attention_head: what follows the attention branch's stage: "A", "B" or "C", the three published
            forms (see `modeling_abn.HEADS`). None: read off the checkpoint's tensors; "C" for a new network.
        residual_attention: the perception branch sees `features * map + features`; False drops the second term.
        id2label, label2id, num_labels: the classes, as everywhere in transformers.

    Raises:
        ValueError: a value is unknown, or two of them contradict each other.
    """

    model_type = "abn"

    arch: str = "resnet152"
    width: int = 64
    stem: str = "7x7"
    shortcut: str = "conv"
    attention_head: str | None = None
    residual_attention: bool = True

    def __post_init__(self, **kwargs):
        self.arch = str(self.arch).lower()
        _one_of("arch", self.arch, ARCHITECTURES)
        _one_of("stem", self.stem, STEMS)
        _one_of("shortcut", self.shortcut, SHORTCUTS)
        if self.attention_head is not None:
            self.attention_head = str(self.attention_head).upper()
            _one_of("attention_head", self.attention_head, ATTENTION_HEADS)
        if not isinstance(self.residual_attention, bool):
            raise ValueError(f"residual_attention must be True or False; got {self.residual_attention!r}")
        if isinstance(self.width, bool) or not isinstance(self.width, int) or self.width < 2 or self.width % 2:
            raise ValueError(f"width must be an even whole number of channels, 2 or more; got {self.width!r}")
        self._check_labels(kwargs.get("num_labels"))
        super().__post_init__(**kwargs)
        self.num_labels = len(self.id2label)  # brings label2id into line where it was left out

    def _check_labels(self, num_labels: int | None) -> None:
        """Complete id2label and label2id from each other; refuse what disagrees."""
        if num_labels is not None and num_labels < 1:
            raise ValueError(f"num_labels must be 1 or more; got {num_labels!r}")
        if self.id2label is None and self.label2id is not None:
            self.id2label = {int(index): label for label, index in self.label2id.items()}
        if self.id2label is None:
            return
        if not isinstance(self.id2label, dict):
            raise ValueError(f"id2label must map each index to a name; got {type(self.id2label).__name__}")
        self.id2label = {int(index): str(label) for index, label in self.id2label.items()}
        count = len(self.id2label)
        if sorted(self.id2label) != list(range(count)):
            raise ValueError(f"id2label must number its labels 0 to {count - 1}; got {sorted(self.id2label)}")
        inverse = {label: index for index, label in self.id2label.items()}
        if len(inverse) != count:
            raise ValueError("id2label must name each class differently")
        if num_labels is not None and num_labels != count:
            raise ValueError(f"num_labels={num_labels} contradicts id2label, which names {count} classes")
        if self.label2id is not None and {str(k): int(v) for k, v in self.label2id.items()} != inverse:
            raise ValueError("label2id contradicts id2label: it must be its inverse")
        self.label2id = inverse
