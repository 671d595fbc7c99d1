"""Which effects a two-way fixed-effects regression averages, and with what weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.bacon_groups import Groups, groups, two_way_residuals
from evaltoolkit.kernels.cohorts import NEVER

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

REFERENCE = -1
"""Stands for the event times that are left out of a regression."""


class WeightsError(ValueError):
    """The regression has no such coefficients.

    ``no-variation``: unit and period effects explain treatment fully. ``collinear``: one coefficient, by its label,
    follows from the others; leave out one more event time (needed where no unit is never treated).
    """

    def __init__(self, why: Literal["no-variation", "collinear"], label: int = 0) -> None:
        self.why = why
        self.label = label
        super().__init__(f"{why}, {label}")


@dataclass(frozen=True, slots=True)
class Dynamics:
    """Which event times a regression has coefficients for.

    Attributes
    ----------
    reference
        Event times left out.
    ends
        Event times at or before the first share one coefficient, and those at or after the second; None for one each.
    """

    reference: tuple[int, ...] = (-1,)
    ends: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class EventWeights:
    """Weights of K effects, one for each cohort and period, in L event-study coefficients.

    Attributes
    ----------
    labels
        Event time of each coefficient, shape (L,).
    cohort, period
        Of each effect, shape (K,).
    place
        Coefficient whose event time the effect has, ``REFERENCE`` for those left out, shape (K,).
    weight
        Shape (L, K).
    """

    labels: IntArray
    cohort: IntArray
    period: IntArray
    place: IntArray
    weight: FloatArray

    @property
    def event_time(self) -> IntArray:
        """Periods since the start, shape (K,)."""
        return self.period - self.cohort

    def own(self) -> Mask:
        """Return which effects belong to each coefficient, shape (L, K)."""
        mine: Mask = self.place[None, :] == np.arange(self.labels.size)[:, None]
        return mine

    def foreign(self) -> FloatArray:
        """Return the total of absolute weights on effects of other event times, shape (L,): zero is clean."""
        found: FloatArray = np.abs(np.where(self.own(), 0.0, self.weight)).sum(axis=1)
        return found

    def parts(self, effects: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what effects of the own and of other event times add to each coefficient, shape (L,) each."""
        own = (self.weight * self.own()) @ effects
        return own, self.weight @ effects - own


@dataclass(frozen=True, slots=True)
class StaticWeights:
    """Weights of K effects, one for each cohort and period, in the static coefficient of treatment.

    Attributes
    ----------
    cohort, period
        Shape (K,); every period of the cohorts that are ever treated.
    treated
        Whether the cohort is treated in the period, shape (K,).
    weight
        Shape (K,): treated cells sum to one and all periods of a cohort to zero. Weights before the start multiply
        differences in trends.
    share
        Of treated observations, shape (K,), summing to one; zero before the start.
    """

    cohort: IntArray
    period: IntArray
    treated: Mask
    weight: FloatArray
    share: FloatArray

    @property
    def n_negative(self) -> int:
        """Number of treated cells with a negative weight."""
        return int((self.weight[self.treated] < -1e-12).sum())

    @property
    def negative(self) -> float:
        """Sum of the negative weights of treated cells."""
        return float(np.minimum(self.weight[self.treated], 0.0).sum())


@dataclass(frozen=True, slots=True)
class Robustness:
    """How much effects would have to differ between cells for a coefficient to mislead.

    Attributes
    ----------
    zero
        Smallest standard deviation of effects over treated cells with which the average effect can be zero.
    opposite
        The same with which every effect can have the other sign; None where no weight is negative, so that it cannot
        be. Large values, next to the effects that are plausible, are reassuring.
    """

    zero: float
    opposite: float | None


