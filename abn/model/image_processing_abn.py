"""The one place where preprocessing is defined, and where its geometry is undone.

A picture is resized and cropped into `pixel_values`; the attention map that comes back covers what the model saw and
nothing else. `Geometry` says where that lies in the picture, so that a map is laid on the right pixels.
"""

from .versions import TRANSFORMERS  # noqa: F401 - first: it says so where transformers is too old

# isort: split
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers.image_processing_backends import TorchvisionBackend
from transformers.image_processing_utils import BatchFeature
from transformers.image_transforms import group_images_by_shape, reorder_images
from transformers.image_utils import ImageInput, PILImageResampling, SizeDict
from transformers.processing_utils import ImagesKwargs, Unpack

from .arrays import as_bytes, as_tensor, each, from_layout, is_array
from .errors import ModelError, PictureError
from .heic import can_read  # noqa: F401 - what `pictures` needs: transformers 4 copies only what this file imports itself
from .picture_orientation import orientation  # noqa: F401 - likewise
from .picture_repair import repaired  # noqa: F401 - likewise
from .pictures import Given, Reduced, load_rgb, resized

VIEWS = ("model", "whole")
MULTIPLE = 32  # the network halves a picture five times
LARGEST = 2048  # pixels of a side that a processor may ask for
LONGEST_VIEW = 1024  # pixels of what is shown of a picture
MARGIN = 2  # a JPEG is decoded to at least this many times the pixels a side that the network is given
ROWS = 32  # laid at once: what lies between stays in the processor's cache
LONGEST = 3  # of "whole": the long side is at most this many times the short one

Images = Given | Reduced | list | tuple


class AbnImageProcessorKwargs(ImagesKwargs, total=False):
    """view: "model" (this processor's own resize and crop) or "whole" (aspect kept, nothing cropped)."""

    view: str


