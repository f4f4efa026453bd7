"""Who asks: an address, behind the proxy's header on Spaces, an IPv6 network of 64 bits.

Only a Space's proxy is believed: elsewhere anybody could write the header. A proxy appends the address that it sees, so
that what a visitor wrote himself stands further left, and is not looked at.
"""

import contextvars
import ipaddress
import os

from gradio.context import LocalContext

NOBODY = "nobody"  # no request, such as a call from Python
ASKING: contextvars.ContextVar[str] = contextvars.ContextVar("asking", default=NOBODY)  # while the gate lets one in


def visitor_of(client: str | None, forwarded: str | None = None) -> str:
    """A visitor's name: what his budgets are kept under.

    Args:
        client: the address of the connection.
        forwarded: X-Forwarded-For's value.
    """
    if forwarded and os.environ.get("SPACE_ID"):
        found = [address for part in forwarded.split(",") if (address := _address(part))]
        outside = [address for address in found if address.is_global]
        if outside or found:
            return _named((outside or found)[-1])
    address = _address(client or "")
    return (client or NOBODY) if address is None else _named(address)


def of_scope(scope: dict) -> str:
    """Of an ASGI request, once for each."""
    if "abn.visitor" not in scope:
        client = (scope.get("client") or (None,))[0]
        forwarded = ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
        scope["abn.visitor"] = visitor_of(client, forwarded)
    return scope["abn.visitor"]


def current() -> str:
    """Whose request this handler answers."""
    request = LocalContext.request.get(None)
    request = getattr(request, "request", None) or request  # Gradio's wraps Starlette's
    scope = getattr(request, "scope", None)
    return NOBODY if scope is None else of_scope(scope)


def _address(text: str):
    try:
        address = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _named(address) -> str:
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
