"""Effects by cohort and period without each cluster, by fitting anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.cell_estimators import Estimated
from evaltoolkit.reduction import Panel

FloatArray = NDArray[np.float64]
Estimate = Callable[[Panel], Estimated]


def refitted(panel: Panel, estimate: Estimate) -> FloatArray:
    """Return effects without each cluster, shape (C, K), each fitted anew; missing where they do not exist."""
    cells = estimate(panel).study.cells
    place = {pair: k for k, pair in enumerate(zip(cells.cohort.tolist(), cells.period.tolist(), strict=True))}
    found = np.full((panel.n_clusters, cells.att.size), np.nan)
    for c in range(panel.n_clusters):
        try:
            part = estimate(panel.where(panel.clusters != c)).study.cells
        except (ValueError, np.linalg.LinAlgError):
            continue
        for g, t, att in zip(part.cohort.tolist(), part.period.tolist(), part.att, strict=True):
            if (g, t) in place:
                found[c, place[g, t]] = att
    return found
