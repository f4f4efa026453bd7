"""The English sentences of the library's errors that a person sees, by their keys; see `abn.model.errors`.

What only programs and the terminal can meet is raised with its words on the spot. The page says each error here in the
visitor's language, by its key (`abn/space/locale/`).
"""

from .model import errors
from .model.errors import KeyedError

ENGLISH = {
    **errors.ENGLISH,
    "hub_no_answer": "the Hub did not answer within {deadline:g} s",
    "hub_late": "the Hub did not answer in time",
    "hub_unreachable": "the Hub cannot be reached",
    "hub_offline": "it is not in the local cache and the Hub is not asked",
    "hub_private": "the Hub answered {code} (not found, or private)",
    "hub_token": "the Hub answered {code} (not found, or private; the token in use is not valid)",
    "hub_denied": "the Hub answered {code} (access denied)",
    "hub_missing": "the Hub answered {code} (not found)",
    "hub_error": "the Hub answered {code} (an error)",
    "hub_stalled": "the download stood still for {idle:g} s at {share:.0%}",
    "hub_download": "the download failed ({reason})",
    "hub_weights": "its weights have {size:.1f} GB; at most {limit:g} GB are allowed",
    "hub_file": "one of its files is larger than the {most:g} GB that are allowed",
    "hub_config": "its config.json is not JSON",
    "hub_kind": "it holds a model of type {kind!r}; expected one of {known}",
    "checkpoint_missing": "there is no checkpoint at {source}",
    "checkpoint_ending": "{name} is not a checkpoint this reads; expected a file in {endings}, or a folder",
    "checkpoint_lacks": "{name} is not a whole checkpoint: it lacks {tensor!r}",
    "checkpoint_dimension": "{name} is not a whole checkpoint: it lacks a dimension of its weights",
    "checkpoint_original": "{name} is not a whole checkpoint of a {kind}: {reason}",
    "checkpoint_tasks": "a multi-task network answers each task with 1 or 2 outputs; this one has {answers}",
    "checkpoint_blocks": "{kind} blocks of depths {depths} are no known ResNet; expected {known}",
    "checkpoint_family": "a model of type {kind!r} cannot be explained; expected one of {known}",
    "pickled_code": "{name} asks for code ({code}) to be read; it is not opened",
    "pickled_other": "{name} is not a PyTorch file of tensors",
    "pickled_cut": "{name} is not a whole PyTorch file; is it cut short?",
    "pickled_packed": "{name} unpacks to {size:.3g} GB, more than {times} times its size; it is not opened",
    "pickled_no_tensors": "{name} holds no state_dict of tensors",
    "pickled_shared": "{name} holds tensors that share their memory; expected plain ones, each with its own",
    "pickled_tensor": "{name} holds a tensor that is {kind} ({tensor}); expected plain ones of numbers",
    "tensor_meta": "without values (meta)",
    "tensor_sparse": "sparse or nested",
    "tensor_quantized": "quantized",
    "tensor_complex": "complex",
    "tensor_expanded": "larger than what it holds, {shape} (expanded)",
    "vit_limit": "{name} must be a whole number, {most:,} at most; got {value}",
    "vit_activation": "hidden_act must be one of {known}; got {value}",
    "vit_epsilon": "layer_norm_eps must be a number from 0 to 1; got {value}",
    "vit_bias": "qkv_bias must be true or false; got {value}",
    "vit_heads": "hidden_size {size} is not a multiple of {heads} heads",
    "vit_patches": "image_size {size} is not a multiple of patch_size {patch}",
    "vit_attention": "its attention takes {size:.1f} GB a picture ({tokens:,} tokens, {heads} heads, {layers} layers); "
    "at most {most:g} GB are allowed",
    "vit_file": "{name} is not a whole safetensors file",
    "vit_tensors": "{count} tensors are missing or of the wrong shape ({names})",
    "vit_not_finite": "its tensors hold values that are not finite",
    "calibration_unreadable": "{file} is not a calibration: {reason}",
    "calibration_temperatures": "{file}: temperatures must be numbers above 0",
    "calibration_number": "{file}: {name} must be a number; got {value!r}",
    "calibration_branches": "{file}: branches must be {known}; got {branches!r}",
    "calibration_energies": "{file}: energies must be two or more numbers that rise",
    "target_ambiguous": "target {target!r} may be any of {count} classes; say which: {named}",
    "target_unknown": "target must be a class or its index; got {target!r}; the classes: {classes}",
    "unknown_method": "method must be one of {known}; got {method!r}",
    "too_few_passes": "{method} needs {passes} forward passes; {limit} tell nothing",
    "no_tasks": "this network chooses one of its classes; only a multi-task network answers task by task",
    "gpu_picture": "the GPU's memory does not hold a picture of this size",
    "uneditable_unbounded": "this network's attention map has no upper bound; only one between 0 and 1 can be edited",
    "uneditable_tasks": "this network has an attention map for every task; only a single one can be edited",
    "uneditable_layers": "a Vision Transformer has no single attention map that could be edited; an ABN has",
    "map_rows": "a map must be {rows} rows of {columns} numbers",
    "map_shape": "the map must be {rows} x {columns}, as the model's own; got {found}",
    "map_number": "the map must be {rows} x {columns}, as the model's own; got a single number",
    "map_values": "the map's values must be finite and lie between -1 and 1",
}


class AbnError(KeyedError, ValueError):
    """What was given, or asked for, cannot be used; says why."""

    english = ENGLISH


class AbnFileError(KeyedError, FileNotFoundError):
    """There is no such file or folder; says which."""

    english = ENGLISH
