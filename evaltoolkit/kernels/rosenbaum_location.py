"""Hodges-Lehmann estimates and intervals under hidden bias, found exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LocationBounds:
    """What additive effects pairs are compatible with under hidden bias of a given strength.

    Attributes
    ----------
    low, high
        Smallest and largest Hodges-Lehmann estimate; equal without hidden bias.
    conf_low, conf_high
        Ends of the interval that holds under every such bias; infinite where there are too few pairs.
    """

    low: float
    high: float
    conf_low: float
    conf_high: float


def location_bounds(differences: FloatArray, gamma: float = 1.0, level: float = 0.95) -> LocationBounds:
    r"""Bound the additive effect behind pair differences.

    At an effect :math:`\tau` the signed-rank statistic of :math:`d - \tau` is the number of Walsh averages
    :math:`(d_i + d_j)/2,\ i \le j`, above :math:`\tau`. It has expectation :math:`\bar p N` at most and
    :math:`(1-\bar p) N` at least, with :math:`N = m(m+1)/2` and :math:`\bar p = \Gamma/(1+\Gamma)`, and variance
    :math:`\bar p(1-\bar p) m(m+1)(2m+1)/6`. So each bound is an order statistic of the Walsh averages, and is found as
    such: nothing is searched on a grid, and the averages are never all held.

    Parameters
    ----------
    differences
        Treated less comparison, shape (m,).
    gamma
        Odds ratio of hidden bias, at least 1.
    level
        Confidence level (normal approximation, no continuity correction).

    Returns
    -------
    LocationBounds

    Raises
    ------
    ValueError
        There is no pair, or gamma is below 1.

    References
    ----------
    Hodges, J. and Lehmann, E. (1963). Estimates of location based on rank tests. Annals of Mathematical Statistics 34.
    doi:10.1214/aoms/1177704172
    Rosenbaum, P. (1993). Hodges-Lehmann point estimates of treatment effect in observational studies. Journal of the
    American Statistical Association 88. doi:10.1080/01621459.1993.10476405

    Examples
    --------
    >>> location_bounds(np.array([1.0, 2, 4])).low
    2.25
    >>> bounds = location_bounds(np.array([1.0, 2, 4]), gamma=2.0)
    >>> bounds.low, bounds.high
    (1.75, 2.75)
    """
    if differences.size == 0 or gamma < 1:
        raise ValueError("bounds need at least one pair and gamma of at least 1")
    d = _line(np.asarray(differences, dtype=np.float64))
    m = int(d.counts.sum())
    total = m * (m + 1) // 2
    share = gamma / (1 + gamma)
    reach = float(special.ndtri(0.5 + level / 2)) * float(np.sqrt(share * (1 - share) * m * (m + 1) * (2 * m + 1) / 6))
    return LocationBounds(
        low=_above(d, total, share * total),
        high=_above(d, total, (1 - share) * total),
        conf_low=_end(d, total, share * total + reach),
        conf_high=_end(d, total, (1 - share) * total - reach),
    )


def _above(d: _Line, total: int, wanted: float) -> float:
    """Return where the number of Walsh averages above passes ``wanted``; the middle where it stays there a while."""
    below = total - wanted
    whole = round(below)
    if abs(below - whole) < 1e-9 * total and 0 < whole < total:
        return (d.average(whole) + d.average(whole + 1)) / 2
    return d.average(min(max(int(np.floor(below)) + 1, 1), total))


def _end(d: _Line, total: int, wanted: float) -> float:
    """Return the effect at which the statistic is ``wanted``, infinite where it can never be."""
    if wanted > total:
        return float("-inf")
    if wanted < 0:
        return float("inf")
    return d.average(min(max(int(np.floor(total - wanted)) + 1, 1), total))


def walsh_average(d: FloatArray, k: int) -> float:
    r"""Return the k-th smallest of the averages :math:`(d_i + d_j)/2,\ i \le j`, in about O(m log m).

    Averages up to a value are counted with one sorted search; when the k-th is between two values with few averages
    between them, these are sorted, so that the answer is exact. Equal differences are counted together.

    Parameters
    ----------
    d
        Ascending, shape (m,).
    k
        From 1 to m(m+1)/2.

    Examples
    --------
    >>> [walsh_average(np.array([0.0, 1, 5]), k) for k in range(1, 7)]
    [0.0, 0.5, 1.0, 2.5, 3.0, 5.0]
    """
    return _line(d).average(k)


def _line(d: FloatArray) -> _Line:
    values, counts = np.unique(d, return_counts=True)
    return _Line(values, counts.astype(np.int64))


@dataclass(frozen=True, slots=True)
class _Line:
    """Distinct differences, ascending, and how often each occurs."""

    values: FloatArray
    counts: IntArray

    def partners(self, value: float) -> IntArray:
        """Return for each distinct difference how many from itself upward average to at most ``value`` with it."""
        reach = np.searchsorted(self.values, 2 * value - self.values, side="right")
        found: IntArray = np.maximum(reach - np.arange(self.values.size), 0)
        return found

    def count(self, value: float) -> int:
        """Return how many Walsh averages are at most ``value``."""
        upto = self.partners(value)
        total = np.concatenate([[0], np.cumsum(self.counts)])
        place = np.arange(self.values.size)
        others = total[place + upto] - total[place]
        # With itself, a value that occurs c times has c(c+1)/2 averages, not c^2.
        own = np.where(upto > 0, self.counts * (self.counts - 1) // 2, 0)
        return int((self.counts * others - own).sum())

    def average(self, k: int) -> float:
        """Return the k-th smallest Walsh average."""
        low, high = float(self.values[0]), float(self.values[-1])
        under, over = self.count(low) - k, self.count(high) - k
        if under >= 0:
            return low
        # Counts rise smoothly where there are many: false position, with the Illinois rule against standing still.
        down, up, last = float(under), float(over) + 0.5, 0
        few = 4 * self.values.size + 64
        while over - under > few and high - low > 1e-14 * max(abs(high), abs(low)):
            middle = low - down * (high - low) / (up - down)
            middle = middle if low < middle < high else low + (high - low) / 2
            if not low < middle < high:
                break
            here = self.count(middle) - k
            if here >= 0:
                high, over, up = middle, here, here + 0.5
                down = down / 2 if last > 0 else down
                last = 1
            else:
                low, under, down = middle, here, float(here)
                up = up / 2 if last < 0 else up
                last = -1
        return self.pick(low, high, k)

    def pick(self, low: float, high: float, k: int) -> float:
        """Return the k-th average, which is one of the few between two close values."""
        below, upto = self.partners(low), self.partners(high)
        rows = np.flatnonzero(upto > below)
        if rows.size == 0:
            return high
        partner = [np.arange(i + below[i], i + upto[i]) for i in rows.tolist()]
        first = np.repeat(rows, [p.size for p in partner])
        second = np.concatenate(partner)
        averages = (self.values[first] + self.values[second]) / 2
        c = self.counts
        often = np.where(first == second, c[first] * (c[first] + 1) // 2, c[first] * c[second])
        order = np.argsort(averages, kind="stable")
        place = int(np.searchsorted(np.cumsum(often[order]), k - self.count(low), side="left"))
        return float(averages[order][min(place, order.size - 1)])
