"""What a researcher calls: ``did``, ``match``, ``its``, ``evaluate``, and the ``Evaluation`` they return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evaltoolkit.data import FrameSource
from evaltoolkit.evaluation import Evaluation
from evaltoolkit.pipeline import evaluate as _evaluate
from evaltoolkit.study import Outcome, study_from

if TYPE_CHECKING:
    import datetime

    import pandas as pd

    from evaltoolkit.comparison import Comparison

__all__ = ["Evaluation", "Outcome", "compare", "did", "evaluate", "its", "match"]

Covariate = str | Mapping[str, Any]
RowKind = Literal["people", "events", "aggregates"]


def _run(
    design: str, frame: Any, outcome: str | Outcome, settings: Mapping[str, Any], shared: Mapping[str, Any]
) -> Evaluation:
    described = Outcome(column=outcome) if isinstance(outcome, str) else outcome
    study = study_from(
        {
            "design": design,
            "title": shared["title"] or f"Effect on {described.name}",
            "program": shared["program"],
            "outcome": described,
            "data": {"rows": shared["rows"]},
            "inference": {"method": shared["inference"], "level": shared["level"], "seed": shared["seed"]},
            "disclosure": {"identifiers": tuple(shared["identifiers"])},
            **{key: value for key, value in settings.items() if value is not None},
        }
    )
    return Evaluation(_evaluate(study, FrameSource(frame)))


def did(
    frame: pd.DataFrame,
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
    sampling: str = "panel",
    incomplete: str = "keep",
    balance_event_times: int | None = None,
    event_window: tuple[int, int] | None = None,
    placebo_outcomes: Sequence[str] = (),
    inference: str = "auto",
    level: float = 0.95,
    seed: int = 20260101,
    title: str | None = None,
    program: str | None = None,
    rows: RowKind = "aggregates",
    identifiers: Sequence[str] = (),
) -> Evaluation:
    """Difference-in-differences: compare the change where the program started with the change where it had not.

    Parameters
    ----------
    frame
        One row per unit and period. Never changed.
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
        ``extended-twfe``, ``stacked``, ``lp-did``, ``switching``, ``triple-difference`` or ``synthetic-did``.
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
        ``poisson`` or ``logit`` (``extended-twfe``, ``twfe``); column of groups with period effects of their own
        (``twfe``); cohorts by ``variance`` or ``equal`` (``lp-did``).
    sampling
        ``panel``, the same units in each period; or ``cross-sections``, other people in each period, with ``unit`` left
        out or, where units come and go, the unit.
    incomplete
        Units that lack some period: ``keep`` them for the periods they have, or ``drop`` them.
    balance_event_times, event_window
        Average by event time over cohorts seen at least so many periods after the start; first and last event time
        that are shown.
    placebo_outcomes
        Columns that the program cannot have changed, on which no effect should be found.
    inference, level, seed
        ``auto`` (says what it chose), ``analytic``, ``jackknife``, ``welch``, ``scaled``, ``randomization``,
        ``conley-taber`` or ``ferman-pinto``; confidence level; seed of random draws.
    title, program
        Words for the report.
    rows, identifiers
        What a row is, and columns that identify people, for disclosure control.

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
        "weighting": weighting, "sampling": sampling, "incomplete": incomplete,
        "balance_event_times": balance_event_times, "event_window": event_window,
        "placebo_outcomes": list(placebo_outcomes),
    }  # fmt: skip
    shared = {
        "title": title, "program": program, "rows": rows, "identifiers": identifiers, "inference": inference,
        "level": level, "seed": seed,
    }  # fmt: skip
    return _run("difference-in-differences", frame, outcome, settings, shared)


