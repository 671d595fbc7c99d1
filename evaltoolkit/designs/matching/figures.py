"""Figures of a matched comparison as data; nothing in them stands for one person."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.results import Cell, Column, Estimate, FigureData, interval, level_text, number

GOOD_SMD, POOR_SMD = 0.1, 0.25


def figures(fitted: Facts, rows: tuple[Estimate, ...]) -> tuple[FigureData, ...]:
    """Return the figures: effects, balance, overlap."""
    return (forest(fitted, rows), love(fitted), overlap(fitted))


def forest(fitted: Facts, rows: tuple[Estimate, ...]) -> FigureData:
    """Return the effect and the other way to estimate it."""
    shown = [e for e in rows if e.kind in {"overall", "variant"}]
    factor, unit = display(fitted)
    measure = f"Difference in {fitted.study.outcome.name}" + (f", {unit}," if unit else "")
    level = fitted.study.inference.level
    lead = shown[0]
    said = "; ".join(
        f"{e.estimator}: {number(_times(e.estimate, factor), signed=True)} "
        f"({interval(_times(e.conf_low, factor), _times(e.conf_high, factor))})"
        for e in shown
    )
    clear = lead.conf_low is not None and lead.conf_high is not None and not lead.conf_low <= 0 <= lead.conf_high
    return FigureData(
        key="effect", kind="forest", section="results",
        headline="The interval " + ("lies on one side of no change" if clear else "includes no change"),
        subtitle=f"{measure} with {level_text(level)} intervals",
        alt=f"Effects with {level_text(level)} intervals. {said}.",
        columns=(
            Column(key="label", kind="text"), Column(key="estimate"), Column(key="low"), Column(key="high"),
            Column(key="main", kind="text"), Column(key="basis", kind="basis", governs=("estimate", "low", "high")),
        ),
        rows=tuple(
            (
                e.estimator, _times(e.estimate, factor), _times(e.conf_low, factor), _times(e.conf_high, factor),
                e.kind == "overall", e.n_units if fitted.study.counts_people else None,
            )
            for e in shown
        ),
        marks={"x_label": measure.rstrip(","), "zero": 0, "zero_text": "no change", "level": level, "unit": unit},
        note=f"Errors: {fitted.main.inference}.",
    )  # fmt: skip


def display(fitted: Facts) -> tuple[float, str]:
    """Return what effects are multiplied with for display, and their unit in words (none for a continuous outcome)."""
    outcome = fitted.study.outcome
    if outcome.kind in {"binary", "proportion"}:
        return 100.0, "percentage points"
    if outcome.kind == "rate":
        return 1.0, f"per {outcome.per:,.0f}"
    return 1.0, "" if outcome.kind == "continuous" else "per person"


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def love(fitted: Facts) -> FigureData:
    """Return standardized mean differences before and after matching: the summaries, then covariates by size."""
    before, after = np.abs(fitted.before.smd[1:]), np.abs(fitted.after.smd[1:])
    over_before, over_after = int((before > GOOD_SMD).sum()), int((after > GOOD_SMD).sum())
    headline = (
        f"All measured differences are small after {fitted.doing}" if over_after == 0
        else f"{over_after} of {before.size} covariates still differ after {fitted.doing}"
    )  # fmt: skip
    return FigureData(
        key="balance_plot", kind="love", section="checks", headline=headline,
        subtitle=f"Absolute standardized mean difference of each covariate, before and after {fitted.doing}",
        alt=f"Before {fitted.doing}, {over_before} of {before.size} covariates differed by more than {GOOD_SMD} "
        f"standard deviations; after {fitted.doing}, {over_after} did.",
        columns=(
            Column(key="covariate", kind="text"), Column(key="before"), Column(key="after"),
            Column(key="basis", kind="basis", governs=("before", "after")),
        ),
        rows=_love_rows(fitted),
        marks={
            "threshold": GOOD_SMD, "limit": POOR_SMD, "x_label": "Absolute standardized mean difference",
            "before_text": f"before {fitted.doing}", "after_text": f"after {fitted.doing}",
        },
        note=f"Differences are divided by {fitted.spread_words}. Predicted outcome: what a linear model of those not "
        "served expects from the covariates.",
    )  # fmt: skip


def _love_rows(fitted: Facts) -> tuple[tuple[Cell, ...], ...]:
    people = fitted.study.counts_people
    everybody = fitted.n_used if people else None
    smd = (fitted.before.smd, fitted.after.smd)
    found: list[tuple[Cell, ...]] = [("Score", _size(smd[0][0]), _size(smd[1][0]), everybody)]
    one, two = (balance.smd[0] for balance in fitted.baseline.predicted)
    found.append(("Predicted outcome", _size(one), _size(two), everybody))
    for j in np.argsort(-np.abs(smd[0][1:]), kind="stable").tolist():
        name, basis = fitted.names[j], fitted.bases[j] if people else None
        found.append((name, _size(smd[0][j + 1]), _size(smd[1][j + 1]), basis))
    return tuple(row for row in found if row[1:3] != (None, None))


def _size(value: float) -> float | None:
    return abs(float(value)) if np.isfinite(value) else None


def overlap(fitted: Facts) -> FigureData:
    """Return shares of each group in bins of the score, before and after matching; bins of few people are hidden."""
    found = fitted.overlap
    rows: list[tuple[Cell, ...]] = []
    for panel, shares in zip(fitted.moments, (found.before, found.after), strict=True):
        for k in range(found.low.size):
            rows.append((
                panel, float(found.low[k]), float(found.high[k]), _cell(shares[0, k]), _cell(shares[1, k]),
                found.bases[0][k], found.bases[1][k],
            ))  # fmt: skip
    name = "propensity score" if fitted.options.column is None else fitted.options.column
    return FigureData(
        key="overlap", kind="overlap", section="checks",
        headline=f"How the scores of the two groups overlap, before and after {fitted.doing}",
        subtitle=f"Share of each group by {name}",
        alt=f"Histograms of the {name} in the treated and the comparison group, before and after {fitted.doing}. "
        + _overlap_words(fitted),
        columns=(
            Column(key="panel", kind="text"), Column(key="low"), Column(key="high"), Column(key="program"),
            Column(key="comparison"), Column(key="program_basis", kind="basis", governs=("program",)),
            Column(key="comparison_basis", kind="basis", governs=("comparison",)),
        ),
        rows=tuple(rows),
        marks={
            "x_label": name[:1].upper() + name[1:], "program_text": "treated",
            "comparison_text": "comparison" if fitted.weighted else "comparison (weighted after matching)",
        },
        note="Bins that few people fall into are not shown." if fitted.study.counts_people else "",
    )  # fmt: skip


def _cell(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _overlap_words(fitted: Facts) -> str:
    before, after = abs(float(fitted.before.smd[0])), abs(float(fitted.after.smd[0]))
    if not (np.isfinite(before) and np.isfinite(after)):
        return "The scores of the groups are shown side by side."
    return (
        f"The mean scores are {number(before, 2)} standard deviations apart before {fitted.doing} and "
        f"{number(after, 2)} after."
    )
