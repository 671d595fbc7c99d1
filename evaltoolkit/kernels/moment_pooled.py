"""One before-after contrast of two groups by pooled least squares, from a moment table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.kernels.moment_points import Points, complete, group_sums, points
from evaltoolkit.kernels.two_way_panel import TwoWayError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PRODUCT = 3
"""Place of the product of group and time among the regressors."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """A regression on a constant, group, time after the start, their product, and p covariates.

    Attributes
    ----------
    coefficients
        Shape (4 + p,).
    scores
        Shape (R, 4 + p), the small-sample factor included: ``scores.T @ scores`` is the covariance.
    level, level_scores
        Mean outcome of the treated after the start, and its scores, shape (R,).
    df
        Degrees of freedom of a t reference: clusters less one.
    """

    coefficients: FloatArray
    scores: FloatArray
    level: float
    level_scores: FloatArray
    df: int


def moment_pooled(moments: CohortMoments | ClusterMoments) -> Pooled:
    r"""Regress the outcome on group, time after the first start, their product and steady covariates.

    Errors are clustered, with the factor :math:`\frac{G}{G-1} \frac{N-1}{N-K}` of ``small_sample``'s CR1S.

    Parameters
    ----------
    moments
        ``CohortMoments`` where units are the clusters; ``ClusterMoments`` where clusters are coarser. Columns of
        ``design`` after the first are covariates.

    Returns
    -------
    Pooled

    Raises
    ------
    TwoWayError
        ``collinear`` with the covariate or the treatment; ``single-cluster``.

    References
    ----------
    Wong, J., Forsell, E., Lewis, R., Mao, T. and Wardrop, M. (2021). You only compress once: optimal data compression
    for estimating linear models. arXiv:2102.11297.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y = np.array([[1.0, 4], [2, 6], [0, 1], [0, 2]])
    >>> table = cohort_moments(y, np.array([2, 2, NEVER, NEVER]), np.array([1, 2]), np.ones((4, 1)))
    >>> found = moment_pooled(table)
    >>> found.coefficients.round(9).tolist(), round(found.level, 9)
    ([0.0, 1.5, 1.5, 2.0], 5.0)
    """
    complete(moments)
    start = moments.starts[moments.cohort]
    S, T = start.size, moments.periods.size
    sums = group_sums(moments, np.arange(S), S)
    there = sums.units > 0
    X = _regressors(moments, start, int(start[there].min()))
    # One level for all periods, which the constant takes out: large ones lose no digits.
    level = float(moments.shift.mean())
    shift = moments.shift - level
    y = sums.m / np.where(there, sums.n, 1.0)[:, None] + shift
    weight = np.repeat(np.where(there, sums.n, 0.0), T).reshape(S, T)
    used = weight > 0
    fit = least_squares(X[used], y[used], weight[used])
    if fit.aliased.size:
        at = int(fit.aliased[0])
        raise TwoWayError("collinear", "covariate" if at > PRODUCT else "treatment", at - PRODUCT - 1)
    G, N = _counts(moments, sums.units)
    if G < 2:
        raise TwoWayError("single-cluster")
    on = weight * X[:, :, PRODUCT]
    mean = float((on * y).sum() / on.sum())
    stand = points(moments, np.where(there, np.arange(S), -1), S)
    psi = _scores(stand, np.einsum("kl,stl->skt", fit.bread, X), shift - X @ fit.coefficients)
    apart = _scores(stand, X[:, None, :, PRODUCT] / on.sum(), np.broadcast_to(shift - mean, (S, T)))
    factor = G / (G - 1) * (N - 1) / max(N - X.shape[2], 1)
    coefficients = fit.coefficients.copy()
    coefficients[0] += level
    return Pooled(coefficients, psi * np.sqrt(factor), mean + level, apart[:, 0], G - 1)


def _regressors(moments: CohortMoments | ClusterMoments, start: IntArray, first: int) -> FloatArray:
    """Return constant, group, time, product and covariates of each cell and period, shape (S, T, 4 + p)."""
    after = np.broadcast_to(moments.periods >= first, (start.size, moments.periods.size))
    group = np.broadcast_to((start != NEVER)[:, None], after.shape)
    steady = [np.broadcast_to(x[:, None], after.shape) for x in moments.design[:, 1:].T]
    return np.stack([np.ones(after.shape), group, after, group & after, *steady], axis=2).astype(np.float64)


def _scores(stand: Points, slope: FloatArray, rest: FloatArray) -> FloatArray:
    """Return scores that are slopes, shape (S, K, T), times outcomes less shift, plus a rest, shape (S, T)."""
    return stand.scores(slope, np.einsum("skt,st->sk", slope, rest))


def _counts(moments: CohortMoments | ClusterMoments, units: IntArray) -> tuple[int, int]:
    """Return numbers of clusters and of observations."""
    n = int(units.sum())
    G = moments.labels.size if isinstance(moments, ClusterMoments) else n
    return G, n * moments.periods.size
