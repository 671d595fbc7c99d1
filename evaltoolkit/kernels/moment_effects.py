"""Group-time effects from a moment table: the estimates and errors of the rows, without the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.aggregate import Sizes
from evaltoolkit.kernels.cell_models import Cell, Stack, models, stack
from evaltoolkit.kernels.cell_scores import Columns, loadings
from evaltoolkit.kernels.cell_terms import Model
from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.cohorts import CellError, Rule, cells, comparison_units
from evaltoolkit.kernels.group_time import GroupTime, Study
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.kernels.moment_points import root

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RANK = 1e-12
"""Share of a covariate's length that has to be left beside the others."""

_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class _First:
    """Units, sums of weights, and sums of weighted outcomes of each cell."""

    units: IntArray
    n: FloatArray
    m: FloatArray


@dataclass(frozen=True, slots=True)
class _Fit:
    """What was estimated: cells as rows of a stack, models, the cells of the study and their cohorts' mean outcomes."""

    rows: Stack
    found: list[Model]
    every: list[Cell]
    to: IntArray
    levels: FloatArray
    rule: Rule
    columns: Columns


@dataclass(frozen=True, slots=True)
class _Points:
    """R points that stand for units: cell (R,), weight (R,), weight times outcome (T, R), and row of scores (R,).

    Sums over units of influence functions (by cluster), or of their products (otherwise), are those over points.
    """

    cell: IntArray
    weight: FloatArray
    total: FloatArray
    row: IntArray


def moment_group_time(moments: CohortMoments | ClusterMoments, rule: Rule) -> Study:
    r"""Estimate what ``group_time_study`` does, from sums by cell alone.

    An influence function is :math:`\psi_{ij} = w_i (a_{sj}' Y_i + b_{sj})` for a unit of cell s. With a root of the
    cell's second moments :math:`\binom{N_2 \; M_2'}{M_2 \; Q} = \sum_r \binom{u_r}{v_r} \binom{u_r}{v_r}'`, the T + 1
    numbers :math:`a_{sj}' v_r + b_{sj} u_r` have the cross-products of all its units:
    :math:`A Q A' + A M_2 b' + b M_2' A' + N_2 b b'`. By cluster the sums are :math:`\sum_s A_s m_{cs} + b_s n_{cs}`.

    Parameters
    ----------
    moments
        ``CohortMoments`` where units are the clusters; ``ClusterMoments`` where clusters are coarser. With ``there``,
        of a panel with holes: a cell uses units observed in both of its periods.
    rule
        How cells are estimated.

    Returns
    -------
    Study
        Rows of scores are clusters, in the order of the labels, with ``ClusterMoments``; with ``CohortMoments`` they
        are no units, but have their cross-products, jointly with those of mean outcomes and sizes.

    Raises
    ------
    CellError
        As ``group_time``; ``collinear`` also where covariates are collinear up to rounding, which it may not see.

    References
    ----------
    Callaway, B. and Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of
    Econometrics 225. doi:10.1016/j.jeconom.2020.12.001
    Wong, J., Forsell, E., Lewis, R., Mao, T. and Wardrop, M. (2021). You only compress once: optimal data compression
    for estimating linear models. arXiv:2102.11297.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y, start = np.array([[0, 3.0], [0, 5], [0, 1], [0, 1]]), np.array([2, 2, 9, 9])
    >>> found = moment_group_time(cohort_moments(y, start, np.array([1, 2]), np.ones((4, 1))), Rule()).cells
    >>> found.att.round(9).tolist(), (found.scores.T @ found.scores).round(9).tolist()
    ([3.0], [[0.5]])
    """
    if moments.there is not None and not moments.there.all():
        from evaltoolkit.kernels.pattern_effects import pattern_group_time

        return pattern_group_time(moments, rule)
    first = _first(moments)
    fit = _fitted(moments, first, rule)
    k, width = len(fit.every), fit.columns.width
    if isinstance(moments, ClusterMoments):
        table = _by_cluster(fit, _sums(moments, fit.rows.shift), moments.labels.size)
    else:
        table = _triangle([_placed(part, which, width) for which, part in _roots(moments, fit)], width)
    att = np.zeros(k)
    for model in fit.found:
        att[model.cells] = model.att
    starts = fit.rows.starts
    cohort, period, base = (np.array([c[i] for c in fit.every], dtype=np.int64) for i in range(3))
    counts = np.bincount(np.searchsorted(starts, moments.starts[moments.cohort][first.n > 0]), first.units[first.n > 0])
    treated = counts[np.searchsorted(starts, cohort)].astype(np.int64)
    compared = [counts[comparison_units(starts, moments.periods, rule, c)].sum() for c in fit.every]
    effects = GroupTime(cohort, period, base, att, table[:, :k], treated, np.array(compared, dtype=np.int64))
    weight = np.array(
        [fit.rows.size[fit.rows.rows(int(j))].sum() for j in np.searchsorted(starts, fit.columns.cohorts)]
    )
    levels = fit.levels + (moments.shift + fit.rows.shift)[fit.to]
    return Study(effects, Sizes(fit.columns.cohorts, weight, table[:, 2 * k :]), levels, table[:, k : 2 * k])


