"""What the processes of one machine share."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import torch
from helpers import ROOT, TINY
from safetensors.torch import load_file

COUNTING = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from train import data, run
plain = data.load_rgb
def counted(path, *more):
    with open(os.environ["DECODED"], "a") as file:
        file.write(path + "\\n")
    return plain(path, *more)
data.load_rgb = counted
sys.exit(run.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_two_processes_hold_one_decoded_copy(tiny_imagenette, tmp_path):
    """And end in the same weights as where each decodes what it looks at, after a round with the features frozen;
    nothing is left in the temporary folder."""
    script = tmp_path / "run.py"
    script.write_text(COUNTING)
    weights, decoded = {}, {}
    for name, more in (("held", []), ("streamed", ["--in-memory", "0", "--workers", "2"])):
        temporary, out = Path(tempfile.mkdtemp()), tmp_path / f"out-{name}"
        surroundings = {**os.environ, "DECODED": str(tmp_path / name), "TMPDIR": str(temporary)}
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
        arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(out), "--holdout", "0", *TINY]
        arguments += ["--explain", "0", "--epochs", "1", "--train-batch", "20", "--tune-epochs", "1"]
        arguments += ["--freeze-features", *more]
        command = {"env": surroundings, "capture_output": True, "text": True, "timeout": 200, "check": False}
        run = subprocess.run([*launcher, *arguments], **command)
        assert run.returncode == 0, run.stderr[-3000:]
        assert run.stdout.count("10 classes (") == 1
        assert list(temporary.glob("abn-*")) == []
        shutil.rmtree(temporary)
        weights[name] = load_file(out / "model.safetensors")
        decoded[name] = Counter((tmp_path / name).read_text().split())
        assert json.loads((out / "metrics.json").read_text())["processes"] == 2
    assert (len(decoded["held"]), set(decoded["held"].values())) == (60, {1})
    assert decoded["streamed"].total() > 60
    assert all(torch.equal(weights["held"][name], weights["streamed"][name]) for name in weights["held"])
