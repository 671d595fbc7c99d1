"""Panels for cohort and period models: who counts as untreated when, and sums by cohort."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohorts import NEVER, Rule, cells
from evaltoolkit.kernels.nonlinear_likelihood import Family, NonlinearError, Rows

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Observed:
    """A panel, or repeated cross-sections (then a row is observed in one period only).

    Attributes
    ----------
    outcome
        Shape (n, T), columns in the order of ``periods``; NaN where not observed.
    start
        First treated period of each row, ``NEVER`` for none, shape (n,). Rows whose cohort has no period before the
        start (and anticipation) are left out.
    periods
        Ascending, shape (T,).
    exposure
        Population or person-time, above zero, shape (n, T); None for ones. For ``poisson`` only.
    covariates
        Constant over time, shape (n, p); rows with NaN are left out. None for none.
    clusters
        Codes, shape (n,); None where rows are the clusters.
    weights
        Sampling weights, above zero, shape (n,); None for ones.
    """

    outcome: FloatArray
    start: IntArray
    periods: IntArray
    exposure: FloatArray | None = None
    covariates: FloatArray | None = None
    clusters: IntArray | None = None
    weights: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows in the order of their cohorts, with what counts as untreated.

    Attributes
    ----------
    rows
        Weighted outcomes, and sizes that are zero where not observed.
    seen
        What was observed, shape (m, T).
    weights, clusters
        Shape (m,).
    untreated
        Which cohorts are untreated, and used, in which period, shape (J, T).
    cell
        Number of the cell of a cohort in a period, -1 for none, shape (J, T).
    cell_cohort, cell_period
        The cells, shape (K,).
    starts, periods
        What cohorts and columns stand for, shapes (J,) and (T,).
    """

    rows: Rows
    seen: Mask
    weights: FloatArray
    clusters: IntArray
    untreated: Mask
    cell: IntArray
    cell_cohort: IntArray
    cell_period: IntArray
    starts: IntArray
    periods: IntArray

    def collapsed(self) -> Rows:
        """Return the sums of each cohort: all that a model without covariates needs."""
        blocks = self.rows.blocks()
        total = np.array([self.rows.total[which].sum(axis=0) for _, which in blocks])
        size = np.array([self.rows.size[which].sum(axis=0) for _, which in blocks])
        return Rows(np.ones((len(blocks), 1)), np.arange(len(blocks)), total, size)


def masked(rows: Rows, inside: Mask) -> Rows:
    """Return the rows with entries outside left out.

    >>> masked(Rows(np.ones((1, 1)), np.array([0]), np.ones((1, 2)), np.ones((1, 2))), np.array([[True, False]])).size
    array([[1., 0.]])
    """
    return Rows(rows.z, rows.cohort, np.where(inside, rows.total, 0.0), np.where(inside, rows.size, 0.0))


def panel(observed: Observed, family: Family, rule: Rule) -> Panel:
    """Sort rows by cohort and say which observations are untreated and which stand in a cell.

    Raises
    ------
    ValueError
        Outcomes do not suit the family, or exposure is not above zero or not with ``poisson``.
    NonlinearError
        No row can be used.

    Examples
    --------
    >>> found = panel(Observed(np.ones((2, 2)), np.array([2, NEVER]), np.array([1, 2])), "poisson", Rule())
    >>> found.cell.tolist(), found.untreated.tolist()
    ([[-1, 0], [-1, -1]], [[True, False], [True, True]])
    """
    _check(observed, family)
    o, last = observed, int(observed.periods[-1])
    start = np.where(o.start > last + rule.anticipation, NEVER, o.start)
    seen: Mask = np.isfinite(o.outcome)
    if o.exposure is not None:
        seen = seen & np.isfinite(o.exposure)
    if o.covariates is not None:
        seen = seen & np.isfinite(o.covariates).all(axis=1, keepdims=True)
    used = np.flatnonzero(seen.any(axis=1) & (start > int(o.periods[0]) + rule.anticipation))
    if used.size == 0:
        raise NonlinearError("no-outcome")
    order = used[np.argsort(start[used], kind="stable")]
    starts, cohort = np.unique(start[order], return_inverse=True)
    seen = seen[order]
    w = np.ones(order.size) if o.weights is None else o.weights[order].astype(np.float64)
    size = np.where(seen, w[:, None] if o.exposure is None else w[:, None] * o.exposure[order], 0.0)
    total = np.where(seen, w[:, None] * o.outcome[order], 0.0)
    clusters = np.arange(order.size) if o.clusters is None else np.unique(o.clusters[order], return_inverse=True)[1]
    rows = Rows(_design(o.covariates, order), cohort.astype(np.int64), total, size)
    return placed(rows, seen, (w, clusters.astype(np.int64)), (starts, o.periods), rule)


