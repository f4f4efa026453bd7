"""Where tests find their data: ../shared where it is, small things made on the spot elsewhere."""

import functools
import gc
import hashlib
import os
import re
import sys
import tarfile
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants

if "PYTEST_XDIST_WORKER" in os.environ:  # tests beside tests: a core for each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from abn import scratch  # noqa: E402

TEMPORARY = scratch.scratch("tests")  # all that tests write: gone at the end, and after a kill at the next start
os.environ["TMPDIR"] = tempfile.tempdir = str(TEMPORARY)
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime would keep a file there, and ask its makers' host
os.environ["GRADIO_TEMP_DIR"] = str(scratch.scratch("uploads"))  # before Gradio is imported

from helpers import made_up_picture, tiny_model, vision_transformer  # noqa: E402
from server import app  # noqa: E402

from abn import AbnConfig, AbnForMultiTaskClassification, AbnImageProcessor, imagenette  # noqa: E402
from abn.checkpoints import BUNDLED  # noqa: E402
from abn.space.server.examples import Gallery  # noqa: E402

SHARED = Path(os.environ.get("ABN_SHARED", ROOT.parent / "shared"))
ARCHIVE = SHARED / "data" / "imagenette2-224px.tar"


def pytest_configure(config):
    if config.option.markexpr != "cuda":  # what the tests say is of the CPU, also where there is a GPU
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_collection_finish():
    gc.freeze()  # what is imported and collected is here to stay


@functools.cache
def wants_the_site(file: Path) -> bool:
    return "bundled_site" in file.read_text(encoding="utf-8")


def pytest_collection_modifyitems(items):
    """What forks comes first, in a process that has computed no gradient yet; then what takes longest."""
    shown = {item.path for item in items if item.get_closest_marker("browser")}
    items.sort(
        key=lambda item: (item.path.name != "test_aside.py", not wants_the_site(item.path), item.path not in shown)
    )
    for item in items:
        if item.get_closest_marker("cuda") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Of several processes one has all tests of a file, and one has all files that want the exported site, which takes
    its time."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "exported" if wants_the_site(ROOT / file) else file

    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left():
    """After all tests the temporary folder holds pytest's own folder, and those that gradio_client, torchrun and
    torch.compile do not remove, Chromium not always, and multiprocessing not before this process ends."""
    yield
    for folder in list(scratch.HELD):  # this process's, which go at its exit
        if folder != TEMPORARY:
            scratch.HELD[folder]()
    others = re.compile(
        "pytest-of-.*|[0-9a-f]{40}|torchelastic_.*|torchinductor_.*|pymp-.*|[.]org[.]chromium[.]Chromium[.].*"
    )
    left = [path.name for path in TEMPORARY.iterdir() if not others.fullmatch(path.name)]
    assert not left, f"left in the temporary folder: {left}"


@pytest.fixture(scope="session")
def drawn_gallery(tmp_path_factory) -> Gallery:
    """The examples where there are no pictures: copies of the drawings, as the page has them."""
    return Gallery(tmp_path_factory.mktemp("none") / "none", may_download=False)


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    folder = SHARED / "reference"
    if not folder.is_dir():
        pytest.skip("no reference vectors at hand")
    return folder


@pytest.fixture(scope="session")
def imagenette_root(tmp_path_factory) -> Path:
    """The real Imagenette's validation pictures, and one for training a class, unpacked once a run."""
    if not ARCHIVE.is_file():
        pytest.skip("no Imagenette at hand")
    root = tmp_path_factory.mktemp("imagenette")
    there = set()

    def wanted(member: tarfile.TarInfo, to: str) -> tarfile.TarInfo | None:
        folder = os.path.dirname(member.name)
        if member.isfile() and "/train/" in folder:
            if folder in there:
                return None
            there.add(folder)
        return tarfile.data_filter(member, to)

    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(root, filter=wanted)
    return root


@pytest.fixture(scope="session")
def validation_pictures(tmp_path_factory) -> list[tuple[Path, str]]:
    """100 validation pictures, 10 a class, evenly over the sorted files, with their class."""
    if not ARCHIVE.is_file():
        pytest.skip("no Imagenette at hand")
    root, chosen = tmp_path_factory.mktemp("validation"), []
    with tarfile.open(ARCHIVE) as tar:
        names = sorted(member.name for member in tar if member.isfile() and "/val/" in member.name)
        for wnid, label in zip(imagenette.WNIDS, imagenette.CLASSES, strict=True):
            files = [name for name in names if f"/{wnid}/" in name]
            for name in files[:: len(files) // 10][:10]:
                tar.extract(name, root, filter="data")
                chosen.append((root / name, label))
    return chosen


@pytest.fixture(scope="session")
def models_root(tmp_path_factory) -> Path:
    """A folder with one model of other classes, one of tasks, and two Vision Transformers."""
    root = tmp_path_factory.mktemp("models")
    tiny_model(3).save_pretrained(root / "tiny-three")
    torch.manual_seed(0)
    tasks = AbnConfig(arch="resnet18", width=8, multitask="v1", id2label={0: "round", 1: "red", 2: "large"})
    AbnForMultiTaskClassification(tasks).save_pretrained(root / "three-tasks")
    vision_transformer().save_pretrained(root / "transformer")
    vision_transformer(channels=1, side=28, patch=7).save_pretrained(root / "digits")
    return root


@pytest.fixture(scope="session")
def running_app(tmp_path_factory, models_root):
    """(url, log file) of an app that serves the bundled network, and drawings in place of Imagenette."""
    tmp = tmp_path_factory.mktemp("app")
    arguments = ["--checkpoint", "compact", "--imagenette-root", str(tmp / "none")]
    arguments += ["--models-root", str(models_root), "--shares", str(tmp / "shares")]
    with app(tmp, *arguments) as (url, log):
        yield url, log


@pytest.fixture(scope="session")
def url(running_app) -> str:
    return running_app[0]


@pytest.fixture(scope="session")
def bundled() -> Path:
    return BUNDLED


@pytest.fixture
def tiny_folder(tmp_path) -> Path:
    """A saved tiny ABN with its processor."""
    folder = tmp_path / "tiny"
    tiny_model().save_pretrained(folder)
    AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


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


@pytest.fixture
def mirror(tiny_imagenette, tmp_path, monkeypatch):
    """The made-up archive on a local server in place of the real one."""
    served = tmp_path / "served"
    served.mkdir()
    archive = served / "imagenette2-160.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tiny_imagenette / "imagenette2-160", "imagenette2-160")

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=served)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/imagenette2-160.tgz"
    checksum = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(imagenette.Imagenette._ARCHIVES, "160px", (url, checksum))
    yield archive
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A Hub cache of the test's own, and a Hub that may be asked."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return folder


@pytest.fixture(scope="session")
def web_runtime() -> dict[str, bytes]:
    """onnxruntime-web's files."""
    from abn.browser.runtime import runtime

    try:
        return runtime()
    except OSError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def bundled_site(web_runtime, tmp_path_factory) -> Path:
    """The folder of the page without a server, with the bundled network and its drawings."""
    pytest.importorskip("onnxscript")
    from abn import Explainer
    from abn.browser.export import write
    from abn.browser.pictures import examples

    explainer = Explainer.from_pretrained(BUNDLED, device="cpu")
    folder = tmp_path_factory.mktemp("browser") / "site"
    write(explainer, "", *examples(None, explainer.labels), web_runtime, folder)
    return folder
