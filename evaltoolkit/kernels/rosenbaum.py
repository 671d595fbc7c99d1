"""Rosenbaum bounds: how strong a hidden difference would have to be to change what matched pairs say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import brentq
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]
Direction = Literal["greater", "less"]

EXACT_UP_TO: Final = 50
"""Pairs up to which the distribution of the signed-rank statistic is listed rather than taken as normal."""
GAMMA_MAX: Final = 1e6
"""Largest odds ratio of hidden bias that is looked at."""


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Wilcoxon's signed-rank statistic of pair differences, zeros left out.

    Attributes
    ----------
    statistic
        Sum of the ranks of positive differences (ties share their mean rank).
    ranks
        Ranks of the absolute differences that are not zero, shape (m,).
    zeros
        Differences of zero, left out before ranking (Wilcoxon's rule).
    """

    statistic: float
    ranks: FloatArray
    zeros: int


def signed_rank(differences: FloatArray) -> SignedRank:
    """Rank pair differences (treated less comparison).

    References
    ----------
    Wilcoxon, F. (1945). Individual comparisons by ranking methods. Biometrics Bulletin 1. doi:10.2307/3001968

    Examples
    --------
    >>> found = signed_rank(np.array([3.0, -1, 0, 2]))
    >>> found.statistic, found.zeros
    (5.0, 1)
    """
    kept = differences[differences != 0]
    ranks = np.asarray(rankdata(np.abs(kept)), dtype=np.float64)
    return SignedRank(float(ranks[kept > 0].sum()), ranks, int(differences.size - kept.size))


def signed_rank_bound(found: SignedRank, gamma: float = 1.0, direction: Direction = "greater") -> float:
    r"""Return the largest one-sided p-value that a hidden bias of odds ratio :math:`\Gamma` allows.

    Each sign is positive with probability at most :math:`\bar p = \Gamma/(1+\Gamma)`. Up to 50 pairs the bounding
    distribution is listed exactly; above, :math:`(T - \bar p \sum r)/\sqrt{\bar p (1-\bar p) \sum r^2}` is normal,
    without a continuity correction.

    Parameters
    ----------
    found
        From ``signed_rank``.
    gamma
        Odds ratio of hidden bias, at least 1; below 1 gives the smallest p-value that a bias of 1/gamma allows.
    direction
        Alternative: treated higher, or lower.

    References
    ----------
    Rosenbaum, P. (2002). Observational Studies, 2nd ed., section 4.3. doi:10.1007/978-1-4757-3692-2

    Examples
    --------
    Three positive differences out of three: one of eight sign patterns, then (2/3)^3.

    >>> found = signed_rank(np.array([1.0, 2, 3]))
    >>> signed_rank_bound(found), round(signed_rank_bound(found, 2.0), 6)
    (0.125, 0.296296)
    """
    if found.ranks.size == 0:
        return 1.0
    share = gamma / (1 + gamma)
    total = float(found.ranks.sum())
    statistic = found.statistic if direction == "greater" else total - found.statistic
    if found.ranks.size <= EXACT_UP_TO:
        return _listed_tail(found.ranks, share, statistic)
    spread = np.sqrt(share * (1 - share) * float(found.ranks @ found.ranks))
    return float(special.ndtr(-(statistic - share * total) / spread))


def _listed_tail(ranks: FloatArray, share: float, statistic: float) -> float:
    # Mean ranks are halves: twice the ranks are whole numbers.
    twice = np.rint(2 * ranks).astype(np.int64)
    chance = np.zeros(int(twice.sum()) + 1)
    chance[0] = 1.0
    for step in twice.tolist():
        moved = np.zeros_like(chance)
        moved[step:] = chance[: chance.size - step]
        chance = (1 - share) * chance + share * moved
    return float(min(chance[round(2 * statistic) :].sum(), 1.0))


def sign_bound(more: int, less: int, gamma: float = 1.0) -> float:
    r"""Return the largest one-sided p-value of the sign test, which for yes/no outcomes is McNemar's.

    :math:`P(B \ge b)` with :math:`B \sim Bin(b + c,\ \Gamma/(1+\Gamma))`: b pairs in which only the treated (for yes/no
    outcomes), or the treated more (for others), c the other way round. (R ``rbounds::binarysens`` 2.2 gives
    :math:`P(B > b)`, which is too small.)

    Parameters
    ----------
    more, less
        b and c.
    gamma
        Odds ratio of hidden bias; below 1 gives the smallest p-value.

    References
    ----------
    Rosenbaum (2002), section 4.3.2. doi:10.1007/978-1-4757-3692-2

    Examples
    --------
    >>> round(sign_bound(37, 35), 6), round(sign_bound(37, 35, 2.0), 6)
    (0.453147, 0.997472)
    """
    if more + less == 0:
        return 1.0
    share = gamma / (1 + gamma)
    return float(special.bdtrc(more - 1, more + less, share)) if more > 0 else 1.0


def crossing(bound: Callable[[float], float], alpha: float) -> float:
    r"""Return the :math:`\Gamma` at which an increasing bound on a p-value reaches alpha.

    1 where the p-value without hidden bias is above alpha already; infinite where no bias up to a million reaches it.

    Parameters
    ----------
    bound
        p-value as a function of gamma.
    alpha
        Threshold.

    References
    ----------
    Rosenbaum, P. (2005). Sensitivity analysis in observational studies. Encyclopedia of Statistics in Behavioral
    Science. doi:10.1002/0470013192.bsa606

    Examples
    --------
    >>> found = signed_rank(np.arange(1.0, 11))
    >>> round(crossing(lambda g: signed_rank_bound(found, g), 0.05), 4)
    2.863
    """
    if bound(1.0) >= alpha:
        return 1.0
    if bound(GAMMA_MAX) < alpha:
        return float("inf")
    root = brentq(lambda t: bound(float(np.exp(t))) - alpha, 0.0, np.log(GAMMA_MAX), xtol=1e-13)
    return float(np.exp(root))
