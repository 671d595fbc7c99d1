"""The extended two-way model, linear and without covariates, from a moment table (Wooldridge)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.cohorts import Rule
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.kernels.moment_points import by_start, complete, group_sums, points
from evaltoolkit.kernels.nonlinear import NonlinearGroupTime
from evaltoolkit.kernels.nonlinear_likelihood import Fit, NonlinearError, Rows, fit
from evaltoolkit.kernels.nonlinear_panel import Panel, masked, placed
from evaltoolkit.kernels.nonlinear_scores import CellValues, OwnFits, cell_values, own_fits, small_sample

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def moment_extended(moments: CohortMoments | ClusterMoments, rule: Rule | None = None) -> NonlinearGroupTime:
    r"""Estimate what ``nonlinear_group_time`` does for the linear model without covariates.

    The fit needs means by start and period alone. With :math:`\hat\mu` the fitted untreated mean, the influence of a
    unit on a cell is :math:`w_i (Y_{it} - \bar Y_{gt}) / n_{gt} - \sum_{s\ \mathrm{untreated}} \lambda_{gts}
    w_i (Y_{is} - \hat\mu_{g(i)s})`: linear in outcomes, so sums by cluster, or second moments, give the errors.

    Parameters
    ----------
    moments
        ``CohortMoments`` where units are the clusters; ``ClusterMoments`` where clusters are coarser.
    rule
        ``comparison`` and ``anticipation`` count; None for not-yet treated and none.

    Returns
    -------
    NonlinearGroupTime
        Rows of scores are clusters in the order of the labels, or have the cross-products of units.

    Raises
    ------
    NonlinearError
        ``no-outcome``, ``few-clusters``, ``no-degrees``.

    References
    ----------
    Wooldridge, J. (2025). Two-way fixed effects, the two-way Mundlak regression, and difference-in-differences
    estimators. Empirical Economics 69. doi:10.1007/s00181-025-02807-z
    Wong, J., Forsell, E., Lewis, R., Mao, T. and Wardrop, M. (2021). You only compress once: optimal data compression
    for estimating linear models. arXiv:2102.11297.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y = np.array([[2.0, 8], [4, 10], [1, 2], [2, 4]])
    >>> found = moment_extended(cohort_moments(y, np.array([2, 2, 9, 9]), np.array([1, 2]), np.ones((4, 1))))
    >>> found.att.round(9).tolist(), found.counterfactual.round(9).tolist()
    ([4.5], [4.5])
    """
    complete(moments)
    rule = Rule() if rule is None else rule
    first, last = (int(t) + rule.anticipation for t in moments.periods[[0, -1]])
    group, starts = by_start(moments, last, first)
    if starts.size == 0:
        raise NonlinearError("no-outcome")
    sums = group_sums(moments, group, starts.size)
    mean = sums.m / sums.n[:, None]
    scale = max(float(np.abs(mean).max()), 1e-300)
    size = np.repeat(sums.n[:, None], moments.periods.size, axis=1)
    rows = Rows(np.ones((starts.size, 1)), np.arange(starts.size), mean / scale * size, size)
    panel = placed(rows, size > 0, (sums.n, np.arange(starts.size)), (starts, moments.periods), rule)
    base = fit(masked(rows, panel.untreated), "linear")
    values = cell_values(panel, rows, "linear", base)
    own = own_fits(panel, "linear", values.status)
    used = panel.untreated | own.used
    counts = int(sums.units @ used.sum(axis=1)), base.kept.size + own.n_parameters, _present(moments, group, used)
    factor = small_sample(*counts)
    both = _scores(panel, base, values, own, scale)
    psi = [points(moments, group, starts.size).scores(*pair) for pair in both]
    times = np.where(np.isfinite(values.levels), np.sqrt(factor), np.nan)
    shift = moments.shift[np.searchsorted(moments.periods, panel.cell_period)]
    j = np.searchsorted(starts, panel.cell_cohort)
    return NonlinearGroupTime(
        panel.cell_cohort, panel.cell_period, values.status, values.levels * scale + shift,
        values.counterfactual * scale + shift, psi[0] * times, psi[1] * times, sums.units[j], values.weight,
        values.exposure, np.zeros((0, 2), dtype=np.int64), *counts, factor,
    )  # fmt: skip


def _present(moments: CohortMoments | ClusterMoments, group: IntArray, used: NDArray[np.bool_]) -> int:
    """Return the number of clusters with an observation that is used."""
    inside = np.append(used.any(axis=1), False)
    if isinstance(moments, ClusterMoments):
        return int(np.unique(moments.cluster[inside[group[moments.cell]] & (moments.units > 0)]).size)
    return int(moments.units[inside[group]].sum())


Linear = tuple[FloatArray, FloatArray]
"""What outcomes are multiplied by, shape (J, K, T), and what is added, shape (J, K)."""


def _scores(panel: Panel, base: Fit, values: CellValues, own: OwnFits, scale: float) -> tuple[Linear, Linear]:
    """Return the influence of a unit on levels and on counterfactuals, without the small-sample factor."""
    J, T = panel.untreated.shape
    K = values.levels.size
    influence = np.zeros((base.theta.size, K))
    influence[base.kept] = base.inverse @ values.slope[:, base.kept].T
    across = influence[:J, None] + influence[None, J:]
    theirs = (across * panel.untreated[:, :, None]).transpose(0, 2, 1)
    mean = (base.theta[:J, None] + base.theta[None, J:]) * scale
    mine = np.zeros((J, K, T))
    j, t = np.nonzero((panel.cell >= 0) & own.used)
    c = panel.cell[j, t]
    mine[j, c, t] = 1 / values.weight[c]
    level = np.zeros((J, K))
    level[j, c] = -values.levels[c] * scale / values.weight[c]
    return (mine, level), (theirs, -np.einsum("jkt,jt->jk", theirs, mean))
