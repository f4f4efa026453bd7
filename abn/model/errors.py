"""Errors that a person sees, by a key and values, and the English sentences of those that this folder raises."""

from collections.abc import Callable, Mapping
from typing import Any

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
    "picture_side": "a picture must have at least one pixel a side; got {height} x {width}",
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
    "view_unknown": "view must be one of {known}; got {view!r}",
    "processor_side": "{name} must be {most} pixels at most; got {side}",
    "processor_whole": "{name} must be a whole number of pixels, 1 or more; got {side!r}",
    "processor_statistics": "{name} must be up to 4 finite numbers, deviations not 0; got {values}",
    "processor_size": "size must be {{'shortest_edge': n}} or {{'height': h, 'width': w}}; got {size}",
    "config_one_of": "{name} must be one of {allowed}; got {value!r}",
    "config_arch": "arch must be one of {known}, or of {forms}; got {arch!r}",
    "config_residual": "residual_attention must be True or False; got {value!r}",
    "config_width": "width must be an even whole number of channels, 2 to {most}; got {value!r}",
    "config_follows": "width, stem and shortcut follow from arch={arch!r}; leave them out",
    "config_dropout": "dropout must be at least 0 and below 1; got {value!r}",
    "config_num_labels": "num_labels must be 1 to {most:,}; got {value!r}",
    "config_contradiction": "num_labels={num_labels} contradicts id2label, which names {count} classes",
    "config_missing": "{source} holds no config.json; expected one of an ABN, and {weights}",
    "config_kind": "{source} holds a model of type {kind!r}; expected model_type 'abn'",
    "id2label_type": "id2label must map each index to a name; got {kind}",
    "id2label_numbers": "id2label must number its labels 0 to {last}, each once; it lacks {missing}",
    "id2label_count": "id2label must name 1 to {most:,} classes; got {count:,}",
    "label2id_type": "label2id must map each name to an index; got {kind}",
    "label2id_no_class": "label2id contradicts id2label: {label!r} is {index}, of {count} classes",
    "label2id_no_index": "label2id contradicts id2label: {label!r} is class {index} and has no index in label2id",
    "label2id_other": "label2id contradicts id2label: {label!r} is class {index} and is {other} in label2id",
    "labels_whole": "{where} must number its labels with whole numbers; got {value!r}",
    "file_safetensors": "{name} is not a whole safetensors file ({reason}); is it cut short?",
    "tensors_unknown": "{source} is not an ABN checkpoint. Found {count} tensors ({sample}, …); expected {known}.",
    "tensors_misfit": "The tensors of {source} do not fit its config: {faults}",
    "tensors_missing": "{count} missing{named}",
    "tensors_unexpected": "{count} unexpected{named}",
    "tensors_misshapen": "{count} of the wrong shape{named}",
    "tensors_whole": "{count} not of floating-point numbers{named}",
    "tensors_not_finite": "{count} with values that are not finite{named}",
    "tensors_and": "{first}; {second}",
}


class KeyedError(Exception):
    """An error that a person sees: no sentence of it is ever parsed.

    key: of `english`. values: what fills the sentence's fields; they may be errors themselves. As a string it is the
    English sentence. Pickled, it stays what it is.
    """

    english: Mapping[str, str] = ENGLISH

    def __init__(self, key: str, /, **values):
        super().__init__(key)
        self.key, self.values = key, values

    def __str__(self) -> str:
        return self.said(self.english)

    def __reduce__(self):
        return _made, (type(self), self.key, self.values)

    def said(self, words: Mapping[str, str]) -> str:
        """The sentence in the words of a catalogue, those of errors among the values as well."""
        spoken = {name: v.said(words) if isinstance(v, KeyedError) else v for name, v in self.values.items()}
        return words[self.key].format(**spoken)

    def changed(self, change: Callable[[Any], Any]) -> "KeyedError":
        """The same error with `change` of each value, those of errors among them as well."""
        values = {}
        for name, value in self.values.items():
            values[name] = value.changed(change) if isinstance(value, KeyedError) else change(value)
        return type(self)(self.key, **values)


class ModelError(KeyedError, ValueError):
    """A checkpoint, a config or a value that was given cannot be used; says why."""


class ModelFileError(KeyedError, FileNotFoundError):
    """A checkpoint lacks a file; says which."""


class PictureError(ModelError):
    """What was given is no picture, or none that can be used; says why."""


class NumberError(PictureError, TypeError):
    """An array of numbers that a picture is not made of."""


def _made(kind: type[KeyedError], key: str, values: dict) -> KeyedError:
    return kind(key, **values)
