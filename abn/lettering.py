"""Names in plots: drawn as they stand, in fonts that have their characters; a notice names those that no font has.

Matplotlib's own font has no Japanese, Chinese or Korean; it takes several families and looks each character up in turn.
"""

import contextlib
import re
import sys
import unicodedata
import warnings
from collections.abc import Iterable
from functools import lru_cache

from .names import nfc, short

PREFERRED = ("Noto Sans CJK JP", "Noto Sans JP", "IPAexGothic", "IPAGothic", "Source Han Sans", "Hiragino Sans",
             "Yu Gothic", "Meiryo", "TakaoPGothic", "VL PGothic", "WenQuanYi Zen Hei", "Noto Sans")  # fmt: skip
BLANK = re.compile("(?i)last ?resort|blank|notdef")  # fonts that have every character, as an empty box
MOST_FONTS = 8  # beside Matplotlib's own
NAMED = 12  # characters, in the notice
UNDRAWN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # Unicode's categories of what leaves no ink


def for_plot(name: str) -> str:
    """A name as it stands in a plot: composed, in one line, of at most 40 characters."""
    return short(nfc(name))


def style(names: Iterable[str]) -> dict:
    """Arguments for Matplotlib's text (and tick labels) by which these names are drawn literally, in fonts that have
    their characters. Characters that no font has are named on the terminal, once for each set of them."""
    from matplotlib import rcParams

    wanted = {character for name in names for character in for_plot(name)}
    families, missing = _fonts(frozenset(c for c in wanted if unicodedata.category(c) not in UNDRAWN))
    if missing:
        _notice(missing)
    return {"parse_math": False, "fontfamily": [*rcParams["font.family"], *families]}


@lru_cache(maxsize=8)
def _fonts(characters: frozenset[str]) -> tuple[tuple[str, ...], str]:
    """(families to add to Matplotlib's own, the characters that are in none), the one that has most of them first."""
    from matplotlib import font_manager

    missing = characters - _characters(font_manager.findfont(font_manager.FontProperties()), 0, characters)
    families: list[str] = []
    if missing:
        _take_new_fonts()
    while missing and len(families) < MOST_FONTS:
        best = max(
            (
                (len(_characters(entry.fname, getattr(entry, "index", 0), missing)), -_rank(entry.name), entry.name)
                for entry in font_manager.fontManager.ttflist
                if entry.style == "normal" and entry.name not in families and not BLANK.search(entry.name)
            ),
            default=(0, 0, ""),
        )
        if not best[0]:
            break
        families.append(best[2])
        file = font_manager.findfont(font_manager.FontProperties(family=[best[2]]))
        missing -= _characters(str(file), getattr(file, "face_index", 0), missing)
    return tuple(families), "".join(sorted(missing))


def _take_new_fonts() -> None:
    """Fonts that were installed after Matplotlib made its list of them."""
    from matplotlib import font_manager

    known = {str(entry.fname) for entry in font_manager.fontManager.ttflist}
    for file in font_manager.findSystemFonts():
        if file not in known:
            with contextlib.suppress(Exception):  # FreeType's errors are of many kinds
                font_manager.fontManager.addfont(file)


def _rank(family: str) -> int:
    return PREFERRED.index(family) if family in PREFERRED else len(PREFERRED)


def _characters(file: str, face: int, wanted: Iterable[str]) -> frozenset[str]:
    """Those of the wanted characters that a font draws. None of one that Matplotlib cannot open, or of pictures alone
    (colour emoji)."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(file, face_index=face) if face else FT2Font(file)
        if not font.scalable:
            return frozenset()
        has = font.get_charmap()
    except Exception:  # FreeType's errors are of many kinds, and a broken font is no reason to stop
        return frozenset()
    return frozenset(character for character in wanted if ord(character) in has)


@lru_cache(maxsize=64)
def _notice(missing: str) -> None:
    named = ", ".join(f"{character} (U+{ord(character):04X})" for character in missing[:NAMED])
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    print(
        f"no font here can draw {named}{more}: boxes stand for them in the plots; a font such as Noto Sans CJK "
        "(Debian: fonts-noto-cjk) brings them",
        file=sys.stderr,
        flush=True,
    )
    warnings.filterwarnings("ignore", message="Glyph .* missing from")  # Matplotlib's word for the same, one each
