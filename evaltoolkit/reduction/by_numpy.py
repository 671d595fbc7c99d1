"""A panel in memory reduced to the same sums that an engine would find."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import Calendar
from evaltoolkit.kernels.cohort_moments import CohortMoments, cohort_moments
from evaltoolkit.kernels.moment_clusters import ClusterMoments, cluster_moments
from evaltoolkit.reduction.moments import Account, PanelMoments, Values
from evaltoolkit.reduction.panel import widen
from evaltoolkit.reduction.plan import PanelPlan

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Table = CohortMoments | ClusterMoments


@dataclass(frozen=True, slots=True)
class LongArrays:
    """Rows of a panel as codes and numbers, shape (rows,) each.

    Attributes
    ----------
    unit, at
        Codes 0 .. of units and of periods.
    start
        First treated period, ``NEVER`` for none.
    outcome
        Missing where it, or a covariate, was not recorded.
    counts
        People or events behind the outcome; None where it counts none.
    cell
        Place of the covariates' values among all combinations; -1 where one is missing.
    cluster
        Codes of clusters above the unit; None where units are the clusters.
    weights
        Sampling weights; None for ones.
    """

    unit: IntArray
    at: IntArray
    start: IntArray
    outcome: FloatArray
    counts: FloatArray | None
    cell: IntArray
    cluster: IntArray | None
    weights: FloatArray | None


@dataclass(frozen=True, slots=True)
class Frame:
    """What the codes of ``LongArrays`` stand for, with the number of rows in the data."""

    plan: PanelPlan
    calendar: Calendar
    periods: IntArray
    values: tuple[Values, ...]
    clusters: tuple[str, ...]
    shift: FloatArray
    n_read: int


class VaryingError(ValueError):
    """Covariates change within so many units."""

    def __init__(self, units: int) -> None:
        self.units = units
        super().__init__(str(units))


def frame_moments(rows: LongArrays, frame: Frame) -> PanelMoments:
    """Reduce a panel in memory, as ``by_ibis.panel_moments`` does in an engine.

    Raises
    ------
    VaryingError
        Covariates change within units.
    """
    n, T = int(rows.unit.max()) + 1, frame.periods.size
    cell, varying = _of_unit(rows.unit, rows.cell, n)
    if varying:
        raise VaryingError(varying)
    first = np.zeros(n, dtype=np.int64)
    first[rows.unit[::-1]] = np.arange(rows.unit.size)[::-1]
    wide = widen(rows.unit, rows.at, np.where(rows.cell >= 0, rows.outcome, np.nan), (n, T))
    start = rows.start[first]
    complete = np.isfinite(wide).all(axis=1)
    early = complete & (start <= frame.periods[0])
    kept = complete & ~early
    design = np.column_stack([np.ones(n), cell])[kept]
    w = None if rows.weights is None else rows.weights[first][kept]
    of = wide[kept], start[kept], frame.periods, design
    account = Account(frame.n_read, rows.unit.size, n, int((~complete).sum()), int(early.sum()))
    if rows.cluster is None:
        table = cohort_moments(*of, w, frame.shift)
        counts, shares = _counts(rows, frame, table, kept, cell, start), None
        if frame.plan.counts_people and frame.plan.kind == "continuous":
            shares = _shares(np.abs(wide[kept]), _places(table, cell[kept], start[kept]), table.cohort.size)
        return PanelMoments(frame.plan, frame.calendar, table, frame.values, counts, account, (), shares)
    by_cluster = cluster_moments(*of, rows.cluster[first][kept], w, frame.shift)
    counts = _counts(rows, frame, by_cluster, kept, cell, start)
    names = tuple(frame.clusters[i] for i in by_cluster.labels)
    return PanelMoments(frame.plan, frame.calendar, by_cluster, frame.values, counts, account, names)


def _of_unit(unit: IntArray, cell: IntArray, n: int) -> tuple[IntArray, int]:
    """Return each unit's cell, and in how many units it varies; rows without one do not count."""
    there = cell >= 0
    low, high = np.full(n, np.iinfo(np.int64).max), np.full(n, -1)
    np.minimum.at(low, unit[there], cell[there])
    np.maximum.at(high, unit[there], cell[there])
    return np.maximum(high, 0), int((low < high).sum())


def _counts(
    rows: LongArrays,
    frame: Frame,
    table: CohortMoments | ClusterMoments,
    kept: NDArray[np.bool_],
    cell: IntArray,
    start: IntArray,
) -> FloatArray | None:
    if rows.counts is None:
        return None
    wide = widen(rows.unit, rows.at, rows.counts, (kept.size, frame.periods.size))[kept]
    found = np.zeros((table.cohort.size, frame.periods.size))
    np.add.at(found, _places(table, cell[kept], start[kept]), wide)
    return found


def _places(table: Table, cell: IntArray, start: IntArray) -> IntArray:
    """Return the place of each unit's cell in a table."""
    keys = zip(table.starts[table.cohort].tolist(), table.design[:, 1].astype(int).tolist(), strict=True)
    at = {key: s for s, key in enumerate(keys)}
    return np.array([at[key] for key in zip(start.tolist(), cell.tolist(), strict=True)], dtype=np.int64)


def _shares(size: FloatArray, place: IntArray, S: int) -> FloatArray:
    """Return the share of each cell's total that its largest unit has, shape (S, T)."""
    total, largest = np.zeros((S, size.shape[1])), np.zeros((S, size.shape[1]))
    np.add.at(total, place, size)
    np.maximum.at(largest, place, size)
    found: FloatArray = largest / np.where(total > 0, total, 1.0)
    return found
