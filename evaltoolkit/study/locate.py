"""Find the line of a key in a TOML text, for error messages."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*(\[{1,2})\s*([^\[\]]+?)\s*\]{1,2}\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"))*)\s*=")


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    r"""Return the 1-based line where a key path is set, or where its nearest parent starts.

    >>> line_of("title = 'x'\n[outcome]\ncolumn = 'y'\n", ["outcome", "column"])
    3
    >>> line_of("title = 'x'\n[outcome]\ncolumn = 'y'\n", ["outcome", "label"])
    2
    """
    wanted = tuple(path)
    best: tuple[int, int] | None = None
    prefix: tuple[str | int, ...] = ()
    seen: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            name = _split(header.group(2))
            if header.group(1) == "[[":
                seen[name] = seen.get(name, -1) + 1
                prefix = (*name, seen[name])
            else:
                prefix = name
            best = _nearer(best, wanted, prefix, number)
            continue
        key = _KEY.match(line)
        if key:
            best = _nearer(best, wanted, (*prefix, *_split(key.group(1))), number)
    return best[1] if best else None


def _nearer(
    best: tuple[int, int] | None, wanted: tuple[str | int, ...], place: tuple[str | int, ...], number: int
) -> tuple[int, int] | None:
    depth = len(place)
    if place == wanted[:depth] and (best is None or depth > best[0]):
        return depth, number
    return best
