"""An ABN as two ONNX graphs: what is computed once a picture, and what each edit of its map costs.

    see:      pixel_values (1, 3, H, W) -> features (1, C, h, w), attention_map (1, 1, h, w), attention_cams (K of them)
    perceive: features, attention_map -> logits (1, K), cams (1, K, h / 2, w / 2)

Any H and W are taken. The attention branch's logits are its CAMs' means over places. `cams` are the last stage's
features weighed by each class's row of the last layer: their means over places and the last layer's bias are the
logits, and their positive parts are Grad-CAM, which has this closed form here.
"""

import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..folding import folded
from ..model.modeling_abn import AbnForImageClassification, AbnNetwork

SEE, PERCEIVE = "see.onnx", "perceive.onnx"
OPSET = 20
FEWEST = 1024  # numbers of a tensor that is kept in half precision; smaller ones weigh nothing
MOST_HALF = 65504.0  # float16's greatest


class See(nn.Module):
    def __init__(self, network: AbnNetwork):
        super().__init__()
        self.network = network

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.network.features(pixel_values)
        cams, attention_map = self.network.attention_branch.maps(features)
        return features, attention_map, cams


class Perceive(nn.Module):
    def __init__(self, network: AbnNetwork):
        super().__init__()
        self.branch = network.perception_branch

    def forward(self, features: Tensor, attention_map: Tensor) -> tuple[Tensor, Tensor]:
        fc = self.branch.fc
        last = self.branch.last_features(features, attention_map)
        cams = nn.functional.conv2d(last, fc.weight[:, :, None, None])
        return cams.mean((2, 3)) + fc.bias, cams


def export(model: AbnForImageClassification, folder: Path) -> None:
    """Write SEE and PERCEIVE into a folder, their batch norms folded, their weights in float16 and cast when loaded."""
    network = folded(model.float().cpu()).model
    see, perceive = See(network).eval(), Perceive(network).eval()
    pixels = torch.zeros(1, 3, 96, 128)
    with torch.no_grad():
        features, attention_map, _ = see(pixels)
    _write(see, (pixels,), ["pixel_values"], ["features", "attention_map", "attention_cams"], folder / SEE)
    _write(perceive, (features, attention_map), ["features", "attention_map"], ["logits", "cams"], folder / PERCEIVE)


def _write(module: nn.Module, inputs: tuple[Tensor, ...], names: list[str], outputs: list[str], file: Path) -> None:
    import onnx

    shapes = tuple({2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC} for _ in inputs)
    loud = logging.getLogger("torch.onnx")
    level = loud.level
    loud.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                inputs,
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=names,
                output_names=outputs,
                opset_version=OPSET,
                verbose=False,
            )
    finally:
        loud.setLevel(level)
    graph = halved(program.model_proto)
    onnx.checker.check_model(graph)
    file.write_bytes(graph.SerializeToString())


def halved(model):
    """An `onnx.ModelProto` whose larger float32 tensors are float16, each followed by a cast back."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < FEWEST or np.abs(values).max() > MOST_HALF:
            continue
        name = tensor.name
        half = numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
        tensor.CopyFrom(half)
        casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    strip(model)
    return model


def strip(model) -> None:
    """Leave out what only tells how the graph came about: it names files of this machine."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
