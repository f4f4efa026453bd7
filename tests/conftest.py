"""Where tests find their data: ../shared where it is, small things made on the spot elsewhere."""

import os
import sys
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from abn import AbnConfig, AbnForImageClassification, AbnImageProcessor, imagenette  # noqa: E402
from abn.checkpoints import BUNDLED  # noqa: E402

SHARED = Path(os.environ.get("ABN_SHARED", ROOT.parent / "shared"))


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("cuda") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    folder = SHARED / "reference"
    if not folder.is_dir():
        pytest.skip("no reference vectors at hand")
    return folder


@pytest.fixture(scope="session")
def imagenette_root(tmp_path_factory) -> Path:
    """The real Imagenette, unpacked once a run."""
    archive = SHARED / "data" / "imagenette2-224px.tar"
    if not archive.is_file():
        pytest.skip("no Imagenette at hand")
    root = tmp_path_factory.mktemp("imagenette")
    with tarfile.open(archive) as tar:
        tar.extractall(root, filter="data")
    return root


@pytest.fixture(scope="session")
def validation_pictures(imagenette_root) -> list[tuple[Path, str]]:
    """100 validation pictures, 10 a class, evenly over the sorted files, with their class."""
    chosen = []
    for wnid, label in zip(imagenette.WNIDS, imagenette.CLASSES, strict=True):
        files = sorted((imagenette_root / "imagenette2" / "val" / wnid).iterdir())
        chosen += [(file, label) for file in files[:: len(files) // 10][:10]]
    return chosen


@pytest.fixture(scope="session")
def bundled() -> Path:
    return BUNDLED


def tiny_config(**changes) -> AbnConfig:
    fields = {"arch": "resnet18", "width": 8, "id2label": {i: f"class {i}" for i in range(10)}}
    return AbnConfig(**{**fields, **changes})


def tiny_model(seed: int = 0, **changes) -> AbnForImageClassification:
    """A small ABN whose batch norms carry statistics, so that every tensor matters."""
    torch.manual_seed(seed)
    model = AbnForImageClassification(tiny_config(**changes)).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(0, 0.1)
            elif name.endswith("running_var"):
                tensor.uniform_(0.8, 1.2)
    return model


@pytest.fixture
def tiny_folder(tmp_path) -> Path:
    """A saved tiny ABN with its processor."""
    folder = tmp_path / "tiny"
    tiny_model().save_pretrained(folder)
    AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def made_up_picture(width: int = 96, height: int = 72, seed: int = 0) -> Image.Image:
    """Smooth random colours: a picture with structure at every place, made here."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def in_threads(work, count: int) -> None:
    """Run work(0) ... work(count - 1), each in a thread of its own, and wait for all."""
    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.fixture
def tiny_imagenette(tmp_path) -> Path:
    """A made-up Imagenette of 160px: 4 training and 2 validation pictures a class, each class a colour of its own."""
    root = tmp_path / "made-up"
    for split, count in (("train", 4), ("val", 2)):
        for index, wnid in enumerate(imagenette.WNIDS):
            folder = root / "imagenette2-160" / split / wnid
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.asarray(made_up_picture(60, 48, seed=100 * index + number)) // 4
                pixels = pixels + np.uint8([20 * index, 190 - 19 * index, 90 * (index % 3)])
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{wnid}_{number}.JPEG", quality=95)
    return root
