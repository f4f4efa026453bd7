"""Every word the page says: a catalogue a language, LANGUAGE.json, of keys and words with {fields}.

The browser loads the visitor's and fills the page's frame with it (words.js); what the server says is in the language
that the page asks in, or that of the request (`say`). The errors of the library are in English already
(`abn.errors.ENGLISH`), and not in en.json again. A new language is a file of its own here.
"""

import json
import re
from pathlib import Path

import gradio as gr

from ...errors import ENGLISH

FOLDER = Path(__file__).parent
CATALOGUES: dict[str, dict[str, str]] = {
    file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))
}
LANGUAGES = tuple(CATALOGUES)
DEFAULT = "en"
CATALOGUES[DEFAULT].update(ENGLISH)


def say(key: str, to: str | gr.Request | None, /, **values) -> str:
    """Plain words in a language, or in the language of the visitor whose request it is."""
    language = to if isinstance(to, str) else language_of(to)
    return CATALOGUES[language][key].format(**values)


def say_or(key: str, words: str, to: str | gr.Request | None) -> str:
    """`say`, or `words` where no catalogue has the key."""
    return say(key, to) if key in CATALOGUES[DEFAULT] else words


def language_of(request: gr.Request | None) -> str:
    """The first choice of the request's Accept-Language where there is a catalogue of it, else English."""
    wanted = (request.headers.get("accept-language") or "") if request is not None and request.headers else ""
    first = re.split(r"[-_,;]", wanted.strip().lower())[0].strip()
    return first if first in LANGUAGES else DEFAULT
