"""Figures of an interrupted time series."""

from __future__ import annotations

from evaltoolkit.designs.its import control_results
from evaltoolkit.designs.its.control_words import led_by
from evaltoolkit.designs.its.date_checks import placebo_figure
from evaltoolkit.designs.its.dated import Dated
from evaltoolkit.designs.its.display import (
    amount,
    measure,
    percent_text,
    ratio_text,
    span,
    start_words,
    times,
    unit,
    what,
)
from evaltoolkit.designs.its.estimators import One
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.residual_figure import residuals
from evaltoolkit.designs.its.residuals import Residuals
from evaltoolkit.results import Cell, Column, FigureData, level_text, plural


def figures(fitted: Fitted, looked: Residuals, dated: Dated) -> tuple[FigureData, ...]:
    """Return the figures: the series, its control, differences by period, other models, other dates, residuals."""
    found = (
        series(fitted), control_results.figure(fitted), by_period(fitted), others(fitted),
        placebo_figure(fitted, dated),
        residuals(fitted, looked, _counts(fitted)),
    )  # fmt: skip
    return tuple(f for f in found if f is not None)


def _counts(fitted: Fitted) -> list[Cell]:
    """Return the count behind each observed value, where small counts are hidden."""
    n = fitted.model.steps.size
    if fitted.series.people is not None:
        return [int(v) for v in fitted.series.people.tolist()]
    if not fitted.study.outcome_counts_people or fitted.study.outcome.kind == "proportion":
        return [None] * n
    return [int(v) if float(v).is_integer() else float(v) for v in fitted.series.values.tolist()]


def series(fitted: Fitted) -> FigureData:
    """Return the observed values, the model, and what was expected without the program."""
    model, level = fitted.model, level_text(fitted.level)
    observed = model.shown
    counts = _counts(fitted)
    rows: list[tuple[Cell, ...]] = []
    for i, step in enumerate(model.steps.tolist()):
        after = bool(model.after[i])
        expected = fitted.without.one(i) if after else None
        band = (None, None, None) if expected is None else (expected.estimate, expected.low, expected.high)
        rows.append((
            step, fitted.series.label(i), times(fitted, float(observed[i])),
            times(fitted, float(fitted.with_it[i])), *(times(fitted, v) for v in band), counts[i],
            control_results.events_at(fitted, i),
        ))  # fmt: skip
    noun = fitted.series.calendar.noun
    starts = [(s, f"Start, {fitted.series.start_label(s)}") for s in fitted.series.starts]
    first, last = (int(model.steps[i]) for i in (0, -1))
    starts += [(m.step, f"{m.label}, {fitted.series.calendar.label(m.step)}") for m in fitted.series.marked
               if first < m.step <= last]  # fmt: skip
    return FigureData(
        key="series", kind="series", section="results", headline=_headline(fitted),
        subtitle=f"{measure(fitted)}, by {noun}", alt=_alt(fitted),
        columns=(
            Column(key="x"), Column(key="label", kind="text"), Column(key="observed"), Column(key="fitted"),
            Column(key="expected"), Column(key="expected_low"), Column(key="expected_high"),
            Column(key="basis", kind="basis", governs=("observed",)),
            Column(key="control", kind="basis", governs=("fitted", "expected", "expected_low", "expected_high")),
        ),
        rows=tuple(rows),
        marks={
            "interruptions": [{"x": at, "label": words} for at, words in sorted(starts)], "y_label": measure(fitted),
            "observed_text": "Observed",
            "fitted_text": "Model with the program", "expected_text": "Expected without it",
        },
        note=f"Shaded: {level} interval of the expected level without the program (not of single {noun}s).",
    )  # fmt: skip


def _headline(fitted: Fitted) -> str:
    finding = fitted.finding
    if finding.strength == "unclear":
        return "After the start, the difference from what was expected is not clear"
    return f"After the start, {what(fitted)} was {finding.higher} than {led_by(fitted)}"


def _alt(fitted: Fitted) -> str:
    series, after = fitted.series, fitted.model.after.nonzero()[0]
    last = int(after[-1])
    expected, modelled = fitted.without.one(last), float(fitted.with_it[last])
    return (
        f"Values by {series.calendar.noun} from {series.label(0)} to {series.label(-1)}, with the model's course and, "
        f"from {start_words(fitted)} on, the course expected without the program. In {series.label(last)} the model "
        f"stands at {amount(fitted, expected, modelled)}; expected was "
        f"{amount(fitted, expected, expected.estimate)} ({span(fitted, expected)})."
    )


