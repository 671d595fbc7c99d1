"""Group-time effects from a moment table of a panel with holes."""

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
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.kernels.moment_points import GroupSums, group_sums, points

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

_BLOCK = 256
"""Cells of the table that are worked on at once."""


@dataclass(frozen=True, slots=True)
class _Table:
    """What is summed in each of S cells, with its start and when its units were observed."""

    sums: GroupSums
    start: IntArray
    there: Mask
    used: Mask


@dataclass(frozen=True, slots=True)
class _Cell:
    r"""One cohort in one period: effect, mean outcome, units, and influence of a unit of each cell of the table.

    The influence is weight times :math:`a (Y_t - Y_b) + c` on the effect, and :math:`l (Y_t - \bar Y)` on the level.
    """

    cell: Cell
    att: float
    level: float
    counts: tuple[int, int]
    change: FloatArray
    constant: FloatArray
    mine: FloatArray


def pattern_group_time(moments: CohortMoments | ClusterMoments, rule: Rule) -> Study:
    r"""Estimate what ``group_time_study`` does with a panel that has holes: a cell uses units seen in both periods.

    Each cohort and period has fits of its own, on those cells of the table whose units were observed in the period and
    in its base. Influence functions are linear in outcomes as without holes, and units of one cell of the table share
    their form, so that roots of second moments, or sums by cluster, give the joint covariance.

    Parameters
    ----------
    moments
        From ``pattern_moments`` or ``pattern_clusters``.
    rule
        How cells are estimated.

    Returns
    -------
    Study
        Rows of scores as in ``moment_group_time``.

    Raises
    ------
    CellError
        As ``group_time``.

    References
    ----------
    Callaway, B. and Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of
    Econometrics 225. doi:10.1016/j.jeconom.2020.12.001
    Wong, J., Forsell, E., Lewis, R., Mao, T. and Wardrop, M. (2021). You only compress once: optimal data compression
    for estimating linear models. arXiv:2102.11297.

    Examples
    --------
    >>> from evaltoolkit.kernels.pattern_moments import pattern_moments
    >>> y = np.array([[0, 3.0], [0, 5], [9, np.nan], [0, 1], [0, 1]])
    >>> table = pattern_moments(y, np.array([2, 2, 2, 9, 9]), np.array([1, 2]), np.ones((5, 1)))
    >>> found = pattern_group_time(table, Rule())
    >>> found.cells.att.round(9).tolist(), found.cells.n_treated.tolist(), found.sizes.counts.tolist()
    ([3.0], [2], [3.0])
    """
    S = moments.cohort.size
    sums = group_sums(moments, np.arange(S), S)
    there = np.ones((S, moments.periods.size), dtype=np.bool_) if moments.there is None else moments.there
    table = _Table(sums, moments.starts[moments.cohort], there, sums.units > 0)
    found = list(_cells(moments, table, rule))
    starts = table.start[table.used]
    cohorts = np.unique(starts[starts <= moments.periods[-1]]).astype(np.int64)
    columns = Columns(len(found), cohorts)
    rows = _scores(moments, table, found, columns)
    K = len(found)
    cohort, period, base = (np.array([c.cell[i] for c in found], dtype=np.int64) for i in range(3))
    n1, n0 = (np.array([c.counts[i] for c in found], dtype=np.int64) for i in range(2))
    att, levels = np.array([c.att for c in found]), np.array([c.level for c in found])
    levels = levels + moments.shift[np.searchsorted(moments.periods, period)]
    size = np.array([sums.n[table.start == g].sum() for g in cohorts])
    effects = GroupTime(cohort, period, base, att, rows[:, :K], n1, n0)
    return Study(effects, Sizes(cohorts, size, rows[:, 2 * K :]), levels, rows[:, K : 2 * K])


