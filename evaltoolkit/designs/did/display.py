"""Numbers and names as a reader sees them."""

from __future__ import annotations

from evaltoolkit.designs.did.family import Measured
from evaltoolkit.designs.did.fitted import Fitted
from evaltoolkit.results import interval, number, role_words
from evaltoolkit.results.numbers import digits_for


def display(fitted: Fitted) -> tuple[float, str]:
    """Return what effects are multiplied with for display, and their unit in words (none for a continuous outcome)."""
    outcome = fitted.study.outcome
    if outcome.kind in {"binary", "proportion"}:
        return 100.0, "percentage points"
    if outcome.population is not None and outcome.per != 1:
        return 1.0, f"per {outcome.per:,.0f}"
    if outcome.population is not None:
        return 1.0, "per head"
    return 1.0, f"per {fitted.one_unit}" if outcome.kind == "count" else ""


def times(value: float | None, factor: float) -> float | None:
    """Multiply what may be missing."""
    return None if value is None else factor * value


def digits(fitted: Fitted, m: Measured) -> int:
    """Return the decimals that show an estimate and the width of its interval to about two digits."""
    factor, _ = display(fitted)
    span = None if m.low is None or m.high is None else factor * (m.high - m.low)
    sizes = [digits_for(v) for v in (factor * m.estimate, span) if v]
    return max(sizes, default=1)


def amount(fitted: Fitted, m: Measured, value: float | None, *, signed: bool = False) -> str:
    """Return a value with the decimals of an estimate, and the unit in words."""
    factor, unit = display(fitted)
    return f"{number(times(value, factor), digits(fitted, m), signed=signed)} {unit}".rstrip()


def span(fitted: Fitted, m: Measured) -> str:
    """Return the interval of an estimate in display units."""
    factor, _ = display(fitted)
    return interval(times(m.low, factor), times(m.high, factor), digits(fitted, m))


def noun(fitted: Fitted, e: int) -> str:
    """Return an event time in words.

    Years, quarters and so on are counted from the first treated period, which is 0.
    """
    unit = fitted.data.calendar.noun
    if e == 0:
        return f"{unit} of the start"
    many = f"{abs(e)} {unit}{'s' if abs(e) != 1 else ''}"
    return f"{many} {'after' if e > 0 else 'before'} the start"


def what(fitted: Fitted) -> str:
    """Return the outcome as a noun phrase that claims no more than its role allows."""
    outcome = fitted.study.outcome
    return role_words(outcome.role).of(outcome.name)


def measure(fitted: Fitted) -> str:
    """Return "Difference in x, per 10,000"."""
    _, unit = display(fitted)
    return f"Difference in {fitted.study.outcome.name}" + (f", {unit}" if unit else "")


def compared_with(fitted: Fitted) -> str:
    """Return who the treated are compared with, in words."""
    moves = fitted.options.comparison == "not-yet-treated" and fitted.staggered
    return f"{fitted.unit} that {'had not started' if moves else 'never started'} the program"
