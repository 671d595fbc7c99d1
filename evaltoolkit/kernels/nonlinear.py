"""Extended two-way effects of cohort and period in linear, Poisson and logit models (Wooldridge)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.nonlinear_likelihood import Family, NonlinearError, fit
from evaltoolkit.kernels.nonlinear_panel import Observed, masked, panel
from evaltoolkit.kernels.nonlinear_scores import Status, cell_values, own_fits, scores, separated_cells

__all__ = ["NEVER", "Family", "NonlinearError", "NonlinearGroupTime", "Observed", "Status", "nonlinear_group_time"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NonlinearGroupTime:
    """K cells, each a cohort in a period.

    Attributes
    ----------
    cohort, period
        The cells, shape (K,).
    status
        ``estimated``; ``no-events`` or ``all-events`` among the treated: the effect stands, a ratio or odds do not, and
        the treated add nothing to the error; ``no-comparison``: no untreated observations tell what would have been;
        ``separation``: those that would tell have no events (or, for ``logit``, nothing but events), so that the answer
        lies at the edge; ``empty``: no treated observations. After the third the values are NaN.
    levels, counterfactual
        Mean outcome of the treated, and what it would have been by the model, shape (K,).
    level_scores, counterfactual_scores
        Influence by cluster, shape (R, K), scaled so that ``scores.T @ scores`` is the clustered covariance. R is the
        number of clusters, or smaller where there are very many (then rows are no clusters).
    n_treated
        Treated observations, shape (K,).
    weight
        What values are averages over, and what averages of cells weight by: the weight of these observations; after
        ``per_exposure`` their weighted exposure, shape (K,).
    exposure
        Weighted exposure of these observations; their weight without exposure, shape (K,).
    separated
        Untreated cohort and period of observations left out because they are fitted exactly, shape (s, 2).
    n_observations, n_parameters, n_clusters
        What the small-sample factor comes from.
    factor
        In the scores already.
    """

    cohort: IntArray
    period: IntArray
    status: tuple[Status, ...]
    levels: FloatArray
    counterfactual: FloatArray
    level_scores: FloatArray
    counterfactual_scores: FloatArray
    n_treated: IntArray
    weight: FloatArray
    exposure: FloatArray
    separated: IntArray
    n_observations: int
    n_parameters: int
    n_clusters: int
    factor: float

    @property
    def estimated(self) -> Mask:
        """Cells with an effect, shape (K,)."""
        return np.array([s in {"estimated", "no-events", "all-events"} for s in self.status], dtype=np.bool_)

    @property
    def att(self) -> FloatArray:
        """Effects: level less counterfactual, shape (K,)."""
        return self.levels - self.counterfactual

    @property
    def scores(self) -> FloatArray:
        """Scores of the effects, shape (R, K)."""
        return self.level_scores - self.counterfactual_scores

    @property
    def log_ratio(self) -> FloatArray:
        """Logarithm of level over counterfactual, shape (K,); NaN where either is not above zero."""
        positive = (self.levels > 0) & (self.counterfactual > 0)
        top, bottom = (np.where(positive, v, 1.0) for v in (self.levels, self.counterfactual))
        return np.where(positive, np.log(top / bottom), np.nan)

    @property
    def log_ratio_scores(self) -> FloatArray:
        """Scores of the logarithms, shape (R, K)."""
        positive = (self.levels > 0) & (self.counterfactual > 0)
        top, bottom = (np.where(positive, v, np.nan) for v in (self.levels, self.counterfactual))
        found: FloatArray = self.level_scores / top - self.counterfactual_scores / bottom
        return found


def nonlinear_group_time(observed: Observed, family: Family, rule: Rule | None = None) -> NonlinearGroupTime:
    r"""Estimate effects by cohort and period from a pooled model with cohort and period effects.

    The model is :math:`E[Y_{it}] = E_{it}\, G(x_i'(\alpha_{g} + \gamma_t) + 1\{(g, t) \in S\}\, x_i'\delta_{gt})`, with
    x an intercept and covariates, G the identity, :math:`\exp` or the logistic function. S holds the cells from the
    start on (``not-yet``), or all but the last one before the start (``never``). As treated cells have an intercept and
    slopes of their own, and links are canonical, the pooled fit splits: :math:`\alpha, \gamma` come from the other
    observations, and the mean of fitted outcomes of a treated cell is its mean outcome. With weights w the effect is

    .. math:: ATT(g,t) = \frac{\sum_{(g,t)} w\, \{Y - E\, G(x'(\hat\alpha_g + \hat\gamma_t))\}}{\sum_{(g,t)} w}.

    Whether covariates are centred at cohort means does not change fitted values, hence not these effects.

    Errors are those of the delta method with every coefficient estimated and the covariates and weights of the treated
    held fixed, as in R etwfe; clustered, with fixest's factor :math:`\frac{G}{G-1}\frac{N-1}{N-K}`, K being all
    coefficients (cohort effects are not nested in clusters; as fixest counts, the slopes of a covariate by cohort and
    by period are one more than can be told apart). Observations in cells that cannot be estimated, or that are fitted
    exactly by a coefficient at infinity, do not count. Sampling weights also weight the averages (etwfe averages
    without them unless told). The cell before the start is no row under ``never`` (etwfe prints a zero). Cohorts
    treated throughout are left out. A cell with few treated rows has a score that is too small, as in any such
    regression.

    Parameters
    ----------
    observed
        The data.
    family
        ``linear``; ``poisson`` for outcomes at or above zero; ``logit`` for outcomes from zero to one.
    rule
        ``comparison`` and ``anticipation`` count; None for not-yet treated and none.

    Returns
    -------
    NonlinearGroupTime
        Averages per observation; see ``per_exposure`` for rates.

    Raises
    ------
    NonlinearError
        Nothing can be fitted; a cell that cannot has a status instead.
    ValueError
        Outcomes do not suit the family, or exposure is not above zero or not with ``poisson``.

    References
    ----------
    Wooldridge, J. (2023). Simple approaches to nonlinear difference-in-differences with panel data. Econometrics
    Journal 26. doi:10.1093/ectj/utad016
    McDermott, G. (2024). etwfe: Extended two-way fixed effects. R package.

    Examples
    --------
    >>> y = np.array([[2.0, 8], [4, 10], [1, 2], [2, 4]])
    >>> found = nonlinear_group_time(Observed(y, np.array([2, 2, NEVER, NEVER]), np.array([1, 2])), "poisson")
    >>> found.att.round(6).tolist(), found.counterfactual.round(6).tolist(), np.exp(found.log_ratio).round(6).tolist()
    ([3.0], [6.0], [1.5])
    """
    if family not in {"linear", "poisson", "logit"}:
        raise ValueError("the family is linear, poisson or logit")
    if family == "linear":
        return _in_own_units(observed, Rule() if rule is None else rule)
    return _fitted(observed, family, Rule() if rule is None else rule)


def _in_own_units(observed: Observed, rule: Rule) -> NonlinearGroupTime:
    """Fit a linear model to outcomes with mean zero and spread one: a large level would drown differences in rounding.

    The mean goes into the intercept and the spread into every coefficient, so that nothing else changes.
    """
    seen = observed.outcome[np.isfinite(observed.outcome)]
    shift, scale = (float(seen.mean()), float(seen.std())) if seen.size else (0.0, 1.0)
    scale = scale if scale > 0 else 1.0
    found = _fitted(replace(observed, outcome=(observed.outcome - shift) / scale), "linear", rule)
    return replace(
        found, levels=found.levels * scale + shift, counterfactual=found.counterfactual * scale + shift,
        level_scores=found.level_scores * scale, counterfactual_scores=found.counterfactual_scores * scale,
    )  # fmt: skip


def _fitted(observed: Observed, family: Family, rule: Rule) -> NonlinearGroupTime:
    rows = panel(observed, family, rule)
    table = rows.collapsed() if rows.rows.z.shape[1] == 1 else rows.rows
    base = fit(masked(table, rows.untreated[table.cohort]), family)
    values = cell_values(rows, table, family, base)
    own = own_fits(rows, family, values.status)
    level_scores, counterfactual_scores, counts = scores(rows, family, base, values, own)
    return NonlinearGroupTime(
        rows.cell_cohort, rows.cell_period, values.status, values.levels, values.counterfactual, level_scores,
        counterfactual_scores, values.n_treated, values.weight, values.exposure, separated_cells(rows, table, base),
        *counts,
    )  # fmt: skip
