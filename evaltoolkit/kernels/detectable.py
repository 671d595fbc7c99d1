"""How small an effect a design can detect: from a standard error, and from starts that never took place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from evaltoolkit.kernels.assignments import assignments
from evaltoolkit.kernels.cohorts import NEVER

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Estimator = Callable[[FloatArray, IntArray, IntArray], float]
"""Takes outcomes (n, T), starts (n,) and periods (T,); returns one estimate, NaN or ValueError where there is none."""


def minimum_detectable(std_error: float, df: float = np.inf, *, alpha: float = 0.05, power: float = 0.8) -> float:
    r"""Return :math:`(t_{1-\alpha/2,\nu} + t_{power,\nu}) \, SE`, 2.80 standard errors in large samples.

    The usual formula; the effect by the noncentral t, ``detectable_by_t``, is larger with very few degrees of freedom
    (16.3 for 14.1 standard errors with one, 5.7 for 5.4 with two) and nearly the same from ten. It depends on the
    design and not on the estimate: computed after the fact, it says what could have been seen, not whether something
    was missed.

    Parameters
    ----------
    std_error, df
        Of the estimate.
    alpha
        Level of the two-sided test.
    power
        Chance to reject.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        A number is outside its range.

    References
    ----------
    Bloom, H. (1995). Minimum detectable effects: a simple way to report the statistical power of experimental designs.
    Evaluation Review 19. doi:10.1177/0193841X9501900504

    Examples
    --------
    >>> round(minimum_detectable(1.0), 4), round(minimum_detectable(1.0, 10), 4)
    (2.8016, 3.1072)
    """
    _check(std_error, df, alpha, power)
    return std_error * (_quantile(1 - alpha / 2, df) + _quantile(power, df))


def power_of_t(effect: float, std_error: float, df: float = np.inf, *, alpha: float = 0.05) -> float:
    r"""Return the chance that a two-sided t test rejects: noncentral t with :math:`\delta` = effect / SE.

    Parameters
    ----------
    effect, std_error, df
        True effect, error of its estimate, and degrees of freedom of the error.
    alpha
        Level.

    Examples
    --------
    >>> round(power_of_t(2.8016, 1.0), 3), round(power_of_t(0.0, 1.0, 7), 6)
    (0.8, 0.05)
    """
    _check(std_error, df, alpha, 0.5)
    edge, away = _quantile(1 - alpha / 2, df), abs(effect) / std_error
    if np.isinf(df):
        return float(special.ndtr(away - edge) + special.ndtr(-edge - away))
    # E[Phi(away - c S) + Phi(-away - c S)] with S^2 = chi2 / df; scipy's nctdtr is not a number far from zero.
    nodes, weights = _nodes()
    # In z = ndtri(u) the integrand is smooth at both ends.
    z = nodes * 8.5
    root = np.sqrt(special.chdtri(df, special.ndtr(-z)) / df)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * weights * 8.5
    return float(density @ (special.ndtr(away - edge * root) + special.ndtr(-away - edge * root)))


@functools.cache
def _nodes() -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of 300 points between -1 and 1; they take longer to find than to use."""
    nodes, weights = np.polynomial.legendre.leggauss(300)
    return np.asarray(nodes, dtype=np.float64), np.asarray(weights, dtype=np.float64)


