"""The report: one HTML file that asks no host for anything, drawn by the page's own renderer.

The Space's modules and styles are embedded as they are; a module's imports become names of an import map, whose
addresses are the modules themselves as data URLs. `page/` holds what is the report's own.
"""

import base64
import html
import json
import os
import re
from pathlib import Path

from PIL import Image

from ..colours import colour_tables
from ..data_urls import jpeg_url
from ..explanation import Explainer
from ..files import whole
from ..model.pictures import fitted, load_rgb, resized
from ..names import shown
from ..packing import packed, packed_map
from ..splits import SPLIT_OF
from .folder import GROUPS, GROUPS_FILE
from .measures import border_area
from .summary import OfClass, Summary, summary_of

HERE = Path(__file__).parent
PACKAGE = HERE.parent
PAGE = HERE / "page"
LOCALE = PACKAGE / "space" / "locale"
STYLES = ("space/page.css", "space/tabs/gallery.css", "space/tabs/model.css", "survey/page/report.css")
THUMBNAIL = 288  # pixels of the longer side
QUALITY = 80
MATRIX = 30  # classes: of more, only the most frequent confusions are listed
PAIRS = 40
IMPORT = re.compile(r"(from\s+')(\.{1,2}/[^']+)(')")


def write(out: Path, job) -> str:
    """Write report.html and groups.json of a whole survey. Gives what there is to see in a few words."""
    found = summary_of(out)
    page = page_of(data_of(found, job))
    with whole(out / "report.html") as aside:
        aside.write_text(page, encoding="utf-8")
    groups = {name: [_told(row) for row in found.first[name]] for name in GROUPS}
    with whole(out / GROUPS_FILE) as aside:
        aside.write_text(json.dumps(groups, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    unread = f", {found.count - found.read:,} not read" if found.count > found.read else ""
    right = f"{found.right / found.known:.1%} of {found.known:,} right, " if found.known else ""
    return f"{right}{found.sizes['unfamiliar']:,} like none of the classes{unread}"


def _told(row: dict) -> dict:
    return {name: row[name] for name in ("path", "true_class", "answer", "confidence")}


def data_of(found: Summary, job) -> dict:
    """All that the page shows, as JSON."""
    explainer: Explainer = job.rows.explainer
    return {
        "name": _name_of(Path(job.settings["pictures"])),
        "checkpoint": shown(Path(job.settings["checkpoint"]).name),
        "view": job.settings["view"],
        "arithmetic": job.settings["arithmetic"],
        "count": found.count,
        "read": found.read,
        "known": found.known,
        "right": found.right,
        "branch": found.with_branch,
        "differ": found.whole.differ,
        "unfamiliar": found.sizes["unfamiliar"],
        "calibrated": explainer.calibration.energy_threshold is not None,
        "byTruth": found.by_truth,
        "bins": found.bins,
        "mean": _packed(found.whole),
        "groups": [
            {"key": name, "count": found.sizes[name], "cards": [_card(row, job) for row in found.first[name]]}
            for name in GROUPS
        ],
        "classes": [_class(name, one) for name, one in found.classes.items()],
        "matrix": _matrix(found),
        "confusions": found.confusions()[:PAIRS] if found.by_truth else [],
        "unread": found.unread,
    }


def _name_of(folder: Path) -> str:
    """Its own, and of a split the data set's as well."""
    return shown(f"{folder.parent.name}/{folder.name}" if folder.name.casefold() in SPLIT_OF else folder.name)


def _class(name: str, one: OfClass) -> dict:
    others = [(count, answer) for answer, count in one.answers.items() if answer != name]
    taken = max(others, key=lambda pair: (pair[0], pair[1])) if others else None
    return {
        "name": name,
        "pictures": one.pictures,
        "right": one.right / one.known if one.known else None,
        "taken": [taken[1], taken[0]] if taken else None,
        "confidence": one.confidence / one.pictures,
        "differ": one.differ / one.with_branch if one.with_branch else None,
        "border": one.border / one.pictures,
        "agreement": one.agreement / one.agreements if one.agreements else None,
        "unfamiliar": one.unfamiliar / one.pictures,
        "mean": _packed(one),
    }


def _packed(one: OfClass) -> dict | None:
    """A mean map, laid on a square."""
    if not one.pictures:
        return None
    return {**packed(one.mean_map()), "box": [0, 0, 1, 1], "span": [[0, 1], [0, 1]], "size": [1, 1]}


def _matrix(found: Summary) -> dict | None:
    """names: of rows (what it is) and columns (the answers); rows: counts."""
    if not found.by_truth or not 1 < len(found.classes) <= MATRIX or not found.known:
        return None
    names = [name for name, one in found.classes.items() if one.known]
    answers = sorted({answer for name in names for answer in found.classes[name].answers} - set(names))
    columns = names + answers
    if not names or len(columns) > MATRIX:
        return None
    rows = [[found.classes[name].answers[answer] for answer in columns] for name in names]
    return {"names": names, "columns": columns, "rows": rows}


def _card(row: dict, job) -> dict:
    geometry = job.rows.explainer.processor.geometry((row["height"], row["width"]), job.rows.view)
    names = "path true_class right answer confidence attention_answer attention_confidence energy border"
    card = {name: row[name] for name in (*names.split(), "gradcam_agreement", "peak")}
    card |= {"area": border_area(*row["grid"]), "map": packed_map(row["map"].astype("float32"), geometry)}
    return card | {"picture": thumbnail(Path(job.settings["pictures"]) / row["path"])}


def thumbnail(file: Path) -> str | None:
    """A small JPEG as a data URL; None where the picture is gone, or cannot be read any more."""
    try:
        picture = load_rgb(os.fspath(file), lambda size: fitted(size, THUMBNAIL))
    except Exception:
        return None
    size = fitted((picture.width, picture.height), THUMBNAIL)
    return jpeg_url(resized(picture, size, Image.Resampling.LANCZOS), QUALITY)


# The file


def page_of(data: dict) -> str:
    start, modules = modules_of(PAGE / "report.js")
    filled = {
        "TITLE": html.escape(data["name"]),
        "STYLES": "\n".join((PACKAGE / file).read_text(encoding="utf-8") for file in STYLES),
        "IMPORTS": json.dumps({"imports": modules}),
        "WORDS": _json(words_of(data)),
        "COLOURS": _json(colour_tables()),
        "DATA": _json(data),
        "SCRIPT": start,
    }
    page = (PAGE / "report.html").read_text(encoding="utf-8")
    return re.sub(r"⟦([A-Z]+)⟧", lambda match: filled[match[1]], page)


def modules_of(file: Path) -> tuple[str, dict[str, str]]:
    """A script with its imports by name, and name -> data URL of every module that it needs, directly or not."""
    modules: dict[str, str] = {}

    def named(script: Path) -> str:
        def replaced(match: re.Match) -> str:
            needed = Path(os.path.normpath(script.parent / match[2]))
            name = f"abn/{needed.relative_to(PACKAGE).as_posix()}"
            if name not in modules:
                modules[name] = ""
                content = named(needed).encode()
                modules[name] = f"data:text/javascript;base64,{base64.b64encode(content).decode()}"
            return f"{match[1]}{name}{match[3]}"

        return IMPORT.sub(replaced, script.read_text(encoding="utf-8"))

    return named(file), modules


def words_of(data: dict) -> dict[str, dict[str, str]]:
    """Language -> the report's words, and of the Space's those of blends and of Imagenette's classes."""
    found = {}
    for file in sorted((PAGE / "locale").glob("*.json")):
        space = json.loads((LOCALE / file.name).read_text(encoding="utf-8"))
        shared = {key: words for key, words in space.items() if key.startswith(("class_", "blend_"))}
        found[file.stem] = shared | json.loads(file.read_text(encoding="utf-8"))
    return found


def _json(value) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
