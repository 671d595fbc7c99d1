"""Matching, then difference-in-differences: the change of the outcome since before the program is compared."""

from __future__ import annotations

import dataclasses

import numpy as np

from evaltoolkit.designs.matching.figures import display
from evaltoolkit.designs.matching.fitted import Fitted, effect_by
from evaltoolkit.designs.matching.options import columns_of
from evaltoolkit.results import Assumption, Column, Diagnostic, FigureData, interval, level_text, number

ESTIMATORS = {
    "difference": "difference-in-differences, {done} sample",
    "regression": "difference-in-differences by regression on the {done} sample",
    "aipw": "doubly robust difference-in-differences",
}
"""Names of the ways to estimate the effect where changes are compared."""


def parallel_trends(verdicts: dict[str, str]) -> Assumption:
    """Return the assumption that changes rest on, and how it was looked at."""
    return Assumption(
        name="Parallel changes",
        text="Without the program, the outcome of those served would have changed as much as that of the similar "
        "people not served. Lasting differences between the groups, measured or not, cancel out.",
        checked=f"Changes before the program: {verdicts['changes-before']}.",
    )


def change_checks(fitted: Fitted) -> tuple[Diagnostic, ...]:
    """Return the checks of a comparison of changes; none where levels are compared."""
    if not fitted.options.outcome_before:
        return ()
    found = [_before(fitted)]
    matched_on = {name for covariate in fitted.options.covariates for name in columns_of(covariate)}
    if matched_on & set(fitted.options.outcome_before):
        found.append(_matched_on_it())
    return tuple(found)


def trajectories(fitted: Fitted) -> tuple[FigureData, ...]:
    """Return the outcome of the matched groups at each time; nothing where it was measured once or shows a few."""
    if fitted.people.measured is None or fitted.small_outcome:
        return ()
    rows = _means(fitted)
    _, unit = display(fitted)
    measure = f"Mean of {fitted.study.outcome.name}" + (f", {unit}" if unit else "")
    low, high = fitted.main.interval(fitted.study.inference.level)
    apart = "The matched groups changed differently once the program had begun"
    said = "; ".join(f"{group}, {label}: {number(value)}" for _, label, group, _, value, _ in rows)
    return (
        FigureData(
            key="changes", kind="trajectories", section="results",
            headline="The matched groups changed too much alike to tell apart" if low <= 0 <= high else apart,
            subtitle=f"{measure}, in the matched groups at each time", alt=f"{measure}. {said}.",
            columns=(
                Column(key="x"), Column(key="label", kind="text"), Column(key="group", kind="text"),
                Column(key="role", kind="text"), Column(key="value"),
                Column(key="basis", kind="basis", governs=("value",)),
            ),
            rows=tuple(rows),
            marks={
                "starts": [{"x": len(fitted.options.outcome_before) - 0.5, "label": "Program"}], "y_label": measure,
            },
            note="Lasting differences between the groups cancel out of the effect; different changes do not.",
        ),
    )  # fmt: skip


def _means(fitted: Fitted) -> list[tuple[int, str, str, str, float, int | None]]:
    measured = fitted.people.measured
    if measured is None:
        return []
    factor, _ = display(fitted)
    names = (*fitted.options.outcome_before, fitted.study.outcome.column)
    rows: list[tuple[int, str, str, str, float, int | None]] = []
    for label, role, group in (
        ("treated", "program", fitted.people.treated), ("comparison", "comparison", ~fitted.people.treated),
    ):  # fmt: skip
        means = factor * np.average(measured[group], axis=0, weights=fitted.matched.weights[group])
        n = int((group & fitted.used).sum()) if fitted.study.counts_people else None
        rows += [(i, name, label, role, float(means[i]), n) for i, name in enumerate(names)]
    return rows


def _before(fitted: Fitted) -> Diagnostic:
    question = "Did the outcome change alike in both groups before the program began?"
    reference = "Callaway and Sant'Anna 2021, doi:10.1016/j.jeconom.2020.12.001"
    measured = fitted.people.measured
    if measured is None or measured.shape[1] < 3:
        text = "The outcome was measured once before the program, so whether it changed alike cannot be looked at."
        return Diagnostic(name="changes-before", question=question, verdict="caution", text=text, reference=reference)
    early = dataclasses.replace(fitted.people, outcome=measured[:, -2] - measured[:, -3])
    found = effect_by(fitted.study, fitted.options, early, fitted.score, fitted.matched, fitted.options.effect)
    level = fitted.study.inference.level
    low, high = found.interval(level)
    alike = low <= 0 <= high
    factor, unit = display(fitted)
    shown, effect = (number(factor * e.estimate, signed=True) for e in (found, fitted.main))
    text = (
        f"Between the last two measurements before the program, the {fitted.done} groups drifted apart by "
        f"{shown}{' ' + unit if unit else ''} ({level_text(level)} interval {interval(factor * low, factor * high)}). "
        + ("No drift can be told from chance; " if alike else "This is more than chance allows; ")
        + f"the change since then, which is the effect, is {effect}."
    )
    return Diagnostic(
        name="changes-before", question=question, statistic="difference of changes before the program",
        value=found.estimate, p_value=found.p_value, verdict="pass" if alike else "fail", text=text,
        reference=reference,
    )  # fmt: skip


def _matched_on_it() -> Diagnostic:
    return Diagnostic(
        name="matched-on-outcome",
        question="Were people matched on the outcome before the program?",
        verdict="caution",
        text="The outcome before the program is among the covariates. Where the groups differ in it for good, people "
        "matched on a passing high or low drift back to their own group afterwards, and the change mistakes that for "
        "an effect. Compare with an analysis that leaves it out of covariates.",
        reference="Daw and Hatfield 2018, doi:10.1111/1475-6773.12993",
    )
