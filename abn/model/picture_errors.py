"""What can be wrong with a picture: keys, and their English."""

ENGLISH = {
    "picture_unreadable": "{name} is not a picture that can be read",
    "picture_damaged": "{name} is damaged and cannot be read",
    "picture_pixels": "{name} has {width} x {height} pixels; at most {most:,} are allowed",
    "picture_too_large": "{name} has too many pixels; at most {most:,} are allowed",
    "picture_scans": "{name} is a JPEG of many scans; at most {most} are allowed",
    "picture_heic": "{name} is a HEIC picture; install pillow-heif (pip install pillow-heif) or save it as JPEG",
    "picture_mode": "a picture of mode {mode} cannot be turned into RGB ({reason})",
    "picture_not_finite": "the picture holds values that are not finite",
    "picture_type": "a picture must be a PIL image, a NumPy array or a path; got {kind}",
    "array_shape": "an array must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); got {shape}",
    "array_kind": "an array must be uint8, uint16 or float; got {kind}",
    "array_layout": "input_data_format must be {allowed}; got {layout!r}",
    "array_or_tensor": "an array or tensor must be (H, W), (H, W, C) or (C, H, W) with C of 1, 3 or 4, "
    "or a batch of such; got {shape}{layout}",
    "array_ambiguous": "the shape {shape} does not tell whether the channels come first or last; "
    "say input_data_format='channels_first' or 'channels_last'",
    "array_not_finite": "a float array must hold finite values",
    "array_floats": "a float array must hold finite values in [0, 1]",
    "array_numbers": "a picture's numbers must be uint8, uint16, other whole numbers or float; got {kind}",
    "array_bytes": "whole numbers must lie between 0 and 255; got {least} to {most}",
    "tensor_dense": "a tensor must be dense and hold its values; got {layout}, {kind}",
}


class PictureError(ValueError):
    """What was given is no picture, or none that can be used; says why.

    key: of `ENGLISH`. values: what fills its fields. As a string it is the English sentence.
    """

    def __init__(self, key: str, /, **values):
        super().__init__(key, values)
        self.key, self.values = key, values

    def __str__(self) -> str:
        return ENGLISH[self.key].format(**self.values)

    def __reduce__(self):
        return _made, (type(self), self.key, self.values)


class NumberError(PictureError, TypeError):
    """An array of numbers that a picture is not made of."""


def _made(kind: type[PictureError], key: str, values: dict) -> PictureError:
    return kind(key, **values)
