"""``residuals``: what a model of a series leaves over, by period, and how periods some distance apart are related.

Columns: ``panel`` (its title), ``shape`` (points by period across the whole width; bars by distance, side by side),
``x``, ``label``, ``value``. Marks: ``y_label`` of the points, ``x_label`` of the bars, ``bound`` (bars within it are as
chance would have them), ``bound_text``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.axis import Scale, period_scale, value_scale
from evaltoolkit.plots.endlabels import GAP_ROOM, cross, gap_note
from evaltoolkit.plots.lettering import wrap
from evaltoolkit.plots.sheet import EDGE, TICK_ROOM, Sheet, tick_width
from evaltoolkit.plots.tidy import Tidy, finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Box = tuple[float, float, float, float]

_TALL = 1.05
_TITLE = 0.24
_NAME = 0.2
_GUTTER = 0.3
_TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    t = Tidy(sheet.figure)
    tall = sheet.tall(_TALL)
    shapes = t.texts("shape")
    bars = t.where(lambda i: shapes[i] == "bars").split("panel")
    points = t.where(lambda i: shapes[i] == "points").split("panel")
    hidden = sum(not math.isfinite(v) for _, part in points for v in part.numbers("value"))
    note = GAP_ROOM if hidden else 0.0
    said = 0.22 if bars and t.mark("bound_text") else 0.0
    below = (_TITLE + tall + TICK_ROOM + _NAME + said) if bars else 0.0
    above = (_TITLE + tall + TICK_ROOM + note) * len(points)
    body = below + above + sheet.measure(t.mark("y_label"))
    sheet.open(body)
    if not bars and not points:
        sheet.nothing((EDGE, sheet.floor, sheet.width - 2 * EDGE, max(body, 0.3)))
        return
    if bars:
        _bars(sheet, t, bars, (sheet.floor + said + _NAME + TICK_ROOM, tall))
        if said:
            sheet.text(EDGE, sheet.floor + 0.08, t.mark("bound_text"), size=p.SMALL)
    if points:
        sheet.name_measure(t.mark("y_label"), sheet.floor + body)
    for k, (title, part) in enumerate(points):
        bottom = sheet.floor + below + (_TITLE + tall + TICK_ROOM + note) * (len(points) - 1 - k) + TICK_ROOM + note
        _points(sheet, title, part, (bottom, tall))
        if hidden:
            gap_note(sheet, hidden, bottom - TICK_ROOM - note + 0.08)


def _points(sheet: Sheet, title: str, t: Tidy, place: tuple[float, float]) -> None:
    bottom, tall = place
    xs, values = t.numbers("x"), t.numbers("value")
    y = value_scale([*finite(values), 0.0], most=5)
    left = EDGE + 0.07 + tick_width(y) + 0.03
    box = (left, bottom, sheet.width - left - EDGE, tall)
    x = period_scale(xs, t.texts("label"), box[2])
    ax = _panel(sheet, title, (x, y), box)
    ax.plot(xs, values, color=p.GREY_LIGHT, lw=0.9, zorder=2)
    ax.plot(xs, values, "o", ms=3.2, mfc=p.PROGRAM, mec="white", mew=0.5, zorder=3)
    cross(ax, [at for at, v in zip(xs, values, strict=True) if not math.isfinite(v)])
    sheet.bottom(ax, x, box)


def _bars(sheet: Sheet, t: Tidy, panels: list[tuple[str, Tidy]], place: tuple[float, float]) -> None:
    bottom, tall = place
    bound = t.mark_number("bound")
    y = Scale(-1.05, 1.05, _TICKS, ("−1", "", "0", "", "1"))
    left = EDGE + 0.07 + tick_width(y) + 0.03
    width = (sheet.width - left - EDGE - _GUTTER * (len(panels) - 1)) / len(panels)
    for k, (title, part) in enumerate(panels):
        box = (left + k * (width + _GUTTER), bottom, width, tall)
        xs, values = part.numbers("x"), part.numbers("value")
        x = period_scale(xs, part.texts("label"), width, pad=0.06)
        ax = _panel(sheet, title, (x, y), box, ticks=k == 0)
        for sign in (-1, 1) if math.isfinite(bound) else ():
            ax.axhline(sign * bound, color=p.COMPARISON, lw=1.0, ls=(0, (4, 2)), zorder=1.6)
        thick = max(1.6, min(6.0, 90 / max(len(part), 1)))
        for at, value in zip(xs, values, strict=True):
            beyond = math.isfinite(bound) and abs(value) > bound
            ax.plot(
                [at, at], [0, value], color=p.PROGRAM if beyond else p.GREY_LIGHT, lw=thick, zorder=3,
                solid_capstyle="butt",
            )  # fmt: skip
        sheet.bottom(ax, x, box, part.mark("x_label"))


def _panel(sheet: Sheet, title: str, scales: tuple[Scale, Scale], box: Box, *, ticks: bool = True) -> Axes:
    ax = sheet.axes(box, *scales)
    if ticks:
        sheet.grid(ax, scales[1], box)
    ax.axhline(0, color=p.INK, lw=0.9, zorder=1.5)
    if title:
        line = wrap(title, box[2], p.TICK, weight="semibold", lines=1)[0]
        sheet.text(box[0], box[1] + box[3] + 0.09, line, color=p.TEXT, weight="semibold")
    return ax
