"""``specification_curve``: estimates of many analyses from the lowest to the highest, and below what each one chose.

Columns: ``label`` text, ``estimate``, ``low``, ``high``, optional ``main``, and columns whose keys begin with
``choice``: what was chosen of one kind (the column's label), in words; empty where it does not apply. Marks:
``y_label``, ``zero`` (the value of no change), ``zero_text`` (what it is called), ``main_text``. Beyond 80 analyses the
first are drawn, beyond 30 choices too, and the figure says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.axis import Scale, value_scale
from evaltoolkit.plots.lettering import height_of, one_line, width_of, wrap
from evaltoolkit.plots.sheet import EDGE, Sheet, tick_width
from evaltoolkit.plots.tidy import Tidy, finite
from evaltoolkit.results import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST: Final = 80
MOST_CHOICES: Final = 30
_CURVE: Final = 2.15
_KEY: Final = 0.22
_OWN: Final = 0.19
_ROW: Final = 0.162
_HEAD: Final = 0.205
_NAMES: Final = 1.85
_LOW_ROOM: Final = 0.06
_WIDEST: Final = 4.0
"""Times the middle interval; one that reaches farther runs off the axis."""
_KINDS: Final = 6

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class _Group:
    """One kind of choice: its name, its levels, and the level of each analysis (-1 for none)."""

    name: str
    levels: list[str]
    chosen: list[int]

    @property
    def height(self) -> float:
        """The height in inches."""
        return _HEAD + _ROW * len(self.levels)


@dataclass(frozen=True, slots=True)
class _Look:
    """How the mark of one analysis is drawn."""

    dark: str
    light: str
    marker: str
    fill: str


_CLEAR: Final = _Look(p.PROGRAM, p.PROGRAM_LIGHT, "o", p.PROGRAM)
_UNCLEAR: Final = _Look(p.GREY, p.GREY_LIGHT, "D", "white")


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    every = Tidy(sheet.figure)
    t, unseen = _sorted(every)
    groups, left_out = _groups(sheet, t)
    zero = t.mark_number("zero", 0.0)
    zero = zero if math.isfinite(zero) else 0.0
    y, cut = _scale(t, zero)
    names = [width_of(_short(name), p.TICK) for g in groups for name in g.levels]
    names += [width_of(_short(g.name), p.TICK, "semibold") for g in groups]
    left = EDGE + max([tick_width(y), *names]) + 0.14
    notes = wrap(_notes(len(every), unseen, left_out, cut), sheet.width - 2 * EDGE, p.SMALL, lines=2)
    foot = height_of(len(notes), p.SMALL) + (0.06 if notes else 0.0)
    matrix = sum(g.height for g in groups) + _LOW_ROOM
    box = (left, sheet.floor + foot + matrix + _LOW_ROOM, sheet.width - left - EDGE - 0.04, sheet.tall(_CURVE))
    named = _own_words(t, box[2])
    above = (_OWN if named else 0.04) + _KEY
    measure = sheet.measure(t.mark("y_label"))
    sheet.open(foot + matrix + _LOW_ROOM + box[3] + above + measure)
    sheet.name_measure(t.mark("y_label"), box[1] + box[3] + above + measure)
    under = (left, sheet.floor + foot, box[2], matrix + _LOW_ROOM)
    x = Scale(-0.5, max(len(t), 1) - 0.5, (), ())
    ax = sheet.axes(box, x, y)
    sheet.grid(ax, y, box)
    ax.axhline(zero, color=p.INK, lw=0.9, zorder=1.5)
    below = sheet.axes(under, x, Scale(0.0, under[3], (), ()))
    _curve(ax, t, zero, box[2])
    _matrix(sheet, below, groups, under, t)
    _own(sheet, (ax, below), t, box, x)
    _key(sheet, t, box, box[1] + box[3] + above - _KEY / 2)
    sheet.block(EDGE, sheet.floor + foot - 0.04, notes, size=p.SMALL)
    if not len(t):
        sheet.nothing(box)


def _sorted(every: Tidy) -> tuple[Tidy, int]:
    """Return the analyses that can be shown, by their estimate, and how many cannot."""
    values = every.numbers("estimate")
    seen = [i for i, v in enumerate(values) if math.isfinite(v)]
    drawn = sorted(seen[:MOST], key=lambda i: (values[i], i))
    return Tidy(every.figure, [every.rows[i] for i in drawn]), len(values) - len(seen)


def _scale(t: Tidy, zero: float) -> tuple[Scale, int]:
    """Return the scale, with the value of no change, and how many intervals run off it."""
    rows = list(zip(t.numbers("estimate"), t.numbers("low"), t.numbers("high"), strict=True))
    reaches = sorted(max(e - low, high - e) for e, low, high in rows if math.isfinite(low) and math.isfinite(high))
    longest = _WIDEST * reaches[len(reaches) // 2] if reaches else 0.0
    ends = [v for e, low, high in rows for v in finite([max(low, e - longest)], [min(high, e + longest)])]
    cut = sum(reach > longest for reach in reaches)
    return value_scale([*ends, *t.numbers("estimate"), zero], signed=True), cut


def _groups(sheet: Sheet, t: Tidy) -> tuple[list[_Group], int]:
    """Return the kinds of choices, levels in the order in which the figure lists them, and how many are left out."""
    listed = Tidy(sheet.figure)
    out: list[_Group] = []
    left_out, room = 0, MOST_CHOICES
    for column in sheet.figure.columns:
        if not column.key.startswith("choice"):
            continue
        chosen = t.texts(column.key)
        levels = [level for level in dict.fromkeys(listed.texts(column.key)) if level and level in chosen]
        kept = levels[: room if len(out) < _KINDS else 0]
        left_out += len(levels) - len(kept)
        room -= len(kept)
        if kept:
            at = {level: i for i, level in enumerate(kept)}
            out.append(_Group(one_line(column.label), kept, [at.get(level, -1) for level in chosen]))
    return out, left_out


def _notes(every: int, unseen: int, levels: int, cut: int) -> str:
    said = [
        f"{unseen} of {every} analyses have no estimate that can be shown." if unseen else "",
        f"The first {MOST} of {every - unseen} analyses are drawn." if every - unseen > MOST else "",
        f"{plural(levels, 'further choice')} not drawn." if levels else "",
        f"{plural(cut, 'wide interval')} cut off at the edge." if cut else "",
    ]
    return " ".join(words for words in said if words)


def _short(words: str) -> str:
    return "".join(wrap(words, _NAMES, p.TICK, lines=1))


def _curve(ax: Axes, t: Tidy, zero: float, wide: float) -> None:
    """Draw the estimates with their intervals."""
    step = 72 * wide / max(len(t), 1)
    bar, mark = min(4.2, 0.42 * step), min(5.2, max(2.2, 0.5 * step))
    mains = t.cells("main")
    rows = zip(t.numbers("estimate"), t.numbers("low"), t.numbers("high"), mains, strict=True)
    for i, (e, low, high, main) in enumerate(rows):
        look = _CLEAR if low > zero or high < zero else _UNCLEAR
        ax.plot([i, i], [low, high], color=look.light, lw=bar, solid_capstyle="butt", zorder=2)
        edge = look.dark if look is _UNCLEAR else "white"
        size = (mark + (1.8 if main else 0.0)) * (0.84 if look is _UNCLEAR else 1.0)
        ax.plot(
            [i], [e], look.marker, ms=size, mfc=look.fill, mec=edge, mew=min(1.0, 0.2 * mark), zorder=3 + bool(main)
        )


def _matrix(sheet: Sheet, ax: Axes, groups: list[_Group], box: Box, t: Tidy) -> None:
    """Draw a dot where an analysis made a choice; those of the main analysis are larger and blue."""
    mains = set(_mains(t))
    size = min(4.4, max(2.0, 0.44 * 72 * box[2] / max(len(t), 1)))
    at = box[3] - _LOW_ROOM
    for group in groups:
        sheet.text(box[0] - 0.1, box[1] + at - _HEAD / 2, _short_bold(group.name), color=p.INK, weight="semibold",
                   across="right")  # fmt: skip
        at -= _HEAD
        for k, level in enumerate(group.levels):
            middle = at - _ROW / 2
            ax.axhline(middle, color=p.GRID, lw=0.7, zorder=0)
            for main, color, more in ((False, p.INK, 0.0), (True, p.PROGRAM, 1.4)):
                here = [i for i, c in enumerate(group.chosen) if c == k and (i in mains) == main]
                ax.plot(here, [middle] * len(here), "o", ms=size + more, mfc=color, mew=0, zorder=3)
            sheet.text(box[0] - 0.1, box[1] + middle, _short(level), color=p.TEXT, across="right")
            at -= _ROW


def _short_bold(words: str) -> str:
    return "".join(wrap(words, _NAMES, p.TICK, weight="semibold", lines=1))


def _mains(t: Tidy) -> list[int]:
    return [i for i, main in enumerate(t.cells("main")) if main]


def _own_words(t: Tidy, wide: float) -> str:
    """Return the name of the main analysis, where there is one."""
    words = t.mark("main_text") if len(_mains(t)) == 1 else ""
    return "".join(wrap(words, wide * 0.6, p.TICK, weight="semibold", lines=1))


def _own(sheet: Sheet, axes: tuple[Axes, Axes], t: Tidy, box: Box, x: Scale) -> None:
    """Tint the column of the main analysis from top to bottom, and name it above."""
    estimates = t.numbers("estimate")
    for i in _mains(t):
        axes[0].axhline(estimates[i], color=p.PROGRAM, lw=0.8, ls=(0, (5, 3)), zorder=1)
        for ax in axes:
            ax.axvspan(i - 0.5, i + 0.5, color=p.TINT_PROGRAM, lw=0, zorder=-1)
    words = _own_words(t, box[2])
    if words:
        half = width_of(words, p.TICK, "semibold") / 2
        middle = box[0] + x.share(_mains(t)[0]) * box[2]
        middle = min(max(middle, box[0] + half), box[0] + box[2] - half)
        sheet.text(
            middle, box[1] + box[3] + _OWN / 2, words, color=p.PROGRAM, weight="semibold", across="center"
        )  # fmt: skip


def _key(sheet: Sheet, t: Tidy, box: Box, level: float) -> None:
    """Say above the curve what filled and hollow marks stand for."""
    zero = t.mark("zero_text", "zero")
    at = box[0] + 0.05
    for look, words in ((_CLEAR, f"interval excludes {zero}"), (_UNCLEAR, f"interval includes {zero}")):
        line = "".join(wrap(words, box[2] / 2 - 0.3, p.SMALL, lines=1))
        sheet.marker(at, level, look.marker, look.fill, look.dark)
        sheet.text(at + 0.1, level, line, size=p.SMALL)
        at += 0.1 + width_of(line, p.SMALL) + 0.25