def by_period(fitted: Fitted) -> FigureData | None:
    """Return the difference from what was expected, by periods since the start; None where it is one number."""
    if fitted.is_constant:
        return None
    model, level, noun = fitted.model, level_text(fitted.level), fitted.series.calendar.noun
    after = model.after.nonzero()[0].tolist()
    start = fitted.series.starts[0]
    rows: list[tuple[Cell, ...]] = []
    for i in after:
        m = fitted.difference.one(i)
        e = int(model.steps[i]) - start
        rows.append(
            (
                e,
                f"{e}" if e == 0 else f"+{e}",
                *(times(fitted, v) for v in (m.estimate, m.low, m.high)),
                "after",
                control_results.events_at(fitted, i) if model.log_link else None,
            )
        )
    first, last = fitted.effects.first, fitted.effects.last
    named = f"Difference in {fitted.study.outcome.name}" + (f", {unit(fitted)}" if unit(fitted) else "")
    return FigureData(
        key="difference_by_period", kind="effect_path", section="results",
        headline=f"The difference at the start was {amount(fitted, first, first.estimate, signed=True)}, and "
        f"{amount(fitted, last, last.estimate, signed=True)} in the last {noun}",
        subtitle=f"{named}, by {noun}s since the start",
        alt=f"Differences with {level} intervals by {noun}s since the start. First {noun}: "
        f"{amount(fitted, first, first.estimate, signed=True)} ({span(fitted, first)}); last {noun}: "
        f"{amount(fitted, last, last.estimate, signed=True)} ({span(fitted, last)}).",
        columns=(
            Column(key="x"), Column(key="label", kind="text"), Column(key="estimate", signed=True), Column(key="low"),
            Column(key="high"), Column(key="phase", kind="text"),
            Column(key="control", kind="basis", governs=("estimate", "low", "high")),
        ),
        rows=tuple(rows),
        marks={
            "x_label": f"{noun.capitalize()}s since the start", "y_label": named, "after_text": "after the start",
            "before_text": "", "boundary": -0.5, "level": fitted.level,
        },
        note=f"Bars: {level} intervals of the expected difference, one {noun} at a time.",
    )  # fmt: skip


def others(fitted: Fitted) -> FigureData | None:
    """Return the headline beside other admissible models."""
    found = [(v.label, v.found) for v in fitted.variants if v.found is not None]
    if not found:
        return None
    shown: list[tuple[str, One, bool]] = [("Headline", fitted.tested, True)]
    shown += [(label[:1].upper() + label[1:], m, False) for label, m in found]
    up = (fitted.tested.estimate or 0) > 0
    same = sum(((m.estimate or 0) > 0) == up for _, m in found)
    level = level_text(fitted.level)
    named = "Ratio of rates" if fitted.ratio else f"Average difference in {fitted.study.outcome.name}"
    measured = named if fitted.ratio or not unit(fitted) else f"{named}, {unit(fitted)}"
    plain = [(label, m.exp() if fitted.ratio else m, main) for label, m, main in shown]
    said = "; ".join(f"{label}: {_said(fitted, m)}" for label, m, _ in plain)
    factor = (lambda v: v) if fitted.ratio else (lambda v: times(fitted, v))
    return FigureData(
        key="sensitivity", kind="forest", section="results",
        headline=f"{same} of {plural(len(found), 'other model', 'other models')} "
        f"{'points' if same == 1 else 'point'} the same way",
        subtitle=f"{measured}, with {level} intervals", alt=f"Estimates with {level} intervals, one row each. {said}.",
        columns=(
            Column(key="label", kind="text"), Column(key="estimate"), Column(key="low"), Column(key="high"),
            Column(key="main", kind="text"),
        ),
        rows=tuple((label, factor(m.estimate), factor(m.low), factor(m.high), main) for label, m, main in plain),
        marks={
            "x_label": measured, "zero": 1 if fitted.ratio else 0, "zero_text": "no change", "level": fitted.level,
        },
    )  # fmt: skip


def _said(fitted: Fitted, m: One) -> str:
    return ratio_text(m) if fitted.ratio else f"{amount(fitted, m, m.estimate, signed=True)} ({span(fitted, m)})"


def relative_text(fitted: Fitted) -> str:
    """Return the relative effect in percent with its interval, in words; empty where it has none."""
    if fitted.effects.log_ratio is None:
        return ""
    m = fitted.effects.log_ratio.percent()
    value, low, high = (percent_text(v, signed=True) for v in (m.estimate, m.low, m.high))
    return f"{value} percent ({low} to {high})"
