"""Fetching a checkpoint from the Hub within deadlines of our own, and no larger than allowed.

huggingface_hub retries for half a minute on errors and for minutes on a hang. A Space must know within seconds.
"""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from huggingface_hub import constants, get_token, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError
from tqdm import tqdm

from . import stopping
from .errors import ENGLISH, KeyedError
from .families import FAMILIES

KINDS = {family.model_type for family in FAMILIES}
REQUIRED = ("config.json", "model.safetensors")
OPTIONAL = ("preprocessor_config.json", "calibration.json", "metrics.json")
DEADLINE = 10.0  # seconds to the first answer
IDLE = 10.0  # seconds a download may stand still
DESCRIPTION = 10_000_000  # bytes that any file beside the weights may have, where there is a limit
MEANINGS = {401: "hub_private", 403: "hub_denied", 404: "hub_missing"}  # of the Hub's answers
UNKNOWN_TOKEN = "Invalid credentials in Authorization header"  # the Hub's X-Error-Message beside 401
CHUNK = 1 << 16  # bytes between two signs of life; huggingface_hub's 10 MB would look idle on a slow line

Loaded = TypeVar("Loaded")


class HubError(KeyedError, OSError):
    """The checkpoint could not be fetched, or is not allowed; the message says why, for a person."""

    english = ENGLISH


class _Abandoned(OSError):
    """Nobody waits for the download any more."""


class _Watch:
    """When the fetch last moved, how far it is, and whether nobody waits for it any more."""

    def __init__(self, report: Callable[[float], None] | None):
        self.report = report
        self.moved = time.monotonic()
        self.answered = False
        self.abandoned = False
        self.share = 0.0

    def beat(self, share: float | None = None) -> None:
        """Something came. A share no larger than before is no progress: huggingface_hub resumes a download without
        end from a server that cuts it off again and again."""
        if self.abandoned:
            raise _Abandoned
        self.answered = True
        if share is None or share > self.share:
            self.moved = time.monotonic()
        if share is not None and share > self.share:
            self.share = share
            if self.report is not None:
                self.report(share)


def fetch(
    repo_id: str,
    *,
    revision: str | None = None,
    cache_dir: Path | None = None,
    limit: int | None = None,
    token: bool | None = None,
    deadline: float = DEADLINE,
    idle: float = IDLE,
    report: Callable[[float], None] | None = None,
) -> Path:
    """Download a checkpoint's config, weights, processor and calibration into the Hub's cache; no code.

    With HF_HUB_OFFLINE=1 the cache alone is asked. A token that the Hub does not know, such as an expired HF_TOKEN, is
    left out where the repository is public.

    Args:
        cache_dir: in place of the Hub's cache.
        limit: bytes that the weights may have at most: asked before they are downloaded, and held to while they are.
            The other files may then have DESCRIPTION.
        token: False: without the token of whoever runs this, so that private repositories stay private.
        deadline: seconds within which the Hub must answer at all.
        idle: seconds for which a download may stand still.
        report: called with the share of the weights that has arrived, 0 to 1.

    Returns:
        The folder with the files.

    Raises:
        HubError: no answer, an error, a stalled download, a missing file, a config of another kind of network, or
            weights above the limit; the message says which.
    """
    watch = _Watch(report)
    outcome: dict = {}

    def work() -> None:
        try:
            outcome["folder"] = _download(repo_id, revision, cache_dir, limit, token, watch, deadline)
        except BaseException as error:
            outcome["error"] = error

    threading.Thread(target=work, name=f"fetch {repo_id}", daemon=True).start()
    while not outcome:
        time.sleep(0.05)
        try:
            stopping.check()
        except stopping.Stopped:
            watch.abandoned = True
            raise
        still = time.monotonic() - watch.moved
        if not watch.answered and still > deadline:
            watch.abandoned = True
            raise HubError("hub_no_answer", deadline=deadline)
        if watch.answered and still > idle:
            watch.abandoned = True
            raise HubError("hub_stalled", idle=idle, share=watch.share)
    if "error" in outcome:
        raise _as_hubs(outcome["error"]) from None
    return outcome["folder"]


def is_cached(repo_id: str) -> bool:
    """Whether the weights lie in the Hub's cache, in some version."""
    return isinstance(try_to_load_from_cache(repo_id, "model.safetensors"), str)


