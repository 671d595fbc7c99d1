"""What a complete panel says about its cohorts: means, cross-products, and scores of estimates linear in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.two_way_panel import Panel, Rows, segments, shifts

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MEMORY = 40_960
"""Numbers in a block of outcomes, at most: a block stays in the cache."""

MANY = 20_000
"""Units beyond which, where they are the clusters, cross-products stand in for a row of scores for each."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Sums over the units of each cohort in each cluster, P of them; or points with the cross-products of units.

    Attributes
    ----------
    cluster, cohort
        Shape (P,).
    total
        Sums of weight times outcome, shape (P, T).
    mass
        Sums of weights, shape (P,).
    n_clusters
        Number of clusters.
    """

    cluster: IntArray
    cohort: IntArray
    total: FloatArray
    mass: FloatArray
    n_clusters: int


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of outcomes less their own mean within the unit (and less a rough mean by period).

    Attributes
    ----------
    size
        Units by cohort, shape (J,).
    mass, mass_squared
        Sums of weights and of squared weights, shape (J,).
    mean, mean_squared
        Means by weight and by squared weight, shape (J, T).
    cross
        Sums of squared weight times the outer product of deviations from ``mean_squared``, shape (J, T, T).
    pairs
        Sums by cluster; None where units are the clusters and there are very many.
    """

    size: IntArray
    mass: FloatArray
    mass_squared: FloatArray
    mean: FloatArray
    mean_squared: FloatArray
    cross: FloatArray
    pairs: Pairs | None

    def rows(self) -> list[Rows]:
        """Return the cohorts as if each were one unit, with its mean outcome and its weight."""
        T = self.mean.shape[1]
        return [
            Rows(np.array([j]), j, 0, self.mean[j : j + 1], np.full((1, T), m), np.zeros((1, T, 0)))
            for j, m in enumerate(self.mass)
        ]

    def scores(self, slope: FloatArray, shift: FloatArray) -> FloatArray:
        r"""Return scores of K estimates that are :math:`w_i (A_j z_i + b_j)` for unit i of cohort j.

        Parameters
        ----------
        slope
            A, shape (J, K, T); rows sum to zero, or z being less the unit's mean is meant.
        shift
            b, shape (J, K).

        Returns
        -------
        array
            Summed by cluster, shape (C, K); where cross-products stand in, K rows with the same cross-product.
        """
        K = slope.shape[1]
        if self.pairs is None:
            level = np.einsum("jkt,jt->jk", slope, self.mean_squared) + shift
            meat = np.einsum("jkt,jts,jls->kl", slope, self.cross, slope, optimize=True)
            return _root(meat + (level * self.mass_squared[:, None]).T @ level)
        p = self.pairs
        found = np.zeros((p.total.shape[0], K))
        for j in range(self.mass.size):
            mine = np.flatnonzero(p.cohort == j)
            found[mine] = p.total[mine] @ slope[j].T + p.mass[mine, None] * shift[j]
        if p.n_clusters == p.total.shape[0]:
            summed = np.zeros_like(found)
            summed[p.cluster] = found
            return summed
        return np.stack([np.bincount(p.cluster, weights=c, minlength=p.n_clusters) for c in found.T], axis=1)


class ClusterSums:
    """Scores of K estimates by unit, added up by cluster; their cross-product where units are many clusters."""

    def __init__(self, panel: Panel, K: int) -> None:
        n = panel.outcome.shape[0]
        self.clusters = np.arange(n) if panel.clusters is None else panel.clusters
        self.many = panel.clusters is None and n > MANY
        self.total = np.zeros((K if self.many else panel.n_clusters, K))

    def add(self, index: IntArray, scores: FloatArray) -> None:
        """Add the scores of some units, shape (B, K)."""
        if self.many:
            self.total += scores.T @ scores
        else:
            add_rows(self.total, self.clusters[index], scores)

    def scores(self) -> FloatArray:
        """Return the sums, shape (C, K), or rows with the same cross-product, shape (K, K)."""
        return _root(self.total) if self.many else self.total