def _first(moments: CohortMoments | ClusterMoments) -> _First:
    if isinstance(moments, CohortMoments):
        return _First(moments.units, moments.n, moments.m)
    size = moments.cohort.size
    m = np.zeros((size, moments.periods.size))
    np.add.at(m, moments.cell, moments.m)
    n, units = (np.bincount(moments.cell, weights=v, minlength=size) for v in (moments.n, moments.units))
    return _First(units.astype(np.int64), n.astype(np.float64), m)


def _fitted(moments: CohortMoments | ClusterMoments, first: _First, rule: Rule) -> _Fit:
    """Fit all models with cells as rows: every fit needs sums over units alike in covariates only."""
    used = np.flatnonzero(first.n > 0)
    start, n = moments.starts[moments.cohort][used], first.n[used]
    rows = stack(first.m[used] / n[:, None], start, moments.design[used], n)
    # Places in the table, so that points find their row.
    rows = Stack(rows.starts, rows.edges, used[rows.order], rows.X, rows.size, rows.total, rows.shift, moments.design)
    every = cells(rows.starts, moments.periods, rule)
    found = list(models(rows, moments.periods, every, rule))
    check_rank(rows, every)
    to = np.searchsorted(moments.periods, [c[1] for c in every]).astype(np.int64)
    levels = np.zeros(len(every))
    for k, (g, _, _) in enumerate(every):
        mine = rows.rows(int(np.searchsorted(rows.starts, g)))
        levels[k] = rows.total[to[k], mine].sum() / rows.size[mine].sum()
    columns = Columns(len(every), rows.starts[rows.starts <= moments.periods[-1]].astype(np.int64))
    return _Fit(rows, found, every, to, levels, rule, columns)


def check_rank(rows: Stack, every: list[Cell]) -> None:
    """Find out whether some column follows from others up to rounding.

    ``stack`` makes directions of the design orthogonal; one that is rounding only may pass its check as if it varied.

    Raises
    ------
    CellError
        ``collinear`` with the column.

    Examples
    --------
    >>> rows = stack(np.zeros((3, 2)), np.array([2, 9, 9]), np.array([[1.0, 0], [1, 0], [1, 1]]))
    >>> check_rank(rows, [(2, 2, 1)])
    """
    if every and rows.raw.shape[1] > 1:
        fit = least_squares(rows.raw[rows.order], np.zeros(rows.order.size), rows.size, tolerance=RANK)
        if fit.aliased.size:
            raise CellError("collinear", every[0][0], int(fit.aliased[0]))


