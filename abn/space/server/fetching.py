"""A picture's bytes from a URL that a visitor names: of public hosts alone, and no more than is allowed.

The host's name is resolved once, every address that it has must be public, and the connection goes to one of those, so
that no later answer of a name server can lead elsewhere. A redirect is a URL like any other.
"""

import asyncio
import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urljoin, urlsplit

from ..faults import Fault
from . import limits, visitors
from .budgets import UPLOADS

CHUNK = 65536
PAUSE = 0.001  # seconds between two parts: 65 MB a second, and the time of others
PORTS = (80, 443, 8000, 8080, 8443)
WITHIN = {  # addresses that stand for IPv4 ones: NAT64, 6to4
    ipaddress.ip_network("64:ff9b::/96"): 0,
    ipaddress.ip_network("2002::/16"): 80,
}

_POOL = ThreadPoolExecutor(limits.URLS_AT_A_TIME, thread_name_prefix="url")
_waiting: Counter[str] = Counter()  # by visitor; of the event loop alone


async def fetch(url: str, visitor: str) -> bytes:
    """What a GET of an http(s) URL gives. Its bytes count as the visitor's uploads.

    Raises:
        Fault: it is not public, cannot be had, is too large or too slow; or too many are being fetched.
    """
    if _waiting[visitor] >= limits.URLS_A_VISITOR or _waiting.total() >= 4 * limits.URLS_AT_A_TIME:
        raise Fault("url_fault", reason=Fault("url_busy"))
    if UPLOADS.left(visitor) < 0:
        raise Fault("url_fault", reason=Fault("url_often"))
    _waiting[visitor] += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_POOL, fetched, url, visitor)
    finally:
        _waiting[visitor] -= 1
        if not _waiting[visitor]:
            del _waiting[visitor]


def fetched(url: str, visitor: str = visitors.NOBODY) -> bytes:
    """As `fetch`, in this thread."""
    end = time.monotonic() + limits.URL_SECONDS
    try:
        for _ in range(limits.URL_REDIRECTS + 1):
            content, further = _get(url, end, visitor)
            if further is None:
                return content
            url = urljoin(url, further)
        why = Fault("url_redirects")
    except Fault as fault:
        why = Fault(fault.key, **fault.values)
    except Exception:  # of the network, of the other host's making, or no URL at all
        slow = time.monotonic() >= end
        why = Fault("url_slow", seconds=f"{limits.URL_SECONDS:g}") if slow else Fault("url_unreachable")
    raise Fault("url_fault", reason=why)  # here: within, it would hold on to what was read


def is_public(address: str) -> bool:
    """Whether an address is one of the internet's, also where it stands within another."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if found.version == 6:
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        for network, place in WITHIN.items():
            if found in network:
                return is_public(str(ipaddress.IPv4Address(int(found) >> place & 0xFFFFFFFF)))
        if found.teredo is not None:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def addresses(host: str, port: int) -> list[str]:
    """A host's addresses. Raises: Fault: one of them is not public."""
    found = list(dict.fromkeys(entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    if not found or not all(is_public(address) for address in found):
        raise Fault("url_private")
    return found


def _get(url: str, end: float, visitor: str) -> tuple[bytes, str | None]:
    """(content, None), or (nothing, where it redirects to)."""
    parts = urlsplit(url)
    secure = parts.scheme.lower() == "https"
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise Fault("url_private")
    port = parts.port or (443 if secure else 80)
    if port not in PORTS and port < 1024:
        raise Fault("url_private")
    channel = socket.create_connection((addresses(parts.hostname, port)[0], port), _left(end))
    ender = threading.Timer(_left(end), _shut, (channel,))  # a socket's own timeout begins anew with every byte
    ender.daemon = True
    ender.start()
    try:
        if secure:
            channel = ssl.create_default_context().wrap_socket(channel, server_hostname=parts.hostname)
        connection = http.client.HTTPConnection(parts.hostname, port)
        connection.sock = channel
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        said = {"User-Agent": "abn-space", "Accept": "image/*", "Accept-Encoding": "identity", "Connection": "close"}
        connection.request("GET", path, headers=said)
        answer = connection.getresponse()
        if answer.status in (301, 302, 303, 307, 308) and answer.getheader("Location"):
            return b"", answer.getheader("Location")
        if answer.status != 200:
            raise Fault("url_status", status=answer.status)
        if (answer.getheader("Content-Encoding") or "identity").lower() != "identity":
            raise Fault("url_packed")
        return _read(answer, end, visitor), None
    finally:
        ender.cancel()
        channel.close()


def _read(answer: http.client.HTTPResponse, end: float, visitor: str) -> bytes:
    most, content = limits.UPLOAD_BYTES, bytearray()
    if (answer.length or 0) > most:
        raise Fault("url_large", most=f"{most / limits.MB:g}")
    try:
        while part := answer.read1(CHUNK):
            _left(end)
            content += part
            if len(content) > most:
                raise Fault("url_large", most=f"{most / limits.MB:g}")
            time.sleep(PAUSE)
    finally:
        UPLOADS.spend(visitor, len(content))
    if answer.length:  # cut off, by the host or by us
        _left(end)
        raise Fault("url_unreachable")
    return bytes(content)


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _shut(channel: socket.socket) -> None:
    with contextlib.suppress(OSError):
        channel.shutdown(socket.SHUT_RDWR)
