"""``flow``: from the data to the analysis sample, one box a step, with what was left out beside it.

Columns: ``label`` text, ``n``, ``excluded``, ``unit`` text, ``reason`` text, ``treated``, ``comparison``. A number that
is missing was hidden.
"""

from __future__ import annotations

import math

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.lettering import height_of, width_of, wrap
from evaltoolkit.plots.sheet import EDGE, Sheet
from evaltoolkit.plots.tidy import Tidy
from evaltoolkit.results import number

HIDDEN = "hidden"
_GAP = 0.2
_NUMBER = 10.4
_PAD = 0.12
Box = tuple[float, float, float, float]


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    t = Tidy(sheet.figure)
    wide = (sheet.width - 2 * EDGE) * 0.53
    side = sheet.width - 2 * EDGE - wide - 0.42
    steps = list(
        zip(t.texts("label"), t.texts("unit"), t.cells("n"), t.cells("excluded"), t.texts("reason"), strict=True)
    )
    main = [_content(label, unit, _count(n), wide) for label, unit, n, _, _ in steps]
    left_out = [
        _content("Left out", reason, _count(e), side) if _counts(e, reason) else None for *_, e, reason in steps
    ]
    heights = [max(c[3] for c in (box, out) if c) for box, out in zip(main, left_out, strict=True)]
    split = _split(t)
    total = sum(heights) + _GAP * max(len(steps) - 1, 0) + (0.42 + _GAP if split else 0.0)
    sheet.open(total + 0.04)
    top = sheet.floor + total + 0.02
    for i, (box, out, height) in enumerate(zip(main, left_out, heights, strict=True)):
        last = i == len(steps) - 1
        _box(sheet, (EDGE, top - height, wide, height), box, (p.INK, p.TINT_PROGRAM if last else p.PANEL))
        if out:
            _box(sheet, (EDGE + wide + 0.42, top - height, side, height), out, (p.GREY, "white"))
            _arrow(sheet, (EDGE + wide, top - height / 2), (EDGE + wide + 0.42, top - height / 2))
        if not last or split:
            _arrow(sheet, (EDGE + wide / 2, top - height), (EDGE + wide / 2, top - height - _GAP))
        top -= height + _GAP
    if split:
        half = (wide - 0.16) / 2
        for k, (words, count, color, fill) in enumerate(split):
            place = (EDGE + k * (half + 0.16), top - 0.42, half, 0.42)
            _box(sheet, place, _content(words, "", count, half), (color, fill))


def _counts(excluded: object, reason: str) -> bool:
    return bool(reason) if excluded is None else excluded != 0


def _count(n: object) -> str:
    return number(float(n), 0) if isinstance(n, int | float) and math.isfinite(n) else HIDDEN


def _split(t: Tidy) -> list[tuple[str, str, str, str]]:
    treated, comparison = t.cells("treated"), t.cells("comparison")
    if not len(t) or (treated[-1] is None and comparison[-1] is None and not t.mark("split_hidden")):
        return []
    return [
        ("With the program", _count(treated[-1]), p.PROGRAM, p.TINT_PROGRAM),
        ("Comparison", _count(comparison[-1]), p.COMPARISON, "white"),
    ]


_Content = tuple[list[str], list[str], str, float]


def _content(label: str, detail: str, count: str, width: float) -> _Content:
    room = width - 3 * _PAD - width_of(count, _NUMBER, "semibold")
    head = wrap(label, room, p.LABEL, weight="semibold", lines=2)
    small = wrap(detail, room, p.SMALL, lines=3)
    return head, small, count, max(0.4, height_of(len(head), p.LABEL) + height_of(len(small), p.SMALL) + 0.14)


def _box(sheet: Sheet, place: Box, content: _Content, look: tuple[str, str]) -> None:
    from matplotlib.patches import FancyBboxPatch

    left, bottom, width, height = place
    head, small, count, _ = content
    edge, fill = look
    sheet.canvas.add_artist(
        FancyBboxPatch(
            (left / sheet.width, bottom / sheet.height), width / sheet.width, height / sheet.height,
            boxstyle="square,pad=0", fc=fill, ec=edge, lw=0.9, transform=sheet.canvas.transFigure,
            ls="-" if fill != "white" else (0, (3, 1.5)),
        )
    )  # fmt: skip
    color = p.MUTED if edge == p.GREY else edge
    top = bottom + height / 2 + (height_of(len(head), p.LABEL) + height_of(len(small), p.SMALL)) / 2
    sheet.block(left + _PAD, top, head, size=p.LABEL, color=color, weight="semibold")
    sheet.block(left + _PAD, top - height_of(len(head), p.LABEL), small, size=p.SMALL)
    sheet.text(
        left + width - _PAD, bottom + height / 2, count, size=_NUMBER, color=color, weight="semibold", across="right"
    )


def _arrow(sheet: Sheet, start: tuple[float, float], end: tuple[float, float]) -> None:
    from matplotlib.patches import FancyArrowPatch

    a, b = ((x / sheet.width, y / sheet.height) for x, y in (start, end))
    sheet.canvas.add_artist(
        FancyArrowPatch(
            a, b, arrowstyle="-|>", mutation_scale=7, color=p.GREY, lw=0.9, shrinkA=0, shrinkB=0,
            transform=sheet.canvas.transFigure,
        )
    )  # fmt: skip
