"""Means by start with the spread between units, from a moment table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cluster_means import DONORS, FewTreatedError, GroupMeans
from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.cohorts import Rule
from evaltoolkit.kernels.moment_cells import MomentsError, added
from evaltoolkit.kernels.moment_points import by_start, group_sums

FloatArray = NDArray[np.float64]

ALIKE = 1e-9
"""Share by which the weights of a start may seem to differ through rounding."""


def moment_group_means(moments: CohortMoments, rule: Rule) -> GroupMeans:
    r"""Return what ``group_means`` of ``cluster_means`` gives where units are the clusters.

    With one weight for the units of a start, their mean has the covariance :math:`\sum_i (Y_i - \bar Y)(Y_i - \bar Y)'
    / (n (n - 1))`. A regression on covariates among never-treated units, period by period, is taken out: it moves the
    sums of a cell as a shift does.

    Parameters
    ----------
    moments
        The table.
    rule
        How cells are estimated.

    Returns
    -------
    GroupMeans

    Raises
    ------
    FewTreatedError
        ``no-never-treated``: too few units never start. ``holes``: units are missing in some periods.
    MomentsError
        ``weights``: units of a start have different weights, and then sums do not tell the covariance.

    References
    ----------
    Wong, J., Forsell, E., Lewis, R., Mao, T. and Wardrop, M. (2021). You only compress once: optimal data compression
    for estimating linear models. arXiv:2102.11297.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y, start = np.array([[0, 3.0], [0, 5], [0, 0], [0, 1], [0, 2], [0, 3], [0, 4]]), np.repeat([2, 9], [2, 5])
    >>> table = cohort_moments(y, start, np.array([1, 2]), np.ones((7, 1)))
    >>> found = moment_group_means(table, Rule())
    >>> found.mean.round(9).tolist(), found.covariance[:, 1, 1].round(9).tolist()
    ([[0.0, 4.0], [0.0, 2.0]], [1.0, 0.5])
    """
    if moments.there is not None and not moments.there.all():
        raise FewTreatedError("holes")
    last = int(moments.periods[-1])
    group, starts = by_start(moments, int(moments.starts.max()))
    kept = group >= 0
    sums = group_sums(moments, group, starts.size)
    never = starts > last + rule.anticipation
    lost = moments.design.shape[1] - 1
    if int(sums.units[never].sum()) - lost < DONORS:
        raise FewTreatedError("no-never-treated")
    N2 = added(group[kept], moments.N2[kept], starts.size)
    if (np.abs(N2 * sums.units - sums.n**2) > ALIKE * sums.n**2).any():
        raise MomentsError("weights")
    off = _explained(moments, np.append(never, False)[group] & kept)
    m = added(group[kept], (moments.m - moments.n[:, None] * off)[kept], starts.size)
    M2 = added(group[kept], (moments.M2 - moments.N2[:, None] * off)[kept], starts.size)
    Q = added(group[kept], _without(moments, off)[kept], starts.size)
    apart = Q - M2[:, :, None] * M2[:, None, :] / N2[:, None, None]
    units = np.maximum(sums.units, 2)
    covariance = apart / (sums.n**2 * (1 - 1 / units))[:, None, None]
    covariance[sums.units < 2] = 0.0
    mean = m / sums.n[:, None] + (0.0 if lost else moments.shift)
    return GroupMeans(starts, moments.periods, rule, sums.units, sums.n, mean, covariance, lost)


def _explained(moments: CohortMoments, never: NDArray[np.bool_]) -> FloatArray:
    """Return what covariates explain of each cell's outcomes by a regression on never-treated cells, shape (S, T)."""
    if moments.design.shape[1] == 1:
        return np.zeros(moments.m.shape)
    root = np.sqrt(moments.n[never])[:, None]
    right = moments.m[never] / root + root * moments.shift
    slope = np.linalg.lstsq(moments.design[never] * root, right, rcond=None)[0]
    found: FloatArray = moments.design @ slope - moments.shift
    return found


def _without(moments: CohortMoments, off: FloatArray) -> FloatArray:
    """Return second moments of outcomes less a number for each cell and period."""
    M2 = moments.M2 - moments.N2[:, None] * off
    found: FloatArray = moments.Q - moments.M2[:, :, None] * off[:, None, :] - off[:, :, None] * M2[:, None, :]
    return found
