"""The page that needs no server, on Spaces: as a static Space of its own, and as a folder beside the page of a server.

Both are what `abn.browser` writes; nothing of it lies in this repository.
"""

import html
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCard

from .own_space import LICENCE, SHORT, Own
from .settings import IN_BROWSER, OWN

SDK = "static"


@dataclass(frozen=True)
class Static:
    """What a static Space is made of: the bundled network and its drawings unless said otherwise.

    runtime: the folder of onnxruntime-web's npm package, where npm cannot fetch it. licence: of a network of one's own.
    """

    name: str
    checkpoint: str = "compact"
    examples: str | None = None
    runtime: str | None = None
    licence: str | None = None
    title: str = ""
    description: str = ""

    def __post_init__(self):
        """Raises: ValueError: the licence is no licence's name, or the description too long."""
        if self.licence is not None and not LICENCE.fullmatch(self.licence):
            raise ValueError(f"--licence takes the Hub's name, such as cc-by-4.0, mit or other; got {self.licence!r}")
        if len(self.description) > SHORT:
            raise ValueError(f"--description takes {SHORT} letters at most; got {len(self.description)}")

    def write(self, into: Path) -> None:
        """Write the Space's files into an empty folder. Raises as `abn.browser.making.make`."""
        from ..browser.making import make

        own = self.checkpoint != "compact"
        make(self.checkpoint, self.examples, into, name=self.name if own else "", runtime=self.runtime)
        card = ModelCard.load(into / "README.md")
        if own or self.title:
            card.data.title = self.title or self.name.replace("-", " ").replace("_", " ").capitalize()
        if self.description:
            card.data.short_description = self.description
        if own:
            card.data.license = self.licence
        card.save(into / "README.md")
        if self.title:
            name_page(into / "index.html", self.title)


def name_page(file: Path, title: str) -> None:
    """Give the page an owner's heading, in place of the catalogues'."""
    plain = html.escape(title)
    page = file.read_text(encoding="utf-8").replace('data-word="title"></span>', f">{plain}</span>")
    file.write_text(re.sub("<title>.*?</title>", lambda _: f"<title>{plain}</title>", page), encoding="utf-8")


def write_beside(into: Path, own: Own | None, runtime: str | None) -> bool:
    """Write the folder that lets a server's page compute on its visitors' devices; gives whether it is there. A network
    that does not run in browsers, and a runtime that cannot be had, are said, and the rest goes without.

    Args:
        into: the Space's files.
        own: what it is made of, the bundled network if None.
    """
    from ..browser.making import make

    checkpoint, examples, name = (own.checkpoint, into / OWN / "examples", own.name) if own else ("compact", None, "")
    try:
        make(str(checkpoint), examples, into / IN_BROWSER, name=name, runtime=runtime)
    except (ValueError, OSError) as error:
        print(f"without the page in the browser: {' '.join(str(error).split())}", file=sys.stderr)
        return False
    (into / IN_BROWSER / "README.md").unlink()
    return True
