"""The sums that a panel leaves behind: what every estimator that needs no rows runs on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import Calendar
from evaltoolkit.kernels.cohort_moments import CohortMoments, combined
from evaltoolkit.kernels.moment_clusters import ClusterMoments, combined_clusters
from evaltoolkit.reduction.fingerprints import Fingerprints
from evaltoolkit.reduction.plan import PanelPlan

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]
Values = tuple[str | float, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the rows.

    Attributes
    ----------
    n_read, n_rows
        Rows in the data, and those that the filters keep.
    n_units
        Units in those.
    n_incomplete
        Units that lack a period or a value.
    n_always
        Units that start in or before the first period; they are not in the sums.
    n_kept
        Units that lack a period and are not left out for it.
    """

    n_read: int
    n_rows: int
    n_units: int
    n_incomplete: int
    n_always: int
    n_kept: int = 0

    @property
    def n_left(self) -> int:
        """Units that are left out for what they lack."""
        return self.n_incomplete - self.n_kept

    def __add__(self, other: Account) -> Account:
        """Return the account of both."""
        return Account(*(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class PanelMoments:
    """A reduced panel.

    Attributes
    ----------
    plan
        What it was reduced by.
    calendar
        How periods are written.
    table
        Sums by cell; its covariates are an intercept and the place of the cell's values in ``values``.
    values
        The C different combinations of values of the plan's covariates, ascending.
    counts
        People or events behind the outcomes of each cell, shape (S, T); None where the outcome counts none.
    account
        What became of the rows.
    clusters
        Names of the table's clusters, in the order of its labels; empty where units are the clusters.
    dominance
        Share of each cell's total that its largest unit has, of ``counts`` where there are any, else of the outcome
        without its sign: max |y| / sum |y|, 0 where all are 0, or a bound of it, shape (S, T). None where it was not
        looked at.
    fingerprints
        What tells whether a unit is in two reductions; None where none were taken.
    """

    plan: PanelPlan
    calendar: Calendar
    table: CohortMoments | ClusterMoments
    values: tuple[Values, ...]
    counts: FloatArray | None
    account: Account
    clusters: tuple[str, ...] = ()
    dominance: FloatArray | None = None
    fingerprints: Fingerprints | None = None

    def covariates(self) -> pd.DataFrame:
        """Return the values of each combination as a frame, one row each, columns as the plan names them."""
        columns = {name: [row[i] for row in self.values] for i, name in enumerate(self.plan.covariates)}
        return pd.DataFrame(columns, index=range(len(self.values)))

    def with_design(self, design: FloatArray) -> CohortMoments | ClusterMoments:
        """Return the table with covariates, shape (C, k), in place of combinations; the intercept is put first."""
        place = self.table.design[:, 1].astype(np.int64)
        full = np.column_stack([np.ones(place.size), design[place]])
        return dataclasses.replace(self.table, design=full)


def added(*parts: PanelMoments) -> PanelMoments:
    """Add reduced panels of disjoint units by one plan: what one reduction of all their rows would have found.

    Dominance and fingerprints are of single reductions, and the sum has none.

    Raises
    ------
    MomentsError
        ``different``: their periods differ.
    """
    first = parts[0]
    values = tuple(sorted({row for part in parts for row in part.values}, key=ascending))
    place = {row: i for i, row in enumerate(values)}
    names = tuple(sorted({name for part in parts for name in part.clusters}))
    tables = []
    for part in parts:
        codes = np.array([place[row] for row in part.values], dtype=np.float64)
        one = part.with_design(codes[:, None])
        if isinstance(one, ClusterMoments):
            one = dataclasses.replace(one, labels=np.searchsorted(names, part.clusters).astype(np.int64))
        tables.append(one)
    account = parts[0].account
    for part in parts[1:]:
        account = account + part.account
    table: CohortMoments | ClusterMoments
    if isinstance(first.table, ClusterMoments):
        table = combined_clusters(*(t for t in tables if isinstance(t, ClusterMoments)))
    else:
        table = combined(*(t for t in tables if isinstance(t, CohortMoments)))
    return PanelMoments(first.plan, first.calendar, table, values, _counts(table, tables, parts), account, names)


def _counts(
    table: CohortMoments | ClusterMoments, tables: list[Any], parts: tuple[PanelMoments, ...]
) -> FloatArray | None:
    if parts[0].counts is None:
        return None
    at = {key: s for s, key in enumerate(cell_keys(table))}
    found = np.zeros((len(at), table.periods.size))
    for one, part in zip(tables, parts, strict=True):
        assert part.counts is not None
        np.add.at(found, [at[key] for key in cell_keys(one)], part.counts)
    return found


def observed(table: CohortMoments | ClusterMoments) -> Mask:
    """Return in which periods the units of each cell were observed, shape (S, T)."""
    if table.there is not None:
        return table.there
    return np.ones((table.cohort.size, table.periods.size), dtype=np.bool_)


def cell_keys(table: CohortMoments | ClusterMoments) -> list[tuple[int, float, bytes]]:
    """Return what tells the cells of a table apart: start, place of the covariates' values, periods observed."""
    each = [row.tobytes() for row in observed(table)]
    return list(zip(table.starts[table.cohort].tolist(), table.design[:, 1].tolist(), each, strict=True))


def ascending(row: Values) -> tuple[tuple[bool, str | float], ...]:
    """Return what rows of values are sorted by: numbers before texts."""
    return tuple((isinstance(v, str), v) for v in row)
