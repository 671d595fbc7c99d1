"""One before-after contrast of two groups, by least squares."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.path_estimators import PathFit, TwoWay
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.small_sample import small_sample
from evaltoolkit.kernels.small_sample_fit import ClusteredFit, clustered_fit
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
        fit = pooled(panel)
        aliased = np.setdiff1d(np.arange(fit.n_columns), fit.kept)
        if aliased.size:
            at = int(aliased[0])
            raise TwoWayError("collinear", "covariate" if at > PRODUCT else "treatment", at - PRODUCT - 1)
        found = small_sample(fit, "CR1S")
        path = TwoWay(None).fitted(_without_steady(panel))
        df = float(panel.n_clusters - 1)
        return PathFit(
            float(found.estimate[PRODUCT]), found.scores[:, PRODUCT], path.labels, path.path, path.path_scores, df,
            np.full(path.labels.size, df), found.estimate[PRODUCT + 1 :], averages=True,
        )  # fmt: skip


def pooled(panel: Panel) -> ClusteredFit:
    """Return the fit on a constant, group, time after, their product, and covariates, by weighted least squares."""
    there = np.isfinite(panel.outcome)
    after = np.broadcast_to(panel.periods >= panel.start.min(), there.shape)
    group = np.broadcast_to((panel.start != NEVER)[:, None], there.shape)
    parts = [np.ones_like(group), group, after, group & after, *np.moveaxis(panel.covariates, 2, 0)]
    X = np.stack([np.asarray(part, dtype=np.float64)[there] for part in parts], axis=1)
    unit = np.nonzero(there)[0]
    weights = None if panel.weights is None else panel.weights[unit]
    return clustered_fit(X, panel.outcome[there], panel.clusters[unit], weights)


def _without_steady(panel: Panel) -> Panel:
    """Return the panel with the covariates that change within units: unit effects hold the others."""
    X = panel.covariates
    moving = [j for j in range(X.shape[2]) if (np.nanmax(X[:, :, j], axis=1) > np.nanmin(X[:, :, j], axis=1)).any()]
    return dataclasses.replace(panel, covariates=X[:, :, moving])
