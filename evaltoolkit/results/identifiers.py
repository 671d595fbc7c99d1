"""Find identifiers in anything that is about to leave."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

_WORD = re.compile(r"[^\s,;:()\[\]{}\"'“”‘’]+")
_LONGEST = 4


class IdentifierGuard:
    """Looks for identifier values as whole texts, words, or runs of up to four words.

    A purely numeric identifier of fewer than four digits is looked for as a whole text only: within a sentence it
    cannot be told from a count.
    """

    def __init__(self, identifiers: frozenset[str]) -> None:
        self._whole = frozenset(value.strip() for value in identifiers if value.strip())
        self._within = frozenset(v for v in self._whole if not (v.isdigit() and len(v) < 4) and len(v) > 1)

    def first_leak(self, thing: Any) -> str | None:
        """Return where an identifier stands, as a path, or None."""
        if not self._whole:
            return None
        for path, text in _texts(thing, ""):
            if text.strip() in self._whole or self._stands_in(text):
                return path
        return None

    def _stands_in(self, text: str) -> bool:
        words = [(match.start(), match.end()) for match in _WORD.finditer(text)]
        for i, (start, _) in enumerate(words):
            for _, end in words[i : i + _LONGEST]:
                if text[start:end].rstrip(".!?") in self._within or text[start:end] in self._within:
                    return True
        return False


def _texts(thing: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(thing, str):
        yield path, thing
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        for field in dataclasses.fields(thing):
            if field.name != "study":  # the evaluator's own words and column names
                yield from _texts(getattr(thing, field.name), f"{path}/{field.name}".lstrip("/"))
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from _texts(str(key), f"{path}/{key}")
            yield from _texts(value, f"{path}/{key}")
    elif isinstance(thing, tuple | list):
        for i, value in enumerate(thing):
            yield from _texts(value, f"{path}/{i}")
