"""Imputation: effects as outcomes less what untreated observations predict (Borusyak, Jaravel and Spiess)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.two_way import Regression, regression
from evaltoolkit.kernels.two_way_cells import CellEffects
from evaltoolkit.kernels.two_way_normal import plain
from evaltoolkit.kernels.two_way_panel import Panel, TwoWayError
from evaltoolkit.kernels.two_way_untreated import (
    Untreated,
    check_identified,
    leave_one_out_scores,
    scores,
    untreated,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


def imputation(panel: Panel, centre: Literal["all", "leave-one-out"] = "all") -> CellEffects:
    r"""Fit unit and period effects on untreated observations; effects are means of outcomes less predictions.

    With :math:`v_{it}` the weight of an observation in the estimate, the conservative covariance of the paper is
    :math:`\sum_c (\sum_{it \in c} v_{it} \tilde e_{it})^2`, where residuals of treated observations are less the mean
    of their cohort and period, :math:`\sum v^2 \hat\tau / \sum v^2`. No small-sample factor (R ``didimputation``).
    Aggregations are linear in cells: ``aggregate(..., weights=found.weight)``, or ``found.weighted(rows)`` for any
    other weights of cells.

    Parameters
    ----------
    panel
        Outcomes, n units in T periods. Weights count in the fit and in the averages.
    centre
        ``all``: means over the cell; ``leave-one-out``: over its other clusters, which corrects for how effects fit
        their own mean.

    Returns
    -------
    CellEffects
        Cells from the start on.

    Raises
    ------
    TwoWayError
        ``always-treated`` with units, ``collinear`` with the covariate, ``unidentified`` with the cells,
        ``no-treated``, ``single-cluster`` with the cells for ``leave-one-out``.

    References
    ----------
    Borusyak, K., Jaravel, X. and Spiess, J. (2024). Revisiting event-study designs: robust and efficient estimation.
    Review of Economic Studies 91. doi:10.1093/restud/rdae007

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> found = imputation(two_way_panel(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3])))
    >>> found.event_time.tolist(), found.att.round(9).tolist()
    ([0], [6.0])
    """
    if panel.n_clusters < 2:
        raise TwoWayError("single-cluster")
    model = untreated(panel)
    j, t = np.nonzero(panel.treated & (model.n > 0))
    if j.size == 0:
        raise TwoWayError("no-treated")
    check_identified(model, j, t)
    average = np.zeros((*panel.treated.shape, j.size))
    average[j, t, np.arange(j.size)] = 1 / model.weight[j, t]
    middle = np.where(panel.treated, model.left_squared, 0.0)
    if centre == "all":
        found = scores(model, average, middle)
    elif model.source.moments is not None and panel.weights is None and panel.clusters is None:
        found = scores(model, average, middle, _factor(model, j, t))
    else:
        found = leave_one_out_scores(model, average)
    return CellEffects(
        panel.starts[j], panel.periods[t], model.left[j, t], found, model.weight[j, t], model.n[j, t],
        panel.n_clusters - 1,
    )  # fmt: skip


def _factor(model: Untreated, j: IntArray, t: IntArray) -> FloatArray:
    """Return n / (n - 1): with equal weights, deviations from the mean of the others are so many times larger."""
    alone = np.flatnonzero(model.n[j, t] < 2)
    if alone.size:
        panel = model.panel
        cells = tuple((int(panel.starts[j[k]]), int(panel.periods[t[k]])) for k in alone)
        raise TwoWayError("single-cluster", "cell", 0, cells)
    found: FloatArray = model.n / np.maximum(model.n - 1, 1)
    return found


def pre_trends(panel: Panel, event_times: tuple[int, ...] | None = None) -> Regression:
    r"""Test for effects before the start, with untreated observations only.

    :math:`y_{it} = \sum_{e} \beta_e 1\{t - G_i = e\} + a_i + b_t + x_{it}'\gamma + e_{it}` where untreated: what is
    tested stays apart from what is estimated. Errors as in ``two_way.static`` (R ``did_imputation(pretrends =)``).

    Parameters
    ----------
    panel
        Outcomes, n units in T periods.
    event_times
        Below zero; None for all but -1.

    Returns
    -------
    Regression

    Raises
    ------
    TwoWayError
        ``collinear`` with the event time, ``no-treated`` where there is none, ``single-cluster``.

    References
    ----------
    Borusyak, K., Jaravel, X. and Spiess, J. (2024). Revisiting event-study designs: robust and efficient estimation.
    Review of Economic Studies 91. doi:10.1093/restud/rdae007

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[1.0, 2, 9], [0, 2, 8], [1, 2, 3], [4, 5, 6]])
    >>> found = pre_trends(two_way_panel(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3])))
    >>> found.labels.tolist(), found.coefficients.round(9).tolist()
    ([-2], [-0.5])
    """
    labels, table, free = before_table(panel, event_times)
    p = 0 if panel.covariates is None else panel.covariates.shape[2]
    return regression(panel, plain(table, free, p), labels, "event-time")


def before_table(panel: Panel, event_times: tuple[int, ...] | None) -> tuple[IntArray, FloatArray, Mask]:
    """Return event times before the start (m), their indicators (J, T, m), and what is untreated (J, T).

    Raises
    ------
    TwoWayError
        ``no-treated``: there is none.

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> before_table(two_way_panel(np.zeros((2, 3)), np.array([3, NEVER]), np.array([1, 2, 3])), None)[0].tolist()
    [-2]
    """
    since, free = panel.event_time, ~panel.treated
    every = np.unique(since[free & (panel.starts != NEVER)[:, None]])
    labels = every[every != -1] if event_times is None else every[np.isin(every, event_times)]
    if labels.size == 0:
        raise TwoWayError("no-treated")
    table = (since[:, :, None] == labels) & free[:, :, None]
    return labels, table.astype(np.float64), free
