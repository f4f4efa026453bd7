"""README's pictures, taken from a running app that has no Imagenette: drawn pictures only.

HF_HUB_OFFLINE=1 python app.py --checkpoint compact --imagenette-root none   # in another terminal
python docs/screenshots.py http://127.0.0.1:7860
"""

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from page import CAMERA, chromium, open_tab, opened, says

HERE = Path(__file__).parent


def edit(page: Page) -> None:
    page.click("#abn-edit [data-do=hide_object]")
    says(page, "#abn-edit [data-change]", "→")


def live(page: Page) -> None:
    page.click("#abn-live [data-start]")
    page.wait_for_function("() => Number(document.querySelector('#abn-live [data-rate]').dataset.frames) > 30")


def model(page: Page) -> None:
    page.click("#abn-model [data-fold=maps] summary")


SHOTS = {"explain": ("space", 800), "compare": ("compare", 1010), "edit": ("edit", 760)}
SHOTS |= {"gallery": ("gallery", 800), "live": ("live", 760), "model": ("model", 860)}
BEFORE = {"edit": edit, "live": live, "model": model}


def main(url: str) -> None:
    with chromium(*CAMERA) as browser:
        for tab, (name, height) in SHOTS.items():
            page = browser.new_page(viewport={"width": 1280, "height": height}, locale="en-GB")
            opened(page, url)
            open_tab(page, tab)
            page.mouse.move(0, 0)
            BEFORE.get(tab, lambda page: None)(page)
            page.wait_for_timeout(500)
            Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(HERE / f"{name}.png", optimize=True)
            page.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860")