def match(
    frame: pd.DataFrame,
    *,
    treated: str,
    outcome: str | Outcome,
    covariates: Sequence[Covariate],
    method: str = "nearest",
    distance: str = "logit",
    ratio: int = 1,
    replace: bool = False,
    caliper: float | None = 0.2,
    caliper_scale: str = "sd-score",
    exact: Sequence[str] = (),
    order: str = "largest",
    ties: str = "one",
    estimand: str = "ATT",
    effect: str = "regression",
    inference: str = "auto",
    level: float = 0.95,
    seed: int = 20260101,
    title: str | None = None,
    program: str | None = None,
    rows: RowKind = "people",
    identifiers: Sequence[str] = (),
) -> Evaluation:
    """Propensity-score matching: compare served people with similar people who were not served.

    Parameters
    ----------
    frame
        One row per person (or site). Never changed.
    treated
        Column of 0 and 1.
    outcome
        Column name, or an ``Outcome`` that says what it measures and its role.
    covariates
        Columns, ``{"log": "x"}`` or ``{"interact": ["a", "b"]}``.
    method, distance, ratio, replace, caliper, caliper_scale, exact, order, ties
        How pairs are made: nearest neighbour on the logit score or a numeric column, ``ratio`` matches each, with or
        without replacement, within ``caliper`` (``None`` for none) on its scale (``sd-score``, ``sd-logit``, ``raw``),
        exactly on ``exact``.
    estimand
        Whose effect is estimated.
    effect
        ``regression`` (g-computation on the matched sample) or ``difference`` in means.
    inference, level, seed
        Method (``auto`` says what it chose), confidence level, seed of random draws.
    title, program, rows, identifiers
        Words for the report, what a row is, and columns that identify people.

    Returns
    -------
    Evaluation

    References
    ----------
    Ho, D., Imai, K., King, G. and Stuart, E. (2007). Matching as nonparametric preprocessing for reducing model
    dependence in parametric causal inference. Political Analysis 15. doi:10.1093/pan/mpl013

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import evaltoolkit as ev
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=400)
    >>> served = (rng.random(400) < 1 / (1 + np.exp(1 - x))).astype(int)
    >>> people = pd.DataFrame({"served": served, "x": x, "score": 2 * served + x + rng.normal(size=400)})
    >>> m = ev.match(people, treated="served", outcome="score", covariates=["x"])
    >>> 1.5 < m.result.headline.estimate < 2.5
    True
    """
    settings = {
        "treated": treated, "covariates": list(covariates), "method": method, "distance": distance, "ratio": ratio,
        "replace": replace, "caliper": caliper, "caliper_scale": caliper_scale, "exact": list(exact), "order": order,
        "ties": ties, "estimand": estimand, "effect": effect,
    }  # fmt: skip
    shared = {
        "title": title, "program": program, "rows": rows, "identifiers": identifiers, "inference": inference,
        "level": level, "seed": seed,
    }  # fmt: skip
    return _run("propensity-score-matching", frame, outcome, settings, shared)


