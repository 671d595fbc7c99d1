"""Two-stage difference-in-differences (Gardner): a regression of what untreated observations do not predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.two_way import Window, event_table
from evaltoolkit.kernels.two_way_cells import CellEffects
from evaltoolkit.kernels.two_way_panel import Panel, TwoWayError
from evaltoolkit.kernels.two_way_untreated import Untreated, check_identified, scores, untreated

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TwoStage:
    """Coefficients of the second stage.

    Attributes
    ----------
    labels
        Event times, shape (m,); zero for a static effect.
    coefficients
        Shape (m,).
    scores
        Shape (C, m): ``scores.T @ scores`` is the covariance, without a small-sample factor. Where units are the
        clusters and there are very many, rows are no clusters.
    weight
        Observations of each coefficient, or their weights, shape (m,).
    df
        Clusters less one.
    """

    labels: IntArray
    coefficients: FloatArray
    scores: FloatArray
    weight: FloatArray
    df: int


def two_stage(panel: Panel, window: Window | None = None) -> TwoStage:
    r"""Take unit and period effects of untreated observations out, then regress on treatment or event times.

    First stage as in ``imputation``; the second regresses :math:`\hat\tau_{it}` of all observations on x, without an
    intercept. With u the second stage's residuals, e the first's and Z its regressors, scores are those of GMM:
    :math:`(X'WX)^{-1} (X_i'W_i u_i - X'WZ (Z_0'W_0Z_0)^{-1} Z_{0i}'W_{0i} e_i)`. No small-sample factor (R ``did2s``).

    Parameters
    ----------
    panel
        Outcomes, n units in T periods.
    window
        Event times, as in ``two_way.event_study``; None for one effect of treatment. Event times before the start
        average residuals of the first stage, and so are nearer to zero than those of ``imputation.pre_trends``.

    Returns
    -------
    TwoStage

    Raises
    ------
    TwoWayError
        ``always-treated`` with units, ``collinear`` with the covariate, ``unidentified`` with the cells,
        ``no-treated``, ``single-cluster``.

    References
    ----------
    Gardner, J. (2022). Two-stage differences in differences. arXiv:2207.05943.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohorts import NEVER
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> two_stage(two_way_panel(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]))).coefficients.round(9).tolist()
    [6.0]
    """
    labels, table = stage_table(panel, window)
    if panel.n_clusters < 2:
        raise TwoWayError("single-cluster")
    return second_stage(untreated(panel), labels, table)


def stage_table(panel: Panel, window: Window | None) -> tuple[IntArray, FloatArray]:
    """Return labels (m) and indicators (J, T, m) of the second stage.

    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> stage_table(two_way_panel(np.zeros((2, 2)), np.array([2, 9]), np.array([1, 2])), None)[1][:, :, 0].tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    if window is None:
        return np.zeros(1, dtype=np.int64), panel.treated[:, :, None].astype(np.float64)
    labels, table, among = event_table(panel, window)
    return labels, table * among[:, :, None]


def two_stage_cells(panel: Panel) -> CellEffects:
    """Return effects by cohort and period: the second stage on an indicator of each.

    Averages of cells have the errors of a model with an effect of its own in each cell; ``two_stage`` has those of a
    model with one effect for all observations of a coefficient, which are larger where effects differ.

    Raises
    ------
    TwoWayError
        As ``two_stage``.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohorts import NEVER
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> two_stage_cells(two_way_panel(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]))).period.tolist()
    [3]
    """
    if panel.n_clusters < 2:
        raise TwoWayError("single-cluster")
    model = untreated(panel)
    j, t = np.nonzero(panel.treated & (model.n > 0))
    check_identified(model, j, t)
    average = np.zeros((*panel.treated.shape, j.size))
    average[j, t, np.arange(j.size)] = 1 / model.weight[j, t]
    found = scores(model, average, np.where(panel.treated, model.left, 0.0))
    return CellEffects(
        panel.starts[j], panel.periods[t], model.left[j, t], found, model.weight[j, t], model.n[j, t],
        panel.n_clusters - 1,
    )  # fmt: skip


def second_stage(model: Untreated, labels: IntArray, table: FloatArray) -> TwoStage:
    """Regress what a model leaves on indicators of which none overlap; those without observations are left out.

    Parameters
    ----------
    model
        The first stage.
    labels, table
        From ``stage_table``.

    Raises
    ------
    TwoWayError
        ``no-treated``, ``unidentified``.

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> panel = two_way_panel(y, np.array([3, 3, 9, 9]), np.array([1, 2, 3]))
    >>> second_stage(untreated(panel), *stage_table(panel, None)).coefficients.round(9).tolist()
    [6.0]
    """
    weight = np.einsum("jt,jtm->m", model.weight, table)
    if not weight.any():
        raise TwoWayError("no-treated")
    j, t = np.nonzero(table.any(axis=2) & model.panel.treated & (model.n > 0))
    check_identified(model, j, t)
    average = table / np.where(weight > 0, weight, 1.0)
    coefficients = np.einsum("jtm,jt,jt->m", average, model.weight, model.left)
    found = scores(model, average, table @ coefficients)
    kept = weight > 0
    return TwoStage(labels[kept], coefficients[kept], found[:, kept], weight[kept], model.panel.n_clusters - 1)
