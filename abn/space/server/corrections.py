"""Corrections that the page keeps, written to a folder of the machine that serves it: only where it is told one."""

import io
from collections.abc import Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ...corrections import read, remove, write
from ..faults import Fault, in_words
from ..locale import LANGUAGES, language_of
from . import visitors
from .budgets import spending
from .page_files import PREFIX

KIND = "application/zip"  # which no page of another origin may send without asking first


def correction_routes(folder: Path) -> list[Route]:
    """POST a zip of one correction, as docs/corrections.md says: {"name": …}; DELETE it by that name. `language` is the
    query's. What is wrong is {"error": words}, with 400."""

    def kept(content: bytes) -> dict:
        try:
            found = read(io.BytesIO(content))
            if len(found) != 1:
                raise Fault("correction_one", count=len(found))
            return {"name": write(found, folder)[0]}
        except OSError as error:
            print(f"a correction could not be written: {error.strerror}", flush=True)
            raise Fault("correction_disk") from None

    def removed(name: str) -> dict:
        try:
            return {"removed": remove(name, folder)}
        except OSError as error:
            print(f"a correction could not be removed: {error.strerror}", flush=True)
            raise Fault("correction_disk") from None

    async def answered(request: Request, work: Callable[..., dict], *given) -> JSONResponse:
        language = request.query_params.get("language", "")
        language = language if language in LANGUAGES else language_of(request)

        def working() -> dict:
            with spending(visitors.of_scope(request.scope)):
                return work(*given)

        try:
            return JSONResponse(await run_in_threadpool(working))
        except ValueError as error:
            return JSONResponse({"error": in_words(error, language)}, 400)

    async def keep(request: Request) -> JSONResponse:
        if request.headers.get("content-type") != KIND:
            return JSONResponse({"error": f"expected {KIND}"}, 415)
        return await answered(request, kept, await request.body())

    async def leave(request: Request) -> JSONResponse:
        return await answered(request, removed, request.path_params["name"])

    return [
        Route(f"{PREFIX}/correction", keep, methods=["POST"]),
        Route(f"{PREFIX}/correction/{{name}}", leave, methods=["DELETE"]),
    ]