def event_study_weights(
    start: IntArray,
    periods: IntArray,
    dynamics: Dynamics | None = None,
    observed: Mask | None = None,
    weights: FloatArray | None = None,
) -> EventWeights:
    r"""Return the weights of effects in every coefficient of an event study.

    The regression is :math:`y_{it} = a_i + b_t + \sum_l \beta_l 1\{t - g_i = l\} + e_{it}`. The weight of cohort g's
    effect in period t on :math:`\beta_l` is the coefficient of event time l in a regression of
    :math:`1\{G_i = g, T = t\}` on the same terms. Weights sum to one over effects of the own event time, to zero over
    those of each other included one, and to minus one over those left out. With :math:`\hat\delta_{gt}` of a regression
    with a coefficient for each cohort and event time (Sun and Abraham's),
    :math:`\hat\beta_l = \sum_{gt} w^l_{gt} \hat\delta_{gt}` exactly.

    Parameters
    ----------
    start
        First treated period, ``NEVER`` for none, shape (n,). Starts after the last period count as ``NEVER``.
    periods
        Ascending, shape (T,); event time is in the same units.
    dynamics
        Event times; None for all but -1.
    observed
        Shape (n, T); None where all were.
    weights
        Above zero, shape (n,); None for ones.

    Returns
    -------
    EventWeights

    Raises
    ------
    WeightsError
        A coefficient is not identified.

    References
    ----------
    Sun, L. and Abraham, S. (2021). Estimating dynamic treatment effects in event studies with heterogeneous treatment
    effects. Journal of Econometrics 225. doi:10.1016/j.jeconom.2020.09.006

    Examples
    --------
    >>> found = event_study_weights(np.array([2, 3, NEVER]), np.array([1, 2, 3]), Dynamics(reference=(-1, -2)))
    >>> found.labels.tolist(), found.cohort.tolist(), found.period.tolist()
    ([0, 1], [2, 2, 2, 3, 3, 3], [1, 2, 3, 1, 2, 3])
    >>> found.weight[0].round(3).tolist()
    [-0.5, 0.5, 0.0, 0.0, -0.5, 0.5]
    """
    rule = Dynamics() if dynamics is None else dynamics
    found = _groups(start, periods, observed, weights)
    ever = (found.start < NEVER)[:, None]
    event = periods - np.where(ever, found.start[:, None], periods[0])
    binned = event if rule.ends is None else np.clip(event, *rule.ends)
    member = ever & found.observed & ~np.isin(binned, rule.reference)
    labels = np.unique(binned[member])
    if labels.size == 0:
        raise WeightsError("no-variation")
    dummies = (member[:, :, None] & (binned[:, :, None] == labels)).astype(np.float64)
    left = two_way_residuals(dummies, found.observed, found.size)
    weighted = left * found.mass[:, :, None]
    normal = np.einsum("gtl,gtm->lm", weighted, left, optimize=True)
    _require_rank(normal, np.einsum("gt,gtl->l", found.mass, dummies), labels)
    cohorts, cross, count = _by_cohort(found, weighted)
    cell_cohort, cell_period, seen = _cells(cohorts, periods, count)
    since = cell_period - cell_cohort
    at = since if rule.ends is None else np.clip(since, *rule.ends)
    place = np.where(np.isin(at, labels), np.searchsorted(labels, at), REFERENCE)
    weight = np.linalg.solve(normal, cross.reshape(-1, labels.size)[seen].T)
    return EventWeights(labels, cell_cohort, cell_period, place, weight)


def static_weights(
    start: IntArray, periods: IntArray, observed: Mask | None = None, weights: FloatArray | None = None
) -> StaticWeights:
    r"""Return the weights of effects in :math:`\beta` of :math:`y_{it} = a_i + b_t + \beta D_{it} + e_{it}`.

    :math:`w_{gt} = N_{gt} \tilde D_{gt} / \sum_{D=1} N \tilde D`, with :math:`\tilde D` what unit and period effects
    leave of treatment. In a panel with holes units of a cohort differ in :math:`\tilde D`; the weight of a cell is the
    sum over them. R TwoWayFEWeights lists treated cells only; so does ``weight[treated]``.

    Parameters
    ----------
    start, periods, observed, weights
        As in ``event_study_weights``.

    Returns
    -------
    StaticWeights

    Raises
    ------
    WeightsError
        Treatment does not vary beyond the effects.

    References
    ----------
    de Chaisemartin, C. and D'Haultfoeuille, X. (2020). Two-way fixed effects estimators with heterogeneous treatment
    effects. American Economic Review 110. doi:10.1257/aer.20181169

    Examples
    --------
    >>> found = static_weights(np.array([2, 3]), np.array([1, 2, 3]))
    >>> found.weight[found.treated].round(3).tolist(), found.n_negative
    ([1.0, -0.5, 0.5], 1)
    """
    found = _groups(start, periods, observed, weights)
    left = two_way_residuals(found.treated[:, :, None], found.observed, found.size) * found.mass[:, :, None]
    total = float((left[:, :, 0] * found.treated).sum())
    if total <= 1e-12 * float(found.mass.sum()):
        raise WeightsError("no-variation")
    cohorts, cross, count = _by_cohort(found, left)
    cohort, period, seen = _cells(cohorts, periods, count)
    treated = period >= cohort
    mass = np.where(treated, count.ravel()[seen], 0.0)
    return StaticWeights(cohort, period, treated, cross.ravel()[seen] / total, mass / mass.sum())


