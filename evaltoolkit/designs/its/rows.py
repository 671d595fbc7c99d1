"""Estimate rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from evaltoolkit.designs.its import control_results
from evaltoolkit.designs.its.by_interruption import added
from evaltoolkit.designs.its.estimators import Estimated, One
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.predicted import Predicted
from evaltoolkit.results import Estimate
from evaltoolkit.results.types import RATE_RATIO, EstimateKind, Standing

MODELS = {
    "gaussian": "segmented linear regression",
    "poisson": "segmented Poisson regression",
    "quasi-poisson": "segmented quasi-Poisson regression",
    "negative-binomial": "segmented negative binomial regression",
}


EXPECTED = "change after the interruption"
OUTCOMES = "difference of the outcomes after the interruption from those expected"
"""Estimands: of what is expected, by the model's coefficients; and of outcomes, with the scatter of the periods."""


def estimates(fitted: Fitted, outcomes: Predicted) -> tuple[Estimate, ...]:
    """Return the headline first, then its relative and absolute form, and every other estimate."""
    e = fitted.effects
    rows = [headline(fitted)]
    if fitted.ratio:
        rows.append(_row(fitted, e.average, kind="average", term="average difference", standing="secondary"))
    if e.log_ratio is not None:
        rows.append(_row(fitted, e.log_ratio.percent(), kind="percent", term="relative change", standing="primary"))
    rows += [
        _row(fitted, e.cumulative, kind="cumulative", term="cumulative", standing="secondary"),
        _at(fitted, e.first, "first period", first=True), _at(fitted, e.last, "last period", first=False),
        *_per_population(fitted), *_outcomes(fitted, outcomes),
        *_by_interruption(fitted), *_coefficients(fitted),
    ]  # fmt: skip
    rows += control_results.rows(fitted)
    rows += [
        _row(fitted, v.found.exp() if fitted.ratio else v.found, kind="variant", standing="sensitivity",
             term=f"{RATE_RATIO}: {v.label}" if fitted.ratio else v.label, estimator=v.label, main=v.main)
        for v in fitted.variants
        if v.found is not None
    ]  # fmt: skip
    return tuple(rows)


def headline(fitted: Fitted) -> Estimate:
    """Return the headline row: the rate ratio of counts, else the average difference."""
    term = RATE_RATIO if fitted.ratio else "average"
    return _row(fitted, fitted.headline, kind="average", term=term, standing="primary")


def inference_text(main: Estimated, df: float | None) -> str:
    """Return the kind of errors and their reference."""
    return main.inference(df)


def _row(
    fitted: Fitted, m: One, *, kind: EstimateKind, term: str, standing: Standing, estimator: str = "",
    main: Estimated | None = None, **place: Any,
) -> Estimate:  # fmt: skip
    outcome = fitted.study.outcome
    return Estimate(
        term=term, kind=kind, estimand=EXPECTED, outcome=outcome.name,
        outcome_role=outcome.role, estimate=m.estimate, std_error=m.std_error, conf_low=m.low, conf_high=m.high,
        p_value=m.p_value, df=m.df, n_obs=fitted.model.steps.size, n_units=1, n_clusters=None,
        estimator=estimator or MODELS[fitted.options.family], inference=inference_text(main or fitted.main, m.df),
        standing=standing, **place,
    )  # fmt: skip


def _at(fitted: Fitted, m: One, term: str, *, first: bool) -> Estimate:
    after = fitted.model.after.nonzero()[0]
    label = fitted.series.label(int(after[0 if first else -1]))
    return _row(fitted, m, kind="effect-at", term=term, standing="secondary", time=label)


def _per_population(fitted: Fitted) -> list[Estimate]:
    """Return the events that were added or spared, for as many people as rates are given for."""
    m = fitted.effects.per_population
    if m is None:
        return []
    term = f"cumulative per {fitted.study.outcome.per:,.0f}"
    return [_row(fitted, m, kind="cumulative", term=term, standing="secondary")]


def _outcomes(fitted: Fitted, outcomes: Predicted) -> list[Estimate]:
    """Return the effects on the outcomes themselves, whose intervals hold the scatter of the periods."""
    after = fitted.model.after.nonzero()[0]
    first, last = (fitted.series.label(int(after[i])) for i in (0, -1))
    wanted: tuple[tuple[str, EstimateKind, One, str | None], ...] = (
        ("average", "average", outcomes.average, None), ("cumulative", "cumulative", outcomes.cumulative, None),
        ("first period", "effect-at", outcomes.first, first), ("last period", "effect-at", outcomes.last, last),
    )  # fmt: skip
    return [
        dataclasses.replace(
            _row(fitted, m, kind=kind, term=f"{term}, outcomes", standing="secondary", time=time), estimand=OUTCOMES
        )
        for term, kind, m, time in wanted
    ]


def _by_interruption(fitted: Fitted) -> list[Estimate]:
    """Return what each of several interruptions added until the next."""
    rows = []
    for part in added(fitted):
        place: dict[str, Any] = {"kind": "average", "standing": "secondary", "time": part.period}
        if part.log_ratio is not None:
            rows.append(_row(fitted, part.log_ratio.exp(), term=f"{RATE_RATIO} ({part.period})", **place))
        rows.append(_row(fitted, part.average, term=f"average ({part.period})", **place))
    return rows


def _coefficients(fitted: Fitted) -> list[Estimate]:
    names = fitted.model.names
    each = np.eye(len(names))
    found = fitted.main.measure(lambda b: (b, each), fitted.level)
    rows = []
    for i, name in enumerate(names):
        kind: EstimateKind = (
            "level" if name.startswith("level") else "slope" if name.startswith("slope") else "coefficient"
        )
        rows.append(_row(fitted, found.one(i), kind=kind, term=name, standing="exploratory"))
    return rows


def errors_text(fitted: Fitted) -> str:
    """Return how intervals were made, in words."""
    how = fitted.main.how
    return f"{how.words}, at the boundary of what it allows" if how.boundary else how.words
