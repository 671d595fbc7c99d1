"""Nearest-neighbour pairing on a scalar score, exactly as stated, in near-linear time."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Order = Literal["largest", "smallest", "data", "random", "closest"]
Ties = Literal["one", "all"]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rule:
    """How pairs are made.

    Attributes
    ----------
    ratio
        Matches asked for each focal unit.
    caliper
        Largest distance allowed, in units of the score (inclusive); None for none.
    replace
        Whether a unit may be the match of several focal units.
    order
        Which focal unit chooses first, where matches are not replaced. Ties keep data order.
    ties
        With replacement: ``one`` takes one of several equally near units, ``all`` takes all of them.
    seed
        Seed of the order ``random``.
    """

    ratio: int = 1
    caliper: float | None = None
    replace: bool = False
    order: Order = "largest"
    ties: Ties = "one"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs, one entry each, sorted by focal unit in data order and then in the order in which they were chosen.

    Attributes
    ----------
    focal, match
        Row of the focal unit and of its match, shape (p,).
    weight
        1 / (number of matches of the focal unit), shape (p,).
    """

    focal: IntArray
    match: IntArray
    weight: FloatArray

    @property
    def n_focal(self) -> int:
        """Number of focal units that have a match."""
        return int(np.unique(self.focal).size)


@dataclass(frozen=True, slots=True)
class _Line:
    """All units on the sorted line: slots in stable ascending order of (stratum, score)."""

    rows: IntArray
    slot_of: IntArray
    score: list[float]
    stratum: list[int]
    left: IntArray
    right: IntArray
    reach: float


def pair_nearest(score: FloatArray, focal: NDArray[np.bool_], rule: Rule, strata: IntArray | None = None) -> Pairs:
    r"""Pair each focal unit with its nearest units of the other group.

    All units stand on a line in stable ascending order of the score. A focal unit looks at the nearest free unit of
    the other group to its left and to its right and takes the left one where
    :math:`|s_i - s_l| \le |s_i - s_r|`, if it is within the caliper and the stratum. Without replacement units are
    found by two union-find arrays over the line; ``ratio`` is dealt in rounds, so that everybody gets a first match
    before anybody gets a second.

    Parameters
    ----------
    score
        Finite scores, shape (n,).
    focal
        True for the units that are to be matched (the treated, for the effect on the treated), shape (n,).
    rule
        How pairs are made.
    strata
        Codes that must agree within a pair, shape (n,); None for no strata.

    Returns
    -------
    Pairs

    Raises
    ------
    ValueError
        A score is not finite, or the ratio is below one.

    References
    ----------
    Ho, D., Imai, K., King, G. and Stuart, E. (2011). MatchIt: nonparametric preprocessing for parametric causal
    inference. Journal of Statistical Software 42(8). doi:10.18637/jss.v042.i08
    Tarjan, R. (1975). Efficiency of a good but not linear set union algorithm. Journal of the ACM 22.
    doi:10.1145/321879.321884

    Examples
    --------
    >>> score = np.array([0.9, 0.5, 0.45, 0.52, 0.1])
    >>> pairs = pair_nearest(score, np.array([True, True, False, False, False]), Rule())
    >>> pairs.focal.tolist(), pairs.match.tolist()
    ([0, 1], [3, 2])
    """
    score = np.asarray(score, dtype=np.float64)
    focal = np.asarray(focal, dtype=np.bool_)
    if not np.isfinite(score).all():
        raise ValueError("scores must be finite")
    if rule.ratio < 1:
        raise ValueError("ratio must be at least 1")
    codes = np.zeros(score.size, dtype=np.int64) if strata is None else np.asarray(strata, dtype=np.int64)
    if not focal.any() or focal.all():
        return _pairs([], [])
    line = _line(score, focal, codes, rule.caliper)
    if rule.replace:
        return _with_replacement(line, score, focal, codes, rule)
    return _without_replacement(line, score, focal, rule)


