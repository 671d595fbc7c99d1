"""A panel in memory reduced to the same sums that an engine would find."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import Calendar
from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.kernels.pattern_moments import pattern_clusters, pattern_moments
from evaltoolkit.reduction.moments import Account, PanelMoments, Values, cell_keys
from evaltoolkit.reduction.panel import widen
from evaltoolkit.reduction.plan import PanelPlan

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
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


class NothingKeptError(ValueError):
    """No unit can be used.

    Parameters
    ----------
    early
        Units that start in or before the first period.
    """

    def __init__(self, early: int) -> None:
        super().__init__("no unit is left")
        self.early = early


def frame_moments(rows: LongArrays, frame: Frame) -> PanelMoments:
    """Reduce a panel in memory, as ``by_ibis.panel_moments`` does in an engine.

    Raises
    ------
    VaryingError
        Covariates change within units.
    NothingKeptError
        No unit can be used.
    """
    n, T = int(rows.unit.max()) + 1, frame.periods.size
    cell, varying = _of_unit(rows.unit, rows.cell, n)
    if varying:
        raise VaryingError(varying)
    first = np.zeros(n, dtype=np.int64)
    first[rows.unit[::-1]] = np.arange(rows.unit.size)[::-1]
    wide = widen(rows.unit, rows.at, np.where(rows.cell >= 0, rows.outcome, np.nan), (n, T))
    start = rows.start[first]
    there = np.isfinite(wide)
    whole = there.all(axis=1)
    complete = there.sum(axis=1) >= min(2, T) if frame.plan.incomplete == "keep" else whole
    early = complete & (start <= frame.periods[0])
    kept = complete & ~early
    if not kept.any():
        raise NothingKeptError(int(early.sum()))
    design = np.column_stack([np.ones(n), cell])[kept]
    w = None if rows.weights is None else rows.weights[first][kept]
    of = wide[kept], start[kept], frame.periods, design
    lost = int((~whole).sum()), int(early.sum()), int((complete & ~whole).sum())
    account = Account(frame.n_read, rows.unit.size, n, *lost)
    if rows.cluster is None:
        table = pattern_moments(*of, w, frame.shift)
        place = _places(table, cell[kept], start[kept], there[kept])
        counts, shares = _counts(rows, table, there, kept, place), None
        size = _sizes(rows, frame.plan, wide)
        if size is not None:
            shares = _shares(np.where(there, size, 0.0)[kept], place, table.cohort.size)
        return PanelMoments(frame.plan, frame.calendar, table, frame.values, counts, account, (), shares)
    by_cluster = pattern_clusters(*of, rows.cluster[first][kept], w, frame.shift)
    place = _places(by_cluster, cell[kept], start[kept], there[kept])
    counts = _counts(rows, by_cluster, there, kept, place)
    names = tuple(frame.clusters[i] for i in by_cluster.labels)
    return PanelMoments(frame.plan, frame.calendar, by_cluster, frame.values, counts, account, names)


def _of_unit(unit: IntArray, cell: IntArray, n: int) -> tuple[IntArray, int]:
    """Return each unit's cell, and in how many units it varies; rows without one do not count."""
    there = cell >= 0
    low, high = np.full(n, np.iinfo(np.int64).max), np.full(n, -1)
    np.minimum.at(low, unit[there], cell[there])
    np.maximum.at(high, unit[there], cell[there])
    return np.maximum(high, 0), int((low < high).sum())


def _counts(rows: LongArrays, table: Table, there: Mask, kept: Mask, place: IntArray) -> FloatArray | None:
    if rows.counts is None:
        return None
    wide = widen(rows.unit, rows.at, rows.counts, there.shape)[kept]
    found = np.zeros((table.cohort.size, there.shape[1]))
    np.add.at(found, place, np.where(there[kept], wide, 0.0))
    return found


def _places(table: Table, cell: IntArray, start: IntArray, there: Mask) -> IntArray:
    """Return the place of each unit's cell in a table."""
    at = {(g, int(z), seen): s for s, (g, z, seen) in enumerate(cell_keys(table))}
    mine = zip(start.tolist(), cell.tolist(), [row.tobytes() for row in there], strict=True)
    return np.array([at[key] for key in mine], dtype=np.int64)


def _sizes(rows: LongArrays, plan: PanelPlan, wide: FloatArray) -> FloatArray | None:
    """Return what a unit may have most of: outcomes of people that are no counts, counts of places."""
    if plan.counts_people:
        return np.abs(wide) if plan.kind == "continuous" else None
    return None if rows.counts is None else widen(rows.unit, rows.at, rows.counts, wide.shape)


def _shares(size: FloatArray, place: IntArray, S: int) -> FloatArray:
    """Return the share of each cell's total that its largest unit has, shape (S, T)."""
    total, largest = np.zeros((S, size.shape[1])), np.zeros((S, size.shape[1]))
    np.add.at(total, place, size)
    np.maximum.at(largest, place, size)
    found: FloatArray = largest / np.where(total > 0, total, 1.0)
    return found
