"""Bands for several estimates together, by randomization."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.randomization import Placebos, Rows, lift, shares

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]


def reach_together(found: Placebos, kind: Rows, level: float, among: Mask | None = None) -> FloatArray:
    r"""Return how far a band reaches to either side of each row of an aggregation.

    Effects are taken out as estimated. With :math:`s_r` the root mean square of row r over assignments, the band is
    :math:`\hat\theta_r \pm c\,s_r` where c is the quantile of :math:`\max_r |T_{\pi r}| / s_r` over assignments.

    Parameters
    ----------
    found
        Estimates under all assignments.
    kind
        Which aggregation, or ``cells``.
    level
        That the band holds all rows.
    among
        Cells that are averaged, shape (K,); None for all.

    Returns
    -------
    array of shape (m,)
        Zero for what is zero by definition; infinite where the assignments are too few for the level.

    References
    ----------
    Montiel Olea, J. and Plagborg-Moller, M. (2019). Simultaneous confidence bands. Journal of Applied Econometrics 34.
    doi:10.1002/jae.2656

    Examples
    --------
    >>> from evaltoolkit.kernels.assignments import assignments
    >>> from evaltoolkit.kernels.cohorts import Rule
    >>> from evaltoolkit.kernels.placebo_cells import Sample
    >>> from evaltoolkit.kernels.randomization import placebos
    >>> y, start = np.random.default_rng(1).normal(size=(30, 4)), np.array([3] + [9] * 29)
    >>> found = placebos(Sample.of(y, start, np.arange(1, 5), Rule()), assignments(start, np.arange(30), 99, 1))
    >>> reach_together(found, "dynamic", 0.9).round(2).tolist()
    [1.86, 2.19, 1.89]
    """
    effects = lift(found, (found.touched * found.values[0])[None, :])
    there = np.isfinite(found.values)
    known = np.where(there[:, :, None], found.mass, 0.0)
    v = np.where(there, found.values, 0.0) - np.einsum("pkj,kjr->pk", known, effects, optimize=True)
    used = there if among is None else there & among
    weight = shares(kind, (found.cohort, found.period), found.counts, found.cohorts, used)
    weight = weight if kind == "cells" else weight[:, :-1]
    T = np.einsum("prk,pk->pr", weight, v, optimize=True)
    size = np.sqrt((T**2).mean(axis=0))
    largest = np.sort((np.abs(T) / np.where(size > 0, size, 1.0)).max(axis=1))
    place = math.ceil(level * largest.size - 1e-9)
    if largest.size * (1 - level) < 1 - 1e-9:
        return np.full(size.shape, np.inf)
    found_reach: FloatArray = largest[place - 1] * size
    return found_reach
