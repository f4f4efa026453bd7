"""Three classes of one's own, fine-tuned and exported by the commands of the documentation, shown by the page."""

import os
import subprocess
import sys

import pytest
from helpers import ROOT, made_up_picture
from page import NEEDS_CHROMIUM, chromium, opened, says, watched
from PIL import Image
from plain_server import Plain

from abn import Explainer

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
CLASSES = ("daisy", "rose", "tulip")


def run(folder, *command: str) -> str:
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_three_classes_of_ones_own(tmp_path, web_runtime):
    pytest.importorskip("onnxscript")
    for split, count in (("train", 6), ("val", 2)):
        for level, name in enumerate(CLASSES):
            (tmp_path / "flowers" / split / name).mkdir(parents=True)
            for number in range(count):
                picture = made_up_picture(240, 190, seed=number).point(lambda value, at=level: value // 3 + 85 * at)
                picture.save(tmp_path / "flowers" / split / name / f"{number}.png")
    (tmp_path / "runtime").mkdir()
    for name, content in web_runtime.items():
        (tmp_path / "runtime" / name).write_bytes(content)
    training = ("--data", "flowers", "--initial", "compact", "--checkpoint", "out")
    run(tmp_path, str(ROOT / "train" / "run.py"), *training, "--max-steps", "2", "--explain", "0", "--gpu-id", "cpu")
    (tmp_path / "flowers" / "val" / "rose" / "broken.png").write_bytes(b"no picture")  # left out
    export = ("--checkpoint", "out", "--examples", "flowers", "--out", "site", "--runtime", "runtime")
    assert run(tmp_path, "-m", "abn.browser", *export).startswith("site: 24.")
    explainer = Explainer.from_pretrained(tmp_path / "out", device="cpu")
    picture = tmp_path / "flowers" / "train" / "tulip" / "0.png"
    with Image.open(picture) as opened_picture:
        wanted = explainer(opened_picture.convert("RGB"), view="whole")
    server = Plain(tmp_path / "site")
    try:
        with chromium() as browser, watched(browser, server.url, locale="en-GB") as page:
            opened(page, server.url)
            assert page.inner_text("[data-chip-name]") == "out"
            assert page.locator("#abn-explain [data-open]").count() == 3
            shown = page.locator("#abn-explain .abn-score-name").all_inner_texts()
            assert {name.strip() for name in shown} - {""} == set(CLASSES)
            page.set_input_files("#abn-explain [data-file]", str(picture))
            says(page, "#abn-explain [data-label]", wanted.label)
            share = page.inner_text("#abn-explain [data-share-of-it]").rstrip(" %")
            assert float(share) == pytest.approx(100 * wanted.probabilities[wanted.label], abs=1)
    finally:
        server.close()