def its(
    frame: pd.DataFrame,
    *,
    outcome: str | Outcome,
    time: str,
    interruption: str | int | datetime.date | Sequence[str | int | datetime.date],
    every: str | None = None,
    family: str = "gaussian",
    population: str | None = None,
    effects: Sequence[str] = ("level", "slope"),
    season: str | Mapping[str, int] | None = None,
    errors: str = "marginal-ar1",
    lags: int | str | None = None,
    inference: str = "auto",
    level: float = 0.95,
    seed: int = 20260101,
    title: str | None = None,
    program: str | None = None,
    rows: RowKind = "aggregates",
    identifiers: Sequence[str] = (),
) -> Evaluation:
    """Interrupted time series: compare a series after an interruption with what its past leads one to expect.

    Parameters
    ----------
    frame
        One row per period. Never changed.
    outcome
        Column name, or an ``Outcome`` that says what it measures and its role.
    time
        Column of dates or periods.
    interruption
        First period with the program, or a list of such periods.
    every
        ``day``, ``week``, ``month``, ``quarter`` or ``year``; read off the data where it is not given.
    family
        ``gaussian``, ``poisson`` or ``quasi-poisson``.
    population
        Column with the number at risk, for counts.
    effects
        What may change at the interruption: ``level``, ``slope``.
    season
        ``"months"`` or ``{"harmonics": 2}``.
    errors, lags
        How autocorrelation is dealt with: ``marginal-ar1`` (default), ``newey-west``, ``ols``, ``model-based``; and the
        lags of Newey-West.
    inference, level, seed
        ``auto`` (``errors`` decides), confidence level, seed.
    title, program, rows, identifiers
        Words for the report, what a row is, and columns that identify people.

    Returns
    -------
    Evaluation

    References
    ----------
    Lopez Bernal, J., Cummins, S. and Gasparrini, A. (2017). Interrupted time series regression for the evaluation of
    public health interventions. International Journal of Epidemiology 46. doi:10.1093/ije/dyw098

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import evaltoolkit as ev
    >>> months = pd.date_range("2018-01-01", periods=48, freq="MS")
    >>> wave = np.sin(np.arange(48) * 2.4)
    >>> series = pd.DataFrame({"month": months, "calls": 20 + wave + 5 * (months >= "2020-01-01")})
    >>> s = ev.its(series, outcome="calls", time="month", interruption="2020-01-01", effects=["level"])
    >>> 4 < s.result.headline.estimate < 6
    True
    """
    if population is not None:
        described = Outcome(column=outcome) if isinstance(outcome, str) else outcome
        kind = described.kind if described.kind in {"count", "rate"} else "count"
        outcome = described.model_copy(update={"population": population, "kind": kind})
    settings = {
        "time": time, "interruption": interruption, "every": every, "family": family, "effects": list(effects),
        "season": season, "errors": errors, "lags": lags,
    }  # fmt: skip
    shared = {
        "title": title, "program": program, "rows": rows, "identifiers": identifiers, "inference": inference,
        "level": level, "seed": seed,
    }  # fmt: skip
    return _run("interrupted-time-series", frame, outcome, settings, shared)


def evaluate(path: str | Path) -> Evaluation:
    """Evaluate a design file: the same evaluation that the command line makes.

    Raises
    ------
    EvaluationError
        The design file, the data or an option has to change.

    Examples
    --------
    >>> import evaltoolkit as ev
    >>> ev.evaluate("no_such_file.toml")
    Traceback (most recent call last):
    ...
    evaltoolkit.errors.DesignFileValueError: there is no design file 'no_such_file.toml'...
    """
    return Evaluation(_evaluate(path))


def compare(study: str | Path | Evaluation) -> Comparison:
    """Estimate the effect of a study in every reasonable way of its design: a specification curve.

    Parameters
    ----------
    study
        A design file, or an evaluation (for which ``evaluation.compare()`` is the same).

    Returns
    -------
    Comparison
        ``tidy()`` has one row for each analysis, with the reason where there is no estimate; ``plot()`` draws the
        curve; ``summary()`` says how far the analyses agree; ``write(folder)`` writes ``compare.json`` and the figure.

    Raises
    ------
    EvaluationError
        The design file, the data or an option has to change, or there is no alternative.

    References
    ----------
    Simonsohn, U., Simmons, J. and Nelson, L. (2020). Specification curve analysis. Nature Human Behaviour 4.
    doi:10.1038/s41562-020-0912-z

    Examples
    --------
    >>> import pandas as pd
    >>> import evaltoolkit as ev
    >>> panel = pd.DataFrame([
    ...     {"site": s, "year": t, "start": 2021 if s < 12 else 0, "y": s % 5 + t % 3 + (s < 12 and t >= 2021) * 2.0}
    ...     for s in range(24) for t in range(2018, 2024)])
    >>> c = ev.compare(ev.did(panel, outcome="y", unit="site", time="year", first_treated="start"))
    >>> c.tidy()["estimate"].dropna().round(6).unique().tolist()
    [2.0]
    """
    return (study if isinstance(study, Evaluation) else evaluate(study)).compare()
