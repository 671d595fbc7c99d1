"""Which clusters could have started when: the observed starts dealt out anew."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Codes = NDArray[np.int16]


UNCOUNTED = 10**18
"""Assignments beyond which their number is not worked out."""


class AssignmentError(ValueError):
    """Starts cannot be reassigned: ``cohort-varies`` within a cluster, or there is a ``single-start``."""

    def __init__(self, why: Literal["cohort-varies", "single-start"]) -> None:
        self.why = why
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Assignments:
    """P ways to deal the observed starts out to the C clusters.

    Attributes
    ----------
    cohorts
        The J different starts, ascending, shape (J,).
    codes
        Index of the start of each cluster in each assignment, shape (P, C); the first row is the one observed.
    possible
        How many different assignments there are, ``UNCOUNTED`` for that many or more.
    exact
        Whether all of them are here, once each.
    """

    cohorts: IntArray
    codes: Codes
    possible: int
    exact: bool


def assignments(start: IntArray, clusters: IntArray, draws: int, seed: int) -> Assignments:
    r"""Deal the starts out to the clusters anew.

    There are :math:`C! / \prod_j C_j!` assignments. All are listed where that is at most ``draws`` + 1; otherwise
    ``draws`` random ones follow the one observed, which keeps tests valid (their level is at most the nominal one).

    Parameters
    ----------
    start
        Shape (n,).
    clusters
        Codes 0 .. C - 1, shape (n,).
    draws, seed
        Random assignments, and their seed.

    Returns
    -------
    Assignments

    Raises
    ------
    AssignmentError
        Units of a cluster start in different periods, or all clusters start together.

    References
    ----------
    Hemerik, J. and Goeman, J. (2018). Exact testing with random permutations. TEST 27. doi:10.1007/s11749-017-0571-1

    Examples
    --------
    >>> found = assignments(np.array([3, 9, 9]), np.arange(3), 99, 1)
    >>> found.possible, found.exact, found.codes.tolist()
    (3, True, [[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    """
    cohorts, code = np.unique(start, return_inverse=True)
    mine = np.zeros(int(clusters.max()) + 1, dtype=np.int16)
    mine[clusters] = code
    if (mine[clusters] != code).any():
        raise AssignmentError("cohort-varies")
    if cohorts.size < 2:
        raise AssignmentError("single-start")
    counts = np.bincount(mine, minlength=cohorts.size).tolist()
    possible = _possible(counts)
    if possible <= draws + 1:
        every = np.array(list(_dealt(counts, mine.size)), dtype=np.int16)
        here = (every == mine).all(axis=1)
        return Assignments(cohorts, np.concatenate([every[here], every[~here]]), possible, exact=True)
    rng = np.random.default_rng(seed)
    others = rng.permuted(np.broadcast_to(mine, (draws, mine.size)), axis=1)
    return Assignments(cohorts, np.concatenate([mine[None, :], others]), possible, exact=False)


def _possible(counts: list[int]) -> int:
    """Return the multinomial coefficient, or ``UNCOUNTED`` where it is larger.

    >>> _possible([1, 2]), _possible([40_000, 60_000]) == UNCOUNTED
    (3, True)
    """
    left, found = sum(counts), 1
    for n in sorted(counts)[:-1]:
        # The binomials alone take longer than all else where there are many clusters.
        if n and n * math.log(left / n) > math.log(UNCOUNTED):
            return UNCOUNTED
        found *= math.comb(left, n)
        left -= n
        if found > UNCOUNTED:
            return UNCOUNTED
    return found


def _dealt(counts: list[int], size: int) -> Iterator[list[int]]:
    """Yield every arrangement in which code j stands ``counts[j]`` times."""
    if len(counts) == 1:
        yield [0] * size
        return
    last = len(counts) - 1
    for left in _dealt(counts[:-1], size - counts[-1]):
        for places in itertools.combinations(range(size), size - counts[-1]):
            row = [last] * size
            for place, code in zip(places, left, strict=True):
                row[place] = code
            yield row
