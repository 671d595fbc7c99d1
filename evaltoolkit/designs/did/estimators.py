"""Group-time effects of a panel, with the way their uncertainty is measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.cell_estimators import CellEstimator, Estimated
from evaltoolkit.designs.did.cell_study import CellStudy, Deleted, Law
from evaltoolkit.designs.did.groups import cohorts_of, comparison_clusters
from evaltoolkit.designs.did.options import EventTimes
from evaltoolkit.errors import CollinearityError, EvaluationError, NoComparisonError, SeparationError
from evaltoolkit.kernels.group_time import CellError
from evaltoolkit.kernels.jackknife import deleted_means
from evaltoolkit.reduction import Panel

FloatArray = NDArray[np.float64]


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
    found = estimated.study
    return CellStudy(
        found=found,
        shown_by_event_time=shown.among(found.cells.cohort, found.cells.period, panel.periods),
        weights=estimated.weights,
        df=estimated.df,
        deleted=_deleted(panel, estimator.deleted(panel), estimated) if jackknife else None,
        law=law,
        n_comparison_clusters=comparison_clusters(panel),
    )


def _deleted(panel: Panel, every: FloatArray, of: Estimated) -> Deleted:
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


def explained(error: CellError, label: str, names: tuple[str, ...], places: tuple[str, ...]) -> EvaluationError:
    """Return the message for a cell that cannot be estimated; ``label`` is the cohort in words."""
    named = f"the covariate '{names[error.column - 1]}'" if error.column else "the covariates together"
    where = places[error.column - 1] if error.column else (places[0] if places else "")
    if error.why == "empty":
        return NoComparisonError(
            f"no unit is left to compare the cohort of {label} with", expected="units that start later, or never",
            todo="use comparison = 'not-yet-treated', lower anticipation, or add units without the program",
        )  # fmt: skip
    if error.why == "collinear":
        return CollinearityError(
            f"{named} is a combination of the other covariates among the units that the cohort of {label} is "
            "compared with",
            expected="covariates none of which follows from the others, and more comparison units than covariates",
            todo="remove it from covariates", where=where,
        )  # fmt: skip
    verb = "tells" if error.column else "tell"
    return SeparationError(
        f"{named} {verb} the cohort of {label} and its comparison units apart perfectly",
        expected="treated and comparison units at the same values of every covariate",
        todo="remove the covariate, or use adjust = 'regression'", where=where,
    )  # fmt: skip