def _download(
    repo_id: str,
    revision: str | None,
    cache_dir: Path | None,
    limit: int | None,
    token: bool | str | None,
    watch: _Watch,
    deadline: float,
) -> Path:
    if not constants.HF_HUB_OFFLINE:
        token = _fit_token(hf_hub_url(repo_id, REQUIRED[0], revision=revision), deadline, token)
        watch.beat()
        for name in REQUIRED[1:]:
            size = _probe(hf_hub_url(repo_id, name, revision=revision), deadline, token)
            watch.beat()
        if limit is not None and size is not None and size > limit:
            raise HubError("hub_weights", size=size / 1e9, limit=limit / 1e9)

    class Progress(tqdm):
        """huggingface_hub's bar on the terminal, which also feeds the watch."""

        def __init__(self, *args, **kwargs):
            kwargs.pop("name", None)
            kwargs["disable"] = False  # a disabled bar does not count
            super().__init__(*args, **kwargs)

        def update(self, n=1):
            shown = super().update(n)
            if most is not None and self.n > most:
                raise HubError("hub_file", most=most / 1e9)
            watch.beat(min(1.0, self.n / self.total) if weights and self.total else None)
            return shown

    constants.DOWNLOAD_CHUNK_SIZE = CHUNK  # ty: ignore[invalid-assignment]  # annotated as its own value
    get = partial(hf_hub_download, repo_id, revision=revision, cache_dir=cache_dir, token=token)
    get = partial(get, tqdm_class=Progress, etag_timeout=deadline)
    for name in REQUIRED:
        weights = name.endswith(".safetensors")
        most = limit if weights or limit is None else DESCRIPTION
        file = get(name)
        watch.beat()
        if name == "config.json":
            _check_config(Path(file))
    weights, most = False, None if limit is None else DESCRIPTION
    for name in OPTIONAL:
        try:
            get(name)
        except (EntryNotFoundError, FileNotFoundError):
            continue
        watch.beat()
    return Path(file).parent


def _check_config(file: Path) -> None:
    """Before the weights are fetched: is this an ABN at all?"""
    try:
        found = json.loads(file.read_text())
    except ValueError:
        raise HubError("hub_config") from None
    kind = found.get("model_type") if isinstance(found, dict) else None
    if kind not in KINDS:
        raise HubError("hub_kind", kind=kind, known=", ".join(map(repr, sorted(KINDS))))


def with_fit_token(load: Callable[..., Loaded], source: str | Path, **where) -> Loaded:
    """load(source, **where); once more without a token where the Hub refuses the token, and not the repository.

    The Hub answers 401 to a token that has expired or that it never knew, for public repositories, too.
    """
    try:
        return load(source, **where)
    except (OSError, UnicodeEncodeError):
        if not _refuses_the_token_alone(source, where):
            raise
    return load(source, **{**where, "token": False})


def _refuses_the_token_alone(source: str | Path, where: dict) -> bool:
    token = where.get("token")
    if Path(source).exists() or where.get("local_files_only") or constants.HF_HUB_OFFLINE or _sent(token) is None:
        return False
    try:
        url = hf_hub_url(str(source), REQUIRED[0], revision=where.get("revision"))
        return _fit_token(url, DEADLINE, token) is False
    except (OSError, ValueError):
        return False


def _fit_token(url: str, timeout: float, token: bool | str | None) -> bool | str | None:
    """`token`, or False where a file can be had without it alone.

    Raises:
        HubError: the Hub knows neither the token nor the repository without one.
        HTTPError, OSError: as `_probe`'s.
    """
    try:
        _probe(url, timeout, token)
        return token
    except (urllib.error.HTTPError, UnicodeEncodeError) as error:
        unknown = isinstance(error, UnicodeEncodeError) or error.headers.get("X-Error-Message") == UNKNOWN_TOKEN
        if _sent(token) is None or not (unknown or error.code in (401, 403)):
            raise
        refused = error
    try:
        _probe(url, timeout, False)
        return False
    except urllib.error.HTTPError as error:
        if error.code == 401 and unknown:
            raise HubError("hub_token", code=error.code) from None
        raise error if unknown else refused from None


def _sent(token: bool | str | None) -> str | None:
    """The token that goes with a request."""
    return token if isinstance(token, str) else None if token is False else get_token()


def _probe(url: str, timeout: float, token: bool | str | None = None) -> int | None:
    """Ask once, without retries, so that the true answer is known at once. The file's bytes, where the Hub says so."""
    headers = {"User-Agent": "abn-space"}
    if found := _sent(token):
        headers["Authorization"] = f"Bearer {found}"
    request = urllib.request.Request(url, method="HEAD", headers=headers)
    try:
        with _STAY.open(request, timeout=timeout) as answer:
            size = answer.headers.get("X-Linked-Size") or answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        if not 300 <= error.code < 400:
            raise
        size = error.headers.get("X-Linked-Size")
    return int(size) if size and size.isdecimal() else None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer; following it would show the token to another host."""

    def redirect_request(self, *args, **kwargs):
        return None


_STAY = urllib.request.build_opener(_NoRedirect)


def _as_hubs(error: BaseException) -> HubError:
    if isinstance(error, HubError):
        return error
    if isinstance(error, urllib.error.HTTPError):
        return HubError(MEANINGS.get(error.code, "hub_error"), code=error.code)
    if isinstance(error, urllib.error.URLError):
        return HubError("hub_late" if isinstance(error.reason, TimeoutError) else "hub_unreachable")
    if isinstance(error, TimeoutError):
        return HubError("hub_late")
    if isinstance(error, FileNotFoundError):
        return HubError("hub_offline")
    words = str(error).strip().splitlines()
    return HubError("hub_download", reason=words[0][:160] if words else type(error).__name__)
