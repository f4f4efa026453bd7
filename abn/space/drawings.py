"""Ten pictures drawn by this code, one a class of Imagenette, for a Space that has neither data nor network.

Nothing is fitted to any weights: the page shows what the model truly says of each. Painting them takes seconds, so they
lie painted in drawn/; `python -m abn.space.drawings` paints them anew.
"""

import itertools
import math
from pathlib import Path

import numpy as np
from PIL import Image

from .canvas import WIDTH, Canvas

PAINTED = Path(__file__).parent / "drawn"


def tench() -> Image.Image:
    """A fish on grass."""
    c = Canvas((96, 116, 70), (70, 92, 48), seed=1)
    c.grass(0, (104, 134, 66), blades=4200, length=20)
    c.noise(7)
    c.ellipse(60, 238, 420, 276, (44, 56, 30), 0)
    body = [(58, 196), (96, 162), (160, 136), (236, 130), (306, 146), (356, 172), (384, 184)]
    belly = [(384, 200), (352, 214), (300, 240), (226, 254), (150, 246), (92, 222)]
    c.polygon([(374, 192), (438, 138), (432, 194), (440, 246)], (70, 66, 34))
    c.polygon([(214, 134), (250, 96), (292, 112), (300, 146)], (72, 70, 36))
    c.polygon([(266, 240), (300, 274), (318, 262), (306, 228)], (82, 72, 36))
    c.polygon([(170, 244), (186, 280), (216, 276), (218, 248)], (82, 72, 36))
    c.polygon(body + belly, (122, 112, 50), 0.75)
    for row in range(9):
        for column in range(34):
            x = 118 + column * 7.6 + (row % 2) * 3.8
            y = 152 + row * 9.5
            half = 52 * math.sqrt(max(0, 1 - ((x - 226) / 172) ** 2))
            if abs(y - 192) < half - 6:
                tone = 0.86 + 0.28 * c.random.random()
                base = (134, 124, 58) if y < 196 else (176, 158, 84)
                c.ellipse(x, y, x + 6, y + 5, tuple(int(v * tone) for v in base), 0.5)
    c.polygon([(136, 208), (168, 238), (184, 228), (160, 204)], (84, 70, 34))
    c.polygon([(58, 196), (96, 162), (122, 150), (130, 192), (122, 232), (92, 222)], (112, 104, 50), 0.5)
    c.line([(126, 152), (134, 192), (124, 230)], (72, 66, 30), 3)
    c.line([(60, 204), (78, 208), (90, 204)], (60, 46, 26), 3)
    c.ellipse(84, 176, 102, 194, (190, 92, 40))
    c.ellipse(89, 181, 97, 189, (14, 12, 10), 0)
    c.noise(5)
    return c.finish()


