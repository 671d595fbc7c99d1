"""Greedy pairing on a sorted line: the loops behind ``kernels.pairing``."""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from evaltoolkit.kernels.compiled.limits import allowed


class Line(NamedTuple):
    """Units in stable ascending order of (stratum, score): one entry for each slot."""

    score: Any
    stratum: Any
    open: Any


class _Free(NamedTuple):
    """Union-find arrays to the nearest free slot on the left and on the right."""

    left: Any
    right: Any


@njit(cache=True, nogil=True)
def _root(parent, place):
    root = place
    while parent[root] != root:
        root = parent[root]
    while parent[place] != root:
        parent[place], place = root, parent[place]
    return root


@njit(cache=True, nogil=True)
def _chain_left(open_):
    # One slot is added on either side, so that "none" has an address of its own.
    n = open_.size
    parent = np.empty(n + 2, np.int64)
    parent[0] = 0
    last = 0
    for i in range(n):
        if open_[i]:
            last = i + 1
        parent[i + 1] = last
    parent[n + 1] = n + 1
    return parent


@njit(cache=True, nogil=True)
def _chain_right(open_):
    n = open_.size
    parent = np.empty(n + 2, np.int64)
    parent[n + 1] = n + 1
    last = n + 1
    for i in range(n - 1, -1, -1):
        if open_[i]:
            last = i + 1
        parent[i + 1] = last
    parent[0] = 0
    return parent


@njit(cache=True, nogil=True)
def _nearest(slot, line, free, limits, earlier):
    n = line.score.size
    here, mine = line.score[slot], line.stratum[slot]
    a, b = _root(free.left, slot + 1) - 1, _root(free.right, slot + 1) - 1
    while True:
        down = here - line.score[a] if a >= 0 and line.stratum[a] == mine else np.inf
        up = line.score[b] - here if b < n and line.stratum[b] == mine else np.inf
        go_left = down <= up
        distance = down if go_left else up
        if distance == np.inf or distance > limits.reach:
            return -1, np.inf
        place = a if go_left else b
        if allowed(slot, place, limits, earlier):
            return place, distance
        if go_left:
            a = _root(free.left, a) - 1
        else:
            b = _root(free.right, b + 2) - 1


@njit(cache=True, nogil=True)
def pairs_in_order(line, limits, turn, ratio, limit):
    """Return the slots taken by each focal slot of ``turn``, shape (f, ratio); -1 for none."""
    free = _Free(_chain_left(line.open), _chain_right(line.open))
    used = np.zeros(line.score.size, np.int64)
    taken = np.full((turn.size, ratio), -1, np.int64)
    alive = np.ones(turn.size, np.bool_)
    for r in range(ratio):
        for i in range(turn.size):
            if not alive[i]:
                continue
            place, _ = _nearest(turn[i], line, free, limits, taken[i, :r])
            if place < 0:
                alive[i] = False
                continue
            taken[i, r] = place
            used[place] += 1
            if used[place] >= limit:
                free.left[place + 1] = place
                free.right[place + 1] = place + 2
    return taken


@njit(cache=True, nogil=True)
def pairs_by_distance(line, limits, turn, ratio, limit, sign):
    """Return the slots taken where the pair that is closest (sign 1) or farthest (sign -1) of all goes first.

    A pair whose match was taken meanwhile looks for another and queues again: before equals where the closest goes
    first, after them where the farthest does.
    """
    free = _Free(_chain_left(line.open), _chain_right(line.open))
    used = np.zeros(line.score.size, np.int64)
    taken = np.full((turn.size, ratio), -1, np.int64)
    alive = np.ones(turn.size, np.bool_)
    for r in range(ratio):
        heap = [(0.0, 0.0, 0, 0)]
        heap.pop()
        for i in range(turn.size):
            if alive[i]:
                place, d = _nearest(turn[i], line, free, limits, taken[i, :r])
                if place < 0:
                    alive[i] = False
                else:
                    heap.append((sign * d, 0.0, i, place))
        heapq.heapify(heap)
        stamp = 0.0
        while len(heap) > 0:
            _, _, i, place = heapq.heappop(heap)
            if used[place] < limit:
                taken[i, r] = place
                used[place] += 1
                if used[place] >= limit:
                    free.left[place + 1] = place
                    free.right[place + 1] = place + 2
                continue
            again, d = _nearest(turn[i], line, free, limits, taken[i, :r])
            if again < 0:
                alive[i] = False
            else:
                stamp += 1.0
                heapq.heappush(heap, (sign * d, -sign * stamp, i, again))
    return taken


@njit(cache=True, nogil=True)
def _walk(slot, line, ends, limits, ratio, average, out):
    """Fill ``out`` (where it has room) with the nearest open slots; return how many there are."""
    n = line.score.size
    here, mine = line.score[slot], line.stratum[slot]
    a, b = ends.left[slot], ends.right[slot]
    found = 0
    last = -1.0
    none = np.empty(0, np.int64)
    while True:
        down = here - line.score[a] if a >= 0 and line.stratum[a] == mine else np.inf
        up = line.score[b] - here if b < n and line.stratum[b] == mine else np.inf
        go_left = down <= up
        distance = down if go_left else up
        if distance == np.inf or distance > limits.reach:
            return found
        if found >= ratio and not (average and distance == last):
            return found
        place = a if go_left else b
        if allowed(slot, place, limits, none):
            if found < out.size:
                out[found] = place
            found += 1
            last = distance
        if go_left:
            a = ends.left[a - 1] if a > 0 else -1
        else:
            b = ends.right[b + 1] if b + 1 < n else n


@njit(cache=True, nogil=True)
def pairs_replacing(line, limits, turn, ratio, average):
    """Return where the matches of each focal slot start, shape (f + 1,), and the slots, one after another."""
    ends = _Free(_chain_left(line.open)[1:-1] - 1, _chain_right(line.open)[1:-1] - 1)
    none = np.empty(0, np.int64)
    start = np.zeros(turn.size + 1, np.int64)
    for i in range(turn.size):
        start[i + 1] = start[i] + _walk(turn[i], line, ends, limits, ratio, average, none)
    slots = np.empty(start[-1], np.int64)
    for i in range(turn.size):
        _walk(turn[i], line, ends, limits, ratio, average, slots[start[i] : start[i + 1]])
    return start, slots
