"""Errors of estimators that are linear in first moments, from units that stay in an engine.

Without covariates the influence function of a unit is w (A_j y + b_j), the loadings A and b depending on its start j
alone. They follow from sums by start: an estimator that knows sums by cluster is given clusters that cancel out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import EngineSource
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.cell_scores import factor
from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.moment_cells import added
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.reduction.engine_rows import FirstMoments, InfluenceSpec, settled
from evaltoolkit.reduction.engine_sums import Part, linear, products_of

FloatArray = NDArray[np.float64]
MOST_SCORES: Final = 250
"""Scores that belong together, at most: the engine takes a sum for each pair of them."""

Scores = Callable[[CohortMoments | ClusterMoments], FloatArray]
"""What gives an estimator's scores, shape (R, p), from a table: rows are clusters with ``ClusterMoments``."""


@dataclass(frozen=True, slots=True)
class Loadings:
    """A and b of each start, shapes (J, p, T) and (J, p)."""

    slope: FloatArray
    level: FloatArray


def stand_in(first: FirstMoments, spec: InfluenceSpec) -> CohortMoments | ClusterMoments:
    """Return a moment table with the sums by start, and what else it has made up: cross-products, or clusters.

    What an estimator makes of it is right but for scores: those are to be replaced by ``linear_root``. There are as
    many clusters as there are.
    """
    return _alike(first, spec) if first.n_clusters is None else _clustered(first, spec, first.n_clusters)


def _alike(first: FirstMoments, spec: InfluenceSpec) -> CohortMoments:
    T = spec.periods.size
    mean = first.outcome_squared / first.mass_squared[:, None]
    spread = (1.0 + float((mean**2).mean())) * np.eye(T)
    Q = first.mass_squared[:, None, None] * (mean[:, :, None] * mean[:, None, :] + spread)
    shift = np.zeros(T) if spec.shift is None else spec.shift
    J = first.starts.size
    return CohortMoments(
        first.starts, spec.periods, np.ones((J, 1)), np.arange(J), first.units, first.mass, first.outcome,
        first.mass_squared, first.outcome_squared, Q, shift,
    )  # fmt: skip


