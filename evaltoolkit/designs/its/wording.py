"""The words of an interrupted time series, chosen by the outcome's role and the finding."""

from __future__ import annotations

from evaltoolkit.designs.its import control_words
from evaltoolkit.designs.its.accounts import assumptions, limits, methods, references
from evaltoolkit.designs.its.control_words import led_by
from evaltoolkit.designs.its.display import amount, percent_text, ratio_text, span, start_words, times, unit, what
from evaltoolkit.designs.its.figures import relative_text
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.predicted import Predicted
from evaltoolkit.designs.its.rows import MODELS, errors_text
from evaltoolkit.designs.its.shape_words import changes_text, events_text, phase_text
from evaltoolkit.results import (
    Diagnostic,
    Estimand,
    Finding,
    Statements,
    Tile,
    far_end,
    interval,
    level_text,
    number,
    plural,
    role_words,
    unclear_note,
)
from evaltoolkit.study.models import Better


def estimand(fitted: Fitted) -> Estimand:
    """Return what is estimated, in symbols and words."""
    if fitted.ratio:
        return Estimand(
            symbol="Σ E[Y(1)] / Σ E[Y(0)], t ≥ T₀",
            words=f"the ratio of what was expected with the program to what {led_by(fitted)} without it, "
            "over the periods since the start",
        )
    return Estimand(
        symbol="mean of E[Y(1) − Y(0)], t ≥ T₀",
        words=f"the average difference, over the periods since the start, from what {led_by(fitted)}",
    )


def statements(fitted: Fitted, checks: tuple[Diagnostic, ...], outcomes: Predicted) -> Statements:
    """Return every sentence that the report prints."""
    finding = fitted.finding
    return Statements(
        bottom_line=_bottom_line(fitted, finding),
        tile=_tile(fitted),
        supports=supports(finding, fitted.study.outcome.better, _compare(fitted)),
        does_not_show=_does_not_show(fitted, finding),
        design_name="Interrupted time series",
        plain=_plain(fitted, finding),
        how_we_know=_how_we_know(fitted),
        approach=_approach(fitted),
        findings=_findings(fitted, outcomes),
        assumptions=assumptions(fitted, checks),
        methods=methods(fitted),
        limits=limits(fitted),
        references=references(fitted),
        study_period=f"{fitted.series.label(0)} to {fitted.series.label(-1)}",
        comparison="single-series" if fitted.series.control is None else "comparison-over-time",
    )


def _each(fitted: Fitted) -> str:
    return f" a {fitted.series.calendar.noun}" if fitted.study.outcome.kind == "rate" else ""


def _percent(fitted: Fitted, direction: str = "") -> str:
    """Return the size of the relative change in brackets."""
    relative = fitted.effects.log_ratio
    if relative is None:
        return ""
    return f" ({percent_text(abs(relative.percent().estimate or 0))} percent{direction})"


def _bottom_line(fitted: Fitted, finding: Finding) -> str:
    program, m = fitted.study.program_name, fitted.effects.average
    if finding.strength == "unclear":
        best = f"The best estimate is {amount(fitted, m, m.estimate, signed=True)}{_each(fitted)}"
        fits = f", and the data also fit a difference of {span(fitted, m)}" if m.low is not None else ""
        return f"It is not yet clear whether {program} changed {what(fitted)}. {best}{fits}."
    size = amount(fitted, m, abs(m.estimate or 0))
    did = (
        f"After {program} began, {what(fitted)} was about {size}{_each(fitted)}{_percent(fitted)} {finding.higher} "
        f"than {led_by(fitted)}"
    )
    if finding.strength == "small":
        return f"{did}. This may be a small change, less than the smallest effect that matters."
    return f"{did}."


def _tile(fitted: Fitted) -> Tile:
    m, noun = fitted.headline, fitted.series.calendar.noun
    level = level_text(fitted.level)
    if fitted.ratio:
        down = (m.estimate or 1) < 1
        return Tile(
            kicker=fitted.study.outcome.name, number=f"{number(m.estimate, 2)}×",
            meaning=f"as many as {led_by(fitted)}{_percent(fitted, ' fewer' if down else ' more')}",
            interval=f"{level} CI {interval(m.low, m.high, 2)}",
        )  # fmt: skip
    direction = "lower" if (m.estimate or 0) < 0 else "higher"
    return Tile(
        kicker=fitted.study.outcome.name,
        number=number(times(fitted, m.estimate), signed=True),
        meaning=f"{unit(fitted)}, {direction} than expected, on average over the {noun}s since the start".lstrip(", "),
        interval=f"{level} CI {span(fitted, m)}",
    )


def supports(finding: Finding, better: Better, further: str) -> tuple[str, ...]:
    """Return what a finding supports doing, and a further step where it is clear."""
    if finding.strength == "unclear":
        return ("Collecting more data before changing the program on account of this outcome.",)
    if better == "neither":
        return ("Discussing with staff what this change means for practice.", further)
    if (better == "higher") == (finding.direction == "up"):
        return ("Continuing the program while watching this outcome.", further)
    return ("Looking with staff into why this outcome is worse since the start.", further)


