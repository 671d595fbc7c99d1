"""Leaving out one cluster at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.group_time import CellError, Rule, cells, comparison_units, effects

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def jackknife_covariance(deleted: FloatArray, full: FloatArray) -> FloatArray:
    r"""Return :math:`\frac{G-1}{G} \sum_c (\theta_{(-c)} - \hat\theta)(\theta_{(-c)} - \hat\theta)'`.

    Centered at the full estimate (CV3), which is never smaller than centering at the mean of the deletions.

    Parameters
    ----------
    deleted
        Estimates without each cluster, shape (G, m); a column with a missing value gets no variance.
    full
        Estimates from all clusters, shape (m,).

    Returns
    -------
    array of shape (m, m)

    References
    ----------
    MacKinnon, J., Nielsen, M. and Webb, M. (2023). Fast and reliable jackknife and bootstrap methods for cluster-robust
    inference. Journal of Applied Econometrics 38. doi:10.1002/jae.2969

    Examples
    --------
    >>> y = np.array([1.0, 2, 6])
    >>> deleted = np.array([[4.0], [3.5], [1.5]])
    >>> bool(np.isclose(jackknife_covariance(deleted, np.array([3.0])), y.var(ddof=1) / 3).all())
    True
    """
    size = deleted.shape[0]
    apart = deleted - full
    found: FloatArray = (size - 1) / size * apart.T @ apart
    return found


def delete_one_group_time(
    outcome: FloatArray, start: IntArray, periods: IntArray, design: FloatArray, rule: Rule, clusters: IntArray
) -> FloatArray:
    """Return group-time effects without each cluster, shape (C, K), in the order of ``cells``.

    A cohort that is gone, or a cell that cannot be estimated, is missing. Without covariates the cells come from sums
    by cluster and cohort; with covariates every deletion is fitted anew.

    Parameters
    ----------
    outcome, start, periods, design, rule
        As in ``group_time``.
    clusters
        Codes 0 .. C - 1, shape (n,).

    Examples
    --------
    >>> from evaltoolkit.kernels.group_time import NEVER
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> start = np.array([3, 3, NEVER, NEVER])
    >>> delete_one_group_time(y, start, np.array([1, 2, 3]), np.ones((4, 1, 1)), Rule(), np.arange(4))[:, 1].tolist()
    [6.0, 6.0, 6.0, 6.0]
    """
    if design.shape[2] == 1:
        return _from_sums(outcome, start, periods, rule, clusters)
    every = cells(start, periods, rule)
    place = {(g, t): k for k, (g, t, _) in enumerate(every)}
    found = np.full((int(clusters.max()) + 1, len(every)), np.nan)
    for c in range(found.shape[0]):
        kept = clusters != c
        try:
            part, att = effects(outcome[kept], start[kept], periods, design[kept], rule)
        except (CellError, ValueError):
            continue
        found[c, [place[g, t] for g, t, _ in part]] = att
    return found


def deleted_means(outcome: FloatArray, start: IntArray, clusters: IntArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return means by start and period without each cluster, shape (C, J, T); counts, shape (C, J); the starts."""
    starts, place = np.unique(start, return_inverse=True)
    size, flat = int(clusters.max()) + 1, clusters * starts.size + place
    cells_of = size * starts.size
    counts = np.bincount(flat, minlength=cells_of).reshape(size, starts.size).astype(np.float64)
    sums = np.stack([np.bincount(flat, weights=y, minlength=cells_of) for y in outcome.T], axis=-1)
    sums = sums.reshape(size, starts.size, outcome.shape[1])
    left = counts.sum(axis=0) - counts
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(left[:, :, None] > 0, (sums.sum(axis=0) - sums) / left[:, :, None], np.nan)
    return means, left, starts


def _from_sums(outcome: FloatArray, start: IntArray, periods: IntArray, rule: Rule, clusters: IntArray) -> FloatArray:
    # Means of deviations from each period's mean: differences are the same, and large levels lose no digits.
    means, left, starts = deleted_means(outcome - outcome.mean(axis=0), start, clusters)
    every = cells(start, periods, rule)
    found = np.full((left.shape[0], len(every)), np.nan)
    for k, cell in enumerate(every):
        g, t, base = cell
        i, j = int(np.searchsorted(periods, t)), int(np.searchsorted(periods, base))
        compared = comparison_units(starts, periods, rule, cell)
        mine = int(np.searchsorted(starts, g))
        weight = left[:, compared]
        change = np.nan_to_num(means[:, compared, i] - means[:, compared, j])
        total = weight.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            theirs = np.where(total > 0, (weight * change).sum(axis=1) / total, np.nan)
        found[:, k] = means[:, mine, i] - means[:, mine, j] - theirs
    return found


def delete_one_least_squares(design: FloatArray, outcome: FloatArray, clusters: IntArray) -> FloatArray:
    """Return least-squares coefficients without each cluster, shape (C, k), from cross-products by cluster.

    A deletion that leaves a column without variation of its own is missing.

    Examples
    --------
    >>> X = np.ones((3, 1))
    >>> delete_one_least_squares(X, np.array([1.0, 2, 6]), np.arange(3)).ravel().round(9).tolist()
    [4.0, 3.5, 1.5]
    """
    size, k = int(clusters.max()) + 1, design.shape[1]
    length = np.sqrt((design**2).sum(axis=0))
    X = design / np.where(length > 0, length, 1)
    gram, cross = np.zeros((size, k, k)), np.zeros((size, k))
    np.add.at(gram, clusters, X[:, :, None] * X[:, None, :])
    np.add.at(cross, clusters, X * outcome[:, None])
    left, right = gram.sum(axis=0) - gram, cross.sum(axis=0) - cross
    found = np.full((size, k), np.nan)
    for c in range(size):
        if np.linalg.matrix_rank(left[c], tol=1e-9, hermitian=True) == k:
            found[c] = np.linalg.solve(left[c], right[c]) / length
    return found
