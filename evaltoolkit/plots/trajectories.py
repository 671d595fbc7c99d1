"""``trajectories``: the outcome over time, program groups and comparison.

Columns: ``x`` number, ``label`` text (tick), ``group`` text, ``role`` text (program, comparison), ``value``. Marks:
``starts`` (list of {"x", "label"}), ``y_label``. With more than five program groups each is a thin line, and their
average stands out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.axis import period_scale, value_scale
from evaltoolkit.plots.endlabels import (
    GAP_ROOM,
    EndLabel,
    cross,
    draw_starts,
    end_of,
    gap_note,
    room_for,
    start_room,
    write_labels,
)
from evaltoolkit.plots.sheet import EDGE, TICK_ROOM, Sheet, tick_width
from evaltoolkit.plots.tidy import Tidy, finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLOT_HEIGHT = 2.0
MOST_LABELLED = 5
_SHADES = (p.PROGRAM, "#063A66", "#4F8FC7", "#2C4A6B", "#7DA9D1")
_MARKS = ("o", "s", "^", "v", "P")
_DASHES = ((0, (4, 1.8)), (0, (1.2, 1.4)), (0, (6, 2, 1.2, 2)), (0, (2.5, 1.2)), (0, (8, 2)))

Line = tuple[str, list[float], list[float]]


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    tall = sheet.tall(_PLOT_HEIGHT)
    t = Tidy(sheet.figure)
    program = _lines(t, "program")
    comparison = _lines(t, "comparison")
    y = value_scale(finite(t.numbers("value")))
    labels = _labels(program, comparison)
    hidden = sum(not math.isfinite(v) for v in t.numbers("value"))
    foot = TICK_ROOM + (GAP_ROOM if hidden else 0)
    left = EDGE + 0.07 + tick_width(y) + 0.03
    box = (left, sheet.floor + foot, sheet.width - left - room_for(labels), tall)
    x = period_scale(t.numbers("x"), t.texts("label"), box[2])
    starts = t.mark_places("starts")
    body = foot + tall + start_room(starts, x, box) + sheet.measure(t.mark("y_label"))
    sheet.open(body)
    sheet.name_measure(t.mark("y_label"), sheet.floor + body)
    ax = sheet.axes(box, x, y)
    sheet.grid(ax, y, box)
    draw_starts(sheet, ax, starts, x, box)
    _draw(ax, program, comparison)
    cross(ax, _gaps(t))
    sheet.bottom(ax, x, box)
    gap_note(sheet, hidden, sheet.floor + 0.08)
    if finite(t.numbers("value")):
        write_labels(sheet, labels, y, box)
    else:
        sheet.nothing(box)


def _gaps(t: Tidy) -> list[float]:
    return sorted(
        {x for x, v in zip(t.numbers("x"), t.numbers("value"), strict=True) if math.isnan(v) and math.isfinite(x)}
    )


def _lines(t: Tidy, role: str) -> list[Line]:
    roles = t.texts("role")
    chosen = t.where(lambda i: (roles[i] == "comparison") == (role == "comparison"))
    return [(name, *_ordered(part)) for name, part in chosen.split("group")]


def _ordered(t: Tidy) -> tuple[list[float], list[float]]:
    pairs = sorted((x, v) for x, v in zip(t.numbers("x"), t.numbers("value"), strict=True) if math.isfinite(x))
    return [x for x, _ in pairs], [v for _, v in pairs]


def _average(lines: list[Line]) -> Line:
    """Return the plain average of the lines, where all of them are shown."""
    at: dict[float, list[float]] = {}
    for _, xs, ys in lines:
        for x, y in zip(xs, ys, strict=True):
            at.setdefault(x, []).append(y)
    xs = sorted(at)
    ys = [sum(at[x]) / len(lines) if len(at[x]) == len(lines) else math.nan for x in xs]
    return f"Average of {len(lines)} groups", xs, ys


def _shown(lines: list[Line]) -> list[Line]:
    return lines if len(lines) <= MOST_LABELLED else [_average(lines)]


def _labels(program: list[Line], comparison: list[Line]) -> list[EndLabel]:
    labels = [EndLabel(name, end_of(ys), _SHADES[i % len(_SHADES)]) for i, (name, _, ys) in enumerate(_shown(program))]
    return labels + [EndLabel(name, end_of(ys), p.COMPARISON) for name, _, ys in _shown(comparison)]


def _draw(ax: Axes, program: list[Line], comparison: list[Line]) -> None:
    for lines, light, dashed in ((program, p.PROGRAM_LIGHT, False), (comparison, p.COMPARISON_LIGHT, True)):
        if len(lines) > MOST_LABELLED:
            for _, xs, ys in lines:
                ax.plot(xs, ys, color=light, lw=0.6, ls=_DASHES[0] if dashed else "-", zorder=2)
    for i, (_, xs, ys) in enumerate(_shown(comparison)):
        ax.plot(xs, ys, color=p.COMPARISON, lw=1.8, ls=_DASHES[i % len(_DASHES)], zorder=3)
        _lone(ax, xs, ys, marker="D", color=p.COMPARISON, fill="white")
    several = len(_shown(program)) > 1
    for i, (_, xs, ys) in enumerate(_shown(program)):
        color = _SHADES[i % len(_SHADES)]
        ax.plot(xs, ys, color=color, lw=1.6 if several else 2.2, zorder=4, solid_capstyle="round")
        if several:
            every = max(1, len(xs) // 8)
            ax.plot(xs[::every], ys[::every], _MARKS[i], color=color, ms=3.6, mec="white", mew=0.5, zorder=5)
        _lone(ax, xs, ys, marker="o", color=color, fill=color)


def _lone(ax: Axes, xs: list[float], ys: list[float], *, marker: str, color: str, fill: str) -> None:
    """Mark shown values that stand between two gaps: a line alone would not show them."""
    seen = [math.isfinite(v) for v in ys]
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if seen[i] and not (i and seen[i - 1]) and not (i + 1 < len(ys) and seen[i + 1]):
            ax.plot([x], [y], marker, ms=4, mfc=fill, mec=color, mew=1.1, zorder=5)
