"""Every word the page says: a catalogue a language, LANGUAGE.json, of keys and words with {fields}.

What is fixed stands on the page in every language, and the browser's own language decides which is seen: script.js sets
the document's language before anything is painted, style.css hides the others (`both`). Labels of Gradio's components
go through its i18n (`label`). Everything else is one language, the visitor's, from the request (`say`).

A new language is a file of its own here, and a line in style.css.
"""

import html
import json
import re
from collections.abc import Iterable
from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).parent
CATALOGUES: dict[str, dict[str, str]] = {
    file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))
}
LANGUAGES = tuple(CATALOGUES)
DEFAULT = "en"

PREFIX = "abn_"  # Gradio's front end translates any value that reads like a key, a choice's name included
I18N = gr.I18n(
    **{language: {PREFIX + key: words for key, words in held.items()} for language, held in CATALOGUES.items()}
)


def label(key: str):
    """For a label of a Gradio component."""
    return I18N(PREFIX + key)


def both(key: str, /, **values: str | dict[str, str]) -> str:
    """HTML that reads in the browser's language. `values` fill the words' {fields}, one for all languages or one for
    each; they are escaped."""
    parts = []
    for language in LANGUAGES:
        spoken = {k: v[language] if isinstance(v, dict) else v for k, v in values.items()}
        words = say(key, language, **{k: html.escape(str(v)) for k, v in spoken.items()})
        parts.append(f'<span class="abn-{language}" lang="{language}">{words}</span>')
    return "".join(parts)


def say(key: str, to: str | gr.Request | None, /, **values) -> str:
    """Plain words in a language, or in the language of the visitor whose request it is."""
    language = to if isinstance(to, str) else language_of(to)
    return CATALOGUES[language][key].format(**values)


def say_or(key: str, words: str, to: str | gr.Request | None) -> str:
    """`say`, or `words` where no catalogue has the key."""
    return say(key, to) if key in CATALOGUES[DEFAULT] else words


def worded(prefix: str, names: Iterable[str], language: str) -> list[tuple[str, str]]:
    """Choices of a Gradio component: each name behind its words, PREFIX_NAME."""
    return [(say(f"{prefix}_{name}", language), name) for name in names]


def with_names(key: str, value: str, names: Iterable[str], language: str) -> list[tuple[str, str]]:
    """Choices: `value` behind its words, then names that stand for themselves, such as classes."""
    return [(say(key, language), value), *((name, name) for name in names)]


def language_of(request: gr.Request | None) -> str:
    """The first choice of the request's Accept-Language where there is a catalogue of it, else English."""
    wanted = (request.headers.get("accept-language") or "") if request is not None and request.headers else ""
    first = re.split(r"[-_,;]", wanted.strip().lower())[0].strip()
    return first if first in LANGUAGES else DEFAULT
