"""How sure a series like this one is to show an effect: by formula, and with simulated series by the study's method."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.contract import Power, PowerPoint
from evaltoolkit.designs.its.dependence import MODELLED
from evaltoolkit.designs.its.detectable import POWER, Ahead, ahead, smallest
from evaltoolkit.designs.its.estimators import estimate, lags_of
from evaltoolkit.designs.its.model import Model, build
from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.series import Series
from evaltoolkit.errors import EvaluationError, NoPrePeriodError
from evaltoolkit.kernels.detectable import power_of_t
from evaltoolkit.results import number, plural
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]

SHARES: Final = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Effects of the curve, in smallest detectable effects."""
DRAWS: Final = 200
DRAWS_MODELLED: Final = 50
"""Simulated series where each takes a likelihood to be maximised."""


def power(study: Study, options: Options, series: Series) -> Power:
    """Return the smallest detectable effect and the curve.

    Raises
    ------
    NoPrePeriodError
        Too few periods lie before the start.
    """
    model = build(series, options, study.outcome, study.place("interruption"))
    found = ahead(model, options, series.starts[0])
    if found is None:
        raise NoPrePeriodError(
            "the periods before the start are too few, or do not vary, for an estimate of the error to come",
            expected="three periods more than the terms of the model, before the start",
            todo="use a longer series, or no season", where=study.place("interruption"),
        )  # fmt: skip
    level, alpha = study.inference.level, 1 - study.inference.level
    effect = smallest(found, level)
    effects = [share * effect for share in SHARES]
    points = tuple(PowerPoint(_shown(model, e), power_of_t(e, found.std_error, found.df, alpha=alpha)) for e in effects)
    matters = study.outcome.smallest_effect_that_matters
    return Power(
        what="ratio to what was expected" if model.log_link else "average difference from what was expected",
        unit=_unit(study, model), null=1.0 if model.log_link else 0.0, smallest=_shown(model, effect), power=POWER,
        level=level, curve=points, matters=matters, power_at_matters=_at(found, model, matters, alpha),
        simulated=_simulated(study, options, series, model, found, effect),
        notes=_notes(series, found, model),
    )  # fmt: skip


def _shown(model: Model, effect: float) -> float:
    return float(np.exp(effect)) if model.log_link else effect


def _unit(study: Study, model: Model) -> str:
    outcome = study.outcome
    if model.log_link:
        return ""
    if outcome.kind == "proportion":
        return "as a share"
    return f"per {outcome.per:,.0f}" if outcome.population is not None and outcome.per != 1 else ""


def _at(found: Ahead, model: Model, matters: float | None, alpha: float) -> float | None:
    """Return the power at the smallest effect that matters, a rise; it is in display units."""
    if matters is None or matters <= 0:
        return None
    effect = float(np.log1p(matters / found.display)) if model.log_link else matters
    return power_of_t(effect, found.std_error, found.df, alpha=alpha)


def _notes(series: Series, found: Ahead, model: Model) -> tuple[str, ...]:
    noun = series.calendar.noun
    before = int((model.steps < series.starts[0]).sum())
    after = int(model.after.sum())
    return (
        f"{plural(before, noun)} before the start, {after:,} from it on. Only outcomes before the start were used.",
        f"Autocorrelation before the start: {number(found.rho, 2, signed=True)}.",
        "By the formula for first-order autoregressive errors; the simulated series were made in the same way and "
        "analysed by the study's own method.",
    )


def _simulated(
    study: Study, options: Options, series: Series, model: Model, found: Ahead, effect: float
) -> tuple[PowerPoint, ...]:
    """Return the share of simulated series with a clear effect, where there is none and at the smallest detectable."""
    rng = np.random.default_rng(study.inference.seed)
    draws = DRAWS_MODELLED if options.errors in MODELLED else DRAWS
    season = series.calendar.season(series.steps)
    lags = lags_of(options, model.steps.size, None if season is None else season[1])
    shape = model.after.astype(np.float64)
    points = []
    for size in (0.0, effect):
        hits, tried = 0, 0
        for y in _series(rng, model, found, size * shape, draws):
            made = dataclasses.replace(model, response=y)
            try:
                main = estimate(made, options, errors=options.errors, lags=lags, where="")
                after = model.after.astype(np.float64)
                asked = made.log_ratio() if model.log_link else made.effect(after[None, :] / after.sum())
                p = main.measure(asked, study.inference.level).one().p_value
            except EvaluationError:
                continue
            tried += 1
            hits += p is not None and p < 1 - study.inference.level
        if tried:
            points.append(PowerPoint(_shown(model, size), hits / tried, draws=tried))
    return tuple(points)


def _series(rng: np.random.Generator, model: Model, found: Ahead, change: FloatArray, draws: int) -> FloatArray:
    """Return simulated responses, shape (draws, n)."""
    n = model.steps.size
    gaps = np.diff(model.steps, prepend=model.steps[0])
    if not model.log_link:
        return np.asarray(found.expected + change + found.spread * _autoregressive(rng, found.rho, gaps, draws))
    mu = found.expected * np.exp(change)
    extra = max(found.spread**2 - 1, 0.0)
    if extra == 0:
        return np.asarray(rng.poisson(mu, size=(draws, n)).astype(np.float64))
    # Counts of a log-normal intensity: their excess variance is mu^2 (e^s2 - 1), and only that part is related.
    s2 = np.log1p(extra / mu)
    rho = float(np.clip(found.rho * (1 + extra) / extra, -0.95, 0.95))
    latent = _autoregressive(rng, rho, gaps, draws) * np.sqrt(s2) - s2 / 2
    return np.asarray(rng.poisson(mu * np.exp(latent)).astype(np.float64))


def _autoregressive(rng: np.random.Generator, rho: float, gaps: NDArray[np.int64], draws: int) -> FloatArray:
    """Return first-order autoregressions of variance one, shape (draws, n)."""
    z = rng.standard_normal((draws, gaps.size))
    out = np.empty_like(z)
    out[:, 0] = z[:, 0]
    for t in range(1, gaps.size):
        carry = rho ** int(gaps[t])
        out[:, t] = carry * out[:, t - 1] + np.sqrt(1 - carry**2) * z[:, t]
    return out
