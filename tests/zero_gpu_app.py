"""app.py in ZeroGPU mode on a machine without CUDA: the real `spaces`, but what it lends stays on the CPU.

In a loan's forked process `spaces` starts CUDA and moves the packed weights there: `init` and `move` of
spaces/zero/torch/patching.py. Here the first does nothing and the second reads the packed weights, written by
`pack_tensors` of spaces/zero/torch/packing.py, back onto the CPU. All else is the package's own.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import spaces  # noqa: F401  (before torch, as app.py does)
import torch
from spaces.zero import torch as lent
from spaces.zero.torch import patching


def init(nvidia_uuid: str) -> None:
    torch.set_num_threads(1)  # threads of OpenMP do not outlive a fork


def move(callback=None) -> None:
    for fake, original in list(patching.cuda_aliases.items()):
        if original is not None:
            fake.data = original
    for pack in patching.tensor_packs:
        content = bytearray(Path(pack.path()).read_bytes())
        offset = 0
        for tensor, size, aligned in [one for batch in pack.batches for one in batch] + pack.big_tensors:
            whole = torch.empty(0, dtype=tensor.dtype)
            if size:
                storage = torch.frombuffer(content, dtype=torch.uint8, count=size, offset=offset).clone()
                whole = whole.set_(storage.untyped_storage(), 0, tensor.shape, tensor.stride())
            else:
                whole = whole.reshape(tensor.shape)
            for fake in pack.fakes[tensor]:
                fake.data = whole
            offset += aligned


lent.init, lent.move = init, move

if __name__ == "__main__":
    import app

    app.main()
