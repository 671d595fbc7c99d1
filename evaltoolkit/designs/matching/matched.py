"""``Matched``: how people were made comparable, the one thing that every method returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.pairing import Pairs
from evaltoolkit.kernels.score_weights import EstimatedWeights

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a method says of its own work: a label and a number that is no count of people."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Matched:
    """The comparable sample of n people.

    Attributes
    ----------
    weights
        Final weights for the estimand, shape (n,); 0 for those who are not used. For ATT every treated person who is
        used has weight 1 and the weights of comparison people have mean 1 where they are above zero.
    focal
        Whose effect is estimated (the treated for ATT, the others for ATC, everybody else), shape (n,).
    sets
        Code of the pair, matched set or stratum, -1 for those who are not used, shape (n,); None where people stand in
        several sets or are weighted only.
    pairs
        Pairs of row numbers where there are pairs; None elsewhere.
    line
        What was matched on where it is one number, shape (n,); None elsewhere.
    width
        Caliper in units of ``line``; None for none.
    total
        Sum of the distances of the solution where it was made small or can be compared; None elsewhere.
    discarded
        Who was left out before matching for want of common support, shape (n,); None where the rule was not used.
    facts
        What the method says of its own work.
    estimated
        The weights with what they were estimated from, where people are weighted; None where they are matched.
    """

    weights: FloatArray
    focal: Mask
    sets: IntArray | None = None
    pairs: Pairs | None = None
    line: FloatArray | None = None
    width: float | None = None
    total: float | None = None
    discarded: Mask | None = None
    facts: tuple[Fact, ...] = ()
    estimated: EstimatedWeights | None = None

    @property
    def used(self) -> Mask:
        """Who is in the matched sample, shape (n,)."""
        return self.weights > 0

    @property
    def n_sets(self) -> int:
        """Number of matched sets; of people where nobody stands in a set."""
        if self.sets is not None:
            return int(np.count_nonzero(np.bincount(self.sets[self.sets >= 0])))
        if self.pairs is not None:
            return self.pairs.n_focal
        return int(self.used.sum())

    @property
    def complete(self) -> bool:
        """Whether everybody whose effect is asked for is in the matched sample."""
        return not (self.focal & ~self.used).any()


def sets_of(pairs: Pairs, n: int) -> IntArray:
    """Return the set of each person from pairs in which nobody is reused: the row of the focal person, else -1.

    >>> sets_of(Pairs(np.array([0, 0]), np.array([3, 2]), np.array([0.5, 0.5])), 5).tolist()
    [0, -1, 0, 0, -1]
    """
    found = np.full(n, -1, dtype=np.int64)
    found[pairs.match] = pairs.focal
    found[pairs.focal] = pairs.focal
    return found
