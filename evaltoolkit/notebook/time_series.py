"""The call ``its``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evaltoolkit.evaluation import Evaluation
from evaltoolkit.notebook.running import RowKind, evaluated
from evaltoolkit.study import Outcome

if TYPE_CHECKING:
    import datetime

    Start = str | int | datetime.date | Mapping[str, Any]


def its(
    frame: Any,
    *,
    outcome: str | Outcome,
    time: str,
    interruption: Start | Sequence[Start] = (),
    every: str | None = None,
    family: str = "gaussian",
    population: str | None = None,
    effects: Sequence[str | Mapping[str, Any]] = ("level", "slope"),
    phase_in: int | Mapping[str, Any] | None = None,
    season: str | Mapping[str, Any] | None = None,
    covariates: Sequence[str] = (),
    placebo_outcomes: Sequence[str] = (),
    events: Sequence[Mapping[str, Any]] = (),
    recording_changes: Sequence[Mapping[str, Any]] = (),
    recorded: Mapping[str, Any] | None = None,
    unit: str | None = None,
    first_treated: str | None = None,
    pooling: str | None = None,
    treated_unit: str | None = None,
    control: str | Sequence[str] | None = None,
    control_population: str | None = None,
    errors: str = "marginal-ar1",
    error_model: Mapping[str, object] | None = None,
    lags: int | str | None = None,
    inference: str = "auto",
    level: float = 0.95,
    seed: int = 20260101,
    title: str | None = None,
    program: str | None = None,
    rows: RowKind = "aggregates",
    identifiers: Sequence[str] = (),
    release: str | None = None,
) -> Evaluation:
    """Interrupted time series: compare a series after an interruption with what its past leads one to expect.

    Parameters
    ----------
    frame
        One row per period; one for each event or person where ``rows`` says so, counted by ``every``. Never changed.
    outcome
        Column name, or an ``Outcome`` that says what it measures and its role.
    time
        Column of dates or periods.
    interruption
        First period with the program, or a list of such periods. A table ``{"date": ..., "label": ..., "effects":
        [...]}`` gives one words and effects of its own.
    every
        ``day``, ``week``, ``month``, ``quarter`` or ``year``; read off the data where it is not given.
    family
        ``gaussian``; for counts ``poisson``, ``quasi-poisson`` or ``negative-binomial``.
    population
        Column with the number at risk, for counts.
    effects
        What may change at the interruption: ``level``, ``slope``, ``pulse``, or a table: ``{"shape": "ramp", "over":
        6}``, ``{"shape": "temporary", "lasts": 3}`` (or ``until``), each with ``delay`` where it begins later. The
        slope counts the periods since the start from 0.
    phase_in
        Number of periods of a phase-in that are left out, or ``{"until": ..., "as": "ramp"}``.
    season
        ``"months"`` (or quarters), ``"weekdays"``, or ``{"harmonics": 2}``.
    placebo_outcomes
        Columns that the program cannot have changed, on which no effect should be found.
    covariates
        Columns that vary over time and enter the model.
    events, recording_changes
        Other things that may have moved the outcome, and changes in what is recorded: ``{"date": ..., "label": ...,
        "modelled": True}``.
    recorded
        ``{"first": ..., "last": ...}``: days between which recording was complete.
    unit, first_treated, pooling
        Column of sites, each of which gets a model of its own; the column with the first period with the program at
        each, in place of ``interruption``; and how they are pooled: ``"reml"`` (default), ``"paule-mandel"``,
        ``"dersimonian-laird"``, ``"common-effect"``.
    treated_unit, control, control_population
        For a controlled series: with ``unit``, the one with the program, and what it is compared with: ``"mean"`` or
        ``"all"`` of the others, ``"matched"``, ``"synthetic"``, or their names. Without ``unit``, ``control`` is a
        column (or several), and ``control_population`` the column with its population.
    errors, error_model, lags
        How autocorrelation is dealt with: ``marginal-ar1`` (default), ``marginal-ar2``, ``marginal-seasonal-ar``,
        ``newey-west``, ``prais-winsten``, ``gls``, ``arma``, ``arima``, ``ols``, ``model-based``; details such as
        ``{"order": [1, 1], "likelihood": "ml"}`` or ``{"cycle": 12}``; and the lags of Newey-West.
    inference, level, seed
        ``auto`` (``errors`` decides), confidence level, seed.
    title, program, rows, identifiers
        Words for the report, what a row is, and columns that identify people.
    release
        ``open`` where the frame is a table in an engine (``ev.connect``) whose rows may come.

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
        "season": season, "errors": errors, "error_model": error_model, "lags": lags, "phase_in": phase_in,
        "covariates": list(covariates), "placebo_outcomes": list(placebo_outcomes), "events": list(events),
        "recording_changes": list(recording_changes),
        "recorded": recorded, "unit": unit, "first_treated": first_treated, "pooling": pooling,
        "treated_unit": treated_unit, "control": control,
        "control_population": control_population,
    }  # fmt: skip
    shared = {
        "title": title, "program": program, "rows": rows, "identifiers": identifiers, "release": release,
        "inference": inference, "level": level, "seed": seed,
    }  # fmt: skip
    return evaluated("interrupted-time-series", frame, outcome, settings, shared)
