"""Sensitivity of event studies to departures from parallel trends: robust intervals and breakdown values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.kernels.honest_conditional import accepted_range, accepts_beyond, inequalities, threshold
from evaltoolkit.kernels.honest_length import fixed_length, largest_smoothness
from evaltoolkit.kernels.honest_restrictions import (
    EventStudy,
    HonestError,
    Restriction,
    relative_magnitudes,
    smoothness,
)

FloatArray = NDArray[np.float64]
Method = Literal["fixed-length", "hybrid", "conditional"]

SCAN = 33
"""Bounds tried for a breakdown value, in equal ratios over four powers of ten, before bisection."""
BISECTIONS = 26
NO_ERROR = 1e-5
"""Share of the usual standard error below which an estimator counts as without error."""

__all__ = [
    "Breakdown",
    "EventStudy",
    "HonestError",
    "HonestRow",
    "Method",
    "breakdown",
    "honest_relative",
    "honest_smoothness",
    "original_interval",
]


@dataclass(frozen=True, slots=True)
class HonestRow:
    """A robust interval.

    Attributes
    ----------
    m
        The bound.
    low, high
        The ends.
    is_open
        Whether an end may lie further out than the values tried; only the ``conditional`` test can leave it open.
    is_degenerate
        Whether the fixed-length interval rests on a combination without error, which a covariance of too few clusters
        offers: not to be relied on.
    """

    m: float
    low: float
    high: float
    is_open: bool = False
    is_degenerate: bool = False


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The largest bound at which the robust interval leaves out a value.

    Attributes
    ----------
    value
        The bound; None where every interval holds the value, infinite where none does.
    from_zero
        Whether intervals of all smaller bounds tried leave it out too. Fixed-length intervals are not nested: a bound
        of zero extrapolates a trend from all earlier periods and may give a longer interval than a small one.
    """

    value: float | None
    from_zero: bool


def original_interval(study: EventStudy, weights: FloatArray, level: float = 0.95) -> HonestRow:
    r"""Return the usual interval under parallel trends, :math:`l'\hat\beta \pm z\, (l'\Sigma l)^{1/2}`; its bound is 0.

    Parameters
    ----------
    study
        The event study.
    weights
        l, shape (n_post,).
    level
        Between 0.5 and 1.

    Returns
    -------
    HonestRow

    Raises
    ------
    HonestError
        Weights or level do not fit.

    Examples
    --------
    >>> row = original_interval(EventStudy(np.array([0.0, 3.0]), np.eye(2), 1), np.array([1.0]))
    >>> round(row.low, 4), round(row.high, 4)
    (1.04, 4.96)
    """
    row = _checked(study, weights, (), level)
    centre = float(row @ study.estimates[study.n_pre :])
    reach = float(special.ndtri((1 + level) / 2)) * _usual_error(study, row)
    return HonestRow(0.0, centre - reach, centre + reach)


def honest_smoothness(
    study: EventStudy,
    weights: FloatArray,
    ms: Sequence[float],
    *,
    level: float = 0.95,
    method: Method = "fixed-length",
) -> tuple[HonestRow, ...]:
    r"""Return robust intervals when the slope of the departure changes by at most M between periods.

    :math:`\Delta^{SD}(M)`: :math:`|(\delta_{t+1}-\delta_t)-(\delta_t-\delta_{t-1})| \le M`; M = 0 is a linear trend.
    The default is R ``HonestDiD``'s, the optimal fixed-length interval; ``hybrid`` is its ``C-LF`` and ``conditional``
    its ``Conditional``. R takes quantiles and critical values from seeded draws and ends from a grid; here none
    is drawn, and ends between two values of a grid are refined. Quantiles are normal: the covariance counts as known.

    Parameters
    ----------
    study
        The event study.
    weights
        l, shape (n_post,): the effect is :math:`\sum_t l_t \tau_t`.
    ms
        Bounds M in units of the outcome, each 0 or more.
    level
        Between 0.5 and 1.
    method
        Which interval.

    Returns
    -------
    tuple of HonestRow
        One for each M.

    Raises
    ------
    HonestError
        Weights, level or a bound do not fit.

    References
    ----------
    Rambachan, A. and Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies 90.
    doi:10.1093/restud/rdad018

    Examples
    --------
    >>> study = EventStudy(np.array([0.0, 3.0]), np.eye(2), 1)
    >>> [(r.m, round(r.low, 3), round(r.high, 3)) for r in honest_smoothness(study, np.array([1.0]), [0.0, 1.0])]
    [(0.0, 0.228, 5.772), (1.0, -0.341, 6.341)]
    """
    row = _checked(study, weights, ms, level)
    if method == "fixed-length":
        found = fixed_length(study, row, np.array(ms, dtype=np.float64), level)
        least = NO_ERROR * _usual_error(study, row)
        return tuple(
            HonestRow(
                float(m), f.estimate - f.half_length, f.estimate + f.half_length, is_degenerate=f.std_error <= least
            )
            for m, f in zip(ms, found, strict=True)
        )
    return tuple(_inverted(study, row, "smoothness", (float(m), level, method)) for m in ms)


