"""The words of a matched comparison, chosen by the outcome's role and the finding."""

from __future__ import annotations

from evaltoolkit.designs.matching import method_words
from evaltoolkit.designs.matching.accounts import assumptions, limits, methods, references
from evaltoolkit.designs.matching.estimand_words import whose
from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.designs.matching.figures import display
from evaltoolkit.results import (
    Diagnostic,
    Estimate,
    Finding,
    Statements,
    Tile,
    far_end,
    interval,
    judge,
    level_text,
    number,
    role_words,
    unclear_note,
)


def finding_of(fitted: Facts, headline: Estimate) -> Finding:
    """Return the finding by rule."""
    return judge(
        headline.estimate, headline.conf_low, headline.conf_high, fitted.study.outcome.smallest_effect_that_matters
    )


def statements(fitted: Facts, headline: Estimate, checks: tuple[Diagnostic, ...]) -> Statements:
    """Return every sentence that the report prints."""
    finding = finding_of(fitted, headline)
    return Statements(
        bottom_line=_bottom_line(fitted, headline, finding),
        tile=_tile(fitted, headline),
        supports=_supports(fitted, finding, checks),
        does_not_show=_does_not_show(fitted, headline, finding),
        design_name=method_words.design_name(fitted),
        plain=_plain(fitted, finding),
        how_we_know=method_words.how_we_know(fitted),
        approach=method_words.approach(fitted),
        findings=_findings(fitted, headline),
        assumptions=assumptions(checks),
        methods=methods(fitted),
        limits=limits(fitted),
        references=references(fitted),
        comparison="matched-comparison",
    )


def amount(fitted: Facts, value: float | None, *, signed: bool = False) -> str:
    """Return an effect in display units, with the unit in words."""
    factor, unit = display(fitted)
    shown = number(None if value is None else factor * value, signed=signed)
    return f"{shown} {unit}".rstrip()


def _range(fitted: Facts, e: Estimate) -> str:
    factor, _ = display(fitted)
    low, high = (None if v is None else factor * v for v in (e.conf_low, e.conf_high))
    return interval(low, high)


def _what(fitted: Facts) -> str:
    outcome = fitted.study.outcome
    return role_words(outcome.role).of(outcome.name)


def _bottom_line(fitted: Facts, e: Estimate, finding: Finding) -> str:
    program = fitted.study.program_name
    program = program[:1].upper() + program[1:]
    size = amount(fitted, None if e.estimate is None else abs(e.estimate))
    if finding.strength == "unclear":
        return (
            f"It is not yet clear whether {fitted.study.program_name} changed {_what(fitted)}. The best estimate is "
            f"{amount(fitted, e.estimate, signed=True)}, and the data also fit a difference of {_range(fitted, e)}."
        )
    if finding.strength == "small":
        return (
            f"{program} {finding.raised} {_what(fitted)} by about {size}. This may be less than the smallest effect "
            "that matters."
        )
    return (
        f"{program} {finding.raised} {_what(fitted)} by about {size}, compared with similar {fitted.unit} not served."
    )


def _tile(fitted: Facts, e: Estimate) -> Tile:
    factor, unit = display(fitted)
    direction = "lower" if (e.estimate or 0) < 0 else "higher"
    served = "if served" if fitted.options.estimand == "ATC" else "with the program"
    return Tile(
        kicker=fitted.study.outcome.name,
        number=number(None if e.estimate is None else factor * e.estimate, signed=True),
        meaning=f"{unit}, {direction} {served} than for similar {fitted.unit} without it".lstrip(", "),
        interval=f"{level_text(fitted.study.inference.level)} CI {_range(fitted, e)}",
    )


def _unbalanced(checks: tuple[Diagnostic, ...]) -> bool:
    return any(c.name == "balance" and c.verdict == "fail" for c in checks)


def _supports(fitted: Facts, finding: Finding, checks: tuple[Diagnostic, ...]) -> tuple[str, ...]:
    if _unbalanced(checks):
        return ("Improving the comparison group before acting on this estimate: the groups still differ.",)
    if finding.strength == "unclear":
        return ("Collecting more data before changing the program on account of this outcome.",)
    better = fitted.study.outcome.better
    good = (better == "higher") == (finding.direction == "up")
    if better == "neither":
        return ("Discussing with staff what this difference means for practice.",)
    if good:
        return ("Continuing the program for young people like those studied, while watching this outcome.",)
    return ("Looking with staff into why this outcome is worse for those served, before expanding the program.",)


def _does_not_show(fitted: Facts, e: Estimate, finding: Finding) -> tuple[str, ...]:
    lines = [
        role_words(fitted.study.outcome.role).caveat,
        _unmeasured(fitted),
    ]
    if finding.strength == "unclear":
        end = far_end(e.conf_low, e.conf_high, fitted.study.outcome.better)
        lines.append(unclear_note(end, amount(fitted, None if end is None else abs(end))))
    if fitted.weighted and fitted.options.estimand != "ATT":
        lines.append(f"It is about {whose(fitted)}. For those who were served the effect may differ.")
    if not fitted.made.complete and not fitted.weighted:
        lines.append(f"It says nothing about {fitted.unit} for whom nobody alike was found.")
    return tuple(lines)


def _unmeasured(fitted: Facts) -> str:
    if fitted.options.outcome_before:
        return (
            "Comparing changes removes lasting differences between the groups. It does not remove what made one group "
            "change differently at the same time."
        )
    how = fitted.doing.capitalize()
    return f"{how} makes groups alike on what was measured. Differences that nobody measured may remain."


def _plain(fitted: Facts, finding: Finding) -> str:
    end = {
        "clear": f"The served group ended up {finding.higher} on this measure.",
        "small": f"The served group ended up a little {finding.higher} on this measure.",
        "unclear": "The two groups ended up too close to tell apart.",
    }[finding.strength]
    return method_words.plain(fitted, end)


def _findings(fitted: Facts, e: Estimate) -> tuple[str, ...]:
    lines = [
        f"The estimate is {amount(fitted, e.estimate, signed=True)} "
        f"({level_text(fitted.study.inference.level)} interval {_range(fitted, e)}), by {e.estimator}."
    ]
    if fitted.other is not None:
        way = {"difference": "difference in means"}.get(fitted.other.way, "regression")
        lines.append(f"Estimated the other way ({way}), it is {amount(fitted, fitted.other.estimate, signed=True)}.")
    return tuple(lines)
