"""Weighting: everybody is kept, and weights make the groups alike."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import numpy as np

from evaltoolkit.designs.matching.matched import Fact, FloatArray, Mask, Matched
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score, link_of
from evaltoolkit.errors import ColumnTypeError, NoComparisonError
from evaltoolkit.kernels.balancing import balancing_score, entropy_weights, unmet
from evaltoolkit.kernels.energy import energy_weights
from evaltoolkit.kernels.propensity import density
from evaltoolkit.kernels.score_weights import (
    Equations,
    Estimand,
    EstimatedWeights,
    score_weights,
    share_of,
    stabilized,
    truncated,
)
from evaltoolkit.kernels.standardized import Standardized

_MOST_FOR_ENERGY = 4_000


def match(people: People, score: Score, options: Options, seed: int) -> Matched:  # noqa: ARG001
    """Weight everybody by the options; nothing is drawn.

    Raises
    ------
    NoComparisonError
        No weights balance the covariates.
    ColumnTypeError
        A column is given as the score that is no probability.
    """
    way, t = options.weights_from, people.treated
    facts: tuple[Fact, ...] = ()
    if way == "energy":
        found, facts = _energy(people, options.estimand)
    elif way in ("entropy", "cbps"):
        solve = entropy_weights if way == "entropy" else balancing_score
        balanced = solve(people.covariates.X, t, options.estimand)
        if not balanced.converged:
            _refuse(people, options.estimand)
        found = balanced.found
        facts = (Fact("Largest imbalance left, in standard deviations", balanced.imbalance),)
    else:
        found = _by_score(people, score, options)
    return Matched(
        weights=found.weights, focal=focal(t, options.estimand), line=score.probability, facts=facts, estimated=found
    )


def focal(treated: Mask, estimand: Estimand) -> Mask:
    """Return whose effect is estimated: the treated, the others, or everybody."""
    return {"ATT": treated, "ATC": ~treated}.get(estimand, np.ones_like(treated))


def _by_score(people: People, score: Score, options: Options) -> EstimatedWeights:
    t, p, estimand = people.treated, score.probability, options.estimand
    inside = (p > 0) & (p < 1)
    if not inside.all():
        raise ColumnTypeError(
            f"the score holds values that are not between 0 and 1 (column or model '{options.distance}')",
            expected="chances of being served, above 0 and below 1", todo="use distance = 'logit', or another column",
            where="distance",
        )  # fmt: skip
    weights, slope = score_weights(p, t, estimand)
    found = EstimatedWeights(weights, share_of(t, estimand, weights), estimand in ("ATO", "ATM"))
    if score.fit is not None:
        slope = slope * density(score.fit.line, p, link_of(score.model))
        part = Equations(score.fit.score, score.fit.curvature, slope)
        found = replace(found, rows=Standardized.of(people.covariates.X), equations=(part,))
    if options.truncate is not None:
        found = truncated(found, t, options.truncate)
    return stabilized(found, t) if options.stabilize else found


def _energy(people: People, estimand: Estimand) -> tuple[EstimatedWeights, tuple[Fact, ...]]:
    t = people.treated
    n = {"ATT": int((~t).sum()), "ATC": int(t.sum())}.get(estimand, t.size)
    if n > _MOST_FOR_ENERGY:
        raise NoComparisonError(
            f"energy balancing would have to find weights for {n:,} people",
            expected=f"at most {_MOST_FOR_ENERGY:,}, because its time grows with the cube of their number",
            todo="use weighting = 'entropy' or 'cbps'", where="weighting",
        )  # fmt: skip
    found = energy_weights(people.covariates.shown, t, estimand)
    weights: FloatArray = found.weights
    facts = (
        Fact("Energy distance before weighting", found.unweighted),
        Fact("Energy distance after weighting", found.distance),
    )
    return EstimatedWeights(weights, share_of(t, estimand, weights)), facts


def _refuse(people: People, estimand: Estimand) -> NoReturn:
    X, t = people.covariates.X, people.treated
    everybody = np.ones_like(t)
    sides = {"ATT": ((~t, t),), "ATC": ((t, ~t),)}.get(estimand, ((t, everybody), (~t, everybody)))
    columns = sorted({j for group, meant in sides for j in unmet(X, group, meant)})
    names = ", ".join(f"'{people.covariates.names[j]}'" for j in columns)
    detail = f"; the means of {names} cannot be met" if names else "; the groups barely overlap"
    raise NoComparisonError(
        f"no weights balance the covariates exactly{detail}",
        expected="a comparison group that surrounds those whose means are to be met",
        todo="remove the covariate, group its levels, or use estimand = 'ATO' with weighting = 'overlap', which is "
        "about people who could have been in either group", where="covariates",
    )  # fmt: skip
