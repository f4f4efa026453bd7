"""What a run leaves behind: metrics, and the folder that holds everything needed to serve the weights."""

import json
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedModel

from abn.files import save_network, whole
from abn.model.image_processing_abn import AbnImageProcessor
from train.dataset import PictureDataset
from train.plain import abilities_of

ROOT = Path(__file__).resolve().parents[1]


@torch.no_grad()
def predict(
    model: PreTrainedModel,
    data: PictureDataset,
    processor: AbnImageProcessor,
    batch: int,
    device: torch.device,
) -> tuple[Tensor, Tensor | None]:
    """(N, K) float32 logits of the perception and of the attention branch (None without one), on the CPU."""
    model = model.to(device, torch.float32, memory_format=torch.channels_last).eval()
    logits, attention_logits = [], []
    batches = data.batches(batch, processor, device)
    for pixels in tqdm(batches, "evaluating", -(-len(data) // batch), mininterval=1):
        pixels = pixels[:, : abilities_of(model.config).channels]
        outputs = model(pixel_values=pixels.contiguous(memory_format=torch.channels_last))
        logits.append(outputs.logits.cpu())
        if "attention_logits" in outputs:
            attention_logits.append(outputs.attention_logits.cpu())
    return torch.cat(logits), torch.cat(attention_logits) if attention_logits else None


def circumstances(command: str, seed: int, code: str | None) -> dict:
    """What is needed to tell, and to repeat, how a number came about. code: the commit that trained."""
    return {
        "command": command,
        "commit": code,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seed": seed,
        "hardware": _hardware(),
        "versions": {name: version(name) for name in ("torch", "torchvision", "transformers", "accelerate")},
        "python": platform.python_version(),
    }


def write_json(file: Path, content: dict) -> None:
    """Written aside and renamed: under its name it is always whole. Innermost lists stay on one line."""
    text = json.dumps(content, indent=2)
    _write(file, re.sub(r"\[\n[\s\d.,eE+-]+\]", lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n")


def write_lines(file: Path, entries: Sequence[dict]) -> None:
    """A JSON object a line, written as `write_json` does."""
    _write(file, "".join(json.dumps(entry) + "\n" for entry in entries))


def _write(file: Path, text: str) -> None:
    with whole(file) as aside:
        aside.write_text(text, encoding="utf-8")


def save_weights(model: PreTrainedModel, folder: Path, half: bool) -> None:
    """Weights, config and, of an ABN, code. In half precision config.json still says float32: they load as such."""
    model.config.dtype = "float32"
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if half:
        tensors = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    save_network(model, folder, state_dict=tensors)


def commit() -> str | None:
    """The code's commit, with +changes where abn/ or train/ differ from it; None outside its own repository."""
    if not (ROOT / ".git").exists():  # installed: the repository around would be another's
        return None
    try:
        run = {"cwd": ROOT, "capture_output": True, "text": True, "check": True, "timeout": 10}
        found = subprocess.run(["git", "rev-parse", "HEAD"], **run).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "--", "abn", "train"], **run).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{found}+changes" if changed else found


def _hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].split(":")[1].strip() if lines else name
    return f"{name}, {torch.get_num_threads()} threads"
