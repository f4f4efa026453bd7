"""PyTorch files that claim what they do not hold: refused in one line, before any memory is taken."""

import io
import subprocess
import sys
import zipfile
from collections import OrderedDict

import pytest
import torch
from helpers import ROOT, multitask_names, multitask_network
from safetensors.torch import load_file, save_file

from abn import Explainer
from abn.checkpoints.originals import read_pickled


def file_of(folder, held, **how):
    torch.save(held, folder / "model_best.pth.tar", **how)
    return folder / "model_best.pth.tar"


def shared():
    one = torch.ones(1000)
    return {f"layer{i}.weight": one for i in range(10)}


UNUSUAL = {
    "sparse": (lambda: torch.sparse_coo_tensor(torch.tensor([[0], [1]]), torch.ones(1), (10**9, 10**9)), "sparse"),
    "sparse rows": (lambda: torch.eye(3).to_sparse_csr(), "sparse"),
    "quantized": (lambda: torch.quantize_per_tensor(torch.ones(3, 3), 0.1, 0, torch.qint8), "quantized"),
    "quantized by channel": (
        lambda: torch.quantize_per_channel(torch.ones(2, 2), torch.ones(2), torch.zeros(2), 0, torch.qint8),
        "quantized",
    ),
    "meta": (lambda: torch.empty(10**6, 10**6, device="meta"), r"without values \(meta\)"),
    "stride 0": (lambda: torch.ones(1).expand(10**6, 10**6), r"larger than what it holds, 1000000 x 1000000"),
    "stride 0 in a part": (lambda: torch.ones(64, 1, 3, 3).expand(64, 64, 3, 3), "larger than what it holds"),
    "overlapping": (lambda: torch.ones(1000).as_strided((900, 100), (1, 1)), "larger than what it holds"),
    "complex": (lambda: torch.ones(3, dtype=torch.complex64), "complex"),
    "nested": (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "nested"),
    "a parameter": (lambda: torch.nn.Parameter(torch.ones(1).expand(99), requires_grad=False), "larger than what"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", UNUSUAL)
@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", None])
@pytest.mark.parametrize("archive", [True, False])
def test_tensors_that_are_not_plain(kind, key, archive, tmp_path):
    make, words = UNUSUAL[kind]
    tensors = OrderedDict({"module.conv1.weight": torch.ones(2), "module.fc.weight": make()})
    held = tensors if key is None else {"epoch": 1, key: tensors}
    try:
        file = file_of(tmp_path, held, _use_new_zipfile_serialization=archive)
    except (RuntimeError, NotImplementedError):
        pytest.skip("the older format cannot hold it")
    expected = rf"^model_best\.pth\.tar holds a tensor that is .*{words}.*\(module\.fc\.weight\)"
    with pytest.raises(ValueError, match=rf"{expected}|not a whole PyTorch file") as told:
        Explainer.from_pretrained(file)
    assert "\n" not in str(told.value)


def test_tensors_that_share_their_memory(tmp_path):
    with pytest.raises(ValueError, match=r"model_best\.pth\.tar holds tensors that share their memory"):
        Explainer.from_pretrained(file_of(tmp_path, {"state_dict": shared()}))


def repacked(file, change=lambda name, content: content, compression=zipfile.ZIP_STORED):
    """The file with each record's content changed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(file) as before, zipfile.ZipFile(packed, "w", compression) as after:
        for record in before.infolist():
            after.writestr(record.filename, change(record.filename, before.read(record.filename)))
    file.write_bytes(packed.getvalue())
    return file


def bomb(folder):
    """A hundred megabytes of zeros, packed into a hundred kilobytes."""
    return repacked(file_of(folder, {"state_dict": {"x": torch.zeros(25_000_000)}}), compression=zipfile.ZIP_DEFLATED)


def grown(name, content):
    """A storage of 1000 numbers said to have 4 billion."""
    if not name.endswith("data.pkl"):
        return content
    assert b"M\xe8\x03" in content
    return content.replace(b"M\xe8\x03", b"\x8a\x05\x00\x28\x6b\xee\x00")


def oversized(folder):
    return repacked(file_of(folder, {"state_dict": {"x": torch.zeros(1000)}}), grown)


def oversized_older(folder):
    file = file_of(folder, {"state_dict": {"x": torch.zeros(1000)}}, _use_new_zipfile_serialization=False)
    file.write_bytes(grown("data.pkl", file.read_bytes()))
    return file


class Bytes:
    def __reduce__(self):
        return bytearray, (10**13,)


def bytes_alone(folder):
    return file_of(folder, {"state_dict": {"x": Bytes()}})


LIMITED = """
import resource, sys
from abn.checkpoints.originals import read_pickled
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {memory}, resource.RLIM_INFINITY))
try:
    read_pickled(sys.argv[1])
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (bomb, "unpacks to 0.1 GB, more than 2 times its size; it is not opened"),
        (oversized, "is not a whole PyTorch file; is it cut short?"),
        (oversized_older, "is not a whole PyTorch file; is it cut short?"),
        (bytes_alone, "is not a whole PyTorch file; is it cut short?"),
    ],
)
def test_files_that_claim_more_than_they_hold(make, words, tmp_path):
    with pytest.raises(ValueError) as told:  # noqa: PT011
        Explainer.from_pretrained(make(tmp_path))
    assert str(told.value) == f"model_best.pth.tar {words}"


