"""Kernel-weighted comparisons along a sorted line: the loops behind ``kernels.smoothing``."""

from __future__ import annotations

import numpy as np
from numba import njit

UNIFORM, EPANECHNIKOV, TRIANGULAR, BIWEIGHT, GAUSSIAN = 0, 1, 2, 3, 4


@njit(cache=True, nogil=True)
def _height(u, kind):
    if kind == UNIFORM:
        return 1.0
    if kind == EPANECHNIKOV:
        return 1.0 - u * u
    if kind == TRIANGULAR:
        return 1.0 - u
    if kind == BIWEIGHT:
        return (1.0 - u * u) ** 2
    return np.exp(-0.5 * u * u)


@njit(cache=True, nogil=True)
def kernel_weights(mine, others, width, kind):
    """Return what each of ``others`` weighs, and whether each of ``mine`` has anybody; both ascend.

    Everybody of ``mine`` deals out a weight of 1 among those of ``others`` within ``width`` (Gaussian: everybody),
    in proportion to the kernel's height.
    """
    weights, met = np.zeros(others.size), np.zeros(mine.size, np.bool_)
    first = 0
    for i in range(mine.size):
        here = mine[i]
        while kind != GAUSSIAN and first < others.size and here - others[first] > width:
            first += 1
        total = 0.0
        last = first
        while last < others.size and (kind == GAUSSIAN or others[last] - here <= width):
            total += _height(abs(others[last] - here) / width, kind)
            last += 1
        if total <= 0:
            continue
        met[i] = True
        for j in range(first, last):
            weights[j] += _height(abs(others[j] - here) / width, kind) / total
    return weights, met
