"""Figures of a difference-in-differences study as data."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.did.catalogue import ESTIMATORS
from evaltoolkit.designs.did.decomposition import decomposed, decomposition_figure
from evaltoolkit.designs.did.display import display, measure, noun, span, times, what
from evaltoolkit.designs.did.family import Measured
from evaltoolkit.designs.did.fitted import AGGREGATIONS, Fitted, banded, shown
from evaltoolkit.designs.did.rows import behind
from evaltoolkit.designs.did.trajectories import trajectories
from evaltoolkit.designs.did.trend_checks import Trends, departure_figure
from evaltoolkit.results import Cell, Column, FigureData, judge, level_text, number, plural

MOST_COHORTS = 40


def figures(fitted: Fitted, trends: Trends) -> tuple[FigureData, ...]:
    """Return the figures: event study, group means, other analyses, cohorts, departures from parallel trends."""
    found = [trajectories(fitted)]
    if fitted.events.labels.size:
        found.insert(0, event_study(fitted))
    departed = departure_figure(fitted, trends.departures)
    parts = decomposition_figure(fitted, decomposed(fitted))
    found += [f for f in (others(fitted), by_cohort(fitted), departed, parts) if f is not None]
    return tuple(found)


def _phase(fitted: Fitted, e: int) -> str:
    if e == fitted.reference:
        return "reference"
    return "before" if e < 0 else "after"


def event_rows(fitted: Fitted) -> list[tuple[int, Measured, tuple[float, float] | None]]:
    """Return event time, estimate and simultaneous band, with the reference period where there is one."""
    found = []
    for i, e in enumerate(fitted.events.labels.tolist()):
        found.append((e, fitted.events.one(i, fitted.level), banded(fitted, i)))
    if fitted.reference is not None and fitted.reference not in fitted.events.labels:
        found.append((fitted.reference, Measured(0.0, None, None, None, None, None), None))
    return sorted(found, key=lambda row: row[0])


def event_study(fitted: Fitted) -> FigureData:
    """Return effects by time since the start."""
    factor, _ = display(fitted)
    unit, level = fitted.data.calendar.noun, level_text(fitted.level)
    rows: list[tuple[Cell, ...]] = []
    for e, m, band in event_rows(fitted):
        low, high = band if band is not None else (None, None)
        rows.append((
            e, f"{e}" if e < 1 else f"+{e}", *(times(v, factor) for v in (m.estimate, m.low, m.high, low, high)),
            _phase(fitted, e), _basis(fitted, e),
        ))  # fmt: skip
    reference = (
        f"Each {unit} before the start is compared with the {unit} before it."
        if fitted.reference is None else f"All are compared with {noun(fitted, fitted.reference)}."
    )  # fmt: skip
    return FigureData(
        key="event_study", kind="effect_path", section="results", headline=_event_headline(fitted),
        subtitle=f"{measure(fitted)}, by {unit}s since the start", alt=_event_alt(fitted),
        columns=(
            Column(key="x"), Column(key="label", kind="text"), Column(key="estimate", signed=True), Column(key="low"),
            Column(key="high"), Column(key="band_low"), Column(key="band_high"), Column(key="phase", kind="text"),
            Column(key="basis", kind="basis", governs=("estimate", "low", "high", "band_low", "band_high")),
        ),
        rows=tuple(rows),
        marks={
            "x_label": f"{unit.capitalize()}s since the start", "y_label": measure(fitted),
            "before_text": "before the start", "after_text": "after the start", "boundary": -0.5,
            "level": fitted.level,
        },
        note=(
            f"Bars: {level} intervals, one at a time; band: {level} for all of them together. "
            if any(row[3] is not None for row in rows) else "No intervals can be given. "
        ) + f"{reference} " + ("Later points rest on fewer cohorts." if fitted.staggered else ""),
    )  # fmt: skip


def _basis(fitted: Fitted, e: int) -> int | None:
    return behind(fitted, "event", e)[1] if fitted.study.counts_people else None


def _event_headline(fitted: Fitted) -> str:
    m = fitted.headline
    finding = judge(m.estimate, m.low, m.high)
    if finding.strength == "unclear":
        return "After the start, the difference from the comparison is not clear"
    return f"After the start, {what(fitted)} was {finding.higher} than the comparison leads one to expect"


def _event_alt(fitted: Fitted) -> str:
    visible = [(e, m) for e, m, _ in event_rows(fitted) if not fitted.small.hides(_basis(fitted, e))]
    before = [m for e, m in visible if e < 0 and e != fitted.reference]
    after = [(e, m) for e, m in visible if e >= 0]
    clear_before = sum(m.low is not None and m.high is not None and not m.low <= 0 <= m.high for m in before)
    said = "; ".join(f"{noun(fitted, e)}: {_said(fitted, m)}" for e, m in after[:8])
    early = (
        f"Earlier points whose interval excludes zero: {clear_before} of {len(before)}."
        if before else "There is no earlier point to compare."
    )  # fmt: skip
    return f"Points with intervals by time since the start. {early} After the start: {said}."


def _said(fitted: Fitted, m: Measured) -> str:
    factor, _ = display(fitted)
    value = number(factor * m.estimate, signed=True)
    return value if m.low is None else f"{value} ({span(fitted, m)})"


def others(fitted: Fitted) -> FigureData | None:
    """Return the headline beside other averages and other admissible analyses."""
    rows: list[tuple[str, str, Measured, bool]] = [("Headline", _how(fitted), fitted.headline, True)]
    rows += [(v.label[:1].upper() + v.label[1:], "", v.found, False) for v in fitted.variants if v.found is not None]
    if fitted.cells is not None and fitted.staggered:
        for kind in ("group", "simple", "dynamic", "calendar"):
            if kind != fitted.options.headline:
                m = shown(fitted.choice, fitted.cells.overall(kind)).one(0, fitted.level)
                rows.append((AGGREGATIONS[kind].capitalize(), "", m, False))
    if len(rows) == 1:
        return None
    same = sum((m.estimate > 0) == (fitted.headline.estimate > 0) for _, _, m, _ in rows[1:])
    return _forest(
        fitted, "sensitivity", f"{same} of {plural(len(rows) - 1, 'other analysis', 'other analyses')} "
        f"{'points' if same == 1 else 'point'} the same way", rows,
    )  # fmt: skip


def _how(fitted: Fitted) -> str:
    if fitted.cells is None:
        return ESTIMATORS[fitted.options.estimator].words
    adjusted = f", {fitted.options.adjust}" if fitted.data.covariate_names else ""
    return f"{fitted.options.comparison} comparison{adjusted}"


def by_cohort(fitted: Fitted) -> FigureData | None:
    """Return the effect in each cohort."""
    if fitted.cells is None or not 2 <= fitted.facts.cohorts.size <= MOST_COHORTS:
        return None
    family = shown(fitted.choice, fitted.cells.family("group"))
    rows = []
    for i, g in enumerate(family.labels.tolist()):
        label = fitted.data.calendar.label(g)
        n = fitted.facts.size(np.array([g]))
        if not fitted.small.hides(behind(fitted, "cohort", g)[1] if fitted.study.counts_people else None):
            sites = "" if fitted.study.counts_people else plural(n, fitted.one_unit, fitted.unit)
            rows.append((f"Started {label}", sites, family.one(i, fitted.level), False))
    if len(rows) < 2:
        return None
    above = fitted.headline.estimate > 0
    same = sum((m.estimate > 0) == above for _, _, m, _ in rows)
    return _forest(
        fitted,
        "cohort_effects",
        f"The effect is {'above' if above else 'below'} zero in {same} of {len(rows)} cohorts",
        rows,
    )


def _forest(fitted: Fitted, key: str, headline: str, rows: list[tuple[str, str, Measured, bool]]) -> FigureData:
    factor, _ = display(fitted)
    level = level_text(fitted.level)
    said = "; ".join(f"{label}: {_said(fitted, m)}" for label, _, m, _ in rows)
    return FigureData(
        key=key, kind="forest", section="results", headline=headline,
        subtitle=f"{measure(fitted)}, with {level} intervals",
        alt=f"Estimates with {level} intervals, one row each. {said}.",
        columns=(
            Column(key="label", kind="text"), Column(key="detail", kind="text"), Column(key="estimate", signed=True),
            Column(key="low"), Column(key="high"), Column(key="main", kind="text"),
        ),
        rows=tuple(
            (label, detail, *(times(v, factor) for v in (m.estimate, m.low, m.high)), main)
            for label, detail, m, main in rows
        ),
        marks={"x_label": measure(fitted), "zero": 0, "zero_text": "no change", "level": fitted.level},
    )  # fmt: skip