def test_a_bomb_takes_no_memory(tmp_path):
    """400 megabytes in two, read where there is room for 250."""
    packed = tmp_path / "model_best.pth.tar"
    torch.save({"state_dict": {"x": torch.zeros(1000)}}, packed)
    with zipfile.ZipFile(packed) as before:
        records = {record.filename: before.read(record.filename) for record in before.infolist()}
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as after:
        for name, content in records.items():
            if not name.endswith("/data/0"):
                after.writestr(name, content)
                continue
            with after.open(name, "w", force_zip64=True) as record:
                for _ in range(24):
                    record.write(bytes(1 << 24))
    script = LIMITED.format(memory=250_000_000)
    done = subprocess.run(
        [sys.executable, "-c", script, str(packed)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "model_best.pth.tar unpacks to 0.403 GB, more than 2 times its size; it is not opened\n"


def test_records_that_lie_over_each_other(tmp_path):
    """Many names for the same bytes of the file: nothing is packed, and it unpacks to a thousand times its size."""
    file = file_of(tmp_path, {"state_dict": {"x": torch.zeros(250_000)}})
    with zipfile.ZipFile(file, "a") as archive:
        data = next(record for record in archive.infolist() if record.filename.endswith("/data/0"))
        for index in range(1, 1000):
            copy = zipfile.ZipInfo(data.filename[:-1] + str(index))
            for name in ("header_offset", "compress_size", "file_size", "CRC"):
                setattr(copy, name, getattr(data, name))
            archive.filelist.append(copy)
            archive.NameToInfo[copy.filename] = copy
        archive._didModify = True
    with pytest.raises(ValueError, match=r"model_best\.pth\.tar unpacks to 1 GB, more than 2 times its size"):
        Explainer.from_pretrained(file)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_numbers_are_read(dtype, tmp_path):
    model = multitask_network("v1", tasks=2)
    tensors = {name: t.to(dtype) if t.is_floating_point() else t for name, t in multitask_names(model).items()}
    found = Explainer.from_pretrained(file_of(tmp_path, {"state_dict": tensors}), device="cpu").model.state_dict()
    for name, tensor in model.state_dict().items():
        assert found[name].dtype == tensor.dtype
        assert found[name].equal(tensor.to(dtype).to(tensor.dtype) if tensor.is_floating_point() else tensor)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.bool])
def test_weights_of_whole_numbers_are_refused(dtype, tmp_path, tiny_folder):
    tensors = multitask_names(multitask_network("v1", tasks=2))
    tensors["module.conv1.weight"] = tensors["module.conv1.weight"].to(dtype)
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(
        ValueError, match=rf"1 not of floating-point numbers \(model\.features\.conv1\.weight: {kind}\)"
    ):
        Explainer.from_pretrained(file_of(tmp_path, {"state_dict": tensors}))
    tensors = load_file(tiny_folder / "model.safetensors")
    tensors["model.features.conv1.weight"] = tensors["model.features.conv1.weight"].to(dtype)
    save_file(tensors, tiny_folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ValueError, match=rf"1 not of floating-point numbers \(model\.features\.conv1\.weight: {kind}\)"
    ):
        Explainer.from_pretrained(tiny_folder)


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        (
            "module.bn1.weight",
            torch.ones(100_000),
            "width must be an even whole number of channels, 2 to 1024; got 100000",
        ),
        ("module.output_per.0.weight", torch.tensor(1.0), "is not a whole checkpoint"),
        ("module.output_per.0.weight", torch.ones(3, 512), "is not a whole checkpoint"),
        ("module.bn1.weight", torch.tensor(1.0), "is not a whole checkpoint: it lacks a dimension"),
        ("module.bn1.weight", torch.full((64,), float("nan")), "1 with values that are not finite"),
        ("module.conv1.weight", torch.ones(64, 3, 0, 7), "1 of the wrong shape"),
    ],
)
def test_shapes_and_values_beyond_sense(name, tensor, words, tmp_path):
    tensors = {**multitask_names(multitask_network("v1", tasks=2)), name: tensor}
    with pytest.raises(ValueError, match=words) as told:
        Explainer.from_pretrained(file_of(tmp_path, {"model_state_dict": tensors}))
    assert "\n" not in str(told.value)


def test_prefixes_of_wrapped_networks(tmp_path):
    for prefix in ("", "module.", "module.module.", "_orig_mod.", "module._orig_mod."):
        file = file_of(tmp_path, {"state_dict": {f"{prefix}conv1.weight": torch.ones(2)}})
        assert list(read_pickled(file)) == ["conv1.weight"]
