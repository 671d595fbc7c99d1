"""The matching estimator itself: mean difference to the matches, with Abadie-Imbens errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.effects import Asked, Effect
from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.abadie_imbens import MatchingEffect, abadie_imbens, arm_predictions, conditional_variances
from evaltoolkit.kernels.estimated_score import score_correction

FloatArray = NDArray[np.float64]
Whose = Literal["ATT", "ATC", "ATE"]


@dataclass(frozen=True, slots=True)
class _Named:
    """Variance of the estimate, with its name and reason."""

    variance: float
    name: str
    why: str


def matched_difference(people: People, score: Score, matched: Matched, options: Options, asked: Asked) -> Effect:
    """Average the differences of focal people to their matches, with the error of Abadie and Imbens.

    ``regression`` moves each match's outcome by a linear regression on the covariates (bias adjustment).

    Raises
    ------
    OptionError
        There are no pairs, or the effect was to be estimated by g-computation.
    """
    pairs = matched.pairs
    if pairs is None or asked.way not in {"difference", "regression"}:
        raise OptionError(
            "inference 'abadie-imbens' is for differences between people and their matches",
            expected="pairs (method 'nearest' or 'optimal'), and effect = 'difference' or 'regression'",
            todo="choose inference = 'auto', or another method or effect", where=asked.places[1],
        )  # fmt: skip
    y, t, X = people.outcome, people.treated, people.covariates.X
    predicted = arm_predictions(X, y, t, pairs) if asked.way == "regression" else None
    reused = matched.sets is None
    variances = _variances(people, matched, options, predicted) if reused else None
    found = abadie_imbens(y, t, pairs, variances, predicted)
    named = _reused(found, people, score, matched, options, predicted) if reused else _paired(found)
    return Effect(
        way=asked.way,
        estimate=found.estimate,
        std_error=float(np.sqrt(named.variance)),
        df=float(max(found.focal.size - 1, 1)),
        means=_means(found, people),
        covariance=None,
        n_people=int(matched.used.sum()),
        n_clusters=(int(found.focal.size),),
        inference=named.name,
        why=named.why,
    )


def _variances(people: People, matched: Matched, options: Options, predicted: FloatArray | None) -> FloatArray | None:
    """Return conditional variances, of what the regression leaves where matches are adjusted."""
    if matched.line is None or options.variance_neighbours == 0:
        return None
    y = people.outcome
    if predicted is not None:
        y = y - predicted[np.arange(y.size), people.treated.astype(np.int64)]
    return conditional_variances(matched.line, y, people.treated, options.variance_neighbours, people.strata)


def _paired(found: MatchingEffect) -> _Named:
    name = "Abadie-Imbens 2012 (matched differences)"
    why = "it was asked for; nobody is matched twice, so the differences of the sets vary independently"
    return _Named(found.std_error**2, name, why)


def _reused(
    found: MatchingEffect, people: People, score: Score, matched: Matched, options: Options,
    predicted: FloatArray | None,
) -> _Named:  # fmt: skip
    variance = found.std_error**2
    j = options.variance_neighbours
    spread = "one variance" if matched.line is None or j == 0 else f"variance from {j} neighbours"
    why = "it was asked for; it counts how often each match is used"
    reason = _as_known(people, score, matched, options, adjusted=predicted is not None)
    if reason or score.linear is None:
        return _Named(
            variance, f"Abadie-Imbens 2006 ({spread})", f"{why}; the score is treated as known, since {reason}"
        )
    design = np.column_stack([np.ones(people.treated.size), people.covariates.X])
    whose = cast("Whose", options.estimand)  # the others have no pairs
    step = score_correction(design, score.linear, people.outcome, people.treated, whose, found.estimate)
    corrected = max(variance + step.variance, 0.25 * variance)
    return _Named(
        corrected, f"Abadie-Imbens 2016 (estimated score, {spread})", f"{why}, and that the score is estimated"
    )


def _as_known(people: People, score: Score, matched: Matched, options: Options, *, adjusted: bool) -> str:
    """Return why the score is treated as known; empty where its estimation is accounted for."""
    if options.score_known:
        return "that was asked for"
    if score.model != "logit" or score.linear is None:
        return "it was given" if score.model is None else "it is no logit"
    if adjusted:
        return "adjustment by regression takes its part"
    if people.strata is not None:
        return "people are matched exactly on other columns too"
    return "" if matched.complete else "some people found no match"


def _means(found: MatchingEffect, people: People) -> FloatArray:
    """Return means of the focal people without and with the program: one is observed, the other that of the matches."""
    without = people.outcome[found.focal] - found.gaps * people.treated[found.focal]
    return np.array([without.mean(), without.mean() + found.estimate])
