"""Fixed-length intervals under smoothness: the linear estimator with the shortest interval for its worst bias."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from evaltoolkit.kernels.honest_restrictions import EventStudy

FloatArray = NDArray[np.float64]

RIDGE = 1e-12
"""Added to a correlation-like matrix so that a singular covariance has one path; it moves an end by less than 1e-9."""
TIE = 1e-13
"""Distance put between numbers that would change places at the same time on the path."""


@dataclass(frozen=True, slots=True)
class FixedLength:
    """A fixed-length interval: ``estimate`` plus and minus ``half_length``.

    Attributes
    ----------
    weights
        Shape (K,), on the estimates; those after the reference are the ones asked for.
    std_error
        Of the weighted sum.
    bias
        The largest bias it may have.
    """

    estimate: float
    half_length: float
    std_error: float
    bias: float
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class _Frontier:
    """Corners of the line of least variance for each bias, from the least bias on; bias is that for M = 1."""

    weights: FloatArray
    bias: FloatArray


def folded_quantile(level: float, mean: float) -> float:
    r"""Return x with :math:`P(|Z + \text{mean}| \le x) =` ``level``, Z standard normal.

    Newton's method from below, where the probability is concave, so that no step passes the solution. R ``HonestDiD``
    takes the quantile of a million draws.

    Parameters
    ----------
    level
        0.5 or more, below 1.
    mean
        0 or more.

    Returns
    -------
    float

    References
    ----------
    Armstrong, T. and Kolesar, M. (2018). Optimal inference in a class of regression models. Econometrica 86.
    doi:10.3982/ECTA14434

    Examples
    --------
    >>> round(folded_quantile(0.95, 0.0), 6), round(folded_quantile(0.95, 10.0), 6)
    (1.959964, 11.644854)
    """
    x = mean + float(special.ndtri(level))
    for _ in range(60):
        slope = np.exp(-((x - mean) ** 2) / 2) + np.exp(-((x + mean) ** 2) / 2)
        step = (level - float(special.ndtr(x - mean) - special.ndtr(-x - mean))) * np.sqrt(2 * np.pi) / slope
        x += float(step)
        if step <= 1e-15 * (1 + x):
            break
    return x


def fixed_length(study: EventStudy, weights: FloatArray, ms: FloatArray, level: float) -> tuple[FixedLength, ...]:
    r"""Return the shortest fixed-length interval for each bound M on changes of slope.

    Among :math:`l'\hat\beta_{post} + k'\hat\beta_{pre}` without bias under a linear trend, with standard error h and
    worst bias M b, the one with the least :math:`h\, q_{1-\alpha}(M b / h)`, q the folded normal quantile. Let
    :math:`c_j = \sum_{m>j} (m-j) k_{-m}`; then :math:`b = \sum_{j \ge 1} |\sum_{t>j} (t-j) l_t| + \sum_{j \ge 0} |c_j|`
    with :math:`c_0 = \sum_t t\, l_t`. The least h for each b is a lasso problem in c, whose solutions form a line with
    corners; it is followed exactly, and the best point on it found by a root of the derivative.

    R ``HonestDiD`` finds the same by a conic solver and simulated quantiles; where :math:`\sum_t t\, l_t < 0` R counts
    that sum's bias more than once and its interval is too long.

    Parameters
    ----------
    study
        The event study.
    weights
        l, shape (n_post,).
    ms
        Bounds M, shape (m,), in units of the outcome.
    level
        0.5 or more, below 1.

    Returns
    -------
    tuple of FixedLength
        One for each M.

    References
    ----------
    Rambachan, A. and Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies 90.
    doi:10.1093/restud/rdad018

    Examples
    --------
    >>> study = EventStudy(np.array([0.0, 1.0]), np.eye(2), 1)
    >>> row = fixed_length(study, np.array([1.0]), np.array([0.0]), 0.95)[0]
    >>> row.estimate, round(row.half_length / row.std_error, 4), row.weights.tolist()
    (1.0, 1.96, [1.0, 1.0])
    """
    standard, unit = study.standardised()
    frontier = _frontier(standard, weights)
    found = []
    for m in np.asarray(ms, dtype=np.float64).tolist():
        row, b = _best(frontier, standard.covariance, m / unit, level)
        h = _error(row, standard.covariance)
        half = _half_length(h, m / unit * b, level)
        found.append(FixedLength(float(row @ study.estimates), half * unit, h * unit, m * b, row))
    return tuple(found)


def largest_smoothness(study: EventStudy, weights: FloatArray, null: float) -> float:
    """Return an M above which every fixed-length interval holds ``null``.

    >>> largest_smoothness(EventStudy(np.array([0.5, 1.0]), np.eye(2), 1), np.array([1.0]), 0.0)
    1.5
    """
    frontier = _frontier(study.standardised()[0], weights)
    return float(np.abs(frontier.weights @ study.estimates - null).max() / frontier.bias[0])


def _frontier(study: EventStudy, weights: FloatArray) -> _Frontier:
    """Follow the line from the least bias (c = 0 beyond c_0) to the least variance."""
    n, t = study.n_pre, np.arange(1, study.n_post + 1)
    later = float(sum(abs((t[j:] - j) @ weights[j:]) for j in range(1, study.n_post)))
    first = float(t @ weights)
    # k_{-m} = c_{m-1} - 2 c_m + c_{m+1}; rows in the order of time, the earliest period (m = n) first
    fold = (np.eye(n) - 2 * np.eye(n, k=1) + np.eye(n, k=2))[::-1]
    start = np.append(fold[:, 0] * first, weights)
    basis = np.vstack([fold[:, 1:], np.zeros((study.n_post, n - 1))])
    corners = _lasso_path(basis.T @ study.covariance @ basis, basis.T @ study.covariance @ start)
    return _Frontier(start + corners @ basis.T, later + abs(first) + np.abs(corners).sum(axis=1))


def _lasso_path(Q: FloatArray, r: FloatArray) -> FloatArray:
    """Return the corners of argmin c'Qc/2 + r'c + lambda |c|_1 as lambda falls to zero, shape (corners, p)."""
    p = r.size
    c, sign = np.zeros(p), np.zeros(p)
    corners = [c]
    size = float(np.abs(Q).max(initial=0))
    if size == 0 or not np.abs(r).max() > 0:
        return np.array(corners)
    Q = Q + RIDGE * size * np.eye(p)
    r = r * (1 + TIE * np.arange(p))
    first = int(np.abs(r).argmax())
    penalty, sign[first], left = float(abs(r[first])), -np.sign(r[first]), -1
    for _ in range(100 * p):
        active = np.flatnonzero(sign)
        move = np.zeros(p)
        move[active] = np.linalg.solve(Q[np.ix_(active, active)], sign[active])
        slope = r + Q @ c
        joins = _joins(slope, Q @ move, penalty, left)
        joins[active] = np.inf
        leaves = np.divide(-c, move, out=np.full(p, np.inf), where=c * move < 0)
        step = min(float(joins.min()), float(leaves.min()), penalty)
        c = c + step * move
        penalty -= step
        left = -1
        if penalty <= 0:
            break
        if leaves.min() <= joins.min():
            left = int(leaves.argmin())
            c[left], sign[left] = 0.0, 0.0
        else:
            new = int(joins.argmin())
            sign[new] = -np.sign(slope[new] + step * (Q @ move)[new])
        corners.append(c)
    corners.append(c)
    return np.array(corners)


def _joins(slope: FloatArray, change: FloatArray, penalty: float, left: int) -> FloatArray:
    """Return how far the penalty falls until each slope reaches it; what has just left does not come back at once."""
    above = np.divide(penalty - slope, 1 + change, out=np.full(slope.size, np.inf), where=change > -1)
    below = np.divide(penalty + slope, 1 - change, out=np.full(slope.size, np.inf), where=change < 1)
    if left >= 0:
        (above if slope[left] > 0 else below)[left] = np.inf
    found: FloatArray = np.maximum(np.minimum(above, below), 0)
    return found


def _best(frontier: _Frontier, covariance: FloatArray, m: float, level: float) -> tuple[FloatArray, float]:
    """Return the weights with the shortest interval, and their bias for M = 1."""
    least = 1e-9 * (max(_error(row, covariance) for row in frontier.weights) or 1.0)

    def _point(segment: int, u: float) -> tuple[FloatArray, float]:
        a, b = frontier.weights[segment : segment + 2], frontier.bias[segment : segment + 2]
        return (1 - u) * a[0] + u * a[1], float((1 - u) * b[0] + u * b[1])

    def _slope(u: float, segment: int) -> float:
        row, b = _point(segment, u)
        h = max(_error(row, covariance), least)
        dh = float(row @ covariance @ (frontier.weights[segment + 1] - frontier.weights[segment])) / h
        t = m * b / h
        q = folded_quantile(level, t)
        dq = float(np.tanh(q * t))
        return dh * (q - dq * t) + m * float(frontier.bias[segment + 1] - frontier.bias[segment]) * dq

    for segment in range(frontier.bias.size - 1):
        if _slope(1.0, segment) >= 0:
            at = 0.0 if _slope(0.0, segment) >= 0 else optimize.brentq(_slope, 0.0, 1.0, args=(segment,), xtol=1e-13)
            return _point(segment, at)
    return frontier.weights[-1], float(frontier.bias[-1])


def _error(row: FloatArray, covariance: FloatArray) -> float:
    return math.sqrt(max(float(row @ covariance @ row), 0.0))


def _half_length(h: float, bias: float, level: float) -> float:
    return h * folded_quantile(level, bias / h) if h > 1e-12 * bias and h > 0 else bias