def honest_relative(
    study: EventStudy,
    weights: FloatArray,
    ms: Sequence[float],
    *,
    level: float = 0.95,
    method: Method = "hybrid",
) -> tuple[HonestRow, ...]:
    r"""Return robust intervals when later changes of the departure are at most M-bar times the largest before.

    :math:`\Delta^{RM}(\bar M)`: :math:`|\delta_{t+1}-\delta_t| \le \bar M \max_{s<0}|\delta_{s+1}-\delta_s|`. Effects
    not rejected are the union over which earlier change is meant and its sign; the row gives the least and the
    largest, as R ``HonestDiD`` does (its ``C-LF`` is ``hybrid``). R searches a grid of 1,000 values within 20 standard
    errors of zero and takes the critical value of the first test from 1,000 draws; here the first test gives the
    limits of the search, its critical value is an integral, and ends are refined: no grid is to be chosen.

    Parameters
    ----------
    study
        The event study.
    weights
        l, shape (n_post,): the effect is :math:`\sum_t l_t \tau_t`.
    ms
        Bounds M-bar, each 0 or more.
    level
        Between 0.5 and 1.
    method
        ``hybrid`` or ``conditional``.

    Returns
    -------
    tuple of HonestRow
        One for each M-bar.

    Raises
    ------
    HonestError
        Weights, level, method or a bound do not fit.

    References
    ----------
    Rambachan, A. and Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies 90.
    doi:10.1093/restud/rdad018

    Examples
    --------
    >>> study = EventStudy(np.array([0.5, 4.0]), np.eye(2), 1)
    >>> [(r.m, round(r.low, 2), round(r.high, 2)) for r in honest_relative(study, np.array([1.0]), [0.0, 1.0])]
    [(0.0, 2.04, 5.96), (1.0, 1.13, 6.87)]
    """
    row = _checked(study, weights, ms, level)
    return tuple(_inverted(study, row, "relative", (float(m), level, _testing(method))) for m in ms)


def breakdown(
    study: EventStudy,
    weights: FloatArray,
    restriction: Literal["smoothness", "relative"],
    *,
    level: float = 0.95,
    method: Method | None = None,
    null: float = 0.0,
    precision: float = 0.0,
) -> Breakdown:
    r"""Return the largest bound at which the robust interval leaves out ``null``.

    There is a bound above which every interval holds it, :math:`|W - \text{null}| / (|g|_1 \max_s |v_s'\hat\beta|)` for
    the tests; below it bounds in equal ratios are tried, and the last change is found by bisection.

    Parameters
    ----------
    study
        The event study.
    weights
        l, shape (n_post,).
    restriction
        ``smoothness`` (the bound is in units of the outcome) or ``relative`` (a ratio).
    level
        Between 0.5 and 1.
    method
        None for the default of the restriction.
    null
        The value.
    precision
        Relative width at which the bisection may stop; zero for as far as numbers go.

    Returns
    -------
    Breakdown

    Raises
    ------
    HonestError
        Weights, level or method do not fit.

    References
    ----------
    Rambachan, A. and Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies 90.
    doi:10.1093/restud/rdad018

    Examples
    --------
    >>> study = EventStudy(np.array([0.0, 3.0]), np.eye(2), 1)
    >>> round(breakdown(study, np.array([1.0]), "smoothness").value, 4)
    0.5946
    """
    row = _checked(study, weights, (), level)
    chosen = method or ("fixed-length" if restriction == "smoothness" else "hybrid")
    if restriction == "relative" or chosen != "fixed-length":
        top = _largest(study, row, restriction, null)

        def _leaves_out(m: float) -> bool:
            return _outside(study, row, restriction, (m, level, _testing(chosen)), null)

    else:
        top = largest_smoothness(study, row, null)

        def _leaves_out(m: float) -> bool:
            found = fixed_length(study, row, np.array([m]), level)[0]
            return abs(found.estimate - null) > found.half_length

    return _last(_leaves_out, top, precision)


