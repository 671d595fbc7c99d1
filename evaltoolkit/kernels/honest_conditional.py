"""Conditional and hybrid tests of an effect when parallel trends may fail within symmetric bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from evaltoolkit.kernels.honest_restrictions import EventStudy, Restriction

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

FLOOR = 1e-9
"""Least standard deviation of a moment, in units of the largest error of the study: below it a moment is known."""
ANGLES = 2048
"""Directions in which the least favourable probability is summed; it is right to 1e-5 of itself."""
GRID = 1001
"""Values tried between the limits of an interval before its ends are refined."""
FIRST_SIZE = 0.1
"""Share of the size that the first, least favourable, test takes (as R HonestDiD)."""
WIDENINGS = 12
"""How often limits are doubled for a conditional test that has not rejected at them."""


@dataclass(frozen=True, slots=True)
class Inequalities:
    r"""The vertices of the test that the bounds can hold with an effect theta, as moments that should not be positive.

    The test asks for the least :math:`\eta` such that no row of :math:`|D(\hat\beta - \tau)| - m - v'\hat\beta` exceeds
    :math:`\eta` standard deviations, with :math:`l'\tau = \theta`. Its dual has few vertices, whatever the number of
    periods. With :math:`g = D_{post}^{-T} l`, :math:`W = g'D\hat\beta` and :math:`x = v'\hat\beta`:
    :math:`(\pm(W - \theta) - |g|_1 (m + x))/n_\pm`, and :math:`-2(m + x)/s_i`, of which the least and the largest
    :math:`s_i` are enough. :math:`\eta` is the largest of these four.

    Attributes
    ----------
    values
        The four at theta = 0, shape (4,).
    slopes
        Their change with theta, shape (4,).
    loadings
        On two independent standard normals, shape (4, 2).
    centre
        W, where the first two are equal up to their scale.
    """

    values: FloatArray
    slopes: FloatArray
    loadings: FloatArray
    centre: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """Size of the conditional test, and the value above which the first test rejects (infinite if there is none)."""

    size: float
    least_favourable: float


def inequalities(study: EventStudy, weights: FloatArray, bounds: Restriction) -> Inequalities:
    """Return the moments of a study in standard units.

    Parameters
    ----------
    study
        In units of its largest standard error.
    weights
        l, shape (n_post,), not all zero.
    bounds
        In the same units.

    Returns
    -------
    Inequalities

    References
    ----------
    Andrews, I., Roth, J. and Pakes, A. (2023). Inference for linear conditional moment inequalities. Review of Economic
    Studies 90. doi:10.1093/restud/rdad004

    Examples
    --------
    >>> study = EventStudy(np.array([0.0, 3.0]), np.eye(2), 1)
    >>> found = inequalities(study, np.array([1.0]), Restriction(np.array([[0.0, 1.0]]), np.zeros(2), 1.0))
    >>> found.values.tolist(), found.centre
    ([2.0, -4.0, -1.0, -1.0], 3.0)
    """
    D, v = bounds.differences, bounds.reach
    g = np.linalg.solve(D[:, study.n_pre :].T, weights)
    size = float(np.abs(g).sum())
    upper, lower = _spread(D - v, study.covariance), _spread(-D - v, study.covariance)
    up, down = np.maximum(g, 0), np.maximum(-g, 0)
    n1, n2 = float(up @ upper + down @ lower), float(down @ upper + up @ lower)
    pairs = upper + lower
    rows = np.array([1 / n1, -1 / n2, 0.0, 0.0])
    reach = -np.array([size / n1, size / n2, 2 / float(pairs.min()), 2 / float(pairs.max())])
    both = np.vstack([g @ D, v])
    W, x = both @ study.estimates
    values, vectors = np.linalg.eigh(both @ study.covariance @ both.T)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    loadings = np.column_stack([rows, reach]) @ root
    return Inequalities(rows * W + reach * (x + bounds.m), -rows, loadings, float(W))


def least_favourable_value(moments: Inequalities, size: float) -> float:
    r"""Return c with :math:`P(\max_v Z_v > c) =` ``size``, Z normal with the moments' covariance and means of zero.

    The moments rest on two normals, so the probability is an integral over directions u:
    :math:`1 - P = 1 - \overline{\exp(-c^2 / 2 r(u)^2)}` with :math:`r(u)` the largest loading in direction u. R
    ``HonestDiD`` takes the quantile of 1,000 seeded draws, each with a linear program; this is without chance.

    Parameters
    ----------
    moments
        The moments.
    size
        Above 0, below 0.5.

    Returns
    -------
    float

    References
    ----------
    Andrews, I., Roth, J. and Pakes, A. (2023). Inference for linear conditional moment inequalities. Review of Economic
    Studies 90. doi:10.1093/restud/rdad004

    Examples
    --------
    >>> study = EventStudy(np.array([0.0, 3.0]), np.eye(2), 1)
    >>> found = inequalities(study, np.array([1.0]), Restriction(np.array([[0.0, 1.0]]), np.zeros(2), 1.0))
    >>> round(least_favourable_value(found, 0.05), 4)
    1.96
    """
    turn = 2 * np.pi * (np.arange(ANGLES) + 0.5) / ANGLES
    far = np.max(moments.loadings @ np.vstack([np.cos(turn), np.sin(turn)]), axis=0)
    top = float(far.max())
    far = far[far > FLOOR * top]
    if top <= 0:
        return 0.0

    def _excess(c: float) -> float:
        return float(np.exp(-((c / far) ** 2) / 2).sum()) / ANGLES - size

    # at least the tail beyond the furthest moment, at most that of a disc around them all
    low, high = 0.999 * top * -float(special.ndtri(size)), 1.001 * top * math.sqrt(-2 * math.log(size))
    return float(optimize.brentq(_excess, low, high, xtol=1e-10 * top))


def threshold(moments: Inequalities, level: float, *, hybrid: bool) -> Threshold:
    """Return the test of a level: conditional alone, or after the least favourable one with a tenth of the size.

    >>> study = EventStudy(np.array([0.0, 3.0]), np.eye(2), 1)
    >>> found = inequalities(study, np.array([1.0]), Restriction(np.array([[0.0, 1.0]]), np.zeros(2), 1.0))
    >>> round(threshold(found, 0.95, hybrid=True).size, 6)
    0.045226
    """
    alpha = 1 - level
    if not hybrid:
        return Threshold(alpha, np.inf)
    first = FIRST_SIZE * alpha
    return Threshold((alpha - first) / (1 - first), least_favourable_value(moments, first))


def accepts(moments: Inequalities, test: Threshold, theta: FloatArray) -> Mask:
    r"""Return which effects the test does not reject, shape of ``theta``.

    Given which moment is the largest, and what is independent of it, that moment is normal between two limits; it is
    rejected where it is positive and its probability of being larger, with a mean of zero, is below the size. With the
    hybrid the upper limit is at most the least favourable value.

    Parameters
    ----------
    moments, test
        The moments and the test.
    theta
        Effects in standard units, shape (p,).

    Returns
    -------
    Mask

    References
    ----------
    Andrews, I., Roth, J. and Pakes, A. (2023). Inference for linear conditional moment inequalities. Review of Economic
    Studies 90. doi:10.1093/restud/rdad004

    Examples
    --------
    >>> study = EventStudy(np.array([0.0, 3.0]), np.eye(2), 1)
    >>> found = inequalities(study, np.array([1.0]), Restriction(np.array([[0.0, 1.0]]), np.zeros(2), 1.0))
    >>> accepts(found, threshold(found, 0.95, hybrid=True), np.array([0.25, 0.26, 2.0])).tolist()
    [False, True, True]
    """
    values = moments.values[:, None] + moments.slopes[:, None] * theta
    largest = values.argmax(axis=0)
    t = values.max(axis=0)
    covariance = moments.loadings @ moments.loadings.T
    variance = np.diag(covariance)[largest]
    known = variance <= FLOOR**2
    safe = np.where(known, 1.0, variance)
    ratio = covariance[:, largest] / safe
    gap = 1 - ratio
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = (values - ratio * t) / gap
    low = np.where(gap > FLOOR, limit, -np.inf).max(axis=0)
    high = np.minimum(np.where(gap < -FLOOR, limit, np.inf).min(axis=0), test.least_favourable)
    sd = np.sqrt(safe)
    p = _between(t / sd, np.minimum(low, t) / sd, high / sd)
    found: Mask = (t <= 0) | (~known & (t <= test.least_favourable) & (p >= test.size))
    return found


def accepted_range(moments: Inequalities, test: Threshold) -> tuple[float, float, bool]:
    """Return the least and the largest effect that is not rejected, and whether one may lie beyond the values tried.

    The first test of a hybrid confines the effects to an interval known beforehand. Without it the limits are widened
    until the test rejects at both. The ends are NaN where every effect is rejected.

    >>> study = EventStudy(np.array([0.0, 3.0]), np.eye(2), 1)
    >>> found = inequalities(study, np.array([1.0]), Restriction(np.array([[0.0, 1.0]]), np.zeros(2), 1.0))
    >>> low, high, is_open = accepted_range(found, threshold(found, 0.95, hybrid=True))
    >>> round(low, 3), round(high, 3), is_open
    (0.254, 5.746, False)
    """
    low, high = _limits(moments, test)
    if np.isnan(low):
        return np.nan, np.nan, False
    grid = np.array([moments.centre])
    if low < high:
        grid = np.sort(np.append(np.linspace(low, high, GRID - 1), np.clip(moments.centre, low, high)))
    inside = np.flatnonzero(accepts(moments, test, grid))
    if inside.size == 0:
        return np.nan, np.nan, False
    wide = high - low > FLOOR * max(1.0, abs(moments.centre))  # a point is not open
    first, last, end = int(inside[0]), int(inside[-1]), grid.size - 1
    return (
        _refined(moments, test, float(grid[max(first - 1, 0)]), float(grid[first])),
        _refined(moments, test, float(grid[min(last + 1, end)]), float(grid[last])),
        bool(wide and np.isinf(test.least_favourable) and (first == 0 or last == end)),
    )


def accepts_beyond(moments: Inequalities, test: Threshold, theta: float) -> bool:
    """Return whether the test accepts ``theta`` or an effect further from the centre, so that the range holds it.

    >>> study = EventStudy(np.array([0.0, 3.0]), np.eye(2), 1)
    >>> found = inequalities(study, np.array([1.0]), Restriction(np.array([[0.0, 1.0]]), np.zeros(2), 1.0))
    >>> test = threshold(found, 0.95, hybrid=True)
    >>> accepts_beyond(found, test, 0.2), accepts_beyond(found, test, 0.3)
    (False, True)
    """
    if accepts(moments, test, np.array([theta]))[0]:
        return True
    low, high = _limits(moments, test)
    end = low if theta < moments.centre else high
    if np.isnan(end) or (end - theta) * (theta - moments.centre) < 0:
        return False
    return bool(accepts(moments, test, np.linspace(theta, end, GRID)).any())


def _limits(moments: Inequalities, test: Threshold) -> tuple[float, float]:
    """Return effects outside of which the test rejects, empty (NaN) where it rejects all."""
    if np.isfinite(test.least_favourable):
        if moments.values[2:].max() > test.least_favourable:
            return np.nan, np.nan
        low, high = (moments.values[:2] - test.least_favourable) / -moments.slopes[:2]
        return float(low), float(high)
    sd = np.abs(1 / moments.slopes[:2]) * np.maximum(np.sqrt((moments.loadings[:2] ** 2).sum(axis=1)), FLOOR)
    reach = np.abs(-moments.values[:2] / moments.slopes[:2] - moments.centre) + 20 * sd
    low, high = moments.centre - reach[0], moments.centre + reach[1]
    for _ in range(WIDENINGS):
        wide = accepts(moments, test, np.array([low, high]))
        if not wide.any():
            break
        low, high = low - (high - low) * wide[0] / 2, high + (high - low) * wide[1] / 2
    return float(low), float(high)


def _refined(moments: Inequalities, test: Threshold, outside: float, inside: float) -> float:
    """Return the end between a rejected and an accepted effect."""
    for _ in range(4):
        between = np.linspace(outside, inside, 65)
        at = int(np.argmax(accepts(moments, test, between)))
        outside, inside = float(between[max(at - 1, 0)]), float(between[at])
    return inside


def _spread(rows: FloatArray, covariance: FloatArray) -> FloatArray:
    variance: FloatArray = np.einsum("ij,jk,ik->i", rows, covariance, rows)
    return np.sqrt(np.maximum(variance, FLOOR**2))


def _between(z: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return the probability above z of a standard normal between two limits; logarithms keep it in the tails."""
    at, left, right = special.log_ndtr(-z), special.log_ndtr(-low), special.log_ndtr(-np.maximum(high, z))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.exp(at - left) * -np.expm1(right - at) / -np.expm1(right - left)
    return np.where(right < left, p, 1.0)