def robustness(found: StaticWeights, coefficient: float) -> Robustness:
    r"""Return the smallest heterogeneity of effects that makes a static coefficient mislead.

    With ratios :math:`v = w / s` of weights to shares: :math:`|\beta| / \mathrm{sd}_s(v)` for an average of zero. For
    effects all of the other sign, with cells sorted by falling v and P, S, Q the sums of :math:`s, sv, sv^2` from cell
    i on: :math:`|\beta| (Q + S^2 / (1 - P))^{-1/2}` at the first i with :math:`v_i < -S / (1 - P)`. Standard deviations
    are over treated cells, weighted by their shares.

    Parameters
    ----------
    found
        The weights.
    coefficient
        The static coefficient.

    Returns
    -------
    Robustness

    References
    ----------
    de Chaisemartin, C. and D'Haultfoeuille, X. (2020). Two-way fixed effects estimators with heterogeneous treatment
    effects. American Economic Review 110, corollary 1. doi:10.1257/aer.20181169

    Examples
    --------
    >>> found = robustness(static_weights(np.array([2, 3]), np.array([1, 2, 3])), 1.0)
    >>> round(found.zero, 4), round(found.opposite, 4)
    (0.5345, 0.9428)
    """
    share, weight = found.share[found.treated], found.weight[found.treated]
    ratio = weight / share
    order = np.argsort(-ratio, kind="stable")
    ratio, share = ratio[order], share[order]
    spread = float(np.sqrt(share @ (ratio - 1) ** 2))
    zero = abs(coefficient) / spread if spread > 1e-12 else float("inf")
    P, S, Q = (np.cumsum(v[::-1])[::-1] for v in (share, share * ratio, share * ratio**2))
    rest = 1 - P
    below = (rest > 1e-12) & (ratio * rest < -S)
    if not (found.n_negative and below.any()):
        return Robustness(zero, None)
    i = int(np.argmax(below))
    return Robustness(zero, float(abs(coefficient) / np.sqrt(Q[i] + S[i] ** 2 / rest[i])))


def _groups(start: IntArray, periods: IntArray, observed: Mask | None, weights: FloatArray | None) -> Groups:
    there = np.ones((start.size, periods.size), dtype=np.bool_) if observed is None else observed
    found = groups(there, start, periods, weights)
    if found.size.size == 0:
        raise WeightsError("no-variation")
    return found


def _by_cohort(found: Groups, weighted: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Sum over groups of a treated cohort: its start, values by period (J, T, q), and weight observed (J, T)."""
    cohorts, place = np.unique(found.start, return_inverse=True)
    sums, count = np.zeros((cohorts.size, *weighted.shape[1:])), np.zeros((cohorts.size, weighted.shape[1]))
    np.add.at(sums, place, weighted)
    np.add.at(count, place, found.mass)
    ever = cohorts < NEVER
    return cohorts[ever], sums[ever], count[ever]


def _cells(cohorts: IntArray, periods: IntArray, count: FloatArray) -> tuple[IntArray, IntArray, Mask]:
    """Return cohort and period of the cells that were observed, and which of all J T they are."""
    seen: Mask = count.ravel() > 0
    return np.repeat(cohorts, periods.size)[seen], np.tile(periods, cohorts.size)[seen], seen


def _require_rank(normal: FloatArray, length: FloatArray, labels: IntArray) -> None:
    """Raise where a dummy, by its label, is a combination of the effects and of dummies before it."""
    scaled = normal / np.sqrt(np.outer(length, length))
    for m in range(labels.size):
        known = scaled[:m, :m]
        explained = scaled[m, :m] @ np.linalg.lstsq(known, scaled[:m, m], rcond=1e-10)[0] if m else 0.0
        if scaled[m, m] - explained < 1e-9:
            raise WeightsError("collinear", int(labels[m]))
