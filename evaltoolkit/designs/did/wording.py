"""The words of a difference-in-differences study, chosen by the outcome's role and the finding."""

from __future__ import annotations

from evaltoolkit.designs.did.accounts import assumptions, limits, methods, references
from evaltoolkit.designs.did.catalogue import ESTIMATORS
from evaltoolkit.designs.did.display import amount, compared_with, digits, display, span, times, what
from evaltoolkit.designs.did.family import Measured
from evaltoolkit.designs.did.fitted import AGGREGATIONS, Fitted, percent
from evaltoolkit.results import (
    Diagnostic,
    Estimand,
    Finding,
    Statements,
    Tile,
    far_end,
    interval,
    judge,
    level_text,
    number,
    plural,
    role_words,
    unclear_note,
)


def estimand(fitted: Fitted) -> Estimand:
    """Return whose effect is estimated, in symbols and words."""
    averaged = f", taken as the {AGGREGATIONS[fitted.options.headline]}" if fitted.cells is not None else ""
    return Estimand(
        symbol="E[Y(g) − Y(∞) | G = g, t ≥ g]",
        words=f"the average effect on {fitted.unit} that started the program, in the periods since{averaged}",
    )


def statements(fitted: Fitted, checks: tuple[Diagnostic, ...]) -> Statements:
    """Return every sentence that the report prints."""
    m = fitted.headline
    finding = judge(m.estimate, m.low, m.high, fitted.study.outcome.smallest_effect_that_matters)
    label, periods = fitted.data.calendar.label, fitted.facts.periods
    return Statements(
        bottom_line=_bottom_line(fitted, m, finding),
        tile=_tile(fitted, m),
        supports=_supports(fitted, finding, checks),
        does_not_show=_does_not_show(fitted, m, finding),
        design_name="Staggered difference-in-differences" if fitted.staggered else "Difference-in-differences",
        plain=_plain(fitted, finding),
        how_we_know=_how_we_know(fitted),
        approach=_approach(fitted),
        findings=_findings(fitted, m),
        assumptions=assumptions(fitted, checks),
        methods=methods(fitted),
        limits=limits(fitted),
        references=references(fitted),
        study_period=f"{label(int(periods[0]))} to {label(int(periods[-1]))}",
        comparison="comparison-over-time",
    )


def _percent(fitted: Fitted) -> str:
    found = percent(fitted)
    if found is None or fitted.choice.none_possible:
        return ""
    return f" ({number(abs(found.estimate), 0 if abs(found.estimate) >= 10 else 1)} percent)"


def _each(fitted: Fitted) -> str:
    return f", each {fitted.data.calendar.noun}" if fitted.study.outcome.kind in {"count", "rate"} else ""


def _bottom_line(fitted: Fitted, m: Measured, finding: Finding) -> str:
    program = fitted.study.program_name
    size = amount(fitted, m, abs(m.estimate))
    if finding.strength == "unclear":
        best = f"The best estimate is {amount(fitted, m, m.estimate, signed=True)}"
        if m.low is None:
            return (
                f"It is not yet clear whether {program} changed {what(fitted)}. {best}; these data cannot say how far "
                "off it may be."
            )
        return (
            f"It is not yet clear whether {program} changed {what(fitted)}. {best}, and the data also fit a "
            f"difference of {span(fitted, m)}."
        )
    program = program[:1].upper() + program[1:]
    did = f"{program} {finding.raised} {what(fitted)} by about {size}{_each(fitted)}{_percent(fitted)}"
    if finding.strength == "small":
        return f"{did}. This may be a small change, less than the smallest effect that matters."
    return f"{did}, compared with {compared_with(fitted)}."


def _tile(fitted: Fitted, m: Measured) -> Tile:
    factor, unit = display(fitted)
    direction = "lower" if m.estimate < 0 else "higher"
    meaning = f"{unit}, {direction} than without the program{_each(fitted)}".lstrip(", ")
    shown = f"{level_text(fitted.level)} CI {span(fitted, m)}" if m.low is not None else "no interval can be given"
    return Tile(
        kicker=fitted.study.outcome.name,
        number=number(factor * m.estimate, digits(fitted, m), signed=True),
        meaning=meaning,
        interval=shown,
    )


def _failed(checks: tuple[Diagnostic, ...], name: str) -> bool:
    return any(c.name == name and c.verdict == "fail" for c in checks)


def _supports(fitted: Fitted, finding: Finding, checks: tuple[Diagnostic, ...]) -> tuple[str, ...]:
    if _failed(checks, "pre-trends"):
        return (
            "Looking for a better comparison before acting on this estimate: the groups moved apart before the start.",
        )
    if finding.strength == "unclear":
        return ("Collecting more data before changing the program on account of this outcome.",)
    better = fitted.study.outcome.better
    if better == "neither":
        return ("Discussing with staff what this difference means for practice.",)
    if (better == "higher") == (finding.direction == "up"):
        return (
            f"Continuing the program, and extending it to {fitted.unit} like those studied, watching this outcome.",
        )
    return ("Looking with staff into why this outcome is worse since the start, before extending the program.",)