def english_springer() -> Image.Image:
    """A white and liver dog's head and chest on a lawn."""
    liver, white, dark = (92, 50, 30), (232, 226, 216), (34, 22, 18)
    c = Canvas((120, 150, 96), (96, 132, 66), seed=2)
    for _ in range(26):
        x, y = c.random.random() * WIDTH, c.random.random() * 150
        c.blob(x, y, 30 + 36 * c.random.random(), (62 + int(50 * c.random.random()), 104, 54), 0.5)
    c.soften(7)
    c.grass(250, (96, 140, 58))
    c.polygon([(130, 360), (150, 262), (196, 222), (284, 222), (332, 262), (352, 360)], white, 0.3)
    c.blob(150, 320, 44, liver, 0.25)
    c.blob(338, 330, 40, liver, 0.25)
    for _ in range(500):
        x, y = 160 + 160 * c.random.random(), 245 + 115 * c.random.random()
        tone = 0.8 + 0.25 * c.random.random()
        c.line([(x, y), (x + 4 - 8 * c.random.random(), y + 12)], tuple(min(255, int(v * tone)) for v in white), 1.4, 0)
    c.ellipse(168, 62, 312, 210, liver, 0.5)
    c.polygon([(228, 64), (252, 64), (268, 130), (286, 180), (240, 236), (196, 180), (212, 130)], white, 0.25)
    c.ellipse(194, 158, 288, 244, white, 0.3)
    for side in (-1, 1):
        x = 240 + side * 66
        ear = [(x, 84), (x + side * 34, 104), (x + side * 50, 168), (x + side * 40, 232)]
        ear += [(x + side * 14, 246), (x - side * 6, 200), (x - side * 6, 130)]
        c.polygon(ear, (78, 40, 24), 0.5)
        for _ in range(120):
            ex, ey = x + side * (2 + 40 * c.random.random()), 110 + 120 * c.random.random()
            tone = 0.6 + 0.8 * c.random.random()
            stroke = tuple(min(255, int(v * tone)) for v in liver)
            c.line([(ex, ey), (ex + 5 * math.sin(ey / 9), ey + 14)], stroke, 1.6, 0)
        eye = 240 + side * 34
        c.ellipse(eye - 12, 128, eye + 12, 150, dark, 0)
        c.ellipse(eye - 8, 130, eye + 8, 147, (84, 48, 22), 0.3)
        c.ellipse(eye - 4, 134, eye + 4, 144, (8, 6, 6), 0)
        c.ellipse(eye - 5, 132, eye - 1, 136, (240, 240, 240), 0)
    c.ellipse(216, 176, 266, 208, dark, 0.6)
    c.ellipse(222, 190, 234, 200, (8, 6, 6), 0)
    c.ellipse(248, 190, 260, 200, (8, 6, 6), 0)
    c.line([(241, 206), (241, 222)], dark, 3)
    c.line([(206, 222), (226, 230), (241, 222), (256, 230), (276, 222)], dark, 3)
    for _ in range(60):
        x, y = 206 + 70 * c.random.random(), 206 + 26 * c.random.random()
        c.ellipse(x, y, x + 2, y + 2, liver, 0)
    c.noise(6)
    return c.finish()


def cassette_player() -> Image.Image:
    """A radio cassette recorder with two speakers on a table."""
    c = Canvas((206, 200, 190), (168, 158, 144), seed=3)
    c.box(0, 286, 480, 360, (126, 96, 66), 0, 0.3)
    c.ellipse(40, 278, 446, 312, (84, 64, 46), 0)
    c.line([(96, 84), (96, 52), (384, 52), (384, 84)], (66, 66, 70), 12)
    c.box(46, 78, 434, 292, (72, 74, 80), 12, 0.5)
    c.box(56, 88, 424, 126, (196, 198, 202), 4, 0.3)
    for i in range(44):
        x = 70 + i * 5.2
        c.line([(x, 96), (x, 108 if i % 5 else 114)], (40, 40, 44), 1, 0)
    c.line([(176, 94), (176, 120)], (210, 40, 34), 3, 0)
    for x in (330, 362, 394):
        c.ellipse(x - 12, 94, x + 12, 118, (44, 44, 48), 0.6)
    for x in (110, 370):
        c.ellipse(x - 56, 150, x + 56, 262, (30, 30, 34), 0.4)
        c.ring(x, 206, 54, 6, (176, 178, 184))
        for radius in range(8, 48, 6):
            for k in range(radius):
                a = 2 * math.pi * k / radius
                px, py = x + radius * math.cos(a), 206 + radius * math.sin(a)
                c.ellipse(px - 1.6, py - 1.6, px + 1.6, py + 1.6, (92, 94, 100), 0)
    c.box(176, 140, 304, 232, (28, 28, 32), 6, 0.3)
    c.box(184, 148, 296, 222, (58, 62, 70), 4, 0.3)
    c.box(192, 160, 288, 212, (222, 214, 196), 4, 0.15)
    c.box(200, 166, 280, 180, (206, 96, 52), 0, 0.1)
    c.box(212, 184, 268, 206, (40, 36, 36), 8, 0.2)
    for x in (222, 258):
        c.ellipse(x - 10, 185, x + 10, 205, (236, 236, 232), 0.2)
        c.ellipse(x - 5, 190, x + 5, 200, (40, 36, 36), 0)
    for i in range(6):
        c.box(178 + i * 21, 244, 196 + i * 21, 274, (214, 216, 220) if i else (200, 52, 44), 3, 0.5)
    c.noise(4)
    return c.finish()


