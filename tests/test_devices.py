"""Which devices a run uses: never one in silence where several were named."""

import json
import os

import pytest
from helpers import TINY

from train import devices
from train.run import main


@pytest.mark.parametrize(
    ("gpu_id", "named"),
    [
        (None, None),
        ("", None),
        ("cpu", []),
        ("0", ["0"]),
        ("0,1", ["0", "1"]),
        ("4, 5,6,7", ["4", "5", "6", "7"]),
        ("GPU-3faa8e21-c1d4,MIG-0a", ["GPU-3faa8e21-c1d4", "MIG-0a"]),
    ],
)
def test_what_gpu_id_names(gpu_id, named):
    assert devices.devices(gpu_id) == named


@pytest.mark.parametrize("gpu_id", ["one", "0,,1", "0,0", "-1", "0;1", "cpu,0"])
def test_what_it_cannot_name(gpu_id, capsys):
    assert main([f"--gpu-id={gpu_id}"]) == 2
    error = capsys.readouterr().err
    assert error == f"error: --gpu-id must be 'cpu', a CUDA device, or several such as 0,1; got {gpu_id!r}\n"


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many CUDA devices, of which none is touched; notes what would be started."""
    started = []
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(devices, "start", lambda count, argv: started.append((count, argv)) or 7)

    def have(count):
        monkeypatch.setattr(devices, "cuda_devices", lambda: count)
        return started

    return have


def test_several_devices_take_a_process_each(machine, capsys):
    started = machine(2)
    argv = ["--recipe", "resnet50", "--data", "my flowers", "--gpu-id", "0,1"]
    assert main(argv) == 7
    assert started == [(2, argv)]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    line = "torchrun --nproc-per-node 2 train/run.py --recipe resnet50 --data 'my flowers' --gpu-id 0,1"
    assert line in capsys.readouterr().err


@pytest.mark.parametrize("there", [1, 3])
def test_fewer_than_are_named_is_an_error(there, machine, capsys):
    started = machine(there)
    assert main(["--gpu-id", "0,1,2,3"]) == 2
    assert capsys.readouterr().err == f"error: --gpu-id 0,1,2,3 names 4 devices; {there} of them can be used here\n"
    assert started == []


def test_where_there_is_none_the_cpu_is_named(machine, capsys):
    started = machine(0)
    assert devices.use("0,1", [], trains=True) is None
    assert "note: no CUDA device is here: --gpu-id 0,1 is the CPU, in one process" in capsys.readouterr().err
    assert started == []


def test_an_evaluation_says_which_it_uses(machine, capsys):
    started = machine(2)
    assert devices.use("1,0", [], trains=False) is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert "training takes several devices; this uses 1" in capsys.readouterr().err
    assert started == []


def test_torchrun_s_processes_see_them_all(machine, monkeypatch):
    started = machine(2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert devices.use("0,1", [], trains=True) is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert started == []


def test_one_device_without_a_word(machine, capsys):
    machine(2)
    for gpu_id, visible in (("1", "1"), ("cpu", ""), (None, "")):
        assert devices.use(gpu_id, [], trains=True) is None
        assert os.environ["CUDA_VISIBLE_DEVICES"] == visible
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_the_processes_it_starts_share_the_batch(tiny_imagenette, tmp_path, monkeypatch):
    """The real launcher; the processes find no CUDA and meet by Gloo on the CPU."""
    monkeypatch.setattr(devices, "cuda_devices", lambda: 2)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    out = tmp_path / "out"
    arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(out), "--holdout", "0", *TINY]
    arguments += ["--epochs", "1", "--explain", "0", "--gpu-id", "0,1"]
    assert main(arguments) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["processes"], metrics["epochs"]) == (2, 1)
