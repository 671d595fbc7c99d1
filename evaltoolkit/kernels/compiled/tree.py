"""Nearest neighbours in several dimensions, with points that are used up: a k-d tree that counts what is left."""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from evaltoolkit.kernels.compiled.limits import allowed

_LEAF = 8


class Tree(NamedTuple):
    """Nodes in depth-first order over a reordering of the points.

    ``order`` holds points; node k covers order[first[k] : last[k]], its box is [low[k], high[k]], its children are
    k + 1 and right[k] (-1 for a leaf); ``left_over`` counts points that are not used up, ``parent`` leads to the root,
    ``leaf_of`` from a point to its leaf.
    """

    order: Any
    first: Any
    last: Any
    right: Any
    parent: Any
    low: Any
    high: Any
    left_over: Any
    leaf_of: Any


class Search(NamedTuple):
    """A tree, its points, and the place of each point along the first axis."""

    tree: Any
    points: Any
    place: Any


@njit(cache=True, nogil=True)
def _box(points, rows, low, high):
    for j in range(points.shape[1]):
        low[j] = high[j] = points[rows[0], j]
        for row in rows:
            low[j] = min(low[j], points[row, j])
            high[j] = max(high[j], points[row, j])


@njit(cache=True, nogil=True)
def plant(points, rows):
    """Build the tree over some rows of ``points``, halving the widest side of a box."""
    n, k = rows.size, points.shape[1]
    room = 4 * (n // _LEAF) + 8
    first, last = np.zeros(room, np.int64), np.zeros(room, np.int64)
    right, parent = np.full(room, -1, np.int64), np.full(room, -1, np.int64)
    low, high = np.empty((room, k)), np.empty((room, k))
    order = rows.copy()
    leaf_of = np.full(points.shape[0], -1, np.int64)
    waiting = [(0, n, -1, False)]
    nodes = 0
    while len(waiting) > 0:
        a, b, up, is_right = waiting.pop()
        node = nodes
        nodes += 1
        first[node], last[node], parent[node] = a, b, up
        if is_right:
            right[up] = node
        mine = order[a:b]
        _box(points, mine, low[node], high[node])
        side = np.argmax(high[node] - low[node])
        if b - a <= _LEAF or high[node, side] == low[node, side]:
            for row in mine:
                leaf_of[row] = node
            continue
        by_side = np.argsort(points[mine, side], kind="mergesort")
        order[a:b] = mine[by_side]
        middle = (a + b) // 2
        waiting.append((middle, b, node, True))
        waiting.append((a, middle, node, False))
    return Tree(
        order,
        first[:nodes],
        last[:nodes],
        right[:nodes],
        parent[:nodes],
        low[:nodes],
        high[:nodes],
        last[:nodes] - first[:nodes],
        leaf_of,
    )


@njit(cache=True, nogil=True)
def _to_box(tree, node, point):
    total = 0.0
    for j in range(point.size):
        gap = max(tree.low[node, j] - point[j], point[j] - tree.high[node, j], 0.0)
        total += gap * gap
    return total


@njit(cache=True, nogil=True)
def _apart(points, row, other):
    total = 0.0
    for j in range(points.shape[1]):
        gap = points[row, j] - points[other, j]
        total += gap * gap
    return total


@njit(cache=True, nogil=True)
def _late(place, row, other):
    # Of equally near units the one that stands farther along the first axis wins, the right one of two.
    steps = place[other] - place[row]
    return 2 * abs(steps) + (steps > 0)


@njit(cache=True, nogil=True)
def _nearest(search, row, limits, open_, earlier, best, who):
    """Fill ``best`` (squared distances) and ``who`` with the nearest rows, nearest first; return how many."""
    tree, points = search.tree, search.points
    found = 0
    waiting = [0]
    while len(waiting) > 0:
        node = waiting.pop()
        bound = best[-1] if found == best.size else limits.reach
        if tree.left_over[node] == 0 or _to_box(tree, node, points[row]) > bound:
            continue
        if tree.right[node] >= 0:
            one, two = node + 1, tree.right[node]
            if _to_box(tree, one, points[row]) <= _to_box(tree, two, points[row]):
                one, two = two, one
            waiting.append(one)
            waiting.append(two)
            continue
        for other in tree.order[tree.first[node] : tree.last[node]]:
            if open_[other] and allowed(row, other, limits, earlier):
                distance = _apart(points, row, other)
                if distance <= limits.reach:
                    found = _keep(distance, other, search.place, row, best, who, found)
    return found


@njit(cache=True, nogil=True)
def _keep(distance, other, place, row, best, who, found):
    late = _late(place, row, other)
    at = found
    while at > 0 and (distance < best[at - 1] or (distance == best[at - 1] and late > _late(place, row, who[at - 1]))):
        at -= 1
    if at == best.size:
        return found
    end = min(found, best.size - 1)
    for k in range(end, at, -1):
        best[k], who[k] = best[k - 1], who[k - 1]
    best[at], who[at] = distance, other
    return end + 1


@njit(cache=True, nogil=True)
def _use_up(tree, open_, row):
    open_[row] = False
    node = tree.leaf_of[row]
    while node >= 0:
        tree.left_over[node] -= 1
        node = tree.parent[node]


@njit(cache=True, nogil=True)
def pairs_in_order(search, limits, turn, ratio, limit):
    """Return the rows taken by each row of ``turn``, shape (f, ratio), -1 for none; ``limit`` 0 means no limit."""
    open_ = search.tree.leaf_of >= 0
    taken = np.full((turn.size, ratio), -1, np.int64)
    if limit == 0:
        best = np.empty(ratio)
        for i in range(turn.size):
            _nearest(search, turn[i], limits, open_, taken[i, :0], best, taken[i])
        return taken
    used = np.zeros(open_.size, np.int64)
    alive = np.ones(turn.size, np.bool_)
    best, who = np.empty(1), np.empty(1, np.int64)
    for r in range(ratio):
        for i in range(turn.size):
            if not alive[i]:
                continue
            alive[i] = _nearest(search, turn[i], limits, open_, taken[i, :r], best, who) == 1
            if alive[i]:
                taken[i, r] = who[0]
                used[who[0]] += 1
                if used[who[0]] >= limit:
                    _use_up(search.tree, open_, who[0])
    return taken


@njit(cache=True, nogil=True)
def pairs_by_distance(search, limits, turn, ratio, limit, sign):
    """Return the rows taken where the closest (sign 1) or the farthest (sign -1) pair goes first, as on a line."""
    open_ = search.tree.leaf_of >= 0
    taken = np.full((turn.size, ratio), -1, np.int64)
    used = np.zeros(open_.size, np.int64)
    alive = np.ones(turn.size, np.bool_)
    best, who = np.empty(1), np.empty(1, np.int64)
    for r in range(ratio):
        heap = [(0.0, 0.0, 0, 0)]
        heap.pop()
        for i in range(turn.size):
            if alive[i]:
                alive[i] = _nearest(search, turn[i], limits, open_, taken[i, :r], best, who) == 1
                if alive[i]:
                    heap.append((sign * best[0], 0.0, i, who[0]))
        heapq.heapify(heap)
        stamp = 0.0
        while len(heap) > 0:
            _, _, i, row = heapq.heappop(heap)
            if used[row] < limit:
                taken[i, r] = row
                used[row] += 1
                if used[row] >= limit:
                    _use_up(search.tree, open_, row)
                continue
            alive[i] = _nearest(search, turn[i], limits, open_, taken[i, :r], best, who) == 1
            if alive[i]:
                stamp += 1.0
                heapq.heappush(heap, (sign * best[0], -sign * stamp, i, who[0]))
    return taken
