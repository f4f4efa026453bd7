"""A small painting kit for the drawn examples: shading, texture and smooth edges over Pillow's shapes."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 480, 360
SCALE = 2  # painted this much larger, then averaged: smooth edges

Colour = tuple[int, int, int]
Point = tuple[float, float]


class Canvas:
    """A picture under way. Coordinates are those of the finished 480 x 360 picture."""

    def __init__(self, top: Colour, bottom: Colour, seed: int = 0):
        self.random = np.random.default_rng(seed)
        ramp = np.linspace(0, 1, HEIGHT * SCALE)[:, None, None]
        rows = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
        self.image = Image.fromarray(np.broadcast_to(rows, (HEIGHT * SCALE, WIDTH * SCALE, 3)).astype(np.uint8).copy())

    def polygon(self, points: list[Point], fill: Colour, shade: float = 0.35) -> None:
        self._paint(lambda draw: draw.polygon(self._scaled(points), fill=255), fill, shade)

    def ellipse(self, x0: float, y0: float, x1: float, y1: float, fill: Colour, shade: float = 0.35) -> None:
        self._paint(lambda draw: draw.ellipse([v * SCALE for v in (x0, y0, x1, y1)], fill=255), fill, shade)

    def box(
        self, x0: float, y0: float, x1: float, y1: float, fill: Colour, radius: float = 0, shade: float = 0.2
    ) -> None:
        box = [v * SCALE for v in (x0, y0, x1, y1)]
        self._paint(lambda draw: draw.rounded_rectangle(box, radius * SCALE, fill=255), fill, shade)

    def line(self, points: list[Point], fill: Colour, width: float, shade: float = 0.2) -> None:
        def stroke(draw):
            draw.line(self._scaled(points), fill=255, width=round(width * SCALE), joint="curve")
            for x, y in (points[0], points[-1]):
                r = width / 2
                draw.ellipse([v * SCALE for v in (x - r, y - r, x + r, y + r)], fill=255)

        self._paint(stroke, fill, shade)

    def ring(self, x: float, y: float, radius: float, width: float, fill: Colour) -> None:
        """A tube bent to a circle: light along its middle, dark at its rims."""
        steps = 5
        for step in range(steps):
            share = step / (steps - 1)
            inner = width * (1 - 0.8 * share)
            tone = tuple(int(c * (0.45 + 0.65 * share)) for c in fill)
            box = [v * SCALE for v in (x - radius - inner / 2, y - radius - inner / 2)]
            box += [v * SCALE for v in (x + radius + inner / 2, y + radius + inner / 2)]
            draw = ImageDraw.Draw(self.image)
            draw.ellipse(box, outline=tuple(min(255, t) for t in tone), width=max(1, round(inner * SCALE)))

    def blob(self, x: float, y: float, radius: float, fill: Colour, ragged: float = 0.3, points: int = 40) -> None:
        """A ragged round patch: leaves, fur."""
        angles = np.linspace(0, 2 * math.pi, points, endpoint=False)
        radii = radius * (1 + ragged * (self.random.random(points) - 0.5))
        self.polygon([(x + r * math.cos(a), y + r * math.sin(a)) for a, r in zip(angles, radii, strict=True)], fill)

    def grass(self, top: float, fill: Colour, blades: int = 2600, length: float = 16) -> None:
        """Blades of grass from the height `top` down."""
        draw = ImageDraw.Draw(self.image)
        draw.rectangle([0, top * SCALE, WIDTH * SCALE, HEIGHT * SCALE], fill=tuple(int(c * 0.7) for c in fill))
        depth = np.sort(self.random.random(blades))
        for share in depth:
            x, y = self.random.random() * WIDTH, top + share * (HEIGHT - top + length)
            lean, tone = (self.random.random() - 0.5) * length, 0.55 + 0.7 * self.random.random()
            size = length * (0.4 + 0.8 * share)
            colour = tuple(min(255, int(c * tone)) for c in fill)
            draw.line(self._scaled([(x, y), (x + lean, y - size)]), fill=colour, width=SCALE)

    def noise(self, strength: float, blur: float = 0.6) -> None:
        """Grain over the whole picture, in grey levels."""
        grain = Image.fromarray(self.random.integers(0, 256, (HEIGHT * SCALE, WIDTH * SCALE), dtype=np.uint8))
        grain = np.asarray(grain.filter(ImageFilter.GaussianBlur(blur * SCALE)), dtype=np.float32)
        grain = (grain - grain.mean()) / max(grain.std(), 1e-6) * strength
        pixels = np.asarray(self.image, dtype=np.float32) + grain[..., None]
        self.image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

    def soften(self, radius: float) -> None:
        """Blur what is painted so far: it lies behind."""
        self.image = self.image.filter(ImageFilter.GaussianBlur(radius * SCALE))

    def finish(self) -> Image.Image:
        return self.image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)

    def _scaled(self, points: list[Point]) -> list[Point]:
        return [(x * SCALE, y * SCALE) for x, y in points]

    def _paint(self, shape, fill: Colour, shade: float) -> None:
        """Fill a shape, lit from the upper left: lighter there, darker at the lower right, by the share `shade`."""
        mask = Image.new("L", self.image.size)
        shape(ImageDraw.Draw(mask))
        box = mask.getbbox()
        if box is None:
            return
        width, height = box[2] - box[0], box[3] - box[1]
        x, y = np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]
        light = 1 - shade * (0.45 * x + 0.55 * y) - shade * 0.35 * (x**2 + y**2) / 2
        pixels = np.clip(np.array(fill) * light[..., None], 0, 255).astype(np.uint8)
        self.image.paste(Image.fromarray(pixels), box[:2], mask.crop(box))
