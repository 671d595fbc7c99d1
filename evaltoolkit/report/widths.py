"""How wide the columns of a table are, and how large its text, worked out from what stands in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from evaltoolkit.plots.lettering import advance_of
from evaltoolkit.report.blocks import Align

PAGE: Final = 6.38  # the text width of A4, the narrower paper
SIZE: Final = 8.8
_SMALLEST: Final = 5.6
_PAD: Final = 0.15
_LONGEST_WORD: Final = 1.7
_NUMBERS_MAY_TAKE: Final = 0.7
_AIR: Final = 0.35


@dataclass(frozen=True, slots=True)
class Layout:
    """Widths of the columns in inches, and the size of the text in points."""

    widths: tuple[float, ...]
    size: float


@dataclass(frozen=True, slots=True)
class _Need:
    """What a column needs: the least in which no word breaks, what sets every cell on one line, and its head too."""

    least: float
    whole: float
    words: bool
    head: float


def layout(heads: Sequence[str], columns: Sequence[Sequence[str]], align: Sequence[Align]) -> Layout:
    """Return the layout of a table as wide as the page.

    Columns of numbers never break; columns of words share what is left, long ones less than their length asks for.

    >>> layout(["Name", "n"], [["a", "b"], ["1", "2"]], ["left", "right"]).size
    8.8
    """
    needs = [_need(head, texts, words=side == "left") for head, texts, side in zip(heads, columns, align, strict=True)]
    least = sum(need.least for need in needs)
    if not needs:
        return Layout((), SIZE)
    size = SIZE if least <= PAGE else max(_SMALLEST, SIZE * PAGE / least)
    if sum(need.whole for need in needs) <= PAGE:
        widths = _spread(needs)
    elif least >= PAGE:
        widths = [need.least * PAGE / least for need in needs]
    else:
        widths = _shared(needs)
    return Layout(tuple(round(width, 3) for width in widths), round(size, 2))


def _need(head: str, texts: Sequence[str], *, words: bool) -> _Need:
    head_word = max((_wide(word) for word in head.split()), default=0.0)
    lines = max((_wide(text[:400]) for text in texts), default=0.0)
    if not words:
        least = max(lines, head_word)
        return _Need(least + _PAD, max(least, _on_two_lines(head)) + _PAD, words=False, head=_wide(head) + _PAD)
    longest = max((_wide(word) for text in texts for word in text[:2000].split()), default=0.0)
    least = min(max(longest, head_word), _LONGEST_WORD)
    return _Need(least + _PAD, max(lines, _on_two_lines(head), least) + _PAD, words=True, head=_wide(head) + _PAD)


def _on_two_lines(head: str) -> float:
    pieces = head[:200].split()
    if len(pieces) < 2:
        return _wide(head[:200])
    return min(max(_wide(" ".join(pieces[:i])), _wide(" ".join(pieces[i:]))) for i in range(1, len(pieces)))


def _wide(text: str) -> float:
    return advance_of(text[:400], SIZE, "semibold")


def _spread(needs: Sequence[_Need]) -> list[float]:
    """Everything fits on one line: heads are not broken if there is room, numbers get some air, words the rest."""
    flat = [replace(need, whole=max(need.whole, need.head)) for need in needs]
    if sum(need.whole for need in flat) <= PAGE:
        needs = flat
    spare = PAGE - sum(need.whole for need in needs)
    words, numbers = sum(need.words for need in needs), sum(not need.words for need in needs)
    air = min(_AIR, spare / 2 / numbers) if numbers and words else spare / len(needs)
    rest = (spare - air * numbers) / words if words else 0.0
    return [need.whole + (rest if need.words else air) for need in needs]


def _shared(needs: Sequence[_Need]) -> list[float]:
    numbers = [need for need in needs if not need.words]
    words = [need for need in needs if need.words]
    least, whole = sum(need.least for need in numbers), sum(need.whole for need in numbers)
    allowed = min(whole, max(least, _NUMBERS_MAY_TAKE * PAGE)) if words else PAGE
    allowed = min(allowed, PAGE - sum(need.least for need in words))
    part = (allowed - least) / (whole - least) if whole > least else 0.0
    for_words = iter(_poured(words, PAGE - least - part * (whole - least)))
    return [next(for_words) if need.words else need.least + part * (need.whole - need.least) for need in needs]


def _poured(words: Sequence[_Need], room: float) -> list[float]:
    """Give short columns what they ask for, and the long ones shares by the square root of their length."""
    given: dict[int, float] = {}
    while len(given) < len(words):
        open_ = [i for i in range(len(words)) if i not in given]
        left = room - sum(given.values())
        roots = sum(math.sqrt(words[i].whole) for i in open_)
        share = {i: left * math.sqrt(words[i].whole) / roots for i in open_}
        short = [i for i in open_ if words[i].whole <= share[i]]
        tight = [i for i in open_ if words[i].least >= share[i]]
        if short:
            given |= {i: words[i].whole for i in short}
        elif tight and len(tight) < len(open_):
            given |= {i: words[i].least for i in tight}
        else:
            given |= share
    return [given[i] for i in range(len(words))]
