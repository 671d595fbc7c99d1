"""Tables and estimate rows of a matched comparison."""

from __future__ import annotations

from typing import Literal

import numpy as np

from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.designs.matching.rows import RATIO_NAMES
from evaltoolkit.designs.matching.score import MODEL_WORDS
from evaltoolkit.results import Column, Estimate, FlowStep, TableData, interval
from evaltoolkit.results.types import ODDS_RATIO


def effect_table(fitted: Facts, rows: tuple[Estimate, ...]) -> TableData:
    """Return the effects side by side."""
    level = 100 * fitted.study.inference.level
    return TableData(
        key="effects", title=f"Effect in the {fitted.done} sample",
        columns=(
            Column(key="estimator", label="Estimated by", kind="text"),
            Column(key="estimate", label="Effect", signed=True),
            Column(key="std_error", label="Standard error"),
            Column(key="interval", label=f"{level:g}% interval", kind="text"),
            Column(key="p_value", label="p", kind="p-value"),
            Column(key="inference", label="Kind of error", kind="text"),
            Column(key="basis", kind="basis", governs=("estimate", "std_error", "interval", "p_value")),
        ),
        rows=tuple(
            (
                _label(e), e.estimate, e.std_error,
                interval(e.conf_low, e.conf_high), e.p_value, e.inference,
                e.n_units if fitted.study.counts_people else None,
            )
            for e in rows
            if not e.is_ratio
        ),
        main_rows=(0,),
    )  # fmt: skip


def ratio_table(fitted: Facts, rows: tuple[Estimate, ...]) -> TableData | None:
    """Return the effect as ratios, for which 1 is no difference; None where there are none."""
    ratios = [e for e in rows if e.is_ratio]
    if not ratios:
        return None
    level = 100 * fitted.study.inference.level
    people = fitted.study.counts_people
    return TableData(
        key="ratios", title="The effect as a ratio",
        columns=(
            Column(key="ratio", label="Ratio", kind="text"),
            Column(key="estimate", label="With the program / without", digits=2),
            Column(key="interval", label=f"{level:g}% interval", kind="text"),
            Column(key="p_value", label="p", kind="p-value"),
            Column(key="basis", kind="basis", governs=("estimate", "interval", "p_value")),
        ),
        rows=tuple(
            (
                RATIO_NAMES[e.term].capitalize(), e.estimate, interval(e.conf_low, e.conf_high), e.p_value,
                e.n_units if people else None,
            )
            for e in ratios
        ),
        note="1 means no difference. "
        + ("An odds ratio is farther from 1 than the risk ratio and is not to be read as one. "
           if any(e.term == ODDS_RATIO for e in ratios) else "")
        + "Intervals by the delta method on the logarithm.",
    )  # fmt: skip


def _label(e: Estimate) -> str:
    return f"{e.estimator}, percent" if e.kind == "percent" else e.estimator


def balance_table(fitted: Facts) -> TableData:
    """Return balance before and after matching; numbers that rest on few people are governed by their basis."""
    names = ("Score", *fitted.names)
    before, after = fitted.before, fitted.after
    people = fitted.study.counts_people
    values = (
        "treated", "comparison", "comparison_after", "before", "after", "ratio", "ecdf_mean", "ecdf_max", "overlap"
    )  # fmt: skip
    rows = tuple(
        (
            names[j], *(
                _cell(v[j]) for v in (
                    after.mean_first, before.mean_second, after.mean_second, before.smd, after.smd,
                    after.variance_ratio, after.ecdf_mean, after.ecdf_max, after.overlap,
                )
            ), (fitted.bases[j - 1] if j else fitted.n_used) if people else None,
        )
        for j in range(len(names))
    )  # fmt: skip
    return TableData(
        key="balance", title=f"Balance before and after {fitted.doing}", section="checks",
        columns=(
            Column(key="covariate", label="Covariate", kind="text"),
            Column(key="treated", label=f"Treated, {fitted.done}"),
            Column(key="comparison", label="Comparison, all"),
            Column(key="comparison_after", label=f"Comparison, {fitted.done}"),
            Column(key="before", label="SMD before", digits=2, signed=True),
            Column(key="after", label="SMD after", digits=2, signed=True),
            Column(key="ratio", label="Variance ratio", digits=2),
            Column(key="ecdf_mean", label="eCDF mean", digits=3),
            Column(key="ecdf_max", label="KS", digits=3),
            Column(key="overlap", label="Overlap", digits=2),
            Column(key="basis", kind="basis", governs=values),
        ),
        rows=rows,
        note=f"SMD: standardized mean difference over {fitted.spread_words}, in both columns. KS: largest difference "
        "of the distribution functions. Overlap: area that the two densities share (1: the same).",
    )  # fmt: skip


