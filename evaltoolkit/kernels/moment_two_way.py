"""Regressions with unit and period effects, interaction weighting and imputation from a moment table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.imputation import before_table
from evaltoolkit.kernels.moment_cells import MomentsError, added
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.kernels.moment_points import by_start, complete, group_sums, points
from evaltoolkit.kernels.two_stage import TwoStage, second_stage, stage_table
from evaltoolkit.kernels.two_way import Regression, Window, event_table, regression
from evaltoolkit.kernels.two_way_cells import CellEffects
from evaltoolkit.kernels.two_way_moments import Moments, Pairs
from evaltoolkit.kernels.two_way_normal import Source, absorb, plain
from evaltoolkit.kernels.two_way_panel import Panel, TwoWayError
from evaltoolkit.kernels.two_way_untreated import Untreated, check_identified, scores

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


def panel_of_moments(moments: CohortMoments | ClusterMoments) -> tuple[Panel, Moments]:
    """Return a panel without outcomes, and the moments that stand in for them.

    Cells of one start are added up: unit effects take covariates that do not change out. The panel says who there is
    (8 bytes a unit); its outcomes are NaN, so that whatever needs rows, such as jackknives, shows that it has none.

    Parameters
    ----------
    moments
        ``CohortMoments`` where units are the clusters; ``ClusterMoments`` where clusters are coarser.

    References
    ----------
    Wong, J., Forsell, E., Lewis, R., Mao, T. and Wardrop, M. (2021). You only compress once: optimal data compression
    for estimating linear models. arXiv:2102.11297.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y = np.array([[1.0, 3], [2, 6], [0, 0]])
    >>> table = cohort_moments(y, np.array([2, 2, 9]), np.array([1, 2]), np.ones((3, 1)))
    >>> panel, found = panel_of_moments(table)
    >>> panel.cohort.tolist(), float(np.diff(found.mean[0] - found.mean[1])[0].round(9))
    ([0, 0, 1], 3.0)
    """
    complete(moments)
    last, T = int(moments.periods[-1]), moments.periods.size
    cells = moments.cell if isinstance(moments, ClusterMoments) else np.arange(moments.n.size)
    group, starts = by_start(moments, last)
    J, centre = starts.size, np.eye(T) - 1 / T
    sums, stand = group_sums(moments, group, J), points(moments, group, J)
    mean = sums.m @ centre / sums.n[:, None]
    rows = np.broadcast_to(np.float64(np.nan), (int(sums.units.sum()), T))
    who = np.repeat(moments.cluster, moments.units) if isinstance(moments, ClusterMoments) else None
    panel = Panel(
        rows, moments.periods, starts, np.repeat(group[cells], moments.units), who, None, None, None, complete=True
    )  # fmt: skip
    pairs = Pairs(stand.row, stand.group, stand.total @ centre, stand.weight, stand.n_rows)
    # By cluster errors need no second moments; means by squared weight are means where units count alike.
    none, squared, N2 = np.full((J, T, T), np.nan), np.full((J, T), np.nan), np.full(J, np.nan)
    if isinstance(moments, CohortMoments):
        N2 = added(group[group >= 0], moments.N2[group >= 0], J)
        squared = added(group[group >= 0], moments.M2[group >= 0], J) @ centre / N2[:, None]
    elif (moments.n == moments.units).all():
        N2, squared = sums.n, mean
    return panel, Moments(sums.units, sums.n, N2, mean, squared, none, pairs)


def moment_static(moments: CohortMoments | ClusterMoments) -> Regression:
    """Regress the outcome on being treated, as ``two_way.static`` without covariates.

    Parameters
    ----------
    moments
        The table; clusters are units, or those of ``ClusterMoments``.

    Returns
    -------
    Regression
        ``fit`` and ``design`` go with the panel of ``panel_of_moments``: what needs rows cannot use them.

    Raises
    ------
    TwoWayError
        As ``two_way.static``.

    References
    ----------
    Berge, L. (2018). Efficient estimation of maximum likelihood models with multiple fixed-effects. CREA Discussion
    Paper 2018-13 (R package fixest).

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y = np.array([[1.0, 4], [2, 6], [0, 1], [0, 2]])
    >>> table = cohort_moments(y, np.array([2, 2, 9, 9]), np.array([1, 2]), np.ones((4, 1)))
    >>> moment_static(table).coefficients.round(9).tolist()
    [2.0]
    """
    panel, found = panel_of_moments(moments)
    table = panel.treated[:, :, None].astype(np.float64)
    if not table.any():
        raise TwoWayError("no-treated")
    design = plain(table, np.ones(table.shape[:2], dtype=np.bool_))
    return regression(panel, design, np.zeros(1, dtype=np.int64), "treatment", found=found)


def moment_event_study(moments: CohortMoments | ClusterMoments, window: Window | None = None) -> Regression:
    """Regress the outcome on indicators of event times, as ``two_way.event_study`` without covariates.

    Parameters
    ----------
    moments
        The table.
    window
        Which event times; every one but -1 by default.

    Returns
    -------
    Regression
        As ``moment_static``.

    Raises
    ------
    TwoWayError
        As ``two_way.event_study``.

    References
    ----------
    Sun, L. and Abraham, S. (2021). Estimating dynamic treatment effects in event studies with heterogeneous treatment
    effects. Journal of Econometrics 225. doi:10.1016/j.jeconom.2020.09.006

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> table = cohort_moments(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]), np.ones((4, 1)))
    >>> found = moment_event_study(table)
    >>> found.labels.tolist(), abs(found.coefficients.round(9)).tolist()
    ([-2, 0], [0.0, 6.0])
    """
    panel, found = panel_of_moments(moments)
    labels, table, among = event_table(panel, window or Window())
    return regression(panel, plain(table, among), labels, "event-time", found=found)


def moment_interaction_weighted(moments: CohortMoments | ClusterMoments) -> CellEffects:
    """Regress on indicators of cells (Sun and Abraham), as ``saturated.interaction_weighted`` without covariates.

    Parameters
    ----------
    moments
        The table.

    Returns
    -------
    CellEffects

    Raises
    ------
    TwoWayError
        As ``saturated.interaction_weighted``.

    References
    ----------
    Sun, L. and Abraham, S. (2021). Estimating dynamic treatment effects in event studies with heterogeneous treatment
    effects. Journal of Econometrics 225. doi:10.1016/j.jeconom.2020.09.006

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> table = cohort_moments(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]), np.ones((4, 1)))
    >>> found = moment_interaction_weighted(table)
    >>> found.event_time.tolist(), abs(found.att.round(9)).tolist()
    ([-2, 0], [0.0, 6.0])
    """
    panel, found = panel_of_moments(moments)
    among = _comparison_periods(panel)
    wanted = among.copy()
    # The last start is the comparison: never treated, or treated only in periods that are not used.
    wanted[-1] = False
    before = (~panel.treated[:-1]).sum(axis=1) - 1
    wanted[np.arange(before.size), before] = False
    j, t = (v.astype(np.int64) for v in np.nonzero(wanted))
    table = np.zeros((*among.shape, j.size))
    table[j, t, np.arange(j.size)] = 1
    try:
        fit = regression(panel, plain(table, among), np.arange(j.size), "cell", found=found)
    except TwoWayError as error:
        if error.why != "collinear":
            raise
        k = error.label
        cell = (int(panel.starts[j[k]]), int(panel.periods[t[k]]))
        raise TwoWayError("collinear", "cell", k, (cell,)) from None
    return CellEffects(
        panel.starts[j], panel.periods[t], fit.coefficients, fit.scores, found.mass[j], found.size[j], fit.df
    )  # fmt: skip


def _comparison_periods(panel: Panel) -> Mask:
    """Return which observations are used, shape (J, T)."""
    among = np.ones(panel.treated.shape, dtype=np.bool_)
    if panel.treated.all(axis=1).any():
        raise TwoWayError("always-treated")
    if not panel.treated.any():
        raise TwoWayError("no-treated")
    if panel.starts[-1] != NEVER:
        among[:, panel.periods >= panel.starts[-1]] = False
        if not (among & panel.treated).any():
            raise TwoWayError("no-comparison")
    return among


def moment_imputation(moments: CohortMoments | ClusterMoments) -> CellEffects:
    """Impute untreated outcomes (Borusyak, Jaravel and Spiess), as ``imputation.imputation`` without covariates.

    Residuals of treated observations are less the mean of their cell (``centre="all"``); leave-one-out means need rows.

    Parameters
    ----------
    moments
        The table; ``ClusterMoments`` without weights only, because means by squared weight are not in it.

    Returns
    -------
    CellEffects

    Raises
    ------
    TwoWayError
        As ``imputation.imputation``; ``always-treated`` does not name units.
    MomentsError
        ``weights``: the table by cluster has weights.

    References
    ----------
    Borusyak, K., Jaravel, X. and Spiess, J. (2024). Revisiting event-study designs: robust and efficient estimation.
    Review of Economic Studies 91. doi:10.1093/restud/rdae007

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> table = cohort_moments(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]), np.ones((4, 1)))
    >>> found = moment_imputation(table)
    >>> found.event_time.tolist(), found.att.round(9).tolist()
    ([0], [6.0])
    """
    panel, found = panel_of_moments(moments)
    if panel.n_clusters < 2:
        raise TwoWayError("single-cluster")
    if not np.isfinite(found.mass_squared).all():
        raise MomentsError("weights")
    j, t = (v.astype(np.int64) for v in np.nonzero(panel.treated))
    if j.size == 0:
        raise TwoWayError("no-treated")
    if panel.treated.all(axis=1).any():
        raise TwoWayError("always-treated")
    model = _untreated(panel, found)
    check_identified(model, j, t)
    average = np.zeros((*panel.treated.shape, j.size))
    average[j, t, np.arange(j.size)] = 1 / model.weight[j, t]
    psi = scores(model, average, np.where(panel.treated, model.left_squared, 0.0))
    return CellEffects(
        panel.starts[j], panel.periods[t], model.left[j, t], psi, model.weight[j, t], model.n[j, t],
        panel.n_clusters - 1,
    )  # fmt: skip


def moment_pre_trends(
    moments: CohortMoments | ClusterMoments, event_times: tuple[int, ...] | None = None
) -> Regression:
    """Test for effects before the start with untreated observations only, as ``imputation.pre_trends``.

    Parameters
    ----------
    moments
        The table.
    event_times
        Below zero; None for all but -1.

    Returns
    -------
    Regression
        As ``moment_static``.

    Raises
    ------
    TwoWayError
        As ``imputation.pre_trends``.

    References
    ----------
    Borusyak, K., Jaravel, X. and Spiess, J. (2024). Revisiting event-study designs: robust and efficient estimation.
    Review of Economic Studies 91. doi:10.1093/restud/rdae007

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y = np.array([[1.0, 2, 9], [0, 2, 8], [1, 2, 3], [4, 5, 6]])
    >>> table = cohort_moments(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]), np.ones((4, 1)))
    >>> found = moment_pre_trends(table)
    >>> found.labels.tolist(), found.coefficients.round(9).tolist()
    ([-2], [-0.5])
    """
    panel, found = panel_of_moments(moments)
    labels, table, free = before_table(panel, event_times)
    return regression(panel, plain(table, free), labels, "event-time", found=found)


def moment_two_stage(moments: CohortMoments | ClusterMoments, window: Window | None = None) -> TwoStage:
    """Take effects of untreated observations out and average the rest (Gardner), as ``two_stage.two_stage``.

    Parameters
    ----------
    moments
        The table.
    window
        Event times; None for one effect of treatment.

    Returns
    -------
    TwoStage

    Raises
    ------
    TwoWayError
        As ``two_stage.two_stage``; ``always-treated`` does not name units.

    References
    ----------
    Gardner, J. (2022). Two-stage differences in differences. arXiv:2207.05943.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohort_moments import cohort_moments
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> table = cohort_moments(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]), np.ones((4, 1)))
    >>> moment_two_stage(table).coefficients.round(9).tolist()
    [6.0]
    """
    panel, found = panel_of_moments(moments)
    labels, table = stage_table(panel, window)
    if panel.n_clusters < 2:
        raise TwoWayError("single-cluster")
    if not panel.treated.any():
        raise TwoWayError("no-treated")
    if panel.treated.all(axis=1).any():
        raise TwoWayError("always-treated")
    return second_stage(_untreated(panel, found), labels, table)


def _untreated(panel: Panel, found: Moments) -> Untreated:
    """Fit period effects on untreated observations: ``two_way_untreated.untreated`` with cohorts as rows."""
    J, T = panel.treated.shape
    source, free = Source(panel, found), ~panel.treated
    design = plain(np.zeros((J, T, 0)), free)
    fit = absorb(source, design)
    effects = fit.effects[:, :, -1]
    # Takes each cohort's mean over untreated periods out.
    left = np.eye(T) - (free / free.sum(axis=1)[:, None])[:, None, :]
    of = np.einsum("jts,js->jt", left, found.mean - effects[0])
    of_squared = np.einsum("jts,js->jt", left, found.mean_squared - effects[0])
    mass, squared = (np.repeat(v[:, None], T, axis=1) for v in (found.mass, found.mass_squared))
    return Untreated(
        source, design, fit, effects, mass, squared, of, of_squared, np.repeat(found.size[:, None], T, axis=1),
        (found.mass[:, None, None] * left)[None], np.zeros((J, T, 0)),
    )  # fmt: skip
