"""``forest``: estimates with their intervals, one row each, the numbers beside them.

Columns: ``label`` text, optional ``detail`` text, ``estimate``, ``low``, ``high``, optional ``main``. Marks:
``x_label``, ``zero`` (0, or 1 for ratios, which stand on a logarithmic axis), ``zero_text``, ``level``, ``unit``
(short: "%", "points"). With more than 16 rows each is one
line; beyond 34 the first are drawn, and the figure says so.
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
from evaltoolkit.results import interval, level_text, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 34
_ROOMY = 16
_NAMES = 2.35
_LONGEST_UNIT = 8
_ONES = (0.001, 0.01, 0.1, 0.25, 0.5, 0.8, 1, 1.25, 2, 4, 10, 100, 1000)


@dataclass(frozen=True, slots=True)
class _Row:
    label: list[str]
    detail: list[str]
    value: str
    range: str
    numbers: tuple[float, float, float]
    main: bool

    @property
    def height(self) -> float:
        """The height of the row in inches."""
        left = height_of(len(self.label), p.LABEL) + height_of(len(self.detail), p.SMALL)
        right = height_of(1, p.LABEL) + (height_of(1, p.SMALL) if self.range else 0.0)
        return max(left, right) + (0.1 if self.range or self.detail else 0.05)


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
    note = _foot(t, len(every))
    foot = TICK_ROOM + (0.2 if t.mark("x_label") else 0) + (0.18 if note else 0)
    box = (left, sheet.floor + foot, sheet.width - left - EDGE - values - 0.22, max(sum(r.height for r in rows), 0.4))
    x = _roomy(x, box[2])
    sheet.open(foot + box[3] + 0.04)
    ax = sheet.axes(box, x, Scale(0.0, box[3], (), ()))
    for tick in x.ticks:
        ax.axvline(tick, color=p.GRID, lw=0.7, zorder=0)
    ax.axvline(0.0, color=p.INK, lw=0.9, zorder=1)
    _draw(sheet, ax, rows, box, zero)
    sheet.bottom(ax, x, box, t.mark("x_label"))
    sheet.text(EDGE, sheet.floor + 0.08, note, size=p.SMALL)


def _read(t: Tidy) -> list[_Row]:
    signed = t.mark_number("zero", 0.0) != 1
    unit, level = _unit(t.mark("unit")), t.mark_number("level", 0.95)
    numbers = zip(t.numbers("estimate"), t.numbers("low"), t.numbers("high"), strict=True)
    out = []
    for label, detail, (e, low, high), main in zip(
        t.texts("label"), t.texts("detail"), numbers, t.cells("main"), strict=True
    ):
        digits = decimals(e, low, high)
        value = number(e, digits, signed=signed) + unit if math.isfinite(e) else "not shown"
        span = interval(low, high, digits) if math.isfinite(low) and math.isfinite(high) else ""
        texts = _line(label, detail, value, span) if len(t) > _ROOMY else _block(label, detail, value, span, level)
        out.append(_Row(*texts, numbers=(e, low, high), main=bool(main)))
    return out


_Texts = tuple[list[str], list[str], str, str]


def _block(label: str, detail: str, value: str, span: str, level: float) -> _Texts:
    """Return a row on two lines: the detail below the label, the interval below the value."""
    said = f"{level_text(level)} CI {span}" if span else ""
    name = wrap(label, _NAMES, p.LABEL, weight="semibold", lines=2)
    return name, wrap(detail, _NAMES, p.SMALL, lines=2), _short(value, p.LABEL), _short(said, p.SMALL)


def _line(label: str, detail: str, value: str, span: str) -> _Texts:
    """Return a row on one line; the level stands below the axis once."""
    name = wrap(f"{label}, {detail}" if detail else label, _NAMES, p.LABEL, weight="semibold", lines=1)
    return name, [], _short(f"{value} ({span})" if span else value, p.LABEL), ""


def _short(words: str, size: float) -> str:
    return "".join(wrap(words, 1.9, size, weight="semibold", lines=1))


def _foot(t: Tidy, every: int) -> str:
    first = f"The first {MOST} of {every} rows. " if every > len(t) else ""
    return first + f"In parentheses: {level_text(t.mark_number('level', 0.95))} intervals." if len(t) > _ROOMY else ""


def _unit(words: str) -> str:
    """Return what follows a number: a sign at once, a short word after a space; the axis names a long unit."""
    if len(words) > _LONGEST_UNIT:
        return ""
    return f" {words}" if words[:1].isalpha() else words


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
        _words(sheet, row, box, box[1] + middle, color=p.MUTED if unclear else p.PROGRAM)
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
