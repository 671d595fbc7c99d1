"""Nearest-neighbour pairing on a scalar score, exactly as stated, in near-linear time."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Order = Literal["largest", "smallest", "data", "random", "closest", "farthest"]
Ties = Literal["one", "average"]
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
        Which focal unit chooses first, where matches can run out. Ties keep data order. ``closest`` and ``farthest``
        look at the distance that a focal unit has to the unit it would take: the smallest or the largest goes first.
        One whose match was taken meanwhile finds another and queues again, before equals for ``closest`` and after
        them for ``farthest``.
    ties
        With replacement: ``one`` takes one of several equally near units, ``average`` takes all of them.
    limit
        With replacement: how often a unit may be a match; None for no limit.
    seed
        Seed of the order ``random``.
    """

    ratio: int = 1
    caliper: float | None = None
    replace: bool = False
    order: Order = "largest"
    ties: Ties = "one"
    limit: int | None = None
    seed: int = 0


def _no_columns() -> FloatArray:
    return np.empty((0, 0))


def _no_codes() -> IntArray:
    return np.empty((0, 0), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Constraints:
    """What must hold between the two units of a pair beside the caliper.

    Attributes
    ----------
    columns, widths
        Units may differ by at most ``widths`` on these columns, shapes (n, q) and (q,); with a width below zero they
        must differ by more than its size.
    apart
        Codes that must differ within a pair, shape (n, r).
    """

    columns: FloatArray = field(default_factory=_no_columns)
    widths: FloatArray = field(default_factory=lambda: np.empty(0))
    apart: IntArray = field(default_factory=_no_codes)


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
        return int(np.count_nonzero(np.bincount(self.focal))) if self.focal.size else 0


def pair_nearest(
    score: FloatArray,
    focal: NDArray[np.bool_],
    rule: Rule,
    strata: IntArray | None = None,
    constraints: Constraints | None = None,
) -> Pairs:
    r"""Pair each focal unit with its nearest units of the other group.

    All units stand on a line in stable ascending order of the score. A focal unit looks at the nearest free unit of
    the other group to its left and to its right and takes the left one where
    :math:`|s_i - s_l| \le |s_i - s_r|`, if it is within the caliper and the stratum. Without replacement units are
    found by two union-find arrays over the line, in near-linear time after sorting; ``ratio`` is dealt in rounds, so
    that everybody gets a first match before anybody gets a second. Where the unit found breaks a constraint, the walk
    goes on outward.

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
    constraints
        Limits on other columns; None for none.

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
    if not focal.any() or focal.all():
        return _no_pairs()
    compiled = _compiled()
    rows, line = _line(score, focal, strata)
    limits = _limits(rule, constraints or Constraints(), rows)
    waiting = np.flatnonzero(focal) if _never_runs_out(rule) else focal_order(score, focal, rule)
    slot_of = np.empty(rows.size, dtype=np.int64)
    slot_of[rows] = np.arange(rows.size)
    turn = slot_of[waiting]
    if _never_runs_out(rule):
        start, slots = compiled.pairs_replacing(line, limits, turn, rule.ratio, rule.ties == "average")
        return pairs_from(np.repeat(waiting, np.diff(start)), rows[slots])
    limit = rule.limit or 1
    if rule.order in {"closest", "farthest"}:
        sign = 1.0 if rule.order == "closest" else -1.0
        taken = compiled.pairs_by_distance(line, limits, turn, rule.ratio, limit, sign)
    else:
        taken = compiled.pairs_in_order(line, limits, turn, rule.ratio, limit)
    made = taken >= 0
    return pairs_from(np.repeat(waiting, made.sum(axis=1)), rows[taken[made]])


def _compiled() -> ModuleType:
    # numba takes a quarter of a second to import, so that it waits until pairs are asked for.
    from evaltoolkit.kernels.compiled import line

    return line


def _never_runs_out(rule: Rule) -> bool:
    return rule.replace and rule.limit is None


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


def _no_pairs() -> Pairs:
    none = np.empty(0, dtype=np.int64)
    return Pairs(none, none, np.empty(0))


def pairs_from(focal: IntArray, match: IntArray) -> Pairs:
    """Return pairs, given one after another in the order in which they were chosen.

    >>> pairs_from(np.array([4, 1, 4]), np.array([0, 2, 3])).weight.tolist()
    [1.0, 0.5, 0.5]
    """
    by_focal = np.argsort(focal, kind="stable")
    who, partner = focal[by_focal], match[by_focal]
    return Pairs(who, partner, 1.0 / np.bincount(who)[who] if who.size else np.empty(0))


def _line(score: FloatArray, focal: NDArray[np.bool_], strata: IntArray | None) -> tuple[IntArray, Any]:
    """Return the row of each slot, and the sorted line."""
    if strata is None:
        rows, codes = np.argsort(score, kind="stable"), np.zeros(score.size, dtype=np.int64)
    else:
        codes = np.asarray(strata, dtype=np.int64)
        rows = np.lexsort((score, codes))
    return rows, _compiled().Line(score[rows], codes[rows], ~focal[rows])


def _limits(rule: Rule, constraints: Constraints, rows: IntArray) -> Any:
    reach = np.inf if rule.caliper is None else float(rule.caliper)
    columns = constraints.columns[rows] if constraints.widths.size else _no_columns()
    apart = constraints.apart[rows] if constraints.apart.size else _no_codes()
    from evaltoolkit.kernels.compiled.limits import Limits

    return Limits(reach, constraints.widths, np.ascontiguousarray(columns), np.ascontiguousarray(apart))


def focal_order(score: FloatArray, focal: NDArray[np.bool_], rule: Rule) -> IntArray:
    """Return the rows of the focal units in the order in which they choose.

    >>> focal_order(np.array([0.2, 0.9, 0.9, 0.1]), np.array([True, True, True, False]), Rule()).tolist()
    [1, 2, 0]
    """
    rows = np.flatnonzero(focal)
    if rule.order == "largest":
        return rows[np.argsort(-score[rows], kind="stable")]
    if rule.order == "smallest":
        return rows[np.argsort(score[rows], kind="stable")]
    if rule.order == "random":
        return np.random.default_rng(rule.seed).permutation(rows)
    return rows
