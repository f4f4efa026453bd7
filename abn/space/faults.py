"""What went wrong, in the visitor's language: by each error's key, in the catalogues."""

import contextlib

import gradio as gr

from ..model.errors import KeyedError, PictureError
from .locale import CATALOGUES, DEFAULT, language_of, say
from .server.lending import Left


class Fault(KeyedError, ValueError):
    """An error of the page's own."""

    english = CATALOGUES[DEFAULT]


def in_words(error: Exception, language: str) -> str:
    """An error in a language, without a full stop; one that has no key stays in its own words."""
    words = error.said(CATALOGUES[language]) if isinstance(error, KeyedError) else str(error)
    return words.strip().rstrip(".")


@contextlib.contextmanager
def saying_why(request: gr.Request | None = None):
    """What is wrong with a picture, or with what is asked about it, in words for the page.

    Raises:
        gr.Error: in place of ValueError, TypeError and FileNotFoundError; the page keeps what it shows.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        hint = say("allowed", request) if isinstance(error, PictureError) else ""
        stop = "。" if language_of(request) == "ja" else ". " if hint else ""
        words = f"{in_words(error, language_of(request))}{stop}{hint}"
        raise gr.Error(words, title=say("cannot_explain", request), print_exception=False) from None
    except Left:  # nobody reads it
        raise gr.Error(say("left", request), print_exception=False) from None
    except FileNotFoundError:
        raise gr.Error(say("picture_gone", request), print_exception=False) from None
