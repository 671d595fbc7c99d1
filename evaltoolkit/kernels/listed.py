"""Nearest-neighbour pairing where the distance of every allowed pair is given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.optimal import Edges
from evaltoolkit.kernels.pairing import Pairs, Rule, focal_order, pairs_from

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]


def pair_nearest_listed(edges: Edges, focal: Mask, rule: Rule, turn: FloatArray | None = None) -> Pairs:
    """Pair each focal unit with its nearest units among the pairs that are listed; of ties the first in the data.

    Parameters
    ----------
    edges
        Allowed pairs with their distances.
    focal
        True for the units that are to be matched, shape (n,).
    rule
        How pairs are made: ``ratio``, ``replace``, ``limit``, ``seed`` and the orders ``data``, ``random``, ``largest``
        and ``smallest``.
    turn
        What ``largest`` and ``smallest`` go by, shape (n,); None for data order.

    Returns
    -------
    Pairs

    Examples
    --------
    >>> edges = Edges(np.array([0, 0, 1]), np.array([2, 3, 2]), np.array([0.1, 0.3, 0.2]))
    >>> pairs = pair_nearest_listed(edges, np.array([True, True, False, False]), Rule(order="data"))
    >>> pairs.focal.tolist(), pairs.match.tolist()
    ([0], [2])
    """
    from evaltoolkit.kernels.compiled import listed

    waiting = focal_order(np.zeros(focal.size) if turn is None else turn, focal, rule)
    place = np.empty(focal.size, dtype=np.int64)
    place[waiting] = np.arange(waiting.size)
    by_turn = np.lexsort((edges.other, place[edges.focal]))
    start = np.searchsorted(place[edges.focal][by_turn], np.arange(waiting.size + 1))
    limit = (rule.limit or 0) if rule.replace else 1
    other = edges.other[by_turn]
    taken = listed.pairs_in_order(start, other, edges.distance[by_turn], rule.ratio, limit, focal.size)
    made = taken >= 0
    return pairs_from(np.repeat(waiting, made.sum(axis=1)), other[taken[made]])
