"""Group means by period."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.display import display
from evaltoolkit.designs.did.fitted import Fitted
from evaltoolkit.designs.did.showing import totals
from evaltoolkit.results import Cell, Column, FigureData, number

MOST_LINES = 6
"""Beyond so many cohorts the treated are drawn as one line."""

Line = tuple[str, str, NDArray[np.bool_]]


def trajectories(fitted: Fitted) -> FigureData:
    """Return the mean outcome of each group in each period."""
    factor, unit = display(fitted)
    lines = _lines(fitted)
    calendar = fitted.data.calendar
    rows: list[tuple[Cell, ...]] = []
    for name, role, group in lines:
        means = factor * fitted.facts.means(group)
        basis = _basis(fitted, group)
        rows += [
            (int(t), calendar.label(int(t)), name, role, float(means[i]), basis)
            for i, t in enumerate(fitted.facts.periods)
            if np.isfinite(means[i])
        ]
    outcome = fitted.study.outcome.name
    each = "" if fitted.unit == "people" else f" Each {fitted.one_unit} counts the same."
    return FigureData(
        key="trajectories", kind="trajectories", section="results",
        headline="How the groups moved before and after the start",
        subtitle=f"Mean of {outcome}" + (f", {unit}" if unit else ""),
        alt=_alt(fitted, lines),
        columns=(
            Column(key="x"), Column(key="label", kind="text"), Column(key="group", kind="text"),
            Column(key="role", kind="text"), Column(key="value"),
            Column(key="basis", kind="basis", governs=("value",)),
        ),
        rows=tuple(rows),
        marks={"starts": _starts(fitted), "y_label": outcome + (f", {unit}" if unit else "")},
        note=f"Means without adjustment.{each}" + _why(fitted),
    )  # fmt: skip


def _why(fitted: Fitted) -> str:
    if fitted.show.lines == "pooled":
        return " Cohorts are drawn together because few people were counted in some of them."
    return " Means are not shown because few people were counted in some periods." if _hidden(fitted) else ""


def _hidden(fitted: Fitted) -> bool:
    return fitted.show.lines == "none"


def _lines(fitted: Fitted) -> list[Line]:
    facts = fitted.facts
    cohorts, treated = facts.cohorts, facts.treated
    separate = fitted.show.lines != "pooled" and cohorts.size <= MOST_LINES
    if cohorts.size > 1 and separate:
        lines: list[Line] = [
            (f"Started {fitted.data.calendar.label(int(g))}", "program", facts.starts == g) for g in cohorts
        ]
    else:
        lines = [("Started the program", "program", treated)]
    if (~treated).any():
        words = "Started later" if fitted.data.last_as_comparison is not None else "Never started"
        lines.append((words, "comparison", ~treated))
    return lines


def _basis(fitted: Fitted, group: NDArray[np.bool_]) -> int | None:
    """Return the smallest count behind a line; one line that must be hidden hides all of them."""
    groups = [g for _, _, g in _lines(fitted)] if _hidden(fitted) else [group]
    found = [n for g in groups for n in totals(fitted.facts, fitted.study, g)]
    hidden = [n for n in found if fitted.small.hides(n)]
    if hidden:
        return min(hidden)
    return max(found) if found else None


def _starts(fitted: Fitted) -> list[dict[str, Cell]]:
    cohorts = fitted.facts.cohorts
    label = fitted.data.calendar.label
    if cohorts.size <= MOST_LINES:
        return [{"x": int(g), "label": f"Start, {label(int(g))}"} for g in cohorts]
    return [{"x": int(cohorts[0]), "label": f"First start, {label(int(cohorts[0]))}"}]


def _alt(fitted: Fitted, lines: list[Line]) -> str:
    label, periods = fitted.data.calendar.label, fitted.facts.periods
    first, last = label(int(periods[0])), label(int(periods[-1]))
    if _hidden(fitted):
        return f"Lines of group means from {first} to {last}; they are not shown, to protect small groups of people."
    factor, unit = display(fitted)
    said = []
    for name, _, group in lines:
        means = factor * fitted.facts.means(group)
        means = means[np.isfinite(means)]
        said.append(f"{name}: {number(float(means[0]))} to {number(float(means[-1]))}")
    return f"Lines of group means{', ' + unit if unit else ''}, from {first} to {last}. {'; '.join(said)}."
