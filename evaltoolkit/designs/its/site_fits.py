"""A model for every site: sites that share a design in one pass, the others one by one."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.estimators import estimate
from evaltoolkit.designs.its.lags import lags_of
from evaltoolkit.designs.its.model import Model, build
from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.series import Series
from evaltoolkit.designs.its.sites import Sites
from evaltoolkit.errors import EvaluationError
from evaltoolkit.kernels.autoregression_batch import (
    Intervals,
    marginal_ar1_batch,
    marginal_ar1_each,
    newey_west_batch,
)
from evaltoolkit.kernels.count_regression import poisson
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SiteFits:
    """The effects of S sites.

    Attributes
    ----------
    kept
        Places of the sites that allow an estimate, shape (S,).
    models
        Their regressions; sites that share a design share its columns.
    estimate, std_error, low, high, p_value
        Average difference over the site's post period (of the log rate, for counts), shape (S,).
    names
        Names of the C changes, the same at every site.
    changes, errors
        Coefficients of the changes, shape (S, C), and their covariance, shape (S, C, C).
    autocorrelation
        Mean autocorrelation of the errors, shape (S,); NaN where it is no part of the model.
    lost
        Sites whose data allow no estimate.
    """

    kept: NDArray[np.int64]
    models: tuple[Model, ...]
    estimate: FloatArray
    std_error: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: FloatArray
    names: tuple[str, ...]
    changes: FloatArray
    errors: FloatArray
    autocorrelation: FloatArray
    lost: int


@dataclass(frozen=True, slots=True)
class _One:
    """Numbers of one site: the effect first, then changes and sums of pairs of changes; m in all."""

    model: Model
    numbers: FloatArray  # estimate, error, low, high, p by number: shape (5, m)
    autocorrelation: float


def fit_sites(study: Study, options: Options, sites: Sites) -> SiteFits:
    """Fit every site.

    Raises
    ------
    EvaluationError
        Fewer than two sites allow an estimate; the message is that of a site.
    """
    found: dict[int, _One] = {}
    trouble: EvaluationError | None = None
    for members in _groups(sites, options):
        try:
            found |= _batch(study, options, sites, members)
        except EvaluationError as error:
            trouble = error
    if len(found) < 2 and trouble is not None:
        raise trouble
    kept = np.array(sorted(i for i, one in found.items() if np.isfinite(one.numbers[:4, 0]).all()))
    ones = [found[int(i)] for i in kept]
    table = np.stack([one.numbers for one in ones])
    names = tuple(ones[0].model.names[j] for j in _changed(ones[0].model))
    changes, errors = _covariances(table, len(names))
    return SiteFits(
        kept=kept, models=tuple(one.model for one in ones), estimate=table[:, 0, 0], std_error=table[:, 1, 0],
        low=table[:, 2, 0], high=table[:, 3, 0], p_value=table[:, 4, 0], names=names, changes=changes, errors=errors,
        autocorrelation=np.array([one.autocorrelation for one in ones]), lost=len(sites.series) - kept.size,
    )  # fmt: skip


def _changed(model: Model) -> list[int]:
    return [j for part in model.changed for j in part]


def _groups(sites: Sites, options: Options) -> Iterator[list[int]]:
    """Return sites that share the columns of their model."""
    groups: dict[object, list[int]] = defaultdict(list)
    for i, series in enumerate(sites.series):
        groups[i if options.covariates else (series.steps.tobytes(), series.starts)].append(i)
    yield from groups.values()


def _in_one_pass(options: Options) -> bool:
    if options.counts:
        return options.errors == "marginal-ar1" and options.family != "negative-binomial"
    automatic = options.errors == "newey-west" and options.lags in {"newey-west-automatic", "andrews"}
    return options.errors in {"marginal-ar1", "newey-west"} and not automatic


def _batch(study: Study, options: Options, sites: Sites, members: Sequence[int]) -> dict[int, _One]:
    first = sites.series[members[0]]
    model = build(first, options, study.outcome, study.place("unit"))
    models = [model, *(_same(model, sites.series[i], study) for i in members[1:])]
    contrasts = _contrasts(model)
    if not _in_one_pass(options):
        return _one_by_one(study, options, sites, dict(zip(members, models, strict=True)), contrasts)
    level = study.inference.level
    outcomes = np.stack([m.response for m in models])
    if options.counts:
        found, exists = _counts_in_one_pass(models, outcomes, contrasts, level)
        if not exists.any():
            return _one_by_one(study, options, sites, {members[0]: model}, contrasts)
        return {members[int(j)]: _of(models[int(j)], found, place) for place, j in enumerate(np.flatnonzero(exists))}
    if options.errors == "newey-west":
        lags = lags_of(options, model.steps.size, _cycle(first))
        assert isinstance(lags, int)
        found = newey_west_batch(outcomes, model.observed, model.steps, contrasts, level, lags=lags)
    else:
        found = marginal_ar1_batch(outcomes, model.observed, model.steps, contrasts, level)
    return {i: _of(models[place], found, place) for place, i in enumerate(members)}


def _counts_in_one_pass(
    models: list[Model], counts: FloatArray, contrasts: FloatArray, level: float
) -> tuple[Intervals, NDArray[np.bool_]]:
    """Fit sites that share columns; those whose maximum likelihood does not exist are left out."""
    X = models[0].observed
    fit = poisson(X, counts, np.stack([m.offset for m in models]))
    exists = fit.exists
    mu, y = fit.expected[exists], counts[exists]
    root = np.sqrt(mu)
    working = fit.coefficients[exists] @ X.T + (y - mu) / mu
    found = marginal_ar1_each(root * working, root[:, :, None] * X, models[0].steps, contrasts, level)
    return found, exists


def _one_by_one(
    study: Study, options: Options, sites: Sites, models: dict[int, Model], contrasts: FloatArray
) -> dict[int, _One]:
    """Fit sites in turn; those whose data allow no estimate are left out, unless all are."""
    found: dict[int, _One] = {}
    trouble: EvaluationError | None = None
    for i, model in models.items():
        try:
            found[i] = _single(model, study, options, sites.series[i], contrasts)
        except EvaluationError as error:
            trouble = error
    if not found and trouble is not None:
        raise trouble
    return found


def _of(model: Model, found: Intervals, place: int) -> _One:
    rows = (found.estimate, found.std_error, found.low, found.high, found.p_value)
    rho = float("nan") if found.autocorrelation is None else float(found.autocorrelation[place])
    return _One(model, np.stack([row[place] for row in rows]), rho)


def _same(model: Model, series: Series, study: Study) -> Model:
    """Return the model of a site that shares the columns of another."""
    exposure = series.exposure
    if not model.log_link:
        values = series.values if exposure is None else series.values * study.outcome.per / exposure
        return dataclasses.replace(model, response=values)
    if exposure is None:
        return dataclasses.replace(model, response=series.values)
    scale = study.outcome.per / exposure if study.outcome.kind == "rate" else model.scale
    return dataclasses.replace(model, response=series.values, offset=np.log(exposure), scale=scale)


def _cycle(series: Series) -> int | None:
    season = series.calendar.season(series.steps)
    return None if season is None else season[1]


def _contrasts(model: Model) -> FloatArray:
    """Return rows on the coefficients: the average effect, each change, and the sum of each pair of changes."""
    places = _changed(model)
    average = (model.observed - model.expected)[model.after].mean(axis=0)
    unit = np.eye(len(model.names))[places]
    pairs = [unit[i] + unit[j] for i in range(len(places)) for j in range(i)]
    return np.vstack([average, unit, *pairs])


def _single(model: Model, study: Study, options: Options, series: Series, rows: FloatArray) -> _One:
    lags = lags_of(options, model.steps.size, _cycle(series))
    main = estimate(model, options, errors=options.errors, lags=lags, where=study.place("outcome", "column"))
    found = main.measure(lambda b: (b @ rows.T, rows), study.inference.level)
    columns = (found.estimate, found.std_error, found.low, found.high, found.p_value)
    rho = main.autocorrelation
    return _One(model, np.stack(columns), float("nan") if rho is None else rho)


def _covariances(table: FloatArray, C: int) -> tuple[FloatArray, FloatArray]:
    """Return changes and covariances, from the errors of the changes and of the sums of pairs."""
    S = table.shape[0]
    changes = table[:, 0, 1 : C + 1]
    variance = table[:, 1, 1:] ** 2
    errors = np.zeros((S, C, C))
    errors[:, range(C), range(C)] = variance[:, :C]
    at = C
    for i in range(C):
        for j in range(i):
            cross = (variance[:, at] - variance[:, i] - variance[:, j]) / 2
            errors[:, i, j] = errors[:, j, i] = cross
            at += 1
    return changes, errors
