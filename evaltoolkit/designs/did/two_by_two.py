"""One before-after contrast of two groups, by least squares through linearmodels PanelOLS."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.designs.did.path_estimators import PathFit, TwoWay
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.kernels.two_way_panel import TwoWayError
from evaltoolkit.reduction import Panel

FloatArray = NDArray[np.float64]
PRODUCT = 3
"""Place of the product of group and time among the regressors."""


@dataclass(frozen=True, slots=True)
class TwoByTwo:
    """The outcome on group, time after the start, and their product."""

    def fitted(self, panel: Panel) -> PathFit:
        """Return the coefficient of the product; t with G - 1 degrees of freedom. The path has unit and period effects.

        Raises
        ------
        TwoWayError
            A covariate follows from the other regressors.
        """
        there, X = regressors(panel)
        y = panel.outcome[there]
        aliased = least_squares(X, y).aliased
        if aliased.size:
            at = int(aliased[0])
            raise TwoWayError("collinear", "covariate" if at > PRODUCT else "treatment", at - PRODUCT - 1)
        beta, scores = _panel_ols(panel, there, X)
        path = TwoWay(None).fitted(_without_steady(panel))
        df = float(panel.n_clusters - 1)
        return PathFit(
            float(beta[PRODUCT]), scores[:, PRODUCT], path.labels, path.path, path.path_scores, df,
            np.full(path.labels.size, df), beta[PRODUCT + 1 :], averages=True,
        )  # fmt: skip


def regressors(panel: Panel) -> tuple[NDArray[np.bool_], FloatArray]:
    """Return which observations are used, shape (n, T), and a constant, group, time after, product, and covariates."""
    there = np.isfinite(panel.outcome)
    after = np.broadcast_to(panel.periods >= panel.start.min(), there.shape)
    group = np.broadcast_to((panel.start != NEVER)[:, None], there.shape)
    parts = [np.ones_like(group), group, after, group & after, *np.moveaxis(panel.covariates, 2, 0)]
    return there, np.stack([np.asarray(part, dtype=np.float64)[there] for part in parts], axis=1)


def _without_steady(panel: Panel) -> Panel:
    """Return the panel with the covariates that change within units: unit effects hold the others."""
    X = panel.covariates
    moving = [j for j in range(X.shape[2]) if (np.nanmax(X[:, :, j], axis=1) > np.nanmin(X[:, :, j], axis=1)).any()]
    return dataclasses.replace(panel, covariates=X[:, :, moving])


def _panel_ols(panel: Panel, there: NDArray[np.bool_], X: FloatArray) -> tuple[FloatArray, FloatArray]:
    from linearmodels.panel import PanelOLS

    unit, at = np.nonzero(there)
    index = pd.MultiIndex.from_arrays([unit, at], names=["unit", "period"])
    y = pd.DataFrame({"y": panel.outcome[there]}, index=index)
    frame = pd.DataFrame(X, index=index, columns=[f"x{j}" for j in range(X.shape[1])])
    clusters = pd.DataFrame({"cluster": panel.clusters[unit]}, index=index)
    fit = PanelOLS(y, frame).fit(
        cov_type="clustered", clusters=clusters, debiased=False, group_debias=False, auto_df=False, count_effects=False
    )
    beta = fit.params.to_numpy(dtype=np.float64)
    # PanelOLS gives the bare sandwich here; the scores behind it are scaled to it, one row for each cluster.
    size, (n, k) = panel.n_clusters, X.shape
    factor = size / (size - 1) * (n - 1) / (n - k)
    bread = np.linalg.inv(X.T @ X)
    rows = (X * (panel.outcome[there] - X @ beta)[:, None]) @ bread
    scores = np.column_stack([np.bincount(panel.clusters[unit], weights=v, minlength=size) for v in rows.T])
    mine, theirs = np.sqrt((scores**2).sum(axis=0)), np.sqrt(np.clip(np.diag(fit.cov.to_numpy()), 0.0, None))
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = scores * np.where(mine > 0, theirs / mine, 1.0)
    return beta, np.sqrt(factor) * scaled