def matching_weights(pairs: Pairs, focal: NDArray[np.bool_]) -> FloatArray:
    r"""Return the weight of each unit in the matched sample.

    Matched focal units have weight 1. Unit :math:`j` of the other group has
    :math:`w_j \propto \sum_{i: j \in M(i)} 1/|M(i)|`, scaled so that the mean of the weights above zero is 1. Units
    outside the matched sample have weight 0.

    Parameters
    ----------
    pairs
        Pairs.
    focal
        True for focal units, shape (n,).

    Returns
    -------
    ndarray, shape (n,)

    References
    ----------
    Ho, D., Imai, K., King, G. and Stuart, E. (2011). doi:10.18637/jss.v042.i08

    Examples
    --------
    >>> focal = np.array([True, True, True, False, False])
    >>> pairs = Pairs(np.array([0, 1, 2]), np.array([3, 3, 4]), np.ones(3))
    >>> matching_weights(pairs, focal).round(3).tolist()
    [1.0, 1.0, 1.0, 1.333, 0.667]
    """
    weights = np.bincount(pairs.match, weights=pairs.weight, minlength=focal.size).astype(np.float64)
    used = weights > 0
    if used.any():
        weights *= used.sum() / weights.sum()
    weights[pairs.focal] = 1.0
    return weights


def _pairs(focal: list[int], match: list[int]) -> Pairs:
    who, partner = np.array(focal, dtype=np.int64), np.array(match, dtype=np.int64)
    by_focal = np.argsort(who, kind="stable")
    who, partner = who[by_focal], partner[by_focal]
    counts = np.bincount(who) if who.size else np.zeros(0, dtype=np.int64)
    weight = 1.0 / counts[who] if who.size else np.zeros(0, dtype=np.float64)
    return Pairs(who, partner, weight)


def _line(score: FloatArray, focal: NDArray[np.bool_], codes: IntArray, caliper: float | None) -> _Line:
    rows = np.lexsort((score, codes)).astype(np.int64)
    n = rows.size
    slot_of = np.empty(n, dtype=np.int64)
    slot_of[rows] = np.arange(n)
    free = ~focal[rows]
    left = np.maximum.accumulate(np.where(free, np.arange(n), -1))
    right = np.minimum.accumulate(np.where(free, np.arange(n), n)[::-1])[::-1]
    reach = np.inf if caliper is None else float(caliper)
    return _Line(rows, slot_of, score[rows].tolist(), codes[rows].tolist(), left, right, reach)


class _FreeUnits:
    """Free units on the line, found in near-constant time by union-find to the left and to the right."""

    __slots__ = ("_left", "_line", "_n", "_right")

    def __init__(self, line: _Line) -> None:
        self._line = line
        self._n = len(line.score)
        # One slot is added on either side, so that "none" has an address of its own.
        self._left: list[int] = [0, *(line.left + 1).tolist(), self._n + 1]
        self._right: list[int] = [0, *(line.right + 1).tolist(), self._n + 1]

    @staticmethod
    def _find(parent: list[int], place: int) -> int:
        root = place
        while parent[root] != root:
            root = parent[root]
        while parent[place] != root:
            parent[place], place = root, parent[place]
        return root

    def nearest(self, slot: int) -> tuple[float, int]:
        """Return the distance and the slot of the free unit that the unit at a slot would take; (inf, -1) if none."""
        line = self._line
        here, stratum = line.score[slot], line.stratum[slot]
        a = self._find(self._left, slot + 1) - 1
        b = self._find(self._right, slot + 1) - 1
        down = here - line.score[a] if a >= 0 and line.stratum[a] == stratum else np.inf
        up = line.score[b] - here if b < self._n and line.stratum[b] == stratum else np.inf
        distance, place = (down, a) if down <= up else (up, b)
        if distance == np.inf or distance > line.reach:
            return np.inf, -1
        return distance, place

    def take(self, slot: int) -> None:
        """Mark a unit as used."""
        self._left[slot + 1] = slot
        self._right[slot + 1] = slot + 2


def _without_replacement(line: _Line, score: FloatArray, focal: NDArray[np.bool_], rule: Rule) -> Pairs:
    free = _FreeUnits(line)
    waiting = _focal_order(score, focal, rule)
    chosen_by: list[int] = []
    chosen: list[int] = []
    one_round = _round_by_distance if rule.order == "closest" else _round_in_order
    for _ in range(rule.ratio):
        made = one_round(free, waiting, line)
        chosen_by += [who for who, _ in made]
        chosen += [partner for _, partner in made]
        got = {who for who, _ in made}
        waiting = [row for row in waiting if row in got]
    return _pairs(chosen_by, chosen)


