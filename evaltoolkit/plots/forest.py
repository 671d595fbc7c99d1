"""``forest``: estimates with their intervals, one row each, the numbers beside them.

Columns: ``label`` text, optional ``detail`` text, ``estimate``, ``low``, ``high``, optional ``main``. Marks:
``x_label``, ``zero`` (0, or 1 for ratios, which stand on a logarithmic axis), ``zero_text``, ``level``, ``unit``
(short: "%", "points"). Beyond forty rows the first forty are drawn, and the figure says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.axis import Scale, limits, tick_labels, value_scale
from evaltoolkit.plots.lettering import height_of, width_of, wrap
from evaltoolkit.plots.sheet import EDGE, TICK_ROOM, Sheet
from evaltoolkit.plots.tidy import Tidy, decimals, finite
from evaltoolkit.results import interval, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 40
_NAMES = 2.35
_LONGEST_UNIT = 8
_ONES = (0.001, 0.01, 0.1, 0.25, 0.5, 0.8, 1, 1.25, 2, 4, 10, 100, 1000)


@dataclass(frozen=True, slots=True)
class _Row:
    label: list[str]
    detail: list[str]
    numbers: tuple[float, float, float]
    main: bool
    value: str
    range: str

    @property
    def height(self) -> float:
        left = height_of(len(self.label), p.LABEL) + height_of(len(self.detail), p.SMALL)
        right = height_of(1, p.LABEL) + height_of(1, p.SMALL)
        return max(left, right) + 0.1


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    every = Tidy(sheet.figure)
    t = every.where(lambda i: i < MOST)
    rows = _read(t)
    zero, x = _scale(t)
    names = max((width_of(line, p.LABEL, "semibold") for r in rows for line in r.label), default=0.0)
    names = max([names, *(width_of(line, p.SMALL) for r in rows for line in r.detail)])
    values = max(
        [0.3, *(width_of(r.value, p.LABEL, "semibold") for r in rows), *(width_of(r.range, p.SMALL) for r in rows)]
    )
    left = EDGE + names + 0.25
    left_out = len(every) - len(t)
    foot = TICK_ROOM + (0.2 if t.mark("x_label") else 0) + (0.18 if left_out else 0)
    box = (left, sheet.floor + foot, sheet.width - left - EDGE - values - 0.22, max(sum(r.height for r in rows), 0.4))
    x = _roomy(x, box[2])
    sheet.open(foot + box[3] + 0.04)
    ax = sheet.axes(box, x, Scale(0.0, box[3], (), ()))
    for tick in x.ticks:
        ax.axvline(tick, color=p.GRID, lw=0.7, zorder=0)
    ax.axvline(0.0, color=p.INK, lw=0.9, zorder=1)
    _draw(sheet, ax, rows, box, zero)
    sheet.bottom(ax, x, box, t.mark("x_label"))
    if left_out:
        sheet.text(EDGE, sheet.floor + 0.08, f"The first {MOST} of {len(every)} rows.", size=p.SMALL)


def _read(t: Tidy) -> list[_Row]:
    estimates, lows, highs = t.numbers("estimate"), t.numbers("low"), t.numbers("high")
    signed = t.mark_number("zero", 0.0) != 1
    unit, level = _unit(t.mark("unit")), t.mark_number("level", 0.95)
    out = []
    for label, detail, e, low, high, main in zip(
        t.texts("label"), t.texts("detail"), estimates, lows, highs, t.cells("main"), strict=True
    ):
        digits = decimals(e, low, high)
        value = number(e, digits, signed=signed) + unit if math.isfinite(e) else "not shown"
        known = math.isfinite(low) and math.isfinite(high)
        span = f"{100 * level:.4g}% CI {interval(low, high, digits)}" if known else ""
        out.append(
            _Row(
                wrap(label, _NAMES, p.LABEL, weight="semibold", lines=2), wrap(detail, _NAMES, p.SMALL, lines=2),
                (e, low, high), bool(main), "".join(wrap(value, 1.2, p.LABEL, weight="semibold", lines=1)),
                "".join(wrap(span, 1.5, p.SMALL, lines=1)),
            )
        )  # fmt: skip
    return out


def _unit(words: str) -> str:
    """Return what follows a number: a sign at once, a short word after a space; the axis names a long unit."""
    if len(words) > _LONGEST_UNIT:
        return ""
    return f"\N{NO-BREAK SPACE}{words}" if words[:1].isalpha() else words


def _scale(t: Tidy) -> tuple[float, Scale]:
    """Return the value of no change and the axis in drawn units, where no change is 0."""
    values = finite(t.numbers("estimate"), t.numbers("low"), t.numbers("high"))
    zero = t.mark_number("zero", 0.0)
    words = t.mark("zero_text", "no change")
    if zero == 1 and values and min(values) > 0:
        low, high = limits([math.log(v) for v in [*values, 1.0]], pad=0.08)
        ticks = [v for v in _ONES if low <= math.log(v) <= high]
        labels = [words if v == 1 else f"{v:g}" for v in ticks]
        return 1.0, Scale(low, high, tuple(math.log(v) for v in ticks), tuple(labels))
    zero = zero if math.isfinite(zero) else 0.0
    raw = value_scale([*(v - zero for v in values), 0.0], most=6)
    labels = [words if t_ == 0 else s for t_, s in zip(raw.ticks, _labels(raw.ticks, zero), strict=True)]
    return zero, Scale(raw.low, raw.high, raw.ticks, tuple(labels))


def _labels(ticks: tuple[float, ...], zero: float) -> list[str]:
    return tick_labels([tick + zero for tick in ticks], signed=zero == 0)


def _roomy(x: Scale, width: float) -> Scale:
    """Drop tick labels that would touch; the one of no change stays."""
    kept: list[tuple[float, str]] = []
    places: list[tuple[float, float]] = []
    for tick, label in sorted(
        zip(x.ticks, x.labels, strict=True), key=lambda pair: (pair[0] != 0, -abs(pair[0]), pair[0])
    ):
        middle, half = x.share(tick) * width, width_of(label, p.TICK) / 2 + 0.05
        if all(middle + half <= low or middle - half >= high for low, high in places):
            kept.append((tick, label))
            places.append((middle - half, middle + half))
    kept.sort()
    return Scale(x.low, x.high, tuple(k for k, _ in kept), tuple(v for _, v in kept))


def _draw(sheet: Sheet, ax: Axes, rows: list[_Row], box: tuple[float, float, float, float], zero: float) -> None:
    at = box[3]
    for row in rows:
        middle = at - row.height / 2
        e, low, high = (_place(v, zero) for v in row.numbers)
        unclear = not (low > 0 or high < 0)
        dark, light = (p.GREY, p.GREY_LIGHT) if unclear else (p.PROGRAM, p.PROGRAM_LIGHT)
        if row.main:
            ax.axhspan(at - row.height, at, color=p.TINT_PROGRAM, lw=0, zorder=-1)
        ax.plot([low, high], [middle, middle], color=light, lw=5.0, solid_capstyle="butt", zorder=2)
        marker, fill, edge = ("D", "white", dark) if unclear else ("o", dark, "white")
        ax.plot([e], [middle], marker, ms=5.6 if unclear else 6.6, mfc=fill, mec=edge, mew=1.2, zorder=3)
        _words(sheet, row, box, box[1] + middle, color=p.MUTED if unclear or not row.range else p.PROGRAM)
        at -= row.height


def _words(sheet: Sheet, row: _Row, box: tuple[float, float, float, float], middle: float, *, color: str) -> None:
    block = height_of(len(row.label), p.LABEL) + height_of(len(row.detail), p.SMALL)
    top = middle + block / 2
    sheet.block(EDGE, top, row.label, size=p.LABEL, color=p.INK, weight="semibold")
    sheet.block(EDGE, top - height_of(len(row.label), p.LABEL), row.detail, size=p.SMALL)
    right = box[0] + box[2] + 0.16
    rows = [row.value, row.range] if row.range else [row.value]
    top = middle + (height_of(1, p.LABEL) + (height_of(1, p.SMALL) if row.range else 0)) / 2
    sheet.block(right, top, rows[:1], size=p.LABEL, color=color, weight="semibold")
    sheet.block(right, top - height_of(1, p.LABEL), rows[1:], size=p.SMALL)


def _place(value: float, zero: float) -> float:
    if not math.isfinite(value):
        return math.nan
    return math.log(value) if zero == 1 and value > 0 else value - zero
