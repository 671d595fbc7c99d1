"""One effect and a path by event time, with the way their uncertainty is measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.family import Deletions, Family, Measured
from evaltoolkit.designs.did.inference import Choice
from evaltoolkit.designs.did.path_estimators import PathEstimator, PathFit
from evaltoolkit.designs.did.regression_errors import by_rows, of_regression
from evaltoolkit.reduction import Panel
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PathStudy:
    """An effect with its path.

    Attributes
    ----------
    effect
        The single effect.
    events
        Effects by event time, references left out.
    log_ratio
        Log of the treated mean over its counterfactual, where both lie above zero and the effect goes with that mean.
    covariate_effects
        Coefficients of the covariates.
    """

    effect: Family
    events: Family
    log_ratio: Family | None
    covariate_effects: FloatArray


def path_study(panel: Panel, estimator: PathEstimator, choice: Choice, study: Study) -> PathStudy:
    """Estimate the effect and the path.

    Raises
    ------
    ValueError
        As the estimator's kernel.
    """
    fit = estimator.fitted(panel)
    effect, events = families(fit)
    levels = None
    if choice.way == "jackknife":
        effect, events, levels = deleted_paths(panel, estimator, fit, choice)
    elif by_rows(choice.way):
        effect, events = of_regression(panel, estimator, choice.way, study, (effect, events))
    ratio = _log_ratio(panel, fit, effect, levels)
    return PathStudy(effect, events, ratio, fit.covariate_effects)


def families(fit: PathFit) -> tuple[Family, Family]:
    """Return the effect and the path with analytic errors."""
    none = np.zeros(1, dtype=np.int64)
    effect = Family(none, np.array([fit.effect]), fit.scores[:, None], np.array([fit.df]))
    return effect, Family(fit.labels, fit.path, fit.path_scores, fit.path_df)


def deleted_paths(
    panel: Panel, estimator: PathEstimator, fit: PathFit, choice: Choice
) -> tuple[Family, Family, FloatArray]:
    """Return effect and path with the spread of deletions of clusters, and the treated level without each, (C,)."""
    size = panel.n_clusters
    parts = (panel.where(panel.clusters != c) for c in range(size))
    return of_parts(parts, estimator, fit, choice, Deletions(size))


def of_parts(
    parts: Iterable[Panel], estimator: PathEstimator, fit: PathFit, choice: Choice, by: Deletions
) -> tuple[Family, Family, FloatArray]:
    """Return effect and path with the spread of estimates from parts of the data, and the treated level of each."""
    found = []
    for panel in parts:
        path = np.full(fit.labels.size, np.nan)
        try:
            part = estimator.fitted(panel)
        except (ValueError, np.linalg.LinAlgError):
            found.append((np.nan, np.nan, path))
            continue
        at = np.searchsorted(fit.labels, part.labels)
        known = (at < fit.labels.size) & np.isin(part.labels, fit.labels)
        path[at[known]] = part.path[known]
        found.append((part.effect, np.nan if part.level is None else part.level, path))
    one, level = (np.array([f[i] for f in found], dtype=np.float64) for i in (0, 1))
    paths = np.array([f[2] for f in found]).reshape(one.size, fit.labels.size)
    df = float(min(choice.n_treated, choice.n_comparison) - 1)
    none = np.zeros(1, dtype=np.int64)
    return (
        Family(none, np.array([fit.effect]), by.spread((one - fit.effect)[:, None]), np.array([df])),
        Family(fit.labels, fit.path, by.spread(paths - fit.path), np.full(fit.labels.size, df)),
        level,
    )


def _log_ratio(panel: Panel, fit: PathFit, effect: Family, levels: FloatArray | None) -> Family | None:
    """Return the log of the treated mean over its counterfactual; ``levels`` are those of the jackknife."""
    if not fit.averages and fit.level is None:
        return None
    if fit.log_ratio is not None and fit.log_ratio_scores is not None and levels is None:
        return Family(effect.labels, np.array([fit.log_ratio]), fit.log_ratio_scores[:, None], effect.df)
    w = _treated_weight(panel)
    mean = float((w * np.where(w > 0, panel.outcome, 0.0)).sum() / w.sum()) if fit.level is None else fit.level
    if levels is not None and fit.level is None:
        levels = left_means(panel)
    scores = _mean_scores(panel, w, mean) if fit.level_scores is None else fit.level_scores
    return ratio_of(effect, mean, scores if scores.size == panel.n_clusters else None, levels)


def ratio_of(
    effect: Family,
    mean: float,
    scores: FloatArray | None,
    levels: FloatArray | None,
    how: Deletions | None = None,
) -> Family | None:
    """Return the log of the treated mean over its counterfactual, where both lie above zero.

    Parameters
    ----------
    effect
        The effect.
    mean, scores
        The treated mean, and its scores in the rows of the effect; without scores it counts as fixed.
    levels
        For the jackknife, the mean without each cluster, shape (C,).
    how
        How the spread of the jackknife follows; None for the deletions of C clusters.
    """
    without = mean - float(effect.values[0])
    if mean <= 0 or without <= 0:
        return None
    value = np.array([np.log(mean / without)])
    if effect.known is not None:
        return _of_bounds(effect, mean, value)
    if levels is not None:
        return _of_deletions(levels, effect, value, Deletions(levels.size) if how is None else how)
    if scores is None or scores.size != effect.spread.shape[0]:
        return Family(effect.labels, value, effect.spread / without, effect.df)
    both = scores[:, None] / mean - (scores[:, None] - effect.spread) / without
    return Family(effect.labels, value, both, effect.df)


def _treated_weight(panel: Panel) -> FloatArray:
    """Return the weight of every treated observation, zero for the others, shape (n, T)."""
    on = (panel.periods[None, :] >= panel.start[:, None]) & np.isfinite(panel.outcome)
    return np.asarray(on * (1.0 if panel.weights is None else panel.weights[:, None]), dtype=np.float64)


def left_means(panel: Panel) -> FloatArray:
    """Return the weighted mean outcome of the treated without each cluster, shape (C,)."""
    w = _treated_weight(panel)
    y = np.where(w > 0, panel.outcome, 0.0)
    size = panel.n_clusters
    total, mass = (np.bincount(panel.clusters, weights=v.sum(axis=1), minlength=size) for v in (w * y, w))
    left = mass.sum() - mass
    return np.asarray((total.sum() - total) / np.where(left > 0, left, np.nan), dtype=np.float64)


def _of_deletions(means: FloatArray, effect: Family, value: FloatArray, by: Deletions) -> Family:
    """Return the ratio with the spread of its values without each cluster."""
    with_ = means[:, None]
    withouts = with_ - (effect.values + by.apart(effect.spread))
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.where((with_ > 0) & (withouts > 0), np.log(with_ / withouts), np.nan)
    return Family(effect.labels, value, by.spread(logs - value), effect.df)


def _mean_scores(panel: Panel, w: FloatArray, mean: float) -> FloatArray:
    by_unit = (w * np.where(w > 0, panel.outcome - mean, 0.0)).sum(axis=1) / w.sum()
    return np.bincount(panel.clusters, weights=by_unit, minlength=panel.n_clusters).astype(np.float64)


def _of_bounds(effect: Family, mean: float, value: FloatArray) -> Family:
    """Return the ratio at the ends of the effect's interval, the treated mean taken as fixed: it was observed."""
    assert effect.known is not None
    m = effect.known[0]
    low, high = (None if v is None or v >= mean else float(np.log(mean / (mean - v))) for v in (m.low, m.high))
    fine = low is not None and high is not None
    one = Measured(float(value[0]), None, low if fine else None, high if fine else None, m.p_value, m.df)
    return Family(effect.labels, value, effect.spread, effect.df, (one,))
