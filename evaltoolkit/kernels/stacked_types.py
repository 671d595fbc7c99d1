"""Types of units: those that an estimator treats alike, with their sums, and scores that are linear in outcomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cell_scores import factor

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

MANY = 20_000
"""Units beyond which, where they are the clusters, cross-products stand in for a row of scores for each."""


@dataclass(frozen=True, slots=True)
class Types:
    """J types of n units.

    Attributes
    ----------
    label
        What the units of a type share, shape (J, q).
    observed
        Periods in which they were observed, shape (J, T).
    code
        Type of each unit, shape (n,).
    units
        Number of units, shape (J,).
    size
        Their weight, shape (J,).
    total
        Weighted sums of outcomes less their overall mean, shape (J, T); zero where not observed.
    values
        Those outcomes, shape (n, T); zero where not observed.
    weights
        Shape (n,).
    """

    label: IntArray
    observed: Mask
    code: IntArray
    units: FloatArray
    size: FloatArray
    total: FloatArray
    values: FloatArray
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class Linear:
    """Influence of units on m rows: the influence of unit i of type j is ``w_i (slope[j] @ y_i + constant[j])``.

    Attributes
    ----------
    point
        The rows, shape (m,).
    slope
        Shape (J, m, T).
    constant
        Shape (J, m).
    used
        Types that are in the sample of any row, shape (J,).
    """

    point: FloatArray
    slope: FloatArray
    constant: FloatArray
    used: Mask


def types(outcome: FloatArray, label: IntArray, weights: FloatArray | None = None) -> Types:
    """Sort units into types by their label and the periods in which they were observed.

    The overall mean is taken out of the outcome, so that large levels lose no digits. Period means stay: residuals of
    a stack pool over periods.

    Parameters
    ----------
    outcome
        Shape (n, T), NaN where a unit was not observed.
    label
        Shape (n, q).
    weights
        Above zero, shape (n,); None for ones.

    Returns
    -------
    Types

    Examples
    --------
    >>> found = types(np.array([[1.0, 2], [3, 4], [5, np.nan]]), np.array([[7], [7], [7]]))
    >>> found.units.tolist(), found.observed.tolist(), found.total.tolist()
    ([1.0, 2.0], [[True, False], [True, True]], [[2.0, 0.0], [-2.0, 0.0]])
    """
    seen = ~np.isnan(outcome)
    w = np.ones(outcome.shape[0]) if weights is None else np.asarray(weights, dtype=np.float64)
    code = np.zeros(outcome.shape[0], dtype=np.int64)
    for column in label.T:
        ranks = np.unique(column, return_inverse=True)[1]
        code = np.unique(code * (int(ranks.max()) + 1) + ranks, return_inverse=True)[1]
    if not seen.all():
        bits = np.packbits(seen, axis=1)
        patterns, pattern = np.unique(bits, axis=0, return_inverse=True)
        _, code = np.unique(code * len(patterns) + pattern.ravel(), return_inverse=True)
    _, first = np.unique(code, return_index=True)
    J = first.size
    values = np.where(seen, outcome - np.nanmean(outcome), 0.0)
    total = np.stack([np.bincount(code, weights=w * v, minlength=J) for v in values.T], axis=1)
    units = np.bincount(code, minlength=J).astype(np.float64)
    size = np.bincount(code, weights=w, minlength=J).astype(np.float64)
    return Types(label[first], seen[first], code.astype(np.int64), units, size, total.astype(np.float64), values, w)


def linear_scores(found: Types, rows: Linear, clusters: IntArray | None = None) -> FloatArray:
    """Return scores, shape (C, m): influence summed in clusters, so that ``scores.T @ scores`` is the covariance.

    Where units are the clusters and there are more than ``MANY``, cross-products of outcomes by type stand in for
    them, and a root of the covariance is returned: as many rows as it has rank at most, which are no clusters.

    Parameters
    ----------
    found
        The types.
    rows
        Influence of units.
    clusters
        Codes 0 .. C - 1, shape (n,); None where units are the clusters.

    Examples
    --------
    >>> found = types(np.array([[1.0], [3.0]]), np.array([[0], [0]]))
    >>> rows = Linear(np.zeros(1), np.ones((1, 1, 1)), np.zeros((1, 1)), np.ones(1, dtype=bool))
    >>> linear_scores(found, rows).tolist(), linear_scores(found, rows, np.array([0, 0])).tolist()
    ([[-1.0], [1.0]], [[0.0]])
    """
    n, m = found.code.size, rows.point.size
    C = n if clusters is None else int(clusters.max()) + 1
    order = np.argsort(found.code, kind="stable")
    edges = np.concatenate([[0], np.cumsum(found.units).astype(np.int64)])
    products = np.zeros((m, m))
    each = np.zeros((n, m))
    many = n == C and n > MANY
    if many:
        each = each[:0]
    for j in np.flatnonzero(rows.used):
        mine = order[edges[j] : edges[j + 1]]
        slope, constant = rows.slope[j], rows.constant[j]
        w = found.weights[mine][:, None]
        if many:
            block = np.concatenate([w * found.values[mine], w], axis=1)
            load = np.concatenate([slope, constant[:, None]], axis=1)
            products += load @ (block.T @ block) @ load.T
        else:
            each[mine] = w * (found.values[mine] @ slope.T + constant)
    if many:
        return factor(products)
    if clusters is None:
        return each
    sums = np.stack([np.bincount(clusters, weights=v, minlength=C) for v in each.T], axis=1)
    return sums.astype(np.float64)


def correction(clusters: int, rows: float, parameters: int) -> float:
    r"""Return the root of :math:`\frac{G}{G-1} \frac{N-1}{N-K}`; NaN with one cluster or no degrees of freedom.

    Examples
    --------
    >>> round(correction(5, 21, 1), 6)
    1.118034
    """
    if clusters < 2 or rows <= parameters:
        return float("nan")
    return float(np.sqrt(clusters / (clusters - 1) * (rows - 1) / (rows - parameters)))


def clusters_used(found: Types, used: Mask, clusters: IntArray | None) -> int:
    """Return how many clusters have units of the types used.

    Examples
    --------
    >>> found = types(np.array([[1.0], [3.0]]), np.array([[0], [1]]))
    >>> clusters_used(found, np.array([True, False]), None)
    1
    """
    inside = used[found.code]
    return int(inside.sum()) if clusters is None else int(np.unique(clusters[inside]).size)
