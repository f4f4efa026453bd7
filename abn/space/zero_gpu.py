"""What ZeroGPU takes, and what its loans are for: every number about them.

Read on 2026-11-26 off https://huggingface.co/docs/hub/spaces-zerogpu (huggingface/hub-docs, docs/hub/spaces-zerogpu.md,
with pull request 2763) and out of the package `spaces` 0.51.3.
"""

PYTHONS = ("3.10.13", "3.12.12")
TORCH = {  # version of torch -> torchvision's that belongs to it
    "2.8.0": "0.23.0",
    "2.9.1": "0.24.1",
    "2.10.0": "0.25.0",
    "2.11.0": "0.26.0",
    "2.12.1": "0.27.1",
    "2.13.0": "0.28.0",
}