def _clustered(first: FirstMoments, spec: InfluenceSpec, size: int) -> ClusterMoments:
    """Return units spread over so many clusters, whose outcomes differ within a start and add up to its own."""
    J, T = first.outcome.shape
    several = np.maximum(1, size * first.units // first.units.sum())
    several[np.argmax(first.units)] += max(0, size - int(several.sum()))
    cell = np.repeat(np.arange(J), several)
    place = np.arange(cell.size) - np.repeat(np.cumsum(several) - several, several)
    units = first.units[cell] // several[cell] + (place < first.units[cell] % several[cell])
    # Without weights a weight is a number of units to the last digit: estimators look.
    n = units * np.where(first.mass == first.units, 1.0, first.mass / first.units)[cell]
    wave = np.sin(np.outer(1.0 + np.arange(cell.size), 1.0 + np.arange(T)) ** 2)
    wave -= (added(cell, wave, J) / several[:, None])[cell]
    m = first.outcome[cell] * (units / first.units[cell])[:, None] + wave * (first.mass / several)[cell][:, None]
    alike = _alike(first, spec)
    return ClusterMoments(
        first.starts, spec.periods, alike.design, alike.cohort, np.arange(size), np.arange(cell.size) % size, cell,
        units, n, m, alike.shift,
    )  # fmt: skip


def linear_root(
    source: EngineSource, wide: Any, spec: InfluenceSpec, first: FirstMoments, scores: Scores
) -> FloatArray:
    r"""Return a root of the cross-products of an estimator's scores, shape (R, p), for units as clusters.

    Parameters
    ----------
    source
        Where queries are run.
    wide, spec
        The units, as ``InfluenceSpec`` says, without covariates.
    first
        Their sums by start.
    scores
        Gives the scores, side by side, that belong together.

    Returns
    -------
    array
        ``root.T @ root`` is the sum over units, or clusters, of :math:`\psi_i \psi_i'`, small-sample factors
        included.

    Raises
    ------
    OptionError
        There are covariates, or too many scores, or hardly more clusters than starts.
    MomentsError
        ``weights``: the estimator needs sums of squared weights by cluster.
    """
    few = first.n_clusters is not None and first.n_clusters <= first.starts.size
    if spec.covariates or few:
        what = "is adjusted for covariates" if spec.covariates else "has no more clusters than starts"
        raise OptionError(
            f"this estimator {what}, and the release is strict",
            expected="no covariates, and more clusters than starts",
            todo='state release = "moments", or estimator = "callaway-santanna"', where=source.where,
        )  # fmt: skip
    found = loadings(first, spec, scores)
    if found.level.shape[1] > MOST_SCORES:
        raise OptionError(
            f"{found.level.shape[1]} numbers have errors, and the engine would take a sum for each pair of them",
            expected=f"at most {MOST_SCORES} where the release is strict",
            todo='use release = "moments", use fewer periods, or join starts', where=source.where,
        )  # fmt: skip
    return factor(linear_gram(source, wide, spec, first, found))


def loadings(first: FirstMoments, spec: InfluenceSpec, scores: Scores) -> Loadings:
    """Return the loadings of an estimator's scores, small-sample factors included.

    The table by cluster has a cluster for each start, and for each start and period one that adds to its outcome, with
    another that takes it away again: the estimates stay, and the scores of the former are the loadings. Factors for the
    number of clusters are then those of ``stand_in``.
    """
    J, T = first.outcome.shape
    labels = np.arange(J + J * T + J)
    at = np.concatenate([np.arange(J), np.repeat(np.arange(J), T), np.arange(J)])
    nothing = np.zeros(J * T + J)
    m = np.concatenate([
        first.outcome,
        np.kron(first.mass[:, None], np.eye(T)),
        np.repeat(-first.mass[:, None], T, axis=1),
    ])  # fmt: skip
    alike = _alike(first, spec)
    units, mass = np.concatenate([first.units, nothing.astype(np.int64)]), np.concatenate([first.mass, nothing])
    table = ClusterMoments(
        first.starts, spec.periods, alike.design, alike.cohort, labels, labels, at, units, mass, m, alike.shift
    )
    found = scores(table)
    slope = found[J : J + J * T].reshape(J, T, -1).transpose(0, 2, 1) / first.mass[:, None, None]
    level = (found[:J] - np.einsum("jkt,jt->jk", slope, first.outcome)) / first.mass[:, None]
    whole = stand_in(first, spec)
    scale = _scale(whole, slope, level, scores(whole))
    return Loadings(slope * scale[:, None], level * scale)


def _scale(
    table: CohortMoments | ClusterMoments, slope: FloatArray, level: FloatArray, wanted: FloatArray
) -> FloatArray:
    """Return how far scores by start differ from those of the table by factors for the number of clusters, (p,)."""
    if isinstance(table, ClusterMoments):
        psi = np.einsum("pkt,pt->pk", slope[table.cell], table.m) + table.n[:, None] * level[table.cell]
        square = (added(table.cluster, psi, table.labels.size) ** 2).sum(axis=0)
    else:
        square = np.einsum("jkt,jts,jks->k", slope, table.Q, slope) + np.einsum("j,jk->k", table.N2, level**2)
        square += 2 * np.einsum("jkt,jt,jk->k", slope, table.M2, level)
    there = square > 0
    return np.where(there, np.sqrt((wanted**2).sum(axis=0) / np.where(there, square, 1.0)), 1.0)


def linear_gram(
    source: EngineSource, wide: Any, spec: InfluenceSpec, first: FirstMoments, found: Loadings
) -> FloatArray:
    """Return the sum over units of psi psi', shape (p, p), for psi = w (A_j y + b_j) of a unit of start j.

    Parameters
    ----------
    source, wide, spec, first
        As in ``linear_root``.
    found
        A and b.
    """
    p = found.level.shape[1]
    with source.stored(settled(wide, spec), "one row for each unit") as table:
        parts: list[Part] = []
        for j, g in enumerate(first.starts.tolist()):
            mine = table.filter(table["start"] == g)
            ys = [mine[f"y{t}"] for t in range(spec.periods.size)]
            psi = {}
            for k in range(p):
                if found.slope[j, k].any() or found.level[j, k]:
                    line = linear(ys, found.slope[j, k], float(found.level[j, k]))
                    psi[k] = line * mine["w"] if spec.weights else line
            parts.append((mine, psi))
        return products_of(source, parts, p, clusters=spec.clusters)