def _cell(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def characteristics_table(fitted: Facts) -> TableData:
    """Return who is compared: means (shares for yes/no covariates) and standard deviations before matching."""
    rows, found = [], fitted.before
    for j, (name, yes_no) in enumerate(zip(fitted.names, fitted.binary, strict=True), start=1):
        spreads = (None, None) if yes_no else (_spread(found.variance_first[j]), _spread(found.variance_second[j]))
        basis = fitted.bases[j - 1] if fitted.study.counts_people else None
        rows.append((name, _cell(found.mean_first[j]), spreads[0], _cell(found.mean_second[j]), spreads[1], basis))
    return TableData(
        key="characteristics", title=f"Who is compared, before {fitted.doing}", section="results",
        columns=(
            Column(key="covariate", label="Characteristic", kind="text"),
            Column(key="treated", label="Treated: mean or share"),
            Column(key="treated_sd", label="SD"),
            Column(key="comparison", label="Comparison: mean or share"),
            Column(key="comparison_sd", label="SD"),
            Column(key="basis", kind="basis", governs=("treated", "treated_sd", "comparison", "comparison_sd")),
        ),
        rows=tuple(rows),
    )  # fmt: skip


def sizes_table(fitted: Facts) -> TableData:
    """Return how many of each group there are, are matched, and are left out, with the effective sample size."""
    kind: Literal["people", "count"] = "people" if fitted.study.counts_people else "count"
    rows = []
    for name, group in (("Treated", fitted.treated), ("Comparison", fitted.comparison)):
        rows.append((name, group.n, group.used, group.n - group.used, group.effective, group.used))
    return TableData(
        key="sample_sizes", title="Sample sizes", section="checks",
        columns=(
            Column(key="group", label="Group", kind="text"),
            Column(key="all", label="All", kind=kind, sum_of=("matched", "unmatched")),
            Column(key="matched", label=fitted.done.capitalize(), kind=kind),
            Column(key="unmatched", label="Left out" if fitted.weighted else "Unmatched", kind=kind),
            Column(key="ess", label="Effective size", digits=1),
            Column(key="basis", kind="basis", governs=("ess",)),
        ),
        rows=tuple(row if kind == "people" else (*row[:5], None) for row in rows),
        note="Effective size: the number of equally weighted people that would give the same precision.",
    )  # fmt: skip


def score_table(fitted: Facts) -> TableData | None:
    """Return the coefficients of the propensity score."""
    score = fitted.score_model
    if not score.names:
        return None
    odds = " (log odds)" if score.model in ("logit", "penalized") else ""
    return TableData(
        key="score", title="The propensity score", section="methods",
        columns=(
            Column(key="term", label="Term", kind="text"),
            Column(key="coefficient", label=f"Coefficient{odds}", signed=True),
            Column(key="std_error", label="Standard error"),
            Column(key="basis", kind="basis", governs=("coefficient", "std_error")),
        ),
        rows=tuple(
            (name, b, se, _score_basis(fitted, name))
            for name, b, se in zip(score.names, score.coefficients, score.std_errors, strict=True)
        ),
        note=f"{MODEL_WORDS[score.model or 'logit'].capitalize()}, converged after {score.iterations} passes over the "
        f"data to a mean gradient of {score.gradient:.0e}.",
    )  # fmt: skip


def _score_basis(fitted: Facts, name: str) -> int | None:
    if not fitted.study.counts_people:
        return None
    return fitted.bases[fitted.names.index(name)] if name in fitted.names else fitted.n_used


def flow_after(fitted: Facts, last: FlowStep) -> tuple[FlowStep, ...]:
    """Return the steps from the complete rows to the matched sample: one group at a time leaves."""
    groups = {"treated": fitted.treated, "comparison": fitted.comparison}
    meant = {"ATT": ["treated"], "ATC": ["comparison"]}.get(fitted.options.estimand, list(groups))
    focal_last = ["treated", "comparison"] if fitted.options.estimand == "ATC" else ["comparison", "treated"]
    leaving = [(name, group.discarded, _SUPPORT) for name, group in groups.items()]
    for name in focal_last:
        kept = _WEIGHTED if fitted.weighted else _MATCHED if name in meant else _CHOSEN
        leaving.append((name, groups[name].unmatched, kept))
    steps = []
    left = {name: group.n for name, group in groups.items()}
    for name, out, (label, reason) in leaving:
        left[name] -= out
        if out:
            steps.append(
                FlowStep(
                    label=label, n=sum(left.values()), unit=last.unit, excluded=out, reason=reason,
                    treated=left["treated"], comparison=left["comparison"], people=last.people,
                )
            )  # fmt: skip
    return tuple(steps)


_SUPPORT = ("Within the range of the other group's score", "outside the range of the other group's score")
_CHOSEN = ("Chosen as a match, or to be matched", "not needed as a match")
_MATCHED = ("Matched sample", "found no match")
_WEIGHTED = ("With some weight", "given no weight")


def _spread(variance: float) -> float | None:
    return float(np.sqrt(variance)) if np.isfinite(variance) else None
