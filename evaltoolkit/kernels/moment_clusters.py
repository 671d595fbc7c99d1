"""First moments by cluster and cell: all that clusters coarser than units need."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohort_moments import checked, common_shift, patterns, rough_shift
from evaltoolkit.kernels.moment_cells import MomentsError, added, joint_codes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

MOST = 1 << 27
"""Numbers in the sums of a table, at most."""


@dataclass(frozen=True, slots=True)
class ClusterMoments:
    """Sums over the units of P pairs of a cluster and a cell, less a shift of every period.

    Attributes
    ----------
    starts, periods, design, cohort
        Starts (J,), periods (T,), and the S cells: their covariates (S, k) and places of their starts (S,).
    labels
        The C clusters, ascending: the same label in two tables is the same cluster, shape (C,).
    cluster, cell
        Places of each pair's cluster in ``labels`` and of its cell, shape (P,).
    units
        Units in each pair, shape (P,).
    n, m
        Sums of w, shape (P,), and of w Y, shape (P, T).
    shift
        Taken out of every outcome of a period before it was summed, shape (T,).
    there
        Periods in which the units of a cell were observed, shape (S, T), where cells are alike in that too; None where
        every unit was observed in every period.
    """

    starts: IntArray
    periods: IntArray
    design: FloatArray
    cohort: IntArray
    labels: IntArray
    cluster: IntArray
    cell: IntArray
    units: IntArray
    n: FloatArray
    m: FloatArray
    shift: FloatArray
    there: Mask | None = None

    def shifted(self, shift: FloatArray) -> ClusterMoments:
        """Return the same sums with another shift.

        >>> y, one = np.array([[1.0, 4]]), np.zeros(1, dtype=np.int64)
        >>> found = cluster_moments(y, np.array([2]), np.array([1, 2]), np.ones((1, 1)), one)
        >>> found.shifted(np.zeros(2)).m.tolist()
        [[1.0, 4.0]]
        """
        d = np.broadcast_to(self.shift - shift, self.m.shape)
        d = d if self.there is None else d * self.there[self.cell]
        return replace(self, m=self.m + self.n[:, None] * d, shift=np.asarray(shift, dtype=np.float64))


def cluster_moments(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    design: FloatArray,
    clusters: IntArray,
    weights: FloatArray | None = None,
    shift: FloatArray | None = None,
) -> ClusterMoments:
    r"""Reduce a complete panel to sums by cluster and cell.

    An influence function :math:`w_i (a_s' Y_i + b_s)` adds up to :math:`\sum_s a_s' m_{cs} + n_{cs} b_s` in cluster c:
    no cross-products are needed, and a cluster may hold units of several cohorts.

    Parameters
    ----------
    outcome, start, periods, design, weights, shift
        As in ``cohort_moments``.
    clusters
        Label of each unit's cluster, shape (n,).

    Returns
    -------
    ClusterMoments

    Raises
    ------
    MomentsError
        ``holes``, ``shape``, ``cells``.

    References
    ----------
    Wong, J., Forsell, E., Lewis, R., Mao, T. and Wardrop, M. (2021). You only compress once: optimal data compression
    for estimating linear models. arXiv:2102.11297.

    Examples
    --------
    >>> y, state = np.array([[1.0, 3], [2, 6], [0, 0]]), np.array([7, 7, 8])
    >>> found = cluster_moments(y, np.array([2, 2, 9]), np.array([1, 2]), np.ones((3, 1)), state, shift=np.zeros(2))
    >>> found.labels.tolist(), found.n.tolist(), found.m.tolist()
    ([7, 8], [2.0, 1.0], [[3.0, 9.0], [0.0, 0.0]])
    """
    y = checked(outcome, start, periods, design, weights)
    level = rough_shift(y) if shift is None else np.asarray(shift, dtype=np.float64)
    if clusters.shape != start.shape or level.shape != periods.shape or not np.isfinite(level).all():
        raise MomentsError("shape")
    cells, kept = joint_codes([start, *design.T], MOST // y.shape[1])
    pairs, rows = joint_codes([clusters, cells], MOST // y.shape[1])
    starts, cohort = np.unique(start[kept], return_inverse=True)
    labels, cluster = np.unique(clusters[rows], return_inverse=True)
    units = np.bincount(pairs, minlength=rows.size)
    n = np.bincount(pairs, weights=weights, minlength=rows.size).astype(np.float64)
    m = np.empty((rows.size, y.shape[1]))
    for t in range(y.shape[1]):
        change = y[:, t] - level[t]
        m[:, t] = np.bincount(pairs, weights=change if weights is None else change * weights, minlength=rows.size)
    return ClusterMoments(
        starts.astype(np.int64), periods.astype(np.int64), design[kept].astype(np.float64), cohort.astype(np.int64),
        labels.astype(np.int64), cluster.astype(np.int64), cells[rows], units.astype(np.int64), n, m, level,
    )  # fmt: skip


def combined_clusters(*tables: ClusterMoments) -> ClusterMoments:
    """Add tables of disjoint units: what one reduction of all units would have found.

    Parameters
    ----------
    tables
        At least one, with the same periods and covariates; cells and clusters may differ or be shared.

    Raises
    ------
    MomentsError
        ``different``: periods or numbers of covariates differ.

    Examples
    --------
    >>> y, start, state = np.array([[1.0, 3], [2, 6], [0, 0]]), np.array([2, 2, 9]), np.array([7, 7, 8])
    >>> parts = [
    ...     cluster_moments(y[s], start[s], np.array([1, 2]), np.ones((3, 1))[s], state[s])
    ...     for s in (slice(1), slice(1, 3))
    ... ]
    >>> found = combined_clusters(*parts)
    >>> found.units.tolist(), found.shifted(np.zeros(2)).m.tolist()
    ([2, 1], [[3.0, 9.0], [0.0, 0.0]])
    """
    shift = common_shift([(t.n, t.m, t.shift) for t in tables], [(t.periods, t.design) for t in tables])
    parts = [t if np.array_equal(t.shift, shift) else t.shifted(shift) for t in tables]
    start, design = np.concatenate([t.starts[t.cohort] for t in parts]), np.concatenate([t.design for t in parts])
    there = patterns([(t.there, t.cohort.size) for t in parts], shift)
    cells, kept = joint_codes([start, *design.T, *there.T], MOST)
    starts, cohort = np.unique(start[kept], return_inverse=True)
    first = np.cumsum([0, *(t.cohort.size for t in parts)])
    cell = cells[np.concatenate([t.cell + first[i] for i, t in enumerate(parts)])]
    label = np.concatenate([t.labels[t.cluster] for t in parts])
    pairs, rows = joint_codes([label, cell], MOST // shift.size)
    labels, cluster = np.unique(label[rows], return_inverse=True)
    n, m = (added(pairs, np.concatenate([getattr(t, name) for t in parts]), rows.size) for name in ("n", "m"))
    units = np.bincount(pairs, weights=np.concatenate([t.units for t in parts])).astype(np.int64)
    return ClusterMoments(
        starts, tables[0].periods, design[kept], cohort.astype(np.int64), labels, cluster.astype(np.int64), cell[rows],
        units, n, m, shift, None if there.all() else there[kept],
    )  # fmt: skip
