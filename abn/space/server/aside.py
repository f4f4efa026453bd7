"""Work in a process of its own, forked for it.

ZeroGPU's loans are forked processes, and CUDA's runtime must not have been touched before the fork. Autograd touches
it, on the CPU, too: it counts the devices of every kind. So gradients are computed aside there.
"""

import multiprocessing
from collections.abc import Callable

import torch
from torch import Tensor

FORK = multiprocessing.get_context("fork")


def aside(compute: Callable[..., Tensor], *given) -> Tensor:
    """compute(*given), a tensor on the CPU. In a loan, which is such a process already, it is computed at once.

    Raises:
        RuntimeError: the process died, or `compute` raised; says which.
    """
    if multiprocessing.current_process().daemon:
        return compute(*given)
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_answer, args=(theirs, compute, given), daemon=True)
    process.start()
    theirs.close()
    try:
        error, found = ours.recv()
    except EOFError:
        error, found = "the process died", None
    finally:
        ours.close()
        process.join()
    if error:
        raise RuntimeError(f"gradients could not be computed: {error}")
    return torch.from_numpy(found)


def _answer(theirs, compute: Callable[..., Tensor], given: tuple) -> None:
    torch.set_num_threads(1)  # OpenMP's threads do not outlive a fork
    try:
        theirs.send(("", compute(*given).numpy()))
    except Exception as error:
        theirs.send((f"{type(error).__name__}: {error}", None))
