"""Distances between people on several covariates, and nearest-neighbour pairs by them."""

from __future__ import annotations

from types import ModuleType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpstrf
from scipy.stats import rankdata

from evaltoolkit.kernels.pairing import Constraints, Pairs, Rule, focal_order, pairs_from

Metric = Literal["mahalanobis", "robust-mahalanobis", "scaled-euclidean"]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

# Below this determinant a covariance matrix is inverted on its range only.
_SINGULAR = 1e-8


def straightened(X: FloatArray, treated: Mask, metric: Metric = "mahalanobis") -> FloatArray:
    r"""Return covariates turned so that their Euclidean distance is the distance asked for.

    ``mahalanobis``: :math:`d_{ij}^2 = (x_i - x_j)' S^{-1} (x_i - x_j)` with :math:`S` the covariance matrix pooled
    within the two groups. ``robust-mahalanobis``: the same on average ranks, with the covariance matrix of all rows
    rescaled so that each rank has the variance of ranks without ties. ``scaled-euclidean``: each covariate over its
    standard deviation pooled within groups. Columns that do not vary are dropped.

    Parameters
    ----------
    X
        Covariates, shape (n, k); of a category, an indicator of every level over the root of two.
    treated
        The two groups, shape (n,).
    metric
        Which distance.

    Returns
    -------
    ndarray, shape (n, m)

    References
    ----------
    Rubin, D. (1980). Bias reduction using Mahalanobis-metric matching. Biometrics 36. doi:10.2307/2529981
    Rosenbaum, P. (2010). Design of Observational Studies, chapter 8. doi:10.1007/978-1-4419-1213-8

    Examples
    --------
    >>> X = np.array([[0.0, 0], [2, 1], [4, 0], [0, 2], [2, 3], [4, 2]])
    >>> Z = straightened(X, np.array([True] * 3 + [False] * 3))
    >>> round(float(np.linalg.norm(Z[0] - Z[1])), 4)
    2.2361
    """
    X = np.ascontiguousarray(X[:, np.ptp(X, axis=0) > 1e-8])
    if X.shape[1] == 0:
        return np.zeros((X.shape[0], 1))
    if metric == "scaled-euclidean":
        spread = np.sqrt(np.diag(_pooled(X, treated)))
        return np.asarray(X / np.where(spread > 0, spread, 1))
    if metric == "robust-mahalanobis":
        ranks = rankdata(X, axis=0)
        covariance = np.atleast_2d(np.cov(ranks, rowvar=False))
        scale = np.arange(1.0, X.shape[0] + 1).std(ddof=1) / np.sqrt(np.diag(covariance))
        return _turned(ranks, covariance * np.outer(scale, scale))
    scaled = (X - X.mean(axis=0)) / X.std(axis=0, ddof=1)
    return _turned(scaled, _pooled(scaled, treated))


def _pooled(X: FloatArray, treated: Mask) -> FloatArray:
    centered = X.copy()
    for group in (treated, ~treated):
        centered[group] -= X[group].mean(axis=0)
    return np.atleast_2d(np.cov(centered, rowvar=False))


def _turned(X: FloatArray, covariance: FloatArray) -> FloatArray:
    if np.linalg.det(covariance) > _SINGULAR:
        inverse = np.linalg.inv(covariance)
    else:
        left, size, right = np.linalg.svd(covariance)
        kept = size > 1.5e-8 * size[0]
        inverse = (right[kept].T / size[kept]) @ left[:, kept].T
    # The pivoted factor orders the axes by the data alone; equally near units are told apart along the first.
    factor, pivot, rank, _ = dpstrf(inverse, lower=0)
    factor = np.triu(factor)
    factor[rank:] = 0.0
    return np.ascontiguousarray(X @ factor[:, np.argsort(pivot)].T)


