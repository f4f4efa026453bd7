"""README's recording, docs/space.webp: Explain, then Edit, on a drawn picture.

HF_HUB_OFFLINE=1 python app.py --checkpoint compact --imagenette-root none   # in another terminal
python docs/recording.py http://127.0.0.1:7860
"""

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from page import blend, chromium, open_tab, opened, says

HERE = Path(__file__).parent
SIZE = {"width": 1080, "height": 690}
WIDTH = 810  # of the recording, in pixels
STEP = 110  # milliseconds between its frames
AT_MOST = 1_500_000  # bytes


class Film:
    """Frames of a page, and how long each is shown."""

    def __init__(self, page: Page):
        self.page, self.frames, self.times, self.place = page, [], [], (40.0, 600.0)

    def take(self, milliseconds: int = STEP) -> None:
        shot = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        shot = shot.resize((WIDTH, round(shot.height * WIDTH / shot.width)), Image.Resampling.LANCZOS)
        if self.frames and shot.tobytes() == self.frames[-1].tobytes():
            self.times[-1] += milliseconds
        else:
            self.frames.append(shot)
            self.times.append(milliseconds)

    def move(self, x: float, y: float, steps: int = 5) -> None:
        """The pointer goes there in a straight line, a frame a step."""
        start = self.place
        for step in range(1, steps + 1):
            part = step / steps
            self.place = (start[0] + (x - start[0]) * part, start[1] + (y - start[1]) * part)
            self.page.mouse.move(*self.place)
            self.take()

    def to(self, selector: str, across: float = 0.5, down: float = 0.5, steps: int = 5) -> None:
        box = self.page.locator(selector).first.bounding_box()
        self.move(box["x"] + across * box["width"], box["y"] + down * box["height"], steps)

    def click(self, selector: str) -> None:
        self.to(selector)
        self.page.mouse.down()
        self.take()
        self.page.mouse.up()

    def save(self, file: Path) -> None:
        """As an animated WebP without end, at the best quality that fits."""
        for quality in range(80, 20, -10):
            more = {"save_all": True, "append_images": self.frames[1:], "duration": self.times, "loop": 0}
            self.frames[0].save(file, quality=quality, method=6, minimize_size=True, **more)
            if file.stat().st_size <= AT_MOST:
                print(f"{file.name}: {len(self.frames)} frames, {sum(self.times) / 1000:.1f} s, quality {quality}")
                return
        raise SystemExit(f"{file.name} takes more than {AT_MOST} bytes: record fewer frames")


def explain(film: Film) -> None:
    page, slider = film.page, "#abn-explain [data-alpha]"
    film.take(900)
    film.to(slider, 0.7)
    page.mouse.down()
    for across in (0.02, 0.98, 0.7):
        film.to(slider, across, steps=6)
    page.mouse.up()
    film.to("#abn-explain [data-blend] label:nth-of-type(2)")
    blend(page, "spotlight")
    film.take(1200)
    blend(page, "heat")


def edit(film: Film) -> None:
    page, stage = film.page, "#abn-edit .abn-stage-box"
    film.to("[data-tab=edit]")
    open_tab(page, "edit")
    film.take(900)
    film.to(stage, 0.27, 0.5)
    page.mouse.down()
    for place in ((0.52, 0.42), (0.24, 0.6), (0.9, 0.55), (0.6, 0.66), (0.24, 0.76), (0.5, 0.78)):
        film.to(stage, *place, steps=4)
    page.mouse.up()
    says(page, "#abn-edit [data-change]", "→")
    film.take(2200)
    film.click("#abn-edit [data-do=undo]")
    page.wait_for_timeout(600)
    film.take(1400)


def main(url: str) -> None:
    with chromium() as browser:
        page = browser.new_page(viewport=SIZE, locale="en-GB")
        opened(page, url)
        page.add_script_tag(path=str(HERE / "cursor.js"))
        film = Film(page)
        explain(film)
        edit(film)
        film.save(HERE / "space.webp")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860")
