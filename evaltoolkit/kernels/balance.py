"""Balance of covariates between two groups, weighted: differences in means, variances and distributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.distributions import ecdf_distances, overlap_coefficients, signed_steps

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]
Spread = Literal["first", "second", "pooled"]


@dataclass(frozen=True, slots=True)
class Balance:
    """Balance of k covariates between a first group and a second.

    Attributes
    ----------
    mean_first, mean_second
        Weighted means, shape (k,).
    variance_first, variance_second
        Weighted variances, shape (k,); p(1 - p) for binary covariates.
    smd
        Standardized mean differences, first less second, over the stated denominator, shape (k,).
    variance_ratio
        Weighted variance of the first over that of the second, shape (k,); NaN for binary covariates.
    ecdf_mean, ecdf_max
        Mean and largest distance between the weighted distribution functions, shape (k,); the largest is the
        Kolmogorov-Smirnov distance.
    overlap
        Overlap coefficient of the two densities, shape (k,): 1 for the same density, 0 where nothing is shared.
    denominator
        What the mean differences were divided by, shape (k,).
    """

    mean_first: FloatArray
    mean_second: FloatArray
    variance_first: FloatArray
    variance_second: FloatArray
    smd: FloatArray
    variance_ratio: FloatArray
    ecdf_mean: FloatArray
    ecdf_max: FloatArray
    overlap: FloatArray
    denominator: FloatArray


def is_binary(column: FloatArray) -> bool:
    """Return whether a column holds 0 and 1 only.

    >>> is_binary(np.array([0.0, 1, 1])), is_binary(np.array([0.0, 2]))
    (True, False)
    """
    return bool(((column == 0) | (column == 1)).all())


def weighted_variance(x: FloatArray, weights: FloatArray | None = None) -> float:
    r"""Return the weighted variance :math:`\sum w_i (x_i - \bar x)^2 / (1 - \sum w_i^2)` with weights summing to one.

    It is the usual unbiased variance where weights are equal; p(1 - p) for a column of 0 and 1.

    Parameters
    ----------
    x
        Shape (n,).
    weights
        Shape (n,); None for ones.

    Returns
    -------
    float

    References
    ----------
    Ho, D. et al. (2011). doi:10.18637/jss.v042.i08

    Examples
    --------
    >>> round(weighted_variance(np.array([1.0, 2, 3])), 9), weighted_variance(np.array([0.0, 1]))
    (1.0, 0.25)
    """
    # One column of one group: compiled passes, which take a second to load, are for many.
    w = np.ones(x.size) if weights is None else weights
    share = w / w.sum()
    mean = float(share @ x)
    if is_binary(x):
        return mean * (1 - mean)
    left = 1 - float(share @ share)
    return float(share @ (x - mean) ** 2) / left if left > 0 else float("nan")


def _moments(x: FloatArray, first: Mask, weights: FloatArray, *, binary: bool) -> FloatArray:
    """Return weighted means and variances of a column: by weighting, by group, shape (m, 2, 2)."""
    from evaltoolkit.kernels.compiled.columns import moments

    found = moments(x, first, weights)
    total, squared, mean, spread = (found[..., k] for k in range(4))
    with np.errstate(divide="ignore", invalid="ignore"):
        left = 1 - squared / total**2
        variance = mean * (1 - mean) if binary else np.where(left > 0, spread / left, np.nan)
    return np.stack([mean, variance], axis=-1)


def balance(
    X: FloatArray, first: Mask, weights: FloatArray | None = None, denominator: FloatArray | None = None
) -> Balance:
    r"""Compare the covariates of two groups.

    The standardized mean difference is :math:`(\bar x_1 - \bar x_2)/s`. Give as ``denominator`` the same :math:`s`
    before and after matching; without it, :math:`s` is the standard deviation of the first group in this very sample
    (:math:`\sqrt{p(1-p)}` for 0/1 columns).

    Parameters
    ----------
    X
        Covariates, shape (n, k).
    first
        True for the first group, shape (n,).
    weights
        Non-negative, shape (n,); units with weight zero take no part. None for ones.
    denominator
        Shape (k,).

    Returns
    -------
    Balance

    References
    ----------
    Austin, P. (2009). Balance diagnostics for comparing the distribution of baseline covariates between treatment
    groups in propensity-score matched samples. Statistics in Medicine 28. doi:10.1002/sim.3697

    Examples
    --------
    >>> X = np.array([[1.0], [2.0], [3.0], [2.0], [3.0], [4.0]])
    >>> b = balance(X, np.array([True] * 3 + [False] * 3))
    >>> b.smd.round(4).tolist(), b.variance_ratio.tolist(), b.ecdf_max.round(4).tolist()
    ([-1.0], [1.0], [0.3333])
    """
    return balances(X, first, (weights,), denominator)[0]


def balances(
    X: FloatArray, first: Mask, weightings: Sequence[FloatArray | None], denominator: FloatArray | None = None
) -> tuple[Balance, ...]:
    """Compare the covariates of two groups under several weightings, each column sorted once for all of them.

    Parameters
    ----------
    X
        Covariates, shape (n, k).
    first
        True for the first group, shape (n,).
    weightings
        As ``weights`` of ``balance``, for example None before matching and the matching weights after it.
    denominator
        As for ``balance``: the same for every weighting.

    Returns
    -------
    tuple of Balance
        One for each weighting.

    Examples
    --------
    >>> X, first = np.array([[1.0], [2.0], [3.0], [9.0]]), np.array([True, False, False, False])
    >>> [b.mean_second.tolist() for b in balances(X, first, (None, np.array([1.0, 1, 1, 0])), np.ones(1))]
    [[4.666666666666667], [2.5]]
    """
    n, k = X.shape
    weights = np.vstack([np.ones(n) if w is None else w for w in weightings])
    steps = np.column_stack([signed_steps(first, w) for w in weights])
    moments = np.empty((k, len(weights), 2, 2))
    gaps, shared = np.empty((k, len(weights), 2)), np.empty((k, len(weights)))
    binary = np.empty(k, dtype=np.bool_)
    for j in range(k):
        column = np.ascontiguousarray(X[:, j])
        binary[j] = is_binary(column)
        moments[j] = _moments(column, first, weights, binary=bool(binary[j]))
        if binary[j]:
            apart = np.abs(moments[j, :, 0, 0] - moments[j, :, 1, 0])
            gaps[j], shared[j] = apart[:, None], 1 - apart
        else:
            gaps[j], shared[j] = ecdf_distances(column, steps), overlap_coefficients(column, first, weights)
    parts = (moments.swapaxes(0, 1), gaps.swapaxes(0, 1), shared.T)
    return tuple(_balance(m, g, o, binary, denominator) for m, g, o in zip(*parts, strict=True))


def _balance(
    moments: FloatArray, gaps: FloatArray, shared: FloatArray, binary: Mask, denominator: FloatArray | None
) -> Balance:
    (m1, v1), (m2, v2) = moments[:, 0].T, moments[:, 1].T
    over = np.sqrt(v1) if denominator is None else denominator
    with np.errstate(divide="ignore", invalid="ignore"):
        smd = np.where(np.isclose(m1, m2, rtol=1e-13, atol=0), 0.0, (m1 - m2) / over)
        ratio = np.where(binary, np.nan, v1 / v2)
    return Balance(m1, m2, v1, v2, smd, ratio, gaps[:, 0], gaps[:, 1], shared, over)


def denominators(X: FloatArray, first: Mask, spread: Spread) -> FloatArray:
    r"""Return what mean differences are divided by, from the sample before matching, shape (k,).

    The standard deviation of the ``first`` group or of the ``second``, or (``pooled``)
    :math:`\sqrt{(s_1^2 + s_2^2)/2}`; :math:`\sqrt{p(1-p)}` for 0/1 columns.

    >>> X, first = np.array([[1.0], [3.0], [0.0], [4.0]]), np.array([True, True, False, False])
    >>> [round(float(denominators(X, first, s)[0]), 3) for s in ("first", "second", "pooled")]
    [1.414, 2.828, 2.236]
    """
    ones = np.ones((1, first.size))
    columns = (np.ascontiguousarray(column) for column in X.T)
    variances = np.array([_moments(x, first, ones, binary=is_binary(x))[0, :, 1] for x in columns])
    return np.asarray(np.sqrt(variances.mean(axis=1) if spread == "pooled" else variances[:, int(spread == "second")]))


def standard_deviations(X: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    """Return the standard deviation of each column, shape (k,), for use as a denominator.

    >>> standard_deviations(np.array([[1.0, 0], [2.0, 1], [3.0, 1], [2.0, 0]])).round(4).tolist()
    [0.8165, 0.5]
    """
    return np.sqrt([weighted_variance(np.ascontiguousarray(column), weights) for column in X.T])


def effective_size(weights: FloatArray) -> float:
    r"""Return Kish's effective sample size :math:`(\sum w)^2 / \sum w^2`.

    References
    ----------
    Kish, L. (1965). Survey Sampling, section 8.2. Wiley.

    Examples
    --------
    >>> effective_size(np.array([1.0, 1.0])), effective_size(np.array([3.0, 1.0]))
    (2.0, 1.6)
    """
    total = float(weights @ weights)
    return float(weights.sum() ** 2 / total) if total > 0 else 0.0
