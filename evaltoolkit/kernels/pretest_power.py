"""What a test of pre-trends can see, and what is left in the estimates after passing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

POINTS: Final = 1 << 14
"""Lattice points of an integral."""


@dataclass(frozen=True, slots=True)
class Pretest:
    """An event study and its pre-test.

    Attributes
    ----------
    estimates
        Shape (m,).
    covariance
        Shape (m, m).
    event_times
        Shape (m,); those before ``reference`` are tested, those after it have an effect.
    reference
        Event time without an estimate, to which the others refer.
    critical
        Absolute t from which a pre-period estimate counts as significant (R ``pretrends``: 1.96).
    """

    estimates: FloatArray
    covariance: FloatArray
    event_times: FloatArray
    reference: float = -1.0
    critical: float = 1.959963984540054

    @property
    def before(self) -> Mask:
        """Which estimates are tested: before the reference, with variance."""
        early: Mask = (self.event_times < self.reference) & (np.diag(self.covariance) > 0)
        return early

    @property
    def after(self) -> Mask:
        """Which estimates lie after the reference."""
        late: Mask = self.event_times > self.reference
        return late


@dataclass(frozen=True, slots=True)
class TrendMissed:
    """What happens under a hypothesised difference in trends.

    Attributes
    ----------
    trend
        The difference at the event times after the reference, which is the bias of the estimates there, shape (p,).
    event_times
        These event times, shape (p,).
    power
        Chance that some pre-period estimate is significant.
    conditional_bias
        Bias of the later estimates in studies that pass the pre-test, shape (p,).
    conditional_before
        Mean of the pre-period estimates in such studies, shape (q,).
    false_finding
        Chance that a later estimate is significant in such studies, though there is no effect, shape (p,).
    bayes_factor
        Chance of passing under the trend over that under parallel trends: near one, passing says nothing.
    likelihood_ratio
        Of the pre-period estimates found: trend over parallel trends.
    """

    trend: FloatArray
    event_times: FloatArray
    power: float
    conditional_bias: FloatArray
    conditional_before: FloatArray
    false_finding: FloatArray
    bayes_factor: float
    likelihood_ratio: float


def slope_detected(pretest: Pretest, power: float = 0.5) -> float:
    r"""Return the slope :math:`\gamma` of a linear trend :math:`\gamma (t - r)` that the pre-test detects that often.

    A trend this steep goes unseen with the chance 1 - ``power``.

    Parameters
    ----------
    pretest
        The event study.
    power
        Chance of detection, above that of a false alarm.

    Returns
    -------
    float
        Above zero; a falling trend is detected as often.

    Raises
    ------
    ValueError
        No estimate lies before the reference, or the test rejects parallel trends that often already.

    References
    ----------
    Roth, J. (2022). Pretest with caution: event-study estimates after testing for parallel trends. American Economic
    Review: Insights 4. doi:10.1257/aeri.20210236

    Examples
    --------
    One pre-period with standard error 1: power is one half where the trend is about 1.96.

    >>> one = Pretest(np.zeros(2), np.eye(2), np.array([-2.0, 0.0]))
    >>> round(slope_detected(one), 3)
    1.96
    """
    box = _box(pretest)
    times = pretest.event_times[pretest.before] - pretest.reference

    def _missing(slope: float) -> float:
        return 1 - _inside(slope * times, *box)[0] - power

    if _missing(0.0) >= 0:
        raise ValueError("the pre-test rejects parallel trends as often as that")
    # A slope at which the estimate with the largest share of it is significant almost surely.
    high = float(((pretest.critical + 8) * box[1] / pretest.critical / np.abs(times)).min())
    return float(optimize.brentq(_missing, 0.0, high, xtol=1e-10 * high))


def trend_missed(pretest: Pretest, difference: FloatArray) -> TrendMissed:
    r"""Return power against a difference in trends and the bias that is left in studies that pass.

    With :math:`B` the event that all :math:`|\hat\beta_{pre,j}| \le c \, \sigma_j` and
    :math:`\hat\beta \sim N(\delta, V)`,

    .. math:: E[\hat\beta_{post} - \tau \mid B] = \delta_{post}
        + V_{post,pre} V_{pre}^{-1} (E[\hat\beta_{pre} \mid B] - \delta_{pre}).

    Integrals are sums over 16,384 points of a fixed lattice (Genz), good to about 2e-5 for a few pre-periods and the
    same whenever they are asked for.

    Parameters
    ----------
    pretest
        The event study.
    difference
        :math:`\delta`, the difference in trends at every event time, zero at the reference, shape (m,).

    Returns
    -------
    TrendMissed

    Raises
    ------
    ValueError
        No estimate lies before the reference.

    References
    ----------
    Roth, J. (2022). Pretest with caution: event-study estimates after testing for parallel trends. American Economic
    Review: Insights 4. doi:10.1257/aeri.20210236
    Genz, A. (1992). Numerical computation of multivariate normal probabilities. Journal of Computational and Graphical
    Statistics 1. doi:10.1080/10618600.1992.10477010

    Examples
    --------
    Uncorrelated estimates: passing changes nothing later.

    >>> one = Pretest(np.zeros(2), np.eye(2), np.array([-2.0, 0.0]))
    >>> found = trend_missed(one, np.array([-1.96, 1.96]))
    >>> round(found.power, 3), found.conditional_bias.round(3).tolist(), found.conditional_before.round(3).tolist()
    (0.5, [1.96], [-1.162])
    """
    before, after = pretest.before, pretest.after
    root, edge = _box(pretest)
    delta = np.asarray(difference, dtype=np.float64)
    inside, weight, draws = _inside(delta[before], root, edge)
    flat = _inside(np.zeros(int(before.sum())), root, edge)[0]
    with np.errstate(invalid="ignore"):
        share = weight / weight.sum()
    middle = share @ draws
    V = pretest.covariance
    carried = np.linalg.solve(root @ root.T, V[np.ix_(before, after)]).T
    later = delta[after] + (draws - delta[before]) @ carried.T
    spread = np.sqrt(np.clip(np.diag(V)[after] - np.einsum("pq,pq->p", carried, V[np.ix_(after, before)]), 0, None))
    reach = pretest.critical * np.sqrt(np.diag(V)[after])
    with np.errstate(divide="ignore", invalid="ignore"):
        significant = special.ndtr((-reach - later) / spread) + special.ndtr((later - reach) / spread)
    apart, none = (
        np.linalg.solve(root, pretest.estimates[before] - d) for d in (delta[before], np.zeros(int(before.sum())))
    )
    return TrendMissed(
        trend=delta[after],
        event_times=pretest.event_times[after],
        power=1 - inside,
        conditional_bias=delta[after] + carried @ (middle - delta[before]),
        conditional_before=middle,
        false_finding=share @ significant,
        bayes_factor=inside / flat,
        likelihood_ratio=float(np.exp((none @ none - apart @ apart) / 2)),
    )


def linear(pretest: Pretest, slope: float) -> FloatArray:
    """Return a linear difference in trends at the event times, zero at the reference.

    Examples
    --------
    >>> linear(Pretest(np.zeros(2), np.eye(2), np.array([-3.0, 0.0])), 0.5).tolist()
    [-1.0, 0.5]
    """
    found: FloatArray = slope * (pretest.event_times - pretest.reference)
    return found


def joint_power(pretest: Pretest, difference: FloatArray, alpha: float = 0.05) -> float:
    r"""Return the chance that a Wald test of all pre-periods rejects under a difference in trends.

    :math:`P(\chi^2_q(\delta'V^{-1}\delta) > \chi^2_{q,1-\alpha})`.

    Parameters
    ----------
    pretest
        The event study.
    difference
        Shape (m,).
    alpha
        Level of the test.

    References
    ----------
    Roth (2022), doi:10.1257/aeri.20210236

    Examples
    --------
    >>> one = Pretest(np.zeros(2), np.eye(2), np.array([-2.0, 0.0]))
    >>> round(joint_power(one, np.zeros(2)), 6)
    0.05
    """
    root, _ = _box(pretest)
    z = np.linalg.solve(root, np.asarray(difference, dtype=np.float64)[pretest.before])
    q = int(pretest.before.sum())
    return 1 - float(special.chndtr(special.chdtri(q, alpha), q, float(z @ z)))


def _box(pretest: Pretest) -> tuple[FloatArray, FloatArray]:
    """Return a root of the pre-period covariance and the edges of what passes."""
    before = pretest.before
    if not before.any():
        raise ValueError("no estimate lies before the reference")
    V = pretest.covariance[np.ix_(before, before)]
    spread = np.sqrt(np.diag(V))
    # More pre-periods than clusters make a singular matrix; a trace of noise of its own keeps the root.
    correlation = V / np.outer(spread, spread)
    least = float(np.linalg.eigvalsh(correlation)[0])
    correlation = correlation + max(1e-9 - least, 0.0) * np.eye(spread.size)
    return spread[:, None] * np.linalg.cholesky(correlation), pretest.critical * spread


def _inside(mean: FloatArray, root: FloatArray, edge: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Return P(-edge <= x <= edge) for x ~ N(mean, root root'), and weighted points that have the law of x in there.

    One coordinate after the other is drawn within its limits given those before it; the weight of a point is the
    product of the chances passed.
    """
    q = mean.size
    u = _lattice(q)
    z, weight = np.zeros((u.shape[0], q)), np.ones(u.shape[0])
    for j in range(q):
        centre = mean[j] + z[:, :j] @ root[j, :j]
        low, high = (-edge[j] - centre) / root[j, j], (edge[j] - centre) / root[j, j]
        # The tail with fewer digits lost: intervals above zero are turned over.
        sign = np.where(low > 0, -1.0, 1.0)
        low, high = np.where(low > 0, -high, low), np.where(low > 0, -low, high)
        bottom, top = special.ndtr(low), special.ndtr(high)
        weight = weight * (top - bottom)
        z[:, j] = sign * np.clip(special.ndtri(bottom + u[:, j] * (top - bottom)), low, high)
    return float(weight.mean()), weight, mean + z @ root.T


def _lattice(q: int) -> FloatArray:
    """Return points spread evenly in the unit cube (Richtmyer's generator), folded so that sums converge faster."""
    primes = [p for p in range(2, 30 * (q + 2)) if all(p % d for d in range(2, int(p**0.5) + 1))][:q]
    at = (np.arange(1, POINTS + 1)[:, None] - 0.5) * np.sqrt(np.array(primes, dtype=np.float64))
    found: FloatArray = np.clip(np.abs(2 * (at % 1.0) - 1), 1e-12, 1 - 1e-12)
    return found
