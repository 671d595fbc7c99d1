"""Optimal pairs and full matching on a sorted line: the loops behind ``kernels.optimal``."""

from __future__ import annotations

import heapq

import numpy as np
from numba import njit

# Slopes of flows from zero on rise along the line, slopes of flows below zero fall.
_ABOVE, _BELOW = 1.0, -1.0
_GONE, _COUNTED, _OTHER = 0, 1, 2


@njit(cache=True, nogil=True)
def _put(heap, alarms, sign, slope, here, item, state):
    """Add a slope; return 1 if it counts: below zero for a slope above, from zero on for a slope below."""
    key = sign * slope - here
    counts = slope < 0 if sign == _ABOVE else slope >= 0
    state[item] = _COUNTED if counts else _OTHER
    heapq.heappush(heap, (key, item))
    if counts:
        heapq.heappush(alarms, (-key, item))
    return int(counts)


@njit(cache=True, nogil=True)
def _take(heap, sign, here, state):
    """Remove the slope nearest to flow zero; return it, and 1 if it counted."""
    key, item = heapq.heappop(heap)
    counted = int(state[item] == _COUNTED)
    state[item] = _GONE
    return sign * (key + here), counted


@njit(cache=True, nogil=True)
def _ring(alarms, sign, here, state):
    """Return how many slopes have changed their sign up to here."""
    turned = 0
    while len(alarms) > 0 and (alarms[0][0] < here or (sign == _ABOVE and alarms[0][0] == here)):
        item = heapq.heappop(alarms)[1]
        if state[item] == _COUNTED:
            state[item] = _OTHER
            turned += 1
    return turned


@njit(cache=True, nogil=True)
def _margins(x, copies):
    """Return the argmin of V before each unit of the other group, shape (n,)."""
    above, rising = [(0.0, 0)], [(0.0, 0)]
    below, falling = [(0.0, 0)], [(0.0, 0)]
    above.pop(), rising.pop(), below.pop(), falling.pop()
    state = np.zeros(copies.sum() + 2 * x.size, np.int8)
    margins = np.zeros(x.size, np.int64)
    item = 0
    argmin = 0
    for i in range(x.size):
        here = x[i]
        argmin += _ring(falling, _BELOW, here, state) - _ring(rising, _ABOVE, here, state)
        for _ in range(copies[i]):
            slope, counted = -np.inf, 0
            if len(below) > 0:
                slope, counted = _take(below, _BELOW, here, state)
            argmin += counted + _put(above, rising, _ABOVE, slope, here, item, state)
            item += 1
        if copies[i] > 0:
            continue
        margins[i] = argmin
        argmin += _put(above, rising, _ABOVE, 0.0, here, item, state)
        slope, counted = _take(above, _ABOVE, here, state)
        argmin -= counted + _put(below, falling, _BELOW, slope, here, item + 1, state)
        item += 2
    return margins


@njit(cache=True, nogil=True)
def used_others(x, copies):
    r"""Return which units of the other group an optimal pairing uses, shape (n,).

    ``x`` ascends; ``copies[i]`` is the number of matches that a focal unit wants and 0 for the others. The flow f past
    a place is the number of matches still wanted there less those already taken; its least cost V(f) is convex. Its
    slopes V(f + 1) - V(f) are kept in two heaps, from flow zero on and below: a gap g adds g to the first and takes g
    from the second, a focal unit moves the nearest slope up, a unit of the other group adds a slope 0 and moves the
    nearest slope down. A unit of the other group is used if and only if the flow after it is below the argmin of V
    before it.
    """
    margins = _margins(x, copies)
    used = np.zeros(x.size, np.bool_)
    flow = 0
    for i in range(x.size - 1, -1, -1):
        if copies[i] > 0:
            flow -= copies[i]
        elif flow < margins[i]:
            used[i] = True
            flow += 1
    return used


@njit(cache=True, nogil=True)
def _block_costs(x, start, middle, end, cost):
    """Fill the least costs of the units of one block, given those of the block before; return the choices."""
    left, right = middle - start, end - middle
    gap = x[middle] - x[middle - 1]
    # One suffix of s units of the block before meets the first units of this one.
    near = np.empty(left + 1)
    spread = 0.0
    for s in range(left + 1):
        if s > 0:
            spread += x[middle - 1] - x[middle - s]
        near[s] = cost[middle - s] + spread
    later = np.empty(left + 1, np.int64)
    later[left] = left
    for s in range(left - 1, -1, -1):
        later[s] = s if near[s] + s * gap < near[later[s + 1]] + later[s + 1] * gap else later[s + 1]
    choice = np.empty(right, np.int64)
    sooner = 0
    spread = 0.0
    for i in range(1, right + 1):
        spread += x[middle + i - 1] - x[middle]
        if i <= left and near[i] < near[sooner]:
            sooner = i
        best = sooner
        if i < left and near[later[i + 1]] + later[i + 1] * gap < near[sooner] + i * gap:
            best = later[i + 1]
        choice[i - 1] = best
        cost[middle + i] = near[best] + max(best, i) * gap + spread
    return choice


