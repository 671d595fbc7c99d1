"""Balance of covariates between two groups, weighted: differences in means, variances and distributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Balance:
    """Balance of k covariates between a first group and a second.

    Attributes
    ----------
    mean_first, mean_second
        Weighted means, shape (k,).
    smd
        Standardized mean differences, first less second, over the stated denominator, shape (k,).
    variance_ratio
        Weighted variance of the first over that of the second, shape (k,); NaN for binary covariates.
    ecdf_mean, ecdf_max
        Mean and largest distance between the weighted distribution functions, shape (k,); the largest is the
        Kolmogorov-Smirnov distance.
    denominator
        What the mean differences were divided by, shape (k,).
    """

    mean_first: FloatArray
    mean_second: FloatArray
    smd: FloatArray
    variance_ratio: FloatArray
    ecdf_mean: FloatArray
    ecdf_max: FloatArray
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
    w = np.full(x.size, 1 / x.size) if weights is None else weights / weights.sum()
    mean = float(w @ x)
    if is_binary(x):
        return mean * (1 - mean)
    left = 1 - float(w @ w)
    return float(w @ (x - mean) ** 2) / left if left > 0 else float("nan")


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
    w = np.ones(first.size) if weights is None else weights
    ones, twos = first & (w > 0), ~first & (w > 0)
    w1, w2 = w[ones] / w[ones].sum(), w[twos] / w[twos].sum()
    m1, m2 = w1 @ X[ones], w2 @ X[twos]
    if denominator is None:
        denominator = standard_deviations(X[ones], w[ones])
    ratio = np.full(X.shape[1], np.nan)
    steps = np.empty((X.shape[1], 2))
    for j, column in enumerate(X.T):
        if not is_binary(column):
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio[j] = np.float64(weighted_variance(column[ones], w1)) / weighted_variance(column[twos], w2)
        steps[j] = ecdf_distance(column[first], column[~first], w[first], w[~first])
    with np.errstate(divide="ignore", invalid="ignore"):
        smd = np.where(np.isclose(m1, m2, rtol=1e-13, atol=0), 0.0, (m1 - m2) / denominator)
    return Balance(m1, m2, smd, ratio, steps[:, 0], steps[:, 1], denominator)


def standard_deviations(X: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    """Return the standard deviation of each column, shape (k,), for use as a denominator.

    >>> standard_deviations(np.array([[1.0, 0], [2.0, 1], [3.0, 1], [2.0, 0]])).round(4).tolist()
    [0.8165, 0.5]
    """
    return np.sqrt([weighted_variance(column, weights) for column in X.T])


def ecdf_distance(x: FloatArray, y: FloatArray, wx: FloatArray, wy: FloatArray) -> tuple[float, float]:
    r"""Return the mean and largest :math:`|F_x(v) - F_y(v)|` over the distinct values of both samples.

    Values with weight zero are points of the mean too, so that it is over the same points before and after matching.
    For 0/1 columns both are the difference in proportions. The largest is the Kolmogorov-Smirnov distance.

    Parameters
    ----------
    x, y
        Samples, shapes (n,) and (m,).
    wx, wy
        Their weights.

    Returns
    -------
    tuple of float

    References
    ----------
    Austin, P. and Stuart, E. (2015). Moving towards best practice when using inverse probability of treatment
    weighting. Statistics in Medicine 34. doi:10.1002/sim.6607

    Examples
    --------
    >>> one = np.ones(2)
    >>> ecdf_distance(np.array([1.0, 2.0]), np.array([2.0, 3.0]), one, one)
    (0.3333333333333333, 0.5)
    """
    values = np.concatenate([x, y])
    steps = np.concatenate([wx / wx.sum(), -wy / wy.sum()])
    order = np.argsort(values, kind="stable")
    sorted_values = values[order]
    last = np.append(sorted_values[1:] != sorted_values[:-1], True)
    gaps = np.abs(np.cumsum(steps[order]))[last]
    if gaps.size <= 2:
        return float(gaps.max()), float(gaps.max())
    return float(gaps.mean()), float(gaps.max())


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


def hedges_g(x: FloatArray, first: Mask, weights: FloatArray) -> float:
    r"""Return Hedges' g of the first group against the second in a weighted sample.

    :math:`g = (1 - 3/(4N-9)) (\bar x_1 - \bar x_2)/S`, with
    :math:`S^2 = ((n_1-1)s_1^2 + (n_2-1)s_2^2)/(N-2)`; :math:`n` counts units with weight above zero.

    Parameters
    ----------
    x
        Shape (n,).
    first
        True for the first group, shape (n,).
    weights
        Shape (n,).

    Returns
    -------
    float
        NaN where the pooled variance is zero and the means differ.

    References
    ----------
    Hedges, L. (1981). Distribution theory for Glass's estimator of effect size and related estimators. Journal of
    Educational Statistics 6. doi:10.3102/10769986006002107

    Examples
    --------
    >>> x = np.array([1.0, 2, 3, 2, 3, 4])
    >>> round(hedges_g(x, np.array([True] * 3 + [False] * 3), np.ones(6)), 3)
    -0.8
    """
    ones, twos = first & (weights > 0), ~first & (weights > 0)
    n1, n2 = int(ones.sum()), int(twos.sum())
    difference = float(np.average(x[ones], weights=weights[ones]) - np.average(x[twos], weights=weights[twos]))
    if difference == 0:
        return 0.0
    v1, v2 = weighted_variance(x[ones], weights[ones]), weighted_variance(x[twos], weights[twos])
    pooled = ((n1 - 1) * v1 + (n2 - 1) * v2) / (n1 + n2 - 2) if n1 + n2 > 2 else float("nan")
    return _small_sample(n1 + n2) * difference / float(np.sqrt(pooled)) if pooled > 0 else float("nan")


def cox_index(p1: float, p2: float, n: int) -> float:
    r"""Return the Cox index :math:`\omega\,(\mathrm{logit}\,p_1 - \mathrm{logit}\,p_2)/1.65` of two proportions.

    :math:`\omega = 1 - 3/(4n-9)` for n people in all. NaN where one proportion is 0 or 1 and the other is not.

    References
    ----------
    Sanchez-Meca, J., Marin-Martinez, F. and Chacon-Moscoso, S. (2003). Effect-size indices for dichotomized outcomes
    in meta-analysis. Psychological Methods 8. doi:10.1037/1082-989X.8.4.448

    Examples
    --------
    >>> round(cox_index(0.5, 0.4, 200), 3)
    0.245
    """
    if p1 == p2:
        return 0.0
    if min(p1, p2) <= 0 or max(p1, p2) >= 1:
        return float("nan")
    return _small_sample(n) * float(np.log(p1 / (1 - p1)) - np.log(p2 / (1 - p2))) / 1.65


def _small_sample(n: int) -> float:
    return 1 - 3 / (4 * n - 9)