def _does_not_show(fitted: Fitted, m: Measured, finding: Finding) -> tuple[str, ...]:
    lines = [
        role_words(fitted.study.outcome.role).caveat,
        "It does not rule out other changes that began at the same time in the same places.",
    ]
    if finding.strength == "unclear":
        end = far_end(m.low, m.high, fitted.study.outcome.better)
        lines.append(unclear_note(end, "" if end is None else amount(fitted, m, abs(end))))
    if fitted.data.n_always:
        lines.append(f"It says nothing about {fitted.unit} that had the program from the beginning.")
    return tuple(lines)


def _plain(fitted: Fitted, finding: Finding) -> str:
    end = {
        "clear": f"Where the program started, this measure ended up {finding.higher}.",
        "small": f"Where the program started, this measure ended up a little {finding.higher}.",
        "unclear": "The two changes were too close to tell apart."
        if fitted.headline.low is not None
        else "These data cannot tell how far chance alone moves such changes apart.",
    }[finding.strength]
    group = "people" if fitted.unit == "people" else "places"
    return (
        f"Some {group} started the program and others had not. We looked at how each group changed over time, and "
        f"compared the changes. {end}"
    )


def _how_we_know(fitted: Fitted) -> str:
    return (
        f"The program was not given out by lot. So the change in {fitted.unit} that started it is compared with the "
        f"change over the same time in {compared_with(fitted)}. What affects all of them alike drops out."
    )


def _approach(fitted: Fitted) -> tuple[str, ...]:
    facts, unit = fitted.facts, fitted.unit
    starts = facts.cohorts.size
    people = fitted.study.counts_people
    n_all, n_in = facts.n_units, facts.n_units - facts.n_compared
    all_of, treated = (fitted.small.people(n) if people else f"{n:,}" for n in (n_all, n_in))
    noun = fitted.data.calendar.noun
    seen = (
        f"{all_of} {unit} were used from {plural(facts.periods.size, noun)}, others in each {noun}; {treated} of them "
        "belong where the"
        if not fitted.options.panel
        else f"{all_of} {unit} were followed over {plural(facts.periods.size, noun)}; {treated} of them started the"
    )
    started = "program" if fitted.options.panel else "program started"
    first = f"{seen} {started}, in {plural(starts, f'different {noun}') if starts > 1 else _only_start(fitted)}."
    if fitted.data.last_as_comparison is not None:
        last = fitted.data.calendar.label(fitted.data.last_as_comparison)
        first += f" All started in the end; those that started last ({last}) serve as the comparison until then."
    return first, _estimated_by(fitted)


def _only_start(fitted: Fitted) -> str:
    return fitted.data.calendar.label(int(fitted.facts.cohorts[0]))


def _estimated_by(fitted: Fitted) -> str:
    names = fitted.data.covariate_names
    if fitted.cells is None:
        adjusted = f", adjusted for {', '.join(names)}" if names else ""
        return f"The effect was estimated by {ESTIMATORS[fitted.options.estimator].words}{adjusted}."
    way = {"doubly-robust": "a doubly robust method", "weighting": "weighting", "regression": "regression"}
    adjusts = "adjust" in ESTIMATORS[fitted.options.estimator].takes
    how = way[fitted.options.adjust] if adjusts else "the model"
    adjusted = f" Groups were made comparable on {', '.join(names)} by {how}." if names else ""
    over = AGGREGATIONS[fitted.options.headline].removeprefix("average ")
    early = fitted.options.anticipation
    noun = fitted.data.calendar.noun
    ahead = f" The last {plural(early, noun)} before the start may already show a change, and are set aside."
    compared = (
        f"For each group that started together, and each {noun}, the change since before the start was compared with "
        f"the change in {compared_with(fitted)}."
        if adjusts
        else f"Effects of each group that started together were estimated for each {noun} by "
        f"{ESTIMATORS[fitted.options.estimator].words}."
    )
    if fitted.options.estimator == "triple-difference":
        compared += (
            f" In each place eligible {fitted.unit} were set beside ineligible ones; what changed for both drops out."
        )
    return f"{compared}{adjusted} The result is the average of these effects {over}.{ahead if early else ''}"


def _findings(fitted: Fitted, m: Measured) -> tuple[str, ...]:
    shown = f" ({level_text(fitted.level)} interval {span(fitted, m)})" if m.low is not None else ""
    by = ESTIMATORS[fitted.options.estimator].words
    lines = [f"The estimate is {amount(fitted, m, m.estimate, signed=True)}{shown}, by {by}."]
    found = percent(fitted)
    if found is not None and found.low is not None and found.high is not None:
        places = 0 if abs(found.estimate) >= 10 else 1
        lines.append(
            f"Relative to what would have been without the program, that is "
            f"{number(found.estimate, places, signed=True)} percent ({interval(found.low, found.high, places)})."
        )
    factor, _ = display(fitted)
    for v in fitted.variants:
        if v.found is not None:
            value = number(times(v.found.estimate, factor), digits(fitted, m), signed=True)
            lines.append(f"Another analysis, {v.label}: {value}.")
    return tuple(lines)
