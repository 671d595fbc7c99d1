"""Means of clusters by period, and estimates as weights on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohorts import CellError, Rule, cells, comparison_units
from evaltoolkit.kernels.placebo_cells import Sample
from evaltoolkit.kernels.randomization import Rows, shares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

DONORS = 5
"""Never-treated clusters below which their spread says too little."""

Why = Literal["holes", "no-never-treated", "single-cluster", "no-contrast"]


class FewTreatedError(ValueError):
    """A method does not apply.

    ``holes``: a unit was not observed in some period. ``no-never-treated``: too few clusters never start.
    ``single-cluster``: a cohort has one, so no spread. ``no-contrast``: nothing tells how treated clusters vary.
    """

    def __init__(self, why: Why) -> None:
        self.why = why
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Means:
    """Mean outcomes of C clusters.

    Attributes
    ----------
    sample
        What they come from.
    means
        Shape (C, T); less what covariates explain among the never treated, where there are any.
    start, size, units
        Start of each cluster, weight of its units, and their number, shape (C,).
    never
        Which clusters start in none of the periods, shape (C,).
    lost
        Degrees of freedom that covariates cost.
    whole
        Whether every unit was observed in every period.
    """

    sample: Sample
    means: FloatArray
    start: IntArray
    size: FloatArray
    units: IntArray
    never: Mask
    lost: int
    whole: bool


def cluster_means(sample: Sample) -> Means:
    """Return weighted means by cluster and period of the units observed in every period.

    Covariates count with their values in the first period; a regression on them among never-treated units, period by
    period, is taken out.

    Raises
    ------
    FewTreatedError
        Too few clusters never start.

    Examples
    --------
    >>> y, start = np.arange(12.0).reshape(6, 2), np.array([2, 9, 9, 9, 9, 9])
    >>> cluster_means(Sample.of(y, start, np.array([1, 2]), Rule())).means[1].tolist()
    [2.0, 3.0]
    """
    whole = np.isfinite(sample.outcome).all(axis=1) & np.isfinite(sample.design[:, 0]).all(axis=1)
    names, clusters = np.unique(sample.clusters[whole], return_inverse=True)
    size = names.size
    start, weights = np.zeros(size, dtype=np.int64), sample.weights[whole]
    start[clusters] = sample.start[whole]
    never = start > int(sample.periods[-1]) + sample.rule.anticipation
    X, y = sample.design[whole, 0], sample.outcome[whole]
    lost = X.shape[1] - 1
    if int(never.sum()) - lost < DONORS:
        raise FewTreatedError("no-never-treated")
    if lost:
        free, root = never[clusters], np.sqrt(weights[never[clusters]])[:, None]
        y = y - X @ np.linalg.lstsq(X[free] * root, y[free] * root, rcond=None)[0]
    weight = np.bincount(clusters, weights=weights, minlength=size).astype(np.float64)
    sums = np.stack([np.bincount(clusters, weights=weights * v, minlength=size) for v in y.T], axis=1)
    units = np.bincount(clusters, minlength=size).astype(np.int64)
    return Means(sample, sums / weight[:, None], start, weight, units, never, lost, bool(whole.all()))


def inequality(means: Means) -> float:
    """Return the number of units in the largest cluster over that in the smallest."""
    return float(means.units.max() / means.units.min())


@dataclass(frozen=True, slots=True)
class Contrasts:
    """Rows of an aggregation as weights on mean outcomes: row r is ``sum(weights[r] * means of starts)``.

    Attributes
    ----------
    starts
        The J different starts, ascending, shape (J,).
    weights
        Shape (m, J, T).
    """

    starts: IntArray
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class GroupMeans:
    """Mean outcomes of the clusters of each of J starts: all that errors from spreads within groups need.

    Attributes
    ----------
    starts, periods
        Shapes (J,) and (T,), ascending.
    rule
        How cells are estimated.
    clusters, size
        Number of clusters and weight of their units, shape (J,).
    mean, covariance
        Mean by weight, shape (J, T), and covariance of that mean as in ``moments``, shape (J, T, T).
    lost
        Degrees of freedom that covariates cost.
    """

    starts: IntArray
    periods: IntArray
    rule: Rule
    clusters: IntArray
    size: FloatArray
    mean: FloatArray
    covariance: FloatArray
    lost: int

    @property
    def never(self) -> Mask:
        """Which starts lie in none of the periods, shape (J,)."""
        found: Mask = self.starts > int(self.periods[-1]) + self.rule.anticipation
        return found


def group_means(means: Means) -> GroupMeans:
    """Return the means of clusters summed by start.

    Raises
    ------
    FewTreatedError
        The panel has holes.

    Examples
    --------
    >>> y, start = np.arange(12.0).reshape(6, 2), np.array([2, 9, 9, 9, 9, 9])
    >>> found = group_means(cluster_means(Sample.of(y, start, np.array([1, 2]), Rule())))
    >>> found.clusters.tolist(), found.mean.round(9).tolist()
    ([1, 5], [[0.0, 1.0], [6.0, 7.0]])
    """
    if not means.whole:
        raise FewTreatedError("holes")
    starts, place = np.unique(means.start, return_inverse=True)
    parts = [moments(means, place == j) for j in range(starts.size)]
    size = np.bincount(place, weights=means.size).astype(np.float64)
    return GroupMeans(
        starts.astype(np.int64), means.sample.periods, means.sample.rule, np.bincount(place).astype(np.int64), size,
        np.stack([m for m, _ in parts]), np.stack([c for _, c in parts]), means.lost,
    )  # fmt: skip


def contrasts(means: Means | GroupMeans, kind: Rows, among: Mask | None = None) -> Contrasts:
    """Return what every row of an aggregation, and its overall value, does to the mean outcomes.

    Parameters
    ----------
    means
        The data.
    kind
        Which aggregation, or ``cells``; rows as in ``by_randomization``.
    among
        Cells that are averaged, shape (K,); None for all.

    Raises
    ------
    FewTreatedError
        The panel has holes.
    CellError
        A cell has nothing to be compared with.
    """
    if isinstance(means, GroupMeans):
        return _contrasts((means.starts, means.size), (means.periods, means.rule), kind, among)
    if not means.whole:
        raise FewTreatedError("holes")
    starts, place = np.unique(means.start, return_inverse=True)
    total = np.bincount(place, weights=means.size).astype(np.float64)
    return _contrasts((starts, total), (means.sample.periods, means.sample.rule), kind, among)


def _contrasts(
    sizes: tuple[IntArray, FloatArray], how: tuple[IntArray, Rule], kind: Rows, among: Mask | None
) -> Contrasts:
    """Return the contrasts of starts of some sizes."""
    (starts, total), (periods, rule) = sizes, how
    every = cells(starts, periods, rule)
    table = np.zeros((len(every), starts.size, periods.size))
    for k, cell in enumerate(every):
        compared = comparison_units(starts, periods, rule, cell)
        if not compared.any():
            raise CellError("empty", cell[0])
        weight = (starts == cell[0]) - np.where(compared, total, 0.0) / total[compared].sum()
        table[k, :, int(np.searchsorted(periods, cell[1]))] += weight
        table[k, :, int(np.searchsorted(periods, cell[2]))] -= weight
    cells_of = (np.array([c[0] for c in every]), np.array([c[1] for c in every]))
    used = np.ones(len(every), dtype=np.bool_) if among is None else among
    share = shares(kind, cells_of, total[None, :], starts, used[None, :])[0]
    return Contrasts(starts, np.tensordot(share, table, axes=1))


def moments(means: Means, mine: Mask) -> tuple[FloatArray, FloatArray]:
    r"""Return the mean of some clusters by size, shape (T,), and the covariance of that mean, shape (T, T).

    With shares :math:`s_i` of the units and deviations :math:`a_i` from the mean the covariance is
    :math:`\sum_i s_i^2 a_i a_i' / (1 - 2 s_i + \sum s^2)`: right on average where clusters vary alike, and it follows
    the clusters that count most where they do not. Zero for a single cluster.

    Examples
    --------
    >>> y = np.array([[0, 3.0], [0, 5], [0, 0], [0, 1], [0, 2], [0, 3], [0, 4]])
    >>> found = cluster_means(Sample.of(y, np.array([2, 2, 9, 9, 9, 9, 9]), np.array([1, 2]), Rule()))
    >>> middle, covariance = moments(found, found.never)
    >>> middle.round(9).tolist(), covariance.round(9).tolist()  # the variance 2.5 of five clusters, over five
    ([0.0, 2.0], [[0.0, 0.0], [0.0, 0.5]])
    """
    share = means.size[mine] / means.size[mine].sum()
    middle: FloatArray = share @ means.means[mine]
    apart = means.means[mine] - middle
    left = 1 - 2 * share + share @ share
    weight = share**2 / np.where(left > 1e-12, left, 1.0)
    return middle, (apart * weight[:, None]).T @ apart


def quadratic(c: FloatArray, S: FloatArray) -> FloatArray:
    """Return ``c[r] @ S @ c[r]`` for every row, shape (r,); rounding below zero is zero."""
    found: FloatArray = np.maximum(np.einsum("rt,tu,ru->r", c, S, c, optimize=True), 0.0)
    return found
