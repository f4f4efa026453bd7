"""Names of files and classes as people write them: one form to compare, and a harmless one for every place to write to.

A name may hold what its file system allows: any script, line breaks, bytes that are no UTF-8. Such bytes reach Python
as lone surrogates (PEP 383), which no file in UTF-8 can hold.
"""

import os
import re
import unicodedata
from pathlib import Path

SURROGATE = re.compile(r"[\ud800-\udfff]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
MARKDOWN = re.compile(r"([\\`*\[\]|#~$])")


def nfc(name: str) -> str:
    """The composed form of a name: macOS writes "が" as two characters, most others as one; both are one name."""
    return unicodedata.normalize("NFC", name)


def same(one: str, other: str) -> bool:
    """Whether two names differ in nothing but their normal form."""
    return one == other or nfc(one) == nfc(other)


def is_utf8(name: str) -> bool:
    return SURROGATE.search(name) is None


def shown(name: str | Path) -> str:
    """A name in one line that every file and terminal in UTF-8 takes: what is no UTF-8, and control characters, as
    "\\xe9", "\\n"."""
    text = SURROGATE.sub(_as_byte, str(name))
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def _as_byte(found: re.Match) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def short(name: str, most: int = 40) -> str:
    """A name in one line of at most `most` characters, for a plot."""
    line = " ".join(shown(re.sub(r"\s+", " ", name)).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def cell(value: object) -> object:
    """A value for a cell of a CSV file. Text that a spreadsheet would take for a formula gets a ' before it; numbers,
    negative ones and such in text, too, stay as they are."""
    if not isinstance(value, (str, os.PathLike)):
        return value
    text = SURROGATE.sub(_as_byte, str(value))
    if text.lstrip(" ").startswith(FORMULA) and not NUMBER.fullmatch(text):
        return "'" + text
    return text


def in_markdown(name: str) -> str:
    """A name as text within a line or a table's cell of Markdown."""
    line = short(name, 10_000).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = MARKDOWN.sub(r"\\\1", line)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line)  # within a word it is no emphasis


def as_code(text: str) -> str:
    """A text as code within a line of Markdown, whatever backticks it holds."""
    line = " ".join(shown(re.sub(r"\s+", " ", text)).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def file_name(name: str, ending: str = "", most: int = 255) -> str:
    """`name` + `ending`, cut where the file system (255 bytes a name) would refuse it; the cut name stays its own."""
    if len(os.fsencode(name + ending)) <= most:
        return name + ending
    import hashlib

    mark = f"-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}{ending}"
    kept = name
    while len(os.fsencode(kept + mark)) > most:
        kept = kept[:-1]
    return kept + mark
