"""Moment tables of panels with holes: cells of units alike in when they were observed too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohort_moments import CohortMoments, cohort_moments, rough_shift
from evaltoolkit.kernels.moment_clusters import ClusterMoments, cluster_moments

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


def pattern_moments(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    design: FloatArray,
    weights: FloatArray | None = None,
    shift: FloatArray | None = None,
) -> CohortMoments:
    """Reduce a panel with holes to sums by cell, the periods of a unit's observations being part of its cell.

    Parameters
    ----------
    outcome
        Shape (n, T), NaN where a unit was not observed. Units never observed count in the sizes of their cohorts.
    start, periods, design, weights, shift
        As in ``cohort_moments``.

    Returns
    -------
    CohortMoments
        With ``there``; without it where no outcome is missing.

    Raises
    ------
    MomentsError
        ``shape``, ``cells``; ``holes`` for missing covariates.

    References
    ----------
    Wong, J., Forsell, E., Lewis, R., Mao, T. and Wardrop, M. (2021). You only compress once: optimal data compression
    for estimating linear models. arXiv:2102.11297.

    Examples
    --------
    >>> y = np.array([[1.0, 3], [2, np.nan], [0, 0]])
    >>> found = pattern_moments(y, np.array([2, 2, 9]), np.array([1, 2]), np.ones((3, 1)), shift=np.zeros(2))
    >>> found.there.tolist(), found.m.tolist()
    ([[True, False], [True, True], [True, True]], [[2.0, 0.0], [1.0, 3.0], [0.0, 0.0]])
    """
    filled, there, level = _filled(outcome, shift)
    found = cohort_moments(filled, start, periods, np.concatenate([design, there], axis=1), weights, level)
    return replace(found, design=found.design[:, : design.shape[1]], there=_there(found, design))


def pattern_clusters(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    design: FloatArray,
    clusters: IntArray,
    weights: FloatArray | None = None,
    shift: FloatArray | None = None,
) -> ClusterMoments:
    """Reduce a panel with holes to sums by cluster and cell.

    Parameters
    ----------
    outcome, start, periods, design, weights, shift
        As in ``pattern_moments``.
    clusters
        Label of each unit's cluster, shape (n,).

    Returns
    -------
    ClusterMoments
        With ``there``; without it where no outcome is missing.

    Raises
    ------
    MomentsError
        As ``pattern_moments``.

    References
    ----------
    Wong, J., Forsell, E., Lewis, R., Mao, T. and Wardrop, M. (2021). You only compress once: optimal data compression
    for estimating linear models. arXiv:2102.11297.

    Examples
    --------
    >>> y, state = np.array([[1.0, 3], [2, np.nan], [0, 0]]), np.array([7, 7, 8])
    >>> found = pattern_clusters(y, np.array([2, 2, 9]), np.array([1, 2]), np.ones((3, 1)), state, shift=np.zeros(2))
    >>> found.m.tolist(), found.cluster.tolist()
    ([[2.0, 0.0], [1.0, 3.0], [0.0, 0.0]], [0, 0, 1])
    """
    filled, there, level = _filled(outcome, shift)
    found = cluster_moments(filled, start, periods, np.concatenate([design, there], axis=1), clusters, weights, level)
    return replace(found, design=found.design[:, : design.shape[1]], there=_there(found, design))


def _filled(outcome: FloatArray, shift: FloatArray | None) -> tuple[FloatArray, Mask, FloatArray]:
    """Return outcomes with the shift where there is none, what is there, and the shift."""
    y = np.asarray(outcome, dtype=np.float64)
    there: Mask = ~np.isnan(y)
    if shift is None:
        size = there.sum(axis=0)
        level = np.where(there, y, 0.0).sum(axis=0) / np.maximum(size, 1)
        shift = rough_shift(np.where(there, y, level))
    level = np.asarray(shift, dtype=np.float64)
    # A missing outcome adds nothing to any sum of outcomes less the shift.
    return np.where(there, y, level) if level.shape == y.shape[1:] else y, there, level


def _there(found: CohortMoments | ClusterMoments, design: FloatArray) -> Mask | None:
    """Return the patterns of a table, which stand beside its covariates; None where nothing is missing."""
    there: Mask = found.design[:, design.shape[1] :] > 0
    return None if there.all() else there
