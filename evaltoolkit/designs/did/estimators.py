"""Group-time effects of a panel, with the way their uncertainty is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.catalogue import ESTIMATORS
from evaltoolkit.designs.did.cell_estimators import CellEstimator, Estimated, GroupTimes, Sections
from evaltoolkit.designs.did.cell_study import CellStudy, Deleted, Law
from evaltoolkit.designs.did.groups import cohorts_of, comparison_clusters
from evaltoolkit.designs.did.inference import Choice
from evaltoolkit.designs.did.model_cells import Extended, Synthetic, TripleDifferences
from evaltoolkit.designs.did.options import EventTimes, Options
from evaltoolkit.designs.did.path_estimators import (
    PathEstimator,
    PoissonTwoWay,
    Projections,
    StackedCohorts,
    Switchers,
    TwoStages,
    TwoWay,
)
from evaltoolkit.designs.did.two_by_two import TwoByTwo
from evaltoolkit.designs.did.two_way_cells import Imputation, InteractionWeighted
from evaltoolkit.kernels.cohorts import CellError, Rule
from evaltoolkit.kernels.jackknife import deleted_means
from evaltoolkit.reduction import Panel
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
PLACEBOS = 499
"""Placebo choices that are drawn, where there are more than can be listed."""


def cell_estimator(study: Study, options: Options, choice: Choice, rule: Rule | None = None) -> CellEstimator | None:
    """Return the estimator that was asked for, by another rule where one is given; None for a regression."""
    if options.estimator == "synthetic-did":
        draws = min(study.inference.draws, PLACEBOS)
        return Synthetic(
            options.anticipation, "placebo" if choice.way == "placebo" else "none", draws, study.inference.seed
        )
    found = steady_estimator(options, rule or options.rule)
    assert found is not None or not ESTIMATORS[options.estimator].cells
    return found


def steady_estimator(options: Options, rule: Rule) -> CellEstimator | None:
    """Return an estimator that does not depend on how uncertainty is measured; None for the others."""
    by: dict[str, CellEstimator] = {
        "callaway-santanna": GroupTimes(rule) if options.panel else Sections(rule),
        "triple-difference": TripleDifferences(rule),
        "etwfe": Extended(options.family, rule),
        "sun-abraham": InteractionWeighted(),
        "imputation": Imputation(),
    }
    return by.get(options.estimator)


def path_estimator(options: Options) -> PathEstimator:
    """Return the estimator of one effect and a path that was asked for."""
    bounds = options.event_window
    comparison = options.rule.comparison
    by: dict[str, PathEstimator] = {
        "two-by-two": TwoByTwo(),
        "twfe": PoissonTwoWay(bounds) if options.family == "poisson" else TwoWay(bounds),
        "two-stage": TwoStages(bounds),
        "stacked": StackedCohorts(bounds, comparison, options.anticipation),
        "lp-did": Projections(bounds, comparison, options.weighting),
        "chaisemartin": Switchers(bounds),
    }
    return by[options.estimator]


def cell_study(
    panel: Panel, estimator: CellEstimator, shown: EventTimes, *, jackknife: bool, law: Law | None = None
) -> CellStudy:
    """Estimate group-time effects of a panel.

    Raises
    ------
    CellError
        A cell cannot be estimated.
    """
    estimated = estimator.estimated(panel)
    deleted = deleted_study(panel, estimator.deleted(panel), estimated) if jackknife else None
    return assembled(estimated, shown, panel.periods, comparison_clusters(panel), Uncertainty(deleted, law))


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Where intervals come from, if not from the spread of scores: deletions of clusters, or another law."""

    deleted: Deleted | None = None
    law: Law | None = None


def assembled(
    estimated: Estimated, shown: EventTimes, periods: IntArray, n_comparison: int, by: Uncertainty
) -> CellStudy:
    """Return cells ready to be aggregated.

    Raises
    ------
    CellError
        There is none after a start.
    """
    found = estimated.study
    if not (found.cells.period >= found.cells.cohort).any():
        raise CellError("empty", int(found.sizes.cohorts[0]) if found.sizes.cohorts.size else 0)
    return CellStudy(
        found=found,
        shown_by_event_time=shown.among(found.cells.cohort, found.cells.period, periods),
        weights=estimated.weights,
        df=estimated.df,
        deleted=by.deleted,
        law=by.law,
        n_comparison_clusters=n_comparison,
        before=None if estimated.before is None else estimated.before.where(shown.inside(estimated.before.labels)),
    )


def deleted_study(panel: Panel, every: FloatArray, of: Estimated) -> Deleted:
    """Return what is found without each cluster, of a panel and its effects without each, shape (C, K)."""
    cells, weights = of.study.cells, of.weights
    means, left, starts = deleted_means(panel.outcome, panel.start, panel.clusters, panel.weights)
    mine = np.searchsorted(starts, cells.cohort)
    levels = means[:, mine, np.searchsorted(panel.periods, cells.period)]
    cohorts = cohorts_of(panel)
    present = np.zeros((panel.n_clusters, cohorts.size), dtype=np.bool_)
    for j, g in enumerate(cohorts):
        present[panel.clusters[panel.start == g], j] = True
    counts = left[:, np.searchsorted(starts, of.study.sizes.cohorts)]
    if weights is not None:
        counts = weights * left[:, mine] / np.where(left[:, mine].max(axis=0) > 0, left[:, mine].max(axis=0), 1.0)
    return Deleted(every, levels, counts, present)
