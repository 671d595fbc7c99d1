"""Numbers and names as a reader sees them."""

from __future__ import annotations

from typing import Protocol

from evaltoolkit.data import Calendar
from evaltoolkit.designs.its.estimators import One
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.results import interval, number, role_words
from evaltoolkit.results.numbers import digits_for
from evaltoolkit.study import Study


class Shown(Protocol):
    """A fitted study whose numbers are shown."""

    @property
    def study(self) -> Study:
        """The study."""
        ...

    @property
    def ratio(self) -> bool:
        """Whether the headline is a ratio."""
        ...

    @property
    def calendar(self) -> Calendar:
        """How periods are written."""
        ...


def factor(fitted: Shown) -> float:
    """Return what differences are multiplied with for display."""
    return 100.0 if fitted.study.outcome.kind == "proportion" else 1.0


def times(fitted: Shown, value: float | None) -> float | None:
    """Return a difference as it is displayed."""
    return None if value is None else factor(fitted) * value


def unit(fitted: Shown) -> str:
    """Return the unit of differences in words (none for a continuous outcome)."""
    outcome = fitted.study.outcome
    if outcome.kind == "proportion":
        return "percentage points"
    rate = outcome.kind == "rate" or (outcome.population is not None and not fitted.ratio)
    if rate:
        return f"per {outcome.per:,.0f}" if outcome.per != 1 else "per head"
    return f"a {fitted.calendar.noun}" if outcome.kind == "count" else ""


def digits(fitted: Shown, m: One) -> int:
    """Return the decimals that show an estimate and the width of its interval to about two digits."""
    width = None if m.low is None or m.high is None else m.high - m.low
    sizes = [digits_for(times(fitted, v)) for v in (m.estimate, width) if v]
    return max(sizes, default=1)


def amount(fitted: Shown, m: One, value: float | None, *, signed: bool = False) -> str:
    """Return a difference with the decimals of an estimate, and the unit in words."""
    return f"{number(times(fitted, value), digits(fitted, m), signed=signed)} {unit(fitted)}".rstrip()


def span(fitted: Shown, m: One) -> str:
    """Return the interval of a difference as it is displayed."""
    return interval(times(fitted, m.low), times(fitted, m.high), digits(fitted, m))


def ratio_text(m: One) -> str:
    """Return a ratio with its interval.

    >>> ratio_text(One(1.347, 0.05, 1.21, 1.49, 0.001, 30.0))
    '1.35 (1.21 to 1.49)'
    """
    return f"{number(m.estimate, 2)} ({interval(m.low, m.high, 2)})"


def percent_text(value: float | None, *, signed: bool = False) -> str:
    """Return a relative change in percent, without the word."""
    return number(value, 0 if abs(value or 0) >= 10 else 1, signed=signed)


def what(fitted: Shown) -> str:
    """Return the outcome as a noun phrase that claims no more than its role allows."""
    outcome = fitted.study.outcome
    return role_words(outcome.role).of(outcome.name)


def measure(fitted: Shown) -> str:
    """Return "Outcome, per 10,000"."""
    name = fitted.study.outcome.name
    shown = "percent" if fitted.study.outcome.kind == "proportion" else unit(fitted)
    return f"{name}, {shown}" if shown else name


def start_words(fitted: Fitted) -> str:
    """Return when the program began, in words."""
    labels = [fitted.series.start_label(start) for start in fitted.series.starts]
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"
