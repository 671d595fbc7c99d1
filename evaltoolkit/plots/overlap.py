"""``overlap``: where the two groups lie on the score, mirrored histograms.

Columns: ``low``, ``high`` (edges of the bin), ``program``, ``comparison`` (share of each group in the bin), optional
``panel`` text (one small panel per value). Marks: ``x_label``, ``program_text``, ``comparison_text``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.axis import Scale, limits, round_ticks, tick_labels
from evaltoolkit.plots.endlabels import GAP_ROOM, EndLabel, cross, gap_note, room_for, write_labels
from evaltoolkit.plots.lettering import wrap
from evaltoolkit.plots.sheet import EDGE, TICK_ROOM, Sheet
from evaltoolkit.plots.tidy import Tidy, finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANEL_HEIGHT = 1.25
_TITLE = 0.22


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    tall = sheet.tall(_PANEL_HEIGHT)
    t = Tidy(sheet.figure)
    panels = t.split("panel") if t.has("panel") else [("", t)]
    edges = finite(t.numbers("low"), t.numbers("high"))
    low, high = limits(edges, pad=0.01)
    ticks = round_ticks(low, high, 7)
    x = Scale(low, high, tuple(ticks), tuple(tick_labels(ticks)))
    tallest = max(finite(t.numbers("program"), t.numbers("comparison")), default=0.0) * 1.08 or 1.0
    y = Scale(-tallest, tallest, (), ())
    labels = [
        EndLabel(t.mark("program_text", "Program"), tallest / 2, p.PROGRAM),
        EndLabel(t.mark("comparison_text", "Comparison"), -tallest / 2, p.COMPARISON),
    ]
    hidden = sum(not math.isfinite(v) for key in ("program", "comparison") for v in t.numbers(key))
    titled = _TITLE if len(panels) > 1 or panels[0][0] else 0.0
    step = tall + titled + 0.08
    foot = TICK_ROOM + (0.2 if t.mark("x_label") else 0) + (GAP_ROOM if hidden else 0)
    width = sheet.width - EDGE - 0.16 - room_for(labels)
    sheet.open(foot + step * len(panels))
    for i, (name, part) in enumerate(panels):
        box = (EDGE + 0.16, sheet.floor + foot + step * (len(panels) - 1 - i), width, tall)
        ax = sheet.axes(box, x, y)
        _bars(ax, part)
        if titled and name:
            line = wrap(name, width, p.TICK, weight="semibold", lines=1)[0]
            sheet.text(box[0], box[1] + box[3] + 0.11, line, color=p.TEXT, weight="semibold")
        write_labels(sheet, labels, y, box)
        if i == len(panels) - 1:
            sheet.bottom(ax, x, box, t.mark("x_label"))
        if not finite(part.numbers("program"), part.numbers("comparison")):
            sheet.nothing((box[0], box[1] + 0.3, box[2], box[3] - 0.3))
    gap_note(sheet, hidden, sheet.floor + 0.08)


def _bars(ax: Axes, t: Tidy) -> None:
    for low, high, program, comparison in zip(
        t.numbers("low"), t.numbers("high"), t.numbers("program"), t.numbers("comparison"), strict=True
    ):
        if not (math.isfinite(low) and math.isfinite(high)):
            continue
        gap = 0.06 * (high - low)
        if program > 0:
            ax.bar(low + gap, program, high - low - 2 * gap, align="edge", color=p.PROGRAM, lw=0, zorder=2)
        if comparison > 0:
            ax.bar(
                low + gap, -comparison, high - low - 2 * gap, align="edge", facecolor="white", edgecolor=p.COMPARISON,
                hatch="/////", lw=0.7, zorder=2,
            )  # fmt: skip
    for key, height in (("program", 0.55), ("comparison", 0.45)):
        edges = zip(t.numbers("low"), t.numbers("high"), t.numbers(key), strict=True)
        cross(ax, [(low + high) / 2 for low, high, v in edges if math.isnan(v) and math.isfinite(low + high)], height)
    ax.axhline(0, color=p.INK, lw=1.2, zorder=3)
