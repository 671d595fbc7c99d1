"""Points that stand for the units of a moment table: few rows with the sums, or the cross-products, of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.moment_cells import MomentsError, added
from evaltoolkit.kernels.moment_clusters import ClusterMoments

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CONSTANT = 1e-13
"""Share of a raw second moment below which a variance is rounding."""


@dataclass(frozen=True, slots=True)
class Points:
    """R points that stand for the units of J groups.

    Attributes
    ----------
    group
        Group of each point, shape (R,).
    row
        Row of scores it is added to: its cluster, or one of its own, shape (R,).
    weight, total
        Weight, shape (R,), and weight times outcome less ``shift``, shape (R, T).
    n_rows
        Rows of scores.
    """

    group: IntArray
    row: IntArray
    weight: FloatArray
    total: FloatArray
    n_rows: int

    def scores(self, slope: FloatArray, constant: FloatArray) -> FloatArray:
        r"""Return scores of K estimates that are :math:`w_i (a_{jk}' Y_i + b_{jk})` for unit i of group j.

        Sums over units by cluster are those over points, or the cross-products of all units are those of the rows.

        Parameters
        ----------
        slope
            a, shape (J, K, T); Y is less the shift of the table.
        constant
            b, shape (J, K).

        Returns
        -------
        array of shape (n_rows, K)
        """
        found = np.zeros((self.n_rows, slope.shape[1]))
        for j in np.unique(self.group):
            mine = self.group == j
            np.add.at(found, self.row[mine], self.total[mine] @ slope[j].T + self.weight[mine, None] * constant[j])
        return found


@dataclass(frozen=True, slots=True)
class GroupSums:
    """Sums over the units of J groups of cells: units and sums of w, shape (J,), and of w Y, shape (J, T)."""

    units: IntArray
    n: FloatArray
    m: FloatArray


def group_sums(moments: CohortMoments | ClusterMoments, group: IntArray, size: int) -> GroupSums:
    """Add up a table by groups of its cells.

    Parameters
    ----------
    moments
        The table.
    group
        Group 0 .. J - 1 of each cell; -1 for cells that are left out, shape (S,).
    size
        J.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y = np.array([[1.0, 3], [2, 6], [0, 0]])
    >>> table = cohort_moments(y, np.array([2, 2, 9]), np.array([1, 2]), np.ones((3, 1)), shift=np.zeros(2))
    >>> group_sums(table, np.array([0, 0]), 1).m.tolist()
    [[3.0, 9.0]]
    """
    of = group[moments.cell] if isinstance(moments, ClusterMoments) else group
    kept = of >= 0
    units = np.bincount(of[kept], weights=moments.units[kept], minlength=size).astype(np.int64)
    n = np.bincount(of[kept], weights=moments.n[kept], minlength=size).astype(np.float64)
    return GroupSums(units, n, added(of[kept], moments.m[kept], size))


def points(moments: CohortMoments | ClusterMoments, group: IntArray, size: int) -> Points:
    r"""Return points that stand for the units of groups of cells.

    By cluster a point is a pair of a cluster and a cell. Where units are the clusters, a root of each group's second
    moments, :math:`\binom{N_2 \; M_2'}{M_2 \; Q} = \sum_r \binom{u_r}{v_r} \binom{u_r}{v_r}'`, gives T + 1 points
    with weights u and totals v, whose influence functions have the cross-products of those of all units.

    Parameters
    ----------
    moments, group, size
        As in ``group_sums``.

    References
    ----------
    Wong, J., Forsell, E., Lewis, R., Mao, T. and Wardrop, M. (2021). You only compress once: optimal data compression
    for estimating linear models. arXiv:2102.11297.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y = np.array([[1.0, 3], [2, 6], [0, 0]])
    >>> table = cohort_moments(y, np.array([2, 2, 9]), np.array([1, 2]), np.ones((3, 1)), shift=np.zeros(2))
    >>> found = points(table, np.array([0, 0]), 1)
    >>> (found.total.T @ found.total).round(9).tolist(), float((found.weight @ found.weight).round(9))
    ([[5.0, 15.0], [15.0, 45.0]], 3.0)
    """
    if isinstance(moments, ClusterMoments):
        of = group[moments.cell]
        kept = of >= 0
        return Points(of[kept], moments.cluster[kept], moments.n[kept], moments.m[kept], moments.labels.size)
    kept, T = group >= 0, moments.periods.size
    N2, M2, Q = (added(group[kept], v[kept], size) for v in (moments.N2, moments.M2, moments.Q))
    weight, total = root(N2, M2, Q, np.bincount(group[kept], weights=moments.units[kept], minlength=size))
    who = np.repeat(np.arange(size), T + 1)
    return Points(who, np.arange(who.size), weight, total, who.size)


def root(N2: FloatArray, M2: FloatArray, Q: FloatArray, units: FloatArray | IntArray) -> tuple[FloatArray, FloatArray]:
    """Return weights, shape (J (T + 1),), and totals, shape (J (T + 1), T), with the second moments of J groups.

    The first point of a group is the mean; the others, of weight zero, are a root of what is left of the
    cross-products. They are scaled by period first, and rounding is cut off: groups whose units are alike, or that
    hold one unit, add nothing.

    Parameters
    ----------
    N2, M2, Q, units
        As in ``CohortMoments``.

    Examples
    --------
    >>> weight, total = root(np.array([2.0]), np.array([[4.0]]), np.array([[[10.0]]]), np.array([2]))
    >>> weight.round(6).tolist(), abs(total).round(6).tolist()  # outcomes 1 and 3
    ([1.414214, 0.0], [[2.828427], [1.414214]])
    """
    J, T = M2.shape
    mean = M2 / np.where(N2 > 0, N2, 1.0)[:, None]
    left = Q - M2[:, :, None] * mean[:, None, :]
    spread = np.diagonal(left, axis1=1, axis2=2)
    varies = (spread > CONSTANT * np.diagonal(Q, axis1=1, axis2=2)) & (units > 1)[:, None]
    scale = np.sqrt(np.where(varies, spread, 0.0))
    over = 1 / np.where(scale > 0, scale, np.inf)
    correlation = left * over[:, :, None] * over[:, None, :]
    values, vectors = np.linalg.eigh((correlation + correlation.transpose(0, 2, 1)) / 2)
    values = np.where(values > CONSTANT / 10 * T, values, 0.0)
    weight, total = np.zeros((J, T + 1)), np.zeros((J, T + 1, T))
    weight[:, 0] = np.sqrt(N2)
    total[:, 0] = mean * weight[:, :1]
    total[:, 1:] = (scale[:, :, None] * vectors * np.sqrt(values)[:, None, :]).transpose(0, 2, 1)
    return weight.ravel(), total.reshape(-1, T)


def complete(moments: CohortMoments | ClusterMoments) -> None:
    """Find out whether every unit of a table was observed in every period.

    Raises
    ------
    MomentsError
        ``holes``: it was not.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> complete(cohort_moments(np.zeros((3, 1)), np.array([2, 5, 9]), np.array([1]), np.ones((3, 1))))
    """
    if moments.there is not None and not moments.there.all():
        raise MomentsError("holes")


def by_start(moments: CohortMoments | ClusterMoments, last: int, first: int | None = None) -> tuple[IntArray, IntArray]:
    """Return the group of each cell, shape (S,), and the start of each group, ascending, shape (J,).

    Parameters
    ----------
    moments
        The table.
    last
        Starts after this period are one group, ``NEVER``.
    first
        Starts up to this period have no group: -1. None for none.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> table = cohort_moments(np.zeros((3, 1)), np.array([2, 5, 9]), np.array([1]), np.ones((3, 1)))
    >>> group, starts = by_start(table, 4)
    >>> group.tolist(), starts.size, int(starts[0])
    ([0, 1, 1], 2, 2)
    """
    start = np.where(moments.starts > last, NEVER, moments.starts)[moments.cohort]
    cells = moments.cell if isinstance(moments, ClusterMoments) else np.arange(moments.n.size)
    starts = np.unique(start[cells[moments.units > 0]])
    if first is not None:
        starts = starts[starts > first]
    group = np.where(np.isin(start, starts), np.searchsorted(starts, start), -1)
    return group.astype(np.int64), starts.astype(np.int64)


def average_outcomes(
    moments: CohortMoments | ClusterMoments, group: IntArray, table: FloatArray
) -> tuple[FloatArray, FloatArray]:
    r"""Return K averages of outcomes, and their scores by the rows of ``points``.

    Average k is :math:`\sum_{jt} a_{jtk} \sum_{i \in j} w_i Y_{it} / \sum_{jt} a_{jtk} n_j`.

    Parameters
    ----------
    moments, group
        As in ``points``.
    table
        a, shape (J, T, K).

    Returns
    -------
    tuple
        Shapes (K,) and (R, K).

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y = np.array([[1.0, 3], [2, 6], [0, 0]])
    >>> table = cohort_moments(y, np.array([2, 2, 9]), np.array([1, 2]), np.ones((3, 1)))
    >>> value, scores = average_outcomes(table, np.array([0, -1]), np.array([[[0.0], [1.0]]]))
    >>> value.tolist(), (scores.T @ scores).round(9).tolist()
    ([4.5], [[1.125]])
    """
    J = table.shape[0]
    sums = group_sums(moments, group, J)
    total = np.einsum("jtk,j->k", table, sums.n)
    level = np.einsum("jtk,j,t->k", table, sums.n, moments.shift) / total
    apart = np.einsum("jtk,jt->k", table, sums.m) / total
    slope = (table / total).transpose(0, 2, 1)
    constant = np.einsum("jkt,tk->jk", slope, moments.shift[:, None] - level) - slope.sum(axis=2) * apart
    return level + apart, points(moments, group, J).scores(slope, constant)
