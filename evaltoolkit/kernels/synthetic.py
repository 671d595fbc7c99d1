"""Synthetic difference-in-differences, synthetic control and their difference-in-differences twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.synthetic_weights import simplex_least_squares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

Kind = Literal["synthetic-did", "synthetic-control", "did"]


class SyntheticError(ValueError):
    """Weights cannot be found: why, and in which cohort (0 for all).

    ``missing`` outcomes, ``no-comparison`` units that are never treated, ``no-past`` before any start, ``few-controls``
    to stand in for the treated, or ``one-treated`` unit in a cohort where one is to be left out.
    """

    def __init__(
        self, why: Literal["missing", "no-comparison", "no-past", "few-controls", "one-treated"], cohort: int = 0
    ) -> None:
        self.why = why
        self.cohort = cohort
        super().__init__(f"{why} in cohort {cohort}")


@dataclass(frozen=True, slots=True)
class SyntheticRule:
    """How weights are found.

    Attributes
    ----------
    kind
        ``synthetic-did``: weights on units and periods; ``synthetic-control``: on units only, and levels must match;
        ``did``: equal weights.
    anticipation
        Periods before the start in which behaviour may already change: no weights rest on them.
    """

    kind: Kind = "synthetic-did"
    anticipation: int = 0


@dataclass(frozen=True, slots=True)
class SyntheticStudy:
    """Estimates of J cohorts in T periods beside n0 never-treated units.

    Attributes
    ----------
    rule
        How weights were found.
    att
        Mean effect over treated unit-periods.
    cohorts, by_cohort
        Starts, ascending, and the mean effect of each, shape (J,).
    n_treated
        Units of each cohort, shape (J,).
    event_time, by_event_time
        Periods since the start, ascending, and effects, means over cohorts by number of units, shape (m,). Before the
        start they are gaps left by the weights, in deviation from the same reference.
    gaps
        Effect of each cohort in each period, shape (J, T).
    controls
        Rows of the never-treated units, shape (n0,).
    omega
        Weights on never-treated units, shape (J, n0).
    lambda_
        Weights on periods, zero from the start (less anticipation), shape (J, T).
    zeta
        Root of the ridge on ``omega``, for each cohort, shape (J,).
    fit_rmse
        Root mean square of what the weights leave before the start, in units of the outcome, shape (J,); level
        differences count for ``synthetic-control`` only.
    """

    rule: SyntheticRule
    att: float
    cohorts: IntArray
    by_cohort: FloatArray
    n_treated: IntArray
    event_time: IntArray
    by_event_time: FloatArray
    gaps: FloatArray
    controls: IntArray
    omega: FloatArray
    lambda_: FloatArray
    zeta: FloatArray
    fit_rmse: FloatArray


def synthetic_did(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    rule: SyntheticRule | None = None,
    zeta: FloatArray | None = None,
) -> SyntheticStudy:
    r"""Compare treated units with a weighted mean of never-treated ones, and their change with weighted periods before.

    For a cohort of :math:`N_1` units treated in :math:`T_1` periods, after :math:`T_0` periods, the weights on units
    (and an intercept) minimise :math:`\sum_{t \le T_0} (\omega_0 + \sum_i \omega_i Y_{it} - \bar Y_{1t})^2
    + T_0 \zeta^2 \|\omega\|^2`, and those on periods (and an intercept) minimise
    :math:`\sum_i (\lambda_0 + \sum_{t \le T_0} \lambda_t Y_{it} - \bar Y_{i,post})^2
    + N_0 (10^{-6} \hat\sigma)^2 \|\lambda\|^2`, both not negative and with sum one. With :math:`\hat\sigma` the
    standard deviation of first differences of never-treated units before the start, :math:`\zeta = (N_1 T_1)^{1/4}
    \hat\sigma`. The effect in period t is

    .. math:: \bar Y_{1t} - \sum_i \omega_i Y_{it}
        - \sum_{s \le T_0} \lambda_s (\bar Y_{1s} - \sum_i \omega_i Y_{is}).

    ``synthetic-control`` has no intercept, no :math:`\lambda`, and :math:`\zeta = 10^{-6} \hat\sigma`; ``did`` has
    equal weights. Each cohort is estimated by itself against the never-treated units, and the mean effect is over
    treated unit-periods (Stata ``sdid``); event times are averaged by units (Stata ``sdid_event``).

    Parameters
    ----------
    outcome
        Shape (n, T), without holes.
    start
        First treated period of each unit, ``NEVER`` (or after the last period and anticipation) for none, shape (n,).
        A cohort without a period before its start is left out. With one such period all weights are equal.
    periods
        Ascending, shape (T,).
    rule
        How weights are found; None for ``synthetic-did``.
    zeta
        Given roots of the ridge on units, for each cohort in ascending order, shape (J,).

    Returns
    -------
    SyntheticStudy

    Raises
    ------
    SyntheticError
        Missing outcomes, no never-treated unit, or no cohort with a past.

    Notes
    -----
    R ``synthdid`` 0.0.9 finds weights by Frank-Wolfe steps and stops at a tolerance, after setting small weights to
    zero once; here they are exact. On Proposition 99 that moves ``synthetic-did`` by 0.0016 (of -15.6) and
    ``synthetic-control``, where R runs out of steps, by 0.106 (of -19.6). Each cohort's :math:`\hat\sigma` is from the
    periods before its own start, and common shocks count in it, as in both packages.

    References
    ----------
    Arkhangelsky, D., Athey, S., Hirshberg, D., Imbens, G. and Wager, S. (2021). Synthetic difference-in-differences.
    American Economic Review 111. doi:10.1257/aer.20190159
    Clarke, D., Pailañir, D., Athey, S. and Imbens, G. (2023). Synthetic difference in differences estimation.
    doi:10.48550/arXiv.2301.11859

    Examples
    --------
    >>> y = np.array([[1.0, 2, 3, 9], [0, 1, 2, 3], [5, 5, 5, 5]])
    >>> found = synthetic_did(y, np.array([4, 9, 9]), np.array([1, 2, 3, 4]))
    >>> round(found.att, 3), found.omega.round(2).tolist(), found.event_time.tolist()
    (5.25, [[0.75, 0.25]], [-3, -2, -1, 0])
    """
    rule = SyntheticRule() if rule is None else rule
    controls, cohorts = _groups(outcome, start, periods, rule)
    free = outcome[controls]
    found = []
    for j, g in enumerate(cohorts.tolist()):
        mine = outcome[start == g]
        given = None if zeta is None else float(zeta[j])
        found.append(_cohort(mine.mean(axis=0), mine.shape[0], free, _split(periods, g, rule), (rule.kind, given)))
    omega, lambda_, gaps = (np.array([f[m] for f in found]) for m in range(3))
    fit, used = (np.array([f[m] for f in found]) for m in (3, 4))
    n_treated = np.array([(start == g).sum() for g in cohorts], dtype=np.int64)
    att, by_cohort, rows = averages(gaps, n_treated, cohorts, periods)
    times = event_times(cohorts, periods)
    return SyntheticStudy(
        rule, float(att), cohorts, by_cohort, n_treated, times, rows, gaps, controls, omega, lambda_, used, fit
    )


def _groups(outcome: FloatArray, start: IntArray, periods: IntArray, rule: SyntheticRule) -> tuple[IntArray, IntArray]:
    """Return the rows of never-treated units, and the starts that have a past."""
    if not np.isfinite(outcome).all():
        raise SyntheticError("missing")
    controls = np.flatnonzero(start > int(periods[-1]) + rule.anticipation)
    if controls.size == 0:
        raise SyntheticError("no-comparison")
    cohorts = np.unique(start[(start <= periods[-1]) & (start > int(periods[0]) + rule.anticipation)])
    if cohorts.size == 0:
        raise SyntheticError("no-past")
    return controls, cohorts.astype(np.int64)


def _split(periods: IntArray, g: int, rule: SyntheticRule) -> tuple[Mask, Mask]:
    return periods + rule.anticipation < g, periods >= g


def _cohort(
    mine: FloatArray, n1: int, free: FloatArray, split: tuple[Mask, Mask], how: tuple[Kind, float | None]
) -> tuple[FloatArray, FloatArray, FloatArray, float, float]:
    """Return weights on units and periods, effects by period, the fit, and the root of the ridge."""
    before, after = split
    kind, given = how
    past = free[:, before]
    sigma = noise(past)
    n0, t0 = past.shape
    lambda_ = np.zeros(mine.size)
    zeta = 0.0
    omega = np.full(n0, 1 / n0)
    if kind == "did":
        lambda_[before] = 1 / t0
    else:
        level = kind == "synthetic-control"
        zeta = (1e-6 if level else float(n1 * after.sum()) ** 0.25) * sigma if given is None else given
        omega = unit_weights(past, mine[before], zeta, intercept=not level)
        if not level:
            lambda_[before] = period_weights(past, free[:, after].mean(axis=1), 1e-6 * sigma)
    apart = mine - omega @ free
    left = apart[before] if kind == "synthetic-control" else apart[before] - apart[before].mean()
    return omega, lambda_, apart - float(lambda_ @ apart), float(np.sqrt((left**2).mean())), zeta


def noise(past: FloatArray) -> float:
    """Return the standard deviation of all first differences of rows; 0 where there are fewer than two.

    >>> noise(np.array([[0.0, 1, 3], [2, 2, 5]])).__round__(6)
    1.290994
    """
    change = np.diff(past, axis=1)
    return float(change.std(ddof=1)) if change.size > 1 else 0.0


def unit_weights(past: FloatArray, aim: FloatArray, zeta: float, *, intercept: bool) -> FloatArray:
    """Return weights on n0 units, shape (n0,), whose past (n0, t0) follows that of the treated (t0,).

    >>> past = np.array([[0.0, 1, 2], [0, 0, 0]])
    >>> unit_weights(past, np.array([7.0, 7.5, 8]), 1e-6, intercept=True).round(6).tolist()
    [0.5, 0.5]
    """
    A, b = past.T, aim
    if intercept:
        A, b = A - A.mean(axis=0), b - b.mean()
    return simplex_least_squares(A, b, aim.size * zeta**2)


def period_weights(past: FloatArray, aim: FloatArray, zeta: float) -> FloatArray:
    """Return weights on t0 periods, shape (t0,), at which units (n0, t0) stand as they do later (n0,).

    >>> past = np.array([[0.0, 1, 2], [5, 1, 0], [0, 7, 1]])
    >>> period_weights(past, np.array([2.0, 0, 1]) + 3, 1e-6).round(6).tolist()
    [0.0, 0.0, 1.0]
    """
    return simplex_least_squares(past - past.mean(axis=0), aim - aim.mean(), aim.size * zeta**2)


def event_times(cohorts: IntArray, periods: IntArray) -> IntArray:
    """Return all periods since a start, ascending.

    >>> event_times(np.array([3]), np.array([1, 2, 4])).tolist()
    [-2, -1, 1]
    """
    return np.unique(periods[None, :] - cohorts[:, None])


def averages(
    gaps: FloatArray, n_treated: IntArray | FloatArray, cohorts: IntArray, periods: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Average effects by period, shape (..., J, T), over treated unit-periods, by cohort and by event time.

    Parameters
    ----------
    gaps
        Effects by cohort and period, shape (..., J, T).
    n_treated
        Units of each cohort, shape (..., J); a cohort without units counts nowhere.
    cohorts, periods
        Shape (J,) and (T,).

    Returns
    -------
    tuple
        Mean over treated unit-periods, shape (...); means of cohorts, shape (..., J); of event times, shape (..., m).

    Examples
    --------
    >>> gaps = np.array([[0.0, 1, 3], [0, 0, 8]])
    >>> att, by_cohort, rows = averages(gaps, np.array([2, 1]), np.array([2, 3]), np.array([1, 2, 3]))
    >>> float(att), by_cohort.tolist(), rows.round(3).tolist()
    (3.2, [2.0, 8.0], [0.0, 0.0, 3.333, 3.0])
    """
    n = np.asarray(n_treated, dtype=np.float64)
    here = n > 0
    inside = np.where(here[..., None], gaps, 0.0)
    after = (periods[None, :] >= cohorts[:, None]).astype(np.float64)
    by_cohort = (inside * after).sum(axis=-1) / after.sum(axis=-1)
    weight = n * after.sum(axis=-1)
    att = (weight * by_cohort).sum(axis=-1) / weight.sum(axis=-1)
    since = periods[None, :] - cohorts[:, None]
    rows = []
    for e in np.unique(since):
        share = n[..., :, None] * (since == e)
        total = share.sum(axis=(-1, -2))
        with np.errstate(invalid="ignore", divide="ignore"):
            rows.append(np.where(total > 0, (share * inside).sum(axis=(-1, -2)) / total, np.nan))
    return att, np.where(here, by_cohort, np.nan), np.stack(rows, axis=-1)
