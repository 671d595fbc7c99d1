"""From the sums that left an engine to the reduced panel."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.reduction.moments import Account, PanelMoments, Values, ascending
from evaltoolkit.reduction.plan import Bound
from evaltoolkit.reduction.small_sums import LARGEST_SHARE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

BITS: Final = 50
"""Periods in one number that says when a unit was observed: 64-bit floats hold it exactly."""


def assembled(found: pd.DataFrame, bound: Bound, account: Account) -> PanelMoments:
    """Return the reduced panel, cells and clusters in ascending order.

    Parameters
    ----------
    found
        One line a cell, or a cluster within a cell: ``start``, ``z0`` .., ``p0`` .. where units may lack periods,
        ``cluster``, and sums.
    bound
        The plan.
    account
        What became of the rows.
    """
    plan, T = bound.plan, bound.periods.size
    values = [f"z{i}" for i in range(len(plan.covariates))]
    if plan.cluster:
        found["cluster"] = found["cluster"].astype(str)
    combos, code = _combinations(found, values)
    there = _there(found, T)
    key = np.column_stack([found["start"].to_numpy(np.int64), code, there.astype(np.int64)])
    cells, cell = np.unique(key, axis=0, return_inverse=True)
    cell = cell.ravel()
    names = np.unique(found["cluster"].to_numpy(str)) if plan.cluster else np.zeros(0, dtype=str)
    at = np.searchsorted(names, found["cluster"].to_numpy(str)) if plan.cluster else np.zeros(cell.size, dtype=int)
    order = np.lexsort((cell, at))
    found, cell, at = found.iloc[order], cell[order], at[order]
    begun = bound.starts if plan.first_treated else np.append(bound.periods, NEVER)
    starts, cohort = np.unique(begun[cells[:, 0]], return_inverse=True)
    design = np.column_stack([np.ones(len(cells)), cells[:, 1].astype(np.float64)])
    pattern: Mask | None = None if there.all() else cells[:, 2:] > 0
    units = found["units"].to_numpy(np.int64)
    n = found["n"].to_numpy(np.float64) if plan.weights else units.astype(np.float64)
    m = _columns(found, "m", T)
    shared = starts.astype(np.int64), bound.periods, design, cohort.astype(np.int64)
    table: CohortMoments | ClusterMoments
    if plan.cluster:
        of = np.arange(names.size), at.astype(np.int64), cell.astype(np.int64)
        table = ClusterMoments(*shared, *of, units, n, m, bound.shift, pattern)
    else:
        N2, M2 = (found["n2"].to_numpy(np.float64), _columns(found, "s", T)) if plan.weights else (n, m)
        table = CohortMoments(*shared, units, n, m, N2, M2, _products(found, T), bound.shift, pattern)
    counts = None
    if plan.outcome_counts:
        seen = np.ones((len(cells), T)) if pattern is None else pattern
        by_row = _columns(found, "k", T) if "k0" in found else m + units[:, None] * bound.shift * seen[cell]
        counts = np.zeros((len(cells), T))
        np.add.at(counts, cell, by_row)
    # The engine let no cell leave in which one person has more; the share itself would tell of that person.
    checked = plan.counts_people and plan.kind == "continuous"
    dominance = np.full((len(cells), T), LARGEST_SHARE) if checked else None
    labels = tuple(str(name) for name in names)
    return PanelMoments(plan, bound.calendar, table, combos, counts, account, labels, dominance)


def _there(found: pd.DataFrame, T: int) -> Mask:
    """Return in which periods the units of each line were observed, shape (lines, T)."""
    if "p0" not in found.columns:
        return np.ones((len(found), T), dtype=np.bool_)
    words = [found[f"p{k}"].to_numpy(np.int64) for k in range((T - 1) // BITS + 1)]
    there: Mask = np.column_stack([words[t // BITS] >> (t % BITS) & 1 for t in range(T)]) > 0
    return there


def _columns(found: pd.DataFrame, letter: str, T: int) -> FloatArray:
    """Return sums by period; those of periods in which nobody was observed are zero."""
    sums: FloatArray = np.nan_to_num(found[[f"{letter}{t}" for t in range(T)]].to_numpy(np.float64))
    return sums


def _products(found: pd.DataFrame, T: int) -> FloatArray:
    Q = np.zeros((len(found), T, T))
    for s in range(T):
        for t in range(s, T):
            Q[:, s, t] = Q[:, t, s] = np.nan_to_num(found[f"q{s}_{t}"].to_numpy(np.float64))
    return Q


def _combinations(found: pd.DataFrame, values: list[str]) -> tuple[tuple[Values, ...], IntArray]:
    """Return the different combinations of values, ascending, and the place of each row's."""
    if not values:
        return ((),), np.zeros(len(found), dtype=np.int64)
    rows = [tuple(v if isinstance(v, str) else float(v) for v in row) for row in found[values].to_numpy(object)]
    combos = tuple(sorted(set(rows), key=ascending))
    place = {row: i for i, row in enumerate(combos)}
    return combos, np.array([place[row] for row in rows], dtype=np.int64)
