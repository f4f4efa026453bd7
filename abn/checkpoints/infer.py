"""What a network is, from its tensors under this package's own names."""

from torch import Tensor

from ..errors import AbnError
from ..model.modeling_multitask import FORMS

FEATURES, ATTENTION, PERCEPTION = "model.features.", "model.attention_branch.", "model.perception_branch."
COUNTS = {  # bottleneck blocks?, blocks a stage -> depth
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}


def infer_config(tensors: dict[str, Tensor]) -> dict:
    """`AbnConfig` fields that follow from the tensors: arch, num_labels, for ImageNet's networks width, stem and
    shortcut, and multitask.

    Raises:
        ValueError: the blocks are those of no known network.
    """
    if f"{PERCEPTION}weight" in tensors:
        tasks, answers = tensors[f"{PERCEPTION}weight"].shape[:2]
        found = f"{ATTENTION}depth_conv.weight" in tensors, answers
        version = next((name for name, form in FORMS.items() if (form.depth_conv, form.answers) == found), None)
        if version is None:
            raise AbnError("checkpoint_tasks", answers=answers)
        return _imagenet(tensors) | {"num_labels": tasks, "multitask": version}
    labels = {"num_labels": tensors[f"{PERCEPTION}fc.weight"].shape[0]}
    if f"{FEATURES}layer3.0.conv1.weight" in tensors:
        return _imagenet(tensors) | labels
    if f"{FEATURES}dense1.denselayer1.conv2.weight" in tensors:
        layers = _count(tensors, f"{FEATURES}dense1.")
        growth = tensors[f"{FEATURES}dense1.denselayer1.conv2.weight"].shape[0]
        return {"arch": f"densenet{6 * layers + 4}-{growth}-cifar"} | labels
    blocks = _count(tensors, f"{FEATURES}layer1.")
    if f"{FEATURES}layer1.0.norm1.weight" in tensors:
        factor = tensors[f"{FEATURES}layer1.0.conv1.weight"].shape[0] // 16
        return {"arch": f"wrn{6 * blocks + 4}-{factor}-cifar"} | labels
    if tensors[f"{FEATURES}conv1.weight"].shape[0] == 64:
        groups = tensors[f"{FEATURES}layer1.0.conv1.weight"].shape[0] // 64
        return {"arch": f"resnext{9 * blocks + 2}-{groups}x64-cifar"} | labels
    return {"arch": f"resnet{6 * blocks + 2}-cifar"} | labels


def _count(tensors: dict[str, Tensor], stage: str) -> int:
    return len({name[len(stage) :].split(".")[0] for name in tensors if name.startswith(stage)})


def _imagenet(tensors: dict[str, Tensor]) -> dict:
    stages = [f"{FEATURES}layer{i}." for i in (1, 2, 3)] + [f"{PERCEPTION}stage."]
    bottleneck = f"{stages[0]}0.conv3.weight" in tensors
    counts = tuple(_count(tensors, stage) for stage in stages)
    depth = COUNTS.get((bottleneck, counts))
    if depth is None:
        kind = "bottleneck" if bottleneck else "basic"
        known = ", ".join(f"ResNet-{depth}" for depth in COUNTS.values())
        raise AbnError("checkpoint_blocks", kind=kind, depths=list(counts), known=known)
    shortcut = tensors.get(f"{stages[1]}0.downsample.0.weight")
    return {
        "arch": ("se-" if f"{stages[0]}0.se.fc1.weight" in tensors else "") + f"resnet{depth}",
        "width": tensors[f"{FEATURES}bn1.weight"].shape[0],
        "stem": "7x7" if f"{FEATURES}conv1.weight" in tensors else "3x3x3",
        "shortcut": "avgpool" if shortcut is None else "conv",
    }