def placed(
    rows: Rows, seen: Mask, of_rows: tuple[FloatArray, IntArray], calendar: tuple[IntArray, IntArray], rule: Rule
) -> Panel:
    """Say which observations of rows are untreated and which stand in a cell.

    Parameters
    ----------
    rows, seen
        As in ``Panel``.
    of_rows
        Weights and clusters of the rows.
    calendar
        Starts, shape (J,), and periods, shape (T,).
    rule
        Who is compared with.

    Examples
    --------
    >>> rows = Rows(np.ones((2, 1)), np.arange(2), np.ones((2, 2)), np.ones((2, 2)))
    >>> of_rows, seen = (np.ones(2), np.arange(2)), np.ones((2, 2), dtype=np.bool_)
    >>> placed(rows, seen, of_rows, (np.array([2, NEVER]), np.array([1, 2])), Rule()).cell.tolist()
    [[-1, 0], [-1, -1]]
    """
    starts, periods = calendar
    untreated, found = _roles(starts, periods, rule)
    number = np.full(untreated.shape, -1, dtype=np.int64)
    number[np.searchsorted(starts, found[:, 0]), np.searchsorted(periods, found[:, 1])] = np.arange(len(found))
    return Panel(rows, seen, *of_rows, untreated, number, found[:, 0], found[:, 1], starts, periods)


def _check(observed: Observed, family: Family) -> None:
    seen = observed.outcome[np.isfinite(observed.outcome)]
    if family == "poisson" and (seen < 0).any():
        raise ValueError("outcomes must be at or above zero")
    if family == "logit" and ((seen < 0) | (seen > 1)).any():
        raise ValueError("outcomes must lie from zero to one")
    if observed.exposure is None:
        return
    if family != "poisson":
        raise ValueError("only a Poisson model takes an exposure")
    if (observed.exposure[np.isfinite(observed.outcome)] <= 0).any():
        raise ValueError("exposure must be above zero")


def _design(covariates: FloatArray | None, order: IntArray) -> FloatArray:
    """Intercept and covariates, centred and scaled: fitted values do not depend on it, and numbers are better."""
    ones = np.ones((order.size, 1))
    if covariates is None or covariates.shape[1] == 0:
        return ones
    x = covariates[order] - covariates[order].mean(axis=0)
    spread = np.sqrt((x**2).mean(axis=0))
    return np.concatenate([ones, x / np.where(spread > 0, spread, 1.0)], axis=1)


def _roles(starts: IntArray, periods: IntArray, rule: Rule) -> tuple[Mask, IntArray]:
    """Return which cohorts are untreated when, shape (J, T), and cohort and period of every cell, shape (K, 2)."""
    a = rule.anticipation
    every = cells(starts, periods, Rule(base_period="universal", anticipation=a))
    before = periods[None, :] < np.where(starts == NEVER, NEVER, starts - a)[:, None]
    if rule.comparison == "never":
        found = [(g, t) for g, t, base in every if t != base]
        last = before & ~np.concatenate([before[:, 1:], np.zeros((starts.size, 1), dtype=np.bool_)], axis=1)
        before = last | (starts == NEVER)[:, None]
    else:
        found = [(g, t) for g, t, _ in every if t + a >= g]
    return before, np.array(found, dtype=np.int64).reshape(-1, 2)