def chain_saw() -> Image.Image:
    """An orange chain saw on wood."""
    c = Canvas((150, 118, 82), (112, 84, 56), seed=4)
    for i in range(60):
        y = i * 6 + 3 * c.random.random()
        tone = 0.75 + 0.4 * c.random.random()
        c.line([(0, y), (480, y + 6 * math.sin(i))], tuple(int(v * tone) for v in (146, 112, 76)), 2.4, 0)
    c.soften(1.5)
    c.polygon([(60, 268), (440, 262), (470, 284), (70, 296)], (70, 52, 36), 0)
    c.polygon(
        [(214, 200), (440, 176), (462, 184), (470, 200), (460, 216), (440, 222), (214, 242)], (176, 180, 186), 0.5
    )
    edge = [(214, 200), (440, 176), (462, 184), (470, 200), (460, 216), (440, 222), (214, 242)]
    for (x0, y0), (x1, y1) in itertools.pairwise(edge):
        steps = max(2, int(math.hypot(x1 - x0, y1 - y0) / 8))
        for k in range(steps):
            x, y = x0 + (x1 - x0) * k / steps, y0 + (y1 - y0) * k / steps
            c.box(x - 4, y - 4, x + 3, y + 4, (52, 52, 56), 1, 0.3)
    c.line([(240, 221), (420, 202)], (120, 124, 130), 4)
    c.line([(120, 150), (96, 110), (150, 78), (228, 86), (252, 128), (246, 168)], (34, 34, 36), 15)
    c.line([(108, 232), (40, 226), (28, 252), (44, 282), (112, 276)], (34, 34, 36), 18)
    c.polygon(
        [(92, 166), (128, 138), (238, 142), (258, 172), (256, 258), (232, 280), (104, 280), (88, 256)],
        (228, 92, 24),
        0.5,
    )
    c.polygon([(128, 138), (238, 142), (250, 160), (118, 156)], (244, 130, 58), 0.2)
    c.box(112, 176, 196, 214, (236, 232, 226), 4, 0.15)
    for i in range(5):
        c.box(122 + i * 13, 186, 130 + i * 13, 204, (52, 52, 54), 1, 0)
    for i in range(7):
        c.line([(112 + i * 12, 232), (112 + i * 12, 262)], (92, 34, 10), 4, 0)
    c.ellipse(206, 196, 248, 238, (46, 46, 50), 0.5)
    c.ellipse(220, 210, 234, 224, (150, 152, 156), 0.5)
    c.ellipse(78, 196, 110, 228, (40, 40, 42), 0.5)
    c.line([(50, 248), (66, 252), (64, 262)], (228, 92, 24), 6)
    c.noise(5)
    return c.finish()


def church() -> Image.Image:
    """A white church with a steeple under a blue sky."""
    c = Canvas((84, 140, 212), (190, 214, 236), seed=5)
    for x, y in ((70, 70), (110, 62), (390, 96), (430, 90)):
        c.blob(x, y, 30, (238, 242, 246), 0.3)
    c.soften(6)
    for x in (14, 60, 420, 466):
        c.blob(x, 236, 56, (52, 86, 44), 0.4)
        c.blob(x + 14, 214, 36, (66, 104, 52), 0.4)
    c.grass(286, (92, 140, 62))
    wall, trim, roof = (232, 226, 212), (200, 192, 176), (110, 74, 62)
    c.polygon([(186, 196), (386, 196), (408, 222), (186, 222)], roof, 0.3)
    c.polygon([(186, 196), (236, 142), (352, 142), (400, 222), (186, 222)], roof, 0.4)
    c.box(190, 214, 396, 306, wall, 0, 0.25)
    for x in (226, 274, 322, 370):
        c.ellipse(x - 11, 228, x + 11, 252, (58, 66, 86), 0.2)
        c.box(x - 11, 240, x + 11, 288, (58, 66, 86), 0, 0.3)
        c.line([(x, 232), (x, 288)], trim, 2, 0)
        c.line([(x - 11, 262), (x + 11, 262)], trim, 2, 0)
    c.box(112, 130, 198, 308, wall, 0, 0.3)
    c.polygon([(104, 132), (206, 132), (155, 30)], (96, 72, 66), 0.6)
    c.line([(155, 34), (155, 6)], (52, 48, 44), 4)
    c.line([(144, 15), (166, 15)], (52, 48, 44), 4)
    c.box(106, 126, 204, 136, trim, 0, 0.2)
    c.ellipse(137, 150, 173, 186, (70, 76, 92), 0.2)
    c.box(137, 168, 173, 204, (70, 76, 92), 0, 0.2)
    for i in range(5):
        c.line([(139, 170 + i * 8), (171, 170 + i * 8)], trim, 2.5, 0)
    c.ellipse(133, 232, 177, 276, (92, 56, 36), 0.2)
    c.box(133, 254, 177, 308, (92, 56, 36), 0, 0.3)
    c.line([(155, 236), (155, 308)], (58, 36, 24), 2.5)
    c.polygon([(137, 308), (173, 308), (214, 360), (96, 360)], (186, 176, 158), 0.2)
    c.noise(5)
    return c.finish()