def _root(meat: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh((meat + meat.T) / 2)
    found: FloatArray = np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T
    return found


def moments(panel: Panel) -> Moments:
    """Return the moments of a complete panel: one pass over the outcomes.

    Parameters
    ----------
    panel
        One with ``by_cohort``.

    Returns
    -------
    Moments

    References
    ----------
    Wong, J., Forsell, E., Lewis, R., Mao, T. and Wardrop, M. (2021). You only compress once: optimal data compression
    for estimating linear models. arXiv:2102.11297.

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[1.0, 3], [2, 6], [0, 0]])
    >>> found = moments(two_way_panel(y, np.array([2, 2, 9]), np.array([1, 2])))
    >>> found.size.tolist(), float(np.diff(found.mean[0] - found.mean[1])[0].round(9))
    ([2, 1], 3.0)
    """
    J, T = panel.starts.size, panel.periods.size
    alone = panel.clusters is None
    totals = np.zeros(panel.outcome.shape) if alone and panel.outcome.shape[0] <= MANY else None
    sums, first, second, cross = np.zeros((3, J)), np.zeros((J, T)), np.zeros((J, T)), np.zeros((J, T, T))
    for j, index, z in _within(panel):
        w = None if panel.weights is None else panel.weights[index]
        wz = z if w is None else z * w[:, None]
        ones = np.ones(index.size)
        sums[:, j] += [index.size] * 3 if w is None else [index.size, float(w.sum()), float(w @ w)]
        first[j] += ones @ wz
        second[j] += (ones if w is None else w) @ wz
        cross[j] += wz.T @ wz
        if totals is not None:
            totals[index] = wz
    mean, squared = first / sums[1][:, None], second / sums[2][:, None]
    cross -= sums[2][:, None, None] * squared[:, :, None] * squared[:, None, :]
    return Moments(sums[0].astype(np.int64), sums[1], sums[2], mean, squared, cross, _pairs(panel, totals))


def _within(panel: Panel) -> Iterator[tuple[int, IntArray, FloatArray]]:
    """Yield blocks of outcomes less the unit's mean and a rough mean by period.

    Products with whole matrices and a tiled shift: taking a mean out row by row would cost more than the rest.
    """
    T = panel.periods.size
    centre = np.eye(T) - 1 / T
    step = max(64, MEMORY // T)
    shift = np.tile(shifts(panel)[0] @ centre, (step, 1))
    for j, _, rows in segments(panel):
        for begin in range(0, rows.size, step):
            index = rows[begin : begin + step]
            z = panel.outcome.take(index, axis=0) @ centre
            z -= shift[: index.size]
            yield j, index, z


def add_rows(total: FloatArray, code: IntArray, values: FloatArray) -> None:
    """Add rows of values, shape (B, q), to the rows of the total that their codes, shape (B,), name.

    >>> total = np.zeros((2, 1))
    >>> add_rows(total, np.array([1, 0, 1]), np.array([[1.0], [2], [3]]))
    >>> total.ravel().tolist()
    [2.0, 4.0]
    """
    order = np.argsort(code, kind="stable")
    sorted_code = code[order]
    begins = np.flatnonzero(np.r_[True, sorted_code[1:] != sorted_code[:-1]])
    total[sorted_code[begins]] += np.add.reduceat(values[order], begins, axis=0)


def _pairs(panel: Panel, totals: FloatArray | None) -> Pairs | None:
    n, T = panel.outcome.shape
    w = np.ones(n) if panel.weights is None else panel.weights
    if panel.clusters is None:
        return None if totals is None else Pairs(np.arange(n), panel.cohort, totals, w, n)
    from scipy import sparse

    J = panel.starts.size
    key = panel.clusters * J + panel.cohort
    size = np.bincount(key)
    present = np.flatnonzero(size)
    lookup = np.zeros(size.size, dtype=np.int64)
    lookup[present] = np.arange(present.size)
    members = sparse.csr_matrix((w, (lookup[key], np.arange(n))), shape=(present.size, n))
    mass = np.bincount(lookup[key], weights=w).astype(np.float64)
    centre = np.eye(T) - 1 / T
    total = (members @ panel.outcome) @ centre - mass[:, None] * (shifts(panel)[0] @ centre)
    return Pairs(present // J, present % J, total, mass, panel.n_clusters)
