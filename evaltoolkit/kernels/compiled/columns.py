"""Loops over one column of two groups under several weightings: sorted gaps, shared bins, weighted moments."""

from __future__ import annotations

import numpy as np
from numba import njit

_BITS = 11
_DIGITS = 6
_SIZE = 1 << _BITS


@njit(cache=True, nogil=True)
def _keys(x):
    """Return floats as integers of the same order, and counts of each digit; -0.0 is 0.0."""
    keys = (x + 0.0).view(np.uint64)
    top = np.uint64(1) << np.uint64(63)
    counts = np.zeros((_DIGITS, _SIZE), dtype=np.int64)
    for i in range(x.size):
        k = keys[i]
        k = ~k if k & top else k | top
        keys[i] = k
        for d in range(_DIGITS):
            counts[d, (k >> np.uint64(_BITS * d)) & np.uint64(_SIZE - 1)] += 1
    return keys, counts


@njit(cache=True, nogil=True)
def _by_digits(keys, counts, lowest):
    """Return keys and row numbers in stable order of the digits from the lowest one named upwards."""
    n = keys.size
    keys, rows = keys.copy(), np.arange(n).astype(np.int32)
    other_keys, other_rows = np.empty_like(keys), np.empty_like(rows)
    for d in range(lowest, _DIGITS):
        shift = np.uint64(_BITS * d)
        if counts[d, (keys[0] >> shift) & np.uint64(_SIZE - 1)] == n:
            continue
        places = np.cumsum(counts[d]) - counts[d]
        for i in range(n):
            b = (keys[i] >> shift) & np.uint64(_SIZE - 1)
            to = places[b]
            places[b] = to + 1
            other_keys[to] = keys[i]
            other_rows[to] = rows[i]
        keys, other_keys = other_keys, keys
        rows, other_rows = other_rows, rows
    return keys, rows


@njit(cache=True, nogil=True)
def _settled(keys, rows):
    """Insert what is out of order; return whether that took few moves."""
    left = 4 * keys.size
    for i in range(1, keys.size):
        key, row, j = keys[i], rows[i], i
        while j > 0 and keys[j - 1] > key:
            keys[j], rows[j] = keys[j - 1], rows[j - 1]
            j -= 1
        keys[j], rows[j] = key, row
        left -= i - j
        if left < 0:
            return False
    return True


@njit(cache=True, nogil=True)
def sorted_rows(x):
    """Return keys and row numbers in stable ascending order of the values; ``x`` holds no NaN, shape (n,).

    Three leading digits of 11 bits put nearly all in order, and insertion does the rest; where it would take many moves
    (values that differ by a billionth of their size only), all six digits are used.
    """
    given, counts = _keys(x)
    keys, rows = _by_digits(given, counts, _DIGITS // 2)
    if not _settled(keys, rows):
        keys, rows = _by_digits(given, counts, 0)
    return keys, rows


@njit(cache=True, nogil=True)
def gaps(x, steps):
    """Return sums and maxima of the absolute running sums of steps (n, m) at the distinct values, and their number."""
    n, m = steps.shape
    keys, rows = sorted_rows(x)
    running, sums, largest = np.zeros(m), np.zeros(m), np.zeros(m)
    points = 0
    for i in range(n):
        for j in range(m):
            running[j] += steps[rows[i], j]
        if i == n - 1 or keys[i + 1] != keys[i]:
            points += 1
            for j in range(m):
                gap = abs(running[j])
                sums[j] += gap
                largest[j] = max(largest[j], gap)
    return sums, largest, points


@njit(cache=True, nogil=True)
def moments(x, first, weights):
    """Return sum of weights, of squared weights, mean and mean square deviation: shape (m, 2 groups, 4)."""
    m, n = weights.shape
    out = np.zeros((m, 2, 4))
    for j in range(m):
        for i in range(n):
            g = 0 if first[i] else 1
            w = weights[j, i]
            out[j, g, 0] += w
            out[j, g, 1] += w * w
            out[j, g, 2] += w * x[i]
        for g in range(2):
            if out[j, g, 0] > 0:
                out[j, g, 2] /= out[j, g, 0]
        for i in range(n):
            g = 0 if first[i] else 1
            away = x[i] - out[j, g, 2]
            out[j, g, 3] += weights[j, i] * away * away
        for g in range(2):
            if out[j, g, 0] > 0:
                out[j, g, 3] /= out[j, g, 0]
    return out


@njit(cache=True, nogil=True)
def shared_bins(x, first, weights, lows, highs, points):
    """Return weights shared between the two nearest of the grid points of each group, shape (m, 2, 2 * points)."""
    m, n = weights.shape
    out = np.zeros((m, 2, 2 * points))
    for i in range(n):
        g = 0 if first[i] else 1
        place = (x[i] - lows[g]) * ((points - 1) / (highs[g] - lows[g]))
        left = int(np.floor(place))
        share = place - left
        for j in range(m):
            w = weights[j, i]
            if w > 0:
                out[j, g, left] += w * (1 - share)
                out[j, g, left + 1] += w * share
    return out
