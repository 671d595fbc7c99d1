"""What a report says about missing covariates: counts by column, how they were dealt with, what that rests on."""

from __future__ import annotations

from typing import Literal

import numpy as np

from evaltoolkit.designs.matching.figures import display
from evaltoolkit.designs.matching.fitted import Fitted
from evaltoolkit.results import Column, Diagnostic, TableData, number, plural
from evaltoolkit.results.types import Cell

MANY_MISSING = 0.05


def missing_table(fitted: Fitted) -> TableData | None:
    """Return how many values of each column are missing among those compared; None where none are."""
    completed = fitted.people.completed
    if completed is None or not completed.gaps:
        return None
    kind: Literal["people", "count"] = "people" if fitted.study.counts_people else "count"
    rows: list[tuple[Cell, ...]] = []
    for gap in completed.gaps:
        how = f"imputed {fitted.options.n_imputations} times" if gap.imputed else "kept, marked as not recorded"
        rows.append((gap.column, gap.treated, gap.comparison, gap.treated + gap.comparison, how))
    return TableData(
        key="missing", title="Values that were not recorded", section="checks",
        columns=(
            Column(key="covariate", label="Covariate", kind="text"),
            Column(key="treated", label="Treated", kind=kind),
            Column(key="comparison", label="Comparison", kind=kind),
            Column(key="all", label="Both", kind=kind, sum_of=("treated", "comparison")),
            Column(key="dealt_with", label="Dealt with", kind="text"),
        ),
        rows=tuple(rows),
        note="Among people with treatment and outcome known. One person may lack several values.",
    )  # fmt: skip


def imputations_table(fitted: Fitted) -> TableData | None:
    """Return balance over the imputed data sets; None where nothing is imputed."""
    found = fitted.imputed
    if found is None:
        return None
    sizes = np.abs(found.smd)
    people = fitted.study.counts_people
    rows: list[tuple[Cell, ...]] = []
    for j, name in enumerate(fitted.people.covariates.shown_names):
        known = sizes[:, j][np.isfinite(sizes[:, j])]
        values = (known.min(), known.mean(), known.max()) if known.size else (np.nan,) * 3
        cells = (float(v) if np.isfinite(v) else None for v in values)
        rows.append((name, *cells, fitted.bases[j] if people else None))
    return TableData(
        key="imputed_balance", title=f"Balance over {found.m} imputations", section="checks",
        columns=(
            Column(key="covariate", label="Covariate", kind="text"),
            Column(key="smallest", label="Smallest |SMD| after", digits=2),
            Column(key="mean", label="Mean |SMD| after", digits=2),
            Column(key="largest", label="Largest |SMD| after", digits=2),
            Column(key="basis", kind="basis", governs=("smallest", "mean", "largest")),
        ),
        rows=tuple(rows),
        note="People are matched anew in each imputed data set. Sizes, matches, figures and how strong a hidden "
        "difference would have to be are those of the first.",
    )  # fmt: skip


def missing_checks(fitted: Fitted) -> tuple[Diagnostic, ...]:
    """Return what can be said of missing covariates, and of the imputations."""
    completed = fitted.people.completed
    if completed is None:
        return ()
    found = [_values(fitted)]
    if fitted.imputed is not None:
        found.append(_information(fitted))
    return tuple(found)


def _values(fitted: Fitted) -> Diagnostic:
    question = "Were values of covariates missing?"
    completed = fitted.people.completed
    gaps = completed.gaps if completed else ()
    if not gaps:
        text = "No covariate has a missing value among those compared."
        return Diagnostic(name="missing-values", question=question, verdict="pass", text=text)
    n = fitted.people.treated.size
    most = max(gaps, key=lambda gap: gap.treated + gap.comparison)
    count = most.treated + most.comparison
    people = fitted.study.counts_people
    hidden = people and any(fitted.cells.hides(k) for k in (count, most.treated, most.comparison))
    how_many = "a few" if hidden else f"{count:,} of {n:,}"
    text = (
        f"{plural(len(gaps), 'covariate')} lack values: {', '.join(gap.column for gap in gaps)}. The most are missing "
        f"in {most.column}: {how_many}. {_rule(fitted)}"
    ).replace("1 covariate lack ", "1 covariate lacks ")
    share = count / n
    return Diagnostic(
        name="missing-values", question=question, statistic="largest share missing in a covariate",
        value=None if hidden else share, threshold=MANY_MISSING,
        verdict="pass" if share <= MANY_MISSING and fitted.options.incomplete == "impute" else "caution", text=text,
        reference="Leyrat and others 2019, doi:10.1177/0962280217713032",
    )  # fmt: skip


def _rule(fitted: Fitted) -> str:
    if fitted.imputed is not None:
        return (
            "They were imputed from the other covariates, the treatment and the outcome, which is right where, given "
            "these, whether a value is missing does not depend on the value itself."
        )
    return (
        "People without them were kept, with an indicator of the gap. This makes groups alike on what was recorded and "
        "on whether it was; it is right only where the missing values themselves did not decide who was served."
    )


def _information(fitted: Fitted) -> Diagnostic:
    found = fitted.imputed
    if found is None:
        msg = "nothing was imputed"
        raise ValueError(msg)
    lost, m = found.pooled.missing_information, found.m
    enough = m >= 100 * lost
    factor, unit = display(fitted)
    low, high = (number(factor * float(v), signed=True) for v in (found.estimates.min(), found.estimates.max()))
    text = (
        f"The effect ranges from {low} to {high}{' ' + unit if unit else ''} over "
        f"{m} imputations. About {number(100 * lost, 0)}% of the information about it is lost to missing values and to "
        f"matching anew in each. {'There are enough imputations.' if enough else 'More imputations would be steadier.'}"
    )
    return Diagnostic(
        name="imputations", question="Do the imputations agree?", statistic="share of missing information", value=lost,
        threshold=m / 100, verdict="pass" if enough else "caution", text=text,
        reference="White, Royston and Wood 2011, doi:10.1002/sim.4067",
    )  # fmt: skip
