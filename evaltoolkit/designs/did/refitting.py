"""Effects by cohort and period without each cluster, by fitting anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.cell_estimators import Estimated
from evaltoolkit.kernels.group_time import GroupTime
from evaltoolkit.reduction import Panel

FloatArray = NDArray[np.float64]
Estimate = Callable[[Panel], Estimated]


def refitted(panel: Panel, estimate: Estimate) -> FloatArray:
    """Return effects without each cluster, shape (C, K), each fitted anew; missing where they do not exist."""
    cells = estimate(panel).study.cells
    found = [placed(cells, estimate, panel.where(panel.clusters != c)) for c in range(panel.n_clusters)]
    return np.array(found).reshape(panel.n_clusters, cells.att.size)


def placed(cells: GroupTime, estimate: Estimate, part: Panel) -> FloatArray:
    """Return the effects of a part of the data in the order of the cells, shape (K,); missing where they do not exist.

    Parameters
    ----------
    cells
        The cells of all data.
    estimate
        How the part is estimated.
    part
        The part.
    """
    place = {pair: k for k, pair in enumerate(zip(cells.cohort.tolist(), cells.period.tolist(), strict=True))}
    found = np.full(cells.att.size, np.nan)
    try:
        of = estimate(part).study.cells
    except (ValueError, np.linalg.LinAlgError):
        return found
    for g, t, att in zip(of.cohort.tolist(), of.period.tolist(), of.att, strict=True):
        if (g, t) in place:
            found[place[g, t]] = att
    return found
