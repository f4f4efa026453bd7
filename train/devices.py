"""Which devices a run uses: one process a CUDA device, the CPU where there is none."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

DEVICE = re.compile(r"\d+|(GPU|MIG)-[\w/-]+")


def devices(gpu_id: str | None) -> list[str] | None:
    """--gpu-id as a list of CUDA devices; empty for the CPU, None where it says nothing.

    Raises:
        ValueError: it is of another form.
    """
    if not gpu_id:
        return None
    if gpu_id == "cpu":
        return []
    named = [part.strip() for part in gpu_id.split(",")]
    if not all(DEVICE.fullmatch(part) for part in named) or len(set(named)) != len(named):
        raise ValueError(f"--gpu-id must be 'cpu', a CUDA device, or several such as 0,1; got {gpu_id!r}")
    return named


def use(gpu_id: str | None, argv: list[str], trains: bool) -> int | None:
    """Make the devices of --gpu-id the only visible ones; to be called before CUDA is first used. Several take a
    process each: this one starts them, waits for them and gives their exit status; else None.

    Raises:
        ValueError: --gpu-id is malformed, or names several devices of which only some are here.
    """
    named = devices(gpu_id)
    if named is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(named)
    if "LOCAL_RANK" in os.environ:  # started by torchrun: each process takes its own
        return None
    if named is not None and len(named) > 1:
        there = cuda_devices()
        launch = f"torchrun --nproc-per-node {len(named)} train/run.py {shlex.join(argv)}"
        if not there:
            print(f"note: no CUDA device is here: --gpu-id {gpu_id} is the CPU, in one process", file=sys.stderr)
        elif not trains:
            print(f"note: --gpu-id {gpu_id}: training takes several devices; this uses {named[0]}", file=sys.stderr)
        elif there < len(named):
            raise ValueError(f"--gpu-id {gpu_id} names {len(named)} devices; {there} of them can be used here")
        else:
            print(f"note: a process a device: {launch}", file=sys.stderr)
            return start(len(named), argv)
    # One device: with several, Trainer would silently multiply the batch.
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    return None


def cuda_devices() -> int:
    import torch

    return torch.cuda.device_count()


def start(count: int, argv: list[str]) -> int:
    """`train/run.py` in `count` processes. Returns the exit status."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    try:
        return subprocess.run([*launcher, str(Path(__file__).with_name("run.py")), *argv], check=False).returncode
    except KeyboardInterrupt:  # which they all have seen
        return 130
