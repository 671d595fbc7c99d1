"""Characters that the bundled fonts do not have: other fonts of the machine first, then a square and a warning."""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from evaltoolkit.plots.lettering import FONTS

SQUARE: Final = "\N{WHITE SQUARE}"
_LONGEST_WORD: Final = 30
_BREAK: Final = "\N{ZERO WIDTH SPACE}"
_SPACES: Final = frozenset(" \n\t\N{NO-BREAK SPACE}")
_HASH: Final = re.compile("[0-9a-f]{64}")

Thing = TypeVar("Thing")


@dataclasses.dataclass(frozen=True, slots=True)
class Coverage:
    """What it takes to show all characters."""

    system_fonts: bool = False
    warnings: tuple[str, ...] = ()


def displayable(model: Thing) -> tuple[Thing, Coverage]:
    """Return the model with every character displayable and long words breakable, and what that took."""
    used = frozenset(ch for text in _texts(model) for ch in text)
    missing = used - bundled() - _SPACES
    if not missing:
        return _mapped(model, {}), Coverage()
    lost = missing - _on_this_machine()
    names = ", ".join(sorted({_script(ch) for ch in lost}))
    warning = (
        f"E-RPT-FONT: no font for {names}; shown as {SQUARE}. Install fonts for it, such as Noto Sans." if lost else ""
    )
    return _mapped(model, dict.fromkeys(map(ord, lost), SQUARE)), Coverage(
        system_fonts=bool(missing - lost), warnings=(warning,) if warning else ()
    )


@functools.cache
def bundled() -> frozenset[str]:
    """Return the characters that the bundled text font has in every weight."""
    from matplotlib.font_manager import get_font

    sets = [set(get_font(str(file)).get_charmap()) for file in sorted(FONTS.glob("SourceSans3-*.ttf"))]
    return frozenset(map(chr, set.intersection(*sets)))


@functools.cache
def _on_this_machine() -> frozenset[str]:
    from fontTools.ttLib import TTCollection, TTFont, TTLibError
    from matplotlib.font_manager import findSystemFonts

    found: set[int] = set()
    for file in sorted(findSystemFonts()):
        try:
            fonts = TTCollection(file, lazy=True).fonts if file.lower().endswith(".ttc") else [TTFont(file, lazy=True)]
            for font in fonts:
                found |= set(font.getBestCmap() or ())
        except (OSError, TTLibError, AssertionError, KeyError):
            continue
    return frozenset(map(chr, found))


def _script(ch: str) -> str:
    name = unicodedata.name(ch, "")
    return name.split()[0].capitalize() if name else f"U+{ord(ch):04X}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _texts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _texts(inner)


def _mapped(value: Any, squares: Mapping[int, str]) -> Any:
    if isinstance(value, str):
        return _breakable(value.translate(squares))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {f.name: _mapped(getattr(value, f.name), squares) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **changes)
    if isinstance(value, Mapping):
        return {key: _mapped(inner, squares) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_mapped(inner, squares) for inner in value)
    return value


def _breakable(text: str) -> str:
    """Let a word that is longer than a column break."""
    if len(text) <= _LONGEST_WORD or max(map(len, text.split()), default=0) <= _LONGEST_WORD:
        return text
    return " ".join(_BREAK.join(_pieces(word)) for word in text.split(" "))


def _pieces(word: str) -> list[str]:
    if len(word) <= _LONGEST_WORD or word.startswith("http") or _HASH.fullmatch(word):
        return [word]
    return [word[i : i + 12] for i in range(0, len(word), 12)]
