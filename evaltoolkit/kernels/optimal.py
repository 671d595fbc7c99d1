"""Pairs and matched sets whose total distance is the least that there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from evaltoolkit.kernels.pairing import Pairs, pairs_from

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Edges:
    """Pairs that are allowed, in a sparse problem.

    Attributes
    ----------
    focal, other
        Rows of the two units, shape (e,).
    distance
        Their distance, not negative, shape (e,).
    """

    focal: IntArray
    other: IntArray
    distance: FloatArray


@dataclass(frozen=True, slots=True)
class Sets:
    """Matched sets: one focal unit with one or more others, or one other with one or more focal units.

    Attributes
    ----------
    code
        Row of the unit at the centre of each unit's set, -1 for units that are in none, shape (n,).
    total
        Sum of the distances within sets from the centre.
    """

    code: IntArray
    total: float


def _compiled() -> ModuleType:
    from evaltoolkit.kernels.compiled import optimum

    return optimum


def _groups(score: FloatArray, focal: Mask, strata: IntArray | None) -> Iterator[IntArray]:
    """Yield the rows of each stratum that holds both groups, in ascending order of the score."""
    if strata is None:
        rows = np.argsort(score, kind="stable")
        parts = [rows]
    else:
        rows = np.lexsort((score, strata))
        parts = np.split(rows, np.flatnonzero(np.diff(strata[rows])) + 1)
    for part in parts:
        if focal[part].any() and not focal[part].all():
            yield part


def pair_optimal(score: FloatArray, focal: Mask, ratio: int = 1, strata: IntArray | None = None) -> Pairs:
    r"""Pair on a scalar score so that :math:`\sum |s_i - s_j|` over all pairs is the least possible.

    Every focal unit gets ``ratio`` others, none of them twice. Where a stratum has too few others, every focal unit
    gets as many as there are for all; where it has fewer others than focal units, every one of the others is paired.
    The least cost of a flow along the sorted line is convex, and its slopes are followed in two heaps, in
    :math:`O(n \log n)`; the chosen others and the focal units are then paired in ascending order.

    Parameters
    ----------
    score
        Finite scores, shape (n,).
    focal
        True for the units that are to be matched, shape (n,).
    ratio
        Matches for each.
    strata
        Codes that must agree within a pair, shape (n,); None for no strata.

    Returns
    -------
    Pairs

    References
    ----------
    Rosenbaum, P. (1989). Optimal matching for observational studies. Journal of the American Statistical Association
    84. doi:10.1080/01621459.1989.10478868

    Examples
    --------
    >>> score = np.array([0.5, 0.75, 0.25, 0.625, 1.0])
    >>> focal = np.array([True, True, False, False, False])
    >>> pairs = pair_optimal(score, focal)
    >>> float(np.abs(score[pairs.focal] - score[pairs.match]).sum())
    0.375
    """
    score = np.asarray(score, dtype=np.float64)
    who, match = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for rows in _groups(score, focal, strata):
        mine = focal[rows]
        turned = int((~mine).sum()) < int(mine.sum())
        if turned:
            mine = ~mine
        each = 1 if turned else min(ratio, int((~mine).sum()) // int(mine.sum()))
        copies = np.where(mine, each, 0)
        used = _compiled().used_others(score[rows], copies)
        pair = (np.repeat(rows[mine], copies[mine]), rows[used])
        who.append(pair[turned])
        match.append(pair[not turned])
    return pairs_from(np.concatenate(who), np.concatenate(match))


def full_match(score: FloatArray, focal: Mask, strata: IntArray | None = None) -> Sets:
    r"""Put everybody into matched sets on a scalar score, with the least total distance from the centres.

    A full matching is a cheapest cover of the two groups by edges between them. On a line, an optimal cover joins
    neighbouring runs of one group only, which a dynamic programme over these runs finds in linear time after sorting.
    Units of a stratum that lacks one of the groups are in no set. Where centres have the same score, the first in the
    data has all but the nearest one for each of the others.

    Parameters
    ----------
    score
        Finite scores, shape (n,).
    focal
        The two groups, shape (n,).
    strata
        Codes that must agree within a set, shape (n,); None for no strata.

    Returns
    -------
    Sets

    References
    ----------
    Rosenbaum, P. (1991). A characterization of optimal designs for observational studies. Journal of the Royal
    Statistical Society B 53. doi:10.1111/j.2517-6161.1991.tb01848.x
    Colannino, J. et al. (2007). An O(n log n)-time algorithm for the restricted scaffold assignment problem. Journal
    of Computational Biology 14. doi:10.1089/cmb.2006.0070

    Examples
    --------
    >>> sets = full_match(np.array([0.0, 1.0, 1.5, 4.0]), np.array([True, False, False, True]))
    >>> sets.code.tolist(), sets.total
    ([0, 0, 2, 2], 3.5)
    """
    score = np.asarray(score, dtype=np.float64)
    code = np.full(score.size, -1, dtype=np.int64)
    for rows in _groups(score, focal, strata):
        x, mine = score[rows], focal[rows]
        centre = _compiled().stars(*_compiled().cover(x, mine), rows.size)
        code[rows] = rows[_compiled().settle_ties(x, mine, centre)]
    there = code >= 0
    return Sets(code, float(np.abs(score[there] - score[code[there]]).sum()))


def pair_optimal_sparse(edges: Edges, ratio: int = 1) -> Pairs:
    """Pair along allowed edges: as many pairs as possible, and of those solutions one with the least total distance.

    It is an assignment problem with a costly way out for everybody, solved by shortest augmenting paths.

    Parameters
    ----------
    edges
        Allowed pairs.
    ratio
        Matches for each focal unit at most.

    Returns
    -------
    Pairs

    References
    ----------
    Jonker, R. and Volgenant, A. (1987). A shortest augmenting path algorithm for dense and sparse linear assignment
    problems. Computing 38. doi:10.1007/BF02278710

    Examples
    --------
    >>> edges = Edges(np.array([0, 0, 1]), np.array([2, 3, 2]), np.array([0.1, 0.3, 0.2]))
    >>> pairs = pair_optimal_sparse(edges)
    >>> pairs.focal.tolist(), pairs.match.tolist()
    ([0, 1], [3, 2])
    """
    who, row = np.unique(edges.focal, return_inverse=True)
    others, column = np.unique(edges.other, return_inverse=True)
    if who.size == 0:
        return pairs_from(edges.focal, edges.other)
    way_out = 1.0 + 2.0 * float(edges.distance.max()) * min(who.size * ratio, others.size)
    rows = np.concatenate([row + k * who.size for k in range(ratio)])
    chosen = _assigned(rows, np.tile(column, ratio), np.tile(edges.distance, ratio), others.size, way_out)
    made = chosen < others.size
    return pairs_from(who[np.flatnonzero(made) % who.size], others[chosen[made]])


def _assigned(row: IntArray, column: IntArray, cost: FloatArray, n_columns: int, way_out: float) -> IntArray:
    """Return the column of each row; from ``n_columns`` on for rows that take the way out."""
    n = int(row.max()) + 1
    shift = 1.0 - min(0.0, float(cost.min()))  # explicit zeros would count as missing; every row pays the shift once
    data = np.concatenate([cost + shift, np.full(n, way_out + shift)])
    where = (np.concatenate([row, np.arange(n)]), np.concatenate([column, n_columns + np.arange(n)]))
    problem = csr_array((data, where), shape=(n, n_columns + n))
    rows, columns = min_weight_full_bipartite_matching(problem)
    found = np.empty(n, dtype=np.int64)
    found[rows] = columns
    return found


def full_match_sparse(edges: Edges, n: int) -> Sets:
    r"""Put everybody who has an allowed edge into matched sets with the least total distance.

    With :math:`m_i` the distance of :math:`i` to its nearest neighbour, a cheapest cover is a matching that minimizes
    :math:`\sum (d_{ij} - m_i - m_j)` over edges where this is below zero, with everybody else joined to the nearest.

    Parameters
    ----------
    edges
        Allowed pairs.
    n
        Number of units.

    Returns
    -------
    Sets

    References
    ----------
    Schrijver, A. (2003). Combinatorial Optimization, chapter 19.3. Springer.

    Examples
    --------
    >>> edges = Edges(np.array([0, 0, 3, 3]), np.array([1, 2, 1, 2]), np.array([1.0, 1.5, 3, 2.5]))
    >>> sets = full_match_sparse(edges, 4)
    >>> sets.code.tolist(), sets.total
    ([0, 0, 3, 3], 3.5)
    """
    nearest = np.full(n, np.inf)
    np.minimum.at(nearest, edges.focal, edges.distance)
    np.minimum.at(nearest, edges.other, edges.distance)
    saved = edges.distance - nearest[edges.focal] - nearest[edges.other]
    worth = np.flatnonzero(saved < 0)
    one, two = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    if worth.size:
        who, row = np.unique(edges.focal[worth], return_inverse=True)
        others, column = np.unique(edges.other[worth], return_inverse=True)
        chosen = _assigned(row, column, saved[worth], others.size, 0.0)
        made = chosen < others.size
        one, two = who[made], others[chosen[made]]
    open_ = np.isfinite(nearest)
    open_[one] = open_[two] = False
    add = _nearest_edges(edges, open_, nearest)
    one = np.concatenate([one, edges.focal[add]])
    two = np.concatenate([two, edges.other[add]])
    code = _compiled().stars(one, two, n)
    return Sets(code, _total(edges, code))


def _nearest_edges(edges: Edges, open_: Mask, nearest: FloatArray) -> IntArray:
    """Return one nearest edge for each unit that is still open."""
    found = []
    for side in (edges.focal, edges.other):
        short = np.flatnonzero(open_[side] & (edges.distance == nearest[side]))
        found.append(short[np.unique(side[short], return_index=True)[1]])
    return np.concatenate(found)


def _total(edges: Edges, code: IntArray) -> float:
    within = (code[edges.focal] == code[edges.other]) & (code[edges.focal] >= 0)
    spoke = within & ((code[edges.focal] == edges.focal) | (code[edges.focal] == edges.other))
    return float(edges.distance[spoke].sum())
