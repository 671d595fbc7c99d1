"""How far synthetic estimates scatter: placebos among never-treated units, leaving units out, and resampling them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.assignments import assignments
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.synthetic import SyntheticError, SyntheticStudy, averages, synthetic_did

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Draws:
    """P estimates under other data.

    Attributes
    ----------
    att, by_cohort, by_event_time, gaps
        As in ``SyntheticStudy``, shape (P,), (P, J), (P, m) and (P, J, T); NaN where a draw has no such cohort.
    factor
        What a sum of squared deviations from the mean is multiplied by to give a variance: 1 / P, but (P - 1) / P where
        each draw leaves out one unit.
    exact
        Whether these are all the draws there are.
    """

    att: FloatArray
    by_cohort: FloatArray
    by_event_time: FloatArray
    gaps: FloatArray
    factor: float
    exact: bool

    @property
    def std_error(self) -> float:
        """Standard error of the mean effect."""
        return float(np.sqrt(self.factor * ((self.att - self.att.mean()) ** 2).sum()))

    def covariance(self, values: FloatArray) -> FloatArray:
        """Return the covariance, shape (m, m), of columns of draws such as ``by_event_time``; NaN where any is lost."""
        apart = values - values.mean(axis=0)
        found: FloatArray = self.factor * apart.T @ apart
        return found

    def p_value(self, observed: float) -> float:
        """Return the share of draws, and the estimate itself, at least as far from zero as the estimate."""
        far = np.abs(self.att) >= abs(observed) * (1 - 1e-9)
        return float((1 + far.sum()) / (1 + self.att.size))


def placebo_draws(study: SyntheticStudy, outcome: FloatArray, periods: IntArray, draws: int, seed: int) -> Draws:
    r"""Estimate with never-treated units in place of the treated, as many in each cohort, beside those left.

    The variance of the draws is that of the estimate where treated units vary as never-treated ones do. With at most
    ``draws`` + 1 possible choices all are used, once each. The ridge is that of the study, weights are found anew.

    Parameters
    ----------
    study
        The estimate.
    outcome, periods
        As given to ``synthetic_did``, shape (n, T) and (T,).
    draws, seed
        Random choices, and their seed.

    Returns
    -------
    Draws

    Raises
    ------
    SyntheticError
        There are no more never-treated units than treated ones.

    References
    ----------
    Arkhangelsky, D. et al. (2021). Synthetic difference-in-differences. American Economic Review 111, algorithm 4.
    doi:10.1257/aer.20190159

    Examples
    --------
    >>> y = np.array([[1.0, 2, 3, 9], [0, 1, 2, 3], [5, 5, 5, 5], [1, 2, 2, 3]])
    >>> periods = np.array([1, 2, 3, 4])
    >>> study = synthetic_did(y, np.array([4, 9, 9, 9]), periods)
    >>> found = placebo_draws(study, y, periods, 99, 1)
    >>> found.exact, found.att.round(2).tolist(), found.p_value(study.att)
    (True, [0.73, -1.0, 0.5], 0.25)
    """
    free = outcome[study.controls]
    n1, n0 = int(study.n_treated.sum()), free.shape[0]
    if n0 <= n1:
        raise SyntheticError("few-controls")
    start = np.concatenate([np.repeat(study.cohorts, study.n_treated), np.full(n0 - n1, NEVER)])
    table = assignments(start, np.arange(n0), draws, seed)
    # A sampled table begins with the starts as they were put above, which nothing has drawn.
    codes = table.codes if table.exact else table.codes[1:]
    found = [synthetic_did(free, table.cohorts[c], periods, study.rule, study.zeta) for c in codes]
    return _draws(study, found, 1 / len(found), exact=table.exact)


def jackknife_draws(study: SyntheticStudy, outcome: FloatArray, start: IntArray, periods: IntArray) -> Draws:
    r"""Leave out each unit in turn with weights held fixed, those on units scaled up to one again.

    The variance is :math:`\frac{n-1}{n} \sum_i (\hat\tau_{(-i)} - \bar\tau)^2`, centred at the mean of the deletions as
    in R ``synthdid``. It is conservative, and not for ``synthetic-control``.

    Parameters
    ----------
    study
        The estimate.
    outcome, start, periods
        As given to ``synthetic_did``.

    Returns
    -------
    Draws
        Units in the order of ``outcome``, those that were left out of the study not counted.

    Raises
    ------
    SyntheticError
        A cohort has one treated unit, or all its weight rests on one never-treated unit.

    References
    ----------
    Arkhangelsky, D. et al. (2021). Synthetic difference-in-differences. American Economic Review 111, algorithm 3.
    doi:10.1257/aer.20190159

    Examples
    --------
    >>> y = np.array([[1.0, 2, 3, 9], [1, 2, 2, 7], [0, 1, 2, 3], [5, 5, 5, 5]])
    >>> start, periods = np.array([4, 4, 9, 9]), np.array([1, 2, 3, 4])
    >>> found = jackknife_draws(synthetic_did(y, start, periods), y, start, periods)
    >>> found.att.round(2).tolist(), round(found.std_error, 2)
    ([4.4, 5.4, 5.5, 4.5], 0.87)
    """
    J, T = study.gaps.shape
    for j, g in enumerate(study.cohorts.tolist()):
        if study.n_treated[j] < 2:
            raise SyntheticError("one-treated", g)
        if study.omega[j].max() > 1 - 1e-9:
            raise SyntheticError("few-controls", g)
    units = np.flatnonzero(np.isin(start, study.cohorts) | np.isin(np.arange(start.size), study.controls))
    apart = np.empty((units.size, J, T))
    counts = np.broadcast_to(study.n_treated, (units.size, J)).copy()
    free, place = outcome[study.controls], np.searchsorted(units, study.controls)
    for j, g in enumerate(study.cohorts.tolist()):
        mine, n1 = np.flatnonzero(start == g), study.n_treated[j]
        total, theirs, w = outcome[mine].sum(axis=0), study.omega[j] @ free, study.omega[j][:, None]
        apart[:, j] = total / n1 - theirs
        apart[place, j] = total / n1 - (theirs - w * free) / (1 - w)
        at = np.searchsorted(units, mine)
        apart[at, j] = (total - outcome[mine]) / (n1 - 1) - theirs
        counts[at, j] -= 1
    gaps = apart - (apart * study.lambda_).sum(axis=2, keepdims=True)
    att, by_cohort, rows = averages(gaps, counts, study.cohorts, periods)
    return Draws(att, by_cohort, rows, gaps, (units.size - 1) / units.size, exact=True)


def bootstrap_draws(
    study: SyntheticStudy, outcome: FloatArray, start: IntArray, periods: IntArray, draws: int, seed: int
) -> Draws:
    r"""Estimate with units drawn with replacement, weights found anew with the study's ridge.

    A draw without treated or without never-treated units is drawn again; one that has lost a cohort goes without it.

    Parameters
    ----------
    study
        The estimate.
    outcome, start, periods
        As given to ``synthetic_did``.
    draws, seed
        How many, and the seed.

    Returns
    -------
    Draws

    Raises
    ------
    SyntheticError
        There is one treated unit.

    References
    ----------
    Arkhangelsky, D. et al. (2021). Synthetic difference-in-differences. American Economic Review 111, algorithm 2.
    doi:10.1257/aer.20190159

    Examples
    --------
    >>> y = np.array([[1.0, 2, 3, 9], [1, 2, 2, 7], [0, 1, 2, 3], [5, 5, 5, 5]])
    >>> start, periods = np.array([4, 4, 9, 9]), np.array([1, 2, 3, 4])
    >>> bootstrap_draws(synthetic_did(y, start, periods), y, start, periods, 20, 1).att.size
    20
    """
    if study.n_treated.sum() < 2:
        raise SyntheticError("one-treated", int(study.cohorts[0]))
    used = np.concatenate([np.flatnonzero(np.isin(start, study.cohorts)), study.controls])
    rng = np.random.default_rng(seed)
    found: list[SyntheticStudy] = []
    while len(found) < draws:
        pick = used[rng.integers(0, used.size, used.size)]
        here = np.isin(study.cohorts, start[pick])
        if here.any() and np.isin(pick, study.controls).any():
            found.append(synthetic_did(outcome[pick], start[pick], periods, study.rule, study.zeta[here]))
    return _draws(study, found, 1 / draws, exact=False)


def _draws(study: SyntheticStudy, found: list[SyntheticStudy], factor: float, *, exact: bool) -> Draws:
    by_cohort = np.full((len(found), study.cohorts.size), np.nan)
    rows = np.full((len(found), study.event_time.size), np.nan)
    gaps = np.full((len(found), *study.gaps.shape), np.nan)
    for i, one in enumerate(found):
        gaps[i, np.searchsorted(study.cohorts, one.cohorts)] = one.gaps
        by_cohort[i, np.searchsorted(study.cohorts, one.cohorts)] = one.by_cohort
        rows[i, np.searchsorted(study.event_time, one.event_time)] = one.by_event_time
    return Draws(np.array([one.att for one in found]), by_cohort, rows, gaps, factor, exact)
