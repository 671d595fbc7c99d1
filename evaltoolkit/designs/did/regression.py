"""Two-by-two and two-way fixed effects through linearmodels PanelOLS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.designs.did.family import Family
from evaltoolkit.designs.did.inference import Way
from evaltoolkit.errors import CollinearityError, NoComparisonError
from evaltoolkit.kernels.group_time import NEVER
from evaltoolkit.kernels.jackknife import delete_one_least_squares
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.reduction import Panel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Regression:
    """Effects by regression.

    Attributes
    ----------
    effect
        The single effect.
    events
        Effects by event time, the reference period left out.
    log_ratio
        Log of the treated mean over its counterfactual, where both lie above zero.
    weights
        Weight of each treated unit and period in the effect, shape (n, T); zero elsewhere. They add up to one.
    covariate_effects
        Coefficients of the covariates.
    """

    effect: Family
    events: Family
    log_ratio: Family | None
    weights: FloatArray
    covariate_effects: FloatArray


@dataclass(frozen=True, slots=True)
class _Model:
    """Regressors of a panel regression, shape (n, T, k), and whether unit and period effects are absorbed."""

    X: FloatArray
    absorb: bool


def estimate(
    panel: Panel, estimator: str, way: Way, df: float, named: tuple[tuple[str, ...], tuple[str, ...]]
) -> Regression:
    """Estimate the effect and the event study of a panel.

    ``twfe`` regresses on unit and period effects and one treatment indicator; ``two-by-two`` on group, time after the
    start and their product. The event study always has unit and period effects. ``named`` holds the covariates'
    names and the places where they are declared, for messages.

    Raises
    ------
    CollinearityError
        A covariate follows from the unit and period effects, or from other covariates.
    """
    on = (panel.periods[None, :] >= panel.start[:, None]).astype(np.float64)
    covariates = [panel.covariates[:, :, j] for j in range(panel.covariates.shape[2])]
    if estimator == "twfe":
        model = _Model(np.stack([on, *covariates], axis=2), absorb=True)
    else:
        after = np.broadcast_to((panel.periods >= panel.start.min()).astype(np.float64), on.shape)
        group = np.broadcast_to((panel.start != NEVER).astype(np.float64)[:, None], on.shape)
        model = _Model(np.stack([on, *covariates, group, after, np.ones_like(on)], axis=2), absorb=False)
    _independent(panel, model, *named)
    beta, spread = _fit(panel, model, way)
    labels, dummies = _event_dummies(panel)
    moving = [c for c in covariates if np.abs(_without_effects(c[:, :, None])).max() > 1e-9 * np.abs(c).max()]
    regressors = np.concatenate([dummies, *(c[:, :, None] for c in moving)], axis=2)
    if not _told_apart(regressors):
        # Few starts, regularly spaced, without never-treated units; or fewer rows than event times.
        labels = labels[:0]
    m = labels.size
    path, path_spread = _fit(panel, _Model(regressors, absorb=True), way) if m else (beta[:0], spread[:, :0])
    effect = Family(np.zeros(1, dtype=np.int64), beta[:1], spread[:, :1], np.array([df]))
    return Regression(
        effect=effect,
        events=Family(labels, path[:m], path_spread[:, :m], np.full(m, df)),
        log_ratio=_log_ratio(panel, on, effect, way),
        weights=_weights(on, model),
        covariate_effects=beta[1 : 1 + len(covariates)],
    )


def _event_dummies(panel: Panel) -> tuple[IntArray, FloatArray]:
    """Return event times and their indicators; -1 (else the last before) is the reference, as is never treated.

    Where no unit is never treated, the earliest event time is left out too.
    """
    relative = panel.periods[None, :] - np.where(panel.start == NEVER, panel.periods[-1], panel.start)[:, None]
    treated = (panel.start <= panel.periods[-1])[:, None]
    times = np.unique(relative[np.broadcast_to(treated, relative.shape)])
    reference = times[times < 0].max()
    times = times[times != reference]
    if (panel.start <= panel.periods[-1]).all() and times.size and times[0] < 0:
        times = times[1:]
    dummies = ((relative[:, :, None] == times[None, None, :]) & treated[:, :, None]).astype(np.float64)
    return times, dummies


def _long(values: FloatArray) -> FloatArray:
    return values.reshape(values.shape[0] * values.shape[1], -1)


def _without_effects(values: FloatArray) -> FloatArray:
    """Take unit and period means out of a balanced panel, shape (n, T, k)."""
    found: FloatArray = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean(axis=(0, 1))
    return found


def _fit(panel: Panel, model: _Model, way: Way) -> tuple[FloatArray, FloatArray]:
    """Return coefficients, shape (k,), and their spread, shape (C, k)."""
    from linearmodels.panel import PanelOLS

    n, T = panel.outcome.shape
    k = model.X.shape[2]
    index = pd.MultiIndex.from_product([range(n), range(T)], names=["unit", "period"])
    y = pd.DataFrame({"y": panel.outcome.ravel()}, index=index)
    X = pd.DataFrame(_long(model.X), index=index, columns=[f"x{j}" for j in range(k)])
    clusters = pd.DataFrame({"cluster": np.repeat(panel.clusters, T)}, index=index)
    fit = PanelOLS(y, X, entity_effects=model.absorb, time_effects=model.absorb).fit(
        cov_type="clustered", clusters=clusters, debiased=False, group_debias=False, auto_df=False, count_effects=False
    )
    beta = fit.params.to_numpy(dtype=np.float64)
    if way == "jackknife":
        return beta, _deleted(panel, model)
    # PanelOLS gives the bare sandwich here; the scores behind it are scaled to it, one row for each cluster.
    size = panel.n_clusters
    factor = size / (size - 1) * (n * T - 1) / (n * T - k - (T if model.absorb else 0))
    scores = _scores(panel, model, beta)
    return beta, np.sqrt(factor) * _matched(scores, fit.cov.to_numpy(dtype=np.float64))


def _matched(scores: FloatArray, covariance: FloatArray) -> FloatArray:
    """Scale scores so that their cross-product has the diagonal of the covariance."""
    mine, theirs = np.sqrt((scores**2).sum(axis=0)), np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled: FloatArray = scores * np.where(mine > 0, theirs / mine, 1.0)
    return scaled


def _scores(panel: Panel, model: _Model, beta: FloatArray) -> FloatArray:
    X, y = model.X, panel.outcome[:, :, None]
    if model.absorb:
        X, y = _without_effects(X), _without_effects(y)
    residual = y[:, :, 0] - X @ beta
    long = _long(X)
    bread = np.linalg.inv(long.T @ long)
    by_unit = np.einsum("ntk,nt->nk", X, residual) @ bread
    return np.column_stack(
        [np.bincount(panel.clusters, weights=column, minlength=panel.n_clusters) for column in by_unit.T]
    )


def _deleted(panel: Panel, model: _Model) -> FloatArray:
    """Return deletions less the full estimate, scaled for a covariance by cross-product, shape (C, k)."""
    n, T = panel.outcome.shape
    k = model.X.shape[2]
    X, y = model.X, panel.outcome[:, :, None]
    if model.absorb:
        # Unit means are taken out within clusters and stay right when a cluster goes; period effects are refitted.
        dummies = np.broadcast_to(np.eye(T)[None, :, 1:], (n, T, T - 1))
        X = np.concatenate([X, dummies], axis=2)
        X, y = X - X.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    codes = np.repeat(panel.clusters, T)
    full = least_squares(_long(X), _long(y)[:, 0]).coefficients[:k]
    size = panel.n_clusters
    found = delete_one_least_squares(_long(X), _long(y)[:, 0], codes)[:, :k]
    apart: FloatArray = np.sqrt((size - 1) / size) * (found - full)
    return apart


def _told_apart(X: FloatArray) -> bool:
    """Return whether regressors can be told from one another and from unit and period effects."""
    inside = _long(_without_effects(X))
    n, T, k = X.shape
    return bool(n * T > n + T + k and np.linalg.matrix_rank(inside) == k)


def _independent(panel: Panel, model: _Model, names: tuple[str, ...], places: tuple[str, ...]) -> None:
    p = panel.covariates.shape[2]
    order = [*range(p + 1, model.X.shape[2]), 0, *range(1, p + 1)]
    X = model.X[:, :, order]
    scale = np.sqrt((_long(X) ** 2).mean(axis=0))
    X = X / np.where(scale > 0, scale, 1)
    if model.absorb:
        X = _without_effects(X)
        flat = np.sqrt((_long(X) ** 2).mean(axis=0)) < 1e-9
        X = np.where(flat, 0.0, X)
    left = np.sqrt((_long(X) ** 2).sum(axis=0)) > 0
    aliased = set(np.flatnonzero(~left).tolist())
    if left.any():
        within = np.flatnonzero(left)
        fit = least_squares(_long(X)[:, within], np.zeros(X.shape[0] * X.shape[1]))
        aliased |= set(within[fit.aliased].tolist())
    for j in sorted(aliased):
        at = order[j] - 1
        if at == -1:
            raise NoComparisonError(
                "whether a unit is treated follows from the unit and period effects",
                expected="units that start the program in different periods, or never, with periods before and after",
                todo="add units without the program, or periods before the start",
            )
        if 0 <= at < p:
            follows = (
                "from the unit and period effects or from other covariates" if model.absorb else "from other regressors"
            )
            raise CollinearityError(
                f"the covariate '{names[at]}' follows {follows}",
                expected="covariates that change over time differently between units",
                todo="remove it, or use estimator = 'callaway-santanna', which adjusts for steady covariates",
                where=places[at],
            )  # fmt: skip


def _log_ratio(panel: Panel, on: FloatArray, effect: Family, way: Way) -> Family | None:
    sums = np.column_stack([
        np.bincount(panel.clusters, weights=v, minlength=panel.n_clusters)
        for v in ((panel.outcome * on).sum(axis=1), on.sum(axis=1))
    ])  # fmt: skip
    total = sums.sum(axis=0)
    mean = float(total[0] / total[1])
    without = mean - float(effect.values[0])
    if mean <= 0 or without <= 0:
        return None
    value = np.array([np.log(mean / without)])
    if way == "analytic":
        spread = ((sums[:, 0] - mean * sums[:, 1]) / total[1])[:, None]
        return Family(effect.labels, value, spread / mean - (spread - effect.spread) / without, effect.df)
    scale = np.sqrt((panel.n_clusters - 1) / panel.n_clusters)
    left = total - sums
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (left[:, 0] / left[:, 1])[:, None]
        withouts = means - (effect.values + effect.spread / scale)
        logs = np.where((means > 0) & (withouts > 0), np.log(means / withouts), np.nan)
    return Family(effect.labels, value, scale * (logs - value), effect.df)


def _weights(on: FloatArray, model: _Model) -> FloatArray:
    """Return the weight of each treated unit and period in the effect (de Chaisemartin and D'Haultfoeuille 2020)."""
    X = _without_effects(model.X) if model.absorb else model.X
    long = _long(X)
    others = long[:, 1:]
    left = long[:, 0] - others @ np.linalg.lstsq(others, long[:, 0], rcond=None)[0] if others.shape[1] else long[:, 0]
    weight = left.reshape(on.shape) * on
    found: FloatArray = weight / weight.sum()
    return found
