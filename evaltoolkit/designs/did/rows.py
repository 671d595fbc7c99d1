"""Estimate rows."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from evaltoolkit.designs.did.catalogue import ESTIMATORS
from evaltoolkit.designs.did.family import Family, Measured
from evaltoolkit.designs.did.fitted import Fitted, percent, shown
from evaltoolkit.designs.did.inference import Choice
from evaltoolkit.results import Estimate
from evaltoolkit.results.types import EstimateKind, Standing


def estimates(fitted: Fitted) -> tuple[Estimate, ...]:
    """Return the headline first, then its relative form, and every other estimate."""
    rows = [headline(fitted), *_relative(fitted), *_other_overall(fitted)]
    rows += [_event(fitted, i) for i in range(fitted.events.labels.size)]
    if fitted.cells is not None:
        rows += _cohorts(fitted) + _calendar(fitted) + _group_time(fitted)
    rows += [
        _row(fitted, v.found, kind="variant", term=v.label, standing="sensitivity", estimator=v.label)
        for v in fitted.variants
        if v.found is not None
    ]
    return tuple(rows)


def headline(fitted: Fitted) -> Estimate:
    """Return the headline row."""
    return _row(fitted, fitted.headline, kind="overall", term=headline_term(fitted), standing="primary")


def headline_term(fitted: Fitted) -> str:
    """Return the name of the headline's aggregation."""
    return fitted.options.headline if fitted.cells is not None else "ATT"


def inference_text(choice: Choice, measured: Measured) -> str:
    """Return the kind of error and its reference.

    >>> inference_text(Choice("analytic", "auto", "many", 20, 40, 60, 100), Measured(1.0, 0.5, 0.0, 2.0, 0.05, None))
    'analytic, normal'
    """
    if measured.std_error is None and measured.p_value is None:
        return "no standard error"
    if measured.std_error is None:
        words = {"none": "randomization, p-value only", "wild-cluster": "wild cluster bootstrap"}
        return words.get(choice.way, choice.way)
    law = "normal" if measured.df is None else f"t({measured.df:.4g})"
    return f"{choice.way}, {law}"


def _row(
    fitted: Fitted, m: Measured, *, kind: EstimateKind, term: str, standing: Standing, estimator: str = "",
    people: int | None = None, **place: Any,
) -> Estimate:  # fmt: skip
    n, observed = fitted.facts.n_units, int(fitted.facts.seen.sum())
    outcome = fitted.study.outcome
    whole = people is None
    return Estimate(
        term=term, kind=kind, estimand="ATT", outcome=outcome.name, outcome_role=outcome.role, estimate=m.estimate,
        std_error=m.std_error, conf_low=m.low, conf_high=m.high, p_value=m.p_value, df=m.df,
        n_obs=observed if whole else None, n_units=n if whole else people,
        n_clusters=fitted.choice.n_clusters if whole else None,
        estimator=estimator or ESTIMATORS[fitted.options.estimator].words,
        inference=inference_text(fitted.choice, m), standing=standing, **place,
    )  # fmt: skip


def _relative(fitted: Fitted) -> list[Estimate]:
    found = percent(fitted)
    if found is None:
        return []
    return [_row(fitted, found, kind="percent", term="relative change", standing="primary")]


def _other_overall(fitted: Fitted) -> list[Estimate]:
    if fitted.cells is None:
        return []
    return [
        _row(fitted, _shown(fitted, fitted.cells.overall(kind)), kind="overall", term=kind, standing="exploratory")
        for kind in ("group", "simple", "dynamic", "calendar")
        if kind != fitted.options.headline
    ]


def _shown(fitted: Fitted, family: Family, i: int = 0) -> Measured:
    return shown(fitted.choice, family).one(i, fitted.level)


def behind(fitted: Fitted, kind: Literal["event", "cohort", "calendar"], value: int) -> tuple[np.ndarray, int]:
    """Return the cohorts that a row averages over, and how many units they have (hidden where they are too few)."""
    cohorts = fitted.facts.cohorts
    if kind == "cohort":
        chosen = cohorts[cohorts == value]
    elif kind == "calendar":
        chosen = cohorts[cohorts <= value]
    elif fitted.cells is not None:
        chosen = np.unique(fitted.cells.cells.cohort[fitted.cells.cells.event_time == value])
    else:
        chosen = cohorts[np.isin(cohorts + value, fitted.facts.periods)]
    return chosen, fitted.show.basis(chosen, fitted.facts.size(chosen))


def _event(fitted: Fitted, i: int) -> Estimate:
    e = int(fitted.events.labels[i])
    _, n = behind(fitted, "event", e)
    return _row(
        fitted, _shown(fitted, fitted.events, i), kind="event-time", term=f"event time {e}", standing="exploratory",
        people=n, event_time=e,
    )  # fmt: skip


def _cohorts(fitted: Fitted) -> list[Estimate]:
    assert fitted.cells is not None
    family = fitted.cells.family("group")
    rows = []
    for i, g in enumerate(family.labels.tolist()):
        label = fitted.data.calendar.label(g)
        _, n = behind(fitted, "cohort", g)
        rows.append(
            _row(
                fitted, _shown(fitted, family, i), kind="cohort", term=f"cohort {label}", standing="exploratory",
                people=n, cohort=label,
            )
        )  # fmt: skip
    return rows


def _calendar(fitted: Fitted) -> list[Estimate]:
    assert fitted.cells is not None
    family = fitted.cells.family("calendar")
    rows = []
    for i, t in enumerate(family.labels.tolist()):
        label = fitted.data.calendar.label(t)
        _, n = behind(fitted, "calendar", t)
        rows.append(
            _row(
                fitted, _shown(fitted, family, i), kind="calendar-time", term=f"period {label}", standing="exploratory",
                people=n, time=label,
            )
        )  # fmt: skip
    return rows


def _group_time(fitted: Fitted) -> list[Estimate]:
    assert fitted.cells is not None
    family, c = fitted.cells.family("cells"), fitted.cells.cells
    rows = []
    for k in range(c.att.size):
        g, t = int(c.cohort[k]), int(c.period[k])
        cohort, time = fitted.data.calendar.label(g), fitted.data.calendar.label(t)
        n = fitted.show.basis(c.cohort[k : k + 1], int(c.n_treated[k]))
        rows.append(
            _row(
                fitted, _shown(fitted, family, k), kind="group-time", term=f"cohort {cohort} in {time}",
                standing="exploratory", people=n, cohort=cohort, time=time, event_time=t - g,
            )
        )  # fmt: skip
    return rows
