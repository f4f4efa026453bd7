"""The page's example pictures: a few of each class, reduced."""

import io
from pathlib import Path

from PIL import Image

from .. import imagenette
from ..explanation import Explainer
from ..folders import class_folders
from ..model.pictures import fitted, load_rgb, resized
from ..names import shown
from ..space.drawings import DRAWINGS
from ..space.server.own_examples import validation_folder

MOST = 60
LONGEST, SMALL = 512, 144  # pixels of the longer side: of an example, and of the row's
NAMES = dict(zip(imagenette.WNIDS, imagenette.CLASSES, strict=True))


def examples(folder: str | Path | None, labels: list[str]) -> tuple[list[dict], dict[str, bytes]]:
    """What the page lists ({id, label, drawn}), and the files: name -> JPEG.

    Args:
        folder: with a folder of pictures a class, or with val/ of such (Imagenette's classes may be named by their
            WordNet ids); the drawings of Imagenette's classes if None.
        labels: the network's.

    Raises:
        ValueError: no folder is given, and the network does not know the drawings' classes; or a folder without
            pictures.
        FileNotFoundError: there is no such folder.
    """
    if folder is None:
        if set(labels) != set(DRAWINGS):
            raise ValueError("this network's classes have no drawings: give pictures by --examples, a folder a class")
        chosen = [(file, label) for label, file in DRAWINGS.items()]
    else:
        chosen = spread(class_folders(validation_folder(Path(folder))))
    listed, files = [], {}
    for file, label in chosen:
        try:
            picture = load_rgb(str(file), lambda size: fitted(size, LONGEST))
        except Exception:  # Pillow's decoders raise what they like; the others go
            continue
        name = f"{len(listed) + 1:02d}"
        size = (picture.width, picture.height)
        files[f"{name}.jpg"] = jpeg(resized(picture, fitted(size, LONGEST), Image.Resampling.LANCZOS), 88)
        files[f"{name}.small.jpg"] = jpeg(resized(picture, fitted(size, SMALL), Image.Resampling.LANCZOS), 80)
        listed.append({"id": name, "label": label, "drawn": folder is None})
    if not listed:
        raise ValueError(f"{shown(folder)} holds no picture that can be read")
    return listed, files


def spread(data) -> list[tuple[str, str]]:
    """At most MOST of the pictures, as many a class, evenly over each: (path, label)."""
    names = [NAMES.get(name, name) for name in data.classes]
    each = max(1, MOST // max(1, len(names)))
    chosen = []
    for index, name in enumerate(names[:MOST]):
        files = [path for path, label in data.samples if label == index]
        chosen += [(file, name) for file in files[:: max(1, len(files) // each)][:each]]
    return chosen


def opening(listed: list[dict], files: dict[str, bytes], explainer: Explainer) -> str:
    """The id of the example that opens the page: the first that the network answers rightly, if it does any."""
    for one in listed:
        with Image.open(io.BytesIO(files[f"{one['id']}.jpg"])) as picture:
            if explainer(picture, view="whole").label == one["label"]:
                return one["id"]
    return listed[0]["id"]


def jpeg(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()
