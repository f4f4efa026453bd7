"""The model card of an output folder: README.md with metrics that the Hub reads (model-index), and how it was made."""

import json
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from abn.faithfulness.figures import ANSWERS, MAPS, measured
from abn.model.versions import TRANSFORMERS
from abn.names import as_code, in_markdown, shown
from train.reliance import table

CURVES, MATRIX, ATTENTIONS = "curves.png", "confusion_matrix.png", "attentions.png"


def write_card(folder: Path, metrics: dict, *, name: str | None = None) -> None:
    """Write `folder`/README.md from what metrics.json holds.

    Args:
        name: the model's name in the model-index, and the Hub repository of the example; the folder's if None.
    """
    (folder / "README.md").write_text(card(folder, metrics, name or folder.resolve().name), encoding="utf-8")


def card(folder: Path, metrics: dict, name: str) -> str:
    name, dataset = shown(name), shown(metrics["dataset"])
    data = ModelCardData(
        license="mit",
        library_name="transformers",
        pipeline_tag="image-classification",
        tags=["abn", "attention", "explainable-ai"] if metrics["attention"] else ["image-classification"],
        datasets=["frgfm/imagenette"] if dataset == "Imagenette" else None,
        model_name=name,
        eval_results=[
            EvalResult(
                task_type="image-classification",
                dataset_type="frgfm/imagenette" if dataset == "Imagenette" else "imagefolder",
                dataset_name=dataset,
                dataset_split="validation",
                metric_type="accuracy",
                metric_name=figure.metric,
                metric_value=round(value / 100, 4),
            )
            for figure, value in measured(ANSWERS, metrics)
            if figure.metric
        ],
    )
    parts = [f"---\n{data.to_yaml()}\n---", f"# {in_markdown(name)}", _what(metrics), _table(metrics)]
    if metrics.get("per_class"):
        rows = "\n".join(f"| {in_markdown(label)} | {value:.1f} |" for label, value in metrics["per_class"].items())
        parts.append(f"| class | accuracy, % |\n|---|---|\n{rows}")
    if corrections := metrics.get("corrections"):
        parts.append(f"## Corrections\n\n{table(corrections)}")
    parts += [f"![{file}]({file})" for file in (ATTENTIONS, CURVES, MATRIX) if (folder / file).is_file()]
    parts += [_use(metrics, name), _making(metrics)]
    return "\n\n".join(parts) + "\n"


def _what(metrics: dict) -> str:
    size = f"{metrics['parameters'] / 1e6:.1f} M parameters"
    if metrics["network"].startswith("Vision Transformer"):
        return f"A {metrics['network']} ({size}; Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929)."
    if not metrics["attention"]:
        return (
            f"A {metrics['network']} without an attention branch ({size}), trained by the same recipe as the Attention "
            "Branch Network it is to be compared with."
        )
    return (
        "An Attention Branch Network ([Fukui et al., CVPR 2019](https://arxiv.org/abs/1812.10025)): "
        f"{metrics['network']}, {size}. One forward pass gives "
        + (f"{metrics['tasks']} yes-or-no answers and a" if "tasks" in metrics else "class scores and an")
        + (" signed attention map each. " if "tasks" in metrics else " attention map. ")
        + "The map is one factor inside the computation, not a proof of why the network decided."
    )


def _table(metrics: dict) -> str:
    rows = {
        figure.words + (f", {figure.unit}" if figure.unit else ""): format(value, figure.form)
        for figure, value in measured(ANSWERS, metrics)
    }
    for figure, value in measured(MAPS, metrics.get("explanation", {})):
        rows[("attention map: " if figure.of_map else "") + figure.words] = figure.shown(value)
    lines = "\n".join(f"| {label} | {value} |" for label, value in rows.items())
    pictures = f"{metrics['pictures']} validation pictures of {in_markdown(metrics['dataset'])}"
    return f"On {pictures}:\n\n| measure | |\n|---|---|\n{lines}"


def _use(metrics: dict, name: str) -> str:
    if metrics["network"].startswith("Vision Transformer"):
        return f"""## Use

```python
from abn import Explainer

explainer = Explainer.from_pretrained({_quoted(name)})
explainer("picture.png", method="gradient-rollout").overlay()  # or "rollout", "layer-3", "layer-3-head-2", …
```"""
    if not metrics["attention"]:
        return ""
    if "tasks" in metrics:
        return f"""## Use

```python
from abn import Explainer

explainer = Explainer.from_pretrained({_quoted(name)})
explainer("picture.jpg").probabilities  # of yes, task by task
explainer("picture.jpg", target={_quoted(next(iter(metrics["per_class"])))}).overlay()  # where it looked for that task
```"""
    return f"""## Use

```python
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

processor = AutoImageProcessor.from_pretrained({_quoted(name)}, trust_remote_code=True)
model = AutoModelForImageClassification.from_pretrained({_quoted(name)}, trust_remote_code=True)
with torch.no_grad():
    outputs = model(**processor(Image.open("picture.jpg"), return_tensors="pt"))
model.config.id2label[outputs.logits.argmax(-1).item()], outputs.attention_map  # (1, 1, h, w) in (0, 1)
```

It needs `{TRANSFORMERS}`."""


def _quoted(text: str) -> str:
    """A string of Python, in one line."""
    return json.dumps(text, ensure_ascii=False)


def _making(metrics: dict) -> str:
    others = metrics.get("resumed_by")
    lines = [
        f"recipe `{metrics['recipe']}`: {as_code(metrics['command'])}",
        f"commit {metrics['commit'] or 'unknown'}"
        + (f" (resumed by {', '.join(other or 'unknown' for other in others)})" if others else "")
        + f", seed {metrics['seed']}, {metrics['date']}",
        f"{metrics['hardware']}, Python {metrics['python']}, "
        + ", ".join(f"{package} {version}" for package, version in metrics["versions"].items()),
    ]
    if metrics.get("weights"):
        lines.append(f"weights: {metrics['weights']}")
    if metrics.get("sha256"):
        lines.append(f"sha256 of `model.safetensors`: {metrics['sha256']}")
    if metrics.get("training_seconds"):
        speed = metrics.get("pictures_per_second")
        lines.append(
            f"{metrics['epochs']:g} epochs in {metrics['training_seconds'] / 60:.0f} minutes"
            + (f", {speed:.0f} pictures/s" if speed else "")
        )
    return "## How it was made\n\n" + "\n".join(f"- {line}" for line in lines)
