"""The effect without one covariate after another, and on outcomes that the program cannot have moved."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import binary_column, numeric_column
from evaltoolkit.designs.matching.covariates import Covariates
from evaltoolkit.designs.matching.fitted import Fitted, effect_by, fit_score
from evaltoolkit.designs.matching.matching import match
from evaltoolkit.designs.matching.omitted import amount_text
from evaltoolkit.designs.matching.options import words_of
from evaltoolkit.errors import EvaluationError
from evaltoolkit.kernels.balance import is_binary
from evaltoolkit.results import Diagnostic, number, p_value, plural

IntArray = NDArray[np.int64]

MOST_ROWS: Final = 2_000_000
"""People times covariates above which nothing is left out in turn."""
SIGN: Final = 0.05
QUESTION: Final = "Does the result hang on a single covariate?"


def without(covariates: Covariates, place: int) -> Covariates:
    """Return the covariates without one of those that were declared."""
    kept, seen = (np.flatnonzero(np.array(o) != place) for o in (covariates.owner, covariates.shown_owner))
    return dataclasses.replace(
        covariates, X=covariates.X[:, kept], names=tuple(covariates.names[j] for j in kept),
        owner=tuple(covariates.owner[j] for j in kept), shown=covariates.shown[:, seen],
        shown_names=tuple(covariates.shown_names[j] for j in seen),
        shown_owner=tuple(covariates.shown_owner[j] for j in seen),
    )  # fmt: skip


def leave_one_covariate_out(fitted: Fitted) -> Diagnostic:
    """Return how far the effect moves when everything is done again without one covariate."""
    question = QUESTION
    n, declared = fitted.people.treated.size, fitted.options.covariates
    if len(declared) < 2 or n * len(declared) > MOST_ROWS:
        text = (
            "There is only one covariate." if len(declared) < 2
            else "There are too many people to do everything again without each covariate."
        )  # fmt: skip
        return Diagnostic(name="leave-one-covariate-out", question=question, verdict="not-applicable", text=text)
    moved = []
    for j, covariate in enumerate(declared):
        estimate = _again(fitted, j)
        if estimate is not None:
            moved.append((estimate, words_of(covariate)))
    if not moved:
        text = "Without any one of the covariates there was nothing to estimate."
        return Diagnostic(name="leave-one-covariate-out", question=question, verdict="not-applicable", text=text)
    (low, first), (high, last) = min(moved), max(moved)
    worst = max(abs(e - fitted.main.estimate) for e, _ in moved)
    size = worst / fitted.main.std_error if fitted.main.std_error > 0 else 0.0
    text = (
        f"Scored, matched and estimated again without one covariate, the difference lies between "
        f"{amount_text(fitted, low)} (without {first}) and {amount_text(fitted, high)} (without {last}); with all of "
        f"them it is {amount_text(fitted, fitted.main.estimate)}. The largest move is {number(size, 2)} standard "
        "errors."
    )
    return Diagnostic(
        name="leave-one-covariate-out", question=question, statistic="largest move in standard errors", value=size,
        threshold=1.0, verdict="pass" if size <= 1 else "caution", text=text,
    )  # fmt: skip


def _again(fitted: Fitted, place: int) -> float | None:
    study, options = fitted.study, fitted.options
    people = dataclasses.replace(fitted.people, covariates=without(fitted.people.covariates, place))
    fewer = options.model_copy(update={"covariates": tuple(c for j, c in enumerate(options.covariates) if j != place)})
    if people.covariates.X.shape[1] == 0:
        return None
    try:
        score = fit_score(study, fewer, people)
        matched = match(people, score, fewer, study.inference.seed)
        plain = study.model_copy(update={"inference": study.inference.model_copy(update={"method": "auto"})})
        return effect_by(plain, fewer, people, score, matched, options.effect).estimate
    except EvaluationError:
        return None


def placebo_outcomes(fitted: Fitted) -> Diagnostic | None:
    """Return the effect on outcomes that the program cannot have moved; None where none are named."""
    names = fitted.options.placebo_outcomes
    found = [(name, *_placebo(fitted, name, j)) for j, name in enumerate(names)]
    told = [(name, estimate, p) for name, estimate, p in found if p is not None]
    if not told:
        return None
    p = min(p for _, _, p in told)
    adjusted = min(1.0, p * len(told))
    name, estimate, _ = min(told, key=lambda one: one[2])
    text = (
        f"On {plural(len(told), 'outcome')} that the program should not have moved, the most unusual difference is "
        f"{number(estimate)} ({name}, p {p_value(p)}"
        + (f"; {p_value(adjusted)} for all of them together" if len(told) > 1 else "")
        + "). A clear difference would mean that the groups differ in something that was not measured."
    )
    return Diagnostic(
        name="placebo-outcomes", question="Do the groups differ on outcomes that the program cannot have moved?",
        statistic="smallest p-value, adjusted for their number", value=adjusted, p_value=adjusted, threshold=SIGN,
        verdict="pass" if adjusted > SIGN else "caution", text=text,
        reference="Lipsitch, Tchetgen Tchetgen and Cohen 2010, doi:10.1097/EDE.0b013e3181d61eeb",
    )  # fmt: skip


def _placebo(fitted: Fitted, name: str, place: int) -> tuple[float, float | None]:
    frame, study = fitted.people.frame, fitted.study
    rows = np.flatnonzero(frame[name].notna().to_numpy())
    people = fitted.people if rows.size == len(frame) else fitted.people.take(rows)
    where = study.place("placebo_outcomes", place)
    y = numeric_column(people.frame, name, role="placebo outcome", where=where)
    if is_binary(y):
        y = binary_column(people.frame, name, role="placebo outcome", where=where)
    moved = dataclasses.replace(people, outcome=y)
    way = "regression" if fitted.options.effect == "g-computation" else fitted.options.effect
    try:
        same = people is fitted.people
        score = fitted.score if same else fit_score(study, fitted.options, moved)
        matched = fitted.matched if same else match(moved, score, fitted.options, study.inference.seed)
        effect = effect_by(study, fitted.options, moved, score, matched, way)
    except EvaluationError:
        return float("nan"), None
    return effect.estimate, effect.p_value
