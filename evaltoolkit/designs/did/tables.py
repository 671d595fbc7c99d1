"""Tables of a difference-in-differences study."""

from __future__ import annotations

from typing import Literal

import numpy as np

from evaltoolkit.designs.did.display import display, measure, noun, times
from evaltoolkit.designs.did.figures import event_rows
from evaltoolkit.designs.did.fitted import AGGREGATIONS, Fitted
from evaltoolkit.designs.did.rows import behind
from evaltoolkit.results import Cell, Column, Estimate, TableData, interval

_NUMBERS = ("estimate", "std_error", "interval", "p_value")


def tables(fitted: Fitted, rows: tuple[Estimate, ...]) -> tuple[TableData, ...]:
    """Return the tables: effects, event times, cohorts, cells."""
    found = [effects(fitted, rows), cohorts(fitted, rows)]
    if fitted.events.labels.size:
        found.insert(1, event_times(fitted))
    if fitted.cells is not None:
        found.append(group_time(fitted, rows))
    return tuple(found)


def _columns(fitted: Fitted, *first: Column) -> tuple[Column, ...]:
    level = 100 * fitted.level
    return (
        *first,
        Column(key="estimate", label="Effect", signed=True),
        Column(key="std_error", label="Standard error"),
        Column(key="interval", label=f"{level:g}% interval", kind="text"),
        Column(key="p_value", label="p", kind="p-value"),
        Column(key="basis", kind="basis", governs=_NUMBERS),
    )


def _cells(fitted: Fitted, e: Estimate) -> tuple[Cell, ...]:
    factor = 1.0 if e.kind == "percent" else display(fitted)[0]
    low, high = times(e.conf_low, factor), times(e.conf_high, factor)
    return (
        times(e.estimate, factor), times(e.std_error, factor), interval(low, high), e.p_value,
        e.n_units if fitted.study.counts_people else None,
    )  # fmt: skip


def effects(fitted: Fitted, rows: tuple[Estimate, ...]) -> TableData:
    """Return the headline with its relative form, other averages, and other analyses."""
    shown = [e for e in rows if e.kind in {"overall", "percent", "variant"}]
    return TableData(
        key="effects", title="Effect over the whole period",
        subtitle=measure(fitted),
        columns=_columns(fitted, Column(key="what", label="Estimate", kind="text")),
        rows=tuple((_name(e), *_cells(fitted, e)) for e in shown),
        main_rows=(0,),
        note="The first row is the headline; the others are the same question answered in other ways.",
    )  # fmt: skip


def _name(e: Estimate) -> str:
    if e.kind == "percent":
        return "In percent of what would have been without the program"
    if e.kind == "variant":
        return e.term[:1].upper() + e.term[1:]
    name = AGGREGATIONS.get(e.term, e.estimator)
    return name[:1].upper() + name[1:]


def event_times(fitted: Fitted) -> TableData:
    """Return effects by time since the start, with the band for all of them together."""
    factor, _ = display(fitted)
    rows: list[tuple[Cell, ...]] = []
    for e, m, band in event_rows(fitted):
        chosen, n = behind(fitted, "event", e)
        both = "" if band is None else interval(factor * band[0], factor * band[1])
        range_ = "" if m.low is None else interval(times(m.low, factor), times(m.high, factor))
        rows.append((
            noun(fitted, e), int(chosen.size), factor * m.estimate, times(m.std_error, factor),
            range_ or ("reference" if e == fitted.reference else "–"), both or "–", m.p_value,
            n if fitted.study.counts_people else None,
        ))  # fmt: skip
    level = 100 * fitted.level
    return TableData(
        key="event_times", title="Effect by time since the start", subtitle=measure(fitted),
        columns=(
            Column(key="when", label="Time", kind="text"),
            Column(key="cohorts", label="Cohorts", kind="count"),
            Column(key="estimate", label="Effect", signed=True),
            Column(key="std_error", label="Standard error"),
            Column(key="interval", label=f"{level:g}% interval", kind="text"),
            Column(key="band", label=f"{level:g}% band for all", kind="text"),
            Column(key="p_value", label="p", kind="p-value"),
            Column(key="basis", kind="basis", governs=(*_NUMBERS, "band")),
        ),
        rows=tuple(rows),
        note="Times before the start should show no effect; they check the comparison.",
    )  # fmt: skip


def cohorts(fitted: Fitted, rows: tuple[Estimate, ...]) -> TableData:
    """Return the size of each cohort and of the comparison group, with the cohort's effect."""
    kind: Literal["people", "count"] = "people" if fitted.study.counts_people else "count"
    effect = {e.cohort: e for e in rows if e.kind == "cohort"}
    facts = fitted.facts
    found: list[tuple[Cell, ...]] = []
    for g, clusters in zip(facts.cohorts.tolist(), facts.clusters.tolist(), strict=False):
        label = fitted.data.calendar.label(g)
        n = fitted.show.basis(np.array([g]), facts.size(np.array([g])))
        cells = _cells(fitted, effect[label]) if label in effect else (None, None, "–", None, None)
        found.append((f"Started {label}", n, clusters if kind == "count" else None, *cells))
    words = "Started later" if fitted.data.last_as_comparison is not None else "Never started"
    others = facts.comparison_clusters if kind == "count" else None
    found.append((words, facts.n_compared, others, None, None, "–", None, None))
    return TableData(
        key="cohorts", title="Who is compared: cohorts by their start", subtitle=measure(fitted),
        columns=_columns(
            fitted,
            Column(key="cohort", label="Cohort", kind="text"),
            Column(key="n", label=fitted.unit.capitalize(), kind=kind),
            Column(key="clusters", label="Clusters", kind="count"),
        ),
        rows=tuple(found),
        note="The effect of a cohort is averaged over the periods since its start.",
    )  # fmt: skip


def group_time(fitted: Fitted, rows: tuple[Estimate, ...]) -> TableData:
    """Return every group-time effect."""
    return TableData(
        key="group_time", title="Effect of each cohort in each period", subtitle=measure(fitted), section="methods",
        columns=_columns(
            fitted,
            Column(key="cohort", label="Cohort", kind="text"),
            Column(key="time", label="Period", kind="text"),
        ),
        rows=tuple((e.cohort, e.time, *_cells(fitted, e)) for e in rows if e.kind == "group-time"),
    )  # fmt: skip
