"""The page's own routes: its scripts, styles and words, the example pictures, and what has changed meanwhile.

They lie under Gradio's prefix, which every proxy before it passes on, and under a name made of their content, so that
a browser keeps them until they change.
"""

import gzip
import hashlib
import io
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ...colours import colour_tables
from ...model.pictures import fitted, load_rgb, resized
from ..locale import CATALOGUES
from .examples import Gallery
from .shares import Shares

HERE = Path(__file__).parents[1]
PREFIX = "/gradio_api/abn"
TYPES = {".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
SMALL = 144  # pixels, the longest side of an example's small picture


def _read() -> dict[str, bytes]:
    files = {
        file.relative_to(HERE).as_posix(): file.read_bytes()
        for file in sorted(HERE.rglob("*"))
        if file.suffix in TYPES and file.is_file()
    }
    words = {f"locale/{language}.json": held for language, held in CATALOGUES.items()}  # the library's English as well
    made = {**words, "colours.json": colour_tables()}
    return files | {name: json.dumps(value, ensure_ascii=False).encode() for name, value in made.items()}


FILES = _read()
VERSION = hashlib.sha256(b"".join(name.encode() + content for name, content in FILES.items())).hexdigest()[:12]
BASE = f"{PREFIX.removeprefix('/')}/{VERSION}"  # relative to the page, which may lie below a proxy's path


@lru_cache
def _packed(name: str) -> bytes:
    return gzip.compress(FILES[name], 9, mtime=0)


def _file(request: Request) -> Response:
    """A script, a style or a catalogue."""
    name = request.path_params["name"]
    if name not in FILES:
        return Response("no such file", 404, media_type="text/plain")
    kept = FOR_EVER if request.path_params["version"] == VERSION else {"Cache-Control": "no-cache"}
    headers = {**kept, "Vary": "Accept-Encoding"}
    content = FILES[name]
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers = _packed(name), {**headers, "Content-Encoding": "gzip"}
    return Response(content, media_type=TYPES[Path(name).suffix], headers=headers)


@lru_cache(512)
def _small(path: str) -> bytes:
    """An example as a small JPEG."""
    picture = load_rgb(path, lambda size: fitted(size, SMALL))
    out = io.BytesIO()
    resized(picture, fitted((picture.width, picture.height), SMALL), Image.Resampling.LANCZOS).save(
        out, "JPEG", quality=80
    )
    return out.getvalue()


def page_routes(gallery: Gallery, shares: Shares, state: Callable[[str], dict]) -> list[Route]:
    """Args: state: a language -> what the page says of the server, see `page.state_of`."""

    def example(request: Request) -> Response:
        found = gallery.by_id(request.path_params["name"])
        if found is None:
            return Response("no such example", 404, media_type="text/plain")
        headers = {"Cache-Control": "public, max-age=86400"}
        if "small" in request.query_params:
            return Response(_small(found.path), media_type="image/jpeg", headers=headers)
        return FileResponse(found.path, headers=headers)

    def shared(request: Request) -> Response:
        found = shares.find(request.path_params["name"])
        if found is None:
            return Response("no such picture, or no longer", 404, media_type="text/plain")
        return FileResponse(found, headers={"Cache-Control": "private, max-age=3600"})

    def now(request: Request) -> Response:
        return JSONResponse(state(request.query_params.get("language", "")), headers={"Cache-Control": "no-store"})

    return [
        Route(f"{PREFIX}/state", now),
        Route(f"{PREFIX}/example/{{name}}", example),
        Route(f"{PREFIX}/share/{{name}}", shared),
        Route(f"{PREFIX}/{{version}}/{{name:path}}", _file),
    ]
