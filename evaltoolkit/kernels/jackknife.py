"""Leaving out one cluster at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cell_models import Cell
from evaltoolkit.kernels.group_time import CellError, Rule, cells, comparison_units, effects

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


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
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    design: FloatArray,
    rule: Rule,
    clusters: IntArray,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Return group-time effects without each cluster, shape (C, K), in the order of ``group_time``.

    A cohort that is gone, or a cell that cannot be estimated, is missing. Without covariates the cells come from sums
    by cluster and cohort; with covariates every deletion is fitted anew.

    Parameters
    ----------
    outcome, start, periods, design, rule, weights
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
        return _from_sums(outcome, start, periods, rule, clusters, weights)
    every = _with_units(cells(start, periods, rule), outcome, start, periods)
    place = {(g, t): k for k, (g, t, _) in enumerate(every)}
    found = np.full((int(clusters.max()) + 1, len(every)), np.nan)
    for c in range(found.shape[0]):
        kept = clusters != c
        w = None if weights is None else weights[kept]
        try:
            part, att = effects(outcome[kept], start[kept], periods, design[kept], rule, w)
        except (CellError, ValueError):
            continue
        found[c, [place[g, t] for g, t, _ in part]] = att
    return found


def deleted_means(
    outcome: FloatArray, start: IntArray, clusters: IntArray, weights: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return means by start and period without each cluster, shape (C, J, T); sizes, shape (C, J); the starts.

    Means are over the units observed in the period.

    Examples
    --------
    >>> y = np.array([[1.0, 2], [3, 4], [5, 9]])
    >>> means, sizes, starts = deleted_means(y, np.array([2, 2, 9]), np.arange(3))
    >>> means[0].tolist(), sizes[0].tolist(), starts.tolist()
    ([[3.0, 4.0], [5.0, 9.0]], [1.0, 1.0], [2, 9])
    """
    starts, place = np.unique(start, return_inverse=True)
    size, flat = int(clusters.max()) + 1, clusters * starts.size + place
    w = np.ones(start.size) if weights is None else weights
    there = np.isfinite(outcome)
    sums = _left(np.where(there, outcome, 0.0) * w[:, None], flat, (size, starts.size))
    weight = _left(there * w[:, None], flat, (size, starts.size))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(weight > 0, sums / weight, np.nan)
    return means, _left(w[:, None], flat, (size, starts.size))[:, :, 0], starts


def _left(values: FloatArray, flat: IntArray, shape: tuple[int, int]) -> FloatArray:
    """Return sums of columns by start without each cluster, shape (C, J, columns)."""
    parts = [np.bincount(flat, weights=v, minlength=shape[0] * shape[1]) for v in values.T]
    by_cluster = np.stack(parts, axis=-1).reshape(*shape, values.shape[1])
    found: FloatArray = by_cluster.sum(axis=0) - by_cluster
    # What is left of a group that is gone is rounding.
    found[np.abs(found) < 1e-12 * np.abs(by_cluster).sum(axis=0)] = 0.0
    return found


def _with_units(every: list[Cell], outcome: FloatArray, start: IntArray, periods: IntArray) -> list[Cell]:
    """Return the cells whose cohort has a unit that was observed in both periods."""
    there = np.isfinite(outcome)
    if there.all():
        return every
    at = {int(t): i for i, t in enumerate(periods)}
    return [c for c in every if (there[:, at[c[1]]] & there[:, at[c[2]]] & (start == c[0])).any()]


def _from_sums(
    outcome: FloatArray, start: IntArray, periods: IntArray, rule: Rule, clusters: IntArray, weights: FloatArray | None
) -> FloatArray:
    every = _with_units(cells(start, periods, rule), outcome, start, periods)
    # Changes of deviations from each period's mean: effects are the same, and large levels lose no digits.
    apart = outcome - np.nanmean(outcome, axis=0)
    at = {int(t): i for i, t in enumerate(periods)}
    changes = list(dict.fromkeys((at[t], at[base]) for _, t, base in every))
    stacked = np.column_stack([apart[:, i] - apart[:, j] for i, j in changes])
    means, sizes, starts = deleted_means(stacked, start, clusters, weights)
    seen = np.isfinite(stacked)
    weight = sizes[:, :, None] if seen.all() else _weights(seen, start, clusters, weights)
    found = np.full((sizes.shape[0], len(every)), np.nan)
    for k, cell in enumerate(every):
        column = changes.index((at[cell[1]], at[cell[2]]))
        w = weight[:, :, min(column, weight.shape[2] - 1)]
        found[:, k] = effect_of_means(cell, (starts, periods, rule), means[:, :, column], w)
    return found


def effect_of_means(
    cell: Cell, how: tuple[IntArray, IntArray, Rule], change: FloatArray, weight: FloatArray
) -> FloatArray:
    """Return the effect in a cell from mean changes of the starts, in B cases, shape (B,); missing where it is lost.

    Parameters
    ----------
    cell
        Cohort, period and base.
    how
        The J starts, ascending, the periods, and the rule.
    change
        Mean change since the base of each start, missing without units, shape (B, J).
    weight
        Weight of the units of each start, shape (B, J).

    Examples
    --------
    >>> how = np.array([2, 9]), np.array([1, 2]), Rule()
    >>> effect_of_means((2, 2, 1), how, np.array([[5.0, 2.0]]), np.ones((1, 2))).tolist()
    [3.0]
    """
    starts, periods, rule = how
    compared = comparison_units(starts, periods, rule, cell)
    w = weight[:, compared]
    total = w.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        theirs = np.where(total > 0, (w * np.nan_to_num(change[:, compared])).sum(axis=1) / total, np.nan)
    found: FloatArray = change[:, int(np.searchsorted(starts, cell[0]))] - theirs
    return found


def _weights(seen: Mask, start: IntArray, clusters: IntArray, weights: FloatArray | None) -> FloatArray:
    """Return the weight of the units seen for each change, by start, without each cluster, shape (C, J, changes)."""
    starts, place = np.unique(start, return_inverse=True)
    w = np.ones(start.size) if weights is None else weights
    return _left(seen * w[:, None], clusters * starts.size + place, (int(clusters.max()) + 1, starts.size))


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
