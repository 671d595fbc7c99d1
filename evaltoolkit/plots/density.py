"""``density``: the distribution of a score or covariate in two groups, as smooth curves before and after adjustment.

Columns: ``panel`` text (one row of panels per value), ``moment`` text (one panel per value, side by side), ``x``,
``program``, ``comparison`` (heights; the panels of a row share their scale). Marks: ``program_text``,
``comparison_text``.
"""

from __future__ import annotations

from evaltoolkit.plots.sheet import Sheet
from evaltoolkit.plots.small_multiples import Look, paint_curves


def paint(sheet: Sheet) -> None:
    """Draw the figure on the sheet."""
    paint_curves(sheet, Look(filled=True))