def _influence(fit: _Fit, j: int, points: _Points) -> tuple[IntArray, FloatArray]:
    """Return which columns points of start j count in, and their influence functions, shape (columns, R).

    Parameters
    ----------
    fit
        What was estimated.
    j
        Place of the start.
    points
        Their ``cell`` is the place among the cells of this start.
    """
    s = fit.rows.rows(j)
    g = int(fit.rows.starts[j])
    X, weight, total = fit.rows.X[:, s], points.weight, points.total
    mine = np.array([k for k, c in enumerate(fit.every) if c[0] == g], dtype=np.int64)
    which, parts = [], []
    for model in fit.found:
        if j == model.cohort or j in model.compared:
            alpha, rest = loadings(model, j, X, fit.rule)
            change = total[model.to] - total[model.since]
            parts.append(alpha[points.cell] * change + weight * rest[:, points.cell])
            which.append(model.cells)
    which.append(fit.columns.effects + mine)
    parts.append((total[fit.to[mine]] - fit.levels[mine][:, None] * weight) / fit.rows.size[s].sum())
    if g in fit.columns.cohorts:
        which.append(2 * fit.columns.effects + np.searchsorted(fit.columns.cohorts, [g]))
        parts.append(weight[None, :])
    return np.concatenate(which), np.concatenate(parts)


def _roots(moments: CohortMoments, fit: _Fit) -> Iterator[tuple[IntArray, FloatArray]]:
    """Yield, by start, columns and rows whose cross-products are those of all units' influence functions."""
    T = moments.periods.size
    step = max(1, _BLOCK // (T + 1))
    for j in range(fit.rows.starts.size):
        s = fit.rows.rows(j)
        which, parts = np.zeros(0, dtype=np.int64), []
        for lo in range(0, s.stop - s.start, step):
            place = fit.rows.order[s][lo : lo + step]
            weight, total = _root(moments, place, fit.rows.shift)
            cell = np.repeat(np.arange(lo, lo + place.size), T + 1)
            which, psi = _influence(fit, j, _Points(cell, weight, total, cell))
            parts.append(_triangle([psi.T], which.size))
        if which.size:
            yield which, _triangle(parts, which.size)


def _root(moments: CohortMoments, place: IntArray, level: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return weights (R,) and totals (T, R) of T + 1 points for each cell with the second moments of its units."""
    weight, total = root(moments.N2[place], moments.M2[place], moments.Q[place], moments.units[place])
    return weight, np.ascontiguousarray((total - np.outer(weight, level)).T)


def _triangle(parts: list[FloatArray], width: int) -> FloatArray:
    """Return few rows with the same cross-products as all rows of the parts."""
    table = np.concatenate([np.zeros((0, width)), *parts])
    if table.shape[0] <= width:
        return table
    found: FloatArray = np.asarray(np.linalg.qr(table, mode="r"))
    return found


def _placed(part: FloatArray, which: IntArray, width: int) -> FloatArray:
    table = np.zeros((part.shape[0], width))
    table[:, which] = part
    return table


def _sums(moments: ClusterMoments, level: FloatArray) -> _Points:
    """Return a point for each pair of a cluster and a cell."""
    total = moments.m.T - level[:, None] * moments.n
    return _Points(moments.cell, moments.n, total, moments.cluster)


def _by_cluster(fit: _Fit, points: _Points, size: int) -> FloatArray:
    table = np.zeros((size, fit.columns.width))
    place = np.full(fit.rows.raw.shape[0], -1, dtype=np.int64)
    place[fit.rows.order] = np.arange(fit.rows.order.size)
    position = place[points.cell]
    for j in range(fit.rows.starts.size):
        s = fit.rows.rows(j)
        mine = np.flatnonzero((position >= s.start) & (position < s.stop))
        for lo in range(0, mine.size, _BLOCK):
            p = mine[lo : lo + _BLOCK]
            block = _Points(position[p] - s.start, points.weight[p], points.total[:, p], points.row[p])
            which, psi = _influence(fit, j, block)
            np.add.at(table, (block.row[:, None], which[None, :]), psi.T)
    return table
