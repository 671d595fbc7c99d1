"""Exact inference on a change of level in a series of few events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, signal, special

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_EVENTS: Final = 400
"""Beyond this many events in all the exact law is slow and the approximate ones are good."""

_FAR: Final = 60.0


@dataclass(frozen=True, slots=True)
class ExactLevel:
    """The law of the number of events after a start, given the total and the sum of their times.

    Attributes
    ----------
    support
        Numbers of events after the start that are possible, shape (m,).
    log_weights
        Log of their probability up to a constant where nothing changed, shape (m,).
    observed
        What was seen.
    """

    support: IntArray
    log_weights: FloatArray
    observed: int

    def p_value(self, log_ratio: float = 0.0) -> float:
        """Return twice the smaller tail at a log ratio, at most one."""
        return min(1.0, 2 * min(self._tail(log_ratio, upper=True), self._tail(log_ratio, upper=False)))

    def interval(self, level: float) -> tuple[float, float]:
        """Return the log ratios that neither tail rejects; infinite where nothing bounds them."""
        tail = (1 - level) / 2
        low = -np.inf if self.observed == self.support[0] else self._root(tail, upper=True)
        high = np.inf if self.observed == self.support[-1] else self._root(tail, upper=False)
        return low, high

    def estimate(self) -> float:
        """Return the conditional maximum-likelihood estimate of the log ratio; infinite at an end of the support."""
        if self.observed in {int(self.support[0]), int(self.support[-1])}:
            return -np.inf if self.observed == self.support[0] else np.inf

        def _off(log_ratio: float) -> float:
            return float(self._probabilities(log_ratio) @ self.support) - self.observed

        return float(optimize.brentq(_off, -_FAR, _FAR, xtol=1e-12))

    def _probabilities(self, log_ratio: float) -> FloatArray:
        log = self.log_weights + log_ratio * self.support
        return np.asarray(np.exp(log - special.logsumexp(log)))

    def _tail(self, log_ratio: float, *, upper: bool) -> float:
        inside = self.support >= self.observed if upper else self.support <= self.observed
        return float(self._probabilities(log_ratio)[inside].sum())

    def _root(self, tail: float, *, upper: bool) -> float:
        return float(optimize.brentq(lambda b: self._tail(b, upper=upper) - tail, -_FAR, _FAR, xtol=1e-12))


def exact_level(counts: IntArray, times: IntArray, after: NDArray[np.bool_], exposure: FloatArray) -> ExactLevel:
    r"""Condition on what a Poisson model with intercept and trend cannot tell from chance.

    With :math:`\mu_t = e_t \exp(\alpha + \beta t + \delta\,1[\text{after}])`, the total :math:`N = \sum y_t` and
    :math:`S = \sum t\, y_t` are sufficient for :math:`\alpha, \beta`. Given both, the number after the start is a with
    probability

    .. math:: P(a) \propto e^{\delta a} \binom{N}{a} [w^S]\, p_0(w)^{N-a} p_1(w)^a, \qquad p(w) = \sum_t e_t w^t

    the sums over periods before (0) and after (1), and [.] taking a coefficient. Nothing is approximated: intervals
    hold at least their level whatever the trend, for events that are independent.

    Parameters
    ----------
    counts
        Whole numbers of zero or more, shape (n,).
    times
        Period of each, whole numbers, shape (n,).
    after
        Periods with the program, shape (n,).
    exposure
        Population at risk, above zero, shape (n,).

    Returns
    -------
    ExactLevel

    Raises
    ------
    ValueError
        More than ``MOST_EVENTS`` events.

    References
    ----------
    Agresti, A. (1992). A survey of exact inference for contingency tables. Statistical Science 7.
    doi:10.1214/ss/1177011454

    Examples
    --------
    >>> y, t = np.array([1, 0, 0, 1, 1, 0, 2, 3, 1, 2]), np.arange(10)
    >>> law = exact_level(y, t, t >= 6, np.ones(10))
    >>> law.observed, law.support.tolist(), round(law.p_value(), 3)
    (8, [3, 4, 5, 6, 7, 8, 9, 10, 11], 0.447)
    """
    total = int(counts.sum())
    if total > MOST_EVENTS:
        raise ValueError(f"{total:,} events")
    t = (times - times.min()).astype(np.int64)
    moment = int(counts @ t)
    chance = exposure / exposure.sum()
    before, later = (_powers(t[side], chance[side], total, moment) for side in (~after, after))
    support = np.arange(total + 1)
    log = np.full(total + 1, -np.inf)
    with np.errstate(divide="ignore"):
        for a in support.tolist():
            value = float(before[total - a] @ later[a][::-1])
            log[a] = (
                special.gammaln(total + 1) - special.gammaln(a + 1) - special.gammaln(total - a + 1) + np.log(value)
            )
    possible = np.isfinite(log)
    return ExactLevel(support[possible], log[possible], int(counts[after].sum()))


def _powers(t: IntArray, chance: FloatArray, most: int, moment: int) -> list[FloatArray]:
    """Return the coefficients of 0 to ``moment`` of every power of a polynomial."""
    one = np.zeros(int(t.max()) + 1)
    np.add.at(one, t, chance)
    power = np.zeros(moment + 1)
    power[0] = 1.0
    found = [power]
    for _ in range(most):
        power = signal.oaconvolve(power, one)[: moment + 1] if moment > 4096 else np.convolve(power, one)[: moment + 1]
        found.append(power)
    return found
