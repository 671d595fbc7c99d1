"""``ecdf``: the share of two groups at or below each value of a score or covariate, before and after adjustment.

Columns: ``panel`` text (one row of panels per value), ``moment`` text (one panel per value, side by side), ``x``,
``program``, ``comparison`` (shares from 0 to 1). Marks: ``program_text``, ``comparison_text``.
"""

from __future__ import annotations

from evaltoolkit.plots.sheet import Sheet
from evaltoolkit.plots.small_multiples import Look, paint_curves


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    paint_curves(sheet, Look(ticks=(0.5, 1.0)))
