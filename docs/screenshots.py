"""README's pictures, taken from a running app that has no Imagenette: drawn pictures only.

HF_HUB_OFFLINE=1 python app.py --checkpoint compact --imagenette-root none   # in another terminal
python docs/screenshots.py http://127.0.0.1:7860
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def explain(page: Page) -> None:
    page.wait_for_selector("#abn-verdict .abn-answer")


def compare(page: Page) -> None:
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_function("() => document.querySelectorAll('#abn-compare svg').length === 5", timeout=60000)


def edit(page: Page) -> None:
    page.get_by_role("tab", name="Edit").click()
    page.wait_for_selector("#abn-edit-result .abn-bars")
    page.locator("#abn-editor label", has_text="Hide").click()
    box = page.locator("#abn-editor canvas.abn-marks").bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in ((0.25, 0.55), (0.85, 0.55))]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=6)
    page.mouse.up()
    page.wait_for_selector("#abn-edit-result .abn-change >> text=→")


def gallery(page: Page) -> None:
    page.get_by_role("tab", name="Gallery").click()
    page.wait_for_selector("#abn-gallery-status >> text=are right", timeout=60000)


def live(page: Page) -> None:
    page.get_by_role("tab", name="Live").click()
    page.wait_for_function(
        "() => document.querySelector('#abn-live .abn-live-rate').dataset.frames > 30", timeout=60000
    )


def model(page: Page) -> None:
    page.get_by_role("tab", name="Model").click()
    page.wait_for_selector("#abn-model table")


def main(url: str) -> None:
    shots = (("space", explain, 1180), ("compare", compare, 1100), ("edit", edit, 860), ("gallery", gallery, 780))
    shots += (("live", live, 1000), ("model", model, 1000))
    with sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        for name, show, height in shots:
            page = browser.new_page(viewport={"width": 1280, "height": height})
            page.goto(url)
            page.wait_for_selector("#abn-overlay .abn-jet", timeout=60000)
            show(page)
            page.wait_for_timeout(1000)
            page.screenshot(path=HERE / f"{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860")
