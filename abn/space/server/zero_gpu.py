"""What ZeroGPU takes, and what its loans are for: every number about them.

Read on 2026-11-26 off https://huggingface.co/docs/hub/spaces-zerogpu (huggingface/hub-docs, docs/hub/spaces-zerogpu.md,
with pull request 2763) and out of the package `spaces` 0.51.3, which asks for 1.5 times a loan's seconds on the present
cards. An anonymous visitor has 120 GPU seconds a day, a free account 300; a shorter loan also waits less.
"""

import math

PYTHONS = ("3.10.13", "3.12.12")
TORCH = {  # version of torch -> torchvision's that belongs to it
    "2.8.0": "0.23.0",
    "2.9.1": "0.24.1",
    "2.10.0": "0.25.0",
    "2.11.0": "0.26.0",
    "2.12.1": "0.27.1",
    "2.13.0": "0.28.0",
}

PICTURE = 4  # seconds of a loan for one picture: nearly all of it is CUDA's start and the weights' way to the GPU
LONGEST = 60  # seconds of the longest loan that is asked for
GPU_SHARE = 0.04  # of the CPU's seconds; a guess on the safe side, no loan was measured
WORTH = 4.0  # seconds on the CPU from which on work borrows


def loan_for(cpu_seconds: float) -> int:
    """The seconds to ask for, for work that takes so long on the CPU."""
    return min(LONGEST, math.ceil(PICTURE + GPU_SHARE * cpu_seconds))
