"""Effects as ratios: risk, odds and rates, from the two adjusted means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from evaltoolkit.designs.matching.effects import Effect

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio with the delta-method error of its logarithm.

    Attributes
    ----------
    estimate, low, high
        The ratio and its interval.
    std_error
        Of the ratio itself: the ratio times the error of its logarithm.
    log_error
        Of the logarithm.
    p_value
        Against a ratio of 1.
    """

    estimate: float
    low: float
    high: float
    std_error: float
    log_error: float
    p_value: float


def ratio_of_means(effect: Effect, level: float) -> Ratio | None:
    """Return the risk ratio or rate ratio; None where a mean is not above zero."""
    if effect.means.min() <= 0:
        return None
    return _ratio(effect, level, np.log, lambda m: 1 / m)


def odds_ratio(effect: Effect, level: float) -> Ratio | None:
    """Return the odds ratio; None where a mean is not strictly between 0 and 1."""
    if effect.means.min() <= 0 or effect.means.max() >= 1:
        return None
    return _ratio(effect, level, lambda m: np.log(m / (1 - m)), lambda m: 1 / (m * (1 - m)))


def _ratio(
    effect: Effect, level: float, link: Callable[[FloatArray], FloatArray], slope: Callable[[FloatArray], FloatArray]
) -> Ratio | None:
    if effect.covariance is None:
        return None
    ends = link(effect.means)
    log_ratio = float(ends[1] - ends[0])
    direction = np.array([-1.0, 1.0]) * slope(effect.means)
    error = float(np.sqrt(max(float(direction @ effect.covariance @ direction), 0.0)))
    reach = effect.reach(level) * error
    p = float(2 * stats.t.sf(abs(log_ratio) / error, effect.df)) if error > 0 else float(log_ratio == 0)
    low, middle, high = (float(np.exp(v)) for v in (log_ratio - reach, log_ratio, log_ratio + reach))
    return Ratio(middle, low, high, middle * error, error, p)
