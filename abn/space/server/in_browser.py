"""The page that needs no server, where its folder lies beside this one: served as it is, and with it Live explains
frames on the visitor's own device.

`python -m abn.browser` writes the folder, and `deploy` takes it along; see docs/browser.md.
"""

import json
import os
import re
from pathlib import Path

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ...names import shown
from ..settings import IN_BROWSER
from .page_files import FOR_EVER, PREFIX

# A page that has these is lent threads by browsers. On Spaces the card asks for them (`custom_headers`).
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
OWN = {} if os.environ.get("SPACE_ID") else ISOLATED
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
TYPES |= {".gz": "application/octet-stream", ".jpg": "image/jpeg", ".md": "text/plain"}
VERSION = re.compile("[0-9a-f]{12}")


class InBrowser:
    """files: name -> path. version: of the folder below which all but the page itself lies. labels: of its network."""

    def __init__(self, folder: Path):
        """Raises: ValueError: it is not what `python -m abn.browser` writes."""
        self.files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
        versions = [name.split("/")[0] for name in self.files if name.endswith("/facts.json")]
        if len(versions) != 1 or not VERSION.fullmatch(versions[0]) or "index.html" not in self.files:
            raise ValueError(f"{shown(folder)} is not what python -m abn.browser writes: make it anew, or remove it")
        self.version = versions[0]
        facts = json.loads(self.files[f"{self.version}/facts.json"].read_text(encoding="utf-8"))
        self.labels = list(facts["labels"])

    @property
    def base(self) -> str:
        """Of its modules, as the page asks for them below PREFIX."""
        return f"{IN_BROWSER}/{self.version}"

    def route(self) -> Route:
        def file(request: Request) -> Response:
            name = request.path_params["name"] or "index.html"
            if name not in self.files:
                return Response("no such file", 404, media_type="text/plain")
            kept = FOR_EVER if name.startswith(f"{self.version}/") else {"Cache-Control": "no-cache"}
            path = self.files[name]
            return FileResponse(path, media_type=TYPES.get(path.suffix), headers=kept | OWN)

        return Route(f"{PREFIX}/{IN_BROWSER}/{{name:path}}", file)


def in_browser_of(folder: Path) -> InBrowser | None:
    """None where there is no such folder, or it is something else, which is said: the server answers then."""
    if not folder.is_dir():
        return None
    try:
        return InBrowser(folder)
    except (ValueError, OSError) as error:
        print(f"Live runs on the server: {error}", flush=True)
        return None


class Isolated:
    """ASGI middleware: the page may have threads."""

    def __init__(self, app):
        self.app = app
        self.headers = [(name.lower().encode(), value.encode()) for name, value in OWN.items()]

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["path"].rstrip("/"):
            await self.app(scope, receive, send)
            return

        async def sending(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self.headers]}
            await send(message)

        await self.app(scope, receive, sending)


def isolation(found: InBrowser | None) -> list[Middleware]:
    return [Middleware(Isolated)] if found else []
