"""Any checkpoint that can be read -> a folder as the Hub has them."""

import os
from pathlib import Path

from ..calibration import Calibration
from ..classes import names_of, shown_names
from ..files import save_network
from ..model.configuration_abn import AbnConfig
from ..model.versions import TRANSFORMERS
from ..names import as_code, in_markdown
from .load import load_calibration, load_checkpoint

CARD = """---
library_name: transformers
pipeline_tag: image-classification
tags:
  - abn
  - attention
  - image-classification
---

# {name}

An Attention Branch Network ([Fukui et al., CVPR 2019](https://arxiv.org/abs/1812.10025)): {arch}, {parameters:.1f} M
parameters, {count} {kind}. Converted from {source}; the weights are unchanged.

```python
from abn import Explainer

explainer = Explainer.from_pretrained("this/repository")
explainer("picture.jpg").overlay()
```

Without that package: `AutoModel` or `AutoModelForImageClassification` with `trust_remote_code=True`, under
`{transformers}`.

{kind_capital}: {labels}.
"""
LISTED = 20  # class names


def convert(source: str | Path, folder: str | Path, *, residual_attention: bool | None = None) -> Path:
    """Write a checkpoint as config, safetensors, processor, code and model card. Loading the folder gives the same
    network, tensor by tensor.

    Raises:
        ValueError, OSError: as `load_checkpoint`'s; or it is no ABN's.
        FileExistsError: the folder holds something already.
    """
    source, folder = os.path.expanduser(source), Path(folder).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} holds something already; name a new folder")
    model, processor = load_checkpoint(source, residual_attention=residual_attention)
    if model.config.model_type != AbnConfig.model_type:
        raise ValueError(f"{source} holds a model of type {model.config.model_type!r}; only an ABN's is converted")
    save_network(model, folder)
    processor.save_pretrained(folder)
    calibration = load_calibration(source)
    if calibration != Calibration():
        calibration.save(folder)
    labels = shown_names(names_of(model.config))
    kind = "classes" if model.config.multitask is None else "tasks"
    text = CARD.format(
        name=in_markdown(Path(source).name),
        source=as_code(Path(source).name),
        transformers=TRANSFORMERS,
        arch=model.config.arch,
        parameters=model.num_parameters() / 1e6,
        count=len(labels),
        kind=kind,
        kind_capital=kind.capitalize(),
        labels=", ".join(map(in_markdown, labels[:LISTED]))
        + (f" and {len(labels) - LISTED} more" if len(labels) > LISTED else ""),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    return folder