def detectable_by_t(std_error: float, df: float = np.inf, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the effect at which ``power_of_t`` is ``power``.

    Examples
    --------
    >>> round(detectable_by_t(1.0, 10), 3)
    3.11
    """
    _check(std_error, df, alpha, power)
    if power <= alpha:
        return 0.0
    top = 4 * minimum_detectable(std_error, df, alpha=alpha, power=power)

    def _missing(effect: float) -> float:
        return power_of_t(effect, std_error, df, alpha=alpha) - power

    return float(optimize.brentq(_missing, 0.0, top, xtol=1e-12 * top))


@dataclass(frozen=True, slots=True)
class PlaceboRule:
    """Which placebo starts are made.

    Attributes
    ----------
    anticipation
        Periods before the first start that may already be affected; they are left out.
    fewest_before, fewest_after
        Periods a placebo has at least before its first start, and from it on.
    draws, seed
        Assignments of starts to clusters for each placebo start, as in ``assignments``; 0 for the one observed only.
    """

    anticipation: int = 0
    fewest_before: int = 1
    fewest_after: int = 1
    draws: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class PlaceboStarts:
    """Estimates where there was no treatment.

    Attributes
    ----------
    estimates
        Shape (B,), those without an estimate left out.
    first
        The first placebo start of each, shape (B,).
    observed_rows
        Which have the observed assignment of starts to clusters, shape (B,).
    failed
        How many gave no estimate.
    spread
        Standard deviation around their mean; NaN for fewer than two.
    """

    estimates: FloatArray
    first: IntArray
    observed_rows: NDArray[np.bool_]
    failed: int
    spread: float


def placebo_starts(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    estimate: Estimator,
    rule: PlaceboRule | None = None,
    clusters: IntArray | None = None,
) -> PlaceboStarts:
    """Estimate effects of starts moved to before anything started, and dealt out to clusters anew.

    Only periods before the first start (less anticipation) are used, in which every unit is untreated. The whole
    pattern of adoption is moved back by a number of periods, so that the distances between cohorts stay; a cohort that
    would start after these periods counts as never treated. With ``draws`` every such pattern is also dealt out to the
    clusters at random. Rows keep their places, so that the estimator may hold weights or covariates of its own.

    A placebo has fewer periods than the study: its spread stands for the study's error only where the estimator gains
    little from more of them. Placebos that share periods are correlated, and the spread of few of them says little.

    Parameters
    ----------
    outcome
        Shape (n, T); NaN where a unit was not observed.
    start
        First treated period, ``NEVER`` for none, shape (n,).
    periods
        Ascending, shape (T,).
    estimate
        The estimator.
    rule
        Which placebos; None for the defaults.
    clusters
        Codes 0 .. C - 1 of what is assigned together, shape (n,); None for units.

    Returns
    -------
    PlaceboStarts

    Raises
    ------
    ValueError
        There are too few periods before the first start, or nobody starts.
    AssignmentError
        With ``draws``: starts differ within a cluster, or do not differ at all.

    References
    ----------
    Bertrand, M., Duflo, E. and Mullainathan, S. (2004). How much should we trust differences-in-differences estimates?
    Quarterly Journal of Economics 119. doi:10.1162/003355304772839588

    Examples
    --------
    >>> y = np.array([[1.0, 2, 4, 9], [0, 1, 1, 2], [0, 0, 0, 1]])
    >>> def change(y, start, periods):
    ...     late = periods >= start.min()
    ...     moved = y[:, late].mean(axis=1) - y[:, ~late].mean(axis=1)
    ...     return moved[start < NEVER].mean() - moved[start == NEVER].mean()
    >>> found = placebo_starts(y, np.array([4, NEVER, NEVER]), np.array([1, 2, 3, 4]), change)
    >>> found.first.tolist(), found.estimates.tolist()
    ([2, 3], [1.5, 2.25])
    """
    rule = rule or PlaceboRule()
    codes = np.arange(start.size) if clusters is None else clusters
    moved = _moved(start, periods, rule)
    calm = periods[periods + rule.anticipation < int(start.min())]
    found, first, own, failed = [], [], [], 0
    for pattern in moved:
        for k, row in enumerate(_dealt(pattern, codes, rule)):
            value = _attempt(estimate, outcome[:, : calm.size], row, calm)
            if np.isfinite(value):
                found.append(value)
                first.append(int(pattern.min()))
                own.append(k == 0)
            else:
                failed += 1
    estimates = np.array(found, dtype=np.float64)
    spread = float(estimates.std(ddof=1)) if estimates.size > 1 else float("nan")
    return PlaceboStarts(estimates, np.array(first, dtype=np.int64), np.array(own, dtype=np.bool_), failed, spread)


def _moved(start: IntArray, periods: IntArray, rule: PlaceboRule) -> list[IntArray]:
    """Return the starts moved back so that the first is at each place there is room for."""
    if int(start.min()) == NEVER or int(start.min()) > int(periods[-1]):
        raise ValueError("nobody starts")
    calm = periods[periods + rule.anticipation < int(start.min())]
    places = range(max(rule.fewest_before, 1), calm.size - max(rule.fewest_after, 1) + 1)
    if len(places) == 0:
        raise ValueError("there are too few periods before the first start")
    place = np.searchsorted(periods, start)
    treated = start <= int(periods[-1])
    found = []
    for first in places:
        to = place - int(place.min()) + first
        found.append(np.where(treated & (to < calm.size), calm[np.minimum(to, calm.size - 1)], NEVER).astype(np.int64))
    return found


def _dealt(pattern: IntArray, codes: IntArray, rule: PlaceboRule) -> list[IntArray]:
    if rule.draws == 0:
        return [pattern]
    table = assignments(pattern, codes, rule.draws, rule.seed)
    return [table.cohorts[row][codes] for row in table.codes]


def _attempt(estimate: Estimator, outcome: FloatArray, start: IntArray, periods: IntArray) -> float:
    try:
        return float(estimate(outcome, start, periods))
    except ValueError:
        return float("nan")


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """Power of a test whose critical value comes from placebos.

    Attributes
    ----------
    effects, power
        True effects, and the share of placebos that would be rejected with each added, shape (e,).
    critical
        Absolute estimate from which the test rejects.
    detectable
        Smallest effect detected with the power asked for, whichever its sign; infinite where the placebos are too few
        to reject anything at the level.
    """

    effects: FloatArray
    power: FloatArray
    critical: float
    detectable: float


def power_curve(placebos: FloatArray, effects: FloatArray, *, alpha: float = 0.05, power: float = 0.8) -> PowerCurve:
    r"""Return how often placebo estimates with an effect added reach the critical value.

    The critical value c is the smallest with :math:`(1 + \#\{|p_b| \ge c\}) / (B + 1) \le \alpha`. The estimator must
    move by :math:`\delta` where the effect is :math:`\delta` everywhere, as weighted averages of treated cells do; then
    power is the share of :math:`|p_b + \delta| \ge c`.

    Parameters
    ----------
    placebos
        Shape (B,).
    effects
        Shape (e,).
    alpha
        Level of the two-sided test.
    power
        For the detectable effect.

    Returns
    -------
    PowerCurve

    Raises
    ------
    ValueError
        There are no placebos.

    References
    ----------
    Black, B., Hollingsworth, A., Nunes, L. and Simon, K. (2022). Simulated power analyses for observational studies: an
    application to the Affordable Care Act Medicaid expansion. Journal of Public Economics 213.
    doi:10.1016/j.jpubeco.2022.104713

    Examples
    --------
    >>> placebos = np.random.default_rng(1).normal(size=100_000)
    >>> found = power_curve(placebos, np.array([0.0, 2.8016]))
    >>> found.power.round(2).tolist(), round(found.detectable, 1)
    ([0.05, 0.8], 2.8)
    """
    p = np.sort(np.asarray(placebos, dtype=np.float64))
    if p.size == 0:
        raise ValueError("there are no placebos")
    effects = np.asarray(effects, dtype=np.float64)
    allowed = int(np.floor(alpha * (p.size + 1) - 1 + 1e-9))
    if allowed < 0:
        return PowerCurve(effects, np.zeros(effects.size), float("inf"), float("inf"))
    size = np.sort(np.abs(p))
    # Just above the largest placebo that must not be rejected.
    critical = float(np.nextafter(size[p.size - 1 - allowed], np.inf)) if allowed < p.size else 0.0
    reached = np.searchsorted(p, critical - effects, side="left"), np.searchsorted(p, -critical - effects, side="right")
    share = (p.size - reached[0] + reached[1]) / p.size
    needed = int(np.ceil(power * p.size - 1e-9))
    detectable = max(critical - p[p.size - needed], critical + p[needed - 1], 0.0) if needed > 0 else 0.0
    return PowerCurve(effects, share, critical, float(detectable))


def _quantile(level: float, df: float) -> float:
    return float(special.ndtri(level) if np.isinf(df) else special.stdtrit(df, level))


def _check(std_error: float, df: float, alpha: float, power: float) -> None:
    if not (std_error > 0 and df > 0 and 0 < alpha < 1 and 0 < power < 1):
        raise ValueError("error and degrees of freedom must be above zero, level and power between zero and one")
