"""Effects by cohort and period from regressions with unit and period effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.cell_estimators import Estimated
from evaltoolkit.designs.did.family import Family
from evaltoolkit.designs.did.groups import sizes_of
from evaltoolkit.designs.did.path_estimators import two_way
from evaltoolkit.designs.did.refitting import refitted
from evaltoolkit.kernels.group_time import GroupTime, Study
from evaltoolkit.kernels.imputation import imputation, pre_trends
from evaltoolkit.kernels.saturated import interaction_weighted
from evaltoolkit.kernels.two_way_cells import CellEffects
from evaltoolkit.kernels.two_way_panel import TwoWayError
from evaltoolkit.reduction import Panel

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class InteractionWeighted:
    """Sun and Abraham: every cohort its own path, averaged by treated observations."""

    def estimated(self, panel: Panel) -> Estimated:
        """Return the cells, which weigh by observations; t with G - 1 degrees of freedom (R fixest)."""
        found = interaction_weighted(two_way(panel))
        return Estimated(study_of(panel, found), found.weight, float(found.df))

    def deleted(self, panel: Panel) -> FloatArray:
        """Return the effects without each cluster."""
        return refitted(panel, self.estimated)


@dataclass(frozen=True, slots=True)
class Imputation:
    """Borusyak, Jaravel and Spiess: outcomes less what untreated observations predict."""

    def estimated(self, panel: Panel) -> Estimated:
        """Return the cells, which weigh by observations, with a normal reference (R didimputation)."""
        found = imputation(two_way(panel))
        return Estimated(study_of(panel, found), found.weight, before=_before(panel))

    def deleted(self, panel: Panel) -> FloatArray:
        """Return the effects without each cluster."""
        return refitted(panel, lambda part: _bare(part))


def _bare(panel: Panel) -> Estimated:
    found = imputation(two_way(panel))
    return Estimated(study_of(panel, found), found.weight)


def _before(panel: Panel) -> Family | None:
    """Return the path before the start, from untreated observations only; None where there is none."""
    try:
        found = pre_trends(two_way(panel))
    except TwoWayError:
        return None
    m = found.labels.size
    return Family(found.labels, found.coefficients[:m], found.scores[:, :m], np.full(m, float(found.df)))


def study_of(panel: Panel, found: CellEffects) -> Study:
    """Return cells with cohort sizes and mean outcomes of the treated."""
    n0 = np.array([(panel.start > t).sum() for t in found.period], dtype=np.int64)
    table = GroupTime(found.cohort, found.period, found.cohort - 1, found.att, found.scores, found.n, n0)
    rows = found.scores.shape[0]
    levels, scores = np.zeros(found.att.size), np.zeros((rows, found.att.size))
    for k, (g, t) in enumerate(zip(found.cohort, found.period, strict=True)):
        y = panel.outcome[:, int(np.searchsorted(panel.periods, t))]
        mine = (panel.start == g) & np.isfinite(y)
        w = mine * (1.0 if panel.weights is None else panel.weights)
        levels[k] = float(w[mine] @ y[mine] / w.sum())
        if rows == panel.n_clusters:
            apart = np.where(mine, w * (y - levels[k]), 0.0) / w.sum()
            scores[:, k] = np.bincount(panel.clusters, weights=apart, minlength=rows)
    return Study(table, sizes_of(panel, rows), levels, scores)
