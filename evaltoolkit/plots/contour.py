"""``contour``: what a hidden covariate of any strength would leave of an estimate, as lines of equal remainder.

Columns: ``label`` text, ``with_treatment``, ``with_outcome`` (partial R2 of a measured covariate), ``left`` (what one
as strong would leave). Marks: ``x_label``, ``y_label``, ``estimate``, ``scale`` (standard error times the root of the
degrees of freedom), ``levels`` (remainders that get a line, {"x", "label"}; zero is set off), ``x_high``, ``y_high``.

The line of a level is where ``scale * sqrt(y x / (1 - x)) = |estimate - level|``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.axis import Scale, round_ticks, tick_labels
from evaltoolkit.plots.lettering import width_of, wrap
from evaltoolkit.plots.sheet import EDGE, TICK_ROOM, Sheet
from evaltoolkit.plots.tidy import Tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT = 2.6
_POINTS = 240
_LABEL_ROOM = 0.75
_NAMES = 1.9

Box = tuple[float, float, float, float]


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    t = Tidy(sheet.figure)
    x, y = _scale(t.mark_number("x_high", 0.5)), _scale(t.mark_number("y_high", 0.5))
    room = max((width_of(label, p.TICK) for label in y.labels), default=0.0)
    tall = sheet.tall(_HEIGHT)
    foot = TICK_ROOM + 0.2
    box = (EDGE + room + 0.1, sheet.floor + foot, sheet.width - 2 * EDGE - room - 0.1 - _LABEL_ROOM, tall)
    sheet.open(foot + tall + 0.3)
    name = wrap(t.mark("y_label"), sheet.width - 2 * EDGE, p.SMALL, lines=1) or [""]
    sheet.text(EDGE, box[1] + tall + 0.2, name[0], size=p.SMALL)
    ax = sheet.axes(box, x, y)
    sheet.grid(ax, y, box)
    _lines(sheet, ax, t, (x, y), box)
    _dots(sheet, ax, t, (x, y), box)
    sheet.bottom(ax, x, box, t.mark("x_label"))


def _scale(high: float) -> Scale:
    high = high if math.isfinite(high) and high > 0 else 0.5
    ticks = [tick for tick in round_ticks(0.0, high, 6) if 0 <= tick <= high]
    return Scale(0.0, high, tuple(ticks), tuple(tick_labels(ticks)))


def _lines(sheet: Sheet, ax: Axes, t: Tidy, scales: tuple[Scale, Scale], box: Box) -> None:
    x, y = scales
    estimate, scale = t.mark_number("estimate", 0.0), t.mark_number("scale", 1.0)
    free = box[1] + box[3] + 1.0
    for level, label in sorted(t.mark_places("levels"), key=lambda place: -abs(estimate - place[0])):
        needed = ((estimate - level) / scale) ** 2 if scale else 0.0
        start = needed / (needed + y.high)
        if not (0 < start < x.high):
            continue
        at = [start + (x.high - start) * i / _POINTS for i in range(_POINTS + 1)]
        height = [needed * (1 - value) / value for value in at]
        zero = level == 0
        color, width = (p.COMPARISON, 1.9) if zero else (p.PROGRAM, 1.2)
        ax.plot(at, height, color=color, lw=width, ls=(0, (4, 2)) if zero else "-", zorder=2)
        end = min(box[1] + y.share(height[-1]) * box[3], free - 0.14)
        free = end
        sheet.text(
            box[0] + box[2] + 0.06, end, label, size=p.SMALL, color=color, weight="semibold" if zero else "regular",
        )  # fmt: skip


def _dots(sheet: Sheet, ax: Axes, t: Tidy, scales: tuple[Scale, Scale], box: Box) -> None:
    x, y = scales
    taken: list[tuple[float, float]] = []
    rows = zip(t.texts("label"), t.numbers("with_treatment"), t.numbers("with_outcome"), strict=True)
    for label, across, up in rows:
        if not (math.isfinite(across) and math.isfinite(up)) or across > x.high or up > y.high:
            continue
        ax.plot([across], [up], "o", ms=5.0, mfc=p.INK, mec="white", mew=0.7, zorder=4, clip_on=False)
        place = box[0] + x.share(across) * box[2], box[1] + y.share(up) * box[3]
        words = "".join(wrap(label, _NAMES, p.SMALL, lines=1))
        wide = width_of(words, p.SMALL)
        to_right = place[0] + 0.09 + wide < box[0] + box[2]
        left = place[0] + 0.09 if to_right else place[0] - 0.09 - wide
        height = place[1]
        while any(abs(height - other) < 0.13 and abs(left - where) < _NAMES for where, other in taken):
            height += 0.135
        taken.append((left, height))
        sheet.text(left, min(height, box[1] + box[3] - 0.05), words, size=p.SMALL, color=p.TEXT)