@njit(cache=True, nogil=True)
def cover(x, focal):
    """Return the edges (left slot, right slot) of a cheapest cover of a sorted line on which both groups stand.

    Only neighbouring blocks of one group are joined: a suffix of one with a prefix of the next. ``cost[k]`` is the
    least cost of covering the first k units.
    """
    n = x.size
    starts = [0]
    for i in range(1, n):
        if focal[i] != focal[i - 1]:
            starts.append(i)
    starts.append(n)
    cost = np.full(n + 1, np.inf)
    cost[0] = 0.0
    choice = np.zeros(n, np.int64)
    for b in range(1, len(starts) - 1):
        start, middle, end = starts[b - 1], starts[b], starts[b + 1]
        choice[middle:end] = _block_costs(x, start, middle, end, cost)
    one, two = np.empty(2 * n, np.int64), np.empty(2 * n, np.int64)
    edges = 0
    done, b = n, len(starts) - 2
    while done > 0:
        while starts[b] >= done:
            b -= 1
        middle = starts[b]
        s, i = choice[done - 1], done - middle
        for k in range(max(s, i)):
            one[edges] = middle - s + k if k < s else middle - 1
            two[edges] = middle + k if k < i else middle
            edges += 1
        done = middle - s
    return one[:edges], two[:edges]


@njit(cache=True, nogil=True)
def stars(one, two, n):
    """Return the centre of the star of each unit, shape (n,), -1 for none; edges that cover nobody new are dropped."""
    degree = np.zeros(n, np.int64)
    for e in range(one.size):
        degree[one[e]] += 1
        degree[two[e]] += 1
    kept = np.ones(one.size, np.bool_)
    for e in range(one.size):
        if degree[one[e]] > 1 and degree[two[e]] > 1:
            kept[e] = False
            degree[one[e]] -= 1
            degree[two[e]] -= 1
    centre = np.full(n, -1, np.int64)
    for e in range(one.size):
        if kept[e]:
            here = one[e] if degree[one[e]] >= degree[two[e]] else two[e]
            centre[one[e]] = here
            centre[two[e]] = here
    return centre


@njit(cache=True, nogil=True)
def _spokes(centre):
    """Return the size of the star of each unit and linked lists of the spokes of each centre."""
    n = centre.size
    size, head, following = np.zeros(n, np.int64), np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    for i in range(n):
        size[centre[i]] += 1
        if centre[i] != i:
            following[i] = head[centre[i]]
            head[centre[i]] = i
    return size, head, following


@njit(cache=True, nogil=True)
def _share_out(x, members, spokes, centre):
    far = np.empty(len(spokes))
    for k in range(len(spokes)):
        far[k] = abs(x[spokes[k]] - x[members[0]])
    for k, at in enumerate(np.argsort(far, kind="mergesort")):
        mine = members[0] if k >= len(members) - 1 else members[k + 1]
        centre[spokes[at]] = mine
        centre[mine] = mine


@njit(cache=True, nogil=True)
def _tied(places, centre, size, head, following):
    """Return which of these tied units are, or in a pair could be, centres, and their spokes."""
    members, spokes = [-1], [-1]
    members.pop(), spokes.pop()
    for place in places:
        if centre[place] == place:
            members.append(place)
            spoke = head[place]
            while spoke >= 0:
                spokes.append(spoke)
                spoke = following[spoke]
        elif size[centre[place]] == 2:
            members.append(place)
            spokes.append(centre[place])
    return members, spokes


@njit(cache=True, nogil=True)
def settle_ties(x, focal, centre):
    """Where centres of one group stand at the same place, let the first have all but the nearest for each other."""
    for group in (True, False):
        size, head, following = _spokes(centre)
        a = 0
        while a < x.size:
            b = a + 1
            while b < x.size and x[b] == x[a]:
                b += 1
            if b - a > 1:
                places = np.arange(a, b)[focal[a:b] == group]
                members, spokes = _tied(places, centre, size, head, following)
                if len(members) > 1 and len(spokes) > len(members):
                    _share_out(x, members, spokes, centre)
            a = b
    return centre