def pair_nearest_points(
    points: FloatArray,
    focal: Mask,
    rule: Rule,
    turn: FloatArray | None = None,
    strata: IntArray | None = None,
    constraints: Constraints | None = None,
) -> Pairs:
    r"""Pair each focal unit with its nearest units of the other group in Euclidean distance.

    The search goes down a k-d tree that keeps count of the units that are left in each box, so that no n by n matrix
    is made. Of equally near units the one that stands farther away in the order of the first column is taken (ties of
    that column in data order), the right one of two. ``rule.caliper`` is a limit on the distance itself.

    Parameters
    ----------
    points
        Shape (n, k), see ``straightened``.
    focal
        True for the units that are to be matched, shape (n,).
    rule
        How pairs are made; ``largest`` and ``smallest`` go by ``turn``, and ties are never averaged.
    turn
        What ``largest`` and ``smallest`` go by (the propensity score), shape (n,); None for data order.
    strata
        Codes that must agree within a pair, shape (n,); None for no strata.
    constraints
        Limits on other columns; None for none.

    Returns
    -------
    Pairs

    References
    ----------
    Bentley, J. (1975). Multidimensional binary search trees used for associative searching. Communications of the ACM
    18. doi:10.1145/361002.361007

    Examples
    --------
    >>> points = np.array([[0.0, 0], [1, 1], [0, 1], [1, 2], [5, 5]])
    >>> pairs = pair_nearest_points(points, np.array([True, True, False, False, False]), Rule(order="data"))
    >>> pairs.focal.tolist(), pairs.match.tolist()
    ([0, 1], [2, 3])
    """
    codes = np.zeros(focal.size, dtype=np.int64) if strata is None else np.asarray(strata, dtype=np.int64)
    by = np.zeros(focal.size) if turn is None else np.asarray(turn, dtype=np.float64)
    waiting = focal_order(by, focal, rule)
    who, match = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    local = np.empty(focal.size, dtype=np.int64)
    for code in np.unique(codes[waiting]):
        rows = np.flatnonzero(codes == code)
        if focal[rows].all():
            continue
        local[rows] = np.arange(rows.size)
        here = waiting[codes[waiting] == code]
        taken = _taken(points[rows], np.flatnonzero(~focal[rows]), local[here], rule, _of(constraints, rows))
        made = taken >= 0
        who.append(np.repeat(here, made.sum(axis=1)))
        match.append(rows[taken[made]])
    return pairs_from(np.concatenate(who), np.concatenate(match))


def _compiled() -> ModuleType:
    from evaltoolkit.kernels.compiled import tree

    return tree


def _of(constraints: Constraints | None, rows: IntArray) -> Constraints:
    given = constraints or Constraints()
    columns = given.columns[rows] if given.widths.size else np.empty((rows.size, 0))
    apart = given.apart[rows] if given.apart.size else np.empty((rows.size, 0), dtype=np.int64)
    return Constraints(np.ascontiguousarray(columns), given.widths, np.ascontiguousarray(apart))


def _taken(points: FloatArray, others: IntArray, turn: IntArray, rule: Rule, constraints: Constraints) -> IntArray:
    from evaltoolkit.kernels.compiled.limits import Limits

    compiled = _compiled()
    place = np.empty(points.shape[0], dtype=np.int64)
    place[np.argsort(points[:, 0], kind="stable")] = np.arange(place.size)
    search = compiled.Search(compiled.plant(points, others), points, place)
    reach = np.inf if rule.caliper is None else float(rule.caliper) ** 2
    limits = Limits(reach, constraints.widths, constraints.columns, constraints.apart)
    limit = (rule.limit or 0) if rule.replace else 1
    found: IntArray
    if limit and rule.order in {"closest", "farthest"}:
        sign = 1.0 if rule.order == "closest" else -1.0
        found = compiled.pairs_by_distance(search, limits, turn, rule.ratio, limit, sign)
    else:
        found = compiled.pairs_in_order(search, limits, turn, rule.ratio, limit)
    return found
