"""Who started when, counted in units and clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.aggregate import Sizes
from evaltoolkit.reduction import Panel

IntArray = NDArray[np.int64]


def cohorts_of(panel: Panel) -> IntArray:
    """Return the starts of the treated cohorts, ascending."""
    return np.unique(panel.start[panel.start <= panel.periods[-1]])


def clusters_by_cohort(panel: Panel) -> list[int]:
    """Return the number of clusters with a unit of each cohort."""
    return [int(np.unique(panel.clusters[panel.start == g]).size) for g in cohorts_of(panel)]


def comparison_clusters(panel: Panel) -> int:
    """Return the number of clusters with a unit that no period used finds treated."""
    return int(np.unique(panel.clusters[panel.start > panel.periods[-1]]).size)


def treated_clusters(panel: Panel) -> int:
    """Return the number of clusters with a unit that becomes treated."""
    return int(np.unique(panel.clusters[panel.start <= panel.periods[-1]]).size)


def sizes_of(panel: Panel, rows: int) -> Sizes:
    """Return units by cohort; nothing by cluster, as cells have known weights."""
    cohorts = cohorts_of(panel)
    counts = np.array([(panel.start == g).sum() for g in cohorts], dtype=np.float64)
    return Sizes(cohorts, counts, np.zeros((rows, cohorts.size)))