def french_horn() -> Image.Image:
    """A brass French horn on a dark cloth."""
    c = Canvas((92, 36, 40), (58, 20, 26), seed=6)
    for i in range(9):
        c.line([(i * 62 - 30, 0), (i * 62 + 30, 360)], (74, 26, 32), 16)
    c.soften(10)
    brass = (226, 178, 70)
    c.ellipse(206, 150, 404, 340, (36, 12, 16), 0)
    for radius, width in ((94, 15), (74, 11), (56, 11)):
        c.ring(214, 164, radius, width, brass)
    c.ring(196, 148, 40, 10, brass)
    for t in np.linspace(0, 1, 90):  # the tube leaves the coil below and widens to the bell
        x, y, radius = 150 + 206 * t, 242 + 24 * t - 10 * math.sin(math.pi * t), 7 + 66 * t**3
        tone = tuple(int(v * (0.82 + 0.18 * math.sin(9 * t))) for v in (214, 164, 60))
        c.ellipse(x - radius, y - radius, x + radius, y + radius, tone, 0.6)
    c.ellipse(280, 186, 440, 346, (178, 128, 40), 0.5)
    c.ellipse(290, 196, 432, 338, (236, 196, 96), 0.8)
    c.ellipse(308, 212, 414, 320, (196, 146, 54), 0.9)
    c.ellipse(330, 232, 392, 296, (104, 68, 22), 0.6)
    for i in range(3):
        x, y = 150 + i * 28, 176 - i * 6
        c.line([(x, y), (x + 8, y + 54)], (204, 206, 210), 17, 0.5)
        c.ellipse(x - 12, y - 12, x + 12, y + 6, (236, 236, 238), 0.5)
        c.line([(x - 4, y - 6), (x - 38, y - 40)], (206, 208, 212), 6)
    c.line([(122, 148), (70, 92), (52, 70)], (224, 178, 72), 9)
    c.line([(58, 78), (40, 56)], (222, 224, 228), 14)
    c.noise(5)
    return c.finish()


