"""Cohorts, periods and cells: which contrasts a panel with different starts allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

NEVER: Final = int(np.iinfo(np.int64).max)
"""The start of a unit that is never treated."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How cells are estimated.

    Attributes
    ----------
    comparison
        ``never`` treated units, or those ``not-yet`` treated in either of the two periods.
    adjust
        ``doubly-robust``, ``weighting`` or ``regression``; all the same where the design is an intercept.
    base_period
        ``varying``: cells before the start compare with the period before them; ``universal``: with the last one before
        the start.
    anticipation
        Periods before the start in which behaviour may already change. Cells in these periods have the same base as
        those after the start (R ``did`` since August 2026), whatever ``base_period`` says.
    """

    comparison: Literal["never", "not-yet"] = "not-yet"
    adjust: Literal["doubly-robust", "weighting", "regression"] = "doubly-robust"
    base_period: Literal["varying", "universal"] = "varying"
    anticipation: int = 0


class CellError(ValueError):
    """A cell cannot be estimated: which cohort, why, and the column of the design to blame (0 for none)."""

    def __init__(self, why: Literal["separation", "collinear", "empty"], cohort: int, column: int = 0) -> None:
        self.why = why
        self.cohort = cohort
        self.column = column
        super().__init__(f"{why} in cohort {cohort}, column {column}")


def cells(start: IntArray, periods: IntArray, rule: Rule) -> list[tuple[int, int, int]]:
    """Return cohort, period and base period of every cell that can be estimated.

    >>> cells(np.array([3, NEVER]), np.array([1, 2, 3, 4]), Rule())
    [(3, 2, 1), (3, 3, 2), (3, 4, 2)]
    """
    found = []
    for g in np.unique(start[start <= periods[-1]]).tolist():
        before = periods[periods + rule.anticipation < g]
        if before.size == 0:
            continue
        reference = int(before[-1])
        for i, t in enumerate(periods.tolist()):
            varying = rule.base_period == "varying" and t + rule.anticipation < g
            if varying and i == 0:
                continue
            base = int(periods[i - 1]) if varying else reference
            if t != base or rule.base_period == "universal":
                found.append((g, t, base))
    return found


def comparison_units(start: IntArray, periods: IntArray, rule: Rule, cell: tuple[int, int, int]) -> Mask:
    """Return who a cell is compared with, shape (n,)."""
    g, t, base = cell
    if rule.comparison == "never":
        found: Mask = start > int(periods[-1]) + rule.anticipation
    else:
        found = (start > max(t, base) + rule.anticipation) & (start != g)
    return found
