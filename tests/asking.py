"""The page's questions, asked without a server."""

from types import SimpleNamespace

from abn.space.context import Asked
from abn.space.server.serving import Served


def asked(served: Served, picture, language: str = "en", label: str = "tench", **values) -> Asked:
    """A question about the picture of a file, as the page asks it. label: the class of that example."""
    gallery = SimpleNamespace(by_id=lambda name: SimpleNamespace(path=str(picture), label=label))
    context = SimpleNamespace(models=SimpleNamespace(of=lambda name: served), gallery=gallery)
    return Asked({"picture": {"example": "one"}, **values}, language, context)