def garbage_truck() -> Image.Image:
    """A green refuse lorry in a street."""
    c = Canvas((164, 190, 216), (206, 214, 218), seed=7)
    for i, x in enumerate(range(-10, 480, 82)):
        height = 90 + 50 * c.random.random()
        c.box(x, 190 - height, x + 76, 262, [(176, 132, 110), (190, 178, 160), (150, 120, 104)][i % 3], 0, 0.2)
        for wx in range(x + 10, x + 66, 22):
            for wy in range(int(200 - height), 240, 30):
                c.box(wx, wy, wx + 12, wy + 18, (86, 96, 110), 0, 0.2)
    c.soften(3)
    c.box(0, 262, 480, 360, (92, 92, 94), 0, 0.2)
    c.box(0, 256, 480, 268, (168, 164, 156), 0, 0.1)
    c.ellipse(20, 300, 460, 338, (48, 48, 50), 0)
    green = (42, 124, 70)
    c.box(60, 268, 450, 290, (44, 44, 48), 2, 0.3)
    c.polygon([(112, 112), (336, 104), (336, 276), (112, 276)], green, 0.35)
    for x in (152, 196, 240, 284):
        c.box(x, 112, x + 9, 274, (30, 96, 54), 0, 0.2)
    c.box(128, 166, 320, 212, (236, 238, 236), 3, 0.1)
    c.polygon([(214, 172), (232, 200), (196, 200)], green, 0.1)
    c.box(250, 182, 304, 196, green, 2, 0.1)
    c.polygon([(112, 104), (112, 286), (60, 292), (36, 250), (40, 160), (70, 112)], (32, 104, 60), 0.4)
    c.box(42, 220, 106, 262, (28, 30, 30), 2, 0.3)
    c.line([(60, 126), (60, 208)], (196, 170, 40), 6)
    c.line([(92, 120), (92, 208)], (196, 170, 40), 6)
    c.polygon([(346, 282), (346, 128), (410, 128), (444, 196), (452, 282)], (236, 238, 240), 0.25)
    c.polygon([(372, 142), (406, 142), (432, 194), (372, 194)], (70, 92, 112), 0.5)
    c.line([(366, 134), (366, 278)], (150, 154, 158), 2)
    c.box(354, 200, 444, 206, green, 0, 0.1)
    c.box(434, 244, 456, 258, (248, 226, 150), 3, 0.2)
    c.box(430, 266, 462, 284, (60, 62, 66), 2, 0.2)
    c.box(352, 114, 404, 126, (240, 150, 30), 4, 0.3)
    for x in (104, 166, 396):
        c.ellipse(x - 32, 262, x + 32, 326, (26, 26, 28), 0.4)
        c.ellipse(x - 17, 277, x + 17, 311, (176, 178, 182), 0.5)
        c.ellipse(x - 7, 287, x + 7, 301, (70, 72, 76), 0.4)
    c.noise(5)
    return c.finish()


def gas_pump() -> Image.Image:
    """A red petrol pump on a forecourt."""
    c = Canvas((180, 200, 218), (204, 204, 198), seed=8)
    c.box(0, 150, 480, 262, (206, 200, 190), 0, 0.2)
    for x in (20, 110, 330, 420):
        c.box(x, 170, x + 60, 250, (104, 116, 130), 0, 0.3)
    c.soften(4)
    c.box(0, 258, 480, 360, (138, 136, 132), 0, 0.2)
    c.box(0, 0, 480, 34, (236, 236, 234), 0, 0.2)
    c.box(0, 30, 480, 44, (198, 44, 38), 0, 0.2)
    c.polygon([(110, 318), (370, 318), (396, 344), (84, 344)], (182, 178, 170), 0.2)
    red = (204, 44, 36)
    c.box(160, 66, 322, 326, red, 10, 0.4)
    c.box(170, 76, 312, 112, (244, 240, 230), 6, 0.15)
    for i in range(6):
        c.box(186 + i * 19, 86, 198 + i * 19, 102, red, 1, 0.1)
    c.box(176, 124, 306, 200, (42, 44, 50), 4, 0.2)
    for y in (132, 156, 180):
        c.box(186, y, 268, y + 16, (186, 204, 172), 1, 0.15)
        for i in range(5):
            c.box(196 + i * 14, y + 3, 203 + i * 14, y + 13, (28, 36, 28), 0, 0)
        c.box(274, y + 2, 298, y + 13, (228, 226, 220), 1, 0.1)
    c.box(182, 212, 300, 240, (244, 240, 230), 3, 0.1)
    for i, tone in enumerate(((240, 200, 40), (60, 130, 70), (40, 90, 170))):
        c.box(188 + i * 38, 217, 220 + i * 38, 235, tone, 3, 0.3)
    c.box(176, 250, 306, 316, (172, 34, 28), 3, 0.2)
    c.line([(322, 108), (366, 124), (386, 190), (382, 270), (352, 300), (334, 276), (338, 214)], (24, 24, 26), 9)
    c.box(326, 148, 348, 214, (30, 30, 34), 4, 0.4)
    c.line([(336, 150), (352, 128), (372, 122)], (190, 194, 198), 7)
    c.line([(160, 108), (116, 124), (98, 190), (102, 270), (132, 300), (148, 276), (142, 214)], (24, 24, 26), 9)
    c.box(132, 148, 154, 214, (30, 30, 34), 4, 0.4)
    c.line([(144, 150), (128, 128), (108, 122)], (190, 194, 198), 7)
    c.noise(5)
    return c.finish()


