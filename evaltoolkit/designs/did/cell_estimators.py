"""Estimators that give an effect for each cohort and period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.family import Family
from evaltoolkit.kernels.cohorts import Rule
from evaltoolkit.kernels.cross_section import CrossSections, cross_section_study
from evaltoolkit.kernels.cross_section_jackknife import delete_one_cross_section
from evaltoolkit.kernels.group_time import Study, group_time_study
from evaltoolkit.kernels.jackknife import delete_one_group_time
from evaltoolkit.reduction import Panel

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimated:
    """Cells with what aggregations need.

    Attributes
    ----------
    study
        The cells, cohort sizes and mean outcomes of the treated.
    weights
        Known weights of the cells, shape (K,); None where cells weigh by cohort size, which is estimated.
    df
        Degrees of freedom of analytic errors; infinite for the normal.
    before
        Event times before the start, where they are estimated apart from the cells.
    """

    study: Study
    weights: FloatArray | None = None
    df: float = float("inf")
    before: Family | None = None


class CellEstimator(Protocol):
    """An estimator of group-time effects."""

    def estimated(self, panel: Panel) -> Estimated:
        """Return the cells with what aggregations need."""
        ...

    def deleted(self, panel: Panel) -> FloatArray:
        """Return the effects without each cluster, shape (C, K); missing where they do not exist."""
        ...


@dataclass(frozen=True, slots=True)
class GroupTimes:
    """Callaway and Sant'Anna, on a panel."""

    rule: Rule

    def estimated(self, panel: Panel) -> Estimated:
        """Return the cells with what aggregations need; analytic errors have the normal reference of R ``did``."""
        return Estimated(
            group_time_study(
                panel.outcome, panel.start, panel.periods, panel.design, self.rule, panel.clusters, panel.weights
            )
        )

    def deleted(self, panel: Panel) -> FloatArray:
        """Return the effects without each cluster."""
        return delete_one_group_time(
            panel.outcome, panel.start, panel.periods, panel.design, self.rule, panel.clusters, panel.weights
        )


@dataclass(frozen=True, slots=True)
class Sections:
    """Callaway and Sant'Anna, on repeated cross-sections."""

    rule: Rule

    def estimated(self, panel: Panel) -> Estimated:
        """Return the cells with what aggregations need; analytic errors have the normal reference of R ``did``."""
        return Estimated(cross_section_study(sections(panel), self.rule))

    def deleted(self, panel: Panel) -> FloatArray:
        """Return the effects without each cluster."""
        return delete_one_cross_section(sections(panel), self.rule)


def sections(panel: Panel) -> CrossSections:
    """Return the observations of a panel as rows; units observed several times keep their code."""
    there = np.isfinite(panel.outcome)
    unit, at = np.nonzero(there)
    several = bool((there.sum(axis=1) > 1).any())
    X = np.concatenate([np.ones((unit.size, 1)), panel.covariates[unit, at]], axis=1)
    alone = panel.n_clusters == there.shape[0]
    return CrossSections(
        outcome=panel.outcome[unit, at],
        period=panel.periods[at],
        start=panel.start[unit],
        design=X,
        weights=None if panel.weights is None else panel.weights[unit],
        units=unit if several else None,
        clusters=None if alone and (several or unit.size == there.shape[0]) else panel.clusters[unit],
    )
