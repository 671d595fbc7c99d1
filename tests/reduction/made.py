"""Reduced panels made from arrays, for tests of what becomes of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from evaltoolkit.data import Calendar
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.pattern_moments import pattern_clusters, pattern_moments
from evaltoolkit.reduction.fingerprints import fingerprints
from evaltoolkit.reduction.moments import Account, PanelMoments
from evaltoolkit.reduction.moments_json import Exported
from evaltoolkit.reduction.plan import PanelPlan

ABOUT = Exported("difference-in-differences", "d" * 64, "memory", "", "0.1.0", ("people in each cell",))
PLAN = PanelPlan(
    unit="person", time="year", first_treated="start", treated=None, outcome="y", kind="continuous", population=None,
    per=1.0, covariates=("age", "area"), grid=(("age", (10.0, 15.0)),), cluster=None, weights=None, rows="people",
    keep=(("state", "==", "OH"),), missing=("-9",), shift=None, periods=(), starts=(), threshold=11, show_zero=True,
)  # fmt: skip
VALUES = ((0.0, "rural"), (0.0, "urban"), (1.0, "urban"), (2.5, "rural"))
YEARS = np.arange(2018, 2023)


def plan(**changes: Any) -> PanelPlan:
    return dataclasses.replace(PLAN, **changes)


def moments(
    y: Any,
    start: Any,
    place: Any,
    *,
    by: PanelPlan = PLAN,
    weights: Any = None,
    clusters: Any = None,
    shift: Any = None,
    names: Any = None,
) -> PanelMoments:
    """Reduce outcomes (n, T), NaN for none, of units with starts and places of their values in ``VALUES``."""
    y = np.asarray(y, dtype=np.float64)
    n, T = y.shape
    design = np.column_stack([np.ones(n), place])
    values = VALUES if by.covariates else ((),)
    account = Account(n * T, n * T, n, 0, 0)
    prints = None if names is None else fingerprints(names, by)
    periods, labels = YEARS[:T], ()
    if clusters is None:
        table: Any = pattern_moments(y, np.asarray(start), periods, design, weights, shift)
    else:
        labels = tuple(str(label) for label in np.unique(clusters))
        codes = np.searchsorted(np.unique(clusters), clusters)
        table = pattern_clusters(y, np.asarray(start), periods, design, codes, weights, shift)
    counts = None
    if by.outcome_counts:
        there = np.ones((table.cohort.size, T), dtype=bool) if table.there is None else table.there
        keys = list(zip(table.starts[table.cohort].tolist(), table.design[:, 1].tolist(), there.tolist(), strict=True))
        counts = np.zeros((len(keys), T))
        for row, g, z in zip(y, np.asarray(start).tolist(), np.asarray(place, dtype=float).tolist(), strict=True):
            counts[keys.index((g, z, np.isfinite(row).tolist()))] += np.nan_to_num(row)
    return PanelMoments(by, Calendar("year"), table, values, counts, account, labels, fingerprints=prints)


def world(seed: int, n: int = 400, T: int = 4) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    start = np.array([2020, 2021, NEVER])[rng.integers(0, 3, n)]
    return rng.normal(size=(n, T)) * 3.1 + 20, start, rng.integers(0, 4, n)
