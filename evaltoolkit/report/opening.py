"""Page 1: facts, bottom line, big numbers, confidence."""

from __future__ import annotations

import dataclasses

from evaltoolkit.plots.tidy import decimals
from evaltoolkit.report.blocks import BigNumber, Confidence, Fact
from evaltoolkit.report.record import day_of, headline_hidden, level_of, look_up, outcome_of, text_of, unit_of
from evaltoolkit.results import (
    Estimate,
    EvidenceRating,
    Result,
    interval,
    level_text,
    number,
    role_words,
)

SYNTHETIC = "Synthetic demonstration data. No real person, place or agency is described."
MOST_TILES = 3
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_CONFIDENCE = {
    "high": "High confidence",
    "moderate": "Moderate confidence",
    "low": "Low confidence",
    "inconclusive": "Inconclusive",
}


def without_missing_headline(result: Result) -> Result:
    """Where the main number is hidden or absent, say so in place of every sentence that would give it."""
    if result.headline.estimate is not None:
        return result
    words = result.statements
    if headline_hidden(result):
        small = result.disclosure.threshold
        line = f"The main result rests on fewer than {small} people, so it is not shown."
        plain = "The groups are too small to show a number without risk to the people in them."
        tile = dataclasses.replace(words.tile, number="Not shown", meaning=plain, interval="")
    else:
        line = "The effect could not be estimated from these data, so this report gives no main result."
        plain = "The checks say what stood in the way."
        tile = dataclasses.replace(words.tile, number="Not estimated", meaning=plain, interval="")
    statements = dataclasses.replace(
        words, bottom_line=line, tile=tile, plain=f"{line} {plain}", findings=(f"{line} {plain}",), supports=()
    )
    return dataclasses.replace(result, statements=statements)


def notice(result: Result) -> str:
    """Return the line at the foot of every page."""
    if look_up(result.study, "context", "synthetic"):
        return SYNTHETIC
    return f"Numbers that rest on fewer than {result.disclosure.threshold} people are not shown."


def facts(result: Result) -> tuple[Fact, ...]:
    """Return the facts of the title block, those that are known."""
    version = result.provenance.versions.get("evaltoolkit", "")
    made = [day_text(result), f"evaltoolkit {version}" if version else ""]
    found = (
        ("Prepared for", text_of(result.study, "report", "prepared_for")),
        ("Prepared by", text_of(result.study, "report", "prepared_by")),
        ("Study period", result.statements.study_period),
        ("Design", result.statements.design_name),
        ("Report", " · ".join(part for part in made if part)),
    )
    return tuple(Fact(label=label, value=value) for label, value in found if value)


def day_text(result: Result) -> str:
    """Return the date of the report as "23 November 2026"."""
    day = day_of(result)
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}" if day else ""


def tiles(result: Result) -> tuple[BigNumber, ...]:
    """Return the main result, and further outcomes while there is room."""
    tile = result.statements.tile
    first = BigNumber(
        kicker=tile.kicker, number=tile.number, meaning=tile.meaning, interval=tile.interval,
        clear=_clear(result.headline),
    )  # fmt: skip
    others = [e for e in further_outcomes(result) if e.kind in {"overall", "average"}]
    return (first, *(_secondary_tile(e, result) for e in others[: MOST_TILES - 1]))


def further_outcomes(result: Result) -> tuple[Estimate, ...]:
    """Return the effects on outcomes other than the main one."""
    main = result.headline.outcome
    return tuple(e for e in result.estimates if e.standing == "secondary" and e.outcome != main)


def _clear(e: Estimate) -> bool:
    return e.conf_low is not None and e.conf_high is not None and not e.conf_low <= e.null <= e.conf_high


def _secondary_tile(e: Estimate, result: Result) -> BigNumber:
    unit = unit_of(e, result)
    value, low, high = (unit.times(v) for v in (e.estimate, e.conf_low, e.conf_high))
    digits = decimals(value, low, high)
    known = low is not None and high is not None
    points = "percentage points, " if unit.factor != 1 else ""
    return BigNumber(
        kicker=e.outcome,
        number=number(value, digits, signed=not e.is_ratio) if value is not None else "Not shown",
        meaning=f"{points}change in {role_words(e.outcome_role).of(e.outcome)}{_per(e, result)}; a further outcome",
        interval=f"{level_text(level_of(result))} CI {interval(low, high, digits)}" if known else "",
        clear=_clear(e),
    )


def _per(e: Estimate, result: Result) -> str:
    per = outcome_of(e, result).get("per")
    return f" per {per:,.10g}" if isinstance(per, int | float) and per != 1 else ""


def confidence(rating: EvidenceRating | None) -> Confidence | None:
    """Return the rating with its reasons, or None where nothing was rated."""
    if rating is None:
        return None
    return Confidence(word=_CONFIDENCE[rating.level], dots=rating.dots, reasons=rating.reasons)
