"""Text in figures: which characters are safe, how wide a text is, how to fit it into a width.

Widths are measured with the bundled fonts before anything is drawn, so that a place for every label can be worked out.
"""

from __future__ import annotations

import functools
import re
import unicodedata
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evaltoolkit.plots.palette import LINE_HEIGHT, POINTS

if TYPE_CHECKING:
    from matplotlib.font_manager import FontProperties
    from matplotlib.ft2font import FT2Font

Weight = Literal["regular", "semibold"]

FONTS = Path(__file__).parents[1] / "report" / "fonts"
FAMILY = "Source Sans 3"
_FILES: dict[Weight, str] = {"regular": "SourceSans3-Regular.ttf", "semibold": "SourceSans3-Semibold.ttf"}
_NUMBERS: dict[Weight, int] = {"regular": 400, "semibold": 600}
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_MARKS_OF_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    r"""Return text that every output format can hold: no control characters, no half pairs.

    >>> clean("a\x00b\x1b[31m\ud800 c")
    'ab[31m c'
    """
    return unicodedata.normalize("NFC", _UNSAFE.sub("", text))


def cleaned(value: Any) -> Any:
    """Return plain data with every text in it cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(inner) for inner in value]
    return value


def one_line(text: str) -> str:
    """Return the text on one line, without marks that turn the writing direction of what follows."""
    return " ".join(_MARKS_OF_DIRECTION.sub("", clean(text)).split())


@functools.cache
def _face(weight: Weight) -> FT2Font:
    from matplotlib.font_manager import get_font

    return get_font(str(FONTS / _FILES[weight]))


@functools.cache
def _properties(weight: Weight) -> FontProperties:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=[FAMILY, "sans-serif"], weight=_NUMBERS[weight], fname=str(FONTS / _FILES[weight]))


def properties(size: float, weight: Weight) -> FontProperties:
    """Return the font of a weight and size (points)."""
    found = _properties(weight).copy()
    found.set_size(size)
    return found


@functools.lru_cache(maxsize=20_000)
def width_of(text: str, size: float, weight: Weight = "regular") -> float:
    """Return the width of a one-line text in inches; ``size`` is in points."""
    from matplotlib.ft2font import LoadFlags

    face = _face(weight)
    face.set_size(size, POINTS)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*Glyph.*missing from")
        face.set_text(text, 0.0, flags=LoadFlags.NO_HINTING)
    return float(face.get_width_height()[0]) / 64 / POINTS


def advance_of(text: str, size: float, weight: Weight = "regular") -> float:
    """Return the sum of the widths of the letters in inches: much quicker than ``width_of``, without kerning.

    >>> round(advance_of("0000", 10.0) / width_of("0000", 10.0), 1)
    1.0
    """
    return sum(_advance(ch, weight) for ch in text) * size / POINTS


@functools.cache
def _advance(ch: str, weight: Weight) -> float:
    """Return the width of a letter in units of the type size: 1 where another font has to help out."""
    from matplotlib.ft2font import LoadFlags

    face = _face(weight)
    if not face.get_char_index(ord(ch)):
        return 1.0
    face.set_size(64.0, POINTS)
    return float(face.load_char(ord(ch), flags=LoadFlags.NO_HINTING).linearHoriAdvance) / 65536 / 64


def height_of(lines: int, size: float) -> float:
    """Return the height of a block of lines in inches."""
    return lines * size * LINE_HEIGHT / POINTS


def wrap(text: str, width: float, size: float, *, weight: Weight = "regular", lines: int = 2) -> list[str]:
    """Break a text into at most ``lines`` lines of a width in inches; what does not fit ends in an ellipsis."""
    rest = one_line(text)
    out: list[str] = []
    while rest and len(out) < lines:
        if width_of(rest[:400], size, weight) <= width and len(rest) <= 400:
            out.append(rest)
            return out
        n = _longest(rest, width, size, weight)
        cut = rest.rfind(" ", 0, n + 1)
        n = cut if cut > 0 else n
        out.append(rest[:n].rstrip())
        rest = rest[n:].lstrip()
    if rest and out:
        out[-1] = _shortened(out[-1], width, size, weight)
    return out


def _longest(text: str, width: float, size: float, weight: Weight) -> int:
    low, high = 1, min(len(text), 400)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width_of(text[:middle], size, weight) <= width else (low, middle - 1)
    return low


def _shortened(line: str, width: float, size: float, weight: Weight) -> str:
    while len(line) > 1 and width_of(line + "…", size, weight) > width:
        line = line[:-1].rstrip()
    return line + "…"
