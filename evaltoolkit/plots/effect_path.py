"""``effect_path``: effects by time since the program began.

Columns: ``x`` number, ``label`` text, ``estimate``, ``low``, ``high``, optional ``band_low``, ``band_high``, optional
``phase`` text (before, reference, after). Marks: ``x_label``, ``y_label``, ``before_text``, ``after_text``,
``boundary`` (x where the tinted region begins), ``level``.
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

_PLOT_HEIGHT = 2.05
_BAND = 0.2


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    tall = sheet.tall(_PLOT_HEIGHT)
    t = Tidy(sheet.figure)
    phases, estimates = t.texts("phase"), t.numbers("estimate")
    columns = [t.numbers(key) for key in ("low", "high", "band_low", "band_high")]
    y = value_scale([*finite(estimates, *columns), 0.0])
    gaps = [
        at
        for at, e, phase in zip(t.numbers("x"), estimates, phases, strict=True)
        if phase != "reference" and math.isnan(e) and math.isfinite(at)
    ]
    hidden = len(gaps)
    reading = _reading(t, phases)
    foot = TICK_ROOM + (0.2 if t.mark("x_label") else 0) + (GAP_ROOM if reading else 0) + (GAP_ROOM if hidden else 0)
    left = EDGE + 0.07 + tick_width(y) + 0.03
    box = (left, sheet.floor + foot, sheet.width - left - EDGE, tall)
    x = period_scale(t.numbers("x"), t.texts("label"), box[2], pad=0.04)
    body = foot + tall + _BAND + sheet.measure(t.mark("y_label"))
    sheet.open(body)
    sheet.name_measure(t.mark("y_label"), sheet.floor + body)
    ax = sheet.axes(box, x, y)
    boundary = _tint(ax, t, x)
    sheet.grid(ax, y, box)
    ax.axhline(0, color=p.INK, lw=0.9, zorder=1.5)
    _points(ax, t, phases)
    cross(ax, gaps)
    _headings(sheet, t, x, box, boundary)
    sheet.bottom(ax, x, box, t.mark("x_label"))
    if reading:
        sheet.text(EDGE, sheet.floor + 0.08 + (GAP_ROOM if hidden else 0), reading, size=p.SMALL)
    gap_note(sheet, hidden, sheet.floor + 0.08)
    if not finite(estimates):
        sheet.nothing((box[0], box[1] + 0.2 * box[3], box[2], box[3]))


def _reading(t: Tidy, phases: list[str]) -> str:
    parts = ["Hollow point: reference period, zero by definition."] if "reference" in phases else []
    if finite(t.numbers("band_low")):
        parts.append("Thick bars: one period at a time. Thin lines: all periods together.")
    return " ".join(parts)


def _tint(ax: Axes, t: Tidy, x: Scale) -> float:
    boundary = t.mark_number("boundary")
    if math.isfinite(boundary) and boundary < x.high:
        ax.axvspan(max(boundary, x.low), x.high, color=p.TINT_PROGRAM, zorder=-1, lw=0)
    return boundary


def _points(ax: Axes, t: Tidy, phases: list[str]) -> None:
    rows = zip(
        t.numbers("x"), t.numbers("estimate"), t.numbers("low"), t.numbers("high"), t.numbers("band_low"),
        t.numbers("band_high"), phases, strict=True,
    )  # fmt: skip
    thick = max(1.6, min(6.0, 180 / max(len(t), 1)))
    for at, estimate, low, high, band_low, band_high, phase in rows:
        dark, light = (p.GREY, p.GREY_LIGHT) if phase == "before" else (p.PROGRAM, p.PROGRAM_LIGHT)
        if phase == "reference":
            ax.plot(
                [at], [0.0 if math.isnan(estimate) else estimate], "o", ms=5, mfc="white", mec=p.GREY, mew=1.3, zorder=5
            )
            continue
        ax.plot([at, at], [band_low, band_high], color=dark, lw=1.0, zorder=2, solid_capstyle="butt")
        ax.plot([at, at], [low, high], color=light, lw=thick, zorder=3, solid_capstyle="butt")
        ax.plot([at], [estimate], "o", ms=min(5.6, thick + 1.2), mfc=dark, mec="white", mew=1.0, zorder=5)


def _headings(sheet: Sheet, t: Tidy, x: Scale, box: tuple[float, float, float, float], boundary: float) -> None:
    split = x.share(boundary) if math.isfinite(boundary) else 1.0
    split = min(max(split, 0.0), 1.0)
    level = box[1] + box[3] + 0.1
    before, after = t.mark("before_text"), t.mark("after_text")
    for words, start, width, color in (
        (before, 0.0, split, p.MUTED),
        (after, split, 1.0 - split, p.PROGRAM),
    ):
        room = width * box[2] - 0.1
        if words and room > 0.3:
            line = wrap(words, room, p.TICK, weight="semibold", lines=1)[0]
            sheet.text(box[0] + start * box[2] + 0.04, level, line, color=color, weight="semibold")
