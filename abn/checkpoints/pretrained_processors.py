"""How other libraries preprocess pictures for their networks -> the same of `AbnImageProcessor`: mean, deviation,
interpolation, and the share that is cropped."""

import math

from PIL import Image
from torchvision.models import get_model_weights

from ..model.image_processing_abn import AbnImageProcessor

CROP_SHARE = 0.875  # where nothing is said, as in timm and in transformers' ConvNextImageProcessor
WHOLE = 384  # pixels from which on that one squashes pictures, and crops nothing
IMAGENET = {"mean": AbnImageProcessor.image_mean, "std": AbnImageProcessor.image_std}


def torchvision_processor(arch: str, file_name: str) -> AbnImageProcessor:
    """As the published weights of that file's name have it; of another name 256, 224, bilinear, as most of them."""
    for weights in get_model_weights(arch):
        if weights.url.rpartition("/")[2].rpartition(".")[0] == file_name.rpartition(".")[0]:
            preset = weights.transforms()
            way = Image.Resampling[preset.interpolation.name]
            return _cropped(preset.resize_size[0], preset.crop_size[0], way, preset.mean, preset.std)
    return AbnImageProcessor()


def timm_processor(said: dict, name: str) -> AbnImageProcessor:
    """By the `pretrained_cfg` of timm's config.json: of `input_size`, as timm does where nobody asks for the test's.

    Raises:
        ValueError: it asks for pictures that are not square, or for another way of cropping.
    """
    channels, height, width = said.get("input_size") or (3, 224, 224)
    if channels != 3 or height != width:
        raise ValueError(
            f"{name} takes pictures of {channels} x {height} x {width}; expected square ones of 3 channels"
        )
    side = math.floor(height / (said.get("crop_pct") or CROP_SHARE))
    mode = said.get("crop_mode") or "center"
    if mode not in ("center", "squash"):
        raise ValueError(f"{name} crops pictures by {mode!r}; expected 'center' or 'squash'")
    way = _resampling(said.get("interpolation") or "bicubic", name)
    mean, std = said.get("mean") or IMAGENET["mean"], said.get("std") or IMAGENET["std"]
    return _cropped(side, height, way, mean, std, squashed=mode == "squash")


def transformers_processor(said: dict, name: str) -> AbnImageProcessor:
    """By preprocessor_config.json: a ConvNextImageProcessor's, which microsoft's ResNets have, or any other's with
    `size` and `crop_size`. Without one ImageNet's 256 and 224.

    Raises:
        ValueError: it says nothing of the size.
    """
    if not said:
        return AbnImageProcessor()
    size = said.get("size", said.get("crop_size"))
    size = {"shortest_edge": size} if isinstance(size, int) else size
    if not isinstance(size, dict):
        raise ValueError(f"the preprocessor_config.json of {name} names no size; got {size!r}")
    mean, std = said.get("image_mean") or IMAGENET["mean"], said.get("image_std") or IMAGENET["std"]
    kind = str(said.get("image_processor_type") or said.get("feature_extractor_type"))
    convnext = "crop_pct" in said or kind.startswith("ConvNext")
    way = Image.Resampling(said.get("resample", Image.Resampling.BICUBIC if convnext else Image.Resampling.BILINEAR))
    edge = size.get("shortest_edge")
    if convnext and edge:
        if edge >= WHOLE:
            return _cropped(edge, edge, way, mean, std, squashed=True)
        return _cropped(int(edge / (said.get("crop_pct") or CROP_SHARE)), edge, way, mean, std)
    crop = said.get("crop_size") if said.get("do_center_crop", "crop_size" in said) else None
    crop = {"height": crop, "width": crop} if isinstance(crop, int) else crop
    if crop is None:
        crop = {"height": edge, "width": edge} if edge else size
    return AbnImageProcessor(size=size, crop_size=crop, resample=way, image_mean=list(mean), image_std=list(std))


def _cropped(side: int, crop: int, way, mean, std, squashed: bool = False) -> AbnImageProcessor:
    size = {"height": side, "width": side} if squashed else {"shortest_edge": side}
    square = {"height": crop, "width": crop}
    return AbnImageProcessor(size=size, crop_size=square, resample=way, image_mean=list(mean), image_std=list(std))


def _resampling(way: str, name: str) -> Image.Resampling:
    """Raises: ValueError: an unknown interpolation; "random" is timm's for training alone."""
    known = ("bilinear", "bicubic", "nearest", "lanczos")
    if way not in known:
        raise ValueError(f"{name} resizes pictures by {way!r}; expected one of {', '.join(known)}")
    return Image.Resampling[way.upper()]
