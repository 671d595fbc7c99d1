"""What a controlled series adds to a result: the stacked regression, the past of both, and who the controls are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaltoolkit.designs.its.display import measure, times
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.series import Control, FloatArray
from evaltoolkit.kernels.controlled import Stacked, stacked_regression
from evaltoolkit.kernels.newey_west import lag_by_rule
from evaltoolkit.results import Cell, Column, Diagnostic, Estimate, FigureData, TableData, number, p_value, plural
from evaltoolkit.results.numbers import digits_for

ALIKE = 0.05
LARGE = 30.0
"""Events of the control in a period below which intervals were found a little too narrow (tests/simulation)."""
_MOST_NAMED = 40


@dataclass(frozen=True, slots=True)
class Comparison:
    """The stacked regression of a study, its lags, and its numbers by name: estimate, standard error, p-value."""

    fit: Stacked
    lags: int
    rows: tuple[tuple[str, float, float, float], ...]


def comparison(fitted: Fitted) -> Comparison | None:
    """Return the stacked regression; None for counts on the log scale and where the treated series has own columns."""
    control, series, model = fitted.series.control, fitted.series, fitted.model
    own = bool(series.covariates) or any(mark.modelled for mark in series.marked)
    if control is None or model.log_link or own:
        return None
    per = 1.0 if series.exposure is None else fitted.study.outcome.per
    each = control.rates[:, None] if control.kind in {"mean", "synthetic"} else control.each
    lags = lag_by_rule(model.steps.size) if fitted.main.lags is None else fitted.main.lags
    fit = stacked_regression(model.shown, each * per, model.observed, model.steps, lags)
    k = len(model.names)
    named: list[tuple[str, FloatArray]] = []
    for side, first in (("control", 0), ("difference", k)):
        for j, name in enumerate(model.names):
            row = np.zeros(2 * k)
            row[first + j] = 1.0
            named.append((f"{side}: {name}", row))
    if "slope" in model.names:
        named += _trends_after(model.names)
    return Comparison(fit, lags, tuple((name, *fit.number(row)) for name, row in named))


def _trends_after(names: tuple[str, ...]) -> list[tuple[str, FloatArray]]:
    k = len(names)
    both = np.zeros(k)
    both[[names.index("trend"), names.index("slope")]] = 1.0
    zeros = np.zeros(k)
    return [
        ("treated: trend after", np.concatenate([both, both])),
        ("control: trend after", np.concatenate([both, zeros])),
        ("difference: trend after", np.concatenate([zeros, both])),
    ]


def rows(fitted: Fitted) -> tuple[Estimate, ...]:
    """Return the numbers of the stacked regression as estimates."""
    found = comparison(fitted)
    if found is None:
        return ()
    return tuple(_estimate(fitted, found, *numbers) for numbers in found.rows)


def _estimate(fitted: Fitted, found: Comparison, name: str, value: float, error: float, p: float) -> Estimate:
    outcome = fitted.study.outcome
    return Estimate(
        term=name, kind="coefficient", estimand="stacked regression beside the controls", outcome=outcome.name,
        outcome_role=outcome.role, estimate=value, std_error=error, p_value=_finite(p), df=float(found.fit.df),
        n_obs=found.fit.df + 2 * len(fitted.model.names), estimator="stacked segmented regression",
        inference=f"Newey-West within series, {found.lags} lags, t({found.fit.df})", standing="exploratory",
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def tables(fitted: Fitted) -> tuple[TableData, ...]:
    """Return the stacked regression, and the controls with their weights."""
    control = fitted.series.control
    if control is None:
        return ()
    found = comparison(fitted)
    regression = () if found is None else (_regression(found),)
    return (*regression, *_who(control))


def _regression(found: Comparison) -> TableData:
    cells: list[tuple[Cell, ...]] = []
    for name, value, error, p in found.rows:
        places = max(digits_for(v) for v in (value, error))
        cells.append((name[:1].upper() + name[1:], number(value, places, signed=True), number(error, places), p))
    return TableData(
        key="stacked_regression", title="Treated and control series in one regression", section="methods",
        columns=(
            Column(key="term", label="Term", kind="text"), Column(key="estimate", label="Estimate", kind="text"),
            Column(key="std_error", label="Standard error", kind="text"),
            Column(key="p_value", label="p", kind="p-value"),
        ),
        rows=tuple(cells),
        note=f"Newey-West errors with {found.lags} lags within each series. The terms of the difference are z, z_t, "
        "z_x and z_x_t of Stata's itsa. They are shown for comparison: such errors are too small in short series, and "
        "the headline does not rest on them.",
    )  # fmt: skip


def _who(control: Control) -> tuple[TableData, ...]:
    if control.kind == "named" and len(control.names) == 1:
        return ()
    order = np.argsort(-control.weights, kind="stable")[:_MOST_NAMED]
    more = len(control.names) - order.size
    return (
        TableData(
            key="controls", title="The controls", section="methods",
            columns=(
                Column(key="control", label="Control", kind="text"),
                Column(key="weight", label="Weight", digits=3),
            ),
            rows=tuple((control.names[int(j)], float(control.weights[int(j)])) for j in order),
            note=f"Chosen from {plural(control.candidates, 'series', 'series')}."
            + (f" {more:,} more are not listed." if more else ""),
        ),
    )  # fmt: skip


def figure(fitted: Fitted) -> FigureData | None:
    """Return the treated series and its control over time."""
    series, control, model = fitted.series, fitted.series.control, fitted.model
    if control is None:
        return None
    per = 1.0 if series.exposure is None else fitted.study.outcome.per
    people = series.people
    if people is None and fitted.study.outcome.kind in {"count", "rate"}:
        people = series.values
    drawn: list[tuple[Cell, ...]] = []
    mine, theirs = treated_words(fitted), control_words(control)
    for i, step in enumerate(model.steps.tolist()):
        n = None if people is None else int(people[i])
        drawn.append((step, series.label(i), mine, "program", times(fitted, float(model.shown[i])), n))
    for i, step in enumerate(model.steps.tolist()):
        n = None if control.events is None else int(control.events[i])
        value = times(fitted, float(control.rates[i] * per))
        drawn.append((step, series.label(i), theirs, "comparison", value, n))
    starts = [{"x": s, "label": f"Start, {series.start_label(s)}"} for s in series.starts]
    first, last = series.label(0), series.label(-1)
    return FigureData(
        key="treated_and_control", kind="trajectories", section="results",
        headline="The treated series and what it is compared with",
        subtitle=f"{measure(fitted)}, by {series.calendar.noun}",
        alt=f"Two lines from {first} to {last}: {mine} and {theirs}. {before_text(fitted)}",
        columns=(
            Column(key="x"), Column(key="label", kind="text"), Column(key="group", kind="text"),
            Column(key="role", kind="text"), Column(key="value"), Column(key="basis", kind="basis", governs=("value",)),
        ),
        rows=tuple(drawn), marks={"starts": starts, "y_label": measure(fitted)},
    )  # fmt: skip


def events_at(fitted: Fitted, i: int) -> Cell:
    """Return the number of events behind the control in a period: small ones hide what would give them away."""
    control = fitted.series.control
    return None if control is None or control.events is None else int(control.events[i])


def treated_words(fitted: Fitted) -> str:
    """Return the treated series in words."""
    return fitted.options.treated_unit or "With the program"


def control_words(control: Control) -> str:
    """Return the control in words.

    >>> one = np.ones(1)
    >>> control_words(Control("named", ("Nevada",), one, one, one[:, None], None, 1))
    'Nevada'
    """
    J = len(control.names)
    if control.kind == "named":
        return control.names[0] if J == 1 else f"Mean of {J} named controls"
    return {
        "mean": f"Mean of {J} controls", "all": f"Mean of {J} controls", "matched": f"Mean of {J} matched controls",
        "synthetic": f"Weighted mean of {J} controls",
    }[control.kind]  # fmt: skip


def before_text(fitted: Fitted) -> str:
    """Return whether the two ran alike before the start, as a sentence."""
    trend = fitted.main.measure(fitted.model.column("trend"), fitted.level).one()
    apart = trend.p_value is not None and trend.p_value < ALIKE
    return (
        f"Before the start the two {'drew apart' if apart else 'ran about alike'} (p = {p_value(trend.p_value)} for a "
        "trend of the difference)."
    )


def _size(fitted: Fitted) -> tuple[Diagnostic, ...]:
    """Return a caution where the control counts so few events that its own chance bends the ratio."""
    control = fitted.series.control
    if control is None or control.events is None or not fitted.ratio:
        return ()
    noun = fitted.calendar.noun
    mean = float(control.events.mean())
    small = mean < LARGE
    text = f"The control counts {number(mean, 0)} events a {noun} on average."
    if small:
        text += " Chance in so small a control makes the intervals a little too narrow; add up more controls."
    return (
        Diagnostic(
            name="control-size", question="Is the control large enough to measure by?",
            statistic=f"events of the control a {noun}", value=mean, threshold=LARGE,
            verdict="caution" if small else "pass", text=text,
        ),
    )  # fmt: skip


def checks(fitted: Fitted) -> tuple[Diagnostic, ...]:
    """Return whether the treated series and its control ran alike before the start."""
    if fitted.series.control is None:
        return ()
    trend = fitted.main.measure(fitted.model.column("trend"), fitted.level).one()
    apart = trend.p_value is not None and trend.p_value < ALIKE
    text = before_text(fitted)
    if apart:
        text += " The model carries that difference of trends forward, so the result rests on its going on."
    return (
        *_size(fitted),
        Diagnostic(
            name="control-trend", question="Did the series and its control run alike before the start?",
            statistic="trend of the difference before the start", value=trend.estimate, p_value=trend.p_value,
            threshold=ALIKE, verdict="caution" if apart else "pass", text=text,
            reference="Linden 2018, doi:10.1111/jep.12874",
        ),
    )  # fmt: skip