def _usual_error(study: EventStudy, weights: FloatArray) -> float:
    post = study.covariance[study.n_pre :, study.n_pre :]
    return math.sqrt(max(float(weights @ post @ weights), 0.0))


def _last(leaves_out: Callable[[float], bool], top: float, precision: float) -> Breakdown:
    if not np.isfinite(top):
        return Breakdown(np.inf, from_zero=True) if leaves_out(0.0) else Breakdown(None, from_zero=False)
    tried = np.append(0.0, top * np.geomspace(1e-4, 1.0, SCAN if precision == 0 else SCAN // 3))
    out = np.array([leaves_out(m) for m in tried.tolist()])
    if not out.any():
        return Breakdown(None, from_zero=False)
    at = int(np.flatnonzero(out)[-1])
    low, high = float(tried[at]), float(tried[min(at + 1, tried.size - 1)])
    for _ in range(BISECTIONS):
        if high - low <= precision * high:
            break
        middle = (low + high) / 2
        low, high = (middle, high) if leaves_out(middle) else (low, middle)
    return Breakdown(low, from_zero=bool(out[: at + 1].all()))


def _largest(study: EventStudy, weights: FloatArray, restriction: str, null: float) -> float:
    """Return a bound above which the tests do not reject ``null``; nearly so where the changes before are zero."""
    standard, unit = study.standardised()
    parts = _parts(standard, restriction, 1.0)
    g = np.linalg.solve(parts[0].differences[:, study.n_pre :].T, weights)
    distance = abs(float(g @ parts[0].differences @ study.estimates) - null) / float(np.abs(g).sum())
    if restriction == "smoothness":
        return distance
    v = np.array([part.reach for part in parts])
    sd = np.sqrt(np.clip(np.einsum("ij,jk,ik->i", v, standard.covariance, v), 0, None)).max()
    change = max(float(np.abs(v @ standard.estimates).max()), 1e-6 * float(sd)) * unit
    return distance / change if change > 0 else np.inf


def _parts(standard: EventStudy, restriction: str, m: float) -> tuple[Restriction, ...]:
    if restriction == "smoothness":
        return (smoothness(standard.n_pre, standard.n_post, m),)
    return relative_magnitudes(standard.n_pre, standard.n_post, m)


def _inverted(study: EventStudy, weights: FloatArray, kind: str, setting: tuple[float, float, Method]) -> HonestRow:
    """Return the least and the largest effect that some part of the restriction does not reject."""
    m, level, method = setting
    standard, unit = study.standardised()
    found = []
    for part in _parts(standard, kind, m / unit if kind == "smoothness" else m):
        moments = inequalities(standard, weights, part)
        found.append(accepted_range(moments, threshold(moments, level, hybrid=method == "hybrid")))
    low = np.nanmin([f[0] for f in found]) * unit
    high = np.nanmax([f[1] for f in found]) * unit
    return HonestRow(m, float(low), float(high), any(f[2] for f in found))


def _outside(
    study: EventStudy, weights: FloatArray, kind: str, setting: tuple[float, float, Method], null: float
) -> bool:
    m, level, method = setting
    standard, unit = study.standardised()
    for part in _parts(standard, kind, m / unit if kind == "smoothness" else m):
        moments = inequalities(standard, weights, part)
        if accepts_beyond(moments, threshold(moments, level, hybrid=method == "hybrid"), null / unit):
            return False
    return True


def _testing(method: Method) -> Method:
    if method == "fixed-length":
        raise HonestError("method")
    return method


def _checked(study: EventStudy, weights: FloatArray, ms: Sequence[float], level: float) -> FloatArray:
    row = np.asarray(weights, dtype=np.float64)
    if row.shape != (study.n_post,) or not np.isfinite(row).all() or not row.any():
        raise HonestError("weights")
    if not 0.5 <= level < 1:
        raise HonestError("level")
    if not all(np.isfinite(m) and m >= 0 for m in ms):
        raise HonestError("m")
    return row
