"""What a run leaves behind: metrics, and the folder that holds everything needed to serve the weights."""

import json
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from abn.image_processing_abn import AbnImageProcessor
from abn.modeling_abn import AbnForImageClassification
from train.data import PictureDataset

ROOT = Path(__file__).resolve().parents[1]


@torch.inference_mode()
def predict(
    model: AbnForImageClassification,
    data: PictureDataset,
    processor: AbnImageProcessor,
    batch: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """(N, K) float32 logits of the perception and of the attention branch, on the CPU."""
    model = model.to(device, torch.float32, memory_format=torch.channels_last).eval()
    logits, attention_logits = [], []
    for start in tqdm(range(0, len(data), batch), "evaluating", mininterval=1):
        pixels = data.pixel_values(slice(start, start + batch), processor, device)
        outputs = model(pixel_values=pixels.contiguous(memory_format=torch.channels_last))
        logits.append(outputs.logits.cpu())
        attention_logits.append(outputs.attention_logits.cpu())
    return torch.cat(logits), torch.cat(attention_logits)


def scores(logits: Tensor, attention_logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Top-1 and top-5 of the perception branch, top-1 of the attention branch (per cent), and both cross-entropies.

    `loss` is their sum, as in training and in the reference.
    """
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    perception = F.cross_entropy(logits, labels).item()
    attention = F.cross_entropy(attention_logits, labels).item()
    return {
        "top1": 100 * best[:, 0].float().mean().item(),
        "top5": 100 * best.any(1).float().mean().item(),
        "attention_top1": 100 * (attention_logits.argmax(1) == labels).float().mean().item(),
        "loss": perception + attention,
        "perception_loss": perception,
        "attention_loss": attention,
    }


def circumstances(command: str, seed: int) -> dict:
    """What is needed to tell, and to repeat, how a number came about."""
    return {
        "command": command,
        "commit": _commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seed": seed,
        "hardware": _hardware(),
        "versions": {name: version(name) for name in ("torch", "torchvision", "transformers", "accelerate")},
        "python": platform.python_version(),
    }


def write_metrics(folder: Path, metrics: dict) -> None:
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")


def save_weights(model: AbnForImageClassification, folder: Path, half: bool) -> None:
    """Weights, config and code. Half precision halves the file; config.json says float32, so that they load as such."""
    model.config.dtype = "float32"
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if half:
        tensors = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    model.save_pretrained(folder, state_dict=tensors)


def _commit() -> str | None:
    try:
        run = {"cwd": ROOT, "capture_output": True, "text": True, "check": True, "timeout": 10}
        commit = subprocess.run(["git", "rev-parse", "HEAD"], **run).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "--", "abn", "train"], **run).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changed else commit


def _hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].split(":")[1].strip() if lines else name
    return f"{name}, {torch.get_num_threads()} threads"
