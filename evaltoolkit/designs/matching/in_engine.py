"""One matching study of people who stay in an engine: scored, matched, compared and described from sums."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaltoolkit.contract import small_cells
from evaltoolkit.designs.matching import in_engine_facts as told
from evaltoolkit.designs.matching import in_engine_weighting as weighting
from evaltoolkit.designs.matching.effects import Asked, Effect
from evaltoolkit.designs.matching.facts import Facts, Made, ScoreModel
from evaltoolkit.designs.matching.in_engine_balance import bases_of, groups_of, measured
from evaltoolkit.designs.matching.in_engine_covariates import must_be_independent, must_overlap, standardized
from evaltoolkit.designs.matching.in_engine_nearest import in_pairs
from evaltoolkit.designs.matching.in_engine_people import EnginePeople
from evaltoolkit.designs.matching.in_engine_products import products_of
from evaltoolkit.designs.matching.in_engine_sample import HeldMatched, Keep
from evaltoolkit.designs.matching.in_engine_strata import in_strata
from evaltoolkit.designs.matching.omitted import Omitted, omitted_from
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.outcome_fit import Way
from evaltoolkit.designs.matching.score import refuse
from evaltoolkit.errors import EvaluationError
from evaltoolkit.kernels.omitted_variables import Moments
from evaltoolkit.reduction.engine_score import HeldFit, fit_chance, predicted
from evaltoolkit.reduction.people import HeldPeople
from evaltoolkit.study import Study


@dataclass(frozen=True, slots=True)
class EngineFacts(Facts):
    """The facts of one matching study of people who stay in an engine.

    Attributes
    ----------
    before_moments
        Second moments of covariates, treatment and outcome of everybody.
    omitted
        The regression on the matched sample that robustness values rest on; None where it does not exist.
    """

    before_moments: Moments
    omitted: Omitted | None


def fit(study: Study, options: Options, content: EnginePeople) -> EngineFacts:
    """Score, match, measure balance and estimate, in the engine.

    Raises
    ------
    EvaluationError
        The covariates, the score or the matched sample do not allow an estimate.
    """
    with contextlib.ExitStack() as stack:

        def keep(people: HeldPeople, what: str) -> HeldPeople:
            """Keep people in the engine as they are now, so that nothing is worked out twice."""
            return dataclasses.replace(people, table=stack.enter_context(content.source.stored(people.table, what)))

        people = standardized(content.source, content.table, content.covariates, content.n)
        people = keep(people, "people with complete data")
        must_be_independent(people, content.covariates, study)
        people, score = _scored(people, content, options, study)
        matched = _METHODS[options.method](people, score, content, options, keep)
        return _facts(study, options, content, score, matched)


def _scored(
    people: HeldPeople, content: EnginePeople, options: Options, study: Study
) -> tuple[HeldPeople, HeldFit | None]:  # fmt: skip
    """Return people with their score ``p``, and the model of it; a column that is given stands for it."""
    if options.column is not None:
        return people.adding({"p": people["d"]}), None
    if options.uses_score:
        must_overlap(people, content.covariates, study)
    score = fit_chance(people)
    if score.converged:
        return people.adding({"p": predicted(people, score, "binomial")}), score
    if options.uses_score:
        refuse("the model for the chance of being served reaches no estimate", study.place("covariates", 0))
    # Nobody is compared by the score here; without one, all have the same chance.
    return people.adding({"p": people["z0"] * (content.n_treated / content.n)}), None


def _weighted(
    people: HeldPeople, score: HeldFit | None, content: EnginePeople, options: Options, keep: Keep
) -> HeldMatched:  # fmt: skip
    people = keep(weighting.weights_of(people, score, options, content.n_treated), "weights")
    groups = groups_of(people)
    held = weighting.HeldWeights(people, score, content.covariates.names)
    return HeldMatched(
        people, groups, Made(people.n, complete=True), "p",
        lambda asked: weighting.effect_of(held, groups, options, asked),
    )  # fmt: skip


def _in_strata(
    people: HeldPeople, score: HeldFit | None, content: EnginePeople, options: Options, keep: Keep
) -> HeldMatched:  # fmt: skip
    return in_strata(_with_logit(people, score), content, options, keep)


def _with_logit(people: HeldPeople, score: HeldFit | None) -> HeldPeople:
    return people if score is None else people.adding({"logit": people.line(score.b)})


def _in_pairs(
    people: HeldPeople, score: HeldFit | None, content: EnginePeople, options: Options, keep: Keep
) -> HeldMatched:  # fmt: skip
    return in_pairs(_with_logit(people, score), content, options, keep)


_METHODS: dict[str, Callable[[HeldPeople, HeldFit | None, EnginePeople, Options, Keep], HeldMatched]] = {
    "weighting": _weighted, "exact": _in_strata, "coarsened-exact": _in_strata, "subclass": _in_strata,
    "nearest": _in_pairs,
}  # fmt: skip


def _facts(
    study: Study, options: Options, content: EnginePeople, score: HeldFit | None, matched: HeldMatched
) -> EngineFacts:  # fmt: skip
    people, groups, cells, rows = matched.people, matched.groups, small_cells(study), study.counts_people
    covariates = content.covariates
    bases = bases_of(people, covariates, groups, cells, rows=rows)
    hidden = [rows and cells.hides(base) for base in bases]
    level = people.sums({"level": people["y"].mean()}, "level of the outcome")["level"]
    after = told.moments_of(people, "w", level, groups.treated.used + groups.comparison.used)
    before = told.moments_of(people, "z0", level, people.n)
    return EngineFacts(
        study=study,
        options=options,
        names=covariates.shown_names,
        binary=covariates.binary,
        treated=groups.treated,
        comparison=groups.comparison,
        outside=told.outside_of(people, matched.line, options.estimand, cells, rows=rows),
        baseline=dataclasses.replace(
            measured(people, covariates, groups, hidden, options.estimand),
            products=products_of(people, covariates, groups, hidden, options.estimand, content.threshold),
        ),
        bases=tuple(bases),
        overlap=told.overlap_of(people, groups, cells if rows else None, chance=options.column is None),
        score_model=_score_model(people, score, covariates.names),
        made=matched.made,
        main=effect_by(study, matched, options.effect),
        other=_other(study, options, matched),
        cells=cells,
        small_outcome=told.small_outcome(people, study, cells),
        outcome_spread=told.outcome_spread(people),
        before_moments=before,
        omitted=omitted_from(after, before, covariates.owner, options),
    )


def effect_by(study: Study, matched: HeldMatched, way: Way) -> Effect:
    """Return the effect estimated in one way, with the study's inference."""
    rules = study.inference
    places = (study.place("effect"), study.place("inference", "method"))
    return matched.effect(Asked(way, study.outcome.kind, rules.method, rules.level, rules.draws, rules.seed, places))


def _other(study: Study, options: Options, matched: HeldMatched) -> Effect | None:
    try:
        return effect_by(study, matched, "regression" if options.effect == "difference" else "difference")
    except EvaluationError:
        return None


def _score_model(people: HeldPeople, score: HeldFit | None, names: tuple[str, ...]) -> ScoreModel:
    if score is None:
        return ScoreModel()
    back = people.back()
    covariance = back @ np.linalg.pinv(score.gram, hermitian=True) @ back.T
    return ScoreModel(
        "logit", ("(Intercept)", *names), tuple((back @ score.b).tolist()),
        tuple(np.sqrt(np.diag(covariance)).tolist()), score.iterations, score.gradient,
    )  # fmt: skip