def _cells(moments: CohortMoments | ClusterMoments, table: _Table, rule: Rule) -> Iterator[_Cell]:
    from evaltoolkit.kernels.moment_effects import check_rank

    sums, periods = table.sums, moments.periods
    mean = sums.m / np.where(table.used, sums.n, 1.0)[:, None]
    for cell in cells(table.start[table.used], periods, rule):
        g, t, base = cell
        i, j = int(np.searchsorted(periods, t)), int(np.searchsorted(periods, base))
        usable = table.used & table.there[:, i] & table.there[:, j]
        treated = (table.start == g) & usable
        compared = comparison_units(table.start, periods, rule, cell) & usable
        if not treated.any():
            continue  # nobody of the cohort was observed in both periods: there is no such cell
        if not compared.any():
            raise CellError("empty", g)
        rows = np.flatnonzero(treated | compared)
        # The two periods in the order of the calendar, so that the cell's rule picks the same comparison.
        pair = np.array(sorted({i, j}))
        of = stack(mean[np.ix_(rows, pair)], table.start[rows], moments.design[rows], sums.n[rows])
        model = next(models(of, np.append(periods[pair], periods[-1:]), [cell], rule), None)
        if model is not None:
            check_rank(of, [cell])
        counts = int(sums.units[treated].sum()), int(sums.units[compared].sum())
        yield _cell(cell, table, (of, rows, model), counts, rule, i)


def _cell(
    cell: Cell, table: _Table, fit: tuple[Stack, IntArray, Model | None], counts: tuple[int, int], rule: Rule, at: int
) -> _Cell:
    of, rows, model = fit
    change, constant = np.zeros(table.start.size), np.zeros(table.start.size)
    att = 0.0
    if model is not None:
        att = float(model.att[0])
        to, since = int(model.to[0]), int(model.since[0])
        for j in (model.cohort, *model.compared):
            s = of.rows(j)
            alpha, rest = loadings(model, j, of.X[:, s], rule)
            place = rows[of.order[s]]
            change[place] = alpha
            constant[place] = rest[0] - alpha * (of.shift[to] - of.shift[since])
    mine = table.used & (table.start == cell[0]) & table.there[:, at]
    size = float(table.sums.n[mine].sum())
    level = float(table.sums.m[mine, at].sum()) / size
    return _Cell(cell, att, level, counts, change, constant, mine / size)


def _scores(moments: CohortMoments | ClusterMoments, table: _Table, found: list[_Cell], columns: Columns) -> FloatArray:
    """Return scores of effects, levels and cohort sizes side by side, shape (R, 2 K + J)."""
    K, S = columns.effects, table.start.size
    change, constant, mine = (
        np.array([getattr(c, name) for c in found]).reshape(K, S) for name in ("change", "constant", "mine")
    )
    to, since = (np.searchsorted(moments.periods, [c.cell[i] for c in found]) for i in (1, 2))
    level = np.array([c.level for c in found])
    member = (table.start[:, None] == columns.cohorts).astype(np.float64)
    by_cluster = isinstance(moments, ClusterMoments)
    rows = np.zeros((moments.labels.size if isinstance(moments, ClusterMoments) else 0, columns.width))
    for lo in range(0, S, _BLOCK):
        group = np.full(S, -1, dtype=np.int64)
        group[lo : lo + _BLOCK] = np.arange(min(_BLOCK, S - lo))
        stand = points(moments, group, min(_BLOCK, S - lo))
        at, w = stand.group + lo, stand.weight[:, None]
        moved = stand.total[:, to] - stand.total[:, since]
        effects = change[:, at].T * moved + constant[:, at].T * w
        levels = mine[:, at].T * (stand.total[:, to] - level * w)
        part = np.hstack([effects, levels, member[at] * w])
        if by_cluster:
            np.add.at(rows, stand.row, part)
        else:
            rows = triangle(np.concatenate([rows, part]))
    return rows


def triangle(table: FloatArray) -> FloatArray:
    """Return at most as many rows as columns, with the same cross-products.

    >>> np.round(triangle(np.array([[3.0], [4.0]])) ** 2, 9).tolist()
    [[25.0]]
    """
    if table.shape[0] <= table.shape[1]:
        return table
    found: FloatArray = np.asarray(np.linalg.qr(table, mode="r"))
    return found