def _focal_order(score: FloatArray, focal: NDArray[np.bool_], rule: Rule) -> list[int]:
    rows = np.flatnonzero(focal)
    if rule.order == "largest":
        rows = rows[np.argsort(-score[rows], kind="stable")]
    elif rule.order == "smallest":
        rows = rows[np.argsort(score[rows], kind="stable")]
    elif rule.order == "random":
        rows = np.random.default_rng(rule.seed).permutation(rows)
    result: list[int] = rows.tolist()
    return result


def _round_in_order(free: _FreeUnits, waiting: list[int], line: _Line) -> list[tuple[int, int]]:
    made = []
    slots, rows = line.slot_of[waiting].tolist(), line.rows
    for row, slot in zip(waiting, slots, strict=True):
        _, place = free.nearest(slot)
        if place >= 0:
            free.take(place)
            made.append((row, int(rows[place])))
    return made


def _round_by_distance(free: _FreeUnits, waiting: list[int], line: _Line) -> list[tuple[int, int]]:
    """Take the closest pair first; a candidate that was taken meanwhile is looked up again."""
    made = []
    heap = []
    for row in waiting:
        distance, place = free.nearest(int(line.slot_of[row]))
        if place >= 0:
            heap.append((distance, row, place))
    heapq.heapify(heap)
    while heap:
        distance, row, place = heapq.heappop(heap)
        now, current = free.nearest(int(line.slot_of[row]))
        if current == place:
            free.take(place)
            made.append((row, int(line.rows[place])))
        elif current >= 0:
            heapq.heappush(heap, (now, row, current))
    return made


def _with_replacement(line: _Line, score: FloatArray, focal: NDArray[np.bool_], codes: IntArray, rule: Rule) -> Pairs:
    others = line.rows[~focal[line.rows]]
    who = np.flatnonzero(focal)
    below = np.cumsum(~focal[line.rows])
    right = below[line.slot_of[who]].astype(np.int64)
    walk = _Walk(score[others], codes[others], score[who], codes[who], right - 1, right)
    steps: list[tuple[IntArray, IntArray]] = []
    last = np.full(who.size, -np.inf)
    active = np.ones(who.size, dtype=np.bool_)
    taken = 0
    while active.any():
        place, distance = walk.step(active)
        keep = active & (distance <= line.reach) & np.isfinite(distance)
        if taken >= rule.ratio:
            keep &= distance == last
        last = np.where(keep, distance, last)
        steps.append((who[keep], others[place[keep]]))
        active = keep
        taken += 1
        if taken >= rule.ratio and rule.ties == "one":
            break
    return _pairs(np.concatenate([s[0] for s in steps]).tolist(), np.concatenate([s[1] for s in steps]).tolist())


class _Walk:
    """Walk outward from every focal unit at once, nearest first, the left one where both sides are equally far."""

    __slots__ = ("_codes", "_left", "_right", "_score", "_their_codes", "_theirs")

    def __init__(
        self, theirs: FloatArray, their_codes: IntArray, score: FloatArray, codes: IntArray, left: IntArray,
        right: IntArray,
    ) -> None:  # fmt: skip
        self._theirs, self._their_codes = theirs, their_codes
        self._score, self._codes = score, codes
        self._left, self._right = left.copy(), right.copy()

    def _distance(self, place: IntArray) -> FloatArray:
        inside = (place >= 0) & (place < self._theirs.size)
        safe = np.clip(place, 0, self._theirs.size - 1)
        inside &= self._their_codes[safe] == self._codes
        return np.where(inside, np.abs(self._theirs[safe] - self._score), np.inf)

    def step(self, active: NDArray[np.bool_]) -> tuple[IntArray, FloatArray]:
        """Return the place and distance of the next nearest unit for each focal unit, and move past it."""
        down, up = self._distance(self._left), self._distance(self._right)
        go_left = down <= up
        place = np.where(go_left, self._left, self._right)
        distance = np.where(go_left, down, up)
        self._left -= active & go_left
        self._right += active & ~go_left
        return place, distance