def golf_ball() -> Image.Image:
    """A dimpled ball on a tee in the grass."""
    c = Canvas((96, 150, 88), (74, 128, 58), seed=9)
    c.soften(2)
    c.grass(60, (92, 150, 60), blades=3600, length=18)
    c.soften(3)
    c.grass(250, (88, 152, 54), blades=2200, length=26)
    c.polygon([(222, 286), (258, 286), (246, 350), (234, 350)], (228, 190, 120), 0.4)
    x, y, radius = 240, 186, 104
    c.ellipse(x - radius, y - radius, x + radius, y + radius, (246, 246, 244), 0.42)
    golden = math.pi * (3 - math.sqrt(5))
    for k in range(420):  # Fibonacci's sphere: even dimples
        z = 1 - 2 * (k + 0.5) / 420
        if z < 0.12:
            continue
        r, a = math.sqrt(1 - z * z), k * golden
        px, py = x + radius * r * math.cos(a), y + radius * r * math.sin(a)
        size = 6.4 * (0.35 + 0.65 * z)
        shadow = 1 - 0.42 * (0.45 * r * math.cos(a) + 0.55 * r * math.sin(a)) - 0.07 * r * r
        dark, light = (tuple(int(min(255, v * shadow * f)) for v in (246, 246, 244)) for f in (0.84, 1.03))
        c.ellipse(px - size, py - size, px + size, py + size, dark, 0.1)
        c.ellipse(px - size * 0.6, py - size * 0.5, px + size, py + size, light, 0.1)
    c.noise(4)
    return c.finish()


def parachute() -> Image.Image:
    """A striped canopy and its jumper in a blue sky."""
    c = Canvas((58, 112, 196), (168, 202, 234), seed=10)
    for x, y in ((60, 290), (120, 304), (380, 284), (430, 300)):
        c.blob(x, y, 34, (232, 240, 248), 0.3)
    c.soften(9)
    colours = ((214, 48, 40), (246, 244, 238), (240, 184, 40), (246, 244, 238), (40, 84, 168), (246, 244, 238))
    panels, x, top, rim = 12, 240, 34, 138
    edge = np.linspace(-1, 1, panels + 1)
    for i, (a, b) in enumerate(itertools.pairwise(edge)):
        arc = []
        for t in np.linspace(0, 1, 12):
            arc.append((x + 150 * a * math.sin(t * math.pi / 2), top + (rim - top) * (1 - math.cos(t * math.pi / 2))))
        back = []
        for t in np.linspace(1, 0, 12):
            back.append((x + 150 * b * math.sin(t * math.pi / 2), top + (rim - top) * (1 - math.cos(t * math.pi / 2))))
        middle = (x + 150 * (a + b) / 2, rim + 12)
        c.polygon([*arc, middle, *back], colours[i % len(colours)], 0.3)
    for a in edge:
        c.line([(x + 150 * a, rim), (x + 5 * a, 276)], (226, 230, 236), 1.2, 0)
    c.ellipse(230, 268, 250, 288, (52, 44, 44), 0.4)
    c.box(226, 284, 254, 318, (44, 52, 66), 8, 0.3)
    c.line([(228, 290), (214, 270)], (44, 52, 66), 7)
    c.line([(252, 290), (266, 270)], (44, 52, 66), 7)
    c.line([(234, 316), (228, 344)], (36, 42, 54), 8)
    c.line([(246, 316), (254, 342)], (36, 42, 54), 8)
    c.noise(3)
    return c.finish()


DRAWINGS = {
    "tench": tench,
    "English springer": english_springer,
    "cassette player": cassette_player,
    "chain saw": chain_saw,
    "church": church,
    "French horn": french_horn,
    "garbage truck": garbage_truck,
    "gas pump": gas_pump,
    "golf ball": golf_ball,
    "parachute": parachute,
}


def painted(label: str) -> Path:
    """The PNG of a class's drawing."""
    return PAINTED / f"{label.replace(' ', '-')}.png"


if __name__ == "__main__":
    PAINTED.mkdir(exist_ok=True)
    for label, draw in DRAWINGS.items():
        draw().save(painted(label), optimize=True)
