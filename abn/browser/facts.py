"""What the page must know of a checkpoint beside its graphs; and which checkpoints it can show."""

from dataclasses import asdict

import numpy as np
import torch

from ..explanation import Explainer
from ..families.abn import ABN

PROOF = 64  # pixels a side of the picture by which the page proves that it computes rightly
MOST = 60.0  # MB of weights


def check(explainer: Explainer, most: float = MOST) -> None:
    """Raises: ValueError: the page cannot show this network, or it is too large; in one line."""
    if explainer.family is not ABN:
        raise ValueError("only an Attention Branch Network with one map runs in the browser; this is another kind")
    if not explainer.abilities.editable:
        raise ValueError("its attention map is not bounded, so that it cannot be edited; nor is it exported")
    resample = getattr(explainer.processor.resample, "value", explainer.processor.resample)
    if explainer.processor.do_resize and resample not in (2, "bilinear"):
        raise ValueError("its processor resizes by another filter than the bilinear one, which the page has")
    size = 2 * explainer.model.num_parameters() / 1e6
    if size > most:
        raise ValueError(
            f"its weights take {size:.0f} MB in half precision; at most {most:g} MB (--largest) are allowed"
        )


def facts_of(explainer: Explainer, name: str) -> dict:
    """name: the checkpoint's, "" for the bundled one."""
    config = explainer.model.config
    calibration = {key: value for key, value in asdict(explainer.calibration).items() if key != "pictures"}
    return {
        "name": name,
        "arch": ABN.shape(config).arch.replace("resnet", "ResNet-"),
        "parameters": explainer.model.num_parameters(),
        "attention_head": config.attention_head,
        "residual_attention": config.residual_attention,
        "labels": explainer.labels,
        "calibration": calibration,
        "processor": processor_of(explainer.processor),
        "proof": {"side": PROOF, "logits": proof(explainer)},
    }


def processor_of(processor) -> dict:
    """size and crop: the processor's, null where it does neither; mean and std: of bytes, channel by channel."""
    mean, std, rescales = processor._fuse_mean_std_and_rescale_factor(
        do_normalize=processor.do_normalize,
        image_mean=tuple(processor.image_mean),
        image_std=tuple(processor.image_std),
        do_rescale=processor.do_rescale,
        rescale_factor=processor.rescale_factor,
    )
    if not processor.do_normalize:
        mean, std = [0.0] * 3, [1 / processor.rescale_factor if rescales else 1.0] * 3
    return {
        "size": _sides(processor.size) if processor.do_resize else None,
        "crop": _sides(processor.crop_size) if processor.do_center_crop else None,
        "mean": torch.as_tensor(mean).tolist(),
        "std": torch.as_tensor(std).tolist(),
    }


def _sides(size) -> dict:
    return {name: side for name, side in dict(size).items() if side is not None}


def waves(side: int = PROOF) -> np.ndarray:
    """(1, 3, side, side) float32: what the page makes by the same formula."""
    return np.sin(np.arange(3 * side * side) / 7).astype(np.float32).reshape(1, 3, side, side)


@torch.no_grad()
def proof(explainer: Explainer) -> list[float]:
    """The logits of `waves`, by PyTorch in float32."""
    model = explainer.model.float()
    return model(pixel_values=torch.from_numpy(waves()).to(explainer.device)).logits[0].cpu().tolist()
