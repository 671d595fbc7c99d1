"""Group-time average treatment effects of a panel (Callaway and Sant'Anna)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.aggregate import Sizes
from evaltoolkit.kernels.cell_models import Cell, distinct, models, stack
from evaltoolkit.kernels.cell_scores import joint
from evaltoolkit.kernels.cell_terms import TRIM
from evaltoolkit.kernels.cohorts import NEVER, CellError, Rule, cells, comparison_units

__all__ = [
    "NEVER",
    "TRIM",
    "CellError",
    "GroupTime",
    "Rule",
    "Study",
    "cells",
    "comparison_units",
    "effects",
    "group_time",
    "group_time_study",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

FEW_ROWS, LOOK = 200, 4096
"""Distinct rows of covariates up to which sums by row are used, and units that are looked at for them."""
MANY = 20_000
"""Units beyond which, where they are the clusters, cross-products stand in for a row of scores for each."""


@dataclass(frozen=True, slots=True)
class GroupTime:
    """K cells, each a cohort in a period.

    Attributes
    ----------
    cohort, period, base
        Start of the cohort, period of the cell, and period compared with, shape (K,). ``period == base`` is a
        reference cell: zero by definition.
    att
        Effects, shape (K,).
    scores
        Influence functions summed in clusters, shape (R, K), scaled so that ``scores.T @ scores`` is the covariance.
        R is the number of clusters, or smaller where there are very many (then rows are no clusters).
    n_treated, n_comparison
        Units in each cell, shape (K,).
    """

    cohort: IntArray
    period: IntArray
    base: IntArray
    att: FloatArray
    scores: FloatArray
    n_treated: IntArray
    n_comparison: IntArray

    @property
    def event_time(self) -> IntArray:
        """Periods since the start, shape (K,)."""
        return self.period - self.cohort

    @property
    def reference(self) -> Mask:
        """Which cells are zero by definition, shape (K,)."""
        same: Mask = self.period == self.base
        return same


@dataclass(frozen=True, slots=True)
class Study:
    """Cells with what aggregations need.

    Attributes
    ----------
    cells
        The cells.
    sizes
        Weight of each cohort, by cluster too.
    levels, level_scores
        Mean outcome of the cohort in the cell's period, shape (K,), and its scores, shape (R, K).
    """

    cells: GroupTime
    sizes: Sizes
    levels: FloatArray
    level_scores: FloatArray


def group_time(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    design: FloatArray,
    rule: Rule,
    clusters: IntArray | None = None,
    weights: FloatArray | None = None,
) -> GroupTime:
    r"""Estimate :math:`ATT(g,t) = E[Y_t(g) - Y_t(\infty) \mid G = g]` for every cohort and period.

    With :math:`\Delta Y = Y_t - Y_b`, comparison units C, regression :math:`\hat\mu(x)` of :math:`\Delta Y` on x in C,
    score :math:`\hat p(x)` of being in the cohort and odds :math:`e = \hat p / (1 - \hat p)`:

    .. math:: ATT(g,t) = \frac{\sum_g w (\Delta Y - \hat\mu)}{\sum_g w}
        - \frac{\sum_C w e (\Delta Y - \hat\mu)}{\sum_C w e}.

    ``weighting`` sets :math:`\hat\mu = 0`; ``regression`` leaves out the second term. Scores account for the estimation
    of both models. In a panel with holes a cell uses the units that are observed in both of its periods. Large panels
    without covariates, or with few distinct rows of them, are estimated from their moments (``moment_group_time``): the
    same numbers from sums by cohort and row.

    Parameters
    ----------
    outcome
        Shape (n, T), columns in the order of ``periods``; NaN where a unit was not observed.
    start
        First treated period of each unit, ``NEVER`` for none, shape (n,). Every start lies after the first period.
    periods
        Ascending, shape (T,).
    design
        Intercept first, then covariates: shape (n, T, k), or (n, 1, k) where they do not change over time. A cell uses
        the values in the earlier of its two periods; a unit without them is not in the cell.
    rule
        How cells are estimated.
    clusters
        Codes 0 .. C - 1, shape (n,); None where units are the clusters.
    weights
        Sampling weights, above zero, shape (n,); None for ones.

    Returns
    -------
    GroupTime

    Raises
    ------
    CellError
        A cell has no comparison units, its covariates are collinear among them, or they tell the cohort apart.

    References
    ----------
    Callaway, B. and Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of
    Econometrics 225. doi:10.1016/j.jeconom.2020.12.001
    Sant'Anna, P. and Zhao, J. (2020). Doubly robust difference-in-differences estimators. Journal of Econometrics 219.
    doi:10.1016/j.jeconom.2020.06.003

    Examples
    --------
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> found = group_time(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]), np.ones((4, 1, 1)), Rule())
    >>> found.att.tolist(), found.event_time.tolist()
    ([0.0, 6.0], [-1, 0])
    """
    return group_time_study(outcome, start, periods, design, rule, clusters, weights).cells


def group_time_study(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    design: FloatArray,
    rule: Rule,
    clusters: IntArray | None = None,
    weights: FloatArray | None = None,
) -> Study:
    """Estimate as ``group_time`` does, with cohort sizes and mean outcomes of the treated.

    Examples
    --------
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> found = group_time_study(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]), np.ones((4, 1, 1)), Rule())
    >>> found.levels.tolist(), found.sizes.counts.tolist()
    ([1.5, 8.5], [2.0])
    """
    alone = clusters is None or int(clusters.max()) + 1 == outcome.shape[0]
    codes = None if alone and outcome.shape[0] > MANY else np.arange(outcome.shape[0]) if clusters is None else clusters
    holes = _missing(outcome) or _missing(design)
    starts, place = distinct(start)
    every = cells(starts, periods, rule)
    counts = _counts(starts, np.bincount(place), periods, rule, every)
    if codes is None and not holes and _few_rows(design):
        from evaltoolkit.kernels.cohort_moments import cohort_moments
        from evaltoolkit.kernels.moment_effects import moment_group_time

        return moment_group_time(cohort_moments(outcome, start, periods, design[:, 0], weights), rule)
    if holes or design.shape[1] > 1:
        from evaltoolkit.kernels.cell_by_cell import observed_cells

        every, found, counts = observed_cells(outcome, start, periods, design, rule, codes, weights)
    else:
        rows = stack(outcome, start, design[:, 0], weights)
        found = joint(rows, list(models(rows, periods, every, rule)), every, rule, periods, codes)
    cohort, period, base = (np.array([c[m] for c in every], dtype=np.int64) for m in range(3))
    table = GroupTime(cohort, period, base, found.att, found.scores, *counts)
    return Study(table, found.sizes, found.levels, found.level_scores)


def _few_rows(design: FloatArray) -> bool:
    """Say whether units share so few rows of covariates that sums by row are the shorter way; a sample decides."""
    if design.shape[1] > 1:
        return False
    if design.shape[2] == 1:
        return True
    part = design[:: max(1, design.shape[0] // LOOK), 0]
    return int(np.unique(part, axis=0).shape[0]) <= FEW_ROWS


def _missing(values: FloatArray) -> bool:
    """Say whether any value is missing; a sum that is none at all saves looking at each."""
    return bool(np.isnan(values.sum())) and bool(np.isnan(values).any())


def _counts(
    starts: IntArray, n: IntArray, periods: IntArray, rule: Rule, every: list[Cell]
) -> tuple[IntArray, IntArray]:
    treated = np.array([n[starts == g].sum() for g, _, _ in every], dtype=np.int64)
    compared = np.array([n[comparison_units(starts, periods, rule, c)].sum() for c in every], dtype=np.int64)
    return treated, compared


def effects(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    design: FloatArray,
    rule: Rule,
    weights: FloatArray | None = None,
) -> tuple[list[Cell], FloatArray]:
    """Return the cells and their effects as ``group_time`` does, without the scores.

    Raises
    ------
    CellError
        As ``group_time``.

    Examples
    --------
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> found = effects(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]), np.ones((4, 1, 1)), Rule())
    >>> found[0], found[1].tolist()
    ([(3, 2, 1), (3, 3, 2)], [0.0, 6.0])
    """
    if _missing(outcome) or _missing(design) or design.shape[1] > 1:
        from evaltoolkit.kernels.cell_by_cell import observed_effects

        return observed_effects(outcome, start, periods, design, rule, weights)
    every = cells(distinct(start)[0], periods, rule)
    att = np.zeros(len(every))
    for m in models(stack(outcome, start, design[:, 0], weights), periods, every, rule):
        att[m.cells] = m.att
    return every, att
