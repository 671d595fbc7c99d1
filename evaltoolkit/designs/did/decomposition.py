"""What a two-way fixed-effects estimate averages (Goodman-Bacon)."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.did.display import display, measure
from evaltoolkit.designs.did.fitted import Fitted
from evaltoolkit.kernels.bacon import ALL_COHORTS, Decomposition, DecompositionError, bacon
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.results import Cell, Column, Diagnostic, FigureData, number
from evaltoolkit.results.types import VerdictWord

KINDS = {
    "treated-never": "Treated against never treated",
    "earlier-later": "Earlier against later starters, before these start",
    "later-earlier": "Later against earlier starters, already treated",
    "later-always": "Later starters against always treated",
    "both-treated": "Two treated cohorts, with covariates",
    "within": "Covariates within cohorts",
    "remainder": "What missing observations add",
}
FORBIDDEN = ("later-earlier", "later-always")
LARGE = 0.10
"""Share of forbidden comparisons from which they call for caution."""


def decomposed(fitted: Fitted) -> Decomposition | None:
    """Return the decomposition of a two-way fixed-effects estimate with several starts; None for other estimates."""
    if fitted.data.rows is None:
        return None
    options, panel = fitted.options, fitted.panel
    if options.estimator != "twfe" or options.family != "linear" or options.period_effects or not fitted.staggered:
        return None
    X = panel.covariates if panel.covariates.shape[2] else None
    try:
        return bacon(panel.outcome, panel.start, panel.periods, panel.weights, X)
    except DecompositionError:
        return None


def decomposition_check(fitted: Fitted, found: Decomposition | None) -> list[Diagnostic]:
    """Return the share of comparisons with units that are already treated."""
    if found is None:
        return []
    totals = found.totals()
    share = sum(weight for kind, (weight, _) in totals.items() if kind in FORBIDDEN)
    factor, unit = display(fitted)
    said = "; ".join(
        f"{KINDS[kind].lower()}: {number(100 * weight, 0)} percent, "
        f"{number(factor * value, signed=True)} {unit}".rstrip()
        for kind, (weight, value) in totals.items()
        if np.isfinite(value)
    )
    verdict: VerdictWord = "caution" if share >= LARGE else "pass"
    return [
        Diagnostic(
            name="decomposition", question="Which comparisons is the estimate made of?",
            statistic="share of comparisons with units already treated", value=share, threshold=LARGE, verdict=verdict,
            text=f"The estimate averages comparisons of two groups at a time. {said[:1].upper()}{said[1:]}.",
            reference="Goodman-Bacon 2021, doi:10.1016/j.jeconom.2021.03.014",
        )
    ]  # fmt: skip


def decomposition_figure(fitted: Fitted, found: Decomposition | None) -> FigureData | None:
    """Return weight and estimate of every comparison of two groups."""
    if found is None:
        return None
    factor, _ = display(fitted)
    rows: list[tuple[Cell, ...]] = []
    for i, kind in sorted(enumerate(found.kind), key=lambda pair: list(KINDS).index(pair[1])):
        value = float(found.estimate[i])
        if np.isfinite(value):
            pair = f"{_cohort(fitted, int(found.treated[i]))} against {_cohort(fitted, int(found.comparison[i]))}"
            rows.append((pair, KINDS[kind], float(found.weight[i]), factor * value))
    whole = factor * found.coefficient
    forbidden = sum(w for kind, (w, _) in found.totals().items() if kind in FORBIDDEN)
    return FigureData(
        key="decomposition", kind="decomposition", section="checks",
        headline=f"{number(100 * forbidden, 0)} percent of the estimate compares with units already treated",
        subtitle=f"{measure(fitted)}, of each comparison of two groups, by its weight in the estimate",
        alt=f"Points, one for each comparison of two groups: weight across, estimate up. The weighted average is "
        f"{number(whole, signed=True)}. "
        + "; ".join(f"{KINDS[k]}: weight {number(w, 2)}" for k, (w, _) in found.totals().items()) + ".",
        columns=(
            Column(key="label", kind="text"), Column(key="group", kind="text"), Column(key="weight"),
            Column(key="estimate", signed=True),
        ),
        rows=tuple(rows),
        marks={
            "x_label": "Weight in the estimate", "y_label": measure(fitted), "average": whole,
            "average_text": f"two-way fixed effects: {number(whole, signed=True)}",
        },
        note="Comparisons with units already treated mislead where effects grow or fade. Goodman-Bacon (2021).",
    )  # fmt: skip


def _cohort(fitted: Fitted, start: int) -> str:
    if start == NEVER:
        return "never treated"
    return "all" if start == ALL_COHORTS else fitted.data.calendar.label(start)
