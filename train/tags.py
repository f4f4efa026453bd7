"""Pictures with a known bias: each carries a small coloured tag at its edge, of a colour that goes with its class.

In training nine of ten carry their own class's colour. A network can then be right without looking at the object; what
it does where the colour misleads, or where there is no tag, shows how far it did so.
"""

import colorsys
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps
from tqdm import tqdm

from abn.corrections import Correction, write
from abn.files import whole, whole_folder
from abn.model.pictures import load_rgb

SIDE = 144  # pixels of the pictures, which are squares
TAG = 22  # pixels across a tag
BIASED = 0.9  # of the training pictures carry their own class's tag
SMOOTH = 4  # a tag is drawn so many times larger, and reduced


@dataclass(frozen=True)
class Tag:
    """kind: whose class's colour, of `kinds`; x, y: its centre in pixels."""

    kind: int
    kinds: int
    x: float
    y: float

    @property
    def cover(self) -> np.ndarray:
        """(SIDE, SIDE) float in [0, 1]: how much of each pixel it covers."""
        large = Image.new("L", (SIDE * SMOOTH, SIDE * SMOOTH))
        box = [SMOOTH * (centre + sign * TAG / 2) for sign in (-1, 1) for centre in (self.x, self.y)]
        ImageDraw.Draw(large).ellipse(box, fill=255)
        return np.asarray(large.reduce(SMOOTH), np.float32) / 255

    def on(self, picture: Image.Image) -> Image.Image:
        colour = np.array(colorsys.hsv_to_rgb(self.kind / self.kinds, 1, 1)) * 255
        cover = self.cover[..., None]
        return Image.fromarray(np.rint(np.asarray(picture) * (1 - cover) + colour * cover).astype(np.uint8))

    @property
    def mask(self) -> np.ndarray:
        """(SIDE, SIDE) as a correction's: 0 where the tag is, which should not be looked at; nothing is said of the
        rest."""
        return np.where(self.cover > 0, np.float32(0), np.float32(np.nan))


def draw_tag(kind: int, kinds: int, rng: np.random.Generator) -> Tag:
    """At a random place along a random edge."""
    along, edge = rng.uniform(TAG / 2, SIDE - TAG / 2), (TAG / 2, SIDE - TAG / 2)[rng.integers(2)]
    return Tag(kind, kinds, *((along, edge) if rng.integers(2) else (edge, along)))


def own(label: int, kinds: int, rng: np.random.Generator) -> int:
    """The class's own in BIASED of the cases, else another."""
    return label if rng.random() < BIASED else swapped(label, kinds, rng)


def any_kind(label: int, kinds: int, rng: np.random.Generator) -> int:
    return int(rng.integers(kinds))


def swapped(label: int, kinds: int, rng: np.random.Generator) -> int:
    """Any but the class's own."""
    return int((label + 1 + rng.integers(kinds - 1)) % kinds)


def write_tagged(
    samples: Sequence[tuple[str, int]],
    names: Sequence[str],
    folder: Path,
    choose: Callable[[int, int, np.random.Generator], int] | None,
    seed: int,
    workers: int,
) -> None:
    """Write the middle squares of (path, label) samples, with tags, as a folder of class folders; the tags are noted
    beside it (see `note_of`). Nothing is done where the folder is there. choose: which kind; None: no tags."""
    if folder.is_dir():
        return
    with whole_folder(folder) as aside, ThreadPoolExecutor(workers) as pool:
        for name in names:
            (aside / name).mkdir()
        one = partial(_write_one, samples, names, aside, choose, seed)
        found = dict(tqdm(pool.map(one, range(len(samples))), f"writing {folder.name}", len(samples), mininterval=2))
        with whole(note_of(folder)) as file:
            file.write_text(json.dumps(found))


def note_of(folder: Path) -> Path:
    """Where it is said which tag the pictures of a folder have."""
    return folder.with_name(f"{folder.name}-tags.json")


def _write_one(samples, names, folder, choose, seed, number) -> tuple[str, list | None]:
    path, label = samples[number]
    picture = ImageOps.fit(load_rgb(path, lambda size: (2 * SIDE, 2 * SIDE)), (SIDE, SIDE), Image.Resampling.BICUBIC)
    rng, tag = np.random.default_rng([seed, number]), None
    if choose is not None:
        tag = draw_tag(choose(label, len(names), rng), len(names), rng)
        picture = tag.on(picture)
    file = f"{names[label]}/{Path(path).stem}.jpg"
    picture.save(folder / file, quality=95, subsampling=0)
    return file, tag and [tag.kind, tag.kinds, tag.x, tag.y]


def write_corrections(tagged: Path, count: int, folder: Path, seed: int, said: str = "") -> None:
    """Corrections of `count` of the pictures in `tagged`, of each class as many: their tags are not to be looked at.
    More of them hold the fewer. Nothing is done where the folder is there."""
    if folder.is_dir():
        return
    tags = json.loads(note_of(tagged).read_text())
    names = sorted({Path(file).parts[0] for file in tags})
    chosen = []
    for place, name in enumerate(names):
        members = sorted(file for file in tags if Path(file).parts[0] == name)
        order = np.random.default_rng([seed, place]).permutation(len(members))
        share = count // len(names) + (place < count % len(names))
        chosen += [members[number] for number in order[:share]]
    with whole_folder(folder) as aside:
        write((correction(tagged / file, Tag(*tags[file]), said) for file in chosen), aside)


def correction(file: Path, tag: Tag, model: str = "") -> Correction:
    return Correction.of(Image.open(file), tag.mask, file.parent.name, model=model, name=file.name)
