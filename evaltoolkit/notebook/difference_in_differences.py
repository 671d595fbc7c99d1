"""The call ``did``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaltoolkit.evaluation import Evaluation
from evaltoolkit.notebook.running import RowKind, evaluated
from evaltoolkit.study import Outcome


def did(
    frame: Any,
    *,
    outcome: str | Outcome,
    time: str,
    unit: str | None = None,
    first_treated: str | None = None,
    treated: str | None = None,
    covariates: Sequence[str] = (),
    comparison: str = "not-yet-treated",
    estimator: str = "callaway-santanna",
    adjust: str = "doubly-robust",
    anticipation: int = 0,
    base_period: str = "varying",
    headline: str = "group",
    cluster: str | None = None,
    weights: str | None = None,
    eligible: str | None = None,
    family: str = "linear",
    period_effects: str | None = None,
    weighting: str = "variance",
    panel: bool = True,
    incomplete: str = "keep",
    balance_event_times: int | None = None,
    event_window: tuple[int, int] | None = None,
    placebo_outcomes: Sequence[str] = (),
    inference: str = "auto",
    level: float = 0.95,
    draws: int = 9999,
    seed: int = 20260101,
    title: str | None = None,
    program: str | None = None,
    rows: RowKind = "aggregates",
    identifiers: Sequence[str] = (),
    release: str | None = None,
    moments: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Difference-in-differences: compare the change where the program started with the change where it had not.

    Parameters
    ----------
    frame
        One row per unit and period, never changed; or ``ev.connect(...)``, or sums of agencies from ``ev.add_moments``.
    outcome
        Column name, or an ``Outcome`` that says what it measures and its role.
    unit, time, first_treated
        Columns: the unit, the period, and the unit's first treated period (empty, 0 or inf = never).
    treated
        In place of ``first_treated``: column of 0 and 1, 1 from the first treated period on.
    covariates
        Columns whose value before treatment is adjusted for.
    comparison
        ``not-yet-treated`` or ``never-treated``.
    estimator
        ``callaway-santanna``, ``two-by-two``, ``twfe``, ``sun-abraham``, ``imputation``, ``two-stage``,
        ``etwfe``, ``stacked``, ``lp-did``, ``chaisemartin``, ``triple-difference`` or ``synthetic-did``.
    adjust
        ``doubly-robust``, ``weighting`` or ``regression`` (Callaway-Sant'Anna with covariates).
    anticipation
        Periods before the start in which behaviour may already change.
    base_period
        ``varying`` or ``universal``.
    headline
        How effects are averaged: ``group``, ``simple``, ``dynamic`` or ``calendar``.
    cluster, weights
        Columns: clusters above the unit, and sampling weights, one for each unit.
    eligible, family, period_effects, weighting
        For one estimator or another: column of 0 and 1 of whom the program treats (``triple-difference``); ``linear``,
        ``poisson`` or ``logit`` (``etwfe``, ``twfe``); column of groups with period effects of their own
        (``twfe``); cohorts by ``variance`` or ``equal`` (``lp-did``).
    panel
        Whether the same units are seen in each period; ``False`` for other people in each period (repeated
        cross-sections), with ``unit`` left out or, where units come and go, the unit.
    incomplete
        Units that lack some period: ``keep`` them for the periods they have, or ``drop`` them.
    balance_event_times, event_window
        Average by event time over cohorts seen at least so many periods after the start; first and last event time
        that are shown.
    placebo_outcomes
        Columns that the program cannot have changed, on which no effect should be found.
    inference, level, draws, seed
        ``auto`` (says what it chose), ``analytic``, ``jackknife``, ``bootstrap``, ``welch``, ``scaled``,
        ``randomization``, ``conley-taber``, ``ferman-pinto``, ``placebo``, ``cr1``, ``cr2``, ``cr3`` or
        ``wild-cluster``, each where the estimator allows it; confidence level; number and seed of random draws.
    title, program
        Words for the report.
    rows, identifiers
        What a row is, and columns that identify people, for disclosure control.
    release
        ``open`` where the frame is a table in an engine (``ev.connect``) whose rows may come.
    moments
        How rows become sums where they stay where they are: ``{"grid": {"income": [10, 20]}}`` cuts a covariate into
        categories; ``shift``, ``periods``, ``starts`` as under ``[moments]`` in a design file.

    Returns
    -------
    Evaluation

    Raises
    ------
    EvaluationError
        The data or an argument has to change; the message says what was found, expected and to do.

    References
    ----------
    Callaway, B. and Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of
    Econometrics 225. doi:10.1016/j.jeconom.2020.12.001

    Examples
    --------
    >>> import pandas as pd
    >>> import evaltoolkit as ev
    >>> panel = pd.DataFrame([
    ...     {"site": s, "year": t, "start": 2021 if s < 12 else 0, "y": s % 5 + t % 3 + (s < 12 and t >= 2021) * 2.0}
    ...     for s in range(24) for t in range(2018, 2024)])
    >>> e = ev.did(panel, outcome="y", unit="site", time="year", first_treated="start")
    >>> round(e.result.headline.estimate, 6)
    2.0
    """
    settings = {
        "unit": unit, "time": time, "first_treated": first_treated, "treated": treated,
        "covariates": list(covariates), "comparison": comparison, "estimator": estimator, "adjust": adjust,
        "anticipation": anticipation, "base_period": base_period, "headline": headline, "cluster": cluster,
        "weights": weights, "eligible": eligible, "family": family, "period_effects": period_effects,
        "weighting": weighting, "panel": panel, "incomplete": incomplete,
        "balance_event_times": balance_event_times, "event_window": event_window,
        "placebo_outcomes": list(placebo_outcomes), "moments": moments,
    }  # fmt: skip
    shared = {
        "title": title, "program": program, "rows": rows, "identifiers": identifiers, "release": release,
        "inference": inference, "level": level, "draws": draws, "seed": seed,
    }  # fmt: skip
    return evaluated("difference-in-differences", frame, outcome, settings, shared)
