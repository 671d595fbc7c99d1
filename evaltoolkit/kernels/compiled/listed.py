"""Greedy pairing along listed pairs: the loop behind ``kernels.listed``."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def pairs_in_order(start, other, distance, ratio, limit, n):
    """Return the entries taken in turn, shape (f, ratio), -1 for none; turn i has entries start[i] : start[i + 1]."""
    used = np.zeros(n, np.int64)
    taken = np.full((start.size - 1, ratio), -1, np.int64)
    alive = np.ones(start.size - 1, np.bool_)
    for r in range(ratio):
        for i in range(start.size - 1):
            if not alive[i]:
                continue
            best = -1
            for e in range(start[i], start[i + 1]):
                nearer = best < 0 or distance[e] < distance[best]
                if nearer and (limit == 0 or used[other[e]] < limit) and not (taken[i, :r] == e).any():
                    best = e
            taken[i, r] = best
            alive[i] = best >= 0
            if best >= 0:
                used[other[best]] += 1
    return taken
