"""``love``: how alike the groups are on each characteristic, before and after adjustment.

Columns: ``covariate`` text, ``before``, ``after`` (standardized differences). Marks: ``threshold`` (shaded),
``limit`` (dotted), ``x_label``, ``before_text``, ``after_text``. Beyond 34 characteristics the most different ones are
drawn, and the figure says so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.axis import Scale, value_scale
from evaltoolkit.plots.lettering import height_of, width_of, wrap
from evaltoolkit.plots.sheet import EDGE, TICK_ROOM, Sheet
from evaltoolkit.plots.tidy import Tidy, finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 34
_ROOMY = 18
_NAMES = 2.1


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    t = _largest(Tidy(sheet.figure))
    left_out = len(sheet.figure.rows) - len(t)
    blocks = [wrap(name, _NAMES, p.TICK, lines=2 if len(t) <= _ROOMY else 1) or ["–"] for name in t.texts("covariate")]
    heights = [height_of(len(lines), p.TICK) + 0.06 for lines in blocks]
    room = max((width_of(line, p.TICK) for lines in blocks for line in lines), default=0.0)
    threshold = abs(t.mark_number("threshold", 0.0)) or 0.0
    threshold = threshold if math.isfinite(threshold) else 0.0
    x = value_scale([*finite(t.numbers("before"), t.numbers("after")), -1.25 * threshold, 1.25 * threshold], most=7)
    foot = TICK_ROOM + (0.2 if t.mark("x_label") else 0) + (0.18 if left_out else 0)
    left = EDGE + room + 0.12
    box = (left, sheet.floor + foot, sheet.width - left - EDGE - 0.1, max(sum(heights), 0.2) + 0.08)
    sheet.open(foot + box[3] + 0.24)
    y = Scale(0.0, box[3], (), ())
    ax = sheet.axes(box, x, y)
    if threshold:
        ax.axvspan(-threshold, threshold, color=p.TINT_PROGRAM, lw=0, zorder=-1)
    ax.axvline(0, color=p.INK, lw=0.9, zorder=1)
    _limit(ax, t, x)
    _rows(sheet, ax, t, box, (blocks, heights))
    _key(sheet, t, box)
    sheet.bottom(ax, x, box, t.mark("x_label"))
    if left_out:
        words = f"The {MOST} most different of {len(sheet.figure.rows)} characteristics; the table lists them all."
        sheet.text(EDGE, sheet.floor + 0.08, words, size=p.SMALL)
    if not finite(t.numbers("before"), t.numbers("after")):
        sheet.nothing(box)


def _largest(t: Tidy) -> Tidy:
    size = [
        max(finite([abs(b)], [abs(a)]), default=-1.0)
        for b, a in zip(t.numbers("before"), t.numbers("after"), strict=True)
    ]
    kept = set(sorted(range(len(t)), key=lambda i: (-size[i], i))[:MOST])
    return t.where(lambda i: i in kept)


def _rows(
    sheet: Sheet, ax: Axes, t: Tidy, box: tuple[float, float, float, float],
    labels: tuple[list[list[str]], list[float]],
) -> None:  # fmt: skip
    at = box[3] - 0.04
    for lines, height, before, after in zip(*labels, t.numbers("before"), t.numbers("after"), strict=True):
        middle = at - height / 2
        ax.axhline(middle, color=p.GRID, lw=0.7, zorder=0)
        for i, line in enumerate(lines):
            place = box[1] + middle + height_of(len(lines), p.TICK) / 2 - height_of(1, p.TICK) * (i + 0.5)
            sheet.text(box[0] - 0.09, place, line, color=p.TEXT, across="right")
        _missing(sheet, t, (before, after), (box[0] + 0.05, box[1] + middle))
        ax.plot([before, after], [middle, middle], color=p.GREY_LIGHT, lw=1.4, zorder=2)
        ax.plot([before], [middle], "D", ms=4.6, mfc="white", mec=p.COMPARISON, mew=1.3, zorder=3)
        ax.plot([after], [middle], "o", ms=5.2, mfc=p.PROGRAM, mec="white", mew=0.7, zorder=4)
        at -= height


def _missing(sheet: Sheet, t: Tidy, pair: tuple[float, float], place: tuple[float, float]) -> None:
    """Say in the row itself which of its values are not shown."""
    names = (t.mark("before_text", "before"), t.mark("after_text", "after"))
    gone = [name for name, value in zip(names, pair, strict=True) if not math.isfinite(value)]
    if gone:
        words = "not shown" if len(gone) == 2 else f"{gone[0]}: not shown"
        sheet.text(*place, "".join(wrap(words, 1.6, p.SMALL, lines=1)), size=p.SMALL)


def _limit(ax: Axes, t: Tidy, x: Scale) -> None:
    limit = abs(t.mark_number("limit", 0.0))
    for at in (-limit, limit):
        if limit and x.low < at < x.high:
            ax.axvline(at, color=p.GREY, lw=0.9, ls=(0, (1.5, 1.8)), zorder=1)


def _key(sheet: Sheet, t: Tidy, box: tuple[float, float, float, float]) -> None:
    level = box[1] + box[3] + 0.13
    threshold, limit = (abs(t.mark_number(name, 0.0)) for name in ("threshold", "limit"))
    named = (("shaded: within", threshold), ("dotted:", limit))
    shaded = "; ".join(f"{words} {value:g}" for words, value in named if math.isfinite(value) and value)
    sheet.text(sheet.width - EDGE, level, shaded, size=p.SMALL, across="right")
    room = (sheet.width - 2 * EDGE - width_of(shaded, p.SMALL) - 0.9) / 2
    at = max(EDGE + 0.06, min(box[0] + 0.06, sheet.width - EDGE - 2 * room - 0.9))
    entries = (
        (t.mark("before_text", "before"), "D", "white", p.COMPARISON),
        (t.mark("after_text", "after"), "o", p.PROGRAM, p.PROGRAM),
    )
    for words, marker, fill, color in entries:
        line = "".join(wrap(words, room, p.TICK, weight="semibold", lines=1))
        sheet.marker(at, level, marker, fill, color)
        sheet.text(at + 0.1, level, line, color=color, weight="semibold")
        at += 0.1 + width_of(line, p.TICK, "semibold") + 0.25
