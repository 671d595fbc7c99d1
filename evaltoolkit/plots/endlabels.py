"""Labels at the right end of lines, beside what they name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.axis import Scale, spread
from evaltoolkit.plots.lettering import height_of, width_of, wrap
from evaltoolkit.plots.sheet import EDGE, Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDEST = 1.45
SPACE = 0.08
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class EndLabel:
    """A label and the height (data units) at which its line ends."""

    words: str
    at: float
    color: str


def end_of(ys: list[float]) -> float:
    """Return the last value of a line that is shown."""
    return next((y for y in reversed(ys) if math.isfinite(y)), math.nan)


def room_for(labels: list[EndLabel]) -> float:
    """Return the width in inches that the labels take, their distance from the lines included."""
    widths = [width_of(line, p.LABEL, "semibold") for label in labels for line in _lines(label, len(labels))]
    return SPACE + max(widths, default=0.0) + 2 * EDGE


def write_labels(sheet: Sheet, labels: list[EndLabel], y: Scale, box: Box) -> None:
    """Write the labels to the right of the box, moved apart where they would touch."""
    blocks = [_lines(label, len(labels)) for label in labels]
    sizes = [height_of(len(lines), p.LABEL) + 0.04 for lines in blocks]
    wanted = [box[1] + box[3] * (y.share(label.at) if math.isfinite(label.at) else 0.5) for label in labels]
    middles = spread(wanted, sizes, box[1] - 0.04, box[1] + box[3] + 0.04)
    for label, lines, middle in zip(labels, blocks, middles, strict=True):
        top = middle + height_of(len(lines), p.LABEL) / 2
        sheet.block(box[0] + box[2] + SPACE, top, lines, size=p.LABEL, color=label.color, weight="semibold")


def _lines(label: EndLabel, how_many: int) -> list[str]:
    return wrap(label.words, WIDEST, p.LABEL, weight="semibold", lines=3 if how_many <= 4 else 1)


def place_starts(starts: list[tuple[float, str]], x: Scale, box: Box) -> tuple[list[tuple[float, int, str]], int]:
    """Return where labels of dates stand above the axes: left edge in inches, row from below, text; and the rows used.

    Where they do not fit in three rows, one text says how many there are.
    """
    ends = [-math.inf] * 3
    out: list[tuple[float, int, str]] = []
    widest = box[2] * 0.6
    for at, label in starts:
        words = "".join(wrap(label, widest, p.SMALL, lines=1))
        wide = width_of(words, p.SMALL)
        left = min(max(box[0] + x.share(at) * box[2] - 0.03, box[0]), box[0] + box[2] - wide)
        row = next((r for r in range(3) if ends[r] + 0.1 <= left), None)
        if row is None:
            words = f"{len(starts)} dates: {starts[0][1]} to {starts[-1][1]}"
            return [(box[0], 0, "".join(wrap(words, box[2], p.SMALL, lines=1)))], 1
        ends[row] = left + wide
        out.append((left, row, words))
    return out, 1 + max((row for _, row, _ in out), default=-1)


def draw_starts(sheet: Sheet, ax: Axes, starts: list[tuple[float, str]], x: Scale, box: Box) -> None:
    """Draw a dotted line at each date and its label above the axes."""
    places, _ = place_starts(starts, x, box)
    for at, _ in starts:
        ax.axvline(at, color=p.INK, lw=0.9 if len(starts) <= 6 else 0.5, ls=(0, (1.5, 1.8)), zorder=2)
    for left, row, words in places:
        sheet.text(left, box[1] + box[3] + 0.1 + row * 0.16, words, size=p.SMALL, color=p.TEXT)


def start_room(starts: list[tuple[float, str]], x: Scale, box: Box) -> float:
    """Return the height in inches that the labels of the dates take above the axes."""
    _, rows = place_starts(starts, x, box)
    return 0.06 + rows * 0.16


def cross(ax: Axes, xs: list[float], height: float = 0.03) -> None:
    """Put a cross where a value is not shown; ``height`` is a share of the axes, from below."""
    if xs:
        ax.plot(
            xs, [height] * len(xs), "x", ms=3.4, mec=p.MUTED, mew=0.9, zorder=6, clip_on=False,
            transform=ax.get_xaxis_transform(),
        )  # fmt: skip


def gap_note(sheet: Sheet, hidden: int, bottom: float) -> None:
    """Say below the axis what a cross stands for, and how many there are."""
    if hidden:
        noun = "value" if hidden == 1 else "values"
        sheet.marker(EDGE + 0.05, bottom, "x", "none", p.MUTED)
        sheet.text(EDGE + 0.14, bottom, f"{hidden} {noun} not shown or not available.", size=p.SMALL)


GAP_ROOM = 0.18
