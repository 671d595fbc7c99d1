"""Two curves in each of many small panels: rows for what is compared, columns for before and after."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.axis import Scale, limits, round_ticks, tick_labels
from evaltoolkit.plots.lettering import width_of, wrap
from evaltoolkit.plots.sheet import EDGE, TICK_ROOM, Sheet, tick_width
from evaltoolkit.plots.tidy import Tidy, finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TALL = 0.62
_TITLE = 0.2
_KEY = 0.24
_GUTTER = 0.22
_MOST = 5
_DASHES = (0, (4, 1.8))


@dataclass(frozen=True, slots=True)
class Look:
    """How the curves look: heights with ticks, or only shapes; filled or not."""

    ticks: tuple[float, ...] = ()
    filled: bool = False


def paint_curves(sheet: Sheet, look: Look) -> None:
    """Draw the figure on the sheet; beyond five rows the first five are drawn, and the figure says so."""
    t = Tidy(sheet.figure)
    everything = t.split("panel")
    rows = everything[:_MOST] or [("", t)]
    moments = list(dict.fromkeys(t.texts("moment"))) or [""]
    left_out = len(everything) - len(everything[:_MOST])
    foot = 0.2 if left_out else 0.0
    tall = sheet.tall(_TALL)
    step = _TITLE + tall + TICK_ROOM + 0.06
    marks = Scale(0.0, 1.04, look.ticks, tuple(f"{tick:g}" for tick in look.ticks))
    left = EDGE + (tick_width(marks) + 0.1 if look.ticks else 0.06)
    width = (sheet.width - left - EDGE - 0.06 - _GUTTER * (len(moments) - 1)) / len(moments)
    sheet.open(foot + step * len(rows) + _KEY + 0.04)
    for i, (name, part) in enumerate(rows):
        bottom = sheet.floor + foot + step * (len(rows) - 1 - i) + TICK_ROOM
        _row(sheet, (name, part), moments, ((left, bottom, width, tall), marks, look))
    _key(sheet, t, moments, (left, sheet.floor + foot + step * len(rows), width))
    if left_out:
        words = f"The first {_MOST} of {len(everything)} are drawn."
        sheet.text(EDGE, sheet.floor + 0.08, words, size=p.SMALL)


def _row(
    sheet: Sheet, named: tuple[str, Tidy], moments: list[str],
    place: tuple[tuple[float, float, float, float], Scale, Look],
) -> None:  # fmt: skip
    (name, part), ((left, bottom, width, tall), marks, look) = named, place
    low, high = limits(finite(part.numbers("x")), pad=0.004)
    ticks = round_ticks(low, high, 5)
    x = Scale(low, high, tuple(ticks), tuple(tick_labels(ticks)))
    top = 1.04 if look.ticks else max(finite(part.numbers("program"), part.numbers("comparison")), default=0) * 1.06
    y = Scale(0.0, top or 1.0, marks.ticks, marks.labels)
    if name:
        line = wrap(name, sheet.width - left - EDGE, p.TICK, weight="semibold", lines=1)[0]
        sheet.text(left, bottom + tall + 0.1, line, color=p.TEXT, weight="semibold")
    words = part.texts("moment")
    for k, moment in enumerate(moments):
        box = (left + k * (width + _GUTTER), bottom, width, tall)
        ax = sheet.axes(box, x, y)
        for tick in y.ticks:
            ax.axhline(tick, color=p.GRID, lw=0.7, zorder=0)
        if k == 0:
            sheet.grid(ax, y, box)
        shown = part.where(lambda i, moment=moment: words[i] == moment)  # type: ignore[misc]
        _curves(ax, shown, filled=look.filled)
        sheet.bottom(ax, _thinned(x, width), box)
        if not finite(shown.numbers("program"), shown.numbers("comparison")):
            sheet.nothing(box)


def _thinned(x: Scale, width: float) -> Scale:
    """Return the scale with as many ticks as have room, none of whose labels reaches beyond the panel by much."""
    room = _GUTTER / 2 - 0.02
    kept = [
        (tick, label)
        for tick, label in zip(x.ticks, x.labels, strict=True)
        if abs(x.share(tick) - 0.5) * width + width_of(label, p.TICK) / 2 <= width / 2 + room
    ]
    widest = max((width_of(label, p.TICK) for _, label in kept), default=0.0) + 0.1
    gap = (kept[1][0] - kept[0][0]) / (x.high - x.low) * width if len(kept) > 1 else math.inf
    every = math.ceil(widest / gap) if gap > 0 else 1
    kept = kept[:: max(every, 1)]
    return Scale(x.low, x.high, tuple(t for t, _ in kept), tuple(label for _, label in kept))


def _curves(ax: Axes, t: Tidy, *, filled: bool) -> None:
    xs = t.numbers("x")
    program, comparison = t.numbers("program"), t.numbers("comparison")
    if filled:
        ax.fill_between(xs, 0, program, color=p.TINT_PROGRAM, lw=0, zorder=1)
    ax.plot(xs, comparison, color=p.COMPARISON, lw=1.5, ls=_DASHES, zorder=3)
    ax.plot(xs, program, color=p.PROGRAM, lw=1.8, zorder=2, solid_capstyle="round")


def _key(sheet: Sheet, t: Tidy, moments: list[str], place: tuple[float, float, float]) -> None:
    left, level, width = place
    for k, moment in enumerate(moments):
        line = "".join(wrap(moment, width * 0.5, p.TICK, lines=1))
        sheet.text(left + k * (width + _GUTTER), level + 0.08, line)
    entries = ((t.mark("program_text", "Program"), "program"), (t.mark("comparison_text", "Comparison"), "comparison"))
    at = sheet.width - EDGE
    room = (width * 0.5 - 0.2 if len(moments) == 1 else width * 0.5) - 0.36
    for words, which in reversed(entries):
        line = "".join(wrap(words, room, p.TICK, weight="semibold", lines=1))
        at -= width_of(line, p.TICK, "semibold")
        color = p.PROGRAM if which == "program" else p.COMPARISON
        height = level + 0.08 if len(moments) == 1 else level + 0.22
        sheet.text(at, height, line, color=color, weight="semibold")
        _stroke(sheet, (at - 0.31, height), color, dashed=which == "comparison")
        at -= 0.31 + 0.18


def _stroke(sheet: Sheet, place: tuple[float, float], color: str, *, dashed: bool) -> None:
    from matplotlib.lines import Line2D

    x, y = place
    sheet.canvas.add_artist(
        Line2D(
            [x / sheet.width, (x + 0.25) / sheet.width], [y / sheet.height] * 2, color=color, lw=1.8,
            ls=_DASHES if dashed else "-", transform=sheet.canvas.transFigure,
        )
    )  # fmt: skip
