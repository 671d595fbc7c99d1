"""``decomposition``: what an average is made of, the weight of each part beside its value.

Columns: ``label`` text, ``group`` text (up to four kinds of parts), ``weight`` (share of the average, may be below
zero), ``estimate``. Marks: ``x_label``, ``y_label``, ``average`` (number, drawn as a line), ``average_text``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.axis import value_scale
from evaltoolkit.plots.endlabels import GAP_ROOM, gap_note
from evaltoolkit.plots.lettering import width_of, wrap
from evaltoolkit.plots.sheet import EDGE, TICK_ROOM, Sheet, tick_width
from evaltoolkit.plots.tidy import Tidy, finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLOT_HEIGHT = 2.2
_LINE = 0.18
_LOOKS: Final = (
    ("o", p.PROGRAM, p.PROGRAM), ("D", "white", p.COMPARISON), ("^", "white", p.GREY), ("s", p.GREY_LIGHT, p.INK),
)  # fmt: skip
"""Marker, fill and edge of each kind of part, in order of appearance; further kinds share the last."""


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    tall = sheet.tall(_PLOT_HEIGHT)
    t = Tidy(sheet.figure)
    average = t.mark_number("average")
    weights, estimates = t.numbers("weight"), t.numbers("estimate")
    y = value_scale([*finite(estimates, [average]), 0.0])
    x_values = [*finite(weights), 0.0]
    hidden = sum(not (math.isfinite(w) and math.isfinite(e)) for w, e in zip(weights, estimates, strict=True))
    groups = t.split("group")
    keys = [name for name, _ in groups if name]
    foot = TICK_ROOM + (0.2 if t.mark("x_label") else 0) + (GAP_ROOM if hidden else 0)
    left = EDGE + 0.07 + tick_width(y) + 0.03
    box = (left, sheet.floor + foot, sheet.width - left - EDGE - 0.06, tall)
    rows = _key_rows(keys, sheet.width - 2 * EDGE)
    body = foot + tall + 0.12 + _LINE * len(rows) + sheet.measure(t.mark("y_label"))
    sheet.open(body)
    sheet.name_measure(t.mark("y_label"), sheet.floor + body)
    x = value_scale(x_values)
    ax = sheet.axes(box, x, y)
    sheet.grid(ax, y, box)
    ax.axhline(0, color=p.INK, lw=0.9, zorder=1.5)
    if min(x_values) < 0:
        ax.axvline(0, color=p.RULE, lw=0.9, zorder=1)
    _average(sheet, ax, t, average, y.share(average) if math.isfinite(average) else math.nan, box)
    for i, (_, part) in enumerate(groups):
        marker, fill, edge = _LOOKS[min(i, len(_LOOKS) - 1)]
        ax.plot(
            part.numbers("weight"), part.numbers("estimate"), marker, ms=5.4, mfc=fill, mec=edge, mew=1.2, zorder=4,
            clip_on=False,
        )  # fmt: skip
    _key(sheet, keys, rows, box[1] + box[3] + 0.12)
    sheet.bottom(ax, x, box, t.mark("x_label"))
    gap_note(sheet, hidden, sheet.floor + 0.08)
    if not finite(estimates):
        sheet.nothing(box)


def _average(
    sheet: Sheet, ax: Axes, t: Tidy, average: float, share: float, box: tuple[float, float, float, float]
) -> None:
    if not math.isfinite(average):
        return
    ax.axhline(average, color=p.PROGRAM, lw=1.1, ls=(0, (5, 3)), zorder=2)
    words = t.mark("average_text")
    if words:
        line = wrap(words, box[2] - 0.2, p.SMALL, lines=1)[0]
        above = 0.09 if share < 0.85 else -0.1
        place = box[1] + share * box[3] + above
        sheet.text(box[0] + box[2], place, line, color=p.PROGRAM, size=p.SMALL, across="right")


def _key_rows(keys: list[str], room: float) -> list[list[str]]:
    """Return the entries of the key in lines that fit."""
    rows: list[list[str]] = []
    used = 0.0
    for name in keys:
        need = 0.12 + width_of(_short(name, room), p.TICK) + 0.26
        if rows and used + need <= room:
            rows[-1].append(name)
            used += need
        else:
            rows.append([name])
            used = need
    return rows


def _short(name: str, room: float) -> str:
    return wrap(name, room - 0.5, p.TICK, lines=1)[0]


def _key(sheet: Sheet, keys: list[str], rows: list[list[str]], bottom: float) -> None:
    for r, names in enumerate(rows):
        at, level = EDGE + 0.06, bottom + _LINE * (len(rows) - r - 0.5)
        for name in names:
            marker, fill, edge = _LOOKS[min(keys.index(name), len(_LOOKS) - 1)]
            line = _short(name, sheet.width - 2 * EDGE)
            sheet.marker(at, level, marker, fill, edge)
            sheet.text(at + 0.12, level, line, color=p.TEXT)
            at += 0.12 + width_of(line, p.TICK) + 0.26
