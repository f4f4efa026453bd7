"""The whole page as a folder: the Space's own modules, what is different without a server, the graphs and the runtime.

    OUT/index.html, OUT/sw.js, OUT/VERSION/…     VERSION is made of the content of all files below it
    OUT/README.md                                makes the folder a static Space

The modules are the Space's own, copied; `site/` holds what takes the place of one of them (ask.js, which asks the
network in the browser in place of a server) or is added.
"""

import gzip
import hashlib
import json
import posixpath
import re
import shutil
import tempfile
from pathlib import Path

from ..colours import colour_tables
from ..explanation import Explainer
from ..files import whole_folder
from ..names import shown
from ..space.locale import CATALOGUES, LANGUAGES
from .facts import facts_of
from .graphs import PERCEIVE, SEE, export
from .pictures import opening

SPACE = Path(__file__).parents[1] / "space"
SITE = Path(__file__).parent / "site"
TABS = ("explain", "compare", "edit", "live", "model")
LEFT_OUT = ("gallery",)
STYLES = ("page.css", "widgets/stage/style.css", "widgets/scores/style.css", *(f"tabs/{tab}.css" for tab in TABS))
STYLES += ("site.css",)
RUNTIMES = {  # what the page calls it -> binary, interface and loader of the package
    "wasm": ("ort-wasm-simd-threaded.wasm", "ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs"),
    "webgpu": (
        "ort-wasm-simd-threaded.asyncify.wasm",
        "ort.webgpu.min.mjs",
        "ort-wasm-simd-threaded.asyncify.mjs",
    ),
}
FIRST = ("start.js", "tabs/explain.js")  # modules that the first answer needs, with all that they import
IMPORT = re.compile(r"""^(?:import|export)\b[^;'"]*["'](\.[^'"]+)["']""", re.MULTILINE)
AT_ROOT = ("index.html", "sw.js")  # of `site/`, beside README.md
NOT_COPIED = ("loader.js", "frame.css", "tabs/gallery.js", "tabs/gallery.css", "tabs/tile.js")


def write(
    explainer: Explainer,
    name: str,
    listed: list[dict],
    pictures: dict[str, bytes],
    runtime: dict[str, bytes],
    out: Path,
) -> dict[str, int]:
    """Write the page into a folder that is new, empty or an earlier export.

    Args:
        name: of the checkpoint, "" for the bundled one.
        listed, pictures: of `pictures.examples`.
        runtime: of `runtime.runtime`.

    Returns:
        Bytes: "plain" of all but the examples and WebGPU's runtime, "sent" of them as they are fetched; "webgpu" of
        that runtime, as it is fetched where there is an adapter; "examples".

    Raises:
        ValueError: the folder holds something else.
    """
    _check_out(out)
    files = page_files()
    with tempfile.TemporaryDirectory() as aside:
        export(explainer.model, Path(aside))
        graphs = {name: (Path(aside) / name).read_bytes() for name in (SEE, PERCEIVE)}
    large = {"see": graphs[SEE], "perceive": graphs[PERCEIVE]}
    large |= {key: runtime[binary] for key, (binary, *_) in RUNTIMES.items()}
    packed = {key: gzip.compress(content, 9, mtime=0) for key, content in large.items()}
    files |= {f"network/{key}.gz": content for key, content in packed.items()}
    for key, (_, interface, loader) in RUNTIMES.items():
        files |= {f"runtime/{key}.js": runtime[interface], f"runtime/{key}-loader.js": runtime[loader]}
    facts = facts_of(explainer, name) | {
        "files": {key: {"path": f"network/{key}.gz", "bytes": len(content)} for key, content in packed.items()},
        "examples": listed,
        "opening": opening(listed, pictures, explainer),
    }
    files["facts.json"] = json.dumps(facts, ensure_ascii=False).encode()
    apart = {name for name in files if name.startswith(("runtime/webgpu", "network/webgpu"))}
    usual = {name: content for name, content in files.items() if name not in apart}
    unpacked = sum(len(content) - len(packed[key]) for key, content in large.items() if key != "webgpu")
    sizes = {
        "plain": sum(map(len, usual.values())) + unpacked,
        "sent": sum(map(len, usual.values())),
        "webgpu": sum(len(files[name]) for name in apart),
        "examples": sum(map(len, pictures.values())),
    }
    files |= {f"examples/{file}": content for file, content in pictures.items()}
    files["files.json"] = json.dumps(sorted(files.keys() - apart)).encode()  # what is kept for the next visit
    version = hashlib.sha256(b"".join(key.encode() + files[key] for key in sorted(files))).hexdigest()[:12]
    with whole_folder(out) as folder:
        for file, content in files.items():
            place = folder / version / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        (folder / "index.html").write_text(index(version), encoding="utf-8")
        for file in ("sw.js", "README.md"):
            shutil.copyfile(SITE / file, folder / file)
    return sizes


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"{shown(out)} is a file; expected a folder to write")
    if out.is_dir() and any(out.iterdir()) and not (out / "sw.js").is_file():
        raise ValueError(f"{shown(out)} holds other things; expected a new folder, or an earlier export")


def page_files() -> dict[str, bytes]:
    """The page's scripts, styles and words: the Space's, and over them those of `site/`."""
    files = {}
    for folder in (SPACE, SITE):
        for file in sorted(folder.rglob("*")):
            if file.suffix in (".js", ".css"):
                files[file.relative_to(folder).as_posix()] = file.read_bytes()
    for left_out in (*NOT_COPIED, *AT_ROOT):
        files.pop(left_out, None)
    for language in LANGUAGES:
        words = CATALOGUES[language] | json.loads((SITE / "locale" / f"{language}.json").read_text(encoding="utf-8"))
        files[f"locale/{language}.json"] = json.dumps(words, ensure_ascii=False).encode()
    files["colours.json"] = json.dumps(colour_tables()).encode()
    return files


def index(version: str) -> str:
    """The page's HTML: the Space's frame with the tabs that need no server."""
    frame = (SPACE / "page.html").read_text(encoding="utf-8").replace('"LANGUAGES"', f'"{" ".join(LANGUAGES)}"')
    lines = [line for line in frame.splitlines() if not any(f'data-tab="{tab}"' in line for tab in LEFT_OUT)]
    sections = "".join(_html(f"tabs/{tab}.html") for tab in TABS)
    frame = "\n".join(lines).replace("<main data-tabs>", f"{_html('loading.html')}<main data-tabs>{sections}")
    styles = "".join(f'<link rel="modulepreload" href="{version}/{name}">\n' for name in first_modules(page_files()))
    styles += "\n".join(f'<link rel="stylesheet" href="{version}/{name}">' for name in STYLES)
    page = (SITE / "index.html").read_text(encoding="utf-8").replace("VERSION", version)
    return page.replace("STYLES", styles).replace("FRAME", frame)


def first_modules(files: dict[str, bytes]) -> list[str]:
    """FIRST and what they import: named in the page, they are fetched together and not one after the other."""
    found: list[str] = []
    coming = [*FIRST]
    while coming:
        name = coming.pop(0)
        if name in found:
            continue
        found.append(name)
        for other in IMPORT.findall(files[name].decode()):
            coming.append(posixpath.normpath(posixpath.join(posixpath.dirname(name), other)))
    return found


def _html(name: str) -> str:
    own = SITE / name
    return (own if own.is_file() else SPACE / name).read_text(encoding="utf-8")
