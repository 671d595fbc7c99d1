"""What the analyses of a study say together, in words and as a figure, with no claim beyond the outcome's role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evaltoolkit.comparison.analyses import Analysis
from evaltoolkit.results import Column, Estimate, FigureData, interval, level_text, number, plural, role_words
from evaltoolkit.results.numbers import digits_for
from evaltoolkit.results.types import Cell
from evaltoolkit.study import Study

Side = Literal["above", "below", "none"]


@dataclass(frozen=True, slots=True)
class Tally:
    """How far the analyses agree.

    Attributes
    ----------
    n_analyses, n_estimated
        All, the study's own included, and those with an estimate.
    side, n_same_side
        On which side of no change the study's own estimate lies, and how many estimates lie there, its own included.
    n_above, n_below
        Estimates above and below no change.
    n_intervals, n_excluding
        Estimates that have an interval, and intervals that exclude no change.
    lowest, highest
        Range of the estimates.
    zero
        What no change is called: zero, or one for ratios.
    """

    n_analyses: int
    n_estimated: int
    side: Side
    n_same_side: int
    n_above: int
    n_below: int
    n_intervals: int
    n_excluding: int
    lowest: float | None
    highest: float | None
    zero: str


def tally(analyses: Sequence[Analysis]) -> Tally:
    """Count how far the analyses agree."""
    own = next((a.estimate for a in analyses if a.own), None)
    found = [a.estimate for a in analyses if a.estimate is not None]
    null = found[0].null if found else 0.0
    values = [e.estimate - null for e in found if e.estimate is not None]
    above, below = sum(v > 0 for v in values), sum(v < 0 for v in values)
    mine = 0.0 if own is None or own.estimate is None else own.estimate - null
    side: Side = "above" if mine > 0 else "below" if mine < 0 else "none"
    known = [(e.conf_low, e.conf_high) for e in found if e.conf_low is not None and e.conf_high is not None]
    return Tally(
        n_analyses=len(analyses), n_estimated=len(values), side=side,
        n_same_side={"above": above, "below": below, "none": len(values) - above - below}[side], n_above=above,
        n_below=below, n_intervals=len(known), n_excluding=sum(low > null or high < null for low, high in known),
        lowest=min((v + null for v in values), default=None),
        highest=max((v + null for v in values), default=None), zero="one" if null else "zero",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """How the numbers of a study's effects are shown: what they are multiplied with, decimals, and the unit."""

    factor: float
    digits: int
    unit: str
    ratio: bool = False

    @classmethod
    def of(cls, study: Study, analyses: Sequence[Analysis]) -> Shown:
        """Return how to show effects of the study's outcome, so that the usual interval has about two digits."""
        outcome = study.outcome
        ratio = any(a.estimate.is_ratio for a in analyses if a.estimate is not None)
        share = outcome.kind in {"binary", "proportion"} and not ratio
        factor = 100.0 if share else 1.0
        rate = outcome.population is not None and outcome.per != 1 and not ratio
        per = f"per {outcome.per:,.0f}" if rate else ""
        found = [a.estimate for a in analyses if a.estimate is not None]
        widths = sorted(e.conf_high - e.conf_low for e in found if e.conf_low is not None and e.conf_high is not None)
        sizes = widths[len(widths) // 2 :][:1] or [max((abs(e.estimate or 0.0) for e in found), default=0.0)]
        return cls(factor, digits_for(factor * sizes[0]), "percentage points" if share else per, ratio)

    def times(self, value: float | None) -> float | None:
        """Return a value as shown."""
        return None if value is None else self.factor * value

    def estimate(self, value: float | None) -> str:
        """Return an estimate as text."""
        return number(self.times(value), self.digits, signed=not self.ratio)

    def interval(self, e: Estimate) -> str:
        """Return the interval of an estimate as text, empty where there is none."""
        if e.conf_low is None or e.conf_high is None:
            return ""
        return interval(self.times(e.conf_low), self.times(e.conf_high), self.digits)

    def with_unit(self, text: str) -> str:
        """Return a number's text with the unit behind it."""
        return f"{text} {self.unit}".rstrip()


def headline(t: Tally) -> str:
    """Return the finding in one line."""
    if not t.n_estimated:
        return "No analysis has an estimate that can be shown"
    side: Side = "above" if t.side == "none" else t.side
    n = t.n_above if t.side == "none" else t.n_same_side
    first = f"{_of(n, t.n_estimated).capitalize()} estimates lie {side} {t.zero}"
    if not t.n_intervals:
        return first
    return f"{first}; {_of(t.n_excluding, t.n_intervals)} intervals exclude {t.zero}"


def _of(some: int, every: int) -> str:
    return f"all {every}" if some == every > 1 else f"{some} of {every}"


def sentences(study: Study, analyses: Sequence[Analysis]) -> tuple[str, ...]:
    """Return what the analyses say together, one sentence or two each."""
    t, shown = tally(analyses), Shown.of(study, analyses)
    lines = []
    missing = t.n_analyses - t.n_estimated
    tried = f"{plural(t.n_analyses, 'analysis', 'analyses')} of the same data, the study's own among them."
    lines.append(
        tried + (f" {missing} of them could not be estimated or shown; the table says why." if missing else "")
    )
    lines.append(f"{headline(t)}." if t.n_estimated else "None of them has an estimate that can be shown.")
    if t.lowest is not None and t.highest is not None:
        run = shown.with_unit(interval_of(shown, t.lowest, t.highest))
        lines.append(f"The estimates run from {run}.{_own(shown, analyses)}")
    lines.append(
        "The analyses share the data and most assumptions, so each further one that agrees adds less than a new study "
        "would; that they agree does not show that the assumptions hold."
    )
    lines.append(role_words(study.outcome.role).caveat)
    return tuple(lines)


def interval_of(shown: Shown, low: float, high: float) -> str:
    """Return the range of the estimates as text.

    >>> interval_of(Shown(1.0, 2, ""), -0.5, 0.25)
    '−0.50 to +0.25'
    """
    return f"{shown.estimate(low)} to {shown.estimate(high)}"


def _own(shown: Shown, analyses: Sequence[Analysis]) -> str:
    e = next((a.estimate for a in analyses if a.own), None)
    if e is None or e.estimate is None:
        return ""
    others = [a.estimate for a in analyses if not a.own and a.estimate is not None]
    farther = sum(abs(o.estimate - o.null) > abs(e.estimate - e.null) for o in others if o.estimate is not None)
    verb = "lies" if farther == 1 else "lie"
    said = f"{farther or 'none'} of the {len(others)} others {verb if farther else 'lies'} farther from no change"
    return f" The study's own is {shown.estimate(e.estimate)}; {said}." if others else ""


def figure(study: Study, analyses: Sequence[Analysis]) -> FigureData:
    """Return the specification curve as data."""
    t, shown = tally(analyses), Shown.of(study, analyses)
    kinds = _varied(analyses)
    level = level_text(study.inference.level)
    columns = (
        Column(key="label", label="Analysis", kind="text"),
        Column(key="estimate", label="Effect", digits=shown.digits, signed=not shown.ratio),
        Column(key="low", digits=shown.digits, label=f"{level} interval, low"),
        Column(key="high", digits=shown.digits, label=f"{level} interval, high"),
        Column(key="main", label="The study's own", kind="text"),
        *(Column(key=f"choice_{i}", label=kind, kind="text") for i, kind in enumerate(kinds)),
    )
    measure = f"Ratio to what was expected, {study.outcome.name}" if shown.ratio else (
        f"Difference in {study.outcome.name}" + (f", {shown.unit}" if shown.unit else "")
    )  # fmt: skip
    return FigureData(
        key="specification_curve", kind="specification_curve", headline=headline(t),
        subtitle=f"{measure}, with {level} intervals; a column is an analysis",
        alt=_alt(study, analyses, t, shown), columns=columns, rows=tuple(_row(a, kinds, shown) for a in analyses),
        note=role_words(study.outcome.role).caveat, section="checks",
        marks={
            "y_label": measure, "zero": float(t.zero == "one"), "zero_text": t.zero,
            "main_text": "the study's own",
        },
    )  # fmt: skip


def _varied(analyses: Sequence[Analysis]) -> list[str]:
    """Return the kinds of choices in which the analyses differ."""
    kinds = dict.fromkeys(kind for a in analyses for kind in a.choices)
    return [kind for kind in kinds if len({a.choices.get(kind) for a in analyses}) > 1]


def _row(a: Analysis, kinds: Sequence[str], shown: Shown) -> tuple[Cell, ...]:
    e = a.estimate
    numbers = (None, None, None) if e is None else (e.estimate, e.conf_low, e.conf_high)
    return (a.label, *(shown.times(v) for v in numbers), a.own, *(a.choices.get(kind) for kind in kinds))


def _alt(study: Study, analyses: Sequence[Analysis], t: Tally, shown: Shown) -> str:
    said = f"Specification curve of {plural(t.n_estimated, 'analysis', 'analyses')} of {study.outcome.name}, "
    said += f"sorted by estimate, with the choices of each below. {headline(t)}."
    if t.lowest is not None and t.highest is not None:
        said += f" Estimates run from {shown.with_unit(interval_of(shown, t.lowest, t.highest))}."
    own = next((a for a in analyses if a.own), None)
    if own is not None and own.estimate is not None:
        span = shown.interval(own.estimate)
        said += f" The study's own analysis, {own.label}, gives {shown.estimate(own.estimate.estimate)}"
        said += f" ({span})." if span else "."
    return said
