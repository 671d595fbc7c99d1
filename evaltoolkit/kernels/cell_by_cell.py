"""Panels with holes, and covariates that change over time: every cell with the units observed for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.aggregate import Sizes
from evaltoolkit.kernels.cell_models import Cell, Stack, models, stack
from evaltoolkit.kernels.cell_scores import Joint, loadings
from evaltoolkit.kernels.cell_terms import Model
from evaltoolkit.kernels.cohorts import CellError, Rule, cells, comparison_units

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Cell:
    """One cell with the units it uses: indices, their rows, the fit, and how many units of each kind."""

    cell: Cell
    units: IntArray
    rows: Stack
    model: Model | None
    n_treated: int
    n_compared: int


def _cells(
    outcome: FloatArray, start: IntArray, periods: IntArray, design: FloatArray, rule: Rule,
    weights: FloatArray | None,
) -> Iterator[_Cell]:  # fmt: skip
    there = np.asarray(np.isfinite(outcome))
    known = np.asarray(np.isfinite(design).all(axis=2))
    last = periods[-1:]
    for cell in cells(start, periods, rule):
        g, t, base = cell
        i, j = int(np.searchsorted(periods, t)), int(np.searchsorted(periods, base))
        at = min(i, j) if design.shape[1] > 1 else 0
        usable = there[:, i] & there[:, j] & known[:, at]
        treated, compared = (start == g) & usable, comparison_units(start, periods, rule, cell) & usable
        if not treated.any():
            continue  # nobody of the cohort was observed in both periods: there is no such cell
        if not compared.any():
            raise CellError("empty", g)
        units = np.flatnonzero(treated | compared)
        w = None if weights is None else weights[units]
        # The two periods in the order of the calendar, so that the cell's rule picks the same comparison.
        pair = sorted({i, j})
        rows = stack(outcome[units][:, pair], start[units], design[units, at], w)
        ends = np.append(periods[pair], last)
        model = next(models(rows, ends, [cell], rule), None)
        yield _Cell(cell, units, rows, model, int(treated.sum()), int(compared.sum()))


def observed_effects(
    outcome: FloatArray, start: IntArray, periods: IntArray, design: FloatArray, rule: Rule,
    weights: FloatArray | None,
) -> tuple[list[Cell], FloatArray]:  # fmt: skip
    """Return cells and effects; each cell uses the units observed in both of its periods.

    Examples
    --------
    >>> y = np.array([[1.0, 2, 9], [0, 1, np.nan], [1, 2, 3], [4, 5, 6]])
    >>> start = np.array([3, 3, 9, 9])
    >>> found = observed_effects(y, start, np.array([1, 2, 3]), np.ones((4, 1, 1)), Rule(), None)
    >>> found[0], found[1].tolist()
    ([(3, 2, 1), (3, 3, 2)], [0.0, 6.0])
    """
    found = list(_cells(outcome, start, periods, design, rule, weights))
    att = np.array([0.0 if c.model is None else float(c.model.att[0]) for c in found])
    return [c.cell for c in found], att


def observed_cells(
    outcome: FloatArray, start: IntArray, periods: IntArray, design: FloatArray, rule: Rule,
    codes: IntArray | None, weights: FloatArray | None,
) -> tuple[list[Cell], Joint, tuple[IntArray, IntArray]]:  # fmt: skip
    """Return cells, their joint estimates, and their numbers of treated and comparison units.

    Parameters
    ----------
    outcome, start, periods, design, rule, weights
        As in ``group_time``.
    codes
        Cluster of each unit; None where units are the clusters.
    """
    n = outcome.shape[0]
    code = np.arange(n) if codes is None else codes
    size = int(code.max()) + 1
    every: list[Cell] = []
    numbers: list[tuple[float, float, int, int]] = []
    scores: list[FloatArray] = []
    level_scores: list[FloatArray] = []
    for c in _cells(outcome, start, periods, design, rule, weights):
        psi = np.zeros(n) if c.model is None else _scores(c, rule, n)
        level, level_psi = _level(outcome, start, periods, weights, c.cell)
        every.append(c.cell)
        numbers.append((0.0 if c.model is None else float(c.model.att[0]), level, c.n_treated, c.n_compared))
        scores.append(np.bincount(code, weights=psi, minlength=size).astype(np.float64))
        level_scores.append(np.bincount(code, weights=level_psi, minlength=size).astype(np.float64))
    att, levels, n1, n0 = (np.array(v) for v in zip(*numbers, strict=True)) if numbers else (np.zeros(0),) * 4
    sizes = _sizes(start, periods, weights, code)
    table = Joint(att, levels, _columns(scores, size), _columns(level_scores, size), sizes)
    return every, table, (n1.astype(np.int64), n0.astype(np.int64))


def _columns(parts: list[FloatArray], size: int) -> FloatArray:
    return np.column_stack(parts) if parts else np.zeros((size, 0))


def _scores(c: _Cell, rule: Rule, n: int) -> FloatArray:
    assert c.model is not None
    psi = np.zeros(n)
    for j in (c.model.cohort, *c.model.compared):
        s = c.rows.rows(j)
        alpha, rest = loadings(c.model, j, c.rows.X[:, s], rule)
        change = c.rows.total[c.model.to[0], s] - c.rows.total[c.model.since[0], s]
        psi[c.units[c.rows.order[s]]] = alpha * change + c.rows.size[s] * rest[0]
    return psi


def _level(
    outcome: FloatArray, start: IntArray, periods: IntArray, weights: FloatArray | None, cell: Cell
) -> tuple[float, FloatArray]:
    values = outcome[:, int(np.searchsorted(periods, cell[1]))]
    mine = (start == cell[0]) & np.isfinite(values)
    w = mine.astype(np.float64) if weights is None else mine * weights
    y = np.where(mine, values, 0.0)
    if w.sum() <= 0:
        return 0.0, np.zeros(values.size)
    level = float(w @ y / w.sum())
    return level, w * (y - level) / w.sum()


def _sizes(start: IntArray, periods: IntArray, weights: FloatArray | None, code: IntArray) -> Sizes:
    cohorts = np.unique(start[start <= periods[-1]])
    w = np.ones(start.size) if weights is None else weights
    size = int(code.max()) + 1
    by_cluster = np.zeros((size, cohorts.size))
    for j, g in enumerate(cohorts):
        by_cluster[:, j] = np.bincount(code, weights=w * (start == g), minlength=size)
    return Sizes(cohorts, by_cluster.sum(axis=0), by_cluster)
