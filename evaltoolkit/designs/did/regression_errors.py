"""Other errors of regressions with unit and period effects: by rows of the regression, not by its scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.family import Family, Measured
from evaltoolkit.designs.did.path_estimators import PathEstimator, TwoWay, two_way, window_of
from evaltoolkit.designs.did.two_by_two import PRODUCT, pooled
from evaltoolkit.kernels.small_sample import small_sample
from evaltoolkit.kernels.small_sample_fit import ClusteredFit, clustered_fit
from evaltoolkit.kernels.two_way import event_table
from evaltoolkit.kernels.wild_bootstrap import Wild, wild_cluster
from evaltoolkit.reduction import Panel
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
KINDS: Final[Mapping[str, Literal["CR1", "CR2", "CR3"]]] = {"cr1": "CR1", "cr2": "CR2", "cr3": "CR3"}


def by_rows(way: str) -> bool:
    """Return whether a method works on the rows of a regression."""
    return way == "wild-cluster" or way in KINDS


def of_regression(
    panel: Panel, estimator: PathEstimator, way: str, study: Study, plain: tuple[Family, Family]
) -> tuple[Family, Family]:
    """Return effect and path with the errors, or the intervals, of a method for regressions."""
    effect, events = plain
    if isinstance(estimator, TwoWay):
        fit, at = _static(panel), 0
    else:
        fit, at = pooled(panel), PRODUCT
    effect = _with(effect, fit, [at], way, study)
    if not events.labels.size:
        return effect, events
    bounds = estimator.bounds if isinstance(estimator, TwoWay) else None
    study_fit, places = _event_study(panel, bounds, events.labels)
    return effect, _with(events, study_fit, places, way, study)


def _with(family: Family, fit: ClusteredFit, places: list[int], way: str, study: Study) -> Family:
    if way == "wild-cluster":
        return _wild(family, fit, places, study)
    contrasts = np.zeros((len(places), fit.n_columns))
    contrasts[np.arange(len(places)), places] = 1.0
    found = small_sample(fit, KINDS[way], contrasts)
    df = np.where(np.isfinite(found.df), found.df, 0.0)
    return dataclasses.replace(family, spread=found.scores, df=df)


def _wild(family: Family, fit: ClusteredFit, places: list[int], study: Study) -> Family:
    inference = study.inference
    known = []
    for i, at in enumerate(places):
        how = Wild(draws=min(inference.draws, 9999), seed=inference.seed, level=inference.level)
        test = wild_cluster(fit, at, how)
        fine = np.isfinite(test.lower) and np.isfinite(test.upper)
        low, high = (float(test.lower), float(test.upper)) if fine else (None, None)
        known.append(Measured(float(family.values[i]), None, low, high, float(test.p_value), None))
    return dataclasses.replace(family, known=tuple(known))


def _static(panel: Panel) -> ClusteredFit:
    on = (panel.periods[None, :] >= panel.start[:, None]).astype(np.float64)
    return _fit(panel, on[:, :, None], np.ones(on.shape, dtype=np.bool_))


def _event_study(panel: Panel, bounds: tuple[int, int] | None, labels: IntArray) -> tuple[ClusteredFit, list[int]]:
    p = two_way(panel)
    found, table, among = event_table(p, window_of(panel, bounds))
    fit = _fit(panel, table[p.cohort], among[p.cohort])
    return fit, [int(np.searchsorted(found, e)) for e in labels]


def _fit(panel: Panel, table: FloatArray, among: NDArray[np.bool_]) -> ClusteredFit:
    """Fit regressors (n, T, m) with covariates, absorbed unit effects, and dummies of periods (by group)."""
    n, T = panel.outcome.shape
    there = np.isfinite(panel.outcome) & among & np.isfinite(panel.covariates).all(axis=2)
    unit, at = np.nonzero(there)
    group = np.zeros(n, dtype=np.int64) if panel.groups is None else panel.groups
    code = group[unit] * T + at
    dummies = (code[:, None] == np.unique(code)[None, 1:]).astype(np.float64)
    X = np.concatenate([table[there], panel.covariates[there], dummies], axis=1)
    weights = None if panel.weights is None else panel.weights[unit]
    return clustered_fit(X, panel.outcome[there], panel.clusters[unit], weights, unit)
