"""Tests that an estimate, or every estimate before the start, is small: equivalence to zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether a number is shown to lie within a bound.

    Attributes
    ----------
    p_value
        Of the hypothesis that it lies at the bound or beyond.
    smallest
        The smallest symmetric bound that the test at this level supports: with ``alpha`` = 0.05, whatever lies beyond
        is ruled out with 95 % confidence.
    """

    p_value: float
    smallest: float


@dataclass(frozen=True, slots=True)
class PreEquivalence:
    """Equivalence of m estimates before the start.

    Attributes
    ----------
    largest
        That the largest absolute value lies within the bound: folded-normal intersection-union test.
    mean
        That the absolute value of their mean does.
    two_one_sided
        That the largest does, by two one-sided t tests for each: a little less powerful, and valid for small samples.
    smallest_each
        Smallest bound of each estimate by the folded-normal test, shape (m,).
    """

    largest: Equivalence
    mean: Equivalence
    two_one_sided: Equivalence
    smallest_each: FloatArray


def two_one_sided(
    estimate: float, std_error: float, bound: tuple[float, float], df: float = np.inf, alpha: float = 0.05
) -> Equivalence:
    r"""Test :math:`\theta \le l` and :math:`\theta \ge u` one-sidedly; both rejected at alpha is equivalence.

    The same as the 1 - 2 alpha interval lying within the bounds. The p-value is the larger of the two; the smallest
    symmetric bound is :math:`|\hat\theta| + t_{1-\alpha,\nu} SE`.

    Parameters
    ----------
    estimate, std_error, df
        The estimate and its t reference.
    bound
        Lower and upper bound, in units of the outcome.
    alpha
        Level of the test.

    Returns
    -------
    Equivalence

    Raises
    ------
    ValueError
        The bounds are not in order or the error is not above zero.

    References
    ----------
    Schuirmann, D. (1987). A comparison of the two one-sided tests procedure and the power approach for assessing the
    equivalence of average bioavailability. Journal of Pharmacokinetics and Biopharmaceutics 15. doi:10.1007/BF01068419

    Examples
    --------
    >>> found = two_one_sided(0.1, 0.2, (-0.5, 0.5))
    >>> round(found.p_value, 4), round(found.smallest, 4)
    (0.0228, 0.429)
    """
    low, high = bound
    if not low < high or not std_error > 0:
        raise ValueError("bounds must be in order and the error above zero")
    p = max(_upper_tail((estimate - low) / std_error, df), _upper_tail((high - estimate) / std_error, df))
    return Equivalence(p, abs(estimate) + _quantile(1 - alpha, df) * std_error)


def pre_period_equivalence(
    estimates: FloatArray, covariance: FloatArray, bound: float, df: float = np.inf, alpha: float = 0.05
) -> PreEquivalence:
    r"""Test that all m pre-period estimates, or their mean, are smaller than a bound in absolute value.

    The largest: :math:`H_0: \max_t |\beta_t| \ge \delta` is rejected where every :math:`|\hat\beta_t|` lies below the
    alpha quantile of the folded normal :math:`|N(\delta, \sigma_t^2)|`. Its p-value is the largest of
    :math:`\Phi((|\hat\beta_t| - \delta) / \sigma_t) - \Phi((-|\hat\beta_t| - \delta) / \sigma_t)`. An intersection of
    tests needs no adjustment for their number, and takes correlations to be anything. The mean: the same for
    :math:`\bar\beta = m^{-1} \sum \beta_t` with variance :math:`m^{-2} 1'V1`; deviations of opposite sign cancel in it.

    These two take the covariance as known; ``two_one_sided`` uses ``df``. Their smallest bound runs to zero with the
    estimate, however large its error; that of ``two_one_sided`` does not, and is the one to print. The root-mean-square
    test of the same paper needs estimates from subsamples and is not here.

    Parameters
    ----------
    estimates
        Against one base period, shape (m,).
    covariance
        Shape (m, m); estimates without variance (the base period) are left out.
    bound
        :math:`\delta`, above zero.
    df
        Of the t reference of the two one-sided tests.
    alpha
        Level of the tests.

    Returns
    -------
    PreEquivalence

    Raises
    ------
    ValueError
        The bound is not above zero or no estimate has a variance.

    References
    ----------
    Dette, H. and Schumann, M. (2024). Testing for equivalence of pre-trends in difference-in-differences estimation.
    Journal of Business and Economic Statistics 42. doi:10.1080/07350015.2024.2308121
    Hartman, E. and Hidalgo, F. (2018). An equivalence approach to balance and placebo tests. American Journal of
    Political Science 62. doi:10.1111/ajps.12387

    Examples
    --------
    >>> found = pre_period_equivalence(np.array([0.1, -0.2]), np.eye(2) * 0.01, 0.5)
    >>> round(found.largest.p_value, 5), round(found.largest.smallest, 3), round(found.mean.smallest, 3)
    (0.00135, 0.364, 0.166)
    """
    estimates = np.asarray(estimates, dtype=np.float64)
    spread = np.sqrt(np.diag(covariance))
    live = np.isfinite(spread) & (spread > 0) & np.isfinite(estimates)
    if not live.any() or not bound > 0:
        raise ValueError("the bound must be above zero and some estimate needs a variance")
    each = np.full(estimates.size, np.nan)
    each[live] = [_smallest(b, s, alpha) for b, s in zip(estimates[live], spread[live], strict=True)]
    p = max(_folded(b, s, bound) for b, s in zip(estimates[live], spread[live], strict=True))
    m = int(live.sum())
    mean, error = float(estimates[live].mean()), float(np.sqrt(covariance[np.ix_(live, live)].sum())) / m
    sided = [
        two_one_sided(float(b), float(s), (-bound, bound), df, alpha)
        for b, s in zip(estimates[live], spread[live], strict=True)
    ]
    return PreEquivalence(
        largest=Equivalence(p, float(np.nanmax(each))),
        mean=Equivalence(_folded(mean, error, bound), _smallest(mean, error, alpha)),
        two_one_sided=Equivalence(max(x.p_value for x in sided), max(x.smallest for x in sided)),
        smallest_each=each,
    )


def _folded(estimate: float, std_error: float, bound: float) -> float:
    """Return the chance of an absolute value at most the one found where the truth is at the bound."""
    if std_error <= 0:
        return float(abs(estimate) >= bound)
    size = abs(estimate)
    return float(special.ndtr((size - bound) / std_error) - special.ndtr((-size - bound) / std_error))


def _smallest(estimate: float, std_error: float, alpha: float) -> float:
    size = abs(estimate)
    if std_error <= 0:
        return size
    # The folded quantile lies at or below the one-sided bound; at a bound of zero an estimate near zero has p < alpha.
    top = size + std_error * (float(special.ndtri(1 - alpha)) + 1)
    if _folded(estimate, std_error, 0.0) <= alpha:
        return 0.0
    return float(optimize.brentq(lambda d: _folded(estimate, std_error, d) - alpha, 0.0, top, xtol=1e-14 * top))


def _upper_tail(t: float, df: float) -> float:
    return float(special.ndtr(-t) if np.isinf(df) else special.stdtr(df, -t))


def _quantile(level: float, df: float) -> float:
    return float(special.ndtri(level) if np.isinf(df) else special.stdtrit(df, level))
