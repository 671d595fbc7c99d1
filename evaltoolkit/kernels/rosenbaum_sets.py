"""Rosenbaum bounds for matched sets with several people on one side: aligned ranks, separable approximation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.stats import rankdata

from evaltoolkit.kernels.rosenbaum import Direction

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MatchedSets:
    """Sets with one person on one side, the lone one, and any number on the other; rows in order of sets.

    Attributes
    ----------
    outcome
        Shape (n,).
    lone
        Who is alone on a side in the set, shape (n,); of a pair, the treated one.
    treated
        Whether a set's lone person is treated, shape (s,).
    edges
        Rows of set i are ``edges[i]`` to ``edges[i + 1]``, shape (s + 1,).
    """

    outcome: FloatArray
    lone: Mask
    treated: Mask
    edges: IntArray

    @classmethod
    def of(cls, outcome: FloatArray, treated: Mask, sets: IntArray) -> MatchedSets | None:
        """Arrange people by set; None where a set has several people on both sides.

        Sets without people on both sides say nothing and are left out.

        Examples
        --------
        >>> t = np.array([True, False, False])
        >>> MatchedSets.of(np.array([3.0, 1, 2]), t, np.zeros(3, dtype=np.int64)).lone.tolist()
        [True, False, False]
        """
        _, code = np.unique(sets, return_inverse=True)
        n_treated = np.bincount(code, weights=treated)
        n_other = np.bincount(code) - n_treated
        says = (n_treated > 0) & (n_other > 0)
        if not says.any() or (np.minimum(n_treated, n_other)[says] > 1).any():
            return None
        rows = np.flatnonzero(says[code])
        rows = rows[np.argsort(code[rows], kind="stable")]
        of_treated = n_treated == 1
        lone = treated[rows] == of_treated[code[rows]]
        changes = np.flatnonzero(np.diff(code[rows])) + 1
        edges = np.concatenate([[0], changes, [rows.size]]).astype(np.int64)
        return cls(outcome[rows], lone, of_treated[code[rows][edges[:-1]]], edges)


@dataclass(frozen=True, slots=True)
class AlignedRanks:
    """Ranks of outcomes less their set's mean, lowest rank 1 over all sets, ties sharing their mean.

    Attributes
    ----------
    ranks
        Shape (n,), ascending within sets.
    statistic
        Sum over sets of the lone person's rank, those of lone comparison people counted negative.
    treated, edges
        As in ``MatchedSets``.
    """

    ranks: FloatArray
    statistic: float
    treated: Mask
    edges: IntArray


def aligned_ranks(sets: MatchedSets) -> AlignedRanks:
    """Rank outcomes after taking out the mean of each set.

    References
    ----------
    Hodges, J. and Lehmann, E. (1962). Rank methods for combination of independent experiments in analysis of variance.
    Annals of Mathematical Statistics 33. doi:10.1214/aoms/1177704575

    Examples
    --------
    >>> t = np.array([True, False, False])
    >>> found = aligned_ranks(MatchedSets.of(np.array([3.0, 1, 2]), t, np.zeros(3, dtype=np.int64)))
    >>> found.statistic, found.ranks.tolist()
    (3.0, [1.0, 2.0, 3.0])
    """
    size = np.diff(sets.edges)
    code = np.repeat(np.arange(size.size), size)
    ranks = np.asarray(
        rankdata(sets.outcome - (np.bincount(code, weights=sets.outcome) / size)[code]), dtype=np.float64
    )
    sign = np.where(sets.treated, 1.0, -1.0)
    statistic = float((sign[code] * ranks)[sets.lone].sum())
    order = np.lexsort((ranks, code))
    return AlignedRanks(ranks[order], statistic, sets.treated, sets.edges)


def aligned_rank_bound(found: AlignedRanks, gamma: float = 1.0, direction: Direction = "greater") -> float:
    r"""Return the largest one-sided p-value that a hidden bias of odds ratio :math:`\Gamma` allows.

    In a set of m people with scores :math:`q_1 \le \dots \le q_m`, the lone person has score
    :math:`q_j` with chances :math:`\propto (1, .., 1, \Gamma, .., \Gamma)`, the last :math:`m - a` favoured. The a with
    the largest expectation, and among these the largest variance, bounds the set; sums over sets are normal. Where the
    lone person is a comparison person, scores and signs change places.

    Parameters
    ----------
    found
        From ``aligned_ranks``.
    gamma
        Odds ratio of hidden bias, at least 1.
    direction
        Alternative: treated higher, or lower.

    References
    ----------
    Gastwirth, J., Krieger, A. and Rosenbaum, P. (2000). Asymptotic separability in sensitivity analysis. Journal of the
    Royal Statistical Society B 62. doi:10.1111/1467-9868.00249

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> t = np.tile([True, False, False], 40)
    >>> sets = MatchedSets.of(rng.normal(size=120) + t, t, np.repeat(np.arange(40), 3))
    >>> aligned_rank_bound(aligned_ranks(sets)) < aligned_rank_bound(aligned_ranks(sets), 2.0)
    True
    """
    toward = 1.0 if direction == "greater" else -1.0
    expectation, variance = 0.0, 0.0
    size = np.diff(found.edges)
    for m in np.unique(size).tolist():
        first = found.edges[:-1][size == m]
        scores = found.ranks[first[:, None] + np.arange(m)]
        sign = toward * np.where(found.treated[size == m], 1.0, -1.0)
        mean, spread = _extreme(np.sort(sign[:, None] * scores, axis=1), gamma)
        expectation += float(mean.sum())
        variance += float(spread.sum())
    if variance <= 0:
        return 1.0
    return float(special.ndtr(-(toward * found.statistic - expectation) / np.sqrt(variance)))


def _extreme(scores: FloatArray, gamma: float) -> tuple[FloatArray, FloatArray]:
    """Return the largest expectation of each row of ascending scores and the variance that goes with it."""
    m = scores.shape[1]
    best, spread = np.full(scores.shape[0], -np.inf), np.zeros(scores.shape[0])
    for a in range(1, m):
        weight = np.concatenate([np.ones(a), np.full(m - a, gamma)])
        weight /= weight.sum()
        mean = scores @ weight
        variance = scores**2 @ weight - mean**2
        slack = 1e-12 * (1 + np.abs(best, where=np.isfinite(best), out=np.zeros_like(best)))
        better = mean > best + slack
        same = np.abs(mean - best) <= slack
        spread = np.where(better, variance, np.where(same, np.maximum(spread, variance), spread))
        best = np.maximum(best, mean)
    return best, spread
