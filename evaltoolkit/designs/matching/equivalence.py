"""Baseline equivalence by the thresholds of the What Works Clearinghouse, joined to the outcome model."""

from __future__ import annotations

from typing import Final

import numpy as np

from evaltoolkit.designs.matching.baseline import Category, category
from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.results import Diagnostic, TableData, number, plural
from evaltoolkit.results.types import Cell, Column, VerdictWord

SATISFIED, LIMIT = 0.05, 0.25
UNADJUSTED: Final = ("difference",)
"""Ways to estimate the effect whose outcome model holds no covariate."""
_REFERENCE = "What Works Clearinghouse, Procedures and Standards Handbook, Version 5.0"
_WORDS: Final[dict[tuple[Category, bool], str]] = {
    ("satisfied", True): "satisfied",
    ("satisfied", False): "satisfied",
    ("adjust", True): "satisfied, because the outcome model adjusts for it",
    ("adjust", False): "not satisfied: the outcome model must adjust for it",
    ("too far apart", True): "not satisfied",
    ("too far apart", False): "not satisfied",
    ("not defined", True): "not defined",
    ("not defined", False): "not defined",
}


def adjusted(fitted: Facts) -> tuple[bool, ...]:
    """Return for each shown covariate whether the outcome model adjusts for it."""
    names = fitted.names
    if fitted.options.effect in UNADJUSTED:
        return (False,) * len(names)
    return tuple(name not in fitted.main.aliased for name in names)


def equivalence_table(fitted: Facts) -> TableData:
    """Return for each covariate its difference at baseline, whether it is adjusted for, and what follows."""
    rows: list[tuple[Cell, ...]] = []
    for j, (name, size, in_model) in enumerate(zip(fitted.names, fitted.sizes, adjusted(fitted), strict=True)):
        kind = "Cox index" if fitted.binary[j] else "Hedges' g"
        found = category(float(size), SATISFIED, LIMIT)
        basis = fitted.bases[j] if fitted.study.counts_people else None
        value = float(size) if np.isfinite(size) else None
        rows.append((name, kind, value, "yes" if in_model else "no", _WORDS[found, in_model], basis))
    return TableData(
        key="equivalence", title=f"Baseline equivalence in the {fitted.done} sample", section="checks",
        columns=(
            Column(key="covariate", label="Covariate", kind="text"),
            Column(key="measure", label="Measure", kind="text"),
            Column(key="size", label="Difference", digits=2, signed=True),
            Column(key="adjusted", label="In the outcome model", kind="text"),
            Column(key="verdict", label=f"At most {SATISFIED}, or {LIMIT} and adjusted for", kind="text"),
            Column(key="basis", kind="basis", governs=("size", "verdict")),
        ),
        rows=tuple(rows),
        note="Differences in the analysis sample with its weights, over the standard deviation pooled by degrees of "
        "freedom. Computed against WWC thresholds; not a WWC review.",
    )  # fmt: skip


def equivalence(fitted: Facts) -> Diagnostic:
    """Return the verdict over all covariates."""
    found = [category(float(size), SATISFIED, LIMIT) for size in fitted.sizes]
    open_ones = sum(one == "adjust" and not inside for one, inside in zip(found, adjusted(fitted), strict=True))
    apart, undefined = found.count("too far apart"), found.count("not defined")
    return Diagnostic(
        name="baseline-equivalence", question="Would the groups count as equivalent at baseline by the WWC thresholds?",
        statistic=f"covariates over {LIMIT}", value=float(apart), threshold=0.0,
        verdict=_verdict(apart, undefined, open_ones), text=_text(fitted, found, open_ones), reference=_REFERENCE,
    )  # fmt: skip


def _verdict(apart: int, undefined: int, open_ones: int) -> VerdictWord:
    return "caution" if apart or undefined or open_ones else "pass"


def _text(fitted: Facts, found: list[Category], open_ones: int) -> str:
    undefined, middle = found.count("not defined"), found.count("adjust")
    lines = [
        f"Of {plural(len(found), 'covariate')}, {found.count('satisfied')} differ by at most {SATISFIED} (Hedges' g, "
        f"or the Cox index for yes/no covariates), {middle} by up to {LIMIT}, {found.count('too far apart')} by more"
        + (f"; for {undefined} the index is not defined (0% or 100% in a group)" if undefined else "") + "."
    ]  # fmt: skip
    if fitted.options.effect in UNADJUSTED:
        lines.append("The outcome model does not adjust for any of them" + (
            ": estimate the effect by regression to satisfy the rule for those in the middle." if middle else "."
        ))  # fmt: skip
    elif open_ones:
        lines.append(f"The outcome model adjusts for them, except for {open_ones} of those in the middle.")
    else:
        lines.append("The outcome model adjusts for all of them.")
    apart = found.count("too far apart")
    if apart:
        lines.append(
            f"No adjustment makes up for a difference over {number(LIMIT, 2)}: "
            + ("use other weights." if fitted.weighted else "match more closely.")
        )
    lines.append("Computed against WWC thresholds; not a WWC review.")
    return " ".join(lines)