@dataclass(frozen=True)
class Geometry:
    """What a picture of (height, width) goes through: resized, then cropped. Pixels; (rows, columns).

    `offset` is where the crop begins in the resized picture; negative where the crop is larger and padded.
    """

    picture: tuple[int, int]
    resized: tuple[int, int]
    offset: tuple[int, int]
    crop: tuple[int, int]

    @property
    def span(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(top, bottom), (left, right) of what the model saw, in the picture's own pixels, not rounded."""
        rows, columns = (
            (start * p / r, (start + c) * p / r)
            for p, r, start, c in zip(self.picture, self.resized, self.offset, self.crop, strict=True)
        )
        return rows, columns

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of `span` in whole pixels, inside the picture, for `PIL.Image.crop`."""
        (top, bottom), (left, right) = (
            _whole_pixels(start, stop, length) for (start, stop), length in zip(self.span, self.picture, strict=True)
        )
        return left, top, right, bottom


def _whole_pixels(start: float, stop: float, length: int) -> tuple[int, int]:
    first = min(max(round(start), 0), length - 1)
    return first, max(min(round(stop), length), first + 1)


class AbnImageProcessor(TorchvisionBackend):
    """Pictures -> (B, 3, H, W) float32 `pixel_values`; and attention maps back onto the pictures.

    PIL pictures of every mode become upright RGB (`pictures.to_rgb`). `size` is {"shortest_edge": n} (aspect kept) or
    {"height": h, "width": w} (squashed); `crop_size` is the centre crop's. The defaults are ImageNet's 256 and 224.
    """

    valid_kwargs = AbnImageProcessorKwargs
    resample = PILImageResampling.BILINEAR
    image_mean = [0.485, 0.456, 0.406]
    image_std = [0.229, 0.224, 0.225]
    size = {"shortest_edge": 256}
    default_to_square = False
    crop_size = {"height": 224, "width": 224}
    do_resize = True
    do_center_crop = True
    do_rescale = True
    do_normalize = True
    do_convert_rgb = True
    view = "model"

    def __init__(self, **kwargs: Unpack[AbnImageProcessorKwargs]):
        super().__init__(**kwargs)
        _check_view(self.view)
        _check_sides(self.size, self.crop_size)
        _check_statistics(self.image_mean, self.image_std)

    def __call__(self, images: Images, *args, **kwargs) -> BatchFeature:
        """As `preprocess`."""
        return self.preprocess(images, *args, **kwargs)

    def preprocess(self, images: Images, **kwargs: Unpack[AbnImageProcessorKwargs]) -> BatchFeature:
        """Pictures of one or several sizes -> {"pixel_values": ...}.

        Args:
            images: a PIL picture, a path, an array or tensor (H, W), (H, W, C) or (C, H, W) of 1, 3 or 4 channels, a
                batch of such in one array or tensor, or a list of any of them. Floats must lie in [0, 1] and give what
                their uint8 twins give; with `do_rescale=False` they are taken as they are.
            view: "model" or "whole".
            input_data_format: "channels_first" or "channels_last", where a shape such as (3, 3, 3) does not tell.

        Raises:
            ValueError: an unknown view, or what is no picture.
        """
        _check_view(kwargs.get("view", self.view))
        layout = kwargs.pop("input_data_format", None)
        images = list(each(images))
        device = next((i.device for i in images if isinstance(i, torch.Tensor) and i.device.type == "cuda"), None)
        if device is not None and kwargs.get("device") is None:
            kwargs["device"] = device
        images = [self._picture(image, layout, kwargs) for image in images]
        return super().preprocess(images, input_data_format="channels_first", **kwargs)

    def _picture(self, image, layout: str | None, kwargs: Mapping[str, object]):
        """One picture as an upright RGB PIL picture, or as (C, H, W) where it is not to become one."""

        def wanted(name: str) -> Any:
            return getattr(self, name) if kwargs.get(name) is None else kwargs[name]

        rgb = wanted("do_convert_rgb")
        if not is_array(image):
            return self._rgb(image, wanted) if rgb else image
        array = from_layout(image, layout)
        if np.issubdtype(array.dtype, np.floating) and not wanted("do_rescale"):
            mean = wanted("image_mean")
            if wanted("do_normalize") and mean is not None and np.max(mean) <= 1:
                as_bytes(array)  # refuses what lies outside [0, 1], where the statistics do
            return as_tensor(array, rgb=rgb, shares=True)
        if rgb:
            return load_rgb(as_bytes(array))
        return as_tensor(array, rgb=False, shares=False)

    def _rgb(self, image, wanted: Callable[[str], Any]):
        """Paths and PIL pictures as upright RGB; URLs are the library's. wanted: a setting's name -> its value.

        A JPEG that is decoded to fewer pixels (`enough`) is resized here, where its full size is known still.
        """
        if isinstance(image, str) and "://" in image:
            return image

        def plan(picture: tuple[int, int]) -> Geometry:
            size = _size_dict(wanted("size")) if wanted("do_resize") else None
            crop_size = _size_dict(wanted("crop_size")) if wanted("do_center_crop") else None
            return self._plan(picture, view=wanted("view"), size=size, crop_size=crop_size)

        try:
            read = load_rgb(image, lambda picture: _enough(plan(picture)))
        except PictureError:
            raise
        except TypeError:
            raise PictureError("picture_type", kind=type(image).__name__) from None
        if not isinstance(read, Reduced):
            return read
        height, width = plan((read.height, read.width)).resized
        return resized(read, (width, height), _resampling(wanted("resample")))

    def enough(self, picture: tuple[int, int], view: str | None = None) -> tuple[float, float]:
        """The least (height, width) that a picture of (height, width) must be decoded to: MARGIN times what the network
        is given, and as large as it is shown (`Explanation.view`). For `pictures.load_rgb`.

        Measured on photographs of 12 megapixels against decoding them whole: the network's input differs by 0.1 of 255
        in the mean and 5 at most, the bundled network's probabilities by 0.0006 and 0.012, no label.
        """
        return _enough(self.geometry(picture, view))

    def process_image(self, image: ImageInput, *args, **kwargs) -> Tensor:
        """As the library's, (C, H, W); but RGB stays as Pillow holds it, pixel after pixel: that is resized quicker."""
        if isinstance(image, Image.Image) and image.mode == "RGB" and kwargs.get("device") is None:
            return torch.from_numpy(np.array(image)).permute(2, 0, 1)
        return super().process_image(image, *args, **kwargs)

    def _preprocess(  # ty: ignore[incompatible-method-override]  # it is called by keywords alone
        self,
        images: list[Tensor],
        do_resize: bool,
        size: SizeDict,
        do_center_crop: bool,
        crop_size: SizeDict,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: float | list[float] | None,
        image_std: float | list[float] | None,
        disable_grouping: bool | None,
        return_tensors,
        view: str = "model",
        resample: PILImageResampling | None = None,
        **kwargs,
    ) -> BatchFeature:
        grouped, index = group_images_by_shape(images, disable_grouping=disable_grouping)
        for shape, stack in grouped.items():
            plan = self._plan(
                tuple(stack.shape[-2:]),
                view=view,
                size=size if do_resize else None,
                crop_size=crop_size if do_center_crop else None,
            )
            if plan.resized != plan.picture:
                height, width = plan.resized
                stack = self.resize(stack, SizeDict(height=height, width=width), resample=resample)
            if plan.crop != plan.resized:
                height, width = plan.crop
                stack = self.center_crop(stack, SizeDict(height=height, width=width))
            grouped[shape] = self.rescale_and_normalize(
                stack,
                do_rescale,
                rescale_factor,
                do_normalize,
                image_mean,  # ty: ignore[invalid-argument-type]  # None where do_normalize is False
                image_std,  # ty: ignore[invalid-argument-type]
            )
        return BatchFeature(data={"pixel_values": reorder_images(grouped, index)}, tensor_type=return_tensors)

    def geometry(self, picture: tuple[int, int], view: str | None = None) -> Geometry:
        """Where what the model sees lies in a picture of (height, width) pixels.

        Raises:
            ValueError: an unknown view, or a side below one pixel.
        """
        view = self.view if view is None else view
        _check_view(view)
        if min(picture) < 1:
            raise PictureError("picture_side", height=picture[0], width=picture[1])
        size = _size_dict(self.size) if self.do_resize else None
        crop_size = _size_dict(self.crop_size) if self.do_center_crop else None
        return self._plan((picture[0], picture[1]), view=view, size=size, crop_size=crop_size)

    def _plan(self, picture: tuple[int, int], *, view: str, size, crop_size) -> Geometry:
        if view == "whole":
            resized = _whole_size(picture, short=_short_side(crop_size or size, picture))
            return Geometry(picture, resized, (0, 0), resized)
        resized = picture if size is None else _resized(picture, size)
        crop = resized if crop_size is None else (crop_size.height, crop_size.width)
        top, left = (_crop_start(r, c) for r, c in zip(resized, crop, strict=True))
        return Geometry(picture, resized, (top, left), crop)

    def post_process_attention(
        self,
        attention_map: Tensor,
        picture_sizes: Sequence[tuple[int, int]],
        view: str | None = None,
        output_sizes: Sequence[tuple[int, int]] | None = None,
    ) -> list[Tensor]:
        """Lay attention maps on the pixels the model saw.

        Args:
            attention_map: (B, 1, h, w), as the model gave it.
            picture_sizes: B times (height, width) of the pictures given to the processor, upright.
            view: the view they were processed with.
            output_sizes: B times (height, width) to sample `Geometry.box` at; its own pixels if None.

        Returns:
            B maps (H, W) float32 that lie on `Geometry.box`: bilinear between the places' centres, constant outside
            them (what `cv2.resize` gives where the box is the whole view).

        Raises:
            ValueError: the counts of maps and sizes differ.
        """
        if len(attention_map) != len(picture_sizes):
            raise ValueError(f"{len(attention_map)} maps for {len(picture_sizes)} picture sizes")
        heatmaps = []
        for i, picture in enumerate(picture_sizes):
            plan = self.geometry(picture, view)
            left, top, right, bottom = plan.box
            height, width = (bottom - top, right - left) if output_sizes is None else output_sizes[i]
            grid = attention_map[i, 0].detach().to("cpu", torch.float32).numpy()
            rows = _bilinear_places(top, bottom, height, plan.span[0], grid.shape[0])
            columns = _bilinear_places(left, right, width, plan.span[1], grid.shape[1])
            heatmaps.append(torch.from_numpy(_laid(grid, rows, columns)))
        return heatmaps


def _resampling(way) -> Image.Resampling:
    """Of Pillow's name, its number, or torchvision's `InterpolationMode`."""
    return Image.Resampling(way) if isinstance(way, int) else Image.Resampling[way.name.removesuffix("_EXACT")]


def _enough(plan: Geometry) -> tuple[float, float]:
    left, top, right, bottom = plan.box
    shown = min(1, LONGEST_VIEW / max(right - left, bottom - top))
    height, width = (min(p, max(MARGIN * r, p * shown)) for p, r in zip(plan.picture, plan.resized, strict=True))
    return height, width


def _check_view(view: str) -> None:
    if view not in VIEWS:
        raise ModelError("view_unknown", known=", ".join(map(repr, VIEWS)), view=view)


def _check_sides(*sizes) -> None:
    """Raises: ValueError: a side is no whole number, or larger than anything a network is made for; a file may claim
    what it likes."""
    for size in sizes:
        for name, side in dict(size or {}).items():
            if side is None:
                continue
            if isinstance(side, bool) or not isinstance(side, int) or side < 1:
                raise ModelError("processor_whole", name=name, side=side)
            if side > LARGEST:
                raise ModelError("processor_side", name=name, most=LARGEST, side=side)


def _check_statistics(mean, std) -> None:
    """Raises: ValueError: they are no finite numbers, or a deviation is 0."""
    for name, values in (("image_mean", mean), ("image_std", std)):
        values = values if isinstance(values, (list, tuple)) else [values]
        good = all(isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e6 for v in values)
        if not good or len(values) > 4 or (name == "image_std" and not all(values)):
            raise ModelError("processor_statistics", name=name, values=str(values)[:100])


def _size_dict(size) -> SizeDict:
    return size if isinstance(size, SizeDict) else SizeDict(**size)


def _crop_start(length: int, crop: int) -> int:
    return -((crop - length) // 2) if crop > length else int((length - crop) / 2)


def _resized(picture: tuple[int, int], size: SizeDict) -> tuple[int, int]:
    if not size.shortest_edge or (size.height and size.width):
        return _sides(size)
    short, edge = min(picture), size.shortest_edge
    height, width = (edge if side == short else max(1, int(edge * side / short)) for side in picture)
    return height, width


def _sides(size: SizeDict) -> tuple[int, int]:
    if size.height and size.width:
        return size.height, size.width
    raise ModelError("processor_size", size=str(size))


def _short_side(size: SizeDict | None, picture: tuple[int, int]) -> int:
    if size is None:
        return min(picture)
    return size.shortest_edge or min(_sides(size))


def _whole_size(picture: tuple[int, int], short: int) -> tuple[int, int]:
    """Short side `short`, long side in proportion but at most LONGEST times it, both rounded to MULTIPLE: the short one
    first, so that the proportions suffer from one rounding alone."""
    short = max(MULTIPLE, round(short / MULTIPLE) * MULTIPLE)
    scale = short / min(picture)
    height, width = (max(MULTIPLE, round(min(side * scale, LONGEST * short) / MULTIPLE) * MULTIPLE) for side in picture)
    return height, width


def _bilinear_places(
    start: int, stop: int, count: int, span: tuple[float, float], places: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `count` pixels that divide [start, stop): the map places before and after its centre, and how far it
    lies from the one to the other, in [0, 1], float64.

    The map's `places` divide `span` evenly; both are in the picture's pixels.
    """
    centres = start + (np.arange(count) + 0.5) * ((stop - start) / count)
    at = np.clip((centres - span[0]) / (span[1] - span[0]) * places - 0.5, 0, places - 1)
    lower = np.minimum(np.floor(at).astype(np.int64), max(places - 2, 0))
    return lower, np.minimum(lower + 1, places - 1), at - lower


def _laid(grid: np.ndarray, rows: tuple, columns: tuple) -> np.ndarray:
    """A (h, w) map at the pixels of `_bilinear_places`: (H, W) float32.

    Element by element in float64, across and then down: the page's paint.js does the same operations in the same order
    and gets the same numbers, which a matrix product would not give.
    """
    before, after, fraction = columns
    grid = grid.astype(np.float64)
    across = grid[:, before] * (1 - fraction) + grid[:, after] * fraction
    before, after, fraction = rows[0], rows[1], rows[2][:, None]
    laid = np.empty((len(before), across.shape[1]), np.float32)
    for first in range(0, len(laid), ROWS):
        part = slice(first, first + ROWS)
        laid[part] = across[before[part]] * (1 - fraction[part]) + across[after[part]] * fraction[part]
    return laid


__all__ = ["AbnImageProcessor", "Geometry"]