def _compare(fitted: Fitted) -> str:
    if fitted.series.control is not None:
        return "Asking what else changed where the program was and not where it was compared with."
    return "Looking for places without the program to compare with: a single series cannot rule out other causes."


def _does_not_show(fitted: Fitted, finding: Finding) -> tuple[str, ...]:
    alone = (
        "Nothing stands for what would have happened elsewhere: whatever else changed at the same time is part of the "
        "result."
    )
    lines = [
        role_words(fitted.study.outcome.role).caveat,
        alone if fitted.series.control is None else control_words.limit(),
    ]
    m = fitted.effects.average
    if finding.strength == "unclear":
        end = far_end(m.low, m.high, fitted.study.outcome.better)
        lines.append(unclear_note(end, "" if end is None else amount(fitted, m, abs(end))))
    return tuple(lines)


def _plain(fitted: Fitted, finding: Finding) -> str:
    end = {
        "clear": f"It came out {finding.higher} than that.",
        "small": f"It came out a little {finding.higher} than that.",
        "unclear": "It came out too close to that to tell apart.",
    }[finding.strength]
    if fitted.series.control is not None:
        return (
            "We looked at how this measure stood to that of a comparison before the program began, and took it that it "
            f"would have stayed so. Then we looked at what really happened. {end}"
        )
    return (
        "We looked at how this measure moved before the program began, and carried that course forward. Then we looked "
        f"at what really happened. {end}"
    )


def _how_we_know(fitted: Fitted) -> str:
    if fitted.series.control is not None:
        return control_words.how_we_know(fitted)
    return (
        f"There is one series, from {fitted.series.label(0)} to {fitted.series.label(-1)}. Its course before "
        f"{start_words(fitted)} stands for what would have happened without the program. Other changes at the same "
        "time cannot be told apart from it."
    )


def _approach(fitted: Fitted) -> tuple[str, ...]:
    noun, options = fitted.series.calendar.noun, fitted.options
    after = int(fitted.model.after.sum())
    before = fitted.model.after.size - after
    at = "at the start" if len(fitted.series.starts) == 1 else "at each interruption"
    seasons = " Seasons are part of the model." if options.season is not None else ""
    exposure = " The size of the population is taken into account." if fitted.series.exposure is not None else ""
    return (
        f"The series has {plural(before, noun)} before and {after:,} since the start ({start_words(fitted)}). The "
        f"model is a {MODELS[options.family]} with a trend; {at} it may change "
        f"{changes_text(fitted.series, options)}.{phase_text(fitted.series)}{seasons}{events_text(fitted.series)}"
        f"{exposure}",
        *control_words.approach(fitted),
        f"The intervals rest on: {errors_text(fitted)}.",
    )


def _findings(fitted: Fitted, outcomes: Predicted) -> tuple[str, ...]:
    level, e, noun = level_text(fitted.level), fitted.effects, fitted.series.calendar.noun
    lines = []
    if fitted.ratio:
        lines.append(
            f"The ratio to what was expected is {ratio_text(fitted.headline)} ({level} interval in brackets), by "
            f"{MODELS[fitted.options.family]}."
        )
    lines.append(
        f"The average difference is {amount(fitted, e.average, e.average.estimate, signed=True)} ({level} interval "
        f"{span(fitted, e.average)})."
    )
    if e.log_ratio is not None:
        lines.append(f"Relative to what was expected, that is {relative_text(fitted)}.")
    if fitted.ratio or fitted.study.outcome.kind == "count":
        total, wide = e.cumulative, outcomes.cumulative
        lines.append(
            f"Over all {noun}s since the start, that adds up to {number(total.estimate, 0, signed=True)} "
            f"({interval(total.low, total.high, 0)}) compared with what was expected; with the scatter of the {noun}s "
            f"themselves, {interval(wide.low, wide.high, 0)}.{_per_people(fitted)}"
        )
    if fitted.is_constant:
        return tuple(lines)
    lines.append(
        f"The difference was {amount(fitted, e.first, e.first.estimate, signed=True)} in the first {noun} and "
        f"{amount(fitted, e.last, e.last.estimate, signed=True)} in the last."
    )
    return tuple(lines)


def _per_people(fitted: Fitted) -> str:
    """Return the sum for as many people as rates are given for; events are recorded, unless the role is incidence."""
    m = fitted.effects.per_population
    if m is None or m.estimate is None:
        return ""
    direction = "more" if m.estimate > 0 else "fewer"
    recorded = "" if fitted.study.outcome.role == "incidence" else " recorded"
    ends = sorted(abs(v) for v in (m.low, m.high) if v is not None)
    one_sided = m.low is not None and m.high is not None and (m.low > 0) == (m.high > 0)
    span_text = f" ({interval(ends[0], ends[1], 1)})" if one_sided else f" ({interval(m.low, m.high, 1)} more)"
    per = f"{fitted.study.outcome.per:,.0f} people"
    return f" That is {number(abs(m.estimate), 1)} {direction}{recorded} per {per}{span_text}."
