"""``series``: one series over time, what a model fits to it, and what was expected without the program.

Columns: ``x``, ``label``, ``observed``, ``fitted``, ``expected``, ``expected_low``, ``expected_high``. Marks:
``interruptions`` (list of {"x", "label"}), ``y_label``, ``fitted_text``, ``expected_text``, ``observed_text``.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.axis import Scale, limits, period_scale, round_ticks, tick_labels, value_scale
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

_PLOT_HEIGHT = 2.3


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    tall = sheet.tall(_PLOT_HEIGHT)
    t = _in_order(Tidy(sheet.figure))
    values = finite(*(t.numbers(key) for key in ("observed", "fitted", "expected", "expected_low", "expected_high")))
    y = _scale(values)
    labels = _labels(t)
    hidden = sum(not math.isfinite(v) for v in t.numbers("observed"))
    foot = TICK_ROOM + (GAP_ROOM if hidden else 0)
    left = EDGE + 0.07 + tick_width(y) + 0.03
    box = (left, sheet.floor + foot, sheet.width - left - room_for(labels), tall)
    x = period_scale(t.numbers("x"), t.texts("label"), box[2])
    starts = t.mark_places("interruptions")
    body = foot + tall + start_room(starts, x, box) + sheet.measure(t.mark("y_label"))
    sheet.open(body)
    sheet.name_measure(t.mark("y_label"), sheet.floor + body)
    ax = sheet.axes(box, x, y)
    sheet.grid(ax, y, box)
    draw_starts(sheet, ax, starts, x, box)
    _draw(ax, t, [at for at, _ in starts])
    cross(ax, [at for at, v in zip(t.numbers("x"), t.numbers("observed"), strict=True) if math.isnan(v)])
    sheet.bottom(ax, x, box)
    gap_note(sheet, hidden, sheet.floor + 0.08)
    if values:
        write_labels(sheet, labels, y, box)
    else:
        sheet.nothing(box)


def _in_order(t: Tidy) -> Tidy:
    xs = t.numbers("x")
    order = sorted((i for i in range(len(t)) if math.isfinite(xs[i])), key=lambda i: xs[i])
    return Tidy(t.figure, [t.rows[i] for i in order])


def _scale(values: list[float]) -> Scale:
    if not values or min(values) < 0 or min(values) > 0.6 * max(values) or max(values) == 0:
        return value_scale(values)
    high = limits([0.0, *values])[1]
    ticks = round_ticks(0.0, high)
    return Scale(0.0, high, tuple(ticks), tuple(tick_labels(ticks)))


def _labels(t: Tidy) -> list[EndLabel]:
    made = (
        ("expected", t.mark("expected_text", "Expected without the program"), p.COMPARISON),
        ("fitted", t.mark("fitted_text", "Model fit"), p.PROGRAM),
        ("observed", t.mark("observed_text", "Observed"), p.MUTED),
    )
    return [EndLabel(words, end_of(t.numbers(key)), color) for key, words, color in made if finite(t.numbers(key))]


def _draw(ax: Axes, t: Tidy, breaks: list[float]) -> None:
    xs = t.numbers("x")
    columns = {k: t.numbers(k) for k in ("observed", "fitted", "expected", "expected_low", "expected_high")}
    ax.plot(xs, columns["observed"], "o", ms=max(1.6, min(4.0, 260 / max(len(xs), 1))), color=p.GREY, mew=0, zorder=3)
    ax.fill_between(xs, columns["expected_low"], columns["expected_high"], color=p.TINT_COMPARISON, lw=0, zorder=1)
    ax.plot(xs, columns["expected"], color=p.COMPARISON, lw=1.8, ls=(0, (4, 1.8)), zorder=4)
    edges = [-math.inf, *breaks, math.inf]
    for low, high in itertools.pairwise(edges):
        part = [(x, v) for x, v in zip(xs, columns["fitted"], strict=True) if low <= x < high]
        ax.plot([x for x, _ in part], [v for _, v in part], color=p.PROGRAM, lw=2.0, zorder=5, solid_capstyle="round")
        if sum(math.isfinite(v) for _, v in part) == 1:
            ax.plot([x for x, _ in part], [v for _, v in part], "o", ms=4, color=p.PROGRAM, zorder=5)
