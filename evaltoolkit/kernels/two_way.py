"""Regressions with unit and period effects: static, and by event time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.two_way_moments import ClusterSums, Moments, moments
from evaltoolkit.kernels.two_way_normal import Absorbed, CollinearError, Design, Source, absorb, plain
from evaltoolkit.kernels.two_way_panel import Panel, TwoWayError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Regression:
    """Coefficients of a regression with unit and period effects, with clustered scores.

    Attributes
    ----------
    labels
        Event time of each of the first m coefficients, shape (m,); zero for a static effect.
    coefficients
        m effects, then p covariates, shape (m + p,).
    scores
        Shape (C, m + p), the small-sample factor included: ``scores.T @ scores`` is the covariance. Where units are the
        clusters and there are very many, rows are no clusters.
    df
        Degrees of freedom of a t reference: clusters less one.
    factor
        The small-sample factor of the covariance.
    n_observations
        Observations used.
    fit, design
        What other covariances are computed from.
    """

    labels: IntArray
    coefficients: FloatArray
    scores: FloatArray
    df: int
    factor: float
    n_observations: int
    fit: Absorbed
    design: Design

    @property
    def covariance(self) -> FloatArray:
        """Clustered covariance, shape (m + p, m + p)."""
        return self.scores.T @ self.scores


@dataclass(frozen=True, slots=True)
class Window:
    """Which event times an event study has coefficients for.

    Attributes
    ----------
    reference
        Event times left out; one more than ``-1`` is needed where no unit is never treated.
    first, last
        Event times beyond which there are no coefficients; None for no bound.
    outside
        ``bin``: observations beyond share the coefficient of the end point. ``drop``: they are not used.
    """

    reference: tuple[int, ...] = (-1,)
    first: int | None = None
    last: int | None = None
    outside: Literal["bin", "drop"] = "bin"


def static(panel: Panel) -> Regression:
    r"""Regress the outcome on being treated: :math:`y_{it} = \beta D_{it} + x_{it}'\gamma + a_i + b_t + e_{it}`.

    Errors follow R ``fixest``: covariance times :math:`\frac{G}{G-1} \frac{N-1}{N-K}`, where unit effects (and period
    effects by group, where each group is in one cluster) are nested in clusters and not counted in K; t with G - 1
    degrees of freedom. Other covariances: ``two_way_errors.covariance``.

    Parameters
    ----------
    panel
        Outcomes, n units in T periods.

    Returns
    -------
    Regression

    Raises
    ------
    TwoWayError
        ``no-treated``, ``collinear``, ``single-cluster``.

    References
    ----------
    Berge, L. (2018). Efficient estimation of maximum likelihood models with multiple fixed-effects. CREA Discussion
    Paper 2018-13 (R package fixest).

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[1.0, 4], [2, 6], [0, 1], [0, 2]])
    >>> static(two_way_panel(y, np.array([2, 2, 9, 9]), np.array([1, 2]))).coefficients.tolist()
    [2.0]
    """
    table = panel.treated[:, :, None].astype(np.float64)
    if not table.any():
        raise TwoWayError("no-treated")
    design = plain(table, np.ones(table.shape[:2], dtype=np.bool_), _covariates(panel))
    return regression(panel, design, np.zeros(1, dtype=np.int64), "treatment")


def event_study(panel: Panel, window: Window | None = None) -> Regression:
    r"""Regress the outcome on indicators of event times.

    :math:`y_{it} = \sum_{e} \beta_e 1\{t - G_i = e\} + x_{it}'\gamma + a_i + b_t + e_{it}`. Errors as in
    ``static``. Coefficients mix effects of different cohorts and event times where these differ; the saturated
    regression does not.

    Parameters
    ----------
    panel
        Outcomes, n units in T periods.
    window
        Which event times; every one but -1 by default.

    Returns
    -------
    Regression

    Raises
    ------
    TwoWayError
        ``collinear`` with the event time that is not identified: leave out one more, which is needed where no unit is
        never treated.

    References
    ----------
    Sun, L. and Abraham, S. (2021). Estimating dynamic treatment effects in event studies with heterogeneous treatment
    effects. Journal of Econometrics 225. doi:10.1016/j.jeconom.2020.09.006

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> found = event_study(two_way_panel(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3])))
    >>> found.labels.tolist(), abs(found.coefficients.round(9)).tolist()
    ([-2, 0], [0.0, 6.0])
    """
    labels, table, among = event_table(panel, window or Window())
    return regression(panel, plain(table, among, _covariates(panel)), labels, "event-time")


def event_table(panel: Panel, window: Window) -> tuple[IntArray, FloatArray, Mask]:
    """Return event times (m), their indicators (J, T, m), and which observations are used (J, T).

    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> panel = two_way_panel(np.zeros((2, 4)), np.array([2, NEVER]), np.arange(1, 5))
    >>> event_table(panel, Window(last=1))[0].tolist()
    [0, 1]
    """
    since = panel.event_time
    never = panel.starts == NEVER
    among = np.ones(since.shape, dtype=np.bool_)
    low = -NEVER if window.first is None else window.first
    high = NEVER if window.last is None else window.last
    if window.outside == "drop":
        among = never[:, None] | ((since >= low) & (since <= high))
    since = np.where(never[:, None], since, np.clip(since, low, high))
    size = np.bincount(panel.cohort, minlength=panel.starts.size) > 0
    labels = np.unique(since[among & size[:, None] & ~never[:, None]])
    labels = labels[~np.isin(labels, window.reference)]
    if labels.size == 0:
        raise TwoWayError("no-treated")
    return labels, (since[:, :, None] == labels).astype(np.float64), among


def regression(
    panel: Panel, design: Design, labels: IntArray, kind: str, counted: int | None = None, found: Moments | None = None
) -> Regression:
    """Regress on a design whose first columns have labels.

    Parameters
    ----------
    panel
        Outcomes.
    design
        The regressors.
    labels
        Of the first m regressors, shape (m,).
    kind
        What the labels are, for errors.
    counted
        Parameters counted in the small-sample factor in place of nuisance columns; None for the columns themselves.
    found
        Moments of the panel, where they are known already.

    Raises
    ------
    TwoWayError
        ``collinear``, ``single-cluster``.

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> panel = two_way_panel(np.array([[1.0, 4], [0, 1]]), np.array([2, 9]), np.array([1, 2]))
    >>> design = plain(panel.treated[:, :, None].astype(float), np.ones((2, 2), dtype=bool))
    >>> regression(panel, design, np.zeros(1, dtype=np.int64), "treatment").coefficients.tolist()
    [2.0]
    """
    source = Source(panel, found or (moments(panel) if panel.by_cohort else None))
    try:
        fit = absorb(source, design)
    except CollinearError as error:
        place = error.column
        if place < labels.size:
            raise TwoWayError("collinear", kind, int(labels[place])) from None
        raise TwoWayError("collinear", "covariate", place - labels.size) from None
    if fit.counts.clusters < 2:
        raise TwoWayError("single-cluster")
    nuisance = int(design.nuisance[fit.kept].sum())
    factor = _small_sample(fit, 0 if counted is None else counted - nuisance)
    scores = _scores(source, design, fit) * np.sqrt(factor)
    n, df = fit.counts.observations, fit.counts.clusters - 1
    return Regression(labels, fit.coefficients, scores, df, factor, n, fit, design)


def _small_sample(fit: Absorbed, more: int) -> float:
    r"""Return :math:`\frac{G}{G-1} \frac{N-1}{N-K}`, K without effects nested in clusters (R ``fixest``)."""
    n, G = fit.counts.observations, fit.counts.clusters
    parameters = fit.kept.size + 1 + (0 if fit.counts.nested else fit.counts.effects - 1) + more
    return G / (G - 1) * (n - 1) / max(n - parameters, 1)


def _covariates(panel: Panel) -> int:
    return 0 if panel.covariates is None else int(panel.covariates.shape[2])


def _scores(source: Source, design: Design, fit: Absorbed) -> FloatArray:
    """Return scores by cluster without a small-sample factor."""
    K = design.size
    if source.moments is None:
        sums = ClusterSums(source.panel, K)
        for rows in source.rows(K + 1):
            x, e = fit.residuals(design, rows)
            sums.add(rows.index, np.einsum("bt,btk->bk", design.weight(rows) * e, x, optimize=True) @ fit.bread)
        return sums.scores()
    J, T = design.among.shape
    slope, shift = np.zeros((J, K, T)), np.zeros((J, K))
    for rows in source.moments.rows():
        j = rows.cohort
        x = fit.residuals(design, rows)[0][0] * design.among[j][:, None]
        slope[j] = fit.bread @ x.T
        shift[j] = -slope[j] @ (fit.effects[0, :, -1] + x @ fit.coefficients)
    return source.moments.scores(slope, shift)


@dataclass(frozen=True, slots=True)
class TreatedCells:
    """Weights of K treated cells in the static coefficient.

    Attributes
    ----------
    cohort, period
        Shape (K,).
    weight
        Weight of the effect in the cell, summing to one; may be negative, shape (K,).
    share
        Of treated observations (their weights), summing to one, shape (K,).
    """

    cohort: IntArray
    period: IntArray
    weight: FloatArray
    share: FloatArray


def treated_cell_weights(panel: Panel) -> TreatedCells:
    r"""Return how the static coefficient weights effects: :math:`\beta = E[\sum_{gt} \omega_{gt} \tau_{gt}]`.

    With :math:`\tilde D` the residual of treatment on effects and covariates,
    :math:`\omega_{gt} = \sum_{i \in g} w_{it} \tilde D_{it} / \sum_{D = 1} w_{it} \tilde D_{it}`.

    Parameters
    ----------
    panel
        Outcomes, n units in T periods.

    Returns
    -------
    TreatedCells

    Raises
    ------
    TwoWayError
        As ``static``.

    References
    ----------
    de Chaisemartin, C. and D'Haultfoeuille, X. (2020). Two-way fixed effects estimators with heterogeneous treatment
    effects. American Economic Review 110. doi:10.1257/aer.20181169

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> panel = two_way_panel(np.random.default_rng(1).normal(size=(4, 3)), np.array([2, 2, 3, 3]), np.array([1, 2, 3]))
    >>> treated_cell_weights(panel).weight.round(9).tolist()
    [1.0, -0.5, 0.5]
    """
    fit, design = (found := static(panel)).fit, found.design
    J, T = panel.treated.shape
    total, size = np.zeros((J, T)), np.zeros((J, T))
    for rows in Source(panel, None).rows(design.size + 1):
        x, w = fit.residuals(design, rows)[0], design.weight(rows)
        # The coefficient of treatment alone: covariates out of its residual too.
        total[rows.cohort] += np.einsum("bt,btk,k->t", w, x, fit.bread[0], optimize=True)
        size[rows.cohort] += w.sum(axis=0)
    j, t = np.nonzero(panel.treated & (size > 0))
    return TreatedCells(
        panel.starts[j], panel.periods[t], total[j, t] / total[j, t].sum(), size[j, t] / size[j, t].sum()
    )
